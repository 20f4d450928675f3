// Package author is the pages on which the content is read and tried before it is
// signed: every flow as a picture, every text in both languages with who answers for
// it, and each flow played in the browser.
//
// It promises: it changes nothing, keeps nothing and texts nobody; what an author
// changes in the folder is there at the next look, with every fault. It refuses to be
// a door for patients: it knows no store, and whoever serves it does so on this
// machine alone.
package author

import (
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"time"

	"lookout/bot/rehearsal"
	"lookout/content"
	"lookout/flows"
)

//go:embed assets
var files embed.FS

// Config is what the pages need.
type Config struct {
	// Pack is the content as it is now; its error joins the faults of a folder that
	// does not load.
	Pack func() (*content.Pack, error)
	Now  func() time.Time
	// Stylesheet serves /assets/.
	Stylesheet http.Handler
}

type pages struct {
	Config
	templates *template.Template
}

// New makes the pages. Its templates are checked here.
func New(c Config) (http.Handler, error) {
	p := &pages{Config: c}
	var err error
	p.templates, err = template.New("").Option("missingkey=error").ParseFS(files, "assets/*.html")
	if err != nil {
		return nil, fmt.Errorf("author: %w", err)
	}
	assets, err := fs.Sub(files, "assets")
	if err != nil {
		return nil, fmt.Errorf("author: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /assets/", c.Stylesheet)
	mux.Handle("GET /author.css", http.FileServerFS(assets))
	mux.HandleFunc("GET /{$}", p.page(p.home))
	mux.HandleFunc("GET /texts", p.page(p.texts))
	mux.HandleFunc("GET /flows/{name}", p.page(p.flow))
	mux.HandleFunc("GET /play/{name}", p.page(p.play))
	mux.HandleFunc("POST /play/{name}", p.page(p.play))
	return guarded(mux), nil
}

// guarded lets a page load nothing from elsewhere, and run nothing.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		next.ServeHTTP(w, r)
	})
}

// view is what a page shows.
type view struct {
	Title string
	Pack  *content.Pack
	Drawn
	Faults []string // of a folder that does not load, or of the style
	Loads  bool
	Data   any
}

// Drawn is how the words are shown.
type Drawn struct {
	Locale, Channel string
}

// page loads the content, and shows what a page makes of it.
func (p *pages) page(show func(r *http.Request, v *view) (name string, err error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 1<<18)
		v := &view{Loads: true, Drawn: Drawn{"en-GB", "sms"}}
		if r.FormValue("lang") == "cy" {
			v.Locale = "cy"
		}
		if r.FormValue("channel") == "chat" {
			v.Channel = "chat"
		}
		pack, err := p.Pack()
		name := "broken"
		status := http.StatusOK
		if err != nil {
			v.Title, v.Loads, v.Faults, status = "The content has faults", false, strings.Split(err.Error(), "\n"), http.StatusServiceUnavailable
		} else {
			v.Pack = pack
			name, err = show(r, v)
		}
		var missing *missingError
		if errors.As(err, &missing) {
			http.NotFound(w, r)
			return
		} else if v.Loads && err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(status)
		p.templates.ExecuteTemplate(w, name, v) //nolint:errcheck // whoever looks has gone
	}
}

// missingError is a page that is not there.
type missingError struct{}

func (*missingError) Error() string { return "there is no such page" }

// flowLine is a flow in a list.
type flowLine struct {
	Name, State string
	Steps       int
}

func stateOf(pack *content.Pack, file, id string) content.Entry {
	for _, e := range pack.Entries() {
		if e.ID == id && strings.HasPrefix(e.File, file) {
			return e
		}
	}
	return content.Entry{}
}

func (p *pages) home(_ *http.Request, v *view) (string, error) {
	v.Title = "The content"
	var list []flowLine
	for _, name := range v.Pack.Program().Flows() {
		list = append(list, flowLine{name, stateOf(v.Pack, "flows/", name).State(), len(v.Pack.Program().InWords(name))})
	}
	for _, f := range v.Pack.Lint() {
		v.Faults = append(v.Faults, f.String())
	}
	v.Data = struct {
		Flows         []flowLine
		Drafts, Parts int
		Texts         int
	}{list, len(v.Pack.Drafts()), len(v.Pack.Entries()), len(v.Pack.Texts())}
	return "home", nil
}

// textView is a text with who answers for it.
type textView struct {
	content.TextWords
	State, Source, Welsh string
	Used                 []string // flows
}

func (p *pages) texts(r *http.Request, v *view) (string, error) {
	v.Title = "Texts"
	used := map[string][]string{}
	for _, flow := range v.Pack.Program().Flows() {
		for _, s := range v.Pack.Program().InWords(flow) {
			for _, id := range s.Texts {
				if !slices.Contains(used[id], flow) {
					used[id] = append(used[id], flow)
				}
			}
		}
	}
	find := strings.ToLower(strings.TrimSpace(r.FormValue("find")))
	entries := map[string]content.Entry{}
	for _, e := range v.Pack.Entries() {
		if strings.HasPrefix(e.File, "texts/") {
			entries[e.ID] = e
		}
	}
	var list []textView
	for _, t := range v.Pack.Texts() {
		all := t.ID
		for _, w := range t.Wordings {
			all += "\n" + w.Words
		}
		if find != "" && !strings.Contains(strings.ToLower(all), find) {
			continue
		}
		e := entries[t.ID]
		list = append(list, textView{t, e.State(), e.Source, e.Welsh, used[t.ID]})
	}
	v.Data = struct {
		Find  string
		Texts []textView
		All   int
	}{r.FormValue("find"), list, len(entries)}
	return "texts", nil
}

func (p *pages) words(v *view) func(string) string {
	vars := rehearsal.SampleVars(v.Pack)
	return func(id string) string {
		words, err := v.Pack.Text(id, v.Locale, v.Channel, vars)
		if err != nil { // its options are not known here
			for _, t := range v.Pack.Texts() {
				if t.ID == id {
					return t.In(v.Locale, v.Channel)
				}
			}
		}
		return words
	}
}

func (p *pages) flow(r *http.Request, v *view) (string, error) {
	name := r.PathValue("name")
	if !v.Pack.Program().Has(name) {
		return "", &missingError{}
	}
	v.Title = "The flow " + name
	words := p.words(v)
	type step struct {
		flows.StepWords
		Said []string
	}
	var steps []step
	for _, s := range v.Pack.Program().InWords(name) {
		said := make([]string, len(s.Texts))
		for i, id := range s.Texts {
			said[i] = words(id)
		}
		steps = append(steps, step{s, said})
	}
	suffix := ""
	if v.Locale == "cy" {
		suffix = "?lang=cy"
	}
	entry := stateOf(v.Pack, "flows/", name)
	v.Data = struct {
		Name, State, Source string
		Picture             template.HTML
		Steps               []step
	}{name, entry.State(), entry.Source,
		template.HTML(v.Pack.Program().SVG(name, flows.Picture{Words: words, Link: func(flow string) string { return "/flows/" + flow + suffix }})), //nolint:gosec // SVG escapes what is the author's
		steps}
	return "flow", nil
}

// maxPlayed bounds what one talk is answered.
const maxPlayed = 300

// play plays a flow with all that was answered so far, which the form carries: no
// talk is kept here.
func (p *pages) play(r *http.Request, v *view) (string, error) {
	name := r.PathValue("name")
	if !v.Pack.Program().Has(name) {
		return "", &missingError{}
	}
	v.Title = "Play " + name
	began, err := time.Parse(time.RFC3339, r.FormValue("began"))
	if err != nil {
		began = p.Now().UTC().Truncate(time.Minute)
	}
	said := slices.Clone(r.Form["said"])
	switch next := strings.TrimSpace(r.FormValue("words")); {
	case r.FormValue("wait") != "":
		said = append(said, ":wait "+r.FormValue("wait"))
	case r.FormValue("back") != "" && len(said) > 0:
		said = said[:len(said)-1]
	default:
		if form := filledIn(r, next); form != "" {
			said = append(said, form)
		} else if next != "" {
			said = append(said, next)
		}
	}
	if len(said) > maxPlayed {
		return "", fmt.Errorf("a talk of more than %d answers is not played here", maxPlayed)
	}
	facts := map[string]string{}
	var fields []factField
	for _, field := range flows.ProfileFields() {
		value := r.FormValue("fact." + field.Name)
		if value != "" {
			facts[field.Name] = value
		}
		fields = append(fields, newFactField(field, value))
	}
	var lines []rehearsal.Line
	talk, err := rehearsal.NewTalk(v.Pack, began, facts)
	if err != nil {
		return "", err
	}
	talk.Locale, talk.Channel = v.Locale, v.Channel
	talk.Tell = func(l rehearsal.Line) { lines = append(lines, l) }
	if err := talk.Start(name); err != nil {
		return "", err
	}
	for _, words := range said {
		if !talk.Active() {
			break
		}
		err := talk.Take(words)
		var none *rehearsal.NoCommandError
		if errors.As(err, &none) {
			lines = append(lines, rehearsal.Line{Words: none.Say})
		} else if err != nil {
			return "", err
		}
	}
	v.Data = struct {
		Name, Began string
		Said        []string
		Lines       []rehearsal.Line
		Active      bool
		Form        []rehearsal.Shown
		Facts       []factField
	}{name, began.Format(time.RFC3339), said, lines, talk.Active(), talk.Form(), fields}
	return "play", nil
}

// filledIn is what a form says, as a line of a talk; "" when it says nothing.
func filledIn(r *http.Request, words string) string {
	var parts []string
	add := func(step, says string) {
		if says = strings.Join(strings.Fields(strings.ReplaceAll(says, " / ", ", ")), " "); says != "" {
			parts = append(parts, step+": "+says)
		}
	}
	for _, step := range r.Form["asked"] {
		add(step, r.FormValue("answer."+step))
	}
	if len(parts) == 0 {
		return ""
	}
	add("beside", words)
	return ":form " + strings.Join(parts, " / ")
}

// factField is a field of the form for what is known of her.
type factField struct {
	Name, Label, Value string
	Number             bool
	Options            []factOption
}

type factOption struct {
	Value, Label string
	Chosen       bool
}

func newFactField(field flows.Field, value string) factField {
	out := factField{Name: field.Name, Label: strings.ReplaceAll(field.Name, "_", " "), Value: value, Number: field.Type == "int"}
	add := func(is, label string) {
		out.Options = append(out.Options, factOption{is, label, is == value})
	}
	switch field.Type {
	case "bool":
		add("", "not said")
		add("true", "yes")
		add("false", "no")
	case "string":
		add("", "not said")
		for _, x := range field.Values {
			if x != "" {
				add(x, x)
			}
		}
	}
	return out
}

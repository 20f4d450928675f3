package content

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/warthog618/sms"
	"go.yaml.in/yaml/v4"

	"lookout/flows"
)

// decode reads one file strictly; each of its errors becomes a fault.
func (c *checker) decode(file string, data []byte, into any) bool {
	if err := yaml.Load(data, into, yaml.WithKnownFields(!c.kept)); err != nil {
		var many *yaml.LoadErrors
		if errors.As(err, &many) {
			for _, e := range many.Errors {
				c.fault(file, e.Mark.Line, "%s: check the spelling and the indent", e.Message)
			}
		} else {
			c.fault(file, 1, "%v: check the indents and the quotes", err)
		}
		return false
	}
	return true
}

// in lists the files of a folder.
func in(files map[string][]byte, folder string) []string {
	var out []string
	for _, name := range sortedKeys(files) {
		if strings.HasPrefix(name, folder+"/") {
			out = append(out, name)
		}
	}
	return out
}

// text is one thing that lookout says.
type text struct {
	file     string
	line     int
	id       string
	segments int
	wording  map[string]string // "en-GB", "cy", and "en-GB/chat" for a channel's own

	about       flows.About
	welshReview string
	lines       map[string]int    // of its fields, by name
	except      map[string]string // checks that it may fail, with the reason
}

// textsFile is a file of texts. What stands at its head holds for every text that
// does not say otherwise.
type textsFile struct {
	flows.About `yaml:",inline"`
	WelshReview string     `yaml:"cy_review"`
	Texts       []textFile `yaml:"texts"`
}

type textFile struct {
	ID          string        `yaml:"id"`
	Version     int           `yaml:"version"`
	Review      *flows.Review `yaml:"review"`
	Source      string        `yaml:"source"`
	Segments    int           `yaml:"segments"`
	English     string        `yaml:"en-GB"`
	Chat        string        `yaml:"chat"`
	Email       string        `yaml:"email"`   // its subject, a blank line, its body
	Webhook     string        `yaml:"webhook"` // of a page to another system, which answers none
	Welsh       string        `yaml:"cy"`
	WelshChat   string        `yaml:"cy_chat"`
	WelshReview string        `yaml:"cy_review"`
	// Except are checks of `lookout flows check` that this text may fail, each with
	// the reason.
	Except map[string]string `yaml:"except"`
}

// Placeholders are what a text may leave open, each with the longest value that
// its length is checked with.
var Placeholders = map[string]string{
	"given_name": "Persephone-Anne", "service": "Anytown NHS breast nurses", "nurse_line": "01632 960 0000", "cancer_line": "01632 960 0000",
	"urgent_route": "GP out-of-hours", "crisis_route": "NHS 111 option 2", "by": "10:30am on Wednesday 30 September",
	"link": "https://lookout.anytown.nhs.uk/chat?k=ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF", "desk": "https://lookout.anytown.nhs.uk/desk/",
	"since": "10:30am", "code": "123456", "carer": "Persephone-Anne", "level": "emergency", "nurse": "Alexandra",
	"row": "K7RT", "count": "1990", "rows": "K7RT, M4PX, D7GN, F3HT, G8JC, H2KD, J6MX, N9QP and 1982 more",
	"change": "A new password was chosen with an invitation, and codes and passkeys were taken off", "begins": "Wednesday 30 September", "when": "Mon, Tue, Thu, Fri from 10:30am to 4:30pm", "choices": "1 better, 2 the same, 3 worse or 4 gone", "list": "\n1 better\n2 the same\n3 worse\n4 gone",
}

var placeholder = regexp.MustCompile(`\{([^{}]*)\}`)

func (c *checker) texts(files map[string][]byte) map[string]*text {
	out := make(map[string]*text)
	for _, file := range in(files, "texts") {
		var f textsFile
		if !c.decode(file, files[file], &f) {
			continue
		}
		c.about(file, files[file], f.About)
		items := itemLines(files[file], "texts")
		for i, x := range f.Texts {
			line := 1
			var fields map[string]int
			if i < len(items) {
				line, fields = items[i].line, items[i].fields
			}
			if out[x.ID] != nil {
				c.fault(file, line, "the text %s is there twice: give it one place", x.ID)
				continue
			}
			t := c.text(&f, file, line, x)
			t.lines, t.except = fields, x.Except
			out[x.ID] = t
		}
	}
	return out
}

// itemAt is where an item of a list and its fields begin.
type itemAt struct {
	line   int
	fields map[string]int
}

// itemLines are the places of the items of a list.
func itemLines(file []byte, key string) []itemAt {
	var doc yaml.Node
	if yaml.Load(file, &doc) != nil || len(doc.Content) == 0 {
		return nil
	}
	var items []itemAt
	top := doc.Content[0].Content
	for i := 0; i+1 < len(top); i += 2 {
		if top[i].Value != key {
			continue
		}
		for _, item := range top[i+1].Content {
			at := itemAt{item.Line, map[string]int{}}
			for j := 0; j+1 < len(item.Content); j += 2 {
				at.fields[item.Content[j].Value] = item.Content[j].Line
			}
			items = append(items, at)
		}
	}
	return items
}

// text reads one text, with what it takes from the head of its file.
func (c *checker) text(f *textsFile, file string, line int, x textFile) *text {
	t := &text{file: file, line: line, id: x.ID, segments: max(x.Segments, 1), wording: map[string]string{"en-GB": x.English},
		about: flows.About{Version: x.Version, Review: f.Review, Source: cmp.Or(x.Source, f.Source)}}
	switch {
	case !textID.MatchString(x.ID):
		c.fault(file, line, "%q cannot be the id of a text: write it like check-in.start", x.ID)
	case x.Version < 1:
		c.fault(file, line, "text %s: the version is missing: write `version: 1`, and raise it at every change", x.ID)
	case strings.TrimSpace(x.English) == "":
		c.fault(file, line, "text %s: the words are missing: write `en-GB:`", x.ID)
	}
	if x.Review != nil {
		t.about.Review = *x.Review
		for _, fault := range x.Review.Faults() {
			c.fault(file, line, "text %s: %s: %s", x.ID, fault.Message, fault.Mend)
		}
	}
	for key, words := range map[string]string{"en-GB/chat": x.Chat, "en-GB/email": x.Email, "en-GB/webhook": x.Webhook, "cy": x.Welsh, "cy/chat": x.WelshChat} {
		if words != "" {
			t.wording[key] = words
		}
	}
	if x.Welsh == "" && !strings.HasPrefix(x.ID, "page.") {
		c.fault(file, line, "text %s: the Welsh is missing: write `cy:`; what goes to patients goes out in both languages", x.ID)
	}
	for key, english := range map[string]string{"cy": x.English, "cy/chat": cmp.Or(x.Chat, x.English)} {
		have, want := placeholdersOf(t.wording[key]), placeholdersOf(english)
		if t.wording[key] != "" && !slices.Equal(have, want) {
			c.fault(file, line, "text %s (%s): it fills in %s, and the English %s: let both say the same", x.ID, key, strings.Join(have, " "), strings.Join(want, " "))
		}
	}
	if x.Welsh != "" {
		if t.welshReview = cmp.Or(x.WelshReview, f.WelshReview); t.welshReview == "" {
			c.fault(file, line, "text %s: its Welsh has no review state: write `cy_review: needs a Welsh speaker's review`", x.ID)
		}
	}
	for _, key := range sortedKeys(t.wording) {
		c.wording(t, key)
	}
	return t
}

var textID = regexp.MustCompile(`^[a-z][a-z0-9-]*(\.[a-z0-9-]+)+$`)

// placeholdersOf are what a wording leaves open, each once, in order. The two ways to
// list options count as one.
func placeholdersOf(words string) []string {
	var out []string
	for _, m := range placeholder.FindAllStringSubmatch(words, -1) {
		name := m[1]
		if name == "list" {
			name = "choices"
		}
		out = append(out, "{"+name+"}")
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// wording checks one wording: placeholders, length, and what is never said.
func (c *checker) wording(t *text, key string) {
	words := t.wording[key]
	full := words
	for _, m := range placeholder.FindAllStringSubmatch(words, -1) {
		sample, ok := Placeholders[m[1]]
		if !ok {
			c.fault(t.file, t.line, "text %s (%s): there is no placeholder {%s}: use one of %s", t.id, key, m[1], strings.Join(sortedKeys(Placeholders), ", "))
		}
		full = strings.ReplaceAll(full, m[0], sample)
	}
	if says := c.speaks.neverIn(words); says != "" {
		c.fault(t.file, t.line, "text %s (%s): %s", t.id, key, says)
	}
	if strings.Contains(key, "/") {
		return // what follows is about SMS
	}
	segments, plain := Segments(full)
	if segments > t.segments {
		c.fault(t.file, t.line, "text %s (%s): it needs %d SMS segments at its longest, and may have %d: shorten it, or raise `segments`", t.id, key, segments, t.segments)
	}
	if key == "en-GB" && !plain {
		c.fault(t.file, t.line, "text %s (%s): it has a character that SMS sends at twice the price: write straight quotes and plain dashes", t.id, key)
	}
	if !strings.HasPrefix(t.id, "page.") {
		if seen := c.speaks.firstSeen(words); seen != "" {
			c.fault(t.file, t.line, "text %s (%s): a locked screen would show %q in the first %d characters: begin with neutral words", t.id, key, seen, c.speaks.LockedScreen.Characters)
		}
	}
}

// Segments counts the SMS parts of a text, and says whether it is in the plain
// alphabet of SMS (GSM-7).
func Segments(words string) (int, bool) {
	parts, err := sms.Encode([]byte(words))
	if err != nil {
		return 99, false
	}
	plain := true
	for i := range parts {
		alphabet, err := parts[i].Alphabet()
		plain = plain && err == nil && alphabet == 0
	}
	return len(parts), plain
}

// HasText says whether there is a text of that id.
func (p *Pack) HasText(id string) bool { return p.texts[id] != nil }

// Text gives the words of a text, filled in: in her language if there are any,
// else in English; in the channel's own wording if there is one. It is an error
// when a placeholder has no value: nobody is ever sent one.
func (p *Pack) Text(id, locale, channel string, vars map[string]string) (string, error) {
	t := p.texts[id]
	if t == nil {
		return "", fmt.Errorf("there is no text %q", id)
	}
	words := t.wording["en-GB"]
	switch {
	case t.wording[locale+"/"+channel] != "":
		words = t.wording[locale+"/"+channel]
	case t.wording[locale] != "":
		words = t.wording[locale]
	case locale != "en-GB" && t.wording["en-GB/"+channel] != "":
		words = t.wording["en-GB/"+channel]
	}
	if !strings.Contains(words, "{") {
		return words, nil
	}
	var missing []string
	words = placeholder.ReplaceAllStringFunc(words, func(m string) string {
		value := vars[m[1:len(m)-1]]
		if value == "" {
			missing = append(missing, m)
		}
		return value
	})
	if len(missing) > 0 {
		return "", fmt.Errorf("the text %s has no value for %s", id, strings.Join(missing, ", "))
	}
	return words, nil
}

// serviceFiles are the files of the folder service.
type serviceFiles struct {
	concerns  map[string]*Concern
	concernOf map[string]string
	desk      deskFile
	nations   nationsFile
	referral  referralFile
	sheets    sheetsFile
	style     *styleFile
}

type concernsFile struct {
	flows.About `yaml:",inline"`
	Concerns    []Concern `yaml:"concerns"`
}

type deskFile struct {
	flows.About `yaml:",inline"`
	Outcomes    []Choice `yaml:"outcomes"`
	RingResults []Choice `yaml:"ring_results"`
	Texts       []Choice `yaml:"texts"`
	Plans       []Choice `yaml:"plans"`
	Trends      []Trend  `yaml:"trends"`
	Carers      struct {
		Relations []Relation          `yaml:"relations"`
		Revoke    map[string][]string `yaml:"revoke"` // by language; {name} is the carer's
	} `yaml:"carers"`
}

type nationsFile struct {
	flows.About `yaml:",inline"`
	Nations     map[string]Nation `yaml:"nations"`
}

func (c *checker) service(files map[string][]byte) serviceFiles {
	s := serviceFiles{concerns: make(map[string]*Concern), concernOf: make(map[string]string)}
	var concerns concernsFile
	into := map[string]any{"service/concerns.yaml": &concerns, "service/desk.yaml": &s.desk, "service/nations.yaml": &s.nations, "service/referral.yaml": &s.referral, "service/summary.yaml": &s.sheets}
	for _, file := range sortedKeys(into) { // so that faults are told in the same order each time
		if files[file] == nil {
			c.fault(file, 1, "the file is missing")
			continue
		}
		c.decode(file, files[file], into[file])
	}
	for i := range concerns.Concerns {
		x := &concerns.Concerns[i]
		if s.concerns[x.ID] != nil || x.ID == "" || x.Label == "" {
			c.fault("service/concerns.yaml", 1, "the concern %q needs an id of its own and a label", x.ID)
		}
		s.concerns[x.ID] = x
		for _, concept := range x.Concepts {
			if other := s.concernOf[concept]; other != "" {
				c.fault("service/concerns.yaml", 1, "the concept %s belongs to %s and to %s: give it one concern", concept, other, x.ID)
			}
			s.concernOf[concept] = x.ID
		}
	}
	return s
}

func (c *checker) calendar(files map[string][]byte) map[string]map[string]string {
	var f struct {
		flows.About `yaml:",inline"`
		Days        map[string]map[string]string `yaml:"days"`
	}
	const file = "calendar/holidays.yaml"
	if files[file] == nil {
		c.fault(file, 1, "the file is missing")
		return nil
	}
	c.decode(file, files[file], &f)
	for nation, days := range f.Days {
		for day := range days {
			if _, err := time.Parse(time.DateOnly, day); err != nil {
				c.fault(file, 1, "%s: %q is not a date like 2026-12-25", nation, day)
			}
		}
	}
	return f.Days
}

// requiredTexts are those that package bot says by name.
var requiredTexts = []string{
	"safety.emergency", "safety.emergency-sact", "safety.emergency-crisis", "safety.urgent", "safety.soon", "safety.routine", "safety.added", "safety.wrong-number",
	"stranger.polite", "stranger.emergency", "stopped.emergency", "welcome.consented", "link.chat", "link.sheet", "link.code", "visitor.other", "visitor.crisis", "page.emergency", "page.acked", "page.passed", "page.nothing",
	"page.check", "page.promise", "page.unreachable", "promise.missed", "promise.emergency", "desk.expected",
	"photo.received", "thanks.received", "command.help", "command.stop", "command.start", "command.pause", "command.call", "command.signs", "command.later",
}

// laterTexts are said by name too, and are missing in packs that talks in progress may
// have begun on; without them lookout says that the thing cannot be done.
var laterTexts = []string{"page.sign-in", "page.acked-more", "page.passed-more", "page.nothing-row", "page.other-row", "link.carer", "carer.added", "carer.stopped", "command.later-none"}

// required checks what other packages rely on.
func (c *checker) required(p *Pack) {
	for _, id := range requiredTexts {
		if !p.HasText(id) {
			c.fault("texts", 1, "the text %s is missing: lookout needs it", id)
		}
	}
	for _, id := range sortedKeys(p.service.concerns) {
		x := p.service.concerns[id]
		for _, t := range x.textIDs() {
			if !p.HasText(t) {
				c.fault("service/concerns.yaml", 1, "the concern %s: there is no text %q", id, t)
			}
		}
		for _, concept := range x.Concepts {
			if p.lexicon != nil && !p.lexicon.Has(concept) {
				c.fault("service/concerns.yaml", 1, "the concern %s: there is no concept %q", id, concept)
			}
		}
	}
	for _, id := range []string{"other", "not-understood", "contact-request", "unreachable", "no-answer", "referral"} {
		if !p.HasConcern(id) {
			c.fault("service/concerns.yaml", 1, "the concern %s is missing: lookout needs it", id)
		}
	}
	for _, t := range p.service.desk.Texts {
		if !p.HasText(t.Key) {
			c.fault("service/desk.yaml", 1, "there is no text %q", t.Key)
		}
	}
	for _, t := range p.service.desk.Trends {
		for _, concept := range t.Concepts {
			if p.lexicon != nil && !p.lexicon.Has(concept) {
				c.fault("service/desk.yaml", 1, "the trend %s: there is no concept %q", t.Key, concept)
			}
		}
	}
	for _, o := range p.service.desk.Outcomes {
		if o.Ends != "" && o.Ends != "died" && o.Ends != "left" {
			c.fault("service/desk.yaml", 1, "the outcome %s ends follow-up by %q: use died or left", o.Key, o.Ends)
		}
	}
	if len(p.service.desk.Outcomes) == 0 || len(p.service.desk.RingResults) == 0 {
		c.fault("service/desk.yaml", 1, "outcomes and ring_results are missing")
	}
	if p.program != nil {
		for _, flow := range []string{"check-in", "invitation", "again-two-days", "again-two-weeks"} {
			if !p.program.Has(flow) {
				c.fault("flows", 1, "the flow %s is missing: lookout needs it", flow)
			}
		}
	}
	c.referral(p)
	c.sheets(p)
	if len(p.service.nations.Nations) == 0 {
		c.fault("service/nations.yaml", 1, "there is no nation")
	}
}

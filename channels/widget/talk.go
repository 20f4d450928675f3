package widget

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"lookout/bot"
)

// maxWords bounds one message, in bytes.
const maxWords = 8 << 10

// take hands one message to the bot, or a form with the words beside it; nil means that it
// is durable. The same id again is the same message.
func (c *Chat) take(ctx context.Context, s session, id, words string, answers []bot.FormAnswer, photos ...[]byte) error {
	words = strings.TrimSpace(words)
	size := len(words)
	for _, a := range answers {
		size += len(a.Text)
	}
	switch {
	case words == "" && len(answers) == 0 && len(photos) == 0 || id == "" || len(id) > 64:
		return &bot.FieldError{Field: "message", Problem: "is empty"}
	case size > maxWords || len(answers) > maxAnswers:
		return &bot.FieldError{Field: "message", Problem: "is too long: send it in parts"}
	case !c.allow("say:"+s.Patient+"/"+s.Carer, time.Second, 30):
		return fmt.Errorf("%w: too many messages at once", bot.ErrUnavailable)
	}
	carrier := "chat:" + s.Patient + ":" + id
	if s.Carer != "" {
		carrier = "chat:" + s.Patient + "/" + s.Carer + ":" + id
		p, err := c.Bot.Patient(ctx, s.Patient)
		if err != nil {
			return err
		}
		carer, err := s.carer(&p)
		if err != nil {
			return err
		}
		if !carer.Write || len(answers) > 0 { // the questions are hers to answer
			return &bot.FieldError{Field: "message", Problem: "carer_read"}
		}
	}
	if len(photos) > 0 { // the same message again must not be refused because the day is full by now
		if seen, err := c.Bot.Seen(ctx, "in:"+carrier); seen || err != nil {
			return err
		}
	}
	media, err := c.keepPhotos(ctx, s, id, photos)
	if err != nil {
		return err
	}
	return c.Bot.Receive(ctx, bot.Inbound{From: bot.Address{Channel: Channel, At: s.Patient}, To: "chat", Text: words, Answers: answers, Media: media, CarrierID: carrier, Patient: s.Patient, Carer: s.Carer, At: c.Now()})
}

// said is what a message came to, for the page that sent it: stored, refused (it will
// never be taken as it is), later (try again), or out (signed out).
func said(id string, err error) reply {
	var field *bot.FieldError
	switch {
	case err == nil:
		return reply{Type: "stored", ID: id}
	case errors.As(err, &field):
		return reply{Type: "refused", ID: id, Why: field.Problem}
	case errors.Is(err, errOut):
		return reply{Type: "out", ID: id}
	default:
		return reply{Type: "later", ID: id}
	}
}

// reply is what a page is told of one message.
type reply struct {
	Type string `json:"type"`
	ID   string `json:"id,omitempty"`
	Why  string `json:"why,omitempty"`
}

// say takes a message by HTTP: the form of browsers without JavaScript, and the
// element where sockets are blocked, which asks for JSON.
func (c *Chat) say(w http.ResponseWriter, r *http.Request) {
	asJSON := strings.Contains(r.Header.Get("Accept"), "application/json")
	s, err := c.who(r)
	switch {
	case err != nil:
		c.fail(w, r, err)
		return
	case s.Patient == "" && asJSON:
		c.json(w, http.StatusUnauthorized, reply{Type: "out"})
		return
	case s.Patient == "":
		c.lost(w, r)
		return
	}
	var photos [][]byte
	if isPhotoForm(r) {
		photos, err = readPhotoForm(r)
	}
	if err == nil {
		answers := answersOf(r)
		err = c.take(r.Context(), s, r.FormValue("id"), wordsOf(r), answers, photos...)
	}
	if asJSON {
		answer, status := said(r.FormValue("id"), err), http.StatusOK
		switch answer.Type {
		case "refused":
			status = http.StatusUnprocessableEntity
		case "out":
			status = http.StatusUnauthorized
		case "later":
			status = http.StatusServiceUnavailable
		}
		c.json(w, status, answer)
		return
	}
	var field *bot.FieldError
	if errors.As(err, &field) && field.Field == "photo" {
		c.showChat(w, r, http.StatusUnprocessableEntity, s, field.Problem, wordsOf(r))
		return
	}
	if err != nil && !errors.As(err, &field) {
		c.fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/chat", http.StatusSeeOther)
}

// lost answers words that came by the form when the session had ended: they are given
// back, and an emergency in them is answered all the same.
func (c *Chat) lost(w http.ResponseWriter, r *http.Request) {
	if isPhotoForm(r) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm) // of a stranger: words, and no photos
		readPhotoForm(r)
	}
	words := wordsOf(r)
	for _, a := range answersOf(r) {
		words = strings.TrimSpace(words + "\n" + a.Text)
	}
	a, err := c.Bot.Advise(r.Context(), words, language(r))
	if err != nil {
		c.fail(w, r, err)
		return
	}
	advice := ""
	if a.Emergency {
		advice = a.Text
	}
	c.welcomeWith(w, r, http.StatusUnauthorized, advice, words)
}

// wordsOf is what a form says: her own words, else the choice or the value that
// she gave.
func wordsOf(r *http.Request) string {
	if words := r.FormValue("words"); strings.TrimSpace(words) != "" {
		return words
	}
	if choice := r.FormValue("choice"); choice != "" {
		return choice
	}
	return strings.TrimSpace(r.FormValue("day") + " " + r.FormValue("month") + " " + r.FormValue("year"))
}

// fieldOf begins the names of the fields of a form: "q/" and the name of the question. The
// three of a day have "/day", "/month" and "/year" behind it.
const fieldOf = "q/"

// maxAnswers is more than a form has questions.
const maxAnswers = 20

// answersOf are what a form of several questions says, in the order in which they stand
// in it. What is left out is none.
func answersOf(r *http.Request) []bot.FormAnswer {
	var out []bot.FormAnswer
	r.FormValue("asked") // reads the form, if nobody has
	for _, question := range r.Form["asked"] {
		value := func(part string) string { return strings.TrimSpace(r.FormValue(fieldOf + question + part)) }
		words := strings.Join(strings.Fields(value("/day")+" "+value("/month")+" "+value("/year")), " ")
		if words = cmp.Or(value(""), words); words != "" {
			out = append(out, bot.FormAnswer{Question: question, Text: words})
		}
	}
	return out
}

func (c *Chat) json(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

// line is one message as a page shows it.
type line struct {
	Seq  int64     `json:"seq"`
	ID   string    `json:"id,omitempty"` // the client's own, of hers
	By   string    `json:"by"`           // "you", "lookout", "nurse", "other": Name, of whoever writes beside you
	Name string    `json:"name,omitempty"`
	Text string    `json:"text"`
	At   time.Time `json:"at"`
	Loud bool      `json:"loud,omitempty"` // an emergency text
	// Photos is how many came with it. They are shown to a nurse, and not here.
	Photos int `json:"photos,omitempty"`
}

// news is what is new for a page, with how things stand now.
type news struct {
	Type    string `json:"type"` // "news"
	Lines   []line `json:"lines"`
	Earlier bool   `json:"earlier,omitempty"` // there are older lines than these
	Read    int64  `json:"read"`              // see bot.Hers.ReadUpTo
	state
}

// state is how things stand.
type state struct {
	Promise  string     `json:"promise,omitempty"`
	Holder   string     `json:"holder,omitempty"`        // the nurse's name
	Writing  string     `json:"writing,omitempty"`       // the nurse who writes to her just now …
	Until    int64      `json:"writing_until,omitempty"` // … and when that is no longer said; it rises as she writes on
	Ends     *time.Time `json:"ends,omitempty"`          // of the session, when that is near
	Status   string     `json:"status"`
	Question bot.Asking `json:"question"`
}

// mostLines is how many lines of her history come at once.
const mostLines = 200

// newsFor gives what is new to a page that has seen so much.
func (c *Chat) newsFor(ctx context.Context, s session, after int64) (news, error) {
	s, err := c.still(ctx, s)
	if err != nil {
		return news{}, err
	}
	h, err := c.Bot.Hers(ctx, s.Patient, after)
	if err != nil {
		return news{}, err
	}
	a, err := c.audience(s, &h.Patient)
	if err != nil {
		return news{}, err
	}
	if a.carer != nil {
		h.Question = bot.Asking{} // it is hers to answer
	}
	n := news{Type: "news", Read: h.ReadUpTo, Lines: c.lines(ctx, h.Moments, a),
		state: state{Promise: h.Promise, Status: string(h.Patient.Status), Question: h.Question}}
	if h.Holder != "" {
		n.Holder = c.nurse(ctx, h.Holder)
	}
	if h.Writing.By != "" {
		n.Writing, n.Until = c.nurse(ctx, h.Writing.By), h.Writing.Until.UnixMilli()
	}
	if !s.Ends.IsZero() && s.Ends.Sub(c.Now()) < warnBefore && s.Began.Add(sessionMost).After(s.Ends) {
		n.Ends = &s.Ends
	}
	if after == 0 && len(n.Lines) > mostLines {
		n.Lines, n.Earlier = n.Lines[len(n.Lines)-mostLines:], true
	}
	return n, nil
}

// last is the newest line of them, or what was there before.
func (n *news) last(before int64) int64 {
	if len(n.Lines) > 0 {
		return n.Lines[len(n.Lines)-1].Seq
	}
	return before
}

// audience is who looks at her messages.
type audience struct {
	patient *bot.Patient
	carer   *bot.Carer // nil: she
	lang    string
}

// audience gives who a session's is; errOut when that has ended.
func (c *Chat) audience(s session, p *bot.Patient) (*audience, error) {
	carer, err := s.carer(p)
	return &audience{p, carer, languageOf(p.Locale)}, err
}

func (c *Chat) lines(ctx context.Context, moments []bot.Moment, a *audience) []line {
	lines := make([]line, 0, len(moments))
	for _, m := range moments {
		if strings.HasPrefix(m.TextID, "link.") {
			continue // a key to this page is shown on her telephone alone
		}
		if a.carer != nil && (m.At.Before(a.carer.Since) || strings.HasPrefix(m.TextID, "carer.")) {
			continue // from before she agreed to it, or between her and us
		}
		l := c.line(ctx, m, a)
		if n := len(lines); n > 0 && l.ID != "" && l.ID == lines[n-1].ID { // of one form
			l.Text, l.Photos = strings.TrimSpace(lines[n-1].Text+"\n"+l.Text), l.Photos+lines[n-1].Photos
			lines[n-1] = l
			continue
		}
		lines = append(lines, l)
	}
	return lines
}

func (c *Chat) line(ctx context.Context, m bot.Moment, a *audience) line {
	l := line{Seq: m.Seq, Text: m.Text, At: m.At, By: "lookout", Loud: strings.Contains(m.TextID, "emergency"), Photos: len(m.Media)}
	switch {
	case m.Kind == bot.EntryIn && !a.wrote(m):
		l.By, l.Name = "other", a.patient.GivenName
		if x, ok := a.patient.Carer(m.Ref); ok {
			l.Name = c.carerName(&x, a.lang)
		}
	case m.Kind == bot.EntryIn:
		l.By = "you"
		if parts := strings.Split(m.Carrier, ":"); len(parts) == 3 && parts[0] == "chat" {
			l.ID, _, _ = strings.Cut(parts[2], "#") // the answers of one form came as one message
		}
		if m.Asked != nil && m.Asked.Prompt != "" {
			l.Text = m.Asked.Prompt + " " + l.Text
		}
	case m.By != "lookout":
		l.By, l.Name = "nurse", c.nurse(ctx, m.By)
	}
	return l
}

// wrote says whether a message is of whoever looks.
func (a *audience) wrote(m bot.Moment) bool {
	if a.carer == nil {
		return m.By == "patient"
	}
	return m.By == "carer" && m.Ref == a.carer.ID
}

// nurse is how she knows a member of the team: by the given name.
func (c *Chat) nurse(ctx context.Context, by string) string {
	if u, err := c.Bot.User(ctx, by); err == nil && u.Name != "" {
		name, _, _ := strings.Cut(u.Name, " ")
		return name
	}
	name, _, _ := strings.Cut(by, "@")
	return name
}

// pollFor is how long a page whose sockets are blocked waits for news in one request:
// less than proxies take for a dead connection.
const pollFor = 25 * time.Second

// poll gives news to pages whose sockets are blocked: at once what they lack, else
// when there is something, or after a while.
func (c *Chat) poll(w http.ResponseWriter, r *http.Request) {
	s, err := c.who(r)
	if s.Patient == "" && err == nil {
		c.json(w, http.StatusUnauthorized, reply{Type: "out"})
		return
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	after, _ := strconv.ParseInt(r.URL.Query().Get("after"), 10, 64)
	woken := &client{session: s, wake: make(chan struct{}, 1), over: make(chan int, 1)}
	c.hub.add(woken)
	defer c.hub.remove(woken)
	end := time.NewTimer(pollFor)
	defer end.Stop()
	first := true
	for {
		n, err := c.newsFor(r.Context(), s, after)
		if errors.Is(err, errOut) {
			c.json(w, http.StatusUnauthorized, reply{Type: "out"})
			return
		}
		if err != nil {
			c.fail(w, r, err)
			return
		}
		if !first || len(n.Lines) > 0 || r.URL.Query().Get("wait") == "" {
			c.json(w, http.StatusOK, n)
			return
		}
		first = false
		select {
		case <-woken.wake:
		case <-end.C:
		case <-woken.over:
			w.Header().Set("Retry-After", "30") // too many pages of hers: this one asks less often
			c.json(w, http.StatusServiceUnavailable, reply{Type: "later"})
			return
		case <-r.Context().Done():
			return
		case <-c.Stopping:
			w.Header().Set("Retry-After", "1")
			c.json(w, http.StatusServiceUnavailable, reply{Type: "later"})
			return
		}
	}
}

// earlier gives the lines before one.
func (c *Chat) earlier(w http.ResponseWriter, r *http.Request) {
	s, err := c.who(r)
	if s.Patient == "" && err == nil {
		c.json(w, http.StatusUnauthorized, reply{Type: "out"})
		return
	}
	var moments []bot.Moment
	var p bot.Patient
	var a *audience
	if err == nil {
		moments, err = c.Bot.Thread(r.Context(), s.Patient, 0, 0)
	}
	if err == nil {
		p, err = c.Bot.Patient(r.Context(), s.Patient)
	}
	if err == nil {
		a, err = c.audience(s, &p)
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	if a.carer != nil {
		moments = slices.DeleteFunc(moments, func(m bot.Moment) bool { return m.At.Before(a.carer.Since) })
	}
	before, _ := strconv.ParseInt(r.URL.Query().Get("before"), 10, 64)
	end := 0
	for end < len(moments) && moments[end].Seq < before {
		end++
	}
	from := max(0, end-mostLines)
	c.json(w, http.StatusOK, news{Type: "earlier", Lines: c.lines(r.Context(), moments[from:end], a), Earlier: from > 0})
}

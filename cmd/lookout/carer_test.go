package main

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"lookout/bot"
)

// letIn lets somebody see her messages, from her own page, and gives the code that the
// page shows her and the link that went to his telephone.
func (w *world) letIn(c *http.Client, name, phone, write string) (code, link string) {
	w.Helper()
	page := w.submit(c, "/chat/carers", url.Values{"name": {name}, "relation": {"husband"}, "phone": {phone}, "write": {write}}, 200)
	code = regexp.MustCompile(`<strong>([0-9]{6})</strong>`).FindStringSubmatch(page)[1]
	text := w.expect("+44"+strings.TrimPrefix(phone, "0"), 0, "lets you see messages")
	return code, text.Body[strings.Index(text.Body, "http"):]
}

// A carer, with her consent: a link to his own telephone and a code that she tells him;
// he sees what is written from then on, is named, and what he writes is read as somebody's who
// speaks of her; she ends it by a text, and his open page closes.
func TestChatCarer(t *testing.T) {
	w := newWorld(t)
	id := w.enrol("Mary", mary)
	c := w.opened(id)
	w.submit(c, "/chat/say", url.Values{"id": {"zero"}, "words": {"this was before Tom"}}, 200)
	for name, form := range map[string]url.Values{
		"her own telephone":   {"name": {"Tom"}, "relation": {"husband"}, "phone": {"07700 900123"}},
		"no name":             {"name": {"<b>"}, "relation": {"husband"}, "phone": {"07700900555"}},
		"a command":           {"name": {"All"}, "relation": {"husband"}, "phone": {"07700900555"}},
		"no relation we know": {"name": {"Tom"}, "relation": {"bank"}, "phone": {"07700900555"}},
	} {
		if page := w.submit(c, "/chat/carers", form, 422); !strings.Contains(page, "could not be saved") {
			t.Errorf("%s: the page does not say so", name)
		}
	}
	w.submit(c, "/chat/language", url.Values{"to": {"cy"}}, 200)
	if page := w.submit(c, "/chat/carers", url.Values{"name": {"Tom"}, "relation": {"friend"}, "phone": {"07700 900123"}}, 422); !strings.Contains(page, `<a href="#carer-phone">ysgrifennwch eu rhif`) || !strings.Contains(page, `name="name" maxlength="20" autocomplete="off" required value="Tom"`) || !strings.Contains(page, `value="friend" selected`) || !strings.Contains(page, "30 Ebrill 1961") {
		t.Errorf("in Welsh the page does not say what is wrong, or what she typed is lost:\n%s", page)
	}
	w.submit(c, "/chat/language", url.Values{"to": {"en-GB"}}, 200)
	w.clock.forward(1)
	code, link := w.letIn(c, "Tom", "07700900555", "yes")
	w.expect(mary, 0, "text STOP Tom")
	jar, _ := cookiejar.New(nil)
	tom := &http.Client{Jar: jar}
	if page := w.fetch(tom, link, 200); strings.Contains(page, "Mary") || strings.Contains(page, "birth") {
		t.Error("the link shows her name, or asks for her birth date, before he has shown who he is")
	}
	key, _ := url.Parse(link)
	form := url.Values{"k": {key.Query().Get("k")}, "code": {"12345"}, "day": {"30"}, "month": {"4"}, "year": {"1961"}}
	w.submit(tom, "/chat/open", form, 403)
	form.Set("code", code)
	page := w.submit(tom, "/chat/open", form, 200)
	for _, words := range []string{"You are here for <strong>Mary</strong>", `carer="write"`} {
		if !strings.Contains(page, words) {
			t.Errorf("his page does not say %q", words)
		}
	}
	for _, words := range []string{"before Tom", "My settings", "text STOP", "?k="} {
		if strings.Contains(page, words) {
			t.Errorf("his page says %q", words)
		}
	}
	other, _ := cookiejar.New(nil)
	w.submit(&http.Client{Jar: other}, "/chat/open", form, 403) // it opens once
	for _, path := range []string{"/chat/settings", "/chat/held.json"} {
		if page := w.fetch(tom, w.url+path, 200); strings.Contains(page, "1961") || !strings.Contains(page, "You are here for") {
			t.Errorf("%s is open to a carer", path)
		}
	}

	// What he writes: in the queue with his name, in both threads, no answer, no command.
	w.call("POST", "/api/v1/patients/"+id+"/start", `{"flow":"check-in"}`, 200)
	hers, his := w.socket(c, 0), w.socket(tom, 0)
	w.until(hers, func(_, _ string, lines []chatLine) bool {
		return strings.Contains(lines[len(lines)-1].Text, "Any change")
	})
	say := func(conn *websocket.Conn, id, words string) {
		t.Helper()
		if err := conn.WriteJSON(map[string]any{"type": "say", "id": id, "text": words}); err != nil {
			t.Fatal(err)
		}
	}
	say(his, "t1", "yes")
	say(his, "t2", "STOP")
	say(his, "t3", "my wife's back is agony and her mum had the same, she can't feel her legs")
	w.until(his, func(_, _ string, lines []chatLine) bool {
		return len(lines) > 0 && strings.Contains(lines[len(lines)-1].Text, "go to A&E now")
	})
	lines := w.until(hers, func(_, _ string, lines []chatLine) bool {
		return len(lines) > 0 && strings.Contains(lines[len(lines)-1].Text, "go to A&E now")
	})
	named := 0
	for _, l := range lines {
		if l.By == "other" && l.Name == "Tom (husband)" {
			named++
		}
	}
	if named != 3 {
		t.Errorf("her page shows %d of his 3 messages as Tom's", named)
	}
	rows := w.rows("open")
	if text := rowsText(rows); rows[0]["level"] != "emergency" || !strings.Contains(text, "Tom, her husband: ") || !strings.Contains(rows[0]["reason"].(string), "Tom, her husband") {
		t.Errorf("the row does not say whose words they are: %v", rows)
	}
	p, err := w.process.bot.Patient(t.Context(), id)
	if q, e := w.process.bot.OpenQuestion(t.Context(), id); err != nil || e != nil || p.Status != bot.Active || q.Kind != "" {
		t.Errorf("he has stopped her texts (%s), or the talk went on beside an emergency (%+v), %v, %v", p.Status, q, err, e)
	}
	w.expect(nursePhone, 0, "emergency in the queue")
	ann := w.atTheDesk("ann@anytown.example", bot.Nurse)
	if page := w.fetch(ann, w.url+"/desk/patients/"+id, 200); !strings.Contains(page, "Tom, her husband</strong>") || !strings.Contains(page, "sees her messages and writes for her") {
		t.Error("the desk does not say who wrote, or who has access")
	}

	// She ends it by a text. Her own texts go on.
	w.reply(mary, "Stop Tom!")
	w.expect(mary, 0, "Tom can no longer see your messages")
	if got := w.closing(his); got.Code != 4401 {
		t.Errorf("his page was closed with %v", got)
	}
	if page := w.fetch(tom, w.url+"/chat", 200); strings.Contains(page, "agony") {
		t.Error("he sees her messages still")
	}
	w.submit(tom, "/chat/say", url.Values{"id": {"t4"}, "words": {"hello"}}, 401)
	if p, err := w.process.bot.Patient(t.Context(), id); err != nil || p.Status != bot.Active || len(p.CarersNow()) != 0 {
		t.Errorf("after STOP TOM: %s, %v, %v", p.Status, p.CarersNow(), err)
	}

	// One who may read only; ended on her page.
	code, link = w.letIn(c, "Ann-Marie", "07700900556", "no")
	w.expect(mary, 0, "text STOP Ann-Marie")
	key, _ = url.Parse(link)
	jar, _ = cookiejar.New(nil)
	reader := &http.Client{Jar: jar}
	page = w.submit(reader, "/chat/open", url.Values{"k": {key.Query().Get("k")}, "code": {code}}, 200)
	if strings.Contains(page, "<textarea") || !strings.Contains(page, "not write") {
		t.Error("who may only read has a box to write in")
	}
	w.sendPhotos(reader, "r1", "hello", "application/json", 422)
	if said := w.saidBy(id); strings.Contains(said, "hello") {
		t.Errorf("who may only read has written: %s", said)
	}
	w.submit(c, "/chat/carers/end", url.Values{"carer": {"c2"}}, 200)
	w.fetch(reader, w.url+"/chat/news", 401)

	// All of it stands in her journal.
	why := ""
	moments, err := w.process.bot.Case(t.Context(), id)
	for _, m := range moments.Moments {
		if m.Kind == bot.EntryConsent {
			why += m.Why + "\n"
		}
	}
	for _, words := range []string{"lets Tom, her husband, see her messages and write for her", "Tom, her husband, no longer sees her messages: she said so in a message", "lets Ann-Marie, her husband, see her messages, from now on"} {
		if err != nil || !strings.Contains(why, words) {
			t.Errorf("the journal does not say %q: %s", words, why)
		}
	}
}

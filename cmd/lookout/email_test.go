package main

import (
	"io"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"lookout/bot"
)

// mailbox is a relay on this machine, whose messages come out of a channel.
type mailbox chan string

func newMailbox(t *testing.T) (box mailbox, address string) {
	t.Helper()
	box = make(mailbox, 16)
	relay := smtp.NewServer(box)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go relay.Serve(l)
	t.Cleanup(func() { relay.Close() })
	return box, l.Addr().String()
}

// NewSession is part of smtp.Backend.
func (m mailbox) NewSession(*smtp.Conn) (smtp.Session, error) { return &delivery{box: m}, nil }

type delivery struct {
	box mailbox
	to  string
}

func (d *delivery) Reset()                                    {}
func (d *delivery) Logout() error                             { return nil }
func (d *delivery) Mail(string, *smtp.MailOptions) error      { return nil }
func (d *delivery) Rcpt(to string, _ *smtp.RcptOptions) error { d.to = to; return nil }
func (d *delivery) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err == nil {
		d.box <- d.to + "\n" + string(text)
	}
	return err
}

// An emergency is paged by e-mail to whoever the settings name, again when nobody has
// taken it, and no more once somebody has.
func TestEmergencyIsPagedByEmail(t *testing.T) {
	box, address := newMailbox(t)
	w := newWorld(t, func(s *settings) {
		s.SMTP.Address, s.SMTP.Security, s.SMTP.From = address, "none", "lookout@example.nhs.uk"
		s.Service.Duty = []dutySettings{{Name: "Ann", Email: "ann@example.nhs.uk"}}
	})
	w.enrol("Zebedeemarker", mary)
	w.reply(mary, "my legs have gone all weak and I cant feel when I wipe")
	w.expect(mary, 0, "ring 999")
	paged := func() {
		t.Helper()
		select {
		case m := <-box:
			if !strings.HasPrefix(m, "ann@example.nhs.uk\n") || !strings.Contains(m, "Lookout: emergency in the queue") || !strings.Contains(m, w.url+"/desk/") || strings.Contains(m, "Zebedee") {
				t.Errorf("the page says:\n%s", m)
			}
		case <-time.After(patience):
			t.Fatalf("nobody was paged by e-mail:\n%s", w.log)
		}
	}
	paged()
	w.clock.forward(6 * time.Minute)
	paged()
	w.call("POST", "/api/v1/queue/"+w.rows("open")[0]["id"].(string)+"/claim", `{"by":"ann"}`, 200)
	w.clock.forward(6 * time.Minute)
	if _, err := w.process.bot.Wake(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.process.bot.Deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.stop()
	if n := len(box); n > 0 {
		t.Errorf("%d pages came after the row was taken", n)
	}
	if strings.Contains(w.log.String(), "ann@example") {
		t.Errorf("an address is in the log:\n%s", w.log)
	}
}

// Whose password was changed gets a mail of it, at her own address, and a log that names her nowhere.
func TestSignInChangesAreMailed(t *testing.T) {
	box, address := newMailbox(t)
	w := newWorld(t, func(s *settings) {
		s.SMTP.Address, s.SMTP.Security, s.SMTP.From = address, "none", "lookout@example.nhs.uk"
	})
	ann := w.atTheDesk("ann@anytown.example", bot.Nurse)
	w.submit(ann, "/desk/password", url.Values{"now": {"harbour lemon ladder"}, "new": {"teapot viola gravel"}}, 200)
	select {
	case m := <-box:
		for _, words := range []string{"ann@anytown.example\n", "Subject: Lookout: how you sign in has changed", "Your password was changed, at 10:30am on Tuesday 24 November", w.url + "/desk/password"} {
			if !strings.Contains(strings.ReplaceAll(m, "=\r\n", ""), words) {
				t.Errorf("the mail does not say %q:\n%s", words, m)
			}
		}
	case <-time.After(patience):
		t.Fatalf("no mail came:\n%s", w.log)
	}
	if strings.Contains(w.log.String(), "ann@") {
		t.Errorf("her address is in the log:\n%s", w.log)
	}
}

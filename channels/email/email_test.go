package email

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/http/httptest"
	netmail "net/mail"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"lookout/bot"
)

const user, password = "lookout", "marker-password"

// postOffice is a mail server on this machine, with what it has taken.
type postOffice struct {
	mu      sync.Mutex
	taken   []string
	refuse  *smtp.SMTPError // of the next RCPT
	address string
	tls     *tls.Config // for clients: trusts its certificate
}

// NewSession is part of smtp.Backend.
func (p *postOffice) NewSession(*smtp.Conn) (smtp.Session, error) { return &session{office: p}, nil }

type session struct {
	office   *postOffice
	signedIn bool
}

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }
func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, u, p string) error {
		if u != user || p != password {
			return errors.New("no")
		}
		s.signedIn = true
		return nil
	}), nil
}
func (s *session) Reset()        {}
func (s *session) Logout() error { return nil }
func (s *session) Mail(string, *smtp.MailOptions) error {
	if !s.signedIn {
		return smtp.ErrAuthRequired
	}
	return nil
}

func (s *session) Rcpt(string, *smtp.RcptOptions) error {
	s.office.mu.Lock()
	defer s.office.mu.Unlock()
	if s.office.refuse != nil {
		return s.office.refuse
	}
	return nil
}

func (s *session) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.office.mu.Lock()
	defer s.office.mu.Unlock()
	s.office.taken = append(s.office.taken, string(text))
	return nil
}

func open(t *testing.T, withTLS bool) *postOffice {
	t.Helper()
	certificate := httptest.NewTLSServer(nil)
	t.Cleanup(certificate.Close)
	p := &postOffice{tls: certificate.Client().Transport.(*http.Transport).TLSClientConfig}
	server := smtp.NewServer(p)
	server.Domain, server.AllowInsecureAuth = "localhost", false
	if withTLS {
		server.TLSConfig = &tls.Config{Certificates: certificate.TLS.Certificates}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.address = l.Addr().String()
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return p
}

func (p *postOffice) sender(change func(*Config)) *Sender {
	c := Config{Address: p.address, User: user, Password: password, From: "lookout@example.nhs.uk", TLS: p.tls}
	if change != nil {
		change(&c)
	}
	return New(c)
}

func page() bot.Outgoing {
	return bot.Outgoing{ID: "anytown-p1-m1", Attempts: 1, To: bot.Address{Channel: Channel, At: "ann.marker@example.nhs.uk"},
		Text: "Lookout: emergency in the queue\n\nSomebody has been told to ring 999 – take the row: https://lookout.example/desk/"}
}

// A page is handed over in a real conversation, encrypted and signed in, and
// arrives with its subject, its words and the marks of an automatic message.
func TestPageIsHandedOver(t *testing.T) {
	p := open(t, true)
	sent, err := p.sender(nil).Send(t.Context(), page())
	if err != nil || sent.CarrierID != "email:anytown-p1-m1" {
		t.Fatalf("%+v, %v", sent, err)
	}
	if len(p.taken) != 1 {
		t.Fatalf("the server has taken %d messages", len(p.taken))
	}
	m, err := netmail.ReadMessage(strings.NewReader(p.taken[0]))
	if err != nil {
		t.Fatal(err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil || subject != "Lookout: emergency in the queue" {
		t.Errorf("subject %q, %v", subject, err)
	}
	if to := m.Header.Get("To"); !strings.Contains(to, "ann.marker@example.nhs.uk") || m.Header.Get("Auto-Submitted") != "auto-generated" {
		t.Errorf("headers: %v", m.Header)
	}
	body, err := io.ReadAll(quotedprintable.NewReader(m.Body))
	if err != nil || !strings.Contains(string(body), "https://lookout.example/desk/") {
		t.Errorf("body %q, %v", body, err)
	}
	if err := p.sender(nil).Probe(t.Context()); err != nil {
		t.Errorf("the doctor's probe: %v", err)
	}
}

// Each failure is put into the class by which the bot goes on, and tells nothing.
func TestFailuresAreClassed(t *testing.T) {
	p := open(t, true)
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody.Close()
	for _, c := range []struct {
		name   string
		refuse *smtp.SMTPError
		change func(*Config)
		want   bot.SendClass
		code   string
	}{
		{"no such mailbox", &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user ann.marker"}, nil, bot.SendRefused, "550"},
		{"mailbox busy", &smtp.SMTPError{Code: 450, EnhancedCode: smtp.EnhancedCode{4, 2, 1}, Message: "later"}, nil, bot.SendRetry, "450"},
		{"wrong password", nil, func(c *Config) { c.Password = "wrong" }, bot.SendRetry, "connect"},
		{"unknown certificate", nil, func(c *Config) { c.TLS = nil }, bot.SendRetry, "connect"},
		{"nobody listens", nil, func(c *Config) { c.Address = nobody.Addr().String() }, bot.SendRetry, "connect"},
	} {
		p.mu.Lock()
		p.refuse = c.refuse
		p.mu.Unlock()
		_, err := p.sender(c.change).Send(t.Context(), page())
		var failed *bot.SendError
		if !errors.As(err, &failed) || failed.Class != c.want || failed.Code != c.code {
			t.Errorf("%s: %v, want %s with code %s", c.name, err, c.want, c.code)
			continue
		}
		if strings.Contains(err.Error(), "marker") {
			t.Errorf("%s: the error tells an address or a password: %v", c.name, err)
		}
	}
	if len(p.taken) != 0 {
		t.Errorf("something was handed over: %q", p.taken)
	}
}

// A server without TLS gets neither the password nor the message.
func TestNothingGoesInTheClear(t *testing.T) {
	p := open(t, false)
	if _, err := p.sender(nil).Send(t.Context(), page()); err == nil || len(p.taken) != 0 {
		t.Errorf("it was sent in the clear: %v, %q", err, p.taken)
	}
}

// Where the connection breaks before the last answer, the message may have gone.
func TestBrokenBeforeTheLastAnswer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		lines := bufio.NewReader(conn)
		fmt.Fprint(conn, "220 here\r\n")
		for data := false; ; {
			text, err := lines.ReadString('\n')
			switch {
			case err != nil, data && text == ".\r\n":
				return // taken, and not a word
			case data:
			case strings.HasPrefix(text, "DATA"):
				data = true
				fmt.Fprint(conn, "354 go on\r\n")
			default:
				fmt.Fprint(conn, "250 yes\r\n")
			}
		}
	}()
	s := New(Config{Address: l.Addr().String(), Security: Plain, From: "lookout@example.nhs.uk"})
	_, err = s.Send(t.Context(), page())
	var failed *bot.SendError
	if !errors.As(err, &failed) || failed.Class != bot.SendUnknown {
		t.Errorf("%v, want outcome unknown", err)
	}
}

func TestConfigSaysWhatIsWrong(t *testing.T) {
	good := Config{Address: "smtp.example.nhs.uk:587", From: "lookout@example.nhs.uk"}
	for want, change := range map[string]func(*Config){
		"":         func(*Config) {},
		"address":  func(c *Config) { c.Address = "smtp.example.nhs.uk" },
		"security": func(c *Config) { c.Security = Plain },
		"from":     func(c *Config) { c.From = "Lookout <lookout@example.nhs.uk>" },
		"password": func(c *Config) { c.User = "lookout" },
	} {
		c := good
		change(&c)
		var got []string
		for _, f := range c.Check() {
			got = append(got, f.Field)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("faults of %v, want %q", got, want)
		}
	}
}

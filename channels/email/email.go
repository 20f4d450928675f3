// Package email is the door through which a nurse on duty is paged by e-mail.
//
// It promises: a message counts as taken only after the mail server has said so
// to the last line; every failed send is put into one of the classes of
// bot.SendClass; neither an address nor a word of a message comes into an error.
// It speaks over TLS, or to a relay on this machine. It refuses to take anything
// in: answers to its messages are read by nobody, and its messages say so.
package email

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"

	"lookout/bot"
)

// Channel is the name under which the bot knows this door.
const Channel = "email"

// The ways in which the connection to the mail server is kept private.
const (
	StartTLS = "starttls" // plain at first, and refused unless the server then offers TLS
	Implicit = "tls"      // TLS from the first byte
	Plain    = "none"     // no TLS: for a relay on this machine only
)

// Config is how mail leaves.
type Config struct {
	Address  string // host:port of the mail server
	Security string // StartTLS (when empty), Implicit or Plain
	User     string // empty: the server takes our mail without a sign-in
	Password string
	From     string      // who our messages are from
	TLS      *tls.Config // nil: the certificates that this machine trusts
}

// Check says what is wrong with a configuration: the field as the settings call
// it, and what to do.
func (c Config) Check() []bot.FieldError {
	var faults []bot.FieldError
	fault := func(field, problem string) { faults = append(faults, bot.FieldError{Field: field, Problem: problem}) }
	host, port, err := net.SplitHostPort(c.Address)
	if n, e := strconv.Atoi(port); err != nil || host == "" || e != nil || n < 1 || n > 65535 {
		fault("address", "must be a host and a port, like smtp.example.nhs.uk:587")
	}
	switch c.Security {
	case "", StartTLS, Implicit:
	case Plain:
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			fault("security", "may be none only where the mail server is on this machine: use starttls or tls")
		}
	default:
		fault("security", "must be starttls, tls or none")
	}
	if !ParseAddress(c.From) {
		fault("from", "must be the e-mail address that pages come from, like lookout@example.nhs.uk")
	}
	if (c.User == "") != (c.Password == "") {
		fault("password", "goes with smtp.user: set both, or neither")
	}
	return faults
}

// ParseAddress says whether a text is a bare e-mail address.
func ParseAddress(text string) bool {
	a, err := netmail.ParseAddress(text)
	return err == nil && a.Address == text
}

// Sender hands messages to a mail server. It is a bot.Sender, and no bot.Finder:
// a mail server keeps no log that it could be asked for, so that a page whose
// outcome is not known goes again.
type Sender struct{ config Config }

var _ bot.Sender = (*Sender)(nil)

// New makes a sender. Nothing is connected yet.
func New(c Config) *Sender { return &Sender{c} }

// patience is how long the server may take for one answer: less than any lease.
const patience = 10 * time.Second

// line is a connection to the mail server, signed in.
type line struct {
	client *mail.Client
	conn   *smtp.Client
}

func (l *line) send(m *mail.Msg) error { return l.client.SendWithSMTPClient(l.conn, m) }
func (l *line) hangUp() error          { return l.client.CloseWithSMTPClient(l.conn) }

// dial connects and signs in.
func (s *Sender) dial(ctx context.Context) (*line, error) {
	host, portText, err := net.SplitHostPort(s.config.Address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return nil, err
	}
	options := []mail.Option{mail.WithPort(port), mail.WithTimeout(patience), mail.WithTLSPolicy(mail.TLSMandatory)}
	switch s.config.Security {
	case Implicit:
		options = append(options, mail.WithSSL())
	case Plain:
		options = append(options, mail.WithTLSPolicy(mail.NoTLS))
	}
	if s.config.TLS != nil {
		tls := s.config.TLS.Clone()
		tls.ServerName = host
		options = append(options, mail.WithTLSConfig(tls))
	}
	if s.config.User != "" {
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(s.config.User), mail.WithPassword(s.config.Password))
	}
	client, err := mail.NewClient(host, options...)
	if err != nil {
		return nil, err
	}
	conn, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return nil, err
	}
	return &line{client, conn}, nil
}

// Send hands one message to the mail server. Where its text has a blank line, what
// stands before it is the subject.
func (s *Sender) Send(ctx context.Context, m bot.Outgoing) (bot.Sent, error) {
	subject, body, divided := strings.Cut(m.Text, "\n\n")
	if !divided {
		subject, body = "Lookout", m.Text
	}
	msg := mail.NewMsg()
	if err := msg.From(s.config.From); err != nil {
		return bot.Sent{}, &bot.SendError{Class: bot.SendRetry, Code: "from", Err: errors.New("our own address is not one")}
	}
	if err := msg.To(m.To.At); err != nil {
		return bot.Sent{}, &bot.SendError{Class: bot.SendRefused, Code: "address", Err: errors.New("the address is not one")}
	}
	msg.Subject(subject)
	msg.SetImportance(mail.ImportanceUrgent)
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no machine shall answer
	msg.SetDate()
	_, domain, _ := strings.Cut(s.config.From, "@")
	msg.SetMessageIDWithValue(fmt.Sprintf("%s.%d@%s", m.ID, m.Attempts, domain))
	msg.SetBodyString(mail.TypeTextPlain, body)
	server, err := s.dial(ctx)
	if err != nil {
		return bot.Sent{}, &bot.SendError{Class: bot.SendRetry, Code: "connect", Err: errors.New("the mail server could not be reached, or refused our sign-in")}
	}
	defer server.hangUp() // whether it says goodbye changes nothing
	if err := server.send(msg); err != nil {
		return bot.Sent{}, classify(err)
	}
	return bot.Sent{CarrierID: "email:" + m.ID}, nil
}

// classify says what follows from a failed send: by the server's reply code
// (RFC 5321, 4.2.1: 4xx may go later, 5xx never will), else by how far we came.
func classify(err error) *bot.SendError {
	var failed *mail.SendError
	if !errors.As(err, &failed) {
		return &bot.SendError{Class: bot.SendUnknown, Code: "smtp", Err: errors.New("the mail server's answer was not understood")}
	}
	code := failed.ErrorCode()
	switch {
	case code >= 500:
		return &bot.SendError{Class: bot.SendRefused, Code: strconv.Itoa(code), Err: errors.New("the mail server refused it")}
	case code >= 400:
		return &bot.SendError{Class: bot.SendRetry, Code: strconv.Itoa(code), Err: errors.New("the mail server cannot take it now")}
	case failed.Reason == mail.ErrSMTPDataClose:
		return &bot.SendError{Class: bot.SendUnknown, Code: "smtp", Err: errors.New("the connection broke before the mail server's last answer")}
	}
	return &bot.SendError{Class: bot.SendRetry, Code: "smtp", Err: errors.New("the connection to the mail server broke")}
}

// Probe connects, signs in and leaves, for `lookout doctor`.
func (s *Sender) Probe(ctx context.Context) error {
	server, err := s.dial(ctx)
	if err != nil {
		return errors.New("the mail server could not be reached, offers no TLS, or refused our sign-in")
	}
	return server.hangUp()
}

package bot

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"lookout/flows/triage"
)

// Inbound is one message from a person, as a door hands it in.
type Inbound struct {
	Service string // which service's number or page it came to
	From    Address
	To      string // the number or page that it came to
	Text    string // as it came, untouched
	Media   []Media
	// Answers are those of a form; Text is what she wrote beside it then.
	Answers []FormAnswer
	// CarrierID is the carrier's id of the message, or the client's own for a
	// chat. It makes the message count once. Required.
	CarrierID string
	// OptOut is what the carrier itself did with it: "STOP", "START", "HELP" or "".
	// After STOP the carrier lets no text of ours through.
	OptOut string
	// Patient is set by a door that knows who writes (a chat session); else she is found by From.
	Patient string
	Carer   string // of hers, who wrote it for her; "": she did. With Patient.
	Swept   bool   // it did not come to the door: it was found in the carrier's log
	// Piece says that it is as long as one piece of a longer text: a carrier that does not
	// join them brings them one by one, in any order.
	Piece bool
	At    time.Time // when the carrier had it; zero: now
}

// DeliveryReceipt is a carrier's later word on an outgoing message.
type DeliveryReceipt struct {
	Outgoing  string // our id, from the callback's address; may be empty when CarrierID is known
	CarrierID string
	State     OutState
	Code      string
	Obstacle  Obstacle // of what was not delivered
	At        time.Time
}

// Enrolment is what a team gives to enrol somebody. See [Bot.Enrol] for what is required.
type Enrolment struct {
	GivenName, FamilyName string
	BirthDate             string // 2006-01-02
	NHSNumber             string // optional; ten digits, spaces allowed, checked
	Phone                 string // optional; E.164
	Locale                string // "en-GB" (when empty), "cy" or "both"
	TreatmentEnded        string // 2006-01-02
	Plan                  string // "standard" when empty
	Area                  string // optional: where she lives as the service counts areas, like LS12
	ConsentSMS            bool   // she has agreed to texts already; else she is invited and asked
	Profile               Profile
}

// FieldError says which field of an input is wrong, and what to do. It wraps [ErrInvalid].
// It never repeats what was given.
type FieldError struct{ Field, Problem string }

func (e *FieldError) Error() string { return e.Field + ": " + e.Problem }
func (e *FieldError) Unwrap() error { return ErrInvalid }

// FieldErrors are all the fields of an input that are wrong. They wrap [ErrInvalid].
type FieldErrors []*FieldError

func (e FieldErrors) Error() string {
	all := make([]string, len(e))
	for i, f := range e {
		all[i] = f.Error()
	}
	return strings.Join(all, "; ")
}
func (e FieldErrors) Unwrap() error { return ErrInvalid }

// HeldError says that another person holds a row. It wraps [ErrConflict].
type HeldError struct {
	By    string
	Until time.Time
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("%s has this row until %s", e.By, e.Until.UTC().Format("15:04 MST"))
}
func (e *HeldError) Unwrap() error { return ErrConflict }

// StaleError says that a row has changed since the actor saw it; Row is what it is
// now. It wraps [ErrConflict].
type StaleError struct{ Row Row }

func (e *StaleError) Error() string { return "the row has changed since you saw it" }
func (e *StaleError) Unwrap() error { return ErrConflict }

// Closing is how a row is closed.
type Closing struct {
	Row     string
	By      string
	Seen    int    // see [Act]
	Outcome string // key of one of the content's outcomes
	Route   string // optional: key of one of the content's routes of referral
	Note    string // optional
	TellHer string // optional: id of an approved text that tells her what was agreed, or "" for none
	Words   string // optional: own words to her instead of an approved text
}

// Saying is a text that a nurse sends to a patient.
type Saying struct {
	Patient string
	Row     string // optional: the row that it belongs to
	By      string
	Seen    int               // of that row; see [Act]
	TextID  string            // an approved text …
	Vars    map[string]string // … with what it needs, or
	Words   string            // her own words
	Channel string            // optional: by this channel, wherever she wrote last
}

// Case is what the desk shows of one person.
type Case struct {
	Patient  Patient
	Rows     []Row // hers, the closed ones last
	Moments  []Moment
	Talk     string    // what is being asked now, in words; "" when no talk is open
	NextPlan string    // what goes out next, and when, in words
	Shares   []Patient // who has the same telephone number
	Past     []Episode
	Weights  []Weight
	Met      []Met // criteria of a referral for non-specific symptoms
}

// Moment is one line of her timeline: a journal entry, with what became of the
// message where it is one that went out.
type Moment struct {
	Entry
	Delivery OutState // of an EntryOut
	Code     string
}

// Hint says that something about a patient was committed. It carries no content: look again.
// The zero Hint says that hints may have been lost: look at everything again.
type Hint struct {
	Service string
	Patient string
	Row     string       // a row that changed, or ""
	Level   triage.Level // of that row
	New     bool         // it was opened or raised
}

// User is a member of the team who signs in at the desk.
type User struct {
	Email    string    `json:"email"`
	Name     string    `json:"name"`
	Role     Role      `json:"role"`
	Service  string    `json:"service"`
	Password string    `json:"password"` // argon2id, PHC string; empty: has not chosen one yet
	Created  time.Time `json:"created"`
	Disabled bool      `json:"disabled,omitempty"`
	TOTP     string    `json:"totp,omitempty"`      // the secret of her second factor, base32
	TOTPStep int64     `json:"totp_step,omitempty"` // of the last code that she used: it counts once
	Epoch    int       `json:"epoch,omitempty"`     // raised to end every session of hers
	Subject  string    `json:"subject,omitempty"`   // who she is at the hospital's sign-in: issuer and subject
	Handle   []byte    `json:"handle,omitempty"`    // what her devices know her by: random
	Passkeys []Passkey `json:"passkeys,omitempty"`
	// Ended are sessions that she has ended from another, until each would have run out by
	// itself: one that is just being written cannot bring itself back.
	Ended   map[string]time.Time `json:"ended,omitempty"`
	Changes []SignInChange       `json:"changes,omitempty"` // of which she has not said that she knows

	was []byte // as the store has her, by which is known whether another has changed her since; nil: she is new
}

// SignInChange is that one of somebody's ways to sign in has changed.
type SignInChange struct {
	At      time.Time `json:"at"`
	What    string    `json:"what"`              // as she reads it: "Your password was changed"
	Session string    `json:"session,omitempty"` // in which it was done: there it is no news
}

// End ends a session of hers, which would run out at a time, and forgets those that have by now.
func (u *User) End(session string, until, now time.Time) {
	ended := map[string]time.Time{session: until}
	for id, at := range u.Ended {
		if at.After(now) && id != session {
			ended[id] = at
		}
	}
	u.Ended = ended
}

// HasEnded says whether she has ended a session.
func (u *User) HasEnded(session string) bool {
	_, ended := u.Ended[session]
	return ended
}

// Passkey is a key of one of her devices.
type Passkey struct {
	ID         string          `json:"id"`
	Name       string          `json:"name"`
	Added      time.Time       `json:"added"`
	Used       time.Time       `json:"used,omitzero"`
	Credential json.RawMessage `json:"credential"` // what the door keeps of it; it holds no secret
}

// CanSignIn says whether there is a way in for her.
func (u User) CanSignIn() bool {
	return !u.Disabled && (u.Password != "" || u.Subject != "" || len(u.Passkeys) > 0)
}

// Role is what a user may do.
type Role string

const (
	Nurse   Role = "nurse"   // works the queue
	Lead    Role = "lead"    // the same, and may take over a row that another holds
	Admin   Role = "admin"   // users and enrolment; reads no words of patients
	Auditor Role = "auditor" // reads the audit log
)

// Desk is what the desk's pages and the API may do; *Bot does it. It is listed
// in one place so that the doors can each take the part that they use.
//
// Every act on a row is refused with a *[HeldError] while another holds the row,
// and with a *[StaleError] when it is no longer the row that the actor saw; it
// extends the actor's own claim. Every error wraps one of the codes.
type Desk interface {
	Queue(ctx context.Context, filter QueueFilter) ([]Row, error)
	Count(ctx context.Context, filter QueueFilter) (int, error)
	Row(ctx context.Context, id string) (Row, error)
	Case(ctx context.Context, patient string) (Case, error)
	Find(ctx context.Context, query string, limit int) ([]Patient, error)

	Take(ctx context.Context, a Act) (Row, error)    // atomic: of two, one gets *HeldError
	Release(ctx context.Context, a Act) (Row, error) // gives it back
	Ring(ctx context.Context, a Act, result string) (Row, error)
	Note(ctx context.Context, a Act, text string) (Row, error)
	PutOff(ctx context.Context, a Act, until time.Time, why string) (Row, error)
	Offer(ctx context.Context, a Act, to, why string) (Row, error) // to a colleague, who takes it over or turns it down
	TakeOver(ctx context.Context, a Act) (Row, error)
	TurnDown(ctx context.Context, a Act) (Row, error)
	CloseRow(ctx context.Context, closing Closing) (Row, error)
	UndoClose(ctx context.Context, a Act) (Row, error) // within 30 seconds, by who closed it
	EndReferral(ctx context.Context, a Act, end string, on time.Time) (Row, error)
	Say(ctx context.Context, saying Saying) error
	SendLink(ctx context.Context, patient, by string) error // texts her a one-time link to the chat

	Enrol(ctx context.Context, enrolment Enrolment, by string) (Patient, error)
	Start(ctx context.Context, patient, flow, by string) error // begins a flow now, whatever the hour

	Expect(ctx context.Context, x Expecting) error // known, checked, expected until a day
	WrongLevel(ctx context.Context, a Act, should triage.Level, why string) (Row, error)

	Audit(ctx context.Context, entry AuditEntry) error
	// Watch gives hints until ctx ends. A slow reader misses hints, never work: the store is the truth.
	Watch(ctx context.Context) <-chan Hint
	Preview(ctx context.Context, saying Saying) (string, error) // the words of a saying, as she would get them
}

// Household is what of a request's address (HOST:PORT) tries are counted by: an IPv4
// address, or the first 64 bits of an IPv6 one. One subscriber has 2^64 of these, and
// may take another for each try (RFC 6177).
func Household(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	at, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	at = at.Unmap().WithZone("")
	if at.Is4() {
		return at.String()
	}
	net, _ := at.Prefix(64) // of an IPv6 address there is one
	return net.String()
}

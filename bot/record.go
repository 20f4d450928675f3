package bot

import (
	"log/slog"
	"time"

	"lookout/flows"
	"lookout/flows/triage"
)

// Address is where a person can be reached. The channel's name means nothing to
// this package: it picks the [Sender] and the wording of texts.
type Address struct {
	Channel string `json:"channel"` // "sms", "chat", "email"
	At      string `json:"at"`      // E.164 number, patient id of the chat, e-mail address
}

// LogValue keeps addresses out of logs.
func (a Address) LogValue() slog.Value { return slog.StringValue(a.Channel + ":(hidden)") }

// Record is one patient's whole present state: what a turn starts from. Its
// past is in the journal.
type Record struct {
	Version int64       `json:"-"` // 0: not stored yet
	Patient Patient     `json:"patient"`
	Talk    flows.State `json:"talk,omitzero"` // the conversation that is open, if any
	// Rows are her rows that are not closed; they are kept in the queue's own
	// table and put here by Load.
	Rows []Row `json:"-"`
	// Past is what she has named and its course (persistence, clinical.md 6.5).
	Past []Episode `json:"past,omitempty"`
	// Weights she gave, oldest first.
	Weights []Weight `json:"weights,omitempty"`
	// Wakes are what shall happen to her and when; the store finds her by the earliest.
	Wakes []Wake `json:"wakes,omitempty"`
	// Heard are her last messages of the last minutes, for reading several texts together.
	Heard []Heard `json:"heard,omitempty"`
	// Planned holds the plan's items that were sent or dropped, by item id.
	Planned map[string]time.Time `json:"planned,omitempty"`
	// Told holds when she was last told something that must not be repeated at
	// once, by text id (a stranger's polite answer, a promise).
	Told map[string]time.Time `json:"told,omitempty"`
	// LastOut is when the last unasked text was queued (48 hours between them, clinical.md 8.3).
	LastOut time.Time `json:"last_out,omitzero"`
	// LastPlanned is the last unasked message that was queued; it is taken back when she stops.
	LastPlanned string `json:"last_planned,omitempty"`
	// Spoken is when she last wrote, or lookout last wrote to her. Where several share
	// a telephone, a message is hers with whom it was last.
	Spoken time.Time `json:"spoken,omitzero"`
	// Reach holds the channels on which texts have not reached her lately, by name.
	Reach map[string]Reach `json:"reach,omitempty"`
	// OutDay is the day of Outs, which counts what went to her then unasked or as an
	// answer of lookout's own.
	OutDay string `json:"out_day,omitempty"`
	Outs   int    `json:"outs,omitempty"`
	// Wrote is when she last wrote.
	Wrote time.Time `json:"wrote,omitzero"`
	// NextRow numbers her rows and NextOut her outgoing messages.
	NextRow int `json:"next_row,omitempty"`
	NextOut int `json:"next_out,omitempty"`
}

// Reach is how texts of one channel have failed to reach her, one after another.
type Reach struct {
	Failed   int       `json:"failed"`
	Obstacle Obstacle  `json:"obstacle,omitempty"`
	Since    time.Time `json:"since"`
}

// lost says whether a channel is given up until something comes through on it.
func (r Reach) lost() bool { return r.Failed >= 2 || r.Failed > 0 && r.Obstacle.lasting() }

// Status says whether lookout may speak to a person.
type Status string

const (
	Invited  Status = "invited"  // enrolled by her team, has not said YES yet
	Active   Status = "active"   // agreed; check-ins go out
	Paused   Status = "paused"   // nothing unasked until Patient.PausedUntil
	Stopped  Status = "stopped"  // said STOP, or the carrier did for her; nothing but answers to an emergency
	Ended    Status = "ended"    // follow-up over: she died, or left (Patient.EndReason)
	Stranger Status = "stranger" // somebody who wrote from a number that nobody has
)

// Patient is who she is and what she wished. Names, numbers and birth dates
// never go to logs: LogValue gives the id alone.
type Patient struct {
	ID             string    `json:"id"` // begins with the service's id
	Service        string    `json:"service"`
	GivenName      string    `json:"given_name,omitempty"`
	FamilyName     string    `json:"family_name,omitempty"`
	BirthDate      string    `json:"birth_date,omitempty"` // 2006-01-02
	NHSNumber      string    `json:"nhs_number,omitempty"` // ten digits
	Locale         string    `json:"locale,omitempty"`     // "en-GB", "cy", or "both" of them
	Addresses      []Address `json:"addresses,omitempty"`  // first of a channel: the one to use
	Channel        string    `json:"channel,omitempty"`    // the one that she wrote on last
	Status         Status    `json:"status"`
	EndReason      string    `json:"end_reason,omitempty"` // "died", "left"
	PausedUntil    time.Time `json:"paused_until,omitzero"`
	Consents       []Consent `json:"consents,omitempty"`
	Plan           string    `json:"plan,omitempty"`
	TreatmentEnded string    `json:"treatment_ended,omitempty"` // 2006-01-02
	EnrolledAt     time.Time `json:"enrolled_at,omitzero"`
	Zone           string    `json:"zone,omitempty"`   // IANA name where it differs from the service's
	Nation         string    `json:"nation,omitempty"` // whose bank holidays are hers, where it is not the service's
	Area           string    `json:"area,omitempty"`   // where she lives as the service counts areas, for its report: never a full postcode
	Wish           Wish      `json:"wish,omitzero"`
	Quiet          []Quiet   `json:"quiet,omitempty"`
	Profile        Profile   `json:"profile,omitzero"`
	NotHere        bool      `json:"not_here,omitempty"` // she wants no texts on her telephone before a nurse has agreed another way
	MovesTo        string    `json:"moves_to,omitempty"` // the hospital that takes over, in her words
	Carers         []Carer   `json:"carers,omitempty"`   // by number, those whose access has ended too
}

// LogValue keeps everything but the id out of logs.
func (p Patient) LogValue() slog.Value { return slog.StringValue(p.ID) }

// Name is how the desk shows her.
func (p Patient) Name() string {
	if p.GivenName == "" && p.FamilyName == "" {
		return "Unknown number"
	}
	return p.GivenName + " " + p.FamilyName
}

// Address gives her address of a channel.
func (p Patient) Address(channel string) (Address, bool) {
	for _, a := range p.Addresses {
		if a.Channel == channel {
			return a, true
		}
	}
	return Address{}, false
}

// Profile is what her team knows of the treatment. Dates are 2006-01-02.
type Profile struct {
	LastChemo         string `json:"last_chemo,omitempty"` // last dose of systemic anti-cancer treatment
	OnChemo           bool   `json:"on_chemo,omitempty"`
	LastImmunotherapy string `json:"last_immunotherapy,omitempty"`
	Trastuzumab       bool   `json:"trastuzumab,omitempty"`
	ChemoKnown        bool   `json:"chemo_known,omitempty"` // false: OnChemo and LastChemo say nothing
	Lobular           bool   `json:"lobular,omitempty"`
	Side              string `json:"side,omitempty"`
	NodesRemoved      bool   `json:"nodes_removed,omitempty"`
	Lymphoedema       bool   `json:"lymphoedema,omitempty"`
	Implant           bool   `json:"implant,omitempty"`
	Bisphosphonate    bool   `json:"bisphosphonate,omitempty"`
	Surgery           string `json:"surgery,omitempty"`         // the day of the (last) operation
	TabletsStarted    string `json:"tablets_started,omitempty"` // the day on which the present hormone tablets were begun
	LastMammogram     string `json:"last_mammogram,omitempty"`
	NextScan          string `json:"next_scan,omitempty"` // the day of the next scan that is known
	Tablets           string `json:"tablets,omitempty"`   // "tamoxifen", "letrozole", "anastrozole", "exemestane"
	Abemaciclib       bool   `json:"abemaciclib,omitempty"`
	PostMenopause     *bool  `json:"post_menopause,omitempty"`
	Male              bool   `json:"male,omitempty"`
	LivesAlone        bool   `json:"lives_alone,omitempty"`
}

// Consent is one yes or no of hers (or of her team for her), never overwritten.
type Consent struct {
	To  string    `json:"to"` // "sms", "chat"
	Yes bool      `json:"yes"`
	At  time.Time `json:"at"`
	By  string    `json:"by"` // "patient" or a user's e-mail address
	How string    `json:"how,omitempty"`
}

// Episode is one concern of hers over time.
type Episode struct {
	Concept       string    `json:"concept"`
	Side          string    `json:"side,omitempty"`
	First         time.Time `json:"first"` // onset as stated, else first named
	Last          time.Time `json:"last"`
	Times         int       `json:"times"`
	Severity      int       `json:"severity,omitempty"`
	Worsening     bool      `json:"worsening,omitempty"`
	Gone          bool      `json:"gone,omitempty"`
	ExpectedUntil time.Time `json:"expected_until,omitzero"` // "known, checked, expected", set by a nurse
}

// Weight is one that she gave.
type Weight struct {
	At time.Time `json:"at"`
	Kg float64   `json:"kg"`
}

// Heard is one message of the last minutes.
type Heard struct {
	At    time.Time    `json:"at"`
	Text  string       `json:"text"`
	Level triage.Level `json:"level"`
	By    string       `json:"by,omitempty"`    // the carer who wrote it for her; "": she did
	Piece bool         `json:"piece,omitempty"` // see [Inbound.Piece]
}

// Wake is one thing to do at a time. Its Key is unique in the record; a wake
// that fires twice is the same wake.
type Wake struct {
	Key  string    `json:"key"`
	Kind WakeKind  `json:"kind"`
	At   time.Time `json:"at"`
	Ref  string    `json:"ref,omitempty"` // timer of the talk, row id, plan item
	N    int       `json:"n,omitempty"`   // step of a ladder; of a plan's item, the rows to be expected of it, in thousandths
	Due  time.Time `json:"due,omitzero"`  // of a plan's item: the day on which it is due
}

// WakeKind says who handles a wake.
type WakeKind string

const (
	WakeTalk   WakeKind = "talk"   // a timer of the open conversation: Ref is its key
	WakePlan   WakeKind = "plan"   // an item of her plan is due: Ref is the item
	WakeLease  WakeKind = "lease"  // a nurse's claim runs out: Ref is the row
	WakePage   WakeKind = "page"   // page the next on the ladder: Ref is the row, N the step
	WakeSnooze WakeKind = "snooze" // a snoozed row comes back: Ref is the row
	WakeResume WakeKind = "resume" // a pause ends
	WakeReask  WakeKind = "reask"  // a sign of illness is asked about again: Ref is its concern
	WakeAgain  WakeKind = "again"  // what was not delivered is sent once more: Ref is the message

	// The steps that guard a promise, in promise.go: Ref is the row.
	WakeUntaken WakeKind = "untaken"
	WakeWarn    WakeKind = "warn"
	WakeTell    WakeKind = "tell"
	WakeDue     WakeKind = "due"
)

// RowState is where a row stands.
type RowState string

const (
	Open    RowState = "open"
	Claimed RowState = "claimed"
	Snoozed RowState = "snoozed"
	Closed  RowState = "closed"
)

// Row is one concern of one person in the open-access queue.
type Row struct {
	ID          string       `json:"id"` // patient id + "-r" + number
	Service     string       `json:"service"`
	Patient     string       `json:"patient"`
	PatientName string       `json:"patient_name"`
	PatientBorn string       `json:"patient_born,omitempty"`
	PatientNHS  string       `json:"patient_nhs,omitempty"`
	Concern     string       `json:"concern"`         // what it is about; one row that is not closed a person and concern
	Level       triage.Level `json:"level"`           // never lowered by a machine
	Reason      string       `json:"reason"`          // one sentence
	Message     string       `json:"message"`         // her own words, newest last
	Spans       []Span       `json:"spans,omitempty"` // of Message: what was found
	Sent        string       `json:"sent,omitempty"`  // what came with her words last, like "a photo"
	OpenedAt    time.Time    `json:"opened_at"`
	DueAt       time.Time    `json:"due_at"`
	State       RowState     `json:"state"`
	ClaimedBy   string       `json:"claimed_by,omitempty"`
	ClaimUntil  time.Time    `json:"claim_until,omitzero"`
	OfferedTo   string       `json:"offered_to,omitempty"` // a colleague whom the holder asks to take it over
	OfferWhy    string       `json:"offer_why,omitempty"`
	WakeAt      time.Time    `json:"wake_at,omitzero"` // of a snoozed row
	PutOffWhy   string       `json:"put_off_why,omitempty"`
	Rung        int          `json:"rung,omitempty"`         // attempts to ring
	Spoke       bool         `json:"spoke,omitempty"`        // somebody spoke with her since it was opened
	Promised    bool         `json:"promised,omitempty"`     // she was told by when somebody is in touch
	ToldOfMiss  bool         `json:"told_of_miss,omitempty"` // she was told that the promise may be missed
	SpokeAt     time.Time    `json:"spoke_at,omitzero"`      // when that was, the first time since she last was promised a call
	PagedTo     string       `json:"paged_to,omitempty"`
	AckedBy     string       `json:"acked_by,omitempty"` // who answered the page
	ClosedAt    time.Time    `json:"closed_at,omitzero"`
	ClosedBy    string       `json:"closed_by,omitempty"`
	Outcome     string       `json:"outcome,omitempty"`
	ClosingText string       `json:"closing_text,omitempty"` // the message that went with its closing
	Referral    *Referral    `json:"referral,omitempty"`
	// Changed counts what a nurse must know of before she acts: her words, a colleague's
	// acts. An act names the count that it saw. Pages and clocks do not count.
	Changed int `json:"changed"`
}

// UnreadableRow stands in the queue for a row that its store cannot open (it is damaged, or
// sealed by a key that this process does not have): known is what stands in the clear of it.
// A nurse sees that somebody waits, and who; the other rows are not held up.
func UnreadableRow(known Row) Row {
	known.PatientName = known.Patient
	known.Concern = "cannot be read"
	known.Reason = "This row cannot be read: it is damaged, or encrypted with a key that this lookout does not have. Tell whoever runs lookout."
	return known
}

// Span is a stretch of a row's Message in bytes, with the concept found there.
type Span struct {
	Start   int    `json:"start"`
	End     int    `json:"end"`
	Concept string `json:"concept"`
}

// EntryKind says what a journal entry records.
type EntryKind string

const (
	EntryIn       EntryKind = "in"       // she wrote: Text, Channel, Carrier, Media
	EntryReading  EntryKind = "reading"  // how it was read: Reading; Ref is the entry's message
	EntryOut      EntryKind = "out"      // a text to her was queued: Text, Ref is the outgoing id, TextID
	EntryDelivery EntryKind = "delivery" // what became of it, where that matters: Ref, Why
	EntryFlow     EntryKind = "flow"     // a talk began, moved or ended: Why
	EntryRow      EntryKind = "row"      // a row was opened, raised, claimed, released, snoozed, closed: Ref, Why
	EntryPage     EntryKind = "page"     // somebody was paged, acked, passed: Ref is the row, Why
	EntryNote     EntryKind = "note"     // a nurse's note: Text
	EntryRing     EntryKind = "ring"     // an attempt to ring: Why is its result
	EntryConsent  EntryKind = "consent"
	EntryExpected EntryKind = "expected" // a concept (Ref) is known and expected, or no longer: Why
	EntryReferral EntryKind = "referral" // somebody was referred, or what came of it is known: Why
	EntryStatus   EntryKind = "status"   // invited, active, paused, stopped, ended
	EntryPlan     EntryKind = "plan"     // an item was sent, moved or dropped, with the reason
)

// Entry is one line of a patient's journal. It is never changed.
type Entry struct {
	Seq     int64           `json:"seq"` // rises within a patient; given by the store
	At      time.Time       `json:"at"`
	Kind    EntryKind       `json:"kind"`
	By      string          `json:"by"` // "patient", "lookout", "carrier", "carer" (Ref: his id), or a user's e-mail address
	Channel string          `json:"channel,omitempty"`
	Text    string          `json:"text,omitempty"`
	TextID  string          `json:"text_id,omitempty"`
	Media   []Media         `json:"media,omitempty"`
	Reading *triage.Reading `json:"reading,omitempty"`
	Asked   *Asked          `json:"asked,omitempty"` // of a reading: the question that was open; of an answer in a form: its question
	Ref     string          `json:"ref,omitempty"`
	Why     string          `json:"why,omitempty"`
	Carrier string          `json:"carrier,omitempty"` // the carrier's id, or the client's own
	Pack    string          `json:"pack,omitempty"`    // digest of the content that decided
}

// Asked is a question that was open when she wrote.
type Asked struct {
	Prompt string      `json:"prompt"`
	Kind   triage.Kind `json:"kind"`
}

// Media is a photo or voice note that came with a message.
type Media struct {
	URL  string `json:"url"`
	Type string `json:"type"`
}

// Priority orders what leaves first when a sender is at its rate.
type Priority int

const (
	PriorityEmergency Priority = iota
	PriorityPage
	PriorityReply
	PriorityPlanned
)

// OutState is where an outgoing message stands. The order is the order in which it
// may move; a delivery receipt never moves it back.
type OutState string

const (
	OutPending     OutState = "pending"     // waits to be sent
	OutSending     OutState = "sending"     // claimed by a sender
	OutSent        OutState = "sent"        // the carrier has taken it
	OutDelivered   OutState = "delivered"   // the phone has it
	OutUndelivered OutState = "undelivered" // the carrier gave up
	OutFailed      OutState = "failed"      // we gave up: refused
	OutCancelled   OutState = "cancelled"   // taken back before it was sent
)

// Outgoing is one message on its way.
type Outgoing struct {
	ID        string    `json:"id"` // patient id + "-m" + number
	Service   string    `json:"service"`
	Patient   string    `json:"patient"`
	To        Address   `json:"to"`
	Text      string    `json:"text"`
	TextID    string    `json:"text_id,omitempty"`
	Row       string    `json:"row,omitempty"` // of a page
	Priority  Priority  `json:"priority"`
	NotBefore time.Time `json:"not_before,omitzero"`
	NotAfter  time.Time `json:"not_after,omitzero"` // stale after this: cancelled, with a reason, instead of sent
	CreatedAt time.Time `json:"created_at"`
	Trace     string    `json:"trace,omitempty"` // the span of the turn that made it, where turns are traced

	State      OutState  `json:"state"`
	Attempts   int       `json:"attempts,omitempty"` // how many times it was claimed
	Fence      int64     `json:"fence,omitempty"`
	LeaseUntil time.Time `json:"lease_until,omitzero"`
	Unsettled  bool      `json:"unsettled,omitempty"` // claimed before and never settled: ask the carrier first
	CarrierID  string    `json:"carrier_id,omitempty"`
	Code       string    `json:"code,omitempty"` // the carrier's error code
	SettledAt  time.Time `json:"settled_at,omitzero"`
}

// LogValue keeps the text and the number out of logs.
func (o Outgoing) LogValue() slog.Value { return slog.StringValue(o.ID) }

// Settlement is what became of an outgoing message.
type Settlement struct {
	ID        string
	Fence     int64 // of the claim; 0: a delivery receipt, which needs no claim
	State     OutState
	CarrierID string
	Code      string
	At        time.Time
	// RetryAt, with State pending, puts it back for then.
	RetryAt time.Time
	// Unsettled, with State pending, marks the outcome of the send as unknown.
	Unsettled bool
}

// AuditEntry is one read or act of a user or of the API.
type AuditEntry struct {
	Seq     int64     `json:"seq"`
	At      time.Time `json:"at"`
	By      string    `json:"by"`
	Did     string    `json:"did"` // "read patient", "claim row", "search", …
	Patient string    `json:"patient,omitempty"`
	Ref     string    `json:"ref,omitempty"`
	From    string    `json:"from,omitempty"` // network address
}

// Referral is one that is open, or that has ended: its clock, and what came of it
// (clinical.md 4.3, 4.4). It makes a row of its own, which the queue brings back
// before the time is over.
type Referral struct {
	Route     string    `json:"route"` // one of the content's routes
	From      string    `json:"from"`  // the row that was closed with it
	At        time.Time `json:"at"`    // the clock starts on referral
	DueAt     time.Time `json:"due_at,omitzero"`
	Outcome   string    `json:"outcome,omitempty"` // one of the content's ends of a referral
	OutcomeAt time.Time `json:"outcome_at,omitzero"`
}

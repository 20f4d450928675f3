// Package bot takes a turn.
//
// A turn is all that one event does to one patient: a message came in, a wake
// fell due, a delivery failed, a nurse acted. Each turn is one straight path:
// load the record, read and decide with pure functions (triage.Read,
// flows.Step), put everything that follows into one [Change], commit it. Only
// after the commit does anything leave: [Bot.Deliver] takes it from the store.
//
// It promises: an event with a key counts once; on a conflict the turn is
// taken again on the newer record; triage sees every message before anything
// else does and outranks the flow; nothing lowers a level; each decision is in
// the journal with its reason. It owns consent, the queue with its clocks and
// the paging of a nurse.
//
// It refuses to know HTTP, Twilio, sockets, SQL or Redis, and what the name of
// a channel means.
package bot

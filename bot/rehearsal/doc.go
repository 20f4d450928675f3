// Package rehearsal plays written conversations before anybody has them for real.
//
// A [Conversation] is played on the whole of lookout: engine, content, queue and
// clock, with a carrier that only notes what it is given. A [Talk] is one flow
// between a reader of words and nobody: what `lookout flows try` and the authors'
// pages play, and what walks every way of every flow. Both can be recorded in text
// files that a nurse reads, and played again on other content: that is how a change
// of content shows what it changes, and which ways nobody has walked.
//
// It promises: the same content and the same file give the same lines, and nobody
// outside is told or texted anything. It refuses to judge: what should come of a
// conversation stands in its file.
package rehearsal

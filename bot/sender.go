package bot

import (
	"context"
	"fmt"
	"time"
)

// Sender hands messages of one channel to whoever carries them.
type Sender interface {
	// Send hands over one message. A nil error means that the carrier has taken
	// it. Any other error that matters is a *[SendError]; an error of another
	// type counts as outcome unknown.
	Send(ctx context.Context, message Outgoing) (Sent, error)
}

// Finder is a Sender that can look up whether a message has gone. Deliver asks
// it before it repeats a send whose outcome is unknown.
type Finder interface {
	// Find looks for the message in the carrier's log. known lists the
	// carrier's ids that belong to other messages.
	Find(ctx context.Context, message Outgoing, known func(carrierID string) bool) (Sent, bool, error)
}

// Sent is a carrier's word that it took a message.
type Sent struct {
	CarrierID string
	// Delivered says that there is nothing left to happen (a chat, an e-mail).
	Delivered bool
}

// SendError says why a message did not go, and what that means.
type SendError struct {
	Class    SendClass
	Code     string        // the carrier's own code
	Obstacle Obstacle      // what keeps texts from her, where the carrier says it
	After    time.Duration // of Retry: not before
	Err      error         // without the number or the text
}

// SendClass is the closed list of what can follow from a failed send.
type SendClass string

const (
	SendRetry    SendClass = "retry"     // did not go; try again later
	SendUnknown  SendClass = "unknown"   // may have gone
	SendRefused  SendClass = "refused"   // will never go to this address: tell the nurse
	SendOptedOut SendClass = "opted out" // she has stopped texts at the carrier
)

func (e *SendError) Error() string {
	return fmt.Sprintf("send: %s (code %s): %v", e.Class, e.Code, e.Err)
}

func (e *SendError) Unwrap() error { return e.Err }

// Obstacle is what kept a text from her, as far as the carrier knows: a closed list.
type Obstacle string

const (
	ObstacleUnknown  Obstacle = ""
	ObstacleOff      Obstacle = "off"       // switched off, out of reach, or abroad: may pass
	ObstacleDead     Obstacle = "dead"      // the number does not exist, or no longer
	ObstacleLandline Obstacle = "landline"  // the number takes no texts
	ObstacleBlocked  Obstacle = "blocked"   // the telephone or its carrier blocks us
	ObstacleOptedOut Obstacle = "opted out" // she has stopped texts at the carrier
	ObstacleOurs     Obstacle = "ours"      // the text or our account is at fault, and not her number
)

// lasting says whether to try again is useless.
func (o Obstacle) lasting() bool {
	switch o {
	case ObstacleDead, ObstacleLandline, ObstacleBlocked, ObstacleOptedOut:
		return true
	}
	return false
}

// words are an obstacle as a nurse reads it.
func (o Obstacle) words() string {
	switch o {
	case ObstacleOff:
		return "her telephone is off, out of reach or abroad"
	case ObstacleDead:
		return "her number does not exist, or no longer"
	case ObstacleLandline:
		return "her number is a landline that takes no texts"
	case ObstacleBlocked:
		return "her telephone or its carrier blocks our texts"
	case ObstacleOptedOut:
		return "she has stopped texts at her carrier"
	case ObstacleOurs:
		return "the fault is ours, not her number's"
	}
	return "the carrier does not say why"
}

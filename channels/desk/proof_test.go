package desk

import (
	"context"
	"strings"
	"testing"
	"time"

	"lookout/bot"
)

// tested is a bot whose daily test stands as a test says.
type tested struct {
	*bot.Bot
	proof bot.Proof
}

func (b tested) Proof(context.Context) (bot.Proof, error)  { return b.proof, nil }
func (b tested) Proofs(context.Context) ([]bot.Run, error) { return []bot.Run{b.proof.Run}, nil }

// The desk says when the whole path was proved; and when it was not, which stage was not
// reached, and what to do.
func TestProofOnTheDesk(t *testing.T) {
	o := newOffice(t)
	ann := o.browser("ann@example.org")
	if _, page := o.get(ann, "/desk/"); strings.Contains(page, "hole path") {
		t.Error("a desk without a daily test speaks of it")
	}
	begun := time.Date(2026, 11, 24, 7, 30, 0, 0, time.UTC)
	good := bot.Proof{On: true, Proved: begun.Add(2 * time.Minute), Run: bot.Run{Name: "2026-11-24-1", Begun: begun, Ended: begun.Add(2 * time.Minute), At: map[bot.Stage]time.Time{}}}
	for i, s := range bot.Stages {
		good.Run.At[s] = begun.Add(time.Duration(i+1) * time.Second)
	}
	bad := good
	bad.Failed, bad.Run = bot.StagePaged, bot.Run{Begun: begun, Ended: begun.Add(time.Hour), At: map[bot.Stage]time.Time{bot.StageSent: begun.Add(time.Second)}}
	late := bot.Proof{On: true, Late: true, Proved: begun.AddDate(0, 0, -1)}
	for _, x := range []struct {
		proof       bot.Proof
		queue, rota string
	}{
		{bot.Proof{On: true}, "not proved yet", "first daily test"},
		{good, "Whole path proved today 07:32", "07:30:05"},
		{bad, "its page did not reach a telephone. Keep this page open", "not reached"},
		{late, "is late: look at the newest messages", "is late"},
	} {
		o.again(func(c *Config) { c.Bot = tested{o.bot, x.proof} })
		if _, page := o.get(ann, "/desk/"); !strings.Contains(page, x.queue) {
			t.Errorf("the queue lacks %q", x.queue)
		}
		if _, page := o.get(ann, "/desk/rota"); !strings.Contains(page, x.rota) {
			t.Errorf("who is called lacks %q", x.rota)
		}
	}
}

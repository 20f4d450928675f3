package bot

import (
	"context"
	"errors"
	"testing"

	"go.opentelemetry.io/otel/trace"
)

// Traces that are off cost a comparison.
func TestSpansThatAreOffCostNothing(t *testing.T) {
	b, ctx, out := &Bot{}, context.Background(), &Outgoing{Trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
	if n := testing.AllocsPerRun(100, func() { offSpan(ctx, b, out) }); n != 0 {
		t.Errorf("a span that nobody takes is %v allocations", n)
	}
}

func offSpan(ctx context.Context, b *Bot, out *Outgoing) {
	ctx, span := b.span(b.following(ctx, out), "turn")
	tag(span, "event", eventOf("in:SM1"))
	count(span, "tries", 1)
	_, inner := b.span(ctx, "commit")
	done(inner, nil)
	done(span, nil)
}

// BenchmarkSpansOff is what traces cost a turn while they are off.
func BenchmarkSpansOff(b *testing.B) {
	bot, ctx, out := &Bot{}, context.Background(), &Outgoing{}
	b.ReportAllocs()
	for b.Loop() {
		offSpan(ctx, bot, out)
	}
}

// What a message carries of its trace is read back, and what is none leads nowhere.
func TestTraceOfAMessage(t *testing.T) {
	text := "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	if of := parseTrace(text); !of.IsValid() || !of.IsRemote() || of.TraceID().String() != "0af7651916cd43dd8448eb211c80319c" {
		t.Errorf("%v", of)
	}
	for _, bad := range []string{"", "00-0-0-01", "a-b-c", text + "-x"} {
		if parseTrace(bad).IsValid() {
			t.Errorf("%q is a trace", bad)
		}
	}
	var none trace.Span = trace.SpanFromContext(context.Background())
	if spanOf(none) != "" {
		t.Error("a span that is not recorded is carried on")
	}
	if errorCode(errors.New("x")) != "other" || errorCode(&FieldError{}) != "invalid" {
		t.Error("codes of errors")
	}
}

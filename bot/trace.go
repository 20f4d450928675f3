package bot

import (
	"context"
	"errors"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// Traces say where the time of an event goes: from the door through the turn and the
// commit, to the message that leaves because of it and the carrier's word on it, which
// may come hours later and by another process. A span holds no name, no number, no word
// and no id of a person, a row or a message; its parent is what ties it to the others.

// span begins a span. Without a tracer it costs a comparison, and gives ctx as it is.
func (b *Bot) span(ctx context.Context, name string, options ...trace.SpanStartOption) (context.Context, trace.Span) {
	if b.tracer == nil {
		return ctx, noop.Span{}
	}
	return b.tracer.Start(ctx, name, options...)
}

// following is the context of the trace of which a message tells, and ctx where it tells of none.
func (b *Bot) following(ctx context.Context, out *Outgoing) context.Context {
	if b.tracer == nil || out.Trace == "" {
		return ctx
	}
	of := parseTrace(out.Trace)
	if !of.IsValid() {
		return ctx
	}
	return trace.ContextWithRemoteSpanContext(ctx, of)
}

// spanOf gives a span's place in words that a message carries (W3C's traceparent); "": it
// is not recorded, and nobody goes on from it.
func spanOf(span trace.Span) string {
	if !span.IsRecording() {
		return ""
	}
	at := span.SpanContext()
	return "00-" + at.TraceID().String() + "-" + at.SpanID().String() + "-01"
}

// parseTrace reads what spanOf has written.
func parseTrace(text string) trace.SpanContext {
	part := strings.Split(text, "-")
	if len(part) != 4 {
		return trace.SpanContext{}
	}
	id, err := trace.TraceIDFromHex(part[1])
	span, err2 := trace.SpanIDFromHex(part[2])
	if err != nil || err2 != nil {
		return trace.SpanContext{}
	}
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: span, TraceFlags: trace.FlagsSampled, Remote: true})
}

// done ends a span with what came of it: the code of an error, and never its text.
func done(span trace.Span, err error) {
	if span.IsRecording() && err != nil {
		span.SetStatus(codes.Error, errorCode(err))
	}
	span.End()
}

// errorCode is the name of one of the codes that every error here wraps.
func errorCode(err error) string {
	for _, x := range []struct {
		is   error
		name string
	}{{ErrNotFound, "not found"}, {ErrConflict, "conflict"}, {ErrDuplicate, "duplicate"}, {ErrInvalid, "invalid"}, {ErrRefused, "refused"}, {ErrUnavailable, "unavailable"}} {
		if errors.Is(err, x.is) {
			return x.name
		}
	}
	return "other"
}

// eventOf is what kind of event a change's key is of: what stands before its first colon.
func eventOf(key string) string {
	if kind, _, ok := strings.Cut(key, ":"); ok {
		return kind
	}
	return "act"
}

// tag adds attributes to a span that is recorded.
func tag(span trace.Span, name, value string) {
	if span.IsRecording() {
		span.SetAttributes(attribute.String("lookout."+name, value))
	}
}

// count adds a number to a span that is recorded.
func count(span trace.Span, name string, n int) {
	if span.IsRecording() {
		span.SetAttributes(attribute.Int("lookout."+name, n))
	}
}

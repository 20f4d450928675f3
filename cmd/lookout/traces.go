package main

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// tracesSettings are where traces go.
type tracesSettings struct {
	Endpoint string `yaml:"endpoint"` // of an OpenTelemetry collector, by OTLP over HTTP; "": there are none
}

func (s *tracesSettings) check() error {
	if s.Endpoint == "" {
		return nil
	}
	if u, err := url.Parse(s.Endpoint); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return errors.New("traces.endpoint: must be the address of a collector that takes OTLP over HTTP, like http://collector.example.nhs.uk:4318")
	}
	return nil
}

// provider makes what sends traces to the collector; nil: there are none. How many of
// them are sampled, and headers for the collector, are OpenTelemetry's own variables
// (OTEL_TRACES_SAMPLER, OTEL_EXPORTER_OTLP_HEADERS).
func (s *tracesSettings) provider(ctx context.Context, log *slog.Logger) (*sdktrace.TracerProvider, error) {
	if s.Endpoint == "" {
		return nil, nil
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(strings.TrimRight(s.Endpoint, "/")+"/v1/traces"))
	if err != nil {
		return nil, errors.New("traces.endpoint: nothing can be sent there: compare it with what your monitoring gave you")
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) { // its text may hold what the collector answered
		log.Warn("traces could not be sent: see whether this machine may reach traces.endpoint")
	}))
	// Which machine it runs on, by which user and with which arguments is not said.
	about, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(attribute.String("service.name", "lookout"), attribute.String("service.instance.id", rand.Text())), resource.WithFromEnv())
	if err != nil {
		return nil, errors.New("OTEL_RESOURCE_ATTRIBUTES: cannot be read: write it like deployment.environment=live")
	}
	return sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about)), nil
}

// tracerName is what spans say that they come from.
const tracerName = "lookout"

// traced gives every answer a span that is named by its route: an address may hold an id.
// Whoever calls is not believed about the trace that she is in. Open pages and sockets
// are no answers.
func traced(provider *sdktrace.TracerProvider, mux *http.ServeMux, h http.Handler) http.Handler {
	if provider == nil {
		return h
	}
	tracer := provider.Tracer(tracerName)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if stays(r) {
			h.ServeHTTP(w, r)
			return
		}
		_, route := mux.Handler(r)
		if route == "" {
			route = "none"
		}
		ctx, span := tracer.Start(r.Context(), route, trace.WithSpanKind(trace.SpanKindServer))
		defer span.End()
		answer := &noted{ResponseWriter: w, status: http.StatusOK}
		h.ServeHTTP(answer, r.WithContext(ctx))
		span.SetAttributes(attribute.String("http.route", route), attribute.Int("http.response.status_code", answer.status))
		if answer.status >= 500 {
			span.SetStatus(codes.Error, http.StatusText(answer.status))
		}
	})
}

// noted notes the status of an answer.
type noted struct {
	http.ResponseWriter
	status int
}

// Unwrap lets an http.ResponseController flush it.
func (a *noted) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *noted) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

// traceLines adds to each line of the log the trace in which it was written.
type traceLines struct{ slog.Handler }

// Handle is part of slog.Handler.
func (h traceLines) Handle(ctx context.Context, line slog.Record) error {
	if at := trace.SpanContextFromContext(ctx); at.IsValid() {
		line.AddAttrs(slog.String("trace", at.TraceID().String()), slog.String("span", at.SpanID().String()))
	}
	return h.Handler.Handle(ctx, line)
}

// WithAttrs is part of slog.Handler.
func (h traceLines) WithAttrs(attrs []slog.Attr) slog.Handler {
	return traceLines{h.Handler.WithAttrs(attrs)}
}

// WithGroup is part of slog.Handler.
func (h traceLines) WithGroup(name string) slog.Handler { return traceLines{h.Handler.WithGroup(name)} }

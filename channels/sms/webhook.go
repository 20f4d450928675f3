package sms

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/twilio/twilio-go/client"

	"lookout/bot"
)

// Bot is what this door asks of the bot.
type Bot interface {
	// Receive takes in a message; nil means that it is durable, or was before.
	Receive(ctx context.Context, in bot.Inbound) error
	// DeliveryReceipt takes in what became of a message of ours.
	DeliveryReceipt(ctx context.Context, r bot.DeliveryReceipt) error
	// Seen says whether a message with this key was taken in before.
	Seen(ctx context.Context, key string) (bool, error)
}

// The addresses of the webhooks.
const (
	inboundPath = "/twilio/inbound"
	statusPath  = "/twilio/status"
)

// maxForm bounds a webhook's body. Twilio's own are a few kilobytes.
const maxForm = 64 << 10

// Webhooks are the two addresses that Twilio calls.
type Webhooks struct {
	Bot     Bot
	Service string
	// AuthToken signs the webhooks; PublicURL is the address that they are signed
	// over, whatever a proxy in front of us makes of it.
	AuthToken string
	PublicURL string
	Canary    string // the number of the daily test: what comes to it is our own
	Now       func() time.Time
	Log       *slog.Logger
}

// Register puts the webhooks on a mux.
func (h *Webhooks) Register(mux *http.ServeMux) {
	mux.HandleFunc("POST "+inboundPath, h.inbound)
	mux.HandleFunc("POST "+statusPath, h.status)
}

// form reads and checks a webhook. It has answered when ok is false.
func (h *Webhooks) form(w http.ResponseWriter, r *http.Request) (ok bool) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "the form cannot be read", http.StatusBadRequest)
		return false
	}
	params := make(map[string]string, len(r.PostForm))
	for name, values := range r.PostForm {
		params[name] = values[0]
	}
	validator := client.NewRequestValidator(h.AuthToken)
	// The signature covers the address with its query, as Twilio called it.
	if !validator.Validate(h.PublicURL+r.URL.RequestURI(), params, r.Header.Get("X-Twilio-Signature")) {
		h.Log.WarnContext(r.Context(), "a webhook was not signed by twilio", "path", r.URL.Path)
		http.Error(w, "not signed by Twilio for this address", http.StatusForbidden)
		return false
	}
	return true
}

// inbound takes in a text. The answer is empty: replies go through the outbox.
func (h *Webhooks) inbound(w http.ResponseWriter, r *http.Request) {
	if !h.form(w, r) {
		return
	}
	f := r.PostForm
	in := bot.Inbound{
		Service: h.Service, From: bot.Address{Channel: Channel, At: f.Get("From")}, To: f.Get("To"),
		Text: f.Get("Body"), CarrierID: f.Get("MessageSid"), OptOut: f.Get("OptOutType"), Piece: piece(f.Get("Body")), At: h.Now(),
	}
	if in.CarrierID == "" || in.From.At == "" {
		http.Error(w, "MessageSid and From are required", http.StatusBadRequest)
		return
	}
	if h.Canary != "" && in.To == h.Canary {
		empty(w)
		return
	}
	media, _ := strconv.Atoi(f.Get("NumMedia"))
	for i := range min(max(media, 0), 10) {
		n := strconv.Itoa(i)
		in.Media = append(in.Media, bot.Media{URL: f.Get("MediaUrl" + n), Type: f.Get("MediaContentType" + n)})
	}
	if err := h.Bot.Receive(r.Context(), in); err != nil && !errors.Is(err, bot.ErrDuplicate) {
		// Never 2xx or 4xx for what was not kept: Twilio tries again, and the sweep
		// takes in what it gives up on.
		h.Log.ErrorContext(r.Context(), "a message was not kept", "message", in.CarrierID, "err", err)
		w.Header().Set("Retry-After", "2")
		http.Error(w, "not kept, try again", http.StatusServiceUnavailable)
		return
	}
	empty(w)
}

// empty answers Twilio with nothing to say.
func empty(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	w.Write([]byte(`<?xml version="1.0" encoding="UTF-8"?><Response></Response>`))
}

// states are Twilio's words for where a message stands.
var states = map[string]bot.OutState{
	"sent": bot.OutSent, "delivered": bot.OutDelivered, "read": bot.OutDelivered,
	"undelivered": bot.OutUndelivered, "failed": bot.OutFailed, "canceled": bot.OutFailed,
}

// status takes in a delivery receipt. Receipts come twice, late and out of order.
func (h *Webhooks) status(w http.ResponseWriter, r *http.Request) {
	if !h.form(w, r) {
		return
	}
	state, known := states[r.PostForm.Get("MessageStatus")]
	if known {
		code := r.PostForm.Get("ErrorCode")
		receipt := bot.DeliveryReceipt{Outgoing: r.URL.Query().Get("m"), CarrierID: r.PostForm.Get("MessageSid"), State: state, Code: code, Obstacle: obstacle(code), At: h.Now()}
		err := h.Bot.DeliveryReceipt(r.Context(), receipt)
		switch {
		case errors.Is(err, bot.ErrNotFound): // not ours, or of another system on this account
		case err != nil:
			h.Log.ErrorContext(r.Context(), "a delivery receipt was not kept", "message", receipt.Outgoing, "err", err)
			http.Error(w, "not kept, try again", http.StatusServiceUnavailable)
			return
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

package widget

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/SherClockHolmes/webpush-go"

	"lookout/bot"
)

// Web push (RFC 8030, 8291, 8292) tells a device of hers that there is a message, when
// she has asked for it there. It says nothing but that: whoever holds the telephone, and
// the push service, learn no more. It is a courtesy: nothing waits for it, and a
// message counts as delivered by being in the chat.

const (
	drawerVAPID = "push-key"
	pushDevices = 5
	pushWait    = 10 * time.Second
	pushAtOnce  = 8
	pushKeeps   = 24 * time.Hour // how long the push service tries
)

// pushServices are the hosts of the browsers' own push services, with what is below
// them. An address elsewhere is refused: we call it.
var pushServices = []string{"fcm.googleapis.com", "push.services.mozilla.com", "push.apple.com", "notify.windows.com"}

// Push tells devices of new messages. A nil *Push tells nobody.
type Push struct {
	values  Values
	contact string // of who runs lookout, for the push services: an e-mail address, or https://…
	hosts   []string
	now     func() time.Time
	log     *slog.Logger
	words   map[string]map[string]string
	public  string
	private string
	client  *http.Client
	places  chan struct{}
}

// NewPush makes the sender of web push, and its key the first time. hosts are push
// services beside those of the browsers, as host or host:port; those on this machine are
// called without TLS.
func NewPush(ctx context.Context, values Values, contact string, hosts []string, now func() time.Time, log *slog.Logger) (*Push, error) {
	words, err := loadWords()
	if err != nil {
		return nil, fmt.Errorf("push: %w", err)
	}
	p := &Push{values: values, contact: contact, hosts: append(hosts, pushServices...), now: now, log: log, words: words, places: make(chan struct{}, pushAtOnce),
		client: &http.Client{Timeout: pushWait, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	for range 2 {
		value, err := values.Value(ctx, drawerVAPID, "vapid", now())
		if err == nil {
			var keys [2]string
			if err := json.Unmarshal(value, &keys); err != nil {
				return nil, fmt.Errorf("push: the key in the store: %w", err)
			}
			p.private, p.public = keys[0], keys[1]
			return p, nil
		}
		if !errors.Is(err, bot.ErrNotFound) {
			return nil, fmt.Errorf("push: %w", err)
		}
		private, public, err := webpush.GenerateVAPIDKeys()
		if err == nil {
			value, err = json.Marshal([2]string{private, public})
		}
		if err == nil {
			err = values.PutValue(ctx, drawerVAPID, "vapid", value, time.Time{})
		}
		if err != nil {
			return nil, fmt.Errorf("push: %w", err)
		}
	}
	return nil, errors.New("push: the store does not keep the key")
}

// key is what a page needs to ask for push; "": there is none.
func (p *Push) key() string {
	if p == nil {
		return ""
	}
	return p.public
}

// device is one that she wants to be told on.
type device struct {
	webpush.Subscription
	Lang    string    `json:"lang"`
	Session string    `json:"session"` // with which it ends
	Since   time.Time `json:"since"`
}

// allowed says whether an address is that of a push service.
func (p *Push) allowed(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil || u.User != nil || u.Host == "" || len(endpoint) > 1024 {
		return false
	}
	for _, host := range p.hosts {
		if u.Host == host || strings.HasSuffix(u.Host, "."+host) {
			at := net.ParseIP(u.Hostname())
			return u.Scheme == "https" || u.Scheme == "http" && at != nil && at.IsLoopback()
		}
	}
	return false
}

// devices are those of a patient, by the hash of their address.
func (p *Push) devices(ctx context.Context, patient string) (map[string]device, error) {
	values, err := p.values.Values(ctx, bot.DrawerPush+patient, p.now())
	out := make(map[string]device, len(values))
	for key, value := range values {
		var d device
		if json.Unmarshal(value, &d) == nil {
			out[key] = d
		}
	}
	return out, err
}

// add keeps a device; the one that she has had longest makes room for a sixth.
func (p *Push) add(ctx context.Context, s session, d device) error {
	all, err := p.devices(ctx, s.Patient)
	if err != nil {
		return err
	}
	key, oldest := hashed(d.Endpoint), ""
	for k, x := range all {
		if oldest == "" || x.Since.Before(all[oldest].Since) {
			oldest = k
		}
	}
	if _, had := all[key]; !had && len(all) >= pushDevices {
		if err := p.values.DeleteValue(ctx, bot.DrawerPush+s.Patient, oldest); err != nil {
			return err
		}
	}
	value, err := json.Marshal(d)
	if err != nil {
		return err
	}
	ends := s.Ends
	if ends.IsZero() { // a session of an earlier release
		ends = p.now().Add(sessionLives)
	}
	return p.values.PutValue(ctx, bot.DrawerPush+s.Patient, key, value, ends)
}

// end forgets the devices of a session: she has left there.
func (p *Push) end(ctx context.Context, s session) error {
	if p == nil || s.Patient == "" {
		return nil
	}
	all, err := p.devices(ctx, s.Patient)
	if err != nil {
		return err
	}
	for key, d := range all {
		if d.Session == s.key {
			if err := p.values.DeleteValue(ctx, bot.DrawerPush+s.Patient, key); err != nil {
				return err
			}
		}
	}
	return nil
}

// tell says to each device of hers that there is a message. It does not wait.
func (p *Push) tell(patient string, urgency webpush.Urgency) {
	if p == nil {
		return
	}
	go func() {
		p.places <- struct{}{}
		defer func() { <-p.places }()
		ctx, cancel := context.WithTimeout(context.Background(), pushDevices*pushWait)
		defer cancel()
		all, err := p.devices(ctx, patient)
		for key, d := range all {
			err = errors.Join(err, p.send(ctx, patient, key, d, urgency))
		}
		if err != nil {
			p.log.Warn("a device could not be told of a message", "err", err)
		}
	}()
}

// send tells one device. One that is gone is forgotten.
func (p *Push) send(ctx context.Context, patient, key string, d device, urgency webpush.Urgency) error {
	w := p.words[languageOf(d.Lang)]
	text, err := json.Marshal(map[string]string{"title": w["title"], "body": w["push_text"]})
	if err != nil {
		return err
	}
	response, err := webpush.SendNotificationWithContext(ctx, text, &d.Subscription, &webpush.Options{HTTPClient: p.client, Subscriber: p.contact,
		VAPIDPublicKey: p.public, VAPIDPrivateKey: p.private, TTL: int(pushKeeps.Seconds()), Topic: "message", Urgency: urgency})
	if err != nil {
		var at *url.Error
		if errors.As(err, &at) {
			err = at.Err // the address is hers
		}
		return err
	}
	defer response.Body.Close()
	io.Copy(io.Discard, io.LimitReader(response.Body, 1<<16))
	switch {
	case response.StatusCode == http.StatusNotFound || response.StatusCode == http.StatusGone:
		return p.values.DeleteValue(ctx, bot.DrawerPush+patient, key)
	case response.StatusCode >= 300:
		return fmt.Errorf("the push service answers %d", response.StatusCode)
	}
	return nil
}

// keepPush keeps, or forgets, this device as one that she wants to be told on. It is for
// herself: a carer is not told.
func (c *Chat) keepPush(w http.ResponseWriter, r *http.Request) {
	s, err := c.who(r)
	switch {
	case err != nil:
		c.fail(w, r, err)
		return
	case s.Patient == "" || s.Carer != "":
		c.json(w, http.StatusUnauthorized, reply{Type: "out"})
		return
	}
	d := device{Subscription: webpush.Subscription{Endpoint: r.FormValue("endpoint"), Keys: webpush.Keys{Auth: r.FormValue("auth"), P256dh: r.FormValue("p256dh")}}, Lang: r.FormValue("lang"), Session: s.key, Since: c.Now()}
	if r.FormValue("stop") != "" {
		err = c.Values.DeleteValue(r.Context(), bot.DrawerPush+s.Patient, hashed(d.Endpoint))
	} else {
		if c.Push == nil || !c.Push.allowed(d.Endpoint) || len(d.Keys.Auth) > 64 || len(d.Keys.P256dh) > 128 || len(d.Lang) > 8 {
			c.json(w, http.StatusUnprocessableEntity, reply{Type: "refused"})
			return
		}
		err = c.Push.add(r.Context(), s, d)
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

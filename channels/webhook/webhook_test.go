package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"lookout/bot"
)

const key = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz" // 24 bytes

func senderOf(t *testing.T) *Sender {
	t.Helper()
	k, err := ParseKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return New(k, func() time.Time { return time.Unix(1_800_000_000, 0) })
}

func page(to string) bot.Outgoing {
	return bot.Outgoing{ID: "anytown-p1-m1", Row: "anytown-p1-r1", TextID: "page.emergency", To: bot.Address{Channel: Channel, At: to}, Text: "Lookout: emergency. marker", CreatedAt: time.Unix(1_799_999_999, 0)}
}

// A page is signed as Standard Webhooks says, whose own rule the receiver of this test
// follows, and a repeat has the same id.
func TestPageIsSigned(t *testing.T) {
	var ids []string
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		raw, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(key, "whsec_"))
		mac := hmac.New(sha256.New, raw)
		mac.Write([]byte(r.Header.Get("webhook-id") + "." + r.Header.Get("webhook-timestamp") + "." + string(body)))
		if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); r.Header.Get("webhook-signature") != want || r.Header.Get("webhook-timestamp") != "1800000000" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		var p Page
		if err := json.Unmarshal(body, &p); err != nil || p.Kind != "page.emergency" || p.Row != bot.RowName("anytown-p1-r1") || p.Text == "" || p.At.Unix() != 1_799_999_999 {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		ids = append(ids, p.ID)
	}))
	defer receiver.Close()
	s := senderOf(t)
	for range 2 {
		if sent, err := s.Send(t.Context(), page(receiver.URL)); err != nil || !sent.Delivered || sent.CarrierID != "webhook:anytown-p1-m1" {
			t.Errorf("%+v, %v", sent, err)
		}
	}
	if len(ids) != 2 || ids[0] != ids[1] {
		t.Errorf("the ids were %v", ids)
	}
}

// Each answer is put into the class by which the bot goes on, and tells nothing.
func TestAnswersAreClassed(t *testing.T) {
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody.Close()
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/busy":
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusTooManyRequests)
		case "/down":
			w.WriteHeader(http.StatusBadGateway)
		case "/gone":
			w.WriteHeader(http.StatusGone)
		case "/elsewhere":
			http.Redirect(w, r, "/", http.StatusTemporaryRedirect)
		case "/cut":
			io.Copy(io.Discard, r.Body)
			panic(http.ErrAbortHandler)
		}
	}))
	defer receiver.Close()
	for _, x := range []struct {
		to    string
		class bot.SendClass
		code  string
	}{
		{receiver.URL + "/busy", bot.SendRetry, "429"}, {receiver.URL + "/down", bot.SendRetry, "502"}, {receiver.URL + "/gone", bot.SendRefused, "410"},
		{receiver.URL + "/elsewhere", bot.SendRefused, "307"}, {receiver.URL + "/cut", bot.SendUnknown, "http"}, {"http://" + nobody.Addr().String() + "/marker", bot.SendRetry, "connect"},
	} {
		_, err := senderOf(t).Send(t.Context(), page(x.to))
		var failed *bot.SendError
		if !errors.As(err, &failed) || failed.Class != x.class || failed.Code != x.code {
			t.Errorf("%s: %v, want %s with code %s", x.to, err, x.class, x.code)
			continue
		}
		if x.code == "429" && failed.After != 7*time.Second {
			t.Errorf("it is tried again after %s", failed.After)
		}
		if strings.Contains(err.Error(), "marker") || strings.Contains(err.Error(), "127.0.0.1") {
			t.Errorf("the error tells the address or the page: %v", err)
		}
	}
}

func TestAddressesAndKeys(t *testing.T) {
	for address, good := range map[string]bool{"https://pager.example.nhs.uk/x?y=z": true, "http://localhost:8000/": true, "http://pager.example.nhs.uk/": false, "pager": false, "https://ann:secret@x.nhs.uk/": false, "": false} {
		if err := ParseAddress(address); (err == nil) != good {
			t.Errorf("%q: %v", address, err)
		}
	}
	for _, bad := range []string{"", "whsec_", "whsec_c2hvcnQ=", strings.TrimPrefix(key, "whsec_"), "whsec_!!"} {
		if _, err := ParseKey(bad); err == nil {
			t.Errorf("%q is taken for a key", bad)
		}
	}
}

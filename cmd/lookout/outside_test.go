package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"lookout/channels/webhook"
)

const webhookKey = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"

// An emergency is paged to another system, again when nobody has taken it, and the next
// on the list at once when that system refuses. Who is to be rung stands in a file
// that only the holder of the key can read.
func TestEmergencyIsPagedByWebhookAndTheCallListIsKeptElsewhere(t *testing.T) {
	pages := make(chan webhook.Page, 16)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var p webhook.Page
		if r.URL.Path != "/pager" || json.NewDecoder(r.Body).Decode(&p) != nil || r.Header.Get("Webhook-Signature") == "" {
			w.WriteHeader(http.StatusGone)
			return
		}
		pages <- p
	}))
	t.Cleanup(receiver.Close)
	mine, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	w := newWorld(t, func(s *settings) {
		s.Webhook.Key = webhookKey
		s.Service.Duty = []dutySettings{{Name: "Gone", Webhook: receiver.URL + "/gone"}, {Name: "Ann", Webhook: receiver.URL + "/pager"}}
		s.CallList = callListSettings{Folder: folder, Recipients: []string{mine.Recipient().String()}, Keep: 3}
	})
	w.enrol("Zebedeemarker", mary)
	w.reply(mary, "my legs have gone all weak and I cant feel when I wipe")
	w.expect(mary, 0, "ring 999")
	name := fmt.Sprint(w.rows("open")[0]["name"])
	select {
	case p := <-pages: // without waiting for the next step: the first of the list has refused it
		if p.Row != name || !strings.Contains(p.Text, "Row "+name+".") {
			t.Errorf("the page is about row %q, in words %q, and the row is called %q", p.Row, p.Text, name)
		}
		if p.Kind != "page.emergency" || !strings.Contains(p.Text, w.url+"/desk/") || strings.Contains(p.Text, "ACK") || strings.Contains(p.Text, "Zebedee") {
			t.Errorf("the page is %+v", p)
		}
	case <-time.After(patience):
		t.Fatalf("nobody was paged by webhook:\n%s", w.log)
	}
	lists := &w.process.settings.CallList
	for i := range 5 {
		if err := lists.writeCallList(t.Context(), w.process.desk, time.Date(2026, 11, 24, 8+i, 30, 0, 0, time.UTC)); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil || len(files) != 3 || filepath.Base(files[2]) != "call-list-2026-11-24-12.html.age" {
		t.Fatalf("%v: the files are %v", err, files)
	}
	sealed, err := os.ReadFile(files[2])
	if err != nil || bytes.Contains(sealed, []byte("Zebedeemarker")) {
		t.Fatalf("%v: the file is not encrypted", err)
	}
	plain, err := age.Decrypt(bytes.NewReader(sealed), mine)
	if err != nil {
		t.Fatal(err)
	}
	if page, err := io.ReadAll(plain); err != nil || !bytes.Contains(page, []byte("Zebedeemarker")) || !bytes.Contains(page, []byte("Row "+name)) || !bytes.Contains(page, []byte("447700900123")) || bytes.Contains(page, []byte("/desk/static")) {
		t.Errorf("%v: the call list is:\n%s", err, page)
	}
	another, _ := age.GenerateX25519Identity()
	if _, err := age.Decrypt(bytes.NewReader(sealed), another); err == nil {
		t.Error("another key opens it")
	}
	w.stop()
	if log := w.log.String(); strings.Contains(log, receiver.URL) || strings.Contains(log, "Zebedee") {
		t.Errorf("the log tells too much:\n%s", log)
	}
}

// Faults of the two settings are named, and no secret is repeated.
func TestSettingsOfWebhookAndCallList(t *testing.T) {
	mine, _ := age.GenerateX25519Identity()
	_, err := loaded(t, goodSettings+"    - {name: Cat, webhook: \"http://pager.example.nhs.uk\"}\nwebhook: {key: marker-key}\ncall_list: {folder: /nowhere/at/all, recipients: [\""+mine.String()+"\", nobody]}\n")
	if err == nil {
		t.Fatal("no fault was found")
	}
	for _, want := range []string{"webhook.key: must be whsec_", "service.duty[2].webhook: must be an address", "call_list.folder: is not a folder", "call_list.recipients[0]: is a secret key", "call_list.recipients[1]: is no public key"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the faults lack %q:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), mine.String()) || strings.Contains(err.Error(), "marker-key") {
		t.Error("a secret is repeated")
	}
}

// Every answer tells the browser to guess nothing, and where people come with TLS, never to
// come without it.
func TestEveryAnswerIsGuarded(t *testing.T) {
	for public, want := range map[string]string{"https://lookout.example.nhs.uk": "max-age=31536000", "http://127.0.0.1:8080": ""} {
		w := httptest.NewRecorder()
		guarded(public, http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest("GET", "/api/v1/none", nil))
		if got := w.Header().Get("Strict-Transport-Security"); got != want || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", public, w.Header())
		}
	}
}

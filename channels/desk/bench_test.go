package desk

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2/memstore"

	"lookout/bot"
	"lookout/bot/sqlitestore"
	"lookout/content"
	"lookout/flows/triage"
)

// BenchmarkQueuePage measures the list with 50,000 open and 500,000 closed rows, as
// the server answers it: its counts, a page of rows, who is looking, and the entry in
// the audit, on a real file. It reports the 95th percentile over all views.
func BenchmarkQueuePage(b *testing.B) {
	store, err := sqlitestore.Open(b.Context(), filepath.Join(b.TempDir(), "lookout.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	pack, err := content.Shipped()
	if err != nil {
		b.Fatal(err)
	}
	at := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	now := func() time.Time { return at }
	team := &bot.Service{ID: "anytown", Name: "Anytown", Nation: "england-and-wales", Location: time.UTC, Promise: bot.DefaultPromise, PageEvery: time.Minute, Lease: 30 * time.Minute}
	team.Hours.Location = time.UTC
	lookout, err := bot.New(b.Context(), bot.Config{Ephemeral: true, Store: store, Content: pack, Service: team, PublicURL: "http://x", Now: now})
	if err != nil {
		b.Fatal(err)
	}
	const people, open, shut = 1000, 50, 500 // rows of each
	for p := range people {
		id := fmt.Sprintf("anytown-p%04d", p)
		c := bot.Change{Record: bot.Record{Patient: bot.Patient{ID: id, Service: "anytown", GivenName: "Mary", FamilyName: fmt.Sprint("Number", p), Status: bot.Active}}}
		for n := range open + shut {
			row := bot.Row{ID: fmt.Sprintf("%s-r%d", id, n), Service: "anytown", Patient: id, PatientName: c.Record.Patient.Name(), Concern: "bone", State: bot.Open,
				Level: triage.Level(n%4 + 1), Reason: "“my hip aches”: pain in a bone, hip, rib or joint on one side (soon).", Message: "my hip aches, started after gardening, not getting better",
				OpenedAt: at.Add(-time.Duration(n) * time.Hour), DueAt: at.Add(time.Duration((p*open+n)%240-24) * time.Hour), Changed: 1}
			if n >= open {
				row.State, row.ClosedAt, row.ClosedBy, row.Outcome = bot.Closed, at.Add(-time.Duration(n)*time.Hour), "ann@example.org", "advice"
			}
			c.Rows = append(c.Rows, row)
		}
		if err := store.Commit(b.Context(), c); err != nil {
			b.Fatal(err)
		}
	}
	hash, err := HashPassword(password)
	if err != nil {
		b.Fatal(err)
	}
	if err := lookout.PutUser(b.Context(), bot.User{Email: "ann@example.org", Name: "Ann", Role: bot.Nurse, Password: hash}); err != nil {
		b.Fatal(err)
	}
	d, err := New(Config{Bot: lookout, Sessions: sessions{memstore.New()}, Now: now, Log: slog.New(slog.DiscardHandler), Segments: func(string) int { return 1 }})
	if err != nil {
		b.Fatal(err)
	}
	mux := http.NewServeMux()
	d.Register(mux)
	server := httptest.NewServer(mux)
	defer server.Close()
	jar, _ := cookiejar.New(nil)
	ann := &http.Client{Jar: jar}
	if response, err := ann.PostForm(server.URL+"/desk/sign-in", url.Values{"email": {"ann@example.org"}, "password": {password}}); err != nil || response.StatusCode != 200 {
		b.Fatal(err, response)
	}
	at0, _ := url.Parse(server.URL + "/desk/")
	cookies := jar.Cookies(at0)
	var took []time.Duration
	least := make([]time.Duration, len(tabs)) // of each view: what it costs when nothing else runs
	for i := 0; b.Loop(); i++ {
		r := httptest.NewRequest("GET", "/desk/?show="+tabs[i%len(tabs)].Key, nil)
		for _, c := range cookies {
			r.AddCookie(c)
		}
		w := httptest.NewRecorder()
		begin := time.Now()
		mux.ServeHTTP(w, r)
		took = append(took, time.Since(begin))
		if l := &least[i%len(tabs)]; *l == 0 || took[i] < *l {
			*l = took[i]
		}
		if w.Code != 200 {
			b.Fatalf("%d: %s", w.Code, w.Body)
		}
	}
	for i, t := range tabs {
		b.Logf("%-8s least %v", t.Key, least[i])
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*95/100].Microseconds())/1000, "p95-ms")
}

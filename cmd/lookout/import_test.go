package main

import (
	"path/filepath"
	"testing"
	"time"

	"lookout/bot"
	"lookout/bot/sqlitestore"
	"lookout/content"
)

// Whatever file comes: each row is one that can be enrolled, or has a fault with its line.
func FuzzImport(f *testing.F) {
	const head = "given_name,family_name,birth_date,nhs_number,phone,treatment_ended,consent_sms\n"
	f.Add([]byte(head + "Mary,Okafor,1961-04-30,999 012 3454,07700 900101,2026-09-30,yes\n"))
	f.Add([]byte(head + "\"Mary,\n,,,\n"))
	f.Add([]byte("\ufeffgiven_name;family_name\n"))
	store, err := sqlitestore.Open(f.Context(), filepath.Join(f.TempDir(), "lookout.db"))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { store.Close() })
	pack, err := content.Shipped()
	if err != nil {
		f.Fatal(err)
	}
	s := &settings{}
	s.defaults()
	team, err := s.team(pack)
	if err != nil {
		f.Fatal(err)
	}
	b, err := bot.New(f.Context(), bot.Config{Store: store, Content: pack, Service: team, PublicURL: "http://x", Now: func() time.Time { return time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC) }})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		rows, faults := readPatients(b, data)
		for _, x := range faults {
			if x.line < 1 || x.field == "" || x.problem == "" {
				t.Errorf("a fault that does not say where or what: %+v", x)
			}
		}
		for _, row := range rows {
			if _, err := b.CheckEnrolment(row.enrolment); err != nil || row.patient.NHSNumber == "" && row.enrolment.Phone == "" {
				t.Errorf("line %d is taken, and cannot be enrolled: %v", row.line, err)
			}
		}
	})
}

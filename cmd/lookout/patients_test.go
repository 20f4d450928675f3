package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lookout/bot"
)

// at runs a command line as if it were that time.
func at(t *testing.T, now time.Time, args ...string) (string, error) {
	t.Helper()
	var out, faults bytes.Buffer
	err := run(&env{ctx: t.Context(), in: strings.NewReader(""), out: &out, err: &faults, now: func() time.Time { return now }}, args)
	return out.String(), err
}

// A service's own rota, bank holidays, her quiet days and her winter in Spain: the
// command line says what goes when, and why it does.
func TestPatientsPlanSaysWhy(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "lookout.yaml")
	if err := os.WriteFile(file, []byte(`store: sqlite:`+filepath.Join(folder, "lookout.db")+`
service:
  nurses: {monday: 2, tuesday: 2, wednesday: 2, thursday: 2, friday: 1}
  rota:
    "2027-03-01": {nurses: 0, why: study day}
    "2027-03-02": {nurses: 1, hours: "09:00-12:30", why: cover}
  rows_per_nurse: 8
`), 0o600); err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	e := &env{ctx: t.Context(), now: func() time.Time { return now }}
	var p bot.Patient
	err := withBot(e, file, mayBeMade, func(ctx context.Context, b *bot.Bot) (err error) {
		p, err = b.Enrol(ctx, bot.Enrolment{GivenName: "Mary", FamilyName: "Okafor", BirthDate: "1961-04-30", Phone: "+447700900101", TreatmentEnded: "2026-11-29", ConsentSMS: true,
			Profile: bot.Profile{Surgery: "2026-04-14", LastMammogram: "2026-05-30"}}, "Ann")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if out, err := at(t, now, "patients", "wishes", p.ID, "--settings", file, "--zone", "Europe/Madrid", "--hours", "11:00-14:00", "--quiet", "2027-05-24..2027-06-04 scan"); err != nil ||
		!strings.Contains(out, "by the clock of Europe/Madrid; 11:00 to 14:00; not from 2027-05-24 to 2027-06-04 (scan)") {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := at(t, now, "patients", "plan", p.ID, "--settings", file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"is active, on the plan standard. Times are those of Europe/Madrid.",
		"check-in-week-1, from the end of treatment; Sun 13 Dec: not a working day",
		"Sun 28 Feb: not a working day; Mon 1 Mar: study day", // three months after 29 November
		"check-in-quarter-2, from the end of treatment; Sat 29 May to Sun 30 May: not a working day; Mon 31 May: Spring bank holiday; Tue 1 Jun to Fri 4 Jun: quiet days: scan",
		"text plan.mammogram          mammogram@2026-05-30, from the last mammogram; Sun 30 May to Thu 10 Jun: another text goes before it",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the plan does not say %q:\n%s", want, out)
		}
	}
	if out, err := at(t, now, "patients", "dates", p.ID, "--settings", file, "--last-mammogram", "2026-11-20", "--next-scan", "2026-12-14"); err != nil || !strings.Contains(out, "operation 2026-04-14, last mammogram 2026-11-20, next scan 2026-12-14") {
		t.Errorf("dates: %v\n%s", err, out)
	}
	if out, err := at(t, now, "patients", "plan", p.ID, "--settings", file); err != nil || !strings.Contains(out, "quiet days: her scan and its result") || !strings.Contains(out, "mammogram@2026-11-20") || strings.Contains(out, "mammogram@2026-05-30") {
		t.Errorf("the plan after her dates were set: %v\n%s", err, out)
	}
	if out, err := at(t, now, "patients", "dates", p.ID, "--settings", file, "--next-scan", "14/12/2026"); err == nil || !strings.Contains(err.Error(), "next_scan: must be a date") {
		t.Errorf("a wrong date: %v\n%s", err, out)
	}
	if out, err := at(t, now, "patients", "dates", p.ID, "--settings", file, "--next-scan", "", "--last-mammogram", "2026-05-30"); err != nil || strings.Contains(out, "scan") {
		t.Errorf("dates taken back: %v\n%s", err, out)
	}
	if out, err := at(t, now.AddDate(0, 1, 0), "patients", "cost", "--settings", file, "--month", "2026-12"); err != nil || !strings.Contains(out, "December 2026: 0 texts to") || !strings.Contains(out, "The next 31 days: 1 talks and 1 single texts") {
		t.Errorf("cost: %v\n%s", err, out)
	}
	if _, err := at(t, now, "patients", "plan", "anytown-pnobody", "--settings", file); err == nil || !strings.Contains(err.Error(), "there is no patient") {
		t.Errorf("nobody's plan: %v", err)
	}
	for _, wrong := range [][]string{{"--zone", "Madrid"}, {"--hours", "22:00-23:00"}, {"--hours", "10-12"}, {"--days", "someday"}, {"--quiet", "2027-05-24..2027-05-01 scan"}, {"--quiet", "2027-05-24"}, {"--nation", "france"}} {
		if out, err := at(t, now, append([]string{"patients", "wishes", p.ID, "--settings", file}, wrong...)...); err == nil {
			t.Errorf("%v: taken\n%s", wrong, out)
		}
	}
}

func TestWrongRota(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "lookout.yaml")
	for text, want := range map[string]string{
		"nurses: {someday: 1}":                            "is not a day of the week",
		"nurses: {monday: -1}":                            "must not be below 0",
		`rota: {"2027-13-01": {nurses: 1}}`:               "is not a date",
		`rota: {"2027-03-01": {nurses: 0}}`:               "or 0 and why",
		`rota: {"2027-03-01": {nurses: 1, hours: "9-5"}}`: "is not a time span",
		"rows_per_nurse: -2":                              "rows_per_nurse",
	} {
		if err := os.WriteFile(file, []byte("store: sqlite:"+filepath.Join(folder, "x.db")+"\nservice:\n  "+text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := at(t, time.Now(), "patients", "plan", "x", "--settings", file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

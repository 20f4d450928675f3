package desk

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"lookout/bot"
)

// A person's sheets say what she told, and since when; only the GP's names the filter
// tests; each fits on one page of paper, and every look at one is audited.
func TestSheets(t *testing.T) {
	o := newOffice(t)
	o.clock.at = o.clock.at.AddDate(0, 0, 1)
	o.writes("SM2", "my hip has been aching for five weeks")
	ann := o.browser("ann@example.org")
	patient := strings.Split(o.row, bot.RowMark)[0]
	for key, want := range map[string][]string{
		"summary":   {"My summary", "999 012 3454", "Born", "since 21 October 2026", "What I would like to ask", "In my own words", "01632 960 001"},
		"gp-letter": {"Core filter tests", "Bone profile", "4 weeks or more", "In her own words", "clock starts on referral"},
		"ae-card":   {"Spinal cord compression", "01632 960 002"},
	} {
		path := "/desk/patients/" + patient + "/sheets/" + key
		status, page := o.get(ann, path)
		for _, words := range want {
			if status != 200 || !strings.Contains(page, words) {
				t.Errorf("%s: %d, and it lacks %q", key, status, words)
			}
		}
		if key != "gp-letter" && strings.Contains(page, "Bone profile") {
			t.Errorf("%s asks her to arrange tests", key)
		}
		status, file := o.get(ann, path+"/pdf")
		if pages := strings.Count(file, "/Type /Page\n"); status != 200 || !strings.HasPrefix(file, "%PDF-") || pages != 1 {
			t.Errorf("%s as a file: %d, %d pages, begins %.8q", key, status, pages, file)
		}
	}
	if status, _ := o.get(ann, "/desk/patients/"+patient+"/sheets/none"); status != 404 {
		t.Errorf("a sheet that there is not: %d", status)
	}
	log, err := o.bot.AuditLog(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	var did bytes.Buffer
	for _, e := range log {
		fmt.Fprintln(&did, e.Did, e.Patient)
	}
	for _, want := range []string{"read sheet: summary " + patient, "export sheet: ae-card " + patient} {
		if !strings.Contains(did.String(), want) {
			t.Errorf("the audit lacks %q", want)
		}
	}
}

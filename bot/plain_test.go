package bot_test

import (
	"maps"
	"strconv"
	"testing"
	"time"

	"lookout/bot/rehearsal"
	"lookout/content"
	"lookout/flows/triage"
)

// Every plain answer to every shipped question is read for what it is, in both languages
// and on both channels: to a practical question none makes a row; to one about her health
// the good answer makes none, and the bad one does.
func TestPlainAnswers(t *testing.T) {
	t.Parallel()
	pack, err := content.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, flow := range pack.Program().Flows() {
		for _, step := range pack.Program().InWords(flow) {
			q, ok := pack.Program().Question(flow + "/" + step.Step)
			if !ok || seen[q.Text] {
				continue
			}
			seen[q.Text] = true
			for _, locale := range []string{"en-GB", "cy"} {
				for _, channel := range []string{"sms", "chat"} {
					vars := rehearsal.SampleVars(pack)
					maps.Copy(vars, content.Choices(q.Options, locale))
					prompt, err := pack.Text(q.Text, locale, channel, vars)
					if err != nil {
						t.Fatal(err)
					}
					read := func(words string) triage.Reading {
						return triage.Read(pack.Lexicon(), words, q.Asked(prompt, locale, time.Time{}), triage.Profile{}, nil)
					}
					var plain []string
					yes, no := "yes", "no"
					if locale == "cy" {
						yes, no = "ie", "na"
					}
					switch q.Kind {
					case triage.YesNo:
						plain = []string{yes, no}
					case triage.Scale, triage.Number:
						for n := int(q.Min); n <= min(int(q.Max), int(q.Min)+12); n++ {
							plain = append(plain, strconv.Itoa(n))
						}
					case triage.Choice:
						for i, o := range q.Choices(locale) {
							plain = append(plain, strconv.Itoa(i+1), o.Label)
						}
					}
					for _, words := range plain {
						if r := read(words); q.Practical && !q.Settles(r) {
							t.Errorf("%s (%s, %s): a plain %q makes a row: %s", q.Name, locale, channel, words, r.Why)
						}
					}
					if q.Kind != triage.YesNo || q.Practical || len(q.Concepts) == 0 {
						continue
					}
					good, bad := no, yes
					if q.Trouble == "no" {
						good, bad = yes, no
					}
					if r := read(good); r.Level != triage.None {
						t.Errorf("%s (%s, %s): the good answer %q is read as %s: %s", q.Name, locale, channel, good, r.Level, r.Why)
					}
					if r := read(bad); r.Level < triage.Soon {
						t.Errorf("%s (%s, %s): the bad answer %q is read as %s: %s", q.Name, locale, channel, bad, r.Level, r.Why)
					}
				}
			}
		}
	}
	if len(seen) < 40 {
		t.Errorf("only %d questions were found", len(seen))
	}
}

package content

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"lookout/flows"
)

// spoken are all wordings of the pack that may go to patients, by text and key.
func spoken(p *Pack) map[string]map[string]string {
	out := map[string]map[string]string{}
	for id, t := range p.texts {
		if !strings.HasPrefix(id, "page.") {
			out[id] = t.wording
		}
	}
	return out
}

// HZ12: each nation has its own numbers, and no text has another's written into it.
// What is written out is the same everywhere in the United Kingdom.
func TestHazardHZ12NumbersAreTheNations(t *testing.T) {
	t.Parallel()
	p := shipped(t)
	number := regexp.MustCompile(`\b\d[\d ]{1,}\d\b|\b\d{2,}\b`)
	everywhere := []string{"999", "116 123", "85258", "55", "24", "37.2", "10", "12", "64"} // the last are hours, examples, weeks and a scale
	for id, wordings := range spoken(p) {
		for key, words := range wordings {
			for _, n := range number.FindAllString(words, -1) {
				if !slices.Contains(everywhere, strings.TrimSpace(n)) && n != "37" {
					t.Errorf("%s (%s) has the number %q written into it: numbers are settings, or a nation's", id, key, n)
				}
			}
		}
	}
	if len(p.Nations()) < 3 {
		t.Fatalf("the nations are %v", p.Nations())
	}
	for _, nation := range p.Nations() {
		vars := p.NationVars(nation)
		has111 := strings.Contains(vars["urgent_route"]+vars["crisis_route"], "111")
		if has111 != (nation != "northern-ireland") || vars["urgent_route"] == "" || vars["crisis_route"] == "" || p.service.nations.Nations[nation].Source == "" {
			t.Errorf("%s: %v", nation, vars)
		}
		for name, sample := range Placeholders {
			if vars[name] == "" {
				vars[name] = sample
			}
		}
		for id, wordings := range spoken(p) {
			for key := range wordings {
				locale, channel, _ := strings.Cut(key, "/")
				words, err := p.Text(id, locale, channel, vars)
				if err != nil {
					t.Errorf("%s (%s): %v", id, key, err)
				}
				if nation == "northern-ireland" && strings.Contains(words, "111") {
					t.Errorf("%s (%s) sends somebody in Northern Ireland to 111: %s", id, key, words)
				}
			}
		}
	}
}

// HZ7: whoever sees her telephone lie about reads nothing of what she has, in either
// language.
func TestHazardHZ7ALockedScreenShowsNothing(t *testing.T) {
	t.Parallel()
	for _, words := range []string{"Your breast clinic", "{service}: a lump", "Unrhyw boen yn eich bron", "Oes gwaed yn eich pw, neu coesau", "Your mammogram is due"} {
		c := &checker{speaks: (&checker{}).style(nil)}
		c.wording(&text{id: "x.y", segments: 2, wording: map[string]string{"en-GB": words}}, "en-GB")
		if len(c.faults) != 1 || !strings.Contains(c.faults[0].Error(), "a locked screen would show") {
			t.Errorf("%q: %v", words, c.faults)
		}
	}
	for _, words := range []string{"Hello {given_name}, {service} here. A question for you about your chest", "Please be welcome to warm up, then armchair"} {
		c := &checker{speaks: (&checker{}).style(nil)}
		c.wording(&text{id: "x.y", segments: 2, wording: map[string]string{"en-GB": words}}, "en-GB")
		if len(c.faults) != 0 {
			t.Errorf("%q: %v", words, c.faults)
		}
	}
}

// HZ16 and HZ4: every text that a patient can get is there in Welsh too, with the same
// things filled in, and says that a Welsh speaker has to look at it.
func TestEveryTextIsThereInWelsh(t *testing.T) {
	t.Parallel()
	p := shipped(t)
	for id, wordings := range spoken(p) {
		if wordings["cy"] == "" || p.texts[id].welshReview != "needs a Welsh speaker's review" {
			t.Errorf("%s: its Welsh is %q (%s)", id, wordings["cy"], p.texts[id].welshReview)
		}
	}
}

// A language that the pack does not have is answered in English, whole: never half
// of a message in one language and half in the other.
func TestFallbackIsEnglish(t *testing.T) {
	t.Parallel()
	p := shipped(t)
	vars := map[string]string{"given_name": "Mary", "service": "Anytown nurses"}
	en, err := p.Text("check-in.start", "en-GB", "sms", vars)
	if err != nil {
		t.Fatal(err)
	}
	if fr, err := p.Text("check-in.start", "fr", "sms", vars); err != nil || fr != en {
		t.Errorf("in French: %q, %v", fr, err)
	}
	options := []flows.Option{{Key: "all", Label: "All", Welsh: "I gyd"}, {Key: "some", Label: "Some", Welsh: "Rhai"}, {Key: "none", Label: "None"}}
	if got := Choices(options, "en-GB"); got["choices"] != "1 All, 2 Some or 3 None" || got["list"] != "\n1 All\n2 Some\n3 None" {
		t.Errorf("%q", got)
	}
	if got := Choices(options, "cy"); got["choices"] != "1 I gyd, 2 Rhai neu 3 None" {
		t.Errorf("%q", got)
	}
}

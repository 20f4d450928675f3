package content

import (
	"slices"
	"strings"

	"lookout/flows"
)

// Sheet is a page about a person that she can hold: its words, without her facts.
type Sheet struct {
	Key        string   `yaml:"key"`
	Title      string   `yaml:"title"`
	Intro      string   `yaml:"intro"`
	AskHeading string   `yaml:"ask_heading"`
	Ask        []string `yaml:"ask"`
	Closing    string   `yaml:"closing"`
	Tests      bool     `yaml:"tests"` // the core filter tests are listed: for a GP, never for her
}

type sheetsFile struct {
	flows.About `yaml:",inline"`
	Sheets      []Sheet `yaml:"sheets"`
}

// sheets checks the file of the sheets.
func (c *checker) sheets(p *Pack) {
	const file = "service/summary.yaml"
	for _, key := range []string{"summary", "gp-letter", "ae-card"} {
		s, ok := p.Sheet(key, nil)
		if !ok || s.Title == "" || s.Intro == "" || s.AskHeading == "" || len(s.Ask) == 0 || s.Closing == "" {
			c.fault(file, 1, "the sheet %s is missing, or has not all of title, intro, ask_heading, ask and closing", key)
		}
		if key == "summary" && s.Tests {
			c.fault(file, 1, "her own summary must not list the filter tests: she is never asked to arrange them")
		}
	}
	for _, s := range p.service.sheets.Sheets {
		for _, words := range append([]string{s.Intro, s.Closing}, s.Ask...) {
			if says := c.speaks.neverIn(words); says != "" {
				c.fault(file, 1, "the sheet %s: %s", s.Key, says)
			}
			for _, m := range placeholder.FindAllStringSubmatch(words, -1) {
				if _, ok := Placeholders[m[1]]; !ok {
					c.fault(file, 1, "the sheet %s: there is no placeholder {%s}", s.Key, m[1])
				}
			}
		}
	}
}

// Sheet gives one by key, with its placeholders filled in.
func (p *Pack) Sheet(key string, vars map[string]string) (Sheet, bool) {
	i := slices.IndexFunc(p.service.sheets.Sheets, func(s Sheet) bool { return s.Key == key })
	if i < 0 {
		return Sheet{}, false
	}
	s := p.service.sheets.Sheets[i]
	fill := func(words string) string {
		for name, value := range vars {
			words = strings.ReplaceAll(words, "{"+name+"}", value)
		}
		return words
	}
	s.Intro, s.Closing, s.Ask = fill(s.Intro), fill(s.Closing), slices.Clone(s.Ask)
	for i := range s.Ask {
		s.Ask[i] = fill(s.Ask[i])
	}
	return s, true
}

package content

import (
	"slices"
	"strings"
	"time"

	"lookout/flows"
)

// Route is one of the ways to refer somebody (clinical digest 4.4).
type Route struct {
	Key   string `yaml:"key"`
	Label string `yaml:"label"`
	Days  int    `yaml:"days"` // until an outcome should be known; 0: nothing to wait for
	FDS   bool   `yaml:"fds"`  // the days are the Faster Diagnosis Standard's
}

// Criterion is one of the core criteria of a referral for non-specific symptoms that
// lookout can see (clinical digest 4.1). It is met by what is true of any of its kinds.
type Criterion struct {
	Key      string   `yaml:"key"`
	Label    string   `yaml:"label"`
	Concepts []string `yaml:"concepts"`
	Days     int      `yaml:"days"` // that one of the concepts has gone on, at least
	// WeightLoss is the loss in per cent of a weight of 60 to 120 days before (6.6);
	// beside it one of the concepts counts whatever its days.
	WeightLoss float64 `yaml:"weight_loss_percent"`
	Always     bool    `yaml:"always"`
}

// target is a share of referrals that should have their outcome in time, from a day.
type target struct {
	From    string  `yaml:"from"`
	Percent float64 `yaml:"percent"`
}

type referralFile struct {
	flows.About `yaml:",inline"`
	Routes      []Route     `yaml:"routes"`
	Ends        []Choice    `yaml:"ends"`
	Targets     []target    `yaml:"targets"`
	Criteria    []Criterion `yaml:"criteria"`
	FilterTests []string    `yaml:"filter_tests"`
}

// referral checks the file about referrals.
func (c *checker) referral(p *Pack) {
	const file = "service/referral.yaml"
	f := &p.service.referral
	for _, key := range []string{"open_access", "gp_to_mdt", "usc", "breast_symptomatic", "nss", "advice_guidance", "non_urgent", "emergency"} {
		if _, ok := p.Route(key); !ok {
			c.fault(file, 1, "the route %s is missing: all eight are needed", key)
		}
	}
	if len(f.Ends) == 0 || len(f.FilterTests) == 0 {
		c.fault(file, 1, "ends and filter_tests are missing")
	}
	for _, t := range f.Targets {
		if _, err := time.Parse(time.DateOnly, t.From); err != nil || t.Percent <= 0 || t.Percent > 100 {
			c.fault(file, 1, "the target from %q needs a day like 2026-03-31 and a per cent", t.From)
		}
	}
	for _, x := range f.Criteria {
		if x.Key == "" || x.Label == "" || !x.Always && len(x.Concepts) == 0 {
			c.fault(file, 1, "the criterion %q needs a key, a label and concepts", x.Key)
		}
		for _, concept := range x.Concepts {
			if p.lexicon != nil && !p.lexicon.Has(concept) {
				c.fault(file, 1, "the criterion %s: there is no concept %q", x.Key, concept)
			}
		}
	}
}

// Routes are the ways to refer somebody, in the order in which they are shown.
func (p *Pack) Routes() []Route { return slices.Clone(p.service.referral.Routes) }

// Route gives one of them by key.
func (p *Pack) Route(key string) (Route, bool) {
	i := slices.IndexFunc(p.service.referral.Routes, func(r Route) bool { return r.Key == key })
	if i < 0 {
		return Route{}, false
	}
	return p.service.referral.Routes[i], true
}

// ReferralEnds are what can come of a referral.
func (p *Pack) ReferralEnds() []Choice { return slices.Clone(p.service.referral.Ends) }

// ReferralEnd gives one of them by key.
func (p *Pack) ReferralEnd(key string) (Choice, bool) { return find(p.service.referral.Ends, key) }

// Criteria are the criteria of a referral for non-specific symptoms.
func (p *Pack) Criteria() []Criterion { return slices.Clone(p.service.referral.Criteria) }

// FilterTests are the core filter tests, for a GP.
func (p *Pack) FilterTests() []string { return slices.Clone(p.service.referral.FilterTests) }

// FDSTarget is the share of people who should have their answer in time, in per
// cent, on a day; 0 before the first.
func (p *Pack) FDSTarget(day time.Time) float64 {
	percent, from := 0.0, ""
	for _, t := range p.service.referral.Targets {
		if t.From <= day.Format(time.DateOnly) && strings.Compare(t.From, from) >= 0 {
			percent, from = t.Percent, t.From
		}
	}
	return percent
}

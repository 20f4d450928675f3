package memory

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"lookout/bot"
)

// sorted lists the ids of all patients in order.
func (m *Store) sorted() []string {
	if m.ids == nil {
		for id := range m.patients {
			m.ids = append(m.ids, id)
		}
		slices.Sort(m.ids)
	}
	return m.ids
}

func (m *Store) Find(ctx context.Context, service, query string, limit int) ([]bot.Patient, error) {
	if err := m.lock(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	want := bot.ParseSearch(query)
	var out []bot.Patient
	for _, id := range m.sorted() {
		p := &m.patients[id].rec.Patient
		if len(out) < limit && p.Service == service && meant(p, want) {
			out = append(out, *p)
		}
	}
	return out, nil
}

// meant says whether somebody is whom a search means.
func meant(p *bot.Patient, want bot.Search) bool {
	switch {
	case want.BirthDate != "":
		return p.BirthDate == want.BirthDate
	case want.Digits != "":
		return p.NHSNumber == want.Digits || slices.ContainsFunc(p.Addresses, func(a bot.Address) bool { return a.At == want.Phone })
	}
	parts := bot.NameParts(p.GivenName + " " + p.FamilyName)
	for _, word := range want.Words {
		if !slices.ContainsFunc(parts, func(part string) bool { return strings.HasPrefix(part, word) }) {
			return false
		}
	}
	return len(want.Words) > 0
}

func (m *Store) Said(ctx context.Context, service string, words []string, limit int) ([]string, error) {
	if err := m.lock(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	last := map[string]int64{}
	var out []string
	for _, id := range m.sorted() {
		p := m.patients[id]
		if p.rec.Patient.Service != service {
			continue
		}
		missing := slices.Clone(words)
		for day, said := range bot.SaidOn(p.journal) {
			missing = slices.DeleteFunc(missing, func(w string) bool {
				has := slices.Contains(said, w)
				if has {
					last[id] = max(last[id], day)
				}
				return has
			})
		}
		if len(missing) == 0 && len(words) > 0 {
			out = append(out, id)
		}
	}
	slices.SortStableFunc(out, func(a, b string) int { return cmp.Compare(last[b], last[a]) })
	return out[:min(len(out), limit)], nil
}

// EnterNewSaid finds nothing to do, as EnterSaid.
func (m *Store) EnterNewSaid(ctx context.Context) error { return nil }

// EnterSaid finds nothing to do: what is asked for is read from the journals.
func (m *Store) EnterSaid(ctx context.Context, patient string) error {
	_, err := m.Load(ctx, patient)
	return err
}

func (m *Store) Patients(ctx context.Context, service, after string, limit int) ([]bot.Patient, error) {
	if err := m.lock(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	ids := m.sorted()
	i, found := slices.BinarySearch(ids, after)
	if found {
		i++
	}
	var out []bot.Patient
	for _, id := range ids[i:] {
		if p := m.patients[id]; p.rec.Patient.Service == service && len(out) < limit {
			clone := p.rec.Clone()
			out = append(out, clone.Patient)
		}
	}
	return out, nil
}

package memory

import (
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

package flows

import "slices"

// Ways lists every way that a talk of this flow can take, in the order of its
// file's steps by name: each answer's, branch's, expiry's and reminder's way from
// each step. Conversations that are tests are held against it.
func (p *Program) Ways(flow string) []string {
	f := p.flows[flow]
	if f == nil {
		return nil
	}
	var out []string
	for _, st := range f.steps {
		way := func(how, to string) { out = append(out, wayName(flow, st.name, how, to)) }
		switch st.verb {
		case "ask":
			for _, to := range st.on {
				way("answered", to)
			}
			for _, r := range st.ranges {
				way("answered", r.next)
			}
			way("answered", st.next)
			way("expired", st.expired)
			if st.unclear != "" {
				way("unclear", "")
			}
			if st.unclearNext != "" {
				way("unclear", st.unclearNext)
			}
			for range st.remind {
				way("reminded", "")
			}
		case "branch":
			for i := range st.branches {
				way("branch", st.branches[i].next)
			}
			way("branch", st.otherwise)
		default:
			way(st.verb, st.next)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func wayName(flow, step, how, to string) string {
	name := flow + "/" + step + " " + how
	if to != "" {
		name += " → " + to
	}
	return name
}

// Traced is Step, and names to took each way that the talk goes, as Ways lists them.
func Traced(p *Program, s State, e Event, facts Facts, took func(way string)) (State, []Effect, error) {
	r := &run{p: p, s: clone(s), facts: &facts, now: e.Now, took: took}
	if err := r.take(e); err != nil {
		return s, nil, err
	}
	return r.s, r.effects, nil
}

// goes tells a way to whoever traces the talk.
func (r *run) goes(st *step, how, to string) {
	if r.took != nil {
		r.took(wayName(r.top().Flow, st.name, how, to))
	}
}

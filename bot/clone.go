package bot

import (
	"maps"
	"slices"

	"lookout/flows"
)

// Clone gives a record that shares nothing with this one that either could change.
func (r *Record) Clone() Record {
	c := *r
	p := &c.Patient
	p.Addresses = slices.Clone(p.Addresses)
	p.Consents = slices.Clone(p.Consents)
	p.Wish.Days = slices.Clone(p.Wish.Days)
	p.Quiet = slices.Clone(p.Quiet)
	p.Carers = slices.Clone(p.Carers)
	if p.Profile.PostMenopause != nil {
		yes := *p.Profile.PostMenopause
		p.Profile.PostMenopause = &yes
	}
	c.Talk.Frames = cloneFrames(c.Talk.Frames)
	c.Talk.BackFrames = cloneFrames(c.Talk.BackFrames)
	c.Talk.Named = slices.Clone(c.Talk.Named)
	c.Rows = slices.Clone(c.Rows)
	for i := range c.Rows {
		c.Rows[i].Spans = slices.Clone(c.Rows[i].Spans)
		if r := c.Rows[i].Referral; r != nil {
			referral := *r
			c.Rows[i].Referral = &referral
		}
	}
	c.Past = slices.Clone(c.Past)
	c.Weights = slices.Clone(c.Weights)
	c.Wakes = slices.Clone(c.Wakes)
	c.Heard = slices.Clone(c.Heard)
	c.Planned = maps.Clone(c.Planned)
	c.Told = maps.Clone(c.Told)
	c.Reach = maps.Clone(c.Reach)
	return c
}

func cloneFrames(frames []flows.Frame) []flows.Frame {
	frames = slices.Clone(frames)
	for i := range frames {
		frames[i].Answers = maps.Clone(frames[i].Answers)
		frames[i].Held = maps.Clone(frames[i].Held)
	}
	return frames
}

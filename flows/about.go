package flows

import "time"

// About is what stands at the head of each part of the content: its version, who
// answers for it, and where it comes from.
type About struct {
	Version int    `yaml:"version"`
	Review  Review `yaml:"review"`
	Source  string `yaml:"source"`
}

// Review says who wrote a part of the content, whether a clinician has approved
// it, and by when it is looked at again.
type Review struct {
	State    string `yaml:"state"` // "draft" or "approved"
	Author   string `yaml:"author"`
	Reviewer string `yaml:"reviewer"` // the clinician; only of what is approved
	Next     string `yaml:"next"`     // 2006-01-02
}

// Approved says whether a clinician has approved it.
func (r Review) Approved() bool { return r.State == "approved" }

// ReviewFault is one thing that is wrong with a review.
type ReviewFault struct{ Field, Message, Mend string }

// Faults are what is wrong with it; none when it is right.
func (r Review) Faults() []ReviewFault {
	var out []ReviewFault
	fault := func(field, message, mend string) { out = append(out, ReviewFault{field, message, mend}) }
	switch {
	case r.State == "draft" && r.Reviewer != "":
		fault("reviewer", "the review state is draft, and a reviewer is named", "set `state: approved`, or take the reviewer out")
	case r.State == "approved" && r.Reviewer == "":
		fault("state", "the review state is approved, and nobody is named", "name the clinician in `reviewer:`")
	case r.State != "draft" && r.State != "approved":
		fault("state", "the review state must be draft or approved", "write `review: {state: draft, author: …}`")
	}
	if r.Author == "" {
		fault("author", "the author is missing", "name who wrote it in `review: {author: …}`")
	}
	if _, err := time.Parse(time.DateOnly, r.Next); r.Next != "" && err != nil {
		fault("next", "the next review is not a date", "write it like 2027-11-24")
	}
	return out
}

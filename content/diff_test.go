package content

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// What is not texts and flows is compared by where it stands, with an item of a list by
// its name, lengths of time and conditions in words, and a list of words as words that
// came and went. Who answers for a file is no change for patients.
func TestDiffOfLists(t *testing.T) {
	t.Parallel()
	pack := func(version int, plan, lexicon string) *Pack {
		head := fmt.Sprintf("version: %d\nreview: {state: draft, author: A. Author}\nsource: own\n", version)
		return &Pack{files: map[string][]byte{"plans/p.yaml": []byte("plan: p\n" + head + plan), "lexicon/concepts.yaml": []byte(head + lexicon),
			"lexicon/english.yaml": []byte(head + "english: |\n  one two\n  three\n")}}
	}
	old := pack(1, "items:\n- {id: a, after: 2w, flow: check-in, when: \"profile.male\"}\n- {id: b, after: 1m, text: x.y}\n", "concepts:\n- id: cough\n  level: soon\n  wordings: [a cough, coughing]\n")
	now := pack(2, "items:\n- {id: b, after: 1m, text: x.y}\n- {id: a, after: 1y, flow: check-in, when: \"profile.male || open\"}\n", "concepts:\n- id: cough\n  level: urgent\n  wordings: [coughing, hacking]\n")
	now.files["lexicon/english.yaml"] = []byte("version: 1\nenglish: |\n  one\n  three four\n")
	now.files["lexicon/second.weights"] = []byte{1}
	var got []string
	for _, c := range slices.Concat(old.diffFolder(now, "Plans", "plans"), old.diffFolder(now, "Lexicon", "lexicon")) {
		got = append(got, fmt.Sprintf("%s %s | %s | %s | %s", c.Part, c.ID, c.What, strings.Join(c.Before, "; "), strings.Join(c.Now, "; ")))
	}
	want := []string{
		"Plans p | a, after | 2 weeks | 1 year",
		"Plans p | a, when | “male” is ticked for her | “male” is ticked for her or the desk is open",
		"Lexicon concepts | cough, level | soon | urgent",
		"Lexicon concepts | cough, wordings | a cough | hacking",
		"Lexicon english | english | two | four",
		"Lexicon second.weights | the second reader |  | it was trained anew: `lookout triage diff` shows which messages it reads otherwise",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// The same content has no difference, and is not read for any.
func TestNoDiff(t *testing.T) {
	t.Parallel()
	if changes := (&Pack{digest: "sha256:1"}).Diff(&Pack{digest: "sha256:1"}); changes != nil {
		t.Error(changes)
	}
}

// Who answers for a part is one line.
func TestStateOfAnEntry(t *testing.T) {
	t.Parallel()
	e := Entry{}
	e.Version, e.Review.State, e.Review.Author = 3, "draft", "A. Author"
	if got := e.State(); got != "version 3, draft by A. Author" {
		t.Error(got)
	}
	e.Review.State, e.Review.Reviewer, e.Review.Next = "approved", "Dr B. Example", "2027-06-01"
	if got := e.State(); got != "version 3, approved by Dr B. Example, looked at again by 1 June 2027" {
		t.Error(got)
	}
}

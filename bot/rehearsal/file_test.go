package rehearsal

import (
	"fmt"
	"strings"
	"testing"
)

// A file that is not written as its README says is refused, at its line.
func TestConversationFilesAreStrict(t *testing.T) {
	t.Parallel()
	const head = "# what\npatient: Mary, 07700900123\nclock: Tue 24 Nov 2026 10:30\n\n"
	if _, err := ReadConversations("f", head+"lookout: Hello …\n# a remark\nher: no\nnothing\n"); err != nil {
		t.Fatal(err)
	}
	for text, line := range map[string]int{
		"# what\nclock: Tue 24 Nov 2026 10:30":                                 1, // no empty line
		"patient: Mary, 07700900123\nclock: Tue 24 Nov 2026 10:30\n\n":         1, // no heading
		"# what\npatient: Mary, 07700900123\n\n":                               2, // no clock
		"# what\nclock: Wed 24 Nov 2026 10:30\n\n":                             2, // another weekday
		"# what\npatient: Mary, 07911123456\nclock: Tue 24 Nov 2026 10:30\n\n": 2, // a number that may be somebody's
		"# what\npatient: Mary, 07700900123, tall\n\n":                         2,
		"# what\ncolour: blue\n\n":                                             2,
		"# what\nclock: Tue 24 Nov 2026 10:30\nnation: scotland\n\n":           3,
		head + "she: no\n":                         5,
		head + "Jane: no\n":                        5,
		head + "her: no\nsays: Hello\n":            6,
		head + "her (fax): no\n":                   5,
		head + "her:no\n":                          5,
		head + "her: no\nnothing\n---\n# next\n\n": 8,
	} {
		if _, err := ReadConversations("f", text); err == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf("f:%d: ", line)) {
			t.Errorf("%q: %v, want a fault on line %d", text, err, line)
		}
	}
}

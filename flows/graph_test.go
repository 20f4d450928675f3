package flows

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Every step and every way on stands in the picture, with nothing in it that
// Mermaid would take for its own.
func TestMermaid(t *testing.T) {
	t.Parallel()
	words := func(id string) string {
		if id == "t.bye" {
			return "Thank you.\n\"#1\" <that> is all that we wanted to hear from you now, until we ask again in three months"
		}
		return ""
	}
	const want = `flowchart TD
  start((small)) --> s_pain
  s_pain[/"t.pain (yes_no)"/]
  s_pain -->|"no answer in 7d"| s_gone
  s_pain -->|"any other answer"| s_route
  s_pain -->|"unsure"| s_bad
  s_pain -->|"yes"| s_bad
  s_pain -->|"not understood"| s_person
  s_bad[/"t.bad (scale)"/]
  s_bad -->|"no answer in 2d"| s_gone
  s_bad -->|"any answer"| s_route
  s_bad -->|"not understood"| s_person
  s_route{"route"}
  s_route -->|"answer.bad #gt;= 7.0 || said('breast_lump')"| s_sub
  s_route -->|"else"| s_bye
  s_sub[["sub"]]
  s_sub --> s_bye
  s_person>"routine: r"]
  s_person --> s_bye
  s_bye["Thank you. #quot;#35;1#quot; #lt;that#gt; is all that we wanted to hear from you now, until we ask…"]
  s_bye --> end_bye(("completed"))
  s_gone>"routine: no answer"]
  s_gone --> s_gone_say
  s_gone_say["t.gone"]
  s_gone_say --> end_gone_say(("expired"))
`
	p := program(t)
	if diff := cmp.Diff(want, p.Mermaid("small", words)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := p.Mermaid("nothing", nil); got != "" {
		t.Errorf("a flow that is not there is drawn: %s", got)
	}
}

package bot

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"lookout/flows/triage"
)

// RangUs is what the journal says of a call from her.
const RangUs = "She rang us"

// onThePhone stands for the nurse who writes down what she says: her words are a third
// party's, as a carer's are, and are read with nobody's texts.
const onThePhone = "telephone"

// maxCall bounds what is written down of one call, in characters.
const maxCall = 2000

// TookCall keeps what she, or somebody for her, said on the telephone, as a nurse wrote it
// down. It is read as a message is: it joins her rows or opens some, and the nurse holds
// them as one who has spoken with her, save those that a colleague holds. Nothing is
// texted to her, and nobody is paged, for the nurse has her on the line. It gives the
// most dangerous of the rows. A *[FieldError]; [ErrNotFound].
func (b *Bot) TookCall(ctx context.Context, patient, by, words string) (after Row, err error) {
	words = strings.TrimSpace(words)
	switch {
	case by == "":
		return after, &FieldError{"by", "is missing: say who took the call"}
	case words == "":
		return after, &FieldError{"text", "is missing: write down what she said"}
	case len([]rune(words)) > maxCall:
		return after, &FieldError{"text", fmt.Sprintf("is too long: at most %d characters", maxCall)}
	}
	err = b.turnOfHers(ctx, patient, func(t *turn) error {
		t.entry(Entry{Kind: EntryRing, By: by, Text: words, Why: RangUs})
		in := Inbound{Text: words, Carer: onThePhone, At: t.now}
		reading, _ := t.read(in, nil, false)
		t.remember(in, reading, true)
		const how = "By telephone: "
		reading.Why, reading.Findings = "She rang. "+reading.Why, slices.Clone(reading.Findings)
		for i := range reading.Findings {
			f := &reading.Findings[i]
			f.Start, f.End = f.Start+len(how), f.End+len(how)
		}
		rows := t.queue(reading, how+words)
		if len(rows) == 0 {
			rows = []raised{t.openRow("contact-request", triage.Routine, "She rang. Nothing in what was written down asks for more.", how+words, nil)}
		}
		if deathReported(reading) && t.rec.Patient.Status != Ended {
			t.bereaved()
		}
		for _, x := range rows {
			if r := t.rowByID(x.row.ID); r.State != Claimed || r.ClaimedBy == by {
				t.heardBy(r, by)
			}
		}
		after = *t.rowByID(rows[0].row.ID)
		return nil
	})
	return after, err
}

// heardBy gives a row to a nurse who is speaking with her, and takes back the pages for it
// that this turn has made.
func (t *turn) heardBy(r *Row, by string) {
	if !r.Spoke {
		r.Spoke, r.SpokeAt = true, t.now
	}
	t.promiseKept(r)
	t.change.Send = slices.DeleteFunc(t.change.Send, func(o Outgoing) bool { return o.Row == r.ID })
	t.change.Entries = slices.DeleteFunc(t.change.Entries, func(e Entry) bool { return e.Kind == EntryPage && e.Ref == r.ID })
	r.PagedTo = ""
	if r.State != Claimed {
		t.claim(r, by, "taken: she rang")
	}
	t.hold(r)
}

package bot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Pledge is the service's word to the people whom it follows: what they said, and what
// was done about it. A lead writes it, and puts it on a public page.
type Pledge struct {
	Intro     string       `json:"intro,omitempty"`
	IntroCy   string       `json:"intro_cy,omitempty"` // in Welsh; "": the English stands on that page too
	Items     []PledgeItem `json:"items,omitempty"`
	By        string       `json:"by"` // the lead's e-mail address; never shown in public
	At        time.Time    `json:"at"`
	Published bool         `json:"published,omitempty"` // of what stands on the public page
}

// PledgeItem is one thing that people said.
type PledgeItem struct {
	Said  string `json:"said"`
	Did   string `json:"did"`
	State string `json:"state"` // key of PledgeStates
	// In Welsh, both or neither.
	SaidCy string `json:"said_cy,omitempty"`
	DidCy  string `json:"did_cy,omitempty"`
}

// PledgeStates are how far a thing is, in the order in which they are offered.
var PledgeStates = []string{"done", "begun", "planned", "cannot"}

const (
	drawerPledge = "pledge" // key: draft, public
	// MostPledges and the lengths bound what a public page holds.
	MostPledges              = 12
	longestSaid, longestText = 300, 1000
)

// Pledge gives the lead's draft, or what is published. [ErrNotFound]: there is none.
func (b *Bot) Pledge(ctx context.Context, public bool) (Pledge, error) {
	var p Pledge
	value, err := b.store.Value(ctx, drawerPledge, pledgeKey(public), b.now())
	if err == nil {
		err = json.Unmarshal(value, &p)
	}
	return p, err
}

func pledgeKey(public bool) string {
	if public {
		return "public"
	}
	return "draft"
}

// PutPledge keeps a draft; publish puts it on the public page too. A *[FieldError] when
// it cannot stand there.
func (b *Bot) PutPledge(ctx context.Context, p Pledge, publish bool) error {
	if err := p.check(publish); err != nil {
		return err
	}
	p.At = b.now()
	for _, public := range []bool{false, true} {
		if public && !publish {
			continue
		}
		p.Published = public
		value, err := json.Marshal(p)
		if err == nil {
			err = b.store.PutValue(ctx, drawerPledge, pledgeKey(public), value, time.Time{})
		}
		if err != nil {
			return fmt.Errorf("keep the pledge: %w", err)
		}
	}
	return nil
}

// TakePledgeDown takes the public page away; the draft stays. None there is no error.
func (b *Bot) TakePledgeDown(ctx context.Context) error {
	err := b.store.DeleteValue(ctx, drawerPledge, pledgeKey(true))
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

func (p *Pledge) check(publish bool) error {
	if publish && len(p.Items) == 0 {
		return &FieldError{"said0", "must say one thing at least before it is published"}
	}
	if len(p.Items) > MostPledges {
		return &FieldError{"said0", fmt.Sprintf("may be at most %d things", MostPledges)}
	}
	for field, text := range map[string]string{"intro": p.Intro, "introcy": p.IntroCy} {
		if utf8.RuneCountInString(text) > longestText {
			return &FieldError{field, fmt.Sprintf("may have at most %d characters", longestText)}
		}
	}
	for i, item := range p.Items {
		switch {
		case item.Said == "":
			return &FieldError{fmt.Sprintf("said%d", i), "is missing: say what people told you"}
		case publish && item.Did == "":
			return &FieldError{fmt.Sprintf("did%d", i), "is missing: say what you did, or why you cannot"}
		case publish && (item.SaidCy == "") != (item.DidCy == ""):
			return &FieldError{fmt.Sprintf("didcy%d", i), "must be there in Welsh with what they said, or neither"}
		case utf8.RuneCountInString(item.SaidCy) > longestSaid || utf8.RuneCountInString(item.DidCy) > longestText:
			return &FieldError{fmt.Sprintf("didcy%d", i), fmt.Sprintf("may have at most %d characters, and what they said %d", longestText, longestSaid)}
		case utf8.RuneCountInString(item.Said) > longestSaid:
			return &FieldError{fmt.Sprintf("said%d", i), fmt.Sprintf("may have at most %d characters", longestSaid)}
		case utf8.RuneCountInString(item.Did) > longestText:
			return &FieldError{fmt.Sprintf("did%d", i), fmt.Sprintf("may have at most %d characters", longestText)}
		case !strings.Contains(" "+strings.Join(PledgeStates, " ")+" ", " "+item.State+" "):
			return &FieldError{fmt.Sprintf("state%d", i), "must be one of the list"}
		}
	}
	return nil
}

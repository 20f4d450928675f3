package desk

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/pquerna/otp/totp"

	"lookout/bot"
)

// Several of the team look at every list and act on one row, while its patient writes:
// everybody is answered, and the race detector has something to look at.
func TestTheTeamAtOnce(t *testing.T) {
	o := newOffice(t)
	patient := strings.Split(o.row, bot.RowMark)[0]
	var all sync.WaitGroup
	for _, email := range []string{"ann@example.org", "bea@example.org"} {
		page := o.browser(email)
		for _, path := range []string{"/desk/", "/desk/?show=now", "/desk/?show=mine", "/desk/rows/" + o.row, "/desk/patients/" + patient, "/desk/hand-over", "/desk/call-list", "/desk/referrals"} {
			all.Go(func() {
				for range 4 {
					if status, body := o.get(page, path); status != 200 && status != 404 {
						t.Errorf("%s: %d %s", path, status, body)
					}
				}
			})
		}
		all.Go(func() {
			for range 4 {
				for _, act := range []string{"take", "note", "looking", "draft", "release"} {
					status, body := o.post(page, "/desk/rows/"+o.row+"/"+act, url.Values{"text": {"looked at"}, "field": {"note"}})
					if status >= 500 {
						t.Errorf("%s: %d %s", act, status, body)
					}
				}
			}
		})
	}
	all.Go(func() {
		for n := range 8 {
			if err := o.bot.Receive(t.Context(), bot.Inbound{From: bot.Address{Channel: "sms", At: "+447700900123"}, Text: "the lump is bigger", CarrierID: fmt.Sprint("again", n)}); err != nil {
				t.Error(err)
			}
		}
	})
	all.Wait()
}

// A code that comes from two places at the same moment lets one of them in.
func TestACodeCountsOnceAlsoAtOnce(t *testing.T) {
	o := newOffice(t)
	u, err := o.bot.User(t.Context(), "ann@example.org")
	if err != nil {
		t.Fatal(err)
	}
	u.TOTP = "JBSWY3DPEHPK3PXP"
	if err := o.bot.PutUser(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	code, err := totp.GenerateCode(u.TOTP, o.clock.at)
	if err != nil {
		t.Fatal(err)
	}
	places := make([]*http.Client, 4)
	for i := range places {
		places[i] = nobodyYet()
		o.post(places[i], "/desk/sign-in", url.Values{"email": {u.Email}, "password": {password}})
	}
	in := make(chan string, len(places))
	var all sync.WaitGroup
	for i, page := range places {
		all.Go(func() {
			if status, _ := o.post(page, "/desk/code", url.Values{"code": {code}}); status == 200 {
				in <- fmt.Sprint(i)
			}
		})
	}
	all.Wait()
	if close(in); len(in) != 1 {
		t.Errorf("one code let %d in", len(in))
	}
}

// meanwhile is a bot on which something happens between somebody's request and its write.
type meanwhile struct {
	Bot
	do func()
}

func (m *meanwhile) ChangeSignIn(ctx context.Context, email, what, session string, change func(u *bot.User) error) (bot.User, error) {
	return m.Bot.ChangeSignIn(ctx, email, what, session, func(u *bot.User) error {
		err := change(u)
		if do := m.do; do != nil {
			m.do = nil
			do()
		}
		return err
	})
}

// An administrator shuts a nurse out while she chooses another password: she is out, and
// stays so.
func TestABlockIsNotLostToANewPassword(t *testing.T) {
	o := newOffice(t)
	ann, ida := o.browser("ann@example.org"), o.browser("ida@example.org")
	m := &meanwhile{Bot: o.bot, do: func() {
		if status, _ := o.post(ida, "/desk/users/disable", url.Values{"email": {"ann@example.org"}, "disabled": {"yes"}}); status != 200 {
			t.Errorf("shut out: %d", status)
		}
	}}
	o.again(func(c *Config) { c.Bot = m })
	if status, page := o.post(ann, "/desk/password", url.Values{"now": {password}, "new": {"harbour lemon ladder"}}); status != 409 {
		t.Errorf("%d %s", status, page)
	}
	u, err := o.bot.User(t.Context(), "ann@example.org")
	if err != nil || !u.Disabled {
		t.Errorf("the block is lost: %v", err)
	}
	if _, page := o.get(ann, "/desk/"); !strings.Contains(page, "Sign in to the desk") {
		t.Error("she goes on")
	}
}

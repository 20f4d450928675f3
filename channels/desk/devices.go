package desk

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"lookout/bot"
)

// device is one place where somebody is signed in.
type device struct {
	ID    string
	Name  string // "Firefox on Windows"
	Since time.Time
	Seen  time.Time // when she did something there last, to the minute
	Here  bool      // it is the one that asks
}

// fresh makes this session another one, of somebody who has just shown who she is.
func (d *Desk) fresh(r *http.Request) (id string) {
	id = rand.Text()
	d.sessions.Put(r.Context(), "id", id)
	d.sessions.Put(r.Context(), "since", d.Now().Unix())
	d.sessions.Put(r.Context(), "seen", d.Now().Unix())
	d.sessions.Put(r.Context(), "device", deviceName(r.UserAgent()))
	return id
}

// ended says whether a session counts no more: her password or second factor has changed
// since it began, or she has ended it from elsewhere.
func (d *Desk) ended(ctx context.Context, u bot.User) bool {
	return d.sessions.GetString(ctx, "password") != fingerprint(u) || u.HasEnded(d.sessions.GetString(ctx, "id"))
}

// used notes when she did something last. What a page asks of itself does not count.
func (d *Desk) used(r *http.Request) {
	if now := d.Now().Unix(); !byItself(r) && now-d.sessions.GetInt64(r.Context(), "seen") >= 60 {
		d.sessions.Put(r.Context(), "seen", now)
	}
}

// byItself says whether an open page asks, and not she.
func byItself(r *http.Request) bool {
	return r.Header.Get("X-Background") != "" || r.URL.Path == "/desk/events"
}

// devices lists where somebody is signed in: this one, then the one used last.
func (d *Desk) devices(r *http.Request, u bot.User) ([]device, error) {
	here := d.sessions.GetString(r.Context(), "id")
	var out []device
	err := d.sessions.Iterate(r.Context(), func(ctx context.Context) error {
		if id := d.sessions.GetString(ctx, "id"); id != "" && d.sessions.GetString(ctx, "email") == u.Email && !d.ended(ctx, u) {
			x := device{id, d.sessions.GetString(ctx, "device"), time.Unix(d.sessions.GetInt64(ctx, "since"), 0), time.Unix(d.sessions.GetInt64(ctx, "seen"), 0), id == here}
			if x.Here {
				x.Seen = d.Now()
			}
			out = append(out, x)
		}
		return nil
	})
	slices.SortFunc(out, func(x, y device) int {
		if x.Here != y.Here {
			if x.Here {
				return -1
			}
			return 1
		}
		return y.Seen.Compare(x.Seen)
	})
	return out, err
}

// endDevice signs her out on one of her devices; that she is signed out there already is no error.
func (d *Desk) endDevice(w http.ResponseWriter, r *http.Request, u bot.User) error {
	if err := d.audit(r, u, "sign out on another device", "", ""); err != nil {
		return err
	}
	_, err := d.Bot.ChangeUser(r.Context(), u.Email, d.signed(r, func(x *bot.User) error {
		x.End(r.PostFormValue("device"), d.Now().Add(d.sessions.Lifetime), d.Now())
		return nil
	}))
	return d.account(w, r, err)
}

// endOthers signs her out on every device but this one.
func (d *Desk) endOthers(w http.ResponseWriter, r *http.Request, u bot.User) error {
	if err := d.audit(r, u, "sign out everywhere else", "", ""); err != nil {
		return err
	}
	u, err := d.Bot.ChangeUser(r.Context(), u.Email, d.signed(r, func(x *bot.User) error {
		x.Epoch++
		return nil
	}))
	if err == nil {
		d.sessions.Put(r.Context(), "password", fingerprint(u))
	}
	return d.account(w, r, err)
}

// account shows the page of her account when something of it has changed.
func (d *Desk) account(w http.ResponseWriter, r *http.Request, err error) error {
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/desk/password#devices", http.StatusSeeOther)
	return nil
}

// changed changes one of her ways to sign in, and tells her.
func (d *Desk) changed(r *http.Request, u bot.User, what string, change func(u *bot.User) error) (bot.User, error) {
	after, err := d.Bot.ChangeSignIn(r.Context(), u.Email, what, d.sessions.GetString(r.Context(), "id"), d.signed(r, change))
	if err != nil {
		return u, err
	}
	return after, nil
}

// signed makes a change of somebody's account one that she makes herself: who was shut
// out since her request came, or whose session has ended, changes nothing more.
func (d *Desk) signed(r *http.Request, change func(u *bot.User) error) func(u *bot.User) error {
	return func(u *bot.User) error {
		if u.Disabled || d.ended(r.Context(), *u) {
			return fmt.Errorf("%w: her session has ended", bot.ErrConflict)
		}
		return change(u)
	}
}

// news are the changes to her ways of signing in that were made elsewhere, and of which
// she has not said that she knows.
func (d *Desk) news(r *http.Request, u bot.User) []bot.SignInChange {
	if len(u.Changes) == 0 {
		return nil
	}
	here := d.sessions.GetString(r.Context(), "id")
	return slices.DeleteFunc(slices.Clone(u.Changes), func(c bot.SignInChange) bool { return c.Session == here })
}

// knowsOf takes her word that the changes that were shown to her are hers. One that was
// made since is shown still.
func (d *Desk) knowsOf(w http.ResponseWriter, r *http.Request, u bot.User) error {
	r.ParseForm()
	known := r.PostForm["change"]
	if err := d.audit(r, u, "say that changes of her sign-in are hers", "", ""); err != nil {
		return err
	}
	_, err := d.Bot.ChangeUser(r.Context(), u.Email, d.signed(r, func(x *bot.User) error {
		x.Changes = slices.DeleteFunc(x.Changes, func(c bot.SignInChange) bool { return slices.Contains(known, c.At.UTC().Format(time.RFC3339Nano)) })
		return nil
	}))
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/desk/", http.StatusSeeOther)
	return nil
}

// deviceName is what a person calls what she signs in with, by what its browser says of itself.
func deviceName(agent string) string {
	first := func(of [][2]string, otherwise string) string {
		for _, x := range of {
			if strings.Contains(agent, x[0]) {
				return x[1]
			}
		}
		return otherwise
	}
	browser := first([][2]string{{"Edg", "Edge"}, {"OPR/", "Opera"}, {"SamsungBrowser", "Samsung Internet"}, {"Firefox/", "Firefox"}, {"FxiOS", "Firefox"}, {"CriOS", "Chrome"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"}}, "A browser")
	return browser + " on " + first([][2]string{{"iPhone", "an iPhone"}, {"iPad", "an iPad"}, {"Android", "Android"}, {"Windows", "Windows"}, {"Macintosh", "a Mac"}, {"CrOS", "a Chromebook"}, {"Linux", "Linux"}}, "another device")
}

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"lookout/bot"
	"lookout/bot/redisstore"
	"lookout/channels/desk"
	"lookout/channels/email"
	"lookout/channels/sms"
	"lookout/content"
)

type doctorCmd struct {
	Settings string `help:"The settings file." default:"lookout.yaml" placeholder:"FILE"`
}

// Help is shown by lookout doctor --help.
func (*doctorCmd) Help() string { return "Example:\n  lookout doctor --settings /etc/lookout.yaml" }

// Run checks everything that lookout stands on, each on its own.
func (c *doctorCmd) Run(e *env) error {
	sick := 0
	report := func(what string, err error, good string) {
		if err == nil {
			fmt.Fprintf(e.out, "ok    %-9s %s\n", what, good)
			return
		}
		sick++
		for line := range strings.SplitSeq(err.Error(), "\n") {
			fmt.Fprintf(e.out, "FAULT %-9s %s\n", what, line)
		}
	}
	s, err := loadSettings(c.Settings, e)
	if s == nil {
		report("settings", err, "")
		return errors.New("nothing else was checked: what is wrong depends on the settings")
	}
	s.defaults()
	report("settings", errors.Join(err, s.check()), c.Settings+" and the environment")
	pack, err := s.pack()
	approved := "no faults"
	if pack != nil {
		approved = fmt.Sprintf("no faults; signed by %s; %d of %d parts are drafts; %d are overdue for review", signedBy(pack), len(pack.Drafts()), len(pack.Entries()), len(pack.Overdue(e.now())))
		if n := len(pack.Lint()); n > 0 {
			approved += fmt.Sprintf("; %d things in how it is said are to be mended, which lookout flows check tells", n)
		}
	}
	report("content", err, approved)
	if pack != nil {
		team, err := s.team(pack)
		report("service", err, "hours, calendar and numbers can be read")
		if err == nil {
			report("calendar", calendarAhead(pack, team, e.now()), "bank holidays of "+team.Nation+" are known until "+pack.HolidaysUntil(team.Nation).Format(time.DateOnly))
		}
		for _, lack := range s.lacks() {
			report("patients", errors.New(lack), "")
		}
	}
	if path, ok := strings.CutPrefix(s.Store, "sqlite:"); ok {
		store, err := storeAnswers(e, s)
		report("store", err, path)
		if err == nil {
			report("keys", s.keysRight(store), encryptionWished(s, store))
		}
		report("disk", diskRoom(filepath.Dir(path)), "at least 1 GB is free")
	} else if s.checkStore() == nil {
		good, store, err := redisAnswers(e, s)
		report("store", err, good)
		if err == nil {
			report("keys", s.keysRight(store), encryptionWished(s, store))
		}
	}
	if s.Twilio.AccountSID == "" {
		report("twilio", errors.New("not checked: there are no credentials"), "")
	} else {
		report("twilio", c.twilio(e.ctx, s), "the account and the token are right")
		report("clock", clockRight(e.ctx, s.Twilio.APIURL), "agrees with Twilio's within a minute")
	}
	if s.Canary.Phone == "" {
		report("daily", nil, "no test: set canary.phone, and each morning the desk says that the whole path works (docs/operations.md)")
	} else if _, err := s.canary(); err == nil {
		report("daily", nil, "the whole path is tested at "+s.Canary.At+" by the "+s.Canary.Way)
	}
	if s.SMTP.Address != "" && len(s.mail().Check()) == 0 {
		report("mail", mailProbe(e.ctx, s), "the mail server takes our sign-in")
	}
	if provider := s.OIDC.provider(); provider != nil && s.OIDC.check() == nil {
		report("sign-in", providerAnswers(e.ctx, provider), provider.Issuer+" answers, and names itself rightly")
	}
	if sick > 0 {
		return fmt.Errorf("%d things need attention", sick)
	}
	return nil
}

func (*doctorCmd) twilio(ctx context.Context, s *settings) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	client, err := sms.NewClient(sms.Account{SID: s.Twilio.AccountSID, AuthToken: s.Twilio.AuthToken, APIURL: s.Twilio.APIURL}, nil)
	if err != nil {
		return err
	}
	if err := client.Check(ctx); err != nil {
		return fmt.Errorf("%w: compare account_sid and auth_token with Twilio's console, and see whether this machine may reach api.twilio.com", err)
	}
	return nil
}

// storeAnswers opens the store that is there, and closes it again; the doctor makes none.
func storeAnswers(e *env, s *settings) (keptStore, error) {
	if err := s.storeIsThere(); err != nil {
		return nil, err
	}
	store, err := openStore(e.ctx, s, slog.New(slog.DiscardHandler), e.now)
	if err != nil {
		return nil, fmt.Errorf("%w (is the file this user's, and is there room on the disk?)", err)
	}
	_, err = store.Stats(e.ctx, e.now())
	return store, errors.Join(err, store.Close())
}

// redisAnswers says what the servers are and what was accepted of them, or why
// they must not have patients. The doctor looks even where serve would not begin.
func redisAnswers(e *env, s *settings) (string, keptStore, error) {
	opened, err := openStore(e.ctx, s, slog.New(slog.DiscardHandler), e.now)
	if err != nil {
		return "", nil, err
	}
	store, ok := opened.(*redisstore.Store)
	if !ok {
		return "", nil, errors.Join(errors.New("it is no Redis store"), opened.Close())
	}
	_, err = store.Stats(e.ctx, e.now())
	st := store.State()
	lines := append(slices.Clone(st.Servers), st.Notes...)
	for _, f := range st.Accepted {
		lines = append(lines, "accepted: "+f.Server+" "+f.Text)
	}
	return strings.Join(lines, "\n                "), store, errors.Join(err, store.Close())
}

func mailProbe(ctx context.Context, s *settings) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := email.New(s.mail()).Probe(ctx); err != nil {
		return fmt.Errorf("%w: compare smtp.address, security, user and password with what your mail team gave you", err)
	}
	return nil
}

func providerAnswers(ctx context.Context, provider *desk.Provider) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := provider.Find(ctx); err != nil {
		return fmt.Errorf("%w: compare oidc.issuer with what the provider's /.well-known/openid-configuration says, and see whether this machine may reach it", err)
	}
	return nil
}

// diskRoom says whether the store has room to grow.
func diskRoom(folder string) error {
	var st unix.Statfs_t
	if err := unix.Statfs(folder, &st); err != nil {
		return fmt.Errorf("%s: %w", folder, err)
	}
	if free := st.Bavail * uint64(st.Bsize); free < 1<<30 {
		return fmt.Errorf("%s has %d MB left: make room, a message that cannot be kept is refused", folder, free>>20)
	}
	return nil
}

// clockRight compares this machine's clock with Twilio's.
func clockRight(ctx context.Context, base string) error {
	if base == "" {
		base = "https://api.twilio.com"
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodHead, base, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return errors.New("not checked: Twilio cannot be reached")
	}
	response.Body.Close()
	theirs, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil {
		return errors.New("not checked: Twilio's answer has no date")
	}
	if off := time.Since(theirs).Abs(); off > time.Minute {
		return fmt.Errorf("this machine's clock is off by %s: turn on NTP", off.Round(time.Second))
	}
	return nil
}

// calendarAhead says whether the bank holidays of the next year are known: on one
// that is not, people would be asked with nobody there to hear.
func calendarAhead(pack *content.Pack, team *bot.Service, now time.Time) error {
	if until := pack.HolidaysUntil(team.Nation); until.Before(now.AddDate(1, 0, 0)) {
		return fmt.Errorf("bank holidays of %s are known until %s only: add the next years to calendar/holidays.yaml of the content", team.Nation, until.Format(time.DateOnly))
	}
	return nil
}

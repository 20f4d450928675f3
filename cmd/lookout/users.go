package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"lookout/bot"
)

type usersCmd struct {
	Add usersAddCmd `cmd:"" help:"Invite somebody to the desk, or change her name or role; prints a link by which she chooses a password."`
}

type usersAddCmd struct {
	Email    string `arg:"" help:"Her e-mail address."`
	Role     string `required:"" enum:"nurse,lead,admin,auditor" help:"nurse, lead, admin or auditor."`
	Name     string `help:"Her name as patients and colleagues know her." placeholder:"NAME"`
	Settings string `help:"The settings file." default:"lookout.yaml" placeholder:"FILE"`
}

// Help is shown by lookout users add --help.
func (*usersAddCmd) Help() string {
	return "Example:\n  lookout users add ann@example.nhs.uk --role nurse --name \"Ann Price\""
}

// Run invites a user; lookout may be serving at the same time.
func (c *usersAddCmd) Run(e *env) (err error) {
	return withBot(e, c.Settings, mayBeMade, func(ctx context.Context, b *bot.Bot) error {
		name := c.Name
		if name == "" {
			name, _, _ = strings.Cut(c.Email, "@")
		}
		if had, err := b.User(ctx, c.Email); err == nil && c.Name == "" {
			name = had.Name
		}
		link, err := b.Invite(ctx, bot.User{Email: c.Email, Name: name, Role: bot.Role(c.Role)})
		if err != nil {
			return err
		}
		if err := b.Audit(ctx, bot.AuditEntry{By: "command line", Did: "invite user as " + c.Role, Ref: strings.ToLower(c.Email)}); err != nil {
			return err
		}
		base, _, _ := strings.Cut(link, "/desk/")
		fmt.Fprintf(e.out, "Give this link to %s, and to nobody else. It opens once, until %s, and there she chooses her password:\n%s\nAfter that she signs in at %s/desk/ with %s. If the link runs out, run this again.\n",
			name, e.now().Add(bot.InviteLives).Format("2 January 15:04"), link, base, strings.ToLower(c.Email))
		return nil
	})
}

// Whether a command may begin a store. One that only looks must not: it would say of a
// new, empty file that all is well.
type beginning bool

const (
	mustExist beginning = false
	mayBeMade beginning = true
)

// withBot opens the store of the settings for one command, and closes it again.
func withBot(e *env, file string, begin beginning, do func(ctx context.Context, b *bot.Bot) error) (err error) {
	s, err := loadSettings(file, e)
	if err != nil {
		return err
	}
	s.defaults()
	pack, err := s.pack()
	if err != nil {
		return err
	}
	team, err := s.team(pack)
	if err != nil {
		return err
	}
	if err := s.checkStore(); err != nil {
		return err
	}
	if begin == mustExist {
		if err := s.storeIsThere(); err != nil {
			return err
		}
	}
	store, err := openStore(e.ctx, s, slog.New(slog.DiscardHandler), e.now)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	b, err := bot.New(e.ctx, bot.Config{Store: store, Content: pack, Service: team, PublicURL: s.PublicURL, Now: e.now})
	if err != nil {
		return err
	}
	return do(e.ctx, b)
}

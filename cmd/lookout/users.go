package main

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/alexedwards/argon2id"

	"lookout/bot"
	"lookout/bot/sqlitestore"
	"strings"
)

type usersCmd struct {
	Add usersAddCmd `cmd:"" help:"Add somebody who may sign in, or change her role; prints a first password."`
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

// passwordCost is OWASP's smallest setting for argon2id: 19 MiB, two passes.
var passwordCost = &argon2id.Params{Memory: 19 * 1024, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// Run adds a user; lookout may be serving at the same time.
func (c *usersAddCmd) Run(e *env) error {
	s, err := loadSettings(c.Settings, e)
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
	path, ok := strings.CutPrefix(s.Store, "sqlite:")
	if !ok {
		return errors.New("store: must be sqlite:PATH")
	}
	store, err := sqlitestore.Open(e.ctx, path)
	if err != nil {
		return err
	}
	defer store.Close()
	b, err := bot.New(e.ctx, bot.Config{Store: store, Content: pack, Service: team, PublicURL: s.PublicURL})
	if err != nil {
		return err
	}
	random := make([]byte, 12)
	rand.Read(random)
	password := base64.RawURLEncoding.EncodeToString(random)
	hash, err := argon2id.CreateHash(password, passwordCost)
	if err != nil {
		return err
	}
	name := c.Name
	if name == "" {
		name, _, _ = strings.Cut(c.Email, "@")
	}
	if err := b.PutUser(e.ctx, bot.User{Email: c.Email, Name: name, Role: bot.Role(c.Role), Password: hash, Created: e.now()}); err != nil {
		return err
	}
	fmt.Fprintf(e.out, "%s may sign in at %s/desk/ with the password %s\nShe should change it at her first sign-in. It is not kept anywhere else.\n", c.Email, s.PublicURL, password)
	return nil
}

package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"lookout/bot"
)

type migrateCmd struct {
	From     string `required:"" help:"The store that has everything." placeholder:"STORE"`
	To       string `required:"" help:"The store that shall have it: empty, or what an earlier try has left." placeholder:"STORE"`
	Settings string `help:"The settings file, for what it says of Redis and of the keyset." default:"lookout.yaml" placeholder:"FILE"`
}

// Help is shown by lookout migrate --help.
func (*migrateCmd) Help() string {
	return `Example:
  systemctl stop lookout
  lookout migrate --from sqlite:/var/lib/lookout/lookout.db --to redis://:PASSWORD@redis.example:6379

Stop every lookout on both stores first, and start none before the end. What was cut short goes on where it was when the command is given again.
At the end both stores are read from one end to the other and compared; only then is the exit code 0. The old store is left as it is. Then set
store to the new one. Where a keyset is set, a new store is encrypted with it, and an old one is read with it, if it is encrypted. A URL may hold a password: give it as the variables of the environment that your shell takes from a file, not in its history.`
}

// Run brings everything from one store to another.
func (c *migrateCmd) Run(e *env) (err error) {
	if c.From == c.To {
		return errors.New("--from and --to are the same store")
	}
	from, err := c.open(e, "--from", c.From)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	to, err := c.open(e, "--to", c.To)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	st, err := from.Stats(e.ctx, e.now())
	if err != nil {
		return fmt.Errorf("--from: %w", err)
	}
	m, err := bot.Move(e.ctx, from, to, progress(e.err, "people moved", st.Patients))
	if err != nil {
		return err
	}
	fmt.Fprintf(e.out, "Moved, read again and compared: %d people, %d journal entries, %d rows, %d messages, %d values, %d audit entries.\nDigest of the people: %s\n",
		m.People, m.Entries, m.Rows, m.Messages, m.Values, m.Audit, m.Digest)
	return nil
}

// open opens one of the two stores. A file that is to be read must be there.
func (c *migrateCmd) open(e *env, flag, store string) (bot.Portable, error) {
	s, err := loadSettings(c.Settings, e)
	if err != nil {
		return nil, err
	}
	s.Store = store
	if path, ok := strings.CutPrefix(store, "sqlite:"); ok {
		s.Redis.Accept, s.Redis.Copies = "", "" // they are for the other
		if _, err := os.Stat(path); flag == "--from" && err != nil {
			return nil, fmt.Errorf("%s: %w", flag, err)
		}
	}
	if err := s.checkStore(); err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	opened, err := openStore(e.ctx, s, slog.New(slog.DiscardHandler), e.now)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	return opened, nil
}

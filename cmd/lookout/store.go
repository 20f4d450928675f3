package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"lookout/bot"
	"lookout/bot/redisstore"
	"lookout/bot/sqlitestore"
	"lookout/bot/vault"
)

// openStore opens the store that the settings name, with their keyset.
func openStore(ctx context.Context, s *settings, log *slog.Logger, now func() time.Time) (keptStore, error) {
	return openStoreTo(ctx, s, log, now, false)
}

// storeIsThere refuses a file that would be made by opening it: an empty store proves
// nothing to whoever asks about the one that has gone.
func (s *settings) storeIsThere() error {
	path, isFile := strings.CutPrefix(s.Store, "sqlite:")
	if _, err := os.Stat(path); isFile && errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s is not there yet: lookout serve or lookout users add makes it; if it was there before, look for the disk or the volume", path)
	}
	return nil
}

// keptStore is a store of either kind.
type keptStore interface {
	bot.Portable
	Encryption() vault.State
	Reseal(ctx context.Context, told func(people int)) (vault.Resealed, error)
}

// openStoreTo opens it to be encrypted, or for all else.
func openStoreTo(ctx context.Context, s *settings, log *slog.Logger, now func() time.Time, encrypt bool) (keptStore, error) {
	keys, err := s.vault()
	if err != nil {
		return nil, err
	}
	opening := vault.Opening{Vault: keys, Encrypt: encrypt}
	if path, ok := strings.CutPrefix(s.Store, "sqlite:"); ok {
		return kept(sqlitestore.OpenWith(ctx, path, sqlitestore.Options{Keys: opening, Log: log}))
	}
	o, err := s.redisOptions()
	if err != nil {
		return nil, err
	}
	o.Log, o.Now, o.Keys = log, now, opening
	return kept(redisstore.Open(ctx, s.Store, o))
}

// kept makes no store that is nil one that is not.
func kept[S keptStore](store S, err error) (keptStore, error) {
	if err != nil {
		return nil, err
	}
	return store, nil
}

// encryption says in words how a store is kept.
func encryption(store bot.Store) string {
	kept, ok := store.(keptStore)
	switch {
	case !ok:
		return "the store is not encrypted"
	case kept.Encryption().Kept == vault.Whole:
		return "the store is encrypted with keyset " + kept.Encryption().Keyset
	}
	return "the store is not encrypted"
}

// redisOptions are what the settings say of the Redis servers.
func (s *settings) redisOptions() (redisstore.Options, error) {
	o := redisstore.Options{Accept: strings.FieldsFunc(s.Redis.Accept, func(r rune) bool { return r == ',' || r == ' ' })}
	if s.Redis.Copies != "" {
		var err error
		if o.Copies, err = strconv.Atoi(s.Redis.Copies); err != nil || o.Copies < 0 {
			return o, errors.New("redis.copies: must be how many replicas must have a change before it counts, or 0")
		}
	}
	return o, nil
}

// checkStore finds the faults of the settings of the store.
func (s *settings) checkStore() error {
	kind, rest, _ := strings.Cut(s.Store, ":")
	if kind == "sqlite" && rest != "" {
		if s.Redis.Accept != "" || s.Redis.Copies != "" {
			return errors.New("redis: is for a Redis store, and store is a file: take it out")
		}
		return nil
	}
	if !strings.HasPrefix(kind, "redis") {
		return errors.New("store: must be sqlite:PATH, or redis://, rediss://, redis+sentinel:// or redis+cluster:// with hosts")
	}
	o, err := s.redisOptions()
	if err != nil {
		return err
	}
	if err := redisstore.Valid(s.Store, o); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// trust says whether the store may be trusted with patients, and what stands of
// it in /readyz: names of faults, no addresses.
func trust(store bot.Store) (accepted string, err error) {
	if file, ok := store.(*sqlitestore.Store); ok {
		if err := file.Refusal(); err != nil {
			return "", fmt.Errorf("the store takes no changes: %w", err)
		}
	}
	redis, ok := store.(*redisstore.Store)
	if !ok {
		return "", nil
	}
	names := func(faults []redisstore.Fault) string {
		var all []string
		for _, f := range faults {
			all = append(all, f.Name)
		}
		return strings.Join(all, ", ")
	}
	st := redis.State()
	if len(st.Faults) > 0 {
		return "", fmt.Errorf("the store may forget what it is told (%s): lookout doctor says more", names(st.Faults))
	}
	if len(st.Accepted) > 0 {
		return "accepted of the store: " + names(st.Accepted), nil
	}
	return "", nil
}

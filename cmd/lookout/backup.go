package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"lookout/bot"
	"lookout/bot/vault"
)

type backupCmd struct {
	File     string `arg:"" help:"The file to write; it must not be there."`
	Settings string `help:"The settings file." default:"lookout.yaml" placeholder:"FILE"`
}

// Help is shown by lookout backup --help.
func (*backupCmd) Help() string {
	return `Example:
  lookout backup /mnt/backups/lookout-$(date +%F).backup --settings /etc/lookout.yaml

Writes everything that the store keeps, encrypted with the keyset, while lookout serves; then reads it again and compares. Only what was read again
has the name of the file. Keep it on another machine, and the keyset in a third place: neither is of use without the other.`
}

// Run writes a backup.
func (c *backupCmd) Run(e *env) (err error) {
	s, err := loadSettings(c.Settings, e)
	if err != nil {
		return err
	}
	s.defaults()
	if err := s.checkStore(); err != nil {
		return err
	}
	keys, err := s.keysOfBackups()
	if err != nil {
		return err
	}
	if err := s.storeIsThere(); err != nil {
		return err
	}
	if _, err := os.Stat(c.File); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is there already, or cannot be looked at: choose another name (%v)", c.File, err)
	}
	store, err := openStore(e.ctx, s, slog.New(slog.DiscardHandler), e.now)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	st, err := store.Stats(e.ctx, e.now())
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(c.File), "."+filepath.Base(c.File)+"-*") // for its owner only
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(file.Name())
		}
	}()
	sealed, err := keys.SealFile(file)
	if err != nil {
		return errors.Join(err, file.Close())
	}
	made, err := bot.Backup(e.ctx, store, e.now(), sealed, progress(e.err, "people", st.Patients))
	if err == nil {
		err = sealed.Close()
	}
	if err == nil {
		err = file.Sync()
	}
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return errors.Join(err, file.Close())
	}
	read, err := readSealed(keys, file)
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("the backup was written, and cannot be read again: %w", err)
	}
	if read.Made = (time.Time{}); read != made {
		return fmt.Errorf("the backup was written as %s, and is read as %s", made, read)
	}
	if err := os.Rename(file.Name(), c.File); err != nil {
		return err
	}
	fmt.Fprintf(e.out, "Written to %s, and read again: %s.\nDigest: %s\n", c.File, made, made.Digest)
	return nil
}

// keysOfBackups are what a backup is encrypted with. There is none in the clear.
func (s *settings) keysOfBackups() (*vault.Vault, error) {
	keys, err := s.vault()
	if err == nil && keys == nil {
		err = errors.New("a backup is encrypted with the keyset, and none is set: lookout keys make FILE writes one, keyset_file names it")
	}
	return keys, err
}

// readSealed reads a backup through, and says what it holds.
func readSealed(keys *vault.Vault, file io.Reader) (bot.Backed, error) {
	plain, err := keys.OpenFile(bufio.NewReaderSize(file, 1<<20))
	if err != nil {
		return bot.Backed{}, err
	}
	return bot.ReadBackup(plain)
}

type restoreCmd struct {
	File     string `arg:"" help:"What lookout backup has written."`
	Check    bool   `help:"Only read the backup through, and say what it holds."`
	Settings string `help:"The settings file: store names the empty store that is filled." default:"lookout.yaml" placeholder:"FILE"`
}

// Help is shown by lookout restore --help.
func (*restoreCmd) Help() string {
	return `Example:
  lookout restore /mnt/backups/lookout-2026-11-24.backup --settings /etc/lookout.yaml

Reads the backup through, fills the store of the settings, which must be empty (of the other kind too), reads it again and compares counts and digests.
Start lookout after that. What was cut short goes on when the command is given again; until then lookout does not start on that store.`
}

// Run fills a store from a backup, or reads one through.
func (c *restoreCmd) Run(e *env) (err error) {
	s, err := loadSettings(c.Settings, e)
	if err != nil {
		return err
	}
	s.defaults()
	if err := s.checkStore(); err != nil {
		return err
	}
	keys, err := s.keysOfBackups()
	if err != nil {
		return err
	}
	file, err := os.Open(c.File)
	if err != nil {
		return err
	}
	defer file.Close()
	if c.Check {
		held, err := readSealed(keys, file)
		if err != nil {
			return fmt.Errorf("%s: %w", c.File, err)
		}
		fmt.Fprintf(e.out, "%s was made at %s, and is whole: %s.\nDigest: %s\n", c.File, held.Made.Format(time.RFC3339), held, held.Digest)
		return nil
	}
	store, err := openStore(e.ctx, s, slog.New(slog.DiscardHandler), e.now)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	told := progress(e.err, "people", -1)
	restorer := &bot.Restorer{To: store, Without: []string{drawerSessions}, Told: told, Open: func() (io.Reader, error) {
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
		return keys.OpenFile(bufio.NewReaderSize(file, 1<<20))
	}}
	held, err := restorer.Restore(e.ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	fmt.Fprintf(e.out, "Restored what stood at %s, read again and compared: %s.\nEverybody signs in anew at the desk. Start lookout: it asks the carrier what has come and gone since, before it sends anything.\n",
		held.Made.Format(time.RFC3339), held)
	return nil
}

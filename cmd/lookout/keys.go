package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"lookout/bot"
	"lookout/bot/vault"
)

type keysCmd struct {
	Make      keysMakeCmd      `cmd:"" help:"Write a new keyset into a file."`
	Rotate    keysRotateCmd    `cmd:"" help:"Add a new key to a keyset, which encrypts from then on; the old ones still open."`
	Reencrypt keysReencryptCmd `cmd:"" help:"Encrypt a store that is in the clear, or encrypt all of it anew with the newest key."`
}

// noKeyset, as keyset_file, says that the store shall lie in the clear.
const noKeyset = "none"

// vault is what the settings encrypt with; nil: nothing is set, or noKeyset.
func (s *settings) vault() (*vault.Vault, error) {
	keys, err := s.keysetOf()
	if err != nil || keys == nil {
		return nil, err
	}
	return keys.Vault()
}

func (s *settings) keysetOf() (*vault.Keyset, error) {
	text, from := []byte(s.keyset), "LOOKOUT_KEYSET"
	switch {
	case s.keyset != "" && s.KeysetFile != "":
		return nil, errors.New("keyset_file: is set, and LOOKOUT_KEYSET too: take one out")
	case s.keyset == "" && (s.KeysetFile == "" || s.KeysetFile == noKeyset):
		return nil, nil
	case s.KeysetFile != "":
		var err error
		from = "keyset_file"
		if text, err = os.ReadFile(s.KeysetFile); err != nil {
			return nil, fmt.Errorf("keyset_file: %w", err)
		}
	}
	keys, err := vault.ReadKeyset(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", from, err)
	}
	return keys, nil
}

// encrypted says why a store is not kept as its operator should wish; nil: it is.
func (s *settings) encrypted(store bot.Store) error {
	kept, ok := store.(keptStore)
	switch {
	case !ok || kept.Encryption().Kept == vault.Whole:
		return nil
	case s.keyset != "" || s.KeysetFile != "" && s.KeysetFile != noKeyset:
		return errors.New("a keyset is set, and the store is still in the clear: stop every lookout, and run lookout keys reencrypt")
	case s.KeysetFile != noKeyset:
		return errors.New("names, numbers and words lie in the clear in the store: lookout keys make FILE writes a keyset, keyset_file names it, and lookout keys reencrypt encrypts; keyset_file: none says that it shall be so")
	}
	return nil
}

// keysRight says what is wrong with how the store is encrypted.
func (s *settings) keysRight(store keptStore) error {
	if err := s.encrypted(store); err != nil || s.KeysetFile == "" || s.KeysetFile == noKeyset {
		return err
	}
	info, err := os.Stat(s.KeysetFile)
	if err != nil {
		return fmt.Errorf("keyset_file: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("keyset_file: %s can be read by others than its owner: chmod 600 %s", s.KeysetFile, s.KeysetFile)
	}
	if path, ok := strings.CutPrefix(s.Store, "sqlite:"); ok {
		if old, _ := filepath.Glob(path + ".before-*"); len(old) > 0 {
			return clearCopies(old)
		}
	}
	return nil
}

// clearCopies warns of copies that an upgrade has left, if they are in the clear.
func clearCopies(files []string) error {
	var all []string
	for _, name := range files {
		if clear, err := inTheClear(name); err == nil && clear {
			all = append(all, name)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return fmt.Errorf("a copy that was made before an upgrade is in the clear: remove it when it is not needed: %s", strings.Join(all, ", "))
}

// encryptionWished says how the store is kept, and that it was wished.
func encryptionWished(s *settings, store keptStore) string {
	if store == nil || store.Encryption().Kept != vault.Whole {
		return "the store is not encrypted, as keyset_file: none says"
	}
	keys, err := s.keysetOf()
	if err != nil || keys == nil {
		return encryption(store)
	}
	primary, all := keys.Keys()
	return fmt.Sprintf("%s; key %d encrypts, %d open", encryption(store), primary, len(all))
}

type keysMakeCmd struct {
	File string `arg:"" help:"The file to write; it must not be there."`
}

// Help is shown by lookout keys make --help.
func (*keysMakeCmd) Help() string {
	return `Example:
  lookout keys make /etc/lookout/keyset

Then set keyset_file to it, or LOOKOUT_KEYSET to what it holds. Keep a copy where the store's backups are not: without the keyset neither
the store nor its backups can be opened by anybody, and with it both can.`
}

// Run makes a keyset.
func (c *keysMakeCmd) Run(e *env) error {
	keys, err := vault.NewKeyset()
	if err != nil {
		return err
	}
	text, err := keys.Text()
	if err != nil {
		return err
	}
	file, err := os.OpenFile(c.File, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already, and a keyset is never written over: whoever loses one loses what it has encrypted", c.File)
	} else if err != nil {
		return err
	}
	if err := writeWhole(file, text); err != nil {
		return err
	}
	fmt.Fprintf(e.out, "A new keyset is in %s.\nSet keyset_file: %s, and keep a copy of it where the store's backups are not: without it nothing can be opened.\n", c.File, c.File)
	return nil
}

// writeWhole writes a file to the disk, and closes it.
func writeWhole(file *os.File, text []byte) error {
	_, err := file.Write(text)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

type keysRotateCmd struct {
	File  string `arg:"" help:"The keyset's file."`
	Later bool   `help:"Only add the key: the next rotation makes it the one that encrypts. For several machines on one store."`
}

// Help is shown by lookout keys rotate --help.
func (*keysRotateCmd) Help() string {
	return `Example:
  lookout keys rotate /etc/lookout/keyset
  systemctl restart lookout
  lookout keys reencrypt

Once a year, and when somebody leaves who has had the keyset. Where several machines share a store, each must have a new key before another encrypts
with it: rotate with --later, bring the file to every machine and start lookout again there; then rotate, and do so once more. Old keys stay in
the file: old backups need them.`
}

// Run rotates a keyset: the file is replaced in one step.
func (c *keysRotateCmd) Run(e *env) error {
	text, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	keys, err := vault.ReadKeyset(text)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	if keys, err = keys.Rotated(c.Later); err != nil {
		return err
	}
	if text, err = keys.Text(); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(c.File), ".keyset-*") // for its owner only
	if err != nil {
		return err
	}
	if err := errors.Join(writeWhole(file, text), os.Rename(file.Name(), c.File)); err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	primary, all := keys.Keys()
	next := "Start lookout again, and then: lookout keys reencrypt"
	if c.Later {
		next = "Bring the file to every machine, start lookout again on each, and then: lookout keys rotate " + c.File
	}
	fmt.Fprintf(e.out, "%s has %d keys; key %d encrypts.\n%s\n", c.File, len(all), primary, next)
	return nil
}

type keysReencryptCmd struct {
	Settings string `help:"The settings file." default:"lookout.yaml" placeholder:"FILE"`
}

// Help is shown by lookout keys reencrypt --help.
func (*keysReencryptCmd) Help() string {
	return `Example:
  lookout keys reencrypt --settings /etc/lookout.yaml

A store that is in the clear is encrypted where it lies: stop every lookout first, and start none before the end. A store that is encrypted
already is encrypted anew with the newest key, while lookout serves. What was cut short goes on where it was when the command is given again.`
}

// Run encrypts the store of the settings.
func (c *keysReencryptCmd) Run(e *env) (err error) {
	s, err := loadSettings(c.Settings, e)
	if err != nil {
		return err
	}
	s.defaults()
	if err := s.checkStore(); err != nil {
		return err
	}
	if err := s.storeIsThere(); err != nil {
		return err
	}
	store, err := openStoreTo(e.ctx, s, slog.New(slog.NewTextHandler(e.err, nil)), e.now, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	st, err := store.Stats(e.ctx, e.now())
	if err != nil {
		return err
	}
	done, err := store.Reseal(e.ctx, progress(e.err, "people", st.Patients))
	if err != nil {
		return fmt.Errorf("%w\nit is not finished: give the command again", err)
	}
	fmt.Fprintf(e.out, "Encrypted anew: %d of %d people, %d values, %d audit entries. Now %s.\n", done.People, done.Looked, done.Values, done.Audit, encryption(store))
	path, isFile := strings.CutPrefix(s.Store, "sqlite:")
	if old, _ := filepath.Glob(path + ".before-*"); isFile && len(old) > 0 {
		if err := clearCopies(old); err != nil {
			fmt.Fprintln(e.out, "But "+err.Error())
		}
	}
	return nil
}

// inTheClear says whether a copy of a store's file is one that was made before it
// was encrypted: it holds nothing that is sealed.
func inTheClear(name string) (bool, error) {
	file, err := os.Open(name)
	if err != nil {
		return false, err
	}
	defer file.Close()
	buf := make([]byte, 1<<20)
	for begin := 0; ; { // what may be the beginning of a mark is looked at again
		n, err := file.Read(buf[begin:])
		if bytes.Contains(buf[:begin+n], []byte(vault.Mark)) {
			return false, nil
		}
		if err == io.EOF {
			return true, nil
		} else if err != nil {
			return false, err
		}
		rest := min(begin+n, len(vault.Mark)-1)
		copy(buf, buf[begin+n-rest:begin+n])
		begin = rest
	}
}

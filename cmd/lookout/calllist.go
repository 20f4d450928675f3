package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"filippo.io/age"

	"lookout/channels/desk"
)

// callListSettings are where the call list is written each hour, and for whom: for the
// day on which lookout or the network is down.
type callListSettings struct {
	Folder     string   `yaml:"folder"`
	Recipients []string `yaml:"recipients"` // public keys of age
	Keep       int      `yaml:"keep"`       // how many files stay
}

func (s *callListSettings) on() bool { return s.Folder != "" || len(s.Recipients) > 0 }

// recipients reads the public keys. Nobody else can read the file.
func (s *callListSettings) recipients() ([]age.Recipient, error) {
	var out []age.Recipient
	var faults []error
	for i, text := range s.Recipients {
		text = strings.TrimSpace(text)
		if strings.HasPrefix(text, "AGE-SECRET-KEY-") {
			faults = append(faults, fmt.Errorf("call_list.recipients[%d]: is a secret key: write the public one, which begins with age1, and keep the secret one away from this machine", i))
			continue
		}
		keys, err := age.ParseRecipients(strings.NewReader(text))
		if err != nil || len(keys) != 1 {
			faults = append(faults, fmt.Errorf("call_list.recipients[%d]: is no public key of age, which begins with age1: age-keygen makes one", i))
			continue
		}
		out = append(out, keys[0])
	}
	return out, errors.Join(faults...)
}

func (s *callListSettings) check() error {
	if !s.on() {
		return nil
	}
	_, err := s.recipients()
	faults := []error{err}
	if s.Folder == "" {
		faults = append(faults, errors.New("call_list.folder: is missing: name a folder that another machine can read when this one is down"))
	} else if info, err := os.Stat(s.Folder); err != nil || !info.IsDir() {
		faults = append(faults, errors.New("call_list.folder: is not a folder: make it, and let lookout write there"))
	}
	if len(s.Recipients) == 0 {
		faults = append(faults, errors.New("call_list.recipients: name at least one public key of age; two are better, in different hands"))
	}
	if s.Keep < 0 {
		faults = append(faults, errors.New("call_list.keep: must not be below 0"))
	}
	return errors.Join(faults...)
}

// callListName names the file of an hour, so that two machines write the same one.
const callListName = "call-list-2006-01-02-15.html.age"

// writeCallList writes the call list of now, encrypted for its recipients, whole or not
// at all, and removes the oldest.
func (s *callListSettings) writeCallList(ctx context.Context, pages *desk.Desk, now time.Time) error {
	recipients, err := s.recipients()
	if err != nil {
		return err
	}
	page, err := pages.CallListFile(ctx)
	if err != nil {
		return fmt.Errorf("call list: %w", err)
	}
	var sealed bytes.Buffer
	w, err := age.Encrypt(&sealed, recipients...)
	if err == nil {
		_, err = io.Copy(w, bytes.NewReader(page))
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return fmt.Errorf("call list: encrypt: %w", err)
	}
	f, err := os.CreateTemp(s.Folder, ".call-list-*")
	if err != nil {
		return fmt.Errorf("call list: %w", err)
	}
	_, err = f.Write(sealed.Bytes())
	err = errors.Join(err, f.Chmod(0o640), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(s.Folder, now.Format(callListName)))
	}
	if err != nil {
		return fmt.Errorf("call list: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return s.removeOld()
}

func (s *callListSettings) removeOld() error {
	files, err := filepath.Glob(filepath.Join(s.Folder, "call-list-*.html.age")) // by name, which is by time
	if err != nil {
		return err
	}
	var faults []error
	for len(files) > s.Keep {
		if err := os.Remove(files[0]); err != nil && !errors.Is(err, os.ErrNotExist) {
			faults = append(faults, fmt.Errorf("call list: remove an old one: %w", err))
		}
		files = files[1:]
	}
	return errors.Join(faults...)
}

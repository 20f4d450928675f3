package vault

import (
	"errors"
	"fmt"
)

// State says how a store keeps people. A store keeps its State, and opens by it.
type State struct {
	Kept   Kept   `json:"kept"`
	Keyset string `json:"keyset,omitempty"` // see [Vault.Keyset]
}

// Kept is how.
type Kept string

const (
	Unsaid Kept = ""       // the store is new, or of a lookout that knew no encryption
	Clear  Kept = "clear"  // in the clear
	Begun  Kept = "begun"  // its encryption was begun, and is not finished
	Whole  Kept = "sealed" // encrypted
)

// Opening is what the settings, and a command, say of a store that is opened.
type Opening struct {
	Vault *Vault // nil: no keyset is set
	// Encrypt opens it to be encrypted, by nobody else's leave: see [Opening.begin].
	Encrypt bool
}

// Admit says with which vault a store is opened that was kept so, and how it is kept
// from then on. A new store with a keyset is encrypted from its first line. One
// that was written in the clear stays so until it is encrypted by command: until
// then what is looked up in it would not be found.
func (o Opening) Admit(s State, empty bool) (*Vault, State, error) {
	if o.Encrypt {
		return o.begin(s)
	}
	v := o.Vault
	switch s.Kept {
	case Unsaid:
		if v != nil && empty {
			return v, State{Whole, v.Keyset()}, nil
		}
		return nil, State{Kept: Clear}, nil
	case Clear:
		return nil, s, nil
	case Begun:
		return nil, s, errors.New("its encryption was begun and is not finished: run lookout keys reencrypt, which goes on where it was, and start no lookout before it has ended")
	case Whole:
		return v, s, s.opensWith(v)
	}
	return nil, s, fmt.Errorf("it is kept in a way that this lookout does not know (%q): a newer one wrote it", string(s.Kept))
}

// opensWith refuses a vault that is not the one.
func (s State) opensWith(v *Vault) error {
	if v == nil {
		return errors.New("it is encrypted, and no keyset is set: give the one that it was encrypted with (keyset_file or LOOKOUT_KEYSET)")
	}
	if v.Keyset() != s.Keyset {
		return fmt.Errorf("it is encrypted with keyset %s, and keyset %s is set: give the one that it was encrypted with", s.Keyset, v.Keyset())
	}
	return nil
}

// begin says whether a store may be encrypted, and with which vault it is read and
// written meanwhile.
func (o Opening) begin(s State) (*Vault, State, error) {
	v := o.Vault
	if v == nil {
		return nil, s, errors.New("no keyset is set: lookout keys make FILE writes one, and keyset_file names it")
	}
	switch s.Kept {
	case Unsaid, Clear:
		return v.Mixed(), State{Begun, v.Keyset()}, nil
	case Begun:
		return v.Mixed(), s, s.opensWith(v)
	case Whole:
		return v, s, s.opensWith(v)
	}
	return Opening{Vault: v}.Admit(s, false)
}

// Resealed is what encrypting a store, or sealing it anew, has done.
type Resealed struct {
	People, Values, Audit int // that were sealed, or sealed anew
	Looked                int // people who were looked at
}

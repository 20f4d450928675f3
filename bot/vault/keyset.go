// Package vault keeps what stores hold of people from whoever reads the bytes of
// a file, a server's memory or a copy of either, and has not the keyset.
//
// It promises: what [Vault.Seal] gives says nothing of the text but its length,
// opens only under the name of the place that it was sealed for, and does not
// open when a bit of it was changed. What is looked up by a telephone number, an
// NHS number or a birth date is found by [Vault.Blind], which is the same for the
// same text and cannot be computed, nor tried out, without the keyset. Names are
// looked up by [Begins], which says so little of a name that hundreds of people
// share it; who is meant is seen after opening.
//
// It does not hide: that somebody is there, her id, when something is due, at
// what level a row stands, how long a text is, which lines belong to one person.
// It does not protect from whoever reads the memory of a lookout that runs, or
// its keyset.
//
// A nil *Vault keeps everything in the clear. The primitives are Tink's: AES-256
// in GCM with a random nonce and the id of the key in front; HMAC with SHA-256 as
// a pseudo-random function; AES-256 in GCM by segments for files. Keys and
// keysets are never part of an error, a log line or a String.
package vault

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/prf"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
	"github.com/tink-crypto/tink-go/v2/streamingaead"
)

// Keyset is the keys of one lookout: for what is kept, for what is looked up, and
// for backup files. Of the first and the last there may be several: the primary
// seals, all open. The one for what is looked up never changes: with another,
// nobody would be found.
type Keyset struct {
	fields, index, files *keyset.Handle
}

// keysetText is the form of a keyset: that of Tink's JSON keysets, three in one.
type keysetText struct {
	Lookout int             `json:"lookout_keyset"` // the number of this form
	Fields  json.RawMessage `json:"fields"`
	Index   json.RawMessage `json:"index"`
	Files   json.RawMessage `json:"files"`
}

const keysetForm = 1

// NewKeyset makes a keyset of new random keys.
func NewKeyset() (*Keyset, error) {
	var k Keyset
	var errs [3]error
	k.fields, errs[0] = keyset.NewHandle(aead.AES256GCMKeyTemplate())
	k.index, errs[1] = keyset.NewHandle(prf.HMACSHA256PRFKeyTemplate())
	k.files, errs[2] = keyset.NewHandle(streamingaead.AES256GCMHKDF1MBKeyTemplate())
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("make a keyset: %w", err)
	}
	return &k, nil
}

// ReadKeyset reads what [Keyset.Text] gave. Its errors hold nothing of the text.
func ReadKeyset(text []byte) (*Keyset, error) {
	var t keysetText
	if json.Unmarshal(text, &t) != nil || t.Lookout == 0 {
		return nil, errors.New("it is no keyset of lookout's: lookout keys make writes one")
	}
	if t.Lookout > keysetForm {
		return nil, fmt.Errorf("it is a keyset of a newer lookout (form %d, this one knows %d)", t.Lookout, keysetForm)
	}
	var k Keyset
	for _, part := range []struct {
		name string
		text json.RawMessage
		to   **keyset.Handle
	}{{"fields", t.Fields, &k.fields}, {"index", t.Index, &k.index}, {"files", t.Files, &k.files}} {
		h, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(part.text)))
		if err != nil {
			return nil, fmt.Errorf("its part %q cannot be read: the keyset was cut short or changed", part.name)
		}
		*part.to = h
	}
	_, err := k.Vault()
	return &k, err
}

// Text is the keyset in the clear, on one line: whoever has it can open everything.
func (k *Keyset) Text() ([]byte, error) {
	t := keysetText{Lookout: keysetForm}
	for _, part := range []struct {
		from *keyset.Handle
		to   *json.RawMessage
	}{{k.fields, &t.Fields}, {k.index, &t.Index}, {k.files, &t.Files}} {
		var buf bytes.Buffer
		if err := insecurecleartextkeyset.Write(part.from, keyset.NewJSONWriter(&buf)); err != nil {
			return nil, fmt.Errorf("write a keyset: %w", err)
		}
		*part.to = buf.Bytes()
	}
	text, err := json.Marshal(t)
	return append(text, '\n'), err
}

// Rotated is the keyset with another primary key for what is kept and for files.
// What the old ones sealed still opens. Where several machines share a store, each
// must have a key before another seals with it: with later the new key is only
// added, and the next rotation makes it the primary one.
func (k *Keyset) Rotated(later bool) (*Keyset, error) {
	next := *k
	var errs [2]error
	next.fields, errs[0] = rotated(k.fields, aead.AES256GCMKeyTemplate(), later)
	next.files, errs[1] = rotated(k.files, streamingaead.AES256GCMHKDF1MBKeyTemplate(), later)
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("rotate a keyset: %w", err)
	}
	return &next, nil
}

func rotated(h *keyset.Handle, template *tinkpb.KeyTemplate, later bool) (*keyset.Handle, error) {
	m, info := keyset.NewManagerFromHandle(h), h.KeysetInfo()
	id := info.GetKeyInfo()[h.Len()-1].GetKeyId() // the youngest
	if waits := id != info.GetPrimaryKeyId(); waits && later {
		return nil, errors.New("its youngest key waits to become the primary one: rotate without --later")
	} else if !waits {
		var err error
		if id, err = m.Add(template); err != nil {
			return nil, err
		}
	}
	if !later {
		if err := m.SetPrimary(id); err != nil {
			return nil, err
		}
	}
	return m.Handle()
}

// Keys says of the keys for what is kept which seals, and which there are: ids.
func (k *Keyset) Keys() (primary uint32, all []uint32) {
	return k.fields.KeysetInfo().GetPrimaryKeyId(), ids(k.fields)
}

// String keeps the keys out of whatever is printed, and LogValue out of logs.
func (k *Keyset) String() string       { return "(keyset)" }
func (k *Keyset) GoString() string     { return "(keyset)" }
func (k *Keyset) LogValue() slog.Value { return slog.StringValue("(keyset)") }

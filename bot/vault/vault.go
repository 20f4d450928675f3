package vault

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"strings"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/prf"
	"github.com/tink-crypto/tink-go/v2/streamingaead"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// Vault seals and opens with a keyset. It may be used by many goroutines.
type Vault struct {
	aead    tink.AEAD
	stream  tink.StreamingAEAD
	index   prf.PRF
	primary uint32   // of the keys for what is kept
	opens   []uint32 // all of them
	files   uint32   // the primary key for files
	reads   []uint32 // all of them
	mixed   bool     // opens what is in the clear, too
}

// Vault makes the keyset ready for use.
func (k *Keyset) Vault() (*Vault, error) {
	v := &Vault{primary: k.fields.KeysetInfo().GetPrimaryKeyId(), opens: ids(k.fields), files: k.files.KeysetInfo().GetPrimaryKeyId(), reads: ids(k.files)}
	var errs [3]error
	v.aead, errs[0] = aead.New(k.fields)
	v.stream, errs[1] = streamingaead.New(k.files)
	set, err := prf.NewPRFSet(k.index)
	if errs[2] = err; err == nil {
		v.index = set.PRFs[set.PrimaryID]
	}
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("the keyset cannot be used: %w", err)
	}
	return v, nil
}

func ids(h *keyset.Handle) []uint32 {
	var all []uint32
	for _, k := range h.KeysetInfo().GetKeyInfo() {
		all = append(all, k.GetKeyId())
	}
	return all
}

// String keeps the keys out of whatever is printed, and LogValue out of logs.
func (v *Vault) String() string       { return "(vault)" }
func (v *Vault) GoString() string     { return "(vault)" }
func (v *Vault) LogValue() slog.Value { return slog.StringValue("(vault)") }

// Mark stands before everything that is sealed. No JSON begins so. Behind it stand
// Tink's prefix, 1 and four bytes of the key's id, and what Tink made of the text.
const Mark = "\x00sealed\x01"

const headLength = len(Mark) + 5

// Sealed says whether something was sealed, by any key.
func Sealed(kept []byte) bool { return bytes.HasPrefix(kept, []byte(Mark)) }

// sealedBy is the id of the key that sealed something.
func sealedBy(kept []byte) uint32 {
	if len(kept) < headLength {
		return 0
	}
	return binary.BigEndian.Uint32(kept[len(Mark)+1:])
}

// Fresh says whether something is kept as it would be kept today: sealed by the
// primary key, or in the clear without a vault.
func (v *Vault) Fresh(kept []byte) bool {
	if v == nil {
		return !Sealed(kept)
	}
	return Sealed(kept) && sealedBy(kept) == v.primary
}

// Seal seals a text for a place: where it is kept and whose it is, so that it
// cannot be put elsewhere unseen.
func (v *Vault) Seal(place string, text []byte) ([]byte, error) {
	if v == nil {
		return text, nil
	}
	sealed, err := v.aead.Encrypt(text, []byte(place))
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return append([]byte(Mark), sealed...), nil
}

// Open gives the text back that was sealed for a place.
func (v *Vault) Open(place string, kept []byte) ([]byte, error) {
	sealed := Sealed(kept)
	switch {
	case v == nil && sealed:
		return nil, errors.New("it is encrypted, and no keyset is set")
	case v == nil, !sealed && v.mixed:
		return kept, nil
	case !sealed:
		return nil, errors.New("it is in the clear in a store that is encrypted: somebody else has put it there")
	}
	text, err := v.aead.Decrypt(kept[len(Mark):], []byte(place))
	if err != nil {
		// Tink does not say which it was, and the text must not be in the error.
		if id := sealedBy(kept); !has(v.opens, id) {
			return nil, fmt.Errorf("it is encrypted with key %d, which is not in the keyset", id)
		}
		return nil, errors.New("it was changed since it was encrypted, or is not where it was put")
	}
	return text, nil
}

// Encode is x as JSON, as it is kept in a place.
func (v *Vault) Encode(place string, x any) ([]byte, error) {
	text, err := json.Marshal(x)
	if err != nil {
		return nil, err
	}
	return v.Seal(place, text)
}

// Decode reads what Encode gave.
func Decode[T any](v *Vault, place string, kept []byte) (x T, err error) {
	text, err := v.Open(place, kept)
	if err != nil {
		return x, fmt.Errorf("%s: %w", strings.ReplaceAll(place, "\x00", " "), err)
	}
	return x, json.Unmarshal(text, &x)
}

// Again is what was sealed by an old key, or is in the clear, as it would be kept
// today; what is fresh is given back as it is.
func (v *Vault) Again(place string, kept []byte) ([]byte, error) {
	if v.Fresh(kept) {
		return kept, nil
	}
	text, err := v.Open(place, kept)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", strings.ReplaceAll(place, "\x00", " "), err)
	}
	return v.Seal(place, text)
}

// SealValue is a value of a drawer as it is kept, and the name it is kept under.
// The key of a drawer may be somebody's address, so it is sealed with the value.
func (v *Vault) SealValue(drawer, key string, value []byte) (name string, kept []byte, err error) {
	if v == nil {
		return key, value, nil
	}
	name = v.ValueName(drawer, key)
	text := binary.AppendUvarint(nil, uint64(len(key)))
	kept, err = v.Seal(valuePlace(drawer, name), append(append(text, key...), value...))
	return name, kept, err
}

// OpenValue gives back what SealValue has sealed.
func (v *Vault) OpenValue(drawer, name string, kept []byte) (key string, value []byte, err error) {
	if !Sealed(kept) && (v == nil || v.mixed) {
		return name, kept, nil
	}
	text, err := v.Open(valuePlace(drawer, name), kept)
	if err != nil {
		return "", nil, fmt.Errorf("a value of drawer %q: %w", drawer, err)
	}
	n, size := binary.Uvarint(text)
	if size <= 0 || n > uint64(len(text)-size) {
		return "", nil, fmt.Errorf("a value of drawer %q has no key", drawer)
	}
	text = text[size:]
	return string(text[:n]), text[n:], nil
}

// ValueName is the name that a key of a drawer is kept under.
func (v *Vault) ValueName(drawer, key string) string {
	if v == nil {
		return key
	}
	return v.Blind("value", drawer+"\x00"+key)
}

func valuePlace(drawer, name string) string { return "value\x00" + drawer + "\x00" + name }

// The places of what is kept of people. Each names whose it is.

func RecordPlace(patient string) string { return "record\x00" + patient }
func EntryPlace(patient string) string  { return "entry\x00" + patient }
func RowPlace(row string) string        { return "row\x00" + row }
func MessagePlace(id string) string     { return "message\x00" + id }
func CardPlace(patient string) string   { return "card\x00" + patient } // of the parts of her name

// AuditPlace is that of every entry of the audit. Their order is held by its chain.
const AuditPlace = "audit"

func has(all []uint32, id uint32) bool {
	for _, x := range all {
		if x == id {
			return true
		}
	}
	return false
}

// Mixed is the vault, for a store whose encryption is under way: it opens what is
// still in the clear, too.
func (v *Vault) Mixed() *Vault {
	if v == nil {
		return nil
	}
	mixed := *v
	mixed.mixed = true
	return &mixed
}

// Blind stands for a text where it is looked up: always the same for the same
// kind and text, 22 letters, digits, "-" and "_". Without a vault it is the text.
func (v *Vault) Blind(kind, text string) string {
	if v == nil || text == "" {
		return text
	}
	return base64.RawURLEncoding.EncodeToString(v.prf(kind, text))
}

func (v *Vault) prf(kind, text string) []byte {
	sum, err := v.index.ComputePRF([]byte(kind+"\x00"+text), 16)
	if err != nil {
		panic(err) // the length is one that it can give
	}
	return sum
}

// Keyset names the keyset by what is looked up with it, and says nothing of it.
func (v *Vault) Keyset() string { return v.Blind("keyset", "keyset")[:10] }

// Begins are the marks under which somebody is found by the beginning of a part
// of her name: those of its first letter, and of its first two. There are few of
// them, so that many people share each, and it says little of a name: whoever is
// found must be looked at. A short beginning has only the first.
func (v *Vault) Begins(part string) []string {
	letters := []rune(part)
	var marks []string
	for n, buckets := range beginBuckets {
		if len(letters) > n {
			sum := v.prf("name", string(letters[:n+1]))
			marks = append(marks, fmt.Sprintf("%d.%d", n+1, binary.BigEndian.Uint32(sum)%buckets))
		}
	}
	return marks
}

// SaidMarks is how many marks there are for the words of messages, where they are sealed.
const SaidMarks = 1 << 16

// Said is the mark under which a word of her messages is entered. Without a vault all but
// each word has its own; with one there are [SaidMarks], so that words share some, and
// whoever is found must be looked at.
func (v *Vault) Said(service, word string) uint32 {
	if v == nil {
		h := fnv.New32a()
		h.Write([]byte(service + "\x00" + word))
		return h.Sum32()
	}
	return binary.BigEndian.Uint32(v.prf("said", service+"\x00"+word)) % SaidMarks
}

// beginBuckets is how many marks there are for one letter, and for two.
var beginBuckets = [...]uint32{16, 256}

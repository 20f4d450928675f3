package content

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// SignaturesFile lies beside the folders of a pack. It is no part of what it
// signs, so that it does not change the digest.
const SignaturesFile = "signatures.yaml"

// Signature records that a named clinician has approved a pack, word for word. It
// is a record and no proof: whoever may write to the folder can write one, so that
// the folder belongs under version control, where it is seen who did.
type Signature struct {
	Digest string    `yaml:"digest"` // of exactly what she has read
	Name   string    `yaml:"name"`
	Role   string    `yaml:"role"`
	Number string    `yaml:"registration,omitempty"` // with her regulator: "NMC 99A1234B"
	At     time.Time `yaml:"at"`
	Note   string    `yaml:"note,omitempty"`
}

// String names who signed, and when.
func (s Signature) String() string {
	who := s.Name + ", " + s.Role
	if s.Number != "" {
		who += ", " + s.Number
	}
	return who + ", " + s.At.Format("2 January 2006")
}

// check says what is wrong with a signature.
func (s Signature) check() error {
	var faults []error
	for field, value := range map[string]string{"name": s.Name, "role": s.Role} {
		if strings.TrimSpace(value) == "" {
			faults = append(faults, fmt.Errorf("the %s of who signs is missing", field))
		}
	}
	if !strings.HasPrefix(s.Digest, "sha256:") || len(s.Digest) != len("sha256:")+64 {
		faults = append(faults, fmt.Errorf("%q is no digest of a pack", s.Digest))
	}
	if s.At.IsZero() {
		faults = append(faults, errors.New("the time of signing is missing"))
	}
	return errors.Join(faults...)
}

// Signatures are those of this very pack, oldest first. A signature for other
// content, be it one word other, is none.
func (p *Pack) Signatures() []Signature {
	return slices.DeleteFunc(slices.Clone(p.signatures), func(s Signature) bool { return s.Digest != p.digest })
}

// Signed says whether a clinician has approved this very pack.
func (p *Pack) Signed() bool { return len(p.Signatures()) > 0 }

// signaturesOf reads who has signed. A folder without the file is unsigned.
func (c *checker) signaturesOf(fsys fs.FS) []Signature {
	data, err := fs.ReadFile(fsys, SignaturesFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		c.fault(SignaturesFile, 1, "it cannot be read: %v", err)
		return nil
	}
	var list []Signature
	if !c.decode(SignaturesFile, data, &list) {
		return nil
	}
	for i, s := range list {
		if err := s.check(); err != nil {
			c.fault(SignaturesFile, 1, "the signature number %d: %v", i+1, err)
		}
	}
	return list
}

// Sign gives the file of signatures with one more for this pack. The error says
// what is missing of the signature, or that the digest that she gives is of other
// content than this: it has changed since she read it.
func (p *Pack) Sign(s Signature) ([]byte, error) {
	if s.Digest == "" {
		s.Digest = p.digest
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	if s.Digest != p.digest {
		return nil, fmt.Errorf("the content is now %s: it has changed since %s was read", p.digest, s.Digest)
	}
	s.At = s.At.UTC().Truncate(time.Second)
	data, err := yaml.Dump(append(slices.Clone(p.signatures), s))
	if err != nil {
		return nil, err
	}
	return append([]byte("# Who has approved this content, by the digest of what was read. Written by `lookout content sign`.\n"), data...), nil
}

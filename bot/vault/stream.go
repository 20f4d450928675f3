package vault

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// A sealed file is one line that says what it is and which key sealed it, and then
// segments of a megabyte, each sealed with its place and with whether it is the
// last: none can be changed, moved, or left out, at the end neither.

// fileMark begins the first line of a sealed file.
const fileMark = "lookout sealed file 1, key "

// SealFile begins a sealed file. What is written to the result is sealed; Close
// writes the last segment, and does not close w. Without it the file does not open.
func (v *Vault) SealFile(w io.Writer) (io.WriteCloser, error) {
	head := fmt.Sprintf("%s%d\n", fileMark, v.files)
	if _, err := io.WriteString(w, head); err != nil {
		return nil, err
	}
	return v.stream.NewEncryptingWriter(w, []byte(head))
}

// OpenFile reads a sealed file. A fault of reading it is told in words for whoever
// gave the file: it is no such file, was sealed with another keyset, or was cut
// short or changed. Nothing that was read before the end may be relied on until
// io.EOF has come.
func (v *Vault) OpenFile(r io.Reader) (io.Reader, error) {
	head := make([]byte, 0, len(fileMark)+11)
	for one := make([]byte, 1); len(head) < cap(head); {
		if _, err := io.ReadFull(r, one); err != nil {
			break
		}
		if head = append(head, one[0]); one[0] == '\n' {
			break
		}
	}
	number, ok := strings.CutPrefix(string(head), fileMark)
	id, err := strconv.ParseUint(strings.TrimSuffix(number, "\n"), 10, 32)
	if !ok || err != nil {
		return nil, errors.New("it is no backup of lookout's")
	}
	if !has(v.reads, uint32(id)) {
		return nil, fmt.Errorf("it was made with another keyset (key %d, and the keyset that is set has it not): set the keyset that was in use when it was made", id)
	}
	open, err := v.stream.NewDecryptingReader(r, head)
	if err != nil {
		return nil, errors.New(broken)
	}
	return &opening{open}, nil
}

const broken = "it was cut short or changed since it was made, and cannot be used"

type opening struct{ r io.Reader }

func (o *opening) Read(p []byte) (int, error) {
	n, err := o.r.Read(p)
	if err != nil && err != io.EOF {
		err = errors.New(broken) // Tink's words help nobody
	}
	return n, err
}

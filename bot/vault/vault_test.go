package vault

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
)

func made(tb testing.TB) (*Keyset, *Vault) {
	tb.Helper()
	k, err := NewKeyset()
	if err != nil {
		tb.Fatal(err)
	}
	return k, used(tb, k)
}

func used(tb testing.TB, k *Keyset) *Vault {
	tb.Helper()
	v, err := k.Vault()
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

const words = "found a lump markedwords"

// What is sealed opens in its place only, and only as it was sealed.
func TestSealedForItsPlace(t *testing.T) {
	_, v := made(t)
	kept, err := v.Seal("record\x00a-p1", []byte(words))
	if err != nil || bytes.Contains(kept, []byte("marked")) || !Sealed(kept) || !v.Fresh(kept) {
		t.Fatalf("%q, %v", kept, err)
	}
	if text, err := v.Open("record\x00a-p1", kept); err != nil || string(text) != words {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := v.Open("record\x00a-p2", kept); err == nil {
		t.Error("it opens in another's place")
	}
	for i := len(Mark); i < len(kept); i++ {
		changed := bytes.Clone(kept)
		changed[i] ^= 1
		if text, err := v.Open("record\x00a-p1", changed); err == nil || text != nil || strings.Contains(err.Error(), "marked") {
			t.Fatalf("with byte %d changed: %q, %v", i, text, err)
		}
	}
	for n := range len(kept) {
		if _, err := v.Open("record\x00a-p1", kept[:n]); err == nil {
			t.Fatalf("cut to %d bytes, it opens", n)
		}
	}
	if _, err := v.Open("record\x00a-p1", []byte(words)); err == nil || strings.Contains(err.Error(), "marked") {
		t.Errorf("what is in the clear, in a store that is encrypted: %v", err)
	}
	if text, err := v.Mixed().Open("record\x00a-p1", []byte(words)); err != nil || string(text) != words {
		t.Errorf("while it is being encrypted: %q, %v", text, err)
	}
	var none *Vault
	if _, err := none.Open("record\x00a-p1", kept); err == nil || !strings.Contains(err.Error(), "no keyset") {
		t.Errorf("without a keyset: %v", err)
	}
}

func TestValuesHideTheirKeys(t *testing.T) {
	_, v := made(t)
	for _, x := range []struct{ key, value string }{{"ann@example.org", "totp"}, {"", ""}, {"\x00", "\x00sealed\x01"}, {strings.Repeat("k", 300), "v"}} {
		name, kept, err := v.SealValue("users", x.key, []byte(x.value))
		if err != nil || name != v.ValueName("users", x.key) || x.key != "" && strings.Contains(name, x.key) {
			t.Fatalf("%q, %v", name, err)
		}
		if key, value, err := v.OpenValue("users", name, kept); err != nil || key != x.key || string(value) != x.value {
			t.Errorf("%q %q, %v", key, value, err)
		}
		if _, _, err := v.OpenValue("sessions", name, kept); err == nil {
			t.Error("it opens in another drawer")
		}
	}
}

// The old keys open; a text by a key that is not there says which; a key can be
// brought to every machine before it is used.
func TestRotation(t *testing.T) {
	k, v := made(t)
	old, _ := v.Seal("p", []byte(words))
	later, err := k.Rotated(true)
	if err != nil {
		t.Fatal(err)
	}
	if kept, _ := used(t, later).Seal("p", []byte(words)); !v.Fresh(kept) {
		t.Error("a key that was only added encrypts already")
	}
	next, err := later.Rotated(false)
	if err != nil {
		t.Fatal(err)
	}
	primary, all := next.Keys()
	w := used(t, next)
	kept, _ := w.Seal("p", []byte(words))
	if len(all) != 2 || sealedBy(kept) != primary || w.Fresh(old) || !w.Fresh(kept) || v.Fresh(kept) {
		t.Errorf("rotated: %d of %v", primary, all)
	}
	if text, err := w.Open("p", old); err != nil || string(text) != words {
		t.Errorf("what the old key sealed: %q, %v", text, err)
	}
	if text, err := used(t, later).Open("p", kept); err != nil || string(text) != words {
		t.Errorf("a machine that has the key already: %q, %v", text, err)
	}
	if _, err := v.Open("p", kept); err == nil || !strings.Contains(err.Error(), fmt.Sprint(primary)) {
		t.Errorf("a machine that has it not: %v", err)
	}
	if again, err := w.Again("p", old); err != nil || !w.Fresh(again) {
		t.Errorf("sealed anew: %v", err)
	}
	if w.Blind("at", "x") != v.Blind("at", "x") || w.Keyset() != v.Keyset() {
		t.Error("after a rotation nobody would be found")
	}
}

func TestKeysetText(t *testing.T) {
	k, v := made(t)
	kept, _ := v.Seal("p", []byte(words))
	text, err := k.Text()
	if err != nil {
		t.Fatal(err)
	}
	read, err := ReadKeyset(text)
	if err != nil {
		t.Fatal(err)
	}
	if opened, err := used(t, read).Open("p", kept); err != nil || string(opened) != words {
		t.Errorf("%q, %v", opened, err)
	}
	for _, bad := range []string{"", "secret", "{}", string(text[:len(text)-20]), strings.Replace(string(text), `"lookout_keyset":1`, `"lookout_keyset":9`, 1), strings.Replace(string(text), "primaryKeyId", "primaryKeyIx", 1)} {
		if _, err := ReadKeyset([]byte(bad)); err == nil || strings.Contains(err.Error(), "secret") || len(err.Error()) > 200 {
			t.Errorf("%.20q: %v", bad, err)
		}
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "keys", k, "vault", v, "keyset", fmt.Sprintf("%v %+v %#v %v %+v %#v", k, k, k, v, v, v))
	for part := range strings.SplitSeq(string(text), `"`) {
		if len(part) > 30 && strings.Contains(log.String(), part) {
			t.Errorf("the log holds a part of a key: %s", log.String())
		}
	}
	if log.Len() > 300 {
		t.Errorf("the log says much of a keyset: %s", log.String())
	}
}

// A blind name is the same for the same text, and says nothing of it; the beginning of a name
// is shared by many.
func TestBlind(t *testing.T) {
	_, v := made(t)
	_, other := made(t)
	a := v.Blind("at", "sms\x00+447700900123")
	if a != v.Blind("at", "sms\x00+447700900123") || a == v.Blind("nhs", "sms\x00+447700900123") || a == other.Blind("at", "sms\x00+447700900123") || len(a) != 22 {
		t.Errorf("%q", a)
	}
	met := map[string]int{}
	for x := 'a'; x <= 'z'; x++ {
		for y := 'a'; y <= 'z'; y++ {
			marks := v.Begins(string(x) + string(y) + "rest")
			if len(marks) != 2 || marks[0] != v.Begins(string(x))[0] || marks[1] != v.Begins(string(x) + string(y))[1] {
				t.Fatalf("%q: %v", string(x)+string(y), marks)
			}
			met[marks[0]]++
			met[marks[1]]++
		}
	}
	if len(met) > 16+256 {
		t.Errorf("%d marks: each would be shared by few", len(met))
	}
	if marks := v.Begins("ŵ"); len(marks) != 1 {
		t.Errorf("one letter: %v", marks)
	}
}

// A sealed file is read to its end as it was written, or not at all.
func TestSealedFile(t *testing.T) {
	k, v := made(t)
	text := bytes.Repeat([]byte(words), 100_000) // more than two segments
	var file bytes.Buffer
	w, err := v.SealFile(&file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	read := func(v *Vault, file []byte) ([]byte, error) {
		r, err := v.OpenFile(bytes.NewReader(file))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(r)
	}
	next, err := k.Rotated(false)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []*Vault{v, used(t, next)} {
		if got, err := read(v, file.Bytes()); err != nil || !bytes.Equal(got, text) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	}
	_, other := made(t)
	if _, err := read(other, file.Bytes()); err == nil || !strings.Contains(err.Error(), "another keyset") {
		t.Errorf("with another keyset: %v", err)
	}
	for _, n := range []int{0, 5, 40, 100, 1 << 20, 1<<20 + 500, file.Len() - 1} {
		if _, err := read(v, file.Bytes()[:n]); err == nil {
			t.Errorf("cut to %d bytes, it is read", n)
		}
	}
	for _, n := range []int{30, 45, 70, 1 << 20, file.Len() - 1} {
		changed := bytes.Clone(file.Bytes())
		changed[n] ^= 1
		if _, err := read(v, changed); err == nil {
			t.Errorf("with byte %d changed, it is read", n)
		}
	}
	if _, err := read(v, []byte("SQLite format 3\x00 and so on, as long as you like")); err == nil || !strings.Contains(err.Error(), "no backup") {
		t.Errorf("another file: %v", err)
	}
}

func BenchmarkSealAndOpen(b *testing.B) {
	_, v := made(b)
	text := make([]byte, 1500)
	b.ReportAllocs()
	for b.Loop() {
		kept, err := v.Seal("record\x00anytown-p5b5a23efc5101632", text)
		if err == nil {
			_, err = v.Open("record\x00anytown-p5b5a23efc5101632", kept)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBlind(b *testing.B) {
	_, v := made(b)
	for b.Loop() {
		v.Blind("at", "sms\x00+447700900123")
	}
}

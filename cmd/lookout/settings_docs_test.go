package main

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// docs/settings.md names every setting and every variable, and its example is one that
// serve takes.
func TestSettingsAreInTheirManual(t *testing.T) {
	text, err := os.ReadFile("../../docs/settings.md")
	if err != nil {
		t.Fatal(err)
	}
	manual := string(text)
	named := func(name string) {
		if !strings.Contains(manual, "`"+name+"`") {
			t.Errorf("docs/settings.md does not name `%s`", name)
		}
	}
	var walk func(of reflect.Type, prefix string)
	walk = func(of reflect.Type, prefix string) {
		for i := range of.NumField() {
			f := of.Field(i)
			switch name := f.Tag.Get("yaml"); {
			case name == "":
			case f.Type.Kind() == reflect.Struct && name == "service": // told under a heading of its own
				walk(f.Type, "")
			case f.Type.Kind() == reflect.Struct:
				walk(f.Type, name+".")
			default:
				named(prefix + name)
			}
		}
	}
	walk(reflect.TypeFor[settings](), "")
	s := &settings{}
	for name := range s.variables() {
		named(name)
	}
	example := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindStringSubmatch(manual)
	if example == nil {
		t.Fatal("docs/settings.md has no example")
	}
	got, err := loaded(t, strings.Replace(example[1], "keyset_file:", "# keyset_file:", 1), "LOOKOUT_TWILIO_AUTH_TOKEN=secret")
	if err != nil {
		t.Fatalf("the example of docs/settings.md: %v", err)
	}
	if lacks := got.lacks(); len(lacks) > 0 {
		t.Errorf("the example of docs/settings.md lacks %q", lacks)
	}
}

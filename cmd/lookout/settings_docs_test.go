package main

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
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

// compose.yaml sets what lookout knows, and trusts the net that its own proxy is in.
func TestComposeFileSetsWhatLookoutKnows(t *testing.T) {
	text, err := os.ReadFile("../../compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Lookout struct {
			Environment map[string]string
		} `yaml:"x-lookout"`
		Networks map[string]struct {
			IPAM struct {
				Config []struct{ Subnet string }
			}
		}
	}
	if err := yaml.Load(text, &file); err != nil {
		t.Fatal(err)
	}
	variables := (&settings{}).variables()
	for name := range file.Lookout.Environment {
		if variables[name] == nil {
			t.Errorf("lookout does not know %s", name)
		}
	}
	if at := file.Networks["default"].IPAM.Config; len(at) != 1 || at[0].Subnet != file.Lookout.Environment["LOOKOUT_TRUSTED_PROXIES"] {
		t.Errorf("the proxy is in %v, and %q is trusted", at, file.Lookout.Environment["LOOKOUT_TRUSTED_PROXIES"])
	}
}

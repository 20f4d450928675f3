package flows

import (
	"bytes"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"
)

// An editor is told what the loader reads: the same fields, every flow that loads goes
// through, and a mistake that can be seen in one step is marked while it is written.
func TestTheSchemaIsTheLoaders(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile("../content/schema/flow.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("flow", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("flow")
	if err != nil {
		t.Fatal(err)
	}
	fields := func(v any) []string {
		var out []string
		for _, f := range reflect.VisibleFields(reflect.TypeOf(v)) {
			out = append(out, f.Tag.Get("yaml"))
		}
		slices.Sort(out)
		return out
	}
	at := func(path ...string) map[string]any {
		v := doc
		for _, p := range path {
			v = v.(map[string]any)[p]
		}
		return v.(map[string]any)
	}
	names := func(m map[string]any) []string {
		var out []string
		for name := range m {
			out = append(out, name)
		}
		slices.Sort(out)
		return out
	}
	if got, want := names(at("properties")), fields(flowFile{}); !slices.Equal(got, want) {
		t.Errorf("a flow: the schema has %v, and the loader reads %v", got, want)
	}
	var of []string
	for _, verb := range []string{"ask", "form", "say", "branch", "call", "wait", "escalate"} {
		of = append(of, names(at("definitions", verb, "properties"))...)
	}
	slices.Sort(of)
	if got, want := slices.Compact(of), fields(stepFile{}); !slices.Equal(got, want) {
		t.Errorf("a step: the schema has %v, and the loader reads %v", got, want)
	}
	for path, form := range map[string]any{"options": optionFile{}, "remind": remindFile{}} {
		if got, want := names(at("definitions", "ask", "properties", path, "items", "properties")), fields(form); !slices.Equal(got, want) {
			t.Errorf("%s: the schema has %v, and the loader reads %v", path, got, want)
		}
	}
	for path, form := range map[string]any{"expire": expireFile{}, "unclear": unclearFile{}} {
		if got, want := names(at("definitions", "ask", "properties", path, "properties")), fields(form); !slices.Equal(got, want) {
			t.Errorf("%s: the schema has %v, and the loader reads %v", path, got, want)
		}
	}

	valid := func(text []byte) error {
		var v any
		if err := yaml.Load(text, &v); err != nil {
			return err
		}
		if m, ok := v.(map[string]any); ok {
			if review, ok := m["review"].(map[string]any); ok {
				if day, ok := review["next"].(time.Time); ok { // in YAML 1.2, and in editors, a string
					review["next"] = day.Format(time.DateOnly)
				}
			}
		}
		return schema.Validate(v)
	}
	if err := valid([]byte(strings.ReplaceAll(small, "t}", "t.t}"))); err != nil {
		t.Errorf("a flow that loads: %v", err)
	}
	// Of these faults every wrong file is marked, but for those named.
	seen := []string{"unknown-key", "verb", "kind", "level", "version", "source", "review", "misplaced", "reason", "else", "no-steps", "expire", "duration", "yaml", "duplicate", "next", "form"}
	unseen := []string{"duration-zero.yaml", "review-next.yaml", "next-ask.yaml", "next-range.yaml", "form-say.yaml", "form-order.yaml"}
	marked := 0
	for name, wrong := range wrongFlows(t) {
		code := strings.TrimSuffix(strings.Fields(wrong.want + " - -")[1], ":")
		if !slices.Contains(seen, code) || slices.Contains(unseen, name) {
			continue
		}
		files, err := fs.Glob(wrong.files, "*.yaml")
		if err != nil || len(files) != 1 {
			continue
		}
		text, err := fs.ReadFile(wrong.files, files[0])
		if err != nil {
			t.Fatal(err)
		}
		if valid(text) == nil {
			t.Errorf("%s: the loader finds %s, and the schema takes it", name, wrong.want)
		}
		marked++
	}
	if marked < 25 {
		t.Errorf("only %d wrong files were tried", marked)
	}
}

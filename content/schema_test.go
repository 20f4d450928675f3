package content

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"
)

// schemaOf compiles one of schema/.
func schemaOf(t *testing.T, name string) (*jsonschema.Schema, map[string]any) {
	t.Helper()
	file, err := os.ReadFile(filepath.Join("schema", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource(name, doc); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile(name)
	if err != nil {
		t.Fatal(err)
	}
	return schema, doc.(map[string]any)
}

// read is a file as an editor sees it.
func read(t *testing.T, text []byte) any {
	t.Helper()
	var v any
	if err := yaml.Load(text, &v); err != nil {
		t.Fatal(err)
	}
	return plain(v)
}

// plain is a value as YAML 1.2 has it, and editors: there a day is a string.
func plain(v any) any {
	switch x := v.(type) {
	case map[string]any:
		for k := range x {
			x[k] = plain(x[k])
		}
	case []any:
		for i := range x {
			x[i] = plain(x[i])
		}
	case time.Time:
		return x.Format(time.DateOnly)
	}
	return v
}

// keys are the fields of a form of the loader, by their names in the file.
func keys(form any) []string {
	var out []string
	for _, f := range reflect.VisibleFields(reflect.TypeOf(form)) {
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if f.IsExported() && name != "" {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// propertiesAt are the fields of a schema, at a path in it.
func propertiesAt(t *testing.T, doc any, path ...string) []string {
	t.Helper()
	for _, p := range append(path, "properties") {
		m, ok := doc.(map[string]any)
		if !ok {
			t.Fatalf("the schema has no %v", path)
		}
		doc = m[p]
	}
	return sortedKeys(doc.(map[string]any))
}

// What an editor is told is what the loader reads: the same fields, and every file that
// is shipped goes through.
func TestSchemasAreTheLoaders(t *testing.T) {
	t.Parallel()
	for folder, name := range map[string]string{"flows": "flow", "texts": "texts", "plans": "plan"} {
		schema, _ := schemaOf(t, name)
		files, err := fs.Glob(Embedded(), folder+"/*.yaml")
		if err != nil || len(files) == 0 {
			t.Fatal(folder, err)
		}
		for _, file := range files {
			text, err := fs.ReadFile(Embedded(), file)
			if err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(read(t, text)); err != nil {
				t.Errorf("%s is served, and its schema refuses it: %v", file, err)
			}
		}
	}
	_, texts := schemaOf(t, "texts")
	_, plan := schemaOf(t, "plan")
	for _, x := range []struct {
		form any
		doc  any
		path []string
	}{
		{textsFile{}, texts, nil}, {textFile{}, texts, []string{"properties", "texts", "items"}},
		{Plan{}, plan, nil}, {Hush{}, plan, []string{"properties", "quiet", "items"}}, {planItem{}, plan, []string{"properties", "items", "items"}},
	} {
		if got, want := propertiesAt(t, x.doc, x.path...), keys(x.form); !slices.Equal(got, want) {
			t.Errorf("%T: the schema has %v, and the loader reads %v", x.form, got, want)
		}
	}
	if got := propertiesAt(t, texts, "properties", "texts", "items", "properties", "except"); !slices.Equal(got, lintCodes) {
		t.Errorf("a text may be excepted from %v, and the schema has %v", lintCodes, got)
	}
	enum := texts["definitions"].(map[string]any)["review"].(map[string]any)["properties"].(map[string]any)
	if got := sortedKeys(enum); !slices.Equal(got, []string{"author", "next", "reviewer", "state"}) {
		t.Errorf("a review has %v", got)
	}
	var anchors []string
	for _, a := range plan["properties"].(map[string]any)["items"].(map[string]any)["items"].(map[string]any)["properties"].(map[string]any)["from"].(map[string]any)["enum"].([]any) {
		anchors = append(anchors, a.(string))
	}
	slices.Sort(anchors)
	if !slices.Equal(anchors, sortedKeys(Anchors)) {
		t.Errorf("a plan counts from %v, and the schema has %v", sortedKeys(Anchors), anchors)
	}
}

// What the loader refuses in the form of a plan or a text, the editor marks already.
func TestSchemasRefuse(t *testing.T) {
	t.Parallel()
	const head = "version: 1\nreview: {state: draft, author: A. Author}\nsource: own\n"
	for _, x := range []struct{ schema, file string }{
		{"plan", "plan: p\nends: 60m\n" + head + "items: [{id: a, after: 2w, flow: check-in, text: x.y}]"},
		{"plan", "plan: p\nends: 60m\n" + head + "items: [{id: a, after: 2 weeks, flow: check-in}]"},
		{"plan", "plan: p\nends: 60m\n" + head + "items: [{id: a, after: 2w, from: birthday, flow: check-in}]"},
		{"plan", "plan: p\nends: 60m\n" + head + "items: [{id: a, after: 2w, every: 2w, flow: check-in}]"},
		{"plan", "plan: p\nends: 60m\n" + head + "items: [{id: a, after: 2w, flow: check-in, answered: 80}]"},
		{"plan", "plan: p\nends: 60m\n" + head + "quiet: [{around: next_scan, before: 3d, after: 7d}]"},
		{"texts", head + "texts: [{id: a.b, version: 1, en-GB: Hello}]"},
		{"texts", head + "texts: [{id: nodot, version: 1, en-GB: Hello, cy: Helo}]"},
		{"texts", head + "texts: [{id: a.b, en-GB: Hello, cy: Helo}]"},
		{"texts", head + "texts: [{id: a.b, version: 1, en-GB: Hello, cy: Helo, welsh: Helo}]"},
		{"texts", head + "texts: [{id: a.b, version: 1, en-GB: Hello, cy: Helo, except: {length: why}}]"},
		{"texts", strings.Replace(head, "state: draft", "state: approved", 1) + "texts: []"},
	} {
		schema, _ := schemaOf(t, x.schema)
		if err := schema.Validate(read(t, []byte(x.file))); err == nil {
			t.Errorf("the schema takes\n%s", x.file)
		}
	}
}

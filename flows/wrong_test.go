package flows

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

// wrongFlows reads testdata/wrong: each entry, a file or a folder of them, is the
// smallest set of flows that holds one mistake. The first line of the file that
// holds it says what Load must find: "# LINE CODE: MESSAGE".
func wrongFlows(t testing.TB) map[string]struct {
	files fs.FS
	want  string
} {
	t.Helper()
	const dir = "testdata/wrong"
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]struct {
		files fs.FS
		want  string
	})
	for _, entry := range entries {
		paths := []string{filepath.Join(dir, entry.Name())}
		if entry.IsDir() {
			if paths, err = filepath.Glob(filepath.Join(dir, entry.Name(), "*.yaml")); err != nil {
				t.Fatal(err)
			}
		}
		files, want := fstest.MapFS{}, ""
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			name := filepath.Base(path)
			files[name] = &fstest.MapFile{Data: text}
			first, _, _ := strings.Cut(string(text), "\n")
			if mark, ok := strings.CutPrefix(first, "# "); ok {
				want = name + ":" + mark
			}
		}
		x := out[entry.Name()]
		x.files, x.want = files, want
		out[entry.Name()] = x
	}
	return out
}

// Each mistake is found, where it stands, and nothing else is: one mistake does
// not draw others after it.
func TestEveryMistakeIsFound(t *testing.T) {
	t.Parallel()
	for name, wrong := range wrongFlows(t) {
		p, err := Load(wrong.files, refs{})
		var faults Faults
		if !errors.As(err, &faults) || p != nil {
			t.Errorf("%s: loaded without a fault (%v), want %s", name, err, wrong.want)
			continue
		}
		var got []string
		for _, f := range faults {
			got = append(got, fmt.Sprintf("%s:%d %s: %s", f.File, f.Line, f.Code, f.Message))
			if f.Mend == "" || f.Col < 1 || !strings.HasPrefix(f.String(), fmt.Sprintf("%s:%d: ", f.File, f.Line)) {
				t.Errorf("%s: a fault that does not say where, or how to mend it: %+v", name, f)
			}
		}
		if all := strings.Join(got, "\n"); all != wrong.want {
			t.Errorf("%s: found\n%s\nwant\n%s", name, all, wrong.want)
		}
	}
}

// No fault without its wrong file, and none that docs/flows.md does not explain:
// every place in the source that reports one is reached.
func TestEveryFaultHasItsWrongFile(t *testing.T) {
	t.Parallel()
	var wanted []string
	for _, wrong := range wrongFlows(t) {
		wanted = append(wanted, wrong.want)
	}
	manual, err := os.ReadFile("../docs/flows.md")
	if err != nil {
		t.Fatal(err)
	}
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	// Faults that need something which a folder of files cannot show.
	elsewhere := map[string]string{
		"there is no flow at all":             "TestNoFlows",
		"the file cannot be read":             "a parser that panics: FuzzLoad looks for one",
		"%v":                                  "an error of the parser that says no line: FuzzLoad looks for one",
		"the condition %s cannot be run (%v)": "a condition that compiles and makes no program: none is known",
		"the answers of this flow cannot be used in conditions: %v": "names that are no identifiers are found before",
	}
	verbs := regexp.MustCompile(`%[a-z]`)
	sites := 0
	for _, source := range sources {
		if strings.HasSuffix(source, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), source, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if f, ok := call.Fun.(*ast.SelectorExpr); !ok || f.Sel.Name != "fault" {
				return true
			}
			sites++
			code, format := literal(t, call.Args[1]), literal(t, call.Args[3])
			if !strings.Contains(string(manual), "`"+code+"`") {
				t.Errorf("%s: docs/flows.md does not explain the fault `%s`", source, code)
			}
			if elsewhere[format] != "" {
				return true
			}
			parts := verbs.Split(format, -1)
			for i := range parts {
				parts[i] = regexp.QuoteMeta(parts[i])
			}
			want := regexp.MustCompile(`^[^ ]+:\d+ ` + code + `: ` + strings.Join(parts, ".*") + `$`)
			for _, line := range wanted {
				if want.MatchString(line) {
					return true
				}
			}
			t.Errorf("%s: no file in testdata/wrong shows the fault %s: %s", source, code, format)
			return true
		})
	}
	if sites < 50 {
		t.Errorf("found only %d places that report a fault: this test no longer reads the source as it is", sites)
	}
}

func literal(t *testing.T, e ast.Expr) string {
	t.Helper()
	lit, ok := e.(*ast.BasicLit)
	if !ok {
		t.Fatal("a fault whose code or message is not written out")
	}
	s, err := strconv.Unquote(lit.Value)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestNoFlows(t *testing.T) {
	t.Parallel()
	_, err := Load(fstest.MapFS{"README.md": {Data: []byte("none")}}, refs{})
	var faults Faults
	if !errors.As(err, &faults) || len(faults) != 1 || faults[0].Code != "empty" {
		t.Errorf("an empty folder gives %v, want the fault that there is no flow", err)
	}
}

// All mistakes of all files are told at once, in order.
func TestAllMistakesAtOnce(t *testing.T) {
	t.Parallel()
	const twice = `flow: b
review: {state: draft, author: a}
source: s
start: nowhere
steps:
  a: {say: missing, end: completed}
`
	_, err := Load(fstest.MapFS{"b.yaml": {Data: []byte(twice)}, "a.yaml": {Data: []byte("flow: [")}}, refs{})
	var faults Faults
	if !errors.As(err, &faults) {
		t.Fatal(err)
	}
	var got []string
	for _, f := range faults {
		got = append(got, fmt.Sprintf("%s:%d %s", f.File, f.Line, f.Code))
	}
	if want := "a.yaml:2 yaml, b.yaml:1 version, b.yaml:4 start, b.yaml:6 no-text"; strings.Join(got, ", ") != want {
		t.Errorf("found %s, want %s", strings.Join(got, ", "), want)
	}
}

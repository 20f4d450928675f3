package main

import (
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets the scripts run this very binary as lookout.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"lookout": main})
}

// TestScripts plays testdata/scripts: command lines as an operator types them, each in
// an empty folder of its own, on a real process with its exit code and signals.
// Beside testscript's own commands there are:
//
//	await URL              waits until an address answers with 200
//	fetch STATUS URL       gets an address, and shows what came as stdout
//	post STATUS URL FORM   the same, posting a form like a=1&b=2
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/scripts",
		Setup: func(e *testscript.Env) error {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			e.Setenv("ADDR", listener.Addr().String())
			return listener.Close()
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"await": func(ts *testscript.TestScript, _ bool, args []string) {
				if !eventually(t, func() bool {
					r, err := http.Get(args[0])
					if err != nil {
						return false
					}
					r.Body.Close()
					return r.StatusCode == http.StatusOK
				}) {
					ts.Fatalf("%s does not answer", args[0])
				}
			},
			"fetch": func(ts *testscript.TestScript, _ bool, args []string) {
				r, err := http.Get(args[1])
				answered(ts, args, r, err)
			},
			"post": func(ts *testscript.TestScript, _ bool, args []string) {
				r, err := http.Post(args[1], "application/x-www-form-urlencoded", strings.NewReader(args[2]))
				answered(ts, args, r, err)
			},
		},
	})
}

// answered shows an answer, and holds it to its status.
func answered(ts *testscript.TestScript, args []string, r *http.Response, err error) {
	ts.Check(err)
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	ts.Check(err)
	ts.Stdout().Write(body)
	if want, err := strconv.Atoi(args[0]); err != nil || r.StatusCode != want {
		ts.Fatalf("%s: %d, want %s: %.300s", args[1], r.StatusCode, args[0], body)
	}
}

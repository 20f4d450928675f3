// Command lookout looks out for people after primary breast cancer: it sends
// them check-ins, reads every reply, and puts the worrying ones into their
// breast care nurse's queue.
//
// This package holds flags, settings and wiring, and nothing that decides
// anything: start reading at serve.go, and follow bot.Receive from there.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

// cli is every command, with its help.
type cli struct {
	Demo     demoCmd     `cmd:"" help:"Run everything on this machine with made-up patients. No account, no other server, no network."`
	Serve    serveCmd    `cmd:"" help:"Serve patients."`
	Triage   triageCmd   `cmd:"" help:"Read messages, one JSON object a line, and write a reading for each."`
	Flows    flowsCmd    `cmd:"" help:"Check, draw or play the flows."`
	Content  contentCmd  `cmd:"" help:"Copy, review, compare, sign and show the content: every word and rule."`
	Users    usersCmd    `cmd:"" help:"Manage who may sign in at the desk."`
	Audit    auditCmd    `cmd:"" help:"Verify the audit."`
	Patients patientsCmd `cmd:"" help:"Enrol people from a file, see what a person's plan will send, set when she wishes to be texted."`
	Simulate simulateCmd `cmd:"" help:"Run made-up patients through months in seconds: the queue, the cost and the nurse hours to expect."`
	Keys     keysCmd     `cmd:"" help:"Make and rotate the keyset that encrypts the store, and encrypt the store with it."`
	Backup   backupCmd   `cmd:"" help:"Write everything that the store keeps into a file, encrypted, while lookout serves."`
	Restore  restoreCmd  `cmd:"" help:"Fill an empty store from a backup, and compare the two."`
	Migrate  migrateCmd  `cmd:"" help:"Bring everything from one store to another, a file or Redis, and compare the two."`
	Bench    benchCmd    `cmd:"" help:"Measure what this machine takes: drives every door of a process of its own, beside what is possible at best."`
	Doctor   doctorCmd   `cmd:"" help:"Check settings, content, store, disk, clock and Twilio, and say what to do."`

	Version kong.VersionFlag `help:"Say of which commit this program is."`
}

// version is the module's version, the commit and its day, and the Go that built it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "lookout, of an unknown commit"
	}
	of := map[string]string{}
	for _, s := range info.Settings {
		of[s.Key] = s.Value
	}
	out := "lookout " + info.Main.Version + ", of an unknown commit"
	if commit := of["vcs.revision"]; commit != "" {
		day, _, _ := strings.Cut(of["vcs.time"], "T")
		out = "lookout " + info.Main.Version + ", commit " + commit + " of " + day
	}
	if of["vcs.modified"] == "true" {
		out += ", with changes"
	}
	return out + ", " + info.GoVersion
}

// env is what commands get from outside, so that they can be tested in-process.
type env struct {
	ctx     context.Context
	in      io.Reader
	out     io.Writer
	err     io.Writer
	environ []string // name=value, the last of a name counts
	now     func() time.Time
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(exitCode(run(&env{ctx, os.Stdin, os.Stdout, os.Stderr, os.Environ(), wallClock()}, os.Args[1:]), os.Stderr))
}

// noValue is how kong says that a flag stands last, without its value.
var noValue = regexp.MustCompile(`expected \S+ value but got "EOL" \(<EOL>\)`)

// defaultShown is the help of a flag with its default, which kong leaves out where a
// placeholder says what the value is.
func defaultShown(v *kong.Value) string {
	if v.Tag.PlaceHolder == "" || v.Default == "" {
		return v.Help
	}
	return v.Help + " Default: " + v.Default + "."
}

// exitCode reports an error and gives the code to leave with: 0 only on success.
func exitCode(err error, to io.Writer) int {
	if err == nil {
		return 0
	}
	var parse *kong.ParseError
	if errors.As(err, &parse) {
		command := "lookout"
		if node := parse.Context.Selected(); node != nil {
			command = node.FullPath()
		}
		fmt.Fprintf(to, "lookout: %s\nTry: %s --help\n", noValue.ReplaceAllString(err.Error(), "needs a value"), command)
		return 2
	}
	fmt.Fprintf(to, "lookout: %v\n", err)
	return 1
}

// errHelp ends a run that only printed help.
var errHelp = errors.New("help was printed")

// run runs one command line.
func run(e *env, args []string) (err error) {
	var c cli
	parser, err := kong.New(&c, kong.Name("lookout"),
		kong.Description("Looks out for people after primary breast cancer: check-ins by text, every reply read, the worrying ones in their nurse's queue."),
		kong.Writers(e.out, e.err), kong.Bind(e), kong.Vars{"version": version()},
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}), kong.ValueFormatter(defaultShown),
		kong.Exit(func(int) { panic(errHelp) }))
	if err != nil {
		return err
	}
	defer func() {
		if p := recover(); p == errHelp {
			err = nil
		} else if p != nil {
			panic(p)
		}
	}()
	if len(args) == 0 {
		args = []string{"--help"}
	}
	k, err := parser.Parse(args)
	if err != nil {
		return err
	}
	return k.Run(e)
}

package main

import (
	"fmt"
)

type flowsCmd struct {
	Check flowsCheckCmd `cmd:"" help:"Find every mistake of a content folder, with file and line."`
}

type flowsCheckCmd struct {
	Dir string `arg:"" optional:"" help:"The content folder; the embedded pack when not given."`
}

// Help is shown by lookout flows check --help.
func (*flowsCheckCmd) Help() string { return "Example:\n  lookout flows check ./content" }

// Run loads the pack, which is the check.
func (c *flowsCheckCmd) Run(e *env) error {
	pack, err := (&settings{Content: c.Dir}).pack()
	if err != nil {
		return err
	}
	fmt.Fprintf(e.out, "No faults: %d flows, pack %s.\nNot approved by a clinician.\n", len(pack.Program().Flows()), pack.Digest())
	return nil
}

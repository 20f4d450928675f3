package main

import (
	"context"
	"fmt"
	"time"

	"lookout/bot"
)

type auditCmd struct {
	Verify auditVerifyCmd `cmd:"" help:"Prove that no entry of the audit was changed, added or taken out."`
}

type auditVerifyCmd struct {
	Hash     string `help:"A hash that was kept elsewhere, e.g. from the log of a day: it must be in the chain." placeholder:"HEX"`
	Settings string `help:"The settings file." default:"lookout.yaml" placeholder:"FILE"`
}

// Help is shown by lookout audit verify --help.
func (*auditVerifyCmd) Help() string {
	return "Every read, search, export and act is in the audit, and each entry is chained to the one before it. Each day's seal is in the log of the process too.\n\nExample:\n  lookout audit verify --settings /etc/lookout.yaml"
}

// Run verifies the audit; lookout may be serving at the same time.
func (c *auditVerifyCmd) Run(e *env) error {
	return withBot(e, c.Settings, mustExist, func(ctx context.Context, b *bot.Bot) error {
		state, err := b.VerifyAudit(ctx, c.Hash)
		if err != nil {
			return err
		}
		if state.Broken != "" {
			return fmt.Errorf("the audit is broken: %s", state.Broken)
		}
		fmt.Fprintf(e.out, "The audit is whole: %d entries, %d seals.\n", state.Entries, state.Seals)
		if state.Sealed.Seq > 0 {
			fmt.Fprintf(e.out, "Sealed up to entry %d at %s: %s\n", state.Sealed.Seq, state.Sealed.At.UTC().Format(time.RFC3339), state.Sealed.Hash)
		}
		return nil
	})
}

package simulate

import (
	"testing"

	"lookout/bot"
	"lookout/bot/storetest"
)

// The store of the simulation keeps the contract of every store, and so a run of
// it shows what any store would do.
func TestMemoryKeepsTheContract(t *testing.T) {
	storetest.Run(t, storetest.Harness{Open: func(t *testing.T) (bot.Store, func(t *testing.T) bot.Store) {
		m := newMemory(nil)
		return m, func(*testing.T) bot.Store { return &memory{kept: m.kept} }
	}})
}

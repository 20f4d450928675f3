package memory

import (
	"testing"

	"lookout/bot"
	"lookout/bot/storetest"
)

// It keeps the contract of every store, and so what runs on it shows what any store would do.
func TestMemoryKeepsTheContract(t *testing.T) {
	storetest.Run(t, storetest.Harness{Open: func(t *testing.T) (bot.Store, func(t *testing.T) bot.Store) {
		m := New(nil)
		return m, func(*testing.T) bot.Store { return &Store{kept: m.kept} }
	}})
}

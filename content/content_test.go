package content

import (
	"testing"
)

func shipped(t testing.TB) *Pack {
	t.Helper()
	p, err := Load(Embedded())
	if err != nil {
		t.Fatalf("the pack that is shipped has faults:\n%v", err)
	}
	return p
}

func TestShippedPackHasNoFaults(t *testing.T) { shipped(t) }

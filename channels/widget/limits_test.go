package widget

import (
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"golang.org/x/time/rate"
)

// Tries to get in from as many addresses as one subscriber has of IPv6 are one visitor's.
func TestTriesToGetInAreCountedBySubscriber(t *testing.T) {
	at := time.Date(2026, 11, 24, 10, 30, 0, 0, time.UTC)
	c := &Chat{Config: Config{Now: func() time.Time { return at }}, limits: map[string]*rate.Limiter{}}
	try := func(from string, n int) bool {
		r := httptest.NewRequest("POST", "/chat/open", nil)
		r.RemoteAddr = from
		return c.mayTry(r, fmt.Sprint("code ", n))
	}
	for n := range 30 {
		if !try(fmt.Sprintf("[2001:db8:1:2::%x]:4711", n+1), n) {
			t.Fatalf("try %d is refused", n+1)
		}
	}
	if try("[2001:db8:1:2:ffff::1]:4711", 30) {
		t.Error("the 31st try from another address of the same /64 is let through")
	}
	if !try("[2001:db8:1:3::1]:4711", 31) {
		t.Error("another subscriber is refused")
	}
}

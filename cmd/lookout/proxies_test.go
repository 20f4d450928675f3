package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// Where a request came from is said by the operator's proxies, and by nobody else.
func TestTrustedProxiesSayWhereARequestCameFrom(t *testing.T) {
	p, faults := parseProxies([]string{"10.0.0.0/8", "192.168.1.7", "fd00::/8"})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	if _, faults := parseProxies([]string{"the proxy", "10.0.0.0/40"}); len(faults) != 2 {
		t.Errorf("two that are none: %v", faults)
	}
	for _, x := range []struct {
		peer, want string
		said       []string
	}{
		{"10.1.2.3:4000", "203.0.113.9:4000", []string{"203.0.113.9"}},
		{"10.1.2.3:4000", "203.0.113.9:4000", []string{"198.51.100.1, 203.0.113.9"}}, // the first is the person's own claim
		{"10.1.2.3:4000", "203.0.113.9:4000", []string{"203.0.113.9, 10.9.9.9", "192.168.1.7"}},
		{"10.1.2.3:4000", "10.1.2.3:4000", nil},
		{"10.1.2.3:4000", "10.1.2.3:4000", []string{" , "}},
		{"[fd00::1]:4000", "[2001:db8::5]:4000", []string{"2001:db8::5"}},
		{"10.1.2.3:4000", "203.0.113.9:4000", []string{"203.0.113.9:51234"}}, // with the port that the proxy saw
		{"10.1.2.3:4000", "[2001:db8::5]:4000", []string{"[2001:db8::5]:51234"}},
		{"[::ffff:10.1.2.3]:4000", "203.0.113.9:4000", []string{"203.0.113.9"}},
		{"192.168.1.8:4000", "192.168.1.8:4000", []string{"203.0.113.9"}},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = x.peer
		r.Header["X-Forwarded-For"] = x.said
		got := ""
		p.seen(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.RemoteAddr })).ServeHTTP(httptest.NewRecorder(), r)
		if got != x.want {
			t.Errorf("%s with %q comes from %s, want %s", x.peer, x.said, got, x.want)
		}
		if r.RemoteAddr != x.peer {
			t.Errorf("the request itself was changed: %s", r.RemoteAddr)
		}
	}
}

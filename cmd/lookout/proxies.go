package main

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// proxies are the operator's own: what they say of where a request came from counts.
type proxies []netip.Prefix

// parseProxies reads addresses (10.0.0.1) and nets (10.0.0.0/8).
func parseProxies(texts []string) (out proxies, faults []error) {
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		if at, e := netip.ParseAddr(text); e == nil {
			p, err = netip.PrefixFrom(at, at.BitLen()), nil
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("trusted_proxies: %q is not an address like 10.0.0.1 or a net like 10.0.0.0/8", text))
			continue
		}
		out = append(out, p)
	}
	return out, faults
}

// seen gives every request the address that it came from: of the last hop that is not
// one of the proxies. Tries to sign in are counted by it, and the audit keeps it: without
// this a whole team behind one proxy would be one address, and one of them could lock
// all the others out. What anybody else says of where he comes from counts for nothing.
func (p proxies) seen(h http.Handler) http.Handler {
	if len(p) == 0 {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, port, _ := net.SplitHostPort(r.RemoteAddr)
		hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		from := host
		for i := len(hops) - 1; i >= 0 && p.trust(from); i-- {
			hop := strings.TrimSpace(hops[i])
			if at, err := netip.ParseAddrPort(hop); err == nil { // some proxies tell the port too
				hop = at.Addr().String()
			}
			if hop != "" {
				from = hop
			}
		}
		if from != host {
			there := *r
			there.RemoteAddr = net.JoinHostPort(from, port)
			r = &there
		}
		h.ServeHTTP(w, r)
	})
}

func (p proxies) trust(host string) bool {
	at, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	for _, prefix := range p {
		if prefix.Contains(at.Unmap()) {
			return true
		}
	}
	return false
}

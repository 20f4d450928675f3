package redisstore

import (
	"bytes"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// proxy stands between a store and a server, and can lose the answer to a
// command that the server has carried out: the fault that tells a safe client
// from one that repeats writes.
type proxy struct {
	addr   string
	target atomic.Pointer[string]

	mu   sync.Mutex
	lose []byte // the answer to the next request that holds this is lost, with its connection
	lost int
}

func startProxy(tb testing.TB, target string) *proxy {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p := &proxy{addr: listener.Addr().String()}
	p.target.Store(&target)
	tb.Cleanup(func() { listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go p.carry(client)
		}
	}()
	return p
}

// loseAnswerTo arms it, and gives how often it has struck since.
func (p *proxy) loseAnswerTo(request string) (struck func() int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lose, p.lost = []byte(request), 0
	return func() int {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.lost
	}
}

func (p *proxy) carry(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", *p.target.Load())
	if err != nil {
		return
	}
	defer server.Close()
	var doomed atomic.Bool
	go func() {
		defer server.Close()
		buffer := make([]byte, 1<<20) // a request of the tests comes whole
		for {
			n, err := client.Read(buffer)
			if n > 0 {
				p.mu.Lock()
				if p.lose != nil && bytes.Contains(buffer[:n], p.lose) {
					p.lose = nil
					p.lost++
					doomed.Store(true)
				}
				p.mu.Unlock()
				if _, err := server.Write(buffer[:n]); err != nil {
					return
				}
			}
			if err != nil {
				return
			}
		}
	}()
	buffer := make([]byte, 1<<20)
	for {
		n, err := server.Read(buffer)
		if doomed.Load() {
			return // the server has answered: it has done it
		}
		if n > 0 {
			if _, err := client.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			if err != io.EOF {
				return
			}
			return
		}
	}
}

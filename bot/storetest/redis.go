package storetest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// Redis is a real redis-server (or Sentinel) of a test, on a loopback port of its
// own, ended with the test. It keeps what it is told: an append-only file, synced
// always, and no eviction, unless the test's own settings say otherwise.
type Redis struct {
	Addr string
	Dir  string

	args []string
	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{}
}

// StartRedis starts a redis-server. settings are further ones, as on its command
// line ("--appendfsync", "everysec"); the last of one name counts.
func StartRedis(tb testing.TB, settings ...string) *Redis {
	tb.Helper()
	r := &Redis{Dir: tb.TempDir()}
	r.args = append([]string{"--bind", "127.0.0.1", "--dir", r.Dir, "--save", "", "--appendonly", "yes", "--appendfsync", "always",
		"--maxmemory-policy", "noeviction", "--daemonize", "no", "--logfile", ""}, settings...)
	r.begin(tb, "Ready to accept connections")
	return r
}

// StartSentinel starts a Sentinel that watches a master of that name, and with so
// many others (quorum) holds it for dead after some hundred milliseconds.
func StartSentinel(tb testing.TB, name, addr string, quorum int) *Redis {
	tb.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		tb.Fatal(err)
	}
	r := &Redis{Dir: tb.TempDir()}
	file := r.Dir + "/sentinel.conf"
	conf := fmt.Sprintf("dir %s\nbind 127.0.0.1\nsentinel monitor %s %s %s %d\nsentinel down-after-milliseconds %s 600\nsentinel failover-timeout %s 6000\nsentinel parallel-syncs %s 2\n",
		r.Dir, name, host, port, quorum, name, name, name)
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		tb.Fatal(err)
	}
	r.args = []string{file, "--sentinel", "--logfile", ""}
	r.begin(tb, "+monitor master")
	return r
}

func (r *Redis) begin(tb testing.TB, ready string) {
	tb.Helper()
	for range 10 {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			tb.Fatal(err)
		}
		r.Addr = listener.Addr().String()
		listener.Close() // it may be taken before the server has it: then another
		if r.start(tb, ready) {
			tb.Cleanup(r.Kill)
			return
		}
	}
	tb.Fatal("redis-server does not start")
}

// start runs the server and waits until it says that it is ready.
func (r *Redis) start(tb testing.TB, ready string) bool {
	tb.Helper()
	_, port, _ := net.SplitHostPort(r.Addr)
	cmd := exec.Command("redis-server", append(append([]string{}, r.args...), "--port", port)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		tb.Fatalf("%v: .ci/setup installs what the tests need", err)
	}
	said, done := make(chan bool, 1), make(chan struct{})
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if strings.Contains(lines.Text(), ready) {
				said <- true
				break
			}
		}
		_, _ = io.Copy(io.Discard, out) // it must not block on what nobody reads
		_ = cmd.Wait()                  // killed, mostly
		close(done)
		close(said)
	}()
	r.mu.Lock()
	r.cmd, r.done = cmd, done
	r.mu.Unlock()
	return <-said
}

// Kill ends it at once, as a power cut would its process.
func (r *Redis) Kill() {
	r.Signal(syscall.SIGKILL)
	r.mu.Lock()
	done := r.done
	r.mu.Unlock()
	<-done
}

// Signal sends it a signal: SIGSTOP and SIGCONT pause it.
func (r *Redis) Signal(s syscall.Signal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.cmd.Process.Signal(s) // it may have ended
}

// Again starts it once more, on the same port and files, after a Kill.
func (r *Redis) Again(tb testing.TB) {
	tb.Helper()
	for range 50 {
		if r.start(tb, "Ready to accept connections") {
			return
		}
	}
	tb.Fatal("redis-server does not start again")
}

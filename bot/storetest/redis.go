package storetest

import (
	"bufio"
	"fmt"
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
	cmd  *exec.Cmd
	done chan struct{}

	mu    sync.Mutex
	lines []string      // of its log
	more  chan struct{} // closed and made anew with each line
}

// StartRedis starts a redis-server. settings are further ones, as on its command
// line ("--appendfsync", "everysec"); the last of one name counts.
func StartRedis(tb testing.TB, settings ...string) *Redis {
	tb.Helper()
	r := &Redis{Dir: tb.TempDir(), more: make(chan struct{})}
	r.args = append([]string{"--bind", "127.0.0.1", "--dir", r.Dir, "--save", "", "--appendonly", "yes", "--appendfsync", "always",
		"--maxmemory-policy", "noeviction", "--daemonize", "no", "--logfile", ""}, settings...)
	r.begin(tb, "Ready to accept connections")
	return r
}

// StartSentinel starts a Sentinel that watches a master of that name, and with so
// many others (quorum) holds it for dead after four seconds: longer than a busy machine stands still.
func StartSentinel(tb testing.TB, name, addr string, quorum int) *Redis {
	tb.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		tb.Fatal(err)
	}
	r := &Redis{Dir: tb.TempDir(), more: make(chan struct{})}
	file := r.Dir + "/sentinel.conf"
	conf := fmt.Sprintf("dir %s\nbind 127.0.0.1\nsentinel monitor %s %s %s %d\nsentinel down-after-milliseconds %s 4000\nsentinel failover-timeout %s 6000\nsentinel parallel-syncs %s 2\n",
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
		r.Addr = FreeAddr(tb)
		if r.start(tb, ready) {
			tb.Cleanup(r.Kill)
			return
		}
	}
	tb.Fatal("redis-server does not start")
}

// FreeAddr is a loopback address at which nobody listens, most likely.
func FreeAddr(tb testing.TB) string {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// start runs the server and waits until it says that it is ready, or ends.
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
	done := make(chan struct{})
	r.cmd, r.done = cmd, done
	from := r.Said()
	go func() {
		defer close(done)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			r.mu.Lock()
			r.lines = append(r.lines, lines.Text())
			close(r.more)
			r.more = make(chan struct{})
			r.mu.Unlock()
		}
		_ = cmd.Wait() // killed, mostly
	}()
	return r.await(ready, from)
}

// Said is how many lines its log has: a place from which to [Redis.Await] one.
func (r *Redis) Said() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.lines)
}

// Await waits until its log has a line, from a place on, that holds the text.
func (r *Redis) Await(tb testing.TB, text string, from int) {
	tb.Helper()
	if !r.await(text, from) {
		tb.Fatalf("redis-server at %s ended before it said %q", r.Addr, text)
	}
}

func (r *Redis) await(text string, from int) bool {
	for {
		r.mu.Lock()
		for ; from < len(r.lines); from++ {
			if strings.Contains(r.lines[from], text) {
				r.mu.Unlock()
				return true
			}
		}
		more := r.more
		r.mu.Unlock()
		select {
		case <-more:
		case <-r.done:
			select {
			case <-more: // its last words
			default:
				return false
			}
		}
	}
}

// Kill ends it at once, as a power cut would its process.
func (r *Redis) Kill() {
	r.Signal(syscall.SIGKILL)
	<-r.done
}

// Signal sends it a signal: SIGSTOP and SIGCONT pause it.
func (r *Redis) Signal(s syscall.Signal) {
	_ = r.cmd.Process.Signal(s) // it may have ended
}

// Again starts it once more, on the same port and files, after a Kill.
func (r *Redis) Again(tb testing.TB) {
	tb.Helper()
	for range 50 { // its port may not be free at once
		if r.start(tb, "Ready to accept connections") {
			return
		}
	}
	tb.Fatal("redis-server does not start again")
}

// Set changes a setting of a server that runs.
func (r *Redis) Set(tb testing.TB, name, value string) {
	tb.Helper()
	conn, err := net.Dial("tcp", r.Addr)
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "CONFIG SET %s %s\r\n", name, value)
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || !strings.HasPrefix(answer, "+OK") {
		tb.Fatalf("CONFIG SET %s: %q, %v", name, answer, err)
	}
}

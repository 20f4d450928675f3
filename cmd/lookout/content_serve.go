package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"lookout/channels/author"
	"lookout/channels/desk"
	"lookout/content"
)

type contentServeCmd struct {
	Dir  string `arg:"" optional:"" help:"The content folder; the embedded pack when not given."`
	Addr string `help:"Where the pages are: an address of this machine alone." default:"127.0.0.1:8090" placeholder:"HOST:PORT"`
}

// Help is shown by lookout content serve --help.
func (*contentServeCmd) Help() string {
	return "Example:\n  lookout content serve ./content\n\nThe folder is read again when a file of it has changed: save, and load the page anew. Nothing is kept or sent, and nobody else can reach the pages."
}

// Run serves until it is told to stop.
func (c *contentServeCmd) Run(e *env) error {
	host, _, err := net.SplitHostPort(c.Addr)
	if ip := net.ParseIP(host); err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("--addr: %q is no address of this machine alone: write it like 127.0.0.1:8090", c.Addr)
	}
	if c.Dir != "" && c.Dir != embeddedPlace {
		if _, err := contentFolder(c.Dir); err != nil {
			return err
		}
	}
	pages, err := author.New(author.Config{Pack: (&folderPack{dir: c.Dir}).current, Now: e.now, Stylesheet: desk.Stylesheet()})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", c.Addr)
	if err != nil {
		return err
	}
	fmt.Fprintf(e.out, "The content is at http://%s/ until you press Ctrl-C.\n", listener.Addr())
	server := &http.Server{Handler: pages, ReadHeaderTimeout: 5 * time.Second}
	stopped := make(chan error, 1)
	go func() { stopped <- server.Serve(listener) }()
	select {
	case err := <-stopped:
		return err
	case <-e.ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(e.ctx), 5*time.Second)
	defer cancel()
	err = server.Shutdown(ctx)
	if served := <-stopped; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// folderPack is the pack of a folder, loaded again when a file of it has changed.
type folderPack struct {
	dir string

	mu    sync.Mutex
	stamp string
	pack  *content.Pack
	err   error
}

func (f *folderPack) current() (*content.Pack, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	stamp, err := f.look()
	if err != nil {
		return nil, err
	}
	if f.pack == nil && f.err == nil || stamp != f.stamp {
		f.pack, f.err = packAt(f.dir)
		f.stamp = stamp
	}
	return f.pack, f.err
}

// look says how the folder is now: the names, sizes and times of its files.
func (f *folderPack) look() (string, error) {
	if info, err := os.Stat(f.dir); f.dir == "" || err != nil || !info.IsDir() {
		return "", nil // the embedded pack, or an archive
	}
	stamp := ""
	err := filepath.WalkDir(f.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		stamp += fmt.Sprintf("%s %d %d\n", path, info.Size(), info.ModTime().UnixNano())
		return nil
	})
	return stamp, err
}

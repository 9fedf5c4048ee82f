package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// proxy stands between wherry and the engine, so that a script can take the
// engine away without taking it from everybody.
type proxy struct {
	listener net.Listener
	network  string
	address  string
	slow     bool // replies to the start of a container are late

	mu    sync.Mutex
	cut   bool
	conns []net.Conn
}

// late is how late.
const late = time.Second

// cmdProxy starts a proxy to the engine at a unix socket, until `cut` or the end
// of the script. With slow, the engine has started a container some time before
// its reply comes.
func cmdProxy(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 1 || len(args) == 2 && args[1] == "slow", "proxy SOCKET [slow]")
	network, address, err := engineAddress()
	ts.Check(err)
	path := ts.MkAbs(args[0])
	l, err := net.Listen("unix", path)
	ts.Check(err)
	p := &proxy{listener: l, network: network, address: address, slow: len(args) == 2}
	go p.serve()
	ts.Defer(p.close)
	proxies.Store(path, p)
}

// proxies are those of all scripts, by socket.
var proxies sync.Map

// cmdCut drops all connections of the proxy and refuses new ones.
func cmdCut(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 1, "cut SOCKET")
	p, ok := proxies.LoadAndDelete(ts.MkAbs(args[0]))
	if !ok {
		ts.Fatalf("no proxy at %s", args[0])
	}
	p.(*proxy).close()
}

// engineAddress is where the docker command finds the engine.
func engineAddress() (network, address string, err error) {
	host := os.Getenv("DOCKER_HOST")
	if host == "" {
		out, err := exec.Command("docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}").Output()
		if err != nil {
			return "", "", fmt.Errorf("docker context inspect: %w", err)
		}
		host = strings.TrimSpace(string(out))
	}
	network, address, _ = strings.Cut(host, "://")
	if network != "unix" && network != "tcp" {
		return "", "", fmt.Errorf("no proxy for an engine at %s", host)
	}
	return network, address, nil
}

func (p *proxy) serve() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		up, err := net.Dial(p.network, p.address)
		if err != nil || !p.keep(c, up) {
			c.Close()
			continue
		}
		w := &wire{slow: p.slow}
		go pipe(up, &reader{c, w.request})
		go pipe(c, &reader{up, w.reply})
	}
}

// keep remembers connections for close; false: it was closed already.
func (p *proxy) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns = append(p.conns, conns...)
	return !p.cut
}

// pipe copies one direction; its end is told to the other side, whose own
// direction may go on (the log of a container that has ended).
func pipe(to net.Conn, from io.Reader) {
	_, _ = io.Copy(struct{ io.Writer }{to}, from)
	if w, ok := to.(interface{ CloseWrite() error }); ok {
		_ = w.CloseWrite()
	}
}

// wire is one connection: it knows whether a start waits for its reply.
type wire struct {
	slow     bool
	starting atomic.Bool
}

func (w *wire) request(data []byte) {
	w.starting.Store(w.slow && bytes.Contains(data, []byte("/start HTTP/1.1")))
}

func (w *wire) reply([]byte) {
	if w.starting.Swap(false) {
		time.Sleep(late)
	}
}

// reader shows what it read before it hands it on.
type reader struct {
	io.Reader
	see func([]byte)
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if n > 0 {
		r.see(p[:n])
	}
	return n, err
}

func (p *proxy) close() {
	p.listener.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = true
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
}

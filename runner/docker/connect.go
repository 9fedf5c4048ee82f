package docker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/system"
	"github.com/docker/docker/client"

	"github.com/wherry-ml/wherry/runner"
)

// answerWithin is how long an engine may take to answer the first question.
const answerWithin = 10 * time.Second

// endpoint is a place where an engine may answer.
type endpoint struct {
	host     string // unix://…, tcp://…, ssh://…
	from     string // what named it
	certs    string // directory with ca.pem, cert.pem, key.pem; may be empty
	insecure bool   // the server's certificate is not checked
	guess    bool   // a usual place, passed over in silence when it is not there
}

func (p endpoint) String() string { return p.host }

func (p endpoint) scheme() string { s, _, _ := strings.Cut(p.host, "://"); return s }

// socket returns the path of a unix socket, or "".
func (p endpoint) socket() string {
	if path, ok := strings.CutPrefix(p.host, "unix://"); ok {
		return path
	}
	return ""
}

// local reports whether the engine sees this machine's files: by a socket, at
// least those that its virtual machine shares.
func (p endpoint) local() bool { return p.scheme() == "unix" }

// engine is a connection to an engine that has answered.
type engine struct {
	*client.Client
	end    endpoint
	native bool // root runs it on this machine's kernel: not so in a virtual machine, and of rootless engines

	infoOnce sync.Mutex
	info     *system.Info

	initOnce sync.Once
	hasInit  bool

	stale      atomic.Bool // a connection was made since instance was asked
	instanceMu sync.Mutex
	instance   string
}

// connector finds the engine once and keeps the connection.
type connector struct {
	cfg   Config
	env   func(string) string
	conf  *dockerConfig
	state *connState
}

type connState struct {
	mu     sync.Mutex
	engine *engine
}

func newConnector(cfg Config) connector {
	env := cfg.LookupEnv
	if env == nil {
		env = os.Getenv
	}
	conf, err := readDockerConfig(env)
	if err != nil && cfg.Log != nil {
		cfg.Log.Warn("Docker's configuration is left out", "error", err)
		conf = &dockerConfig{dir: conf.dir}
	}
	return connector{cfg: cfg, env: env, conf: conf, state: &connState{}}
}

func (c connector) close() error {
	c.state.mu.Lock()
	defer c.state.mu.Unlock()
	if c.state.engine == nil {
		return nil
	}
	return c.state.engine.Close()
}

// engine returns the connection, making it if need be. The error is an
// *UnavailableError that lists every place that was tried.
func (c connector) engine(ctx context.Context) (*engine, error) {
	c.state.mu.Lock()
	defer c.state.mu.Unlock()
	if c.state.engine != nil {
		return c.state.engine, nil
	}
	ends, err := c.endpoints()
	if err != nil {
		return nil, &runner.UnavailableError{Backend: name, Err: err, Mend: "see: docker context ls"}
	}
	var tried []string
	var errs []error
	for _, end := range ends {
		tried = append(tried, end.host)
		e, err := open(ctx, end)
		if err == nil {
			c.state.engine = e
			return e, nil
		}
		if !end.guess || !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, fmt.Errorf("%s (%s): %w", end.host, end.from, err))
		}
	}
	if len(errs) == 0 {
		errs = append(errs, fmt.Errorf("no engine's socket at %s", strings.Join(tried, ", ")))
	}
	err = errors.Join(errs...)
	return nil, &runner.UnavailableError{Backend: name, Tried: tried, Err: err, Mend: mendFor(err)}
}

func mendFor(err error) string {
	switch {
	case errors.Is(err, os.ErrPermission):
		return "sudo usermod -aG docker $USER, then log in again; or wherry run --backend process"
	case runtime.GOOS == "darwin":
		return "start Docker Desktop, OrbStack or Colima (colima start); or wherry run --backend process"
	}
	return "start the engine (sudo systemctl start docker), or name it in DOCKER_HOST; or wherry run --backend process"
}

// endpoints lists where an engine may be: the one that was named, else the
// usual sockets.
func (c connector) endpoints() ([]endpoint, error) {
	if host := c.cfg.Host; host != "" {
		return []endpoint{{host: host, from: "configuration"}}, nil
	}
	if host := c.env("DOCKER_HOST"); host != "" {
		end := endpoint{host: host, from: "DOCKER_HOST"}
		if c.env("DOCKER_TLS_VERIFY") != "" || c.env("DOCKER_CERT_PATH") != "" {
			end.certs = c.env("DOCKER_CERT_PATH")
			if end.certs == "" {
				end.certs = c.conf.dir
			}
			end.insecure = c.env("DOCKER_TLS_VERIFY") == ""
		}
		return []endpoint{end}, nil
	}
	name := c.env("DOCKER_CONTEXT")
	if name == "" {
		name = c.conf.CurrentContext
	}
	if name != "" && name != "default" {
		end, err := c.conf.context(name)
		return []endpoint{end}, err
	}
	return c.usual(), nil
}

// usual lists the sockets that engines make when nobody says otherwise.
func (c connector) usual() []endpoint {
	var ends []endpoint
	add := func(from string, path ...string) {
		if path[0] != "" {
			ends = append(ends, endpoint{host: "unix://" + filepath.Join(path...), from: from, guess: true})
		}
	}
	home, run := c.env("HOME"), c.env("XDG_RUNTIME_DIR")
	add("Docker", "/var/run/docker.sock")
	add("rootless Docker", run, "docker.sock")
	add("Docker Desktop", home, ".docker/run/docker.sock")
	add("Docker Desktop", home, ".docker/desktop/docker.sock")
	add("OrbStack", home, ".orbstack/run/docker.sock")
	add("Colima", home, ".colima/default/docker.sock")
	add("Colima", home, ".config/colima/default/docker.sock")
	add("Rancher Desktop", home, ".rd/docker.sock")
	add("rootless Podman", run, "podman/podman.sock")
	add("Podman", "/run/podman/podman.sock")
	add("Podman", home, ".local/share/containers/podman/machine/podman.sock")
	return ends
}

// open connects to one place and agrees on the version of the API, once.
func open(ctx context.Context, end endpoint) (*engine, error) {
	e := &engine{end: end, native: end.local() && !inMachine(end.socket()) && rootListens(end.socket())}
	e.stale.Store(true)
	opts, err := e.options()
	if err != nil {
		return nil, err
	}
	e.Client, err = client.NewClientWithOpts(opts...)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	ping, err := e.Ping(ctx)
	if err != nil {
		return nil, errors.Join(err, statSocket(end))
	}
	e.NegotiateAPIVersionPing(ping)
	return e, nil
}

// statSocket says more exactly than the client why a socket can't be used.
func statSocket(end endpoint) error {
	if end.socket() == "" {
		return nil
	}
	conn, err := net.DialTimeout("unix", end.socket(), time.Second)
	if err == nil {
		conn.Close()
	}
	return err
}

func (e *engine) options() ([]client.Opt, error) {
	tr := &http.Transport{MaxIdleConns: 128, MaxIdleConnsPerHost: 128, IdleConnTimeout: time.Minute}
	opts := []client.Opt{client.WithHTTPClient(&http.Client{Transport: tr, CheckRedirect: client.CheckRedirect})}
	if e.end.scheme() == "ssh" {
		dial, err := sshDialer(e.end.host)
		if err != nil {
			return nil, err
		}
		return append(opts, client.WithHost("http://docker.localhost"),
			client.WithDialContext(e.noting(func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }))), nil
	}
	opts = append(opts, client.WithHost(e.end.host))
	if e.end.certs != "" {
		conf, err := tlsConfig(e.end)
		if err != nil {
			return nil, err
		}
		tr.TLSClientConfig = conf
	}
	dialer := &net.Dialer{Timeout: answerWithin}
	return append(opts, client.WithDialContext(e.noting(func(ctx context.Context, network, addr string) (net.Conn, error) {
		if path := e.end.socket(); path != "" {
			network, addr = "unix", path
		}
		return dialer.DialContext(ctx, network, addr)
	}))), nil
}

type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// noting wraps a dialer so that a new connection makes the engine's instance
// be asked again: a restart breaks the old ones.
func (e *engine) noting(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		e.stale.Store(true)
		return dial(ctx, network, addr)
	}
}

// life identifies this life of the engine, or is "" where that can't be known.
// The default bridge is made anew whenever an engine starts with no container
// running, which also holds behind proxies, sockets of systemd and in virtual
// machines; where there is none, it is the process at the socket's other end.
func (e *engine) life(ctx context.Context) string {
	e.instanceMu.Lock()
	defer e.instanceMu.Unlock()
	if !e.stale.Swap(false) {
		return e.instance
	}
	net, err := e.NetworkInspect(ctx, "bridge", network.InspectOptions{})
	if err == nil && net.ID != "" {
		e.instance = fmt.Sprintf("%.12s-%d", net.ID, net.Created.Unix())
		return e.instance
	}
	e.instance = peer(e.end.socket())
	return e.instance
}

// reaps reports whether the engine has an init process to put before a container's
// command. As the first process of a container a shell or Python takes no notice
// of SIGTERM; as the child of an init it ends.
func (e *engine) reaps(ctx context.Context) bool {
	e.initOnce.Do(func() {
		v, err := e.ServerVersion(ctx)
		e.hasInit = err == nil && slices.ContainsFunc(v.Components, func(c types.ComponentVersion) bool {
			return c.Name == "docker-init" && c.Version != "" && c.Version != "N/A"
		})
	})
	return e.hasInit
}

// about returns what the engine says about itself, asked once.
func (e *engine) about(ctx context.Context) (*system.Info, error) {
	e.infoOnce.Lock()
	defer e.infoOnce.Unlock()
	if e.info != nil {
		return e.info, nil
	}
	info, err := e.Info(ctx)
	if err != nil {
		return nil, e.failed(err, "ask the engine what it has")
	}
	e.info = &info
	return e.info, nil
}

// sameKernel reports whether containers run on this machine's kernel, as far
// as the engine's address tells.
func (c connector) sameKernel() bool {
	if c.state.mu.TryLock() {
		defer c.state.mu.Unlock()
		if e := c.state.engine; e != nil {
			return runtime.GOOS == "linux" && e.end.local() && !inMachine(e.end.socket())
		}
	}
	ends, err := c.endpoints()
	return err == nil && runtime.GOOS == "linux" && ends[0].local() && !inMachine(ends[0].socket())
}

// inMachine reports whether a socket is known to lead into a virtual machine.
func inMachine(socket string) bool {
	for _, part := range []string{"/.docker/desktop/", "/.colima/", "/colima/", "/.rd/", "/.orbstack/", "/podman/machine/"} {
		if strings.Contains(socket, part) {
			return true
		}
	}
	return false
}

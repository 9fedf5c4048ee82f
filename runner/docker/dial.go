package docker

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// tlsConfig reads the certificates of an endpoint.
func tlsConfig(end endpoint) (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: end.insecure}
	ca := filepath.Join(end.certs, "ca.pem")
	if pem, err := os.ReadFile(ca); err == nil {
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate", ca)
		}
	} else if !os.IsNotExist(err) {
		return nil, err
	}
	cert, key := filepath.Join(end.certs, "cert.pem"), filepath.Join(end.certs, "key.pem")
	if _, err := os.Stat(cert); os.IsNotExist(err) {
		return conf, nil
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, err
	}
	conf.Certificates = []tls.Certificate{pair}
	return conf, nil
}

// sshDialer connects to an engine as the docker command does: each connection
// is an ssh that runs docker system dial-stdio at the other end.
func sshDialer(host string) (func(context.Context) (net.Conn, error), error) {
	u, err := url.Parse(host)
	if err != nil || u.Hostname() == "" {
		return nil, fmt.Errorf("%q is no address of the form ssh://[user@]host[:port]", host)
	}
	args := sshArgs(u)
	slots := make(chan struct{}, sshAtOnce)
	return func(ctx context.Context) (net.Conn, error) {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		conn, err := startConn(exec.Command("ssh", slices.Concat(args, []string{"docker", "system", "dial-stdio"})...))
		if err != nil {
			<-slots
			return nil, err
		}
		conn.answered = sync.OnceFunc(func() { <-slots })
		return conn, nil
	}, nil
}

// sshAtOnce is how many connections may be on their way: a server refuses more
// than ten that have not logged in.
const sshAtOnce = 6

func sshArgs(u *url.URL) []string {
	args := []string{"-o", "ConnectTimeout=10", "-o", "BatchMode=yes", "-T"}
	if u.User != nil {
		args = append(args, "-l", u.User.Username())
	}
	if u.Port() != "" {
		args = append(args, "-p", u.Port())
	}
	return append(args, "--", u.Hostname())
}

// cmdConn is a connection through a program's stdin and stdout.
type cmdConn struct {
	out      io.Reader
	in       io.WriteCloser
	cmd      *exec.Cmd
	answered func() // called with the first answer, or at the end
	closing  sync.Once
}

func startConn(cmd *exec.Cmd) (*cmdConn, error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &cmdConn{out: out, in: in, cmd: cmd, answered: func() {}}, nil
}

func (c *cmdConn) Read(p []byte) (int, error) {
	n, err := c.out.Read(p)
	c.answered()
	return n, err
}

func (c *cmdConn) Write(p []byte) (int, error) { return c.in.Write(p) }

// CloseWrite lets the other end see the end of the input.
func (c *cmdConn) CloseWrite() error { return c.in.Close() }

func (c *cmdConn) Close() error {
	c.closing.Do(func() {
		c.answered()
		c.in.Close()
		c.cmd.Process.Kill()
		c.cmd.Wait()
	})
	return nil
}

func (c *cmdConn) LocalAddr() net.Addr              { return cmdAddr{} }
func (c *cmdConn) RemoteAddr() net.Addr             { return cmdAddr{} }
func (c *cmdConn) SetDeadline(time.Time) error      { return nil }
func (c *cmdConn) SetReadDeadline(time.Time) error  { return nil }
func (c *cmdConn) SetWriteDeadline(time.Time) error { return nil }

type cmdAddr struct{}

func (cmdAddr) Network() string { return "ssh" }
func (cmdAddr) String() string  { return "ssh" }

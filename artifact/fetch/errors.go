package fetch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
)

// Error says why a URI could not be fetched.
type Error struct {
	URI     string // without secrets
	Problem string // "there is no such key (404 Not Found)"
	Mend    string // what to do; may be empty
	Err     error  // what the library or the system said; may be nil
	again   bool   // it may work the next time
}

func (e *Error) Error() string { return fmt.Sprintf("import %s: %s", e.URI, e.Problem) }

// Unwrap returns what the library or the system said.
func (e *Error) Unwrap() error { return e.Err }

// Hint says what to do next.
func (e *Error) Hint() string { return e.Mend }

// UnknownSchemeError says that nothing is known about this kind of URI.
type UnknownSchemeError struct {
	URI    string // without secrets
	Scheme string
}

func (e *UnknownSchemeError) Error() string {
	return fmt.Sprintf("import %s: %s:// is none of the schemes that can be fetched", e.URI, e.Scheme)
}

// Hint says what to do next.
func (e *UnknownSchemeError) Hint() string {
	return "name a path, or a URI of " + strings.Join(Schemes(), ", ")
}

// advice is what to do about what can go wrong with one scheme.
type advice struct {
	missing string // it is not there
	denied  string // credentials are missing or wrong
	away    string // nobody answers
}

func (j *job) failed(problem, mend string, err error) *Error {
	return &Error{URI: j.shown(), Problem: problem, Mend: mend, Err: err}
}

// status returns the error of an answer that is not a success. detail is what the
// server says itself, if anything.
func (j *job) status(code int, detail string) *Error {
	text := fmt.Sprintf("%d %s", code, http.StatusText(code))
	if detail != "" {
		text += ": " + detail
	}
	switch {
	case code == http.StatusNotFound || code == http.StatusGone:
		return j.failed("it is not there ("+text+")", j.advice.missing, nil)
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return j.failed("access denied ("+text+")", j.advice.denied, nil)
	case code == http.StatusPreconditionFailed:
		return j.failed("it changed while it was being fetched", "import it again", nil)
	}
	e := j.failed("the server answered "+text, "", nil)
	e.again = code == http.StatusRequestTimeout || code == http.StatusTooManyRequests || code >= 500 && code != http.StatusNotImplemented
	if e.again {
		e.Mend = "try again later; it was tried several times"
	}
	return e
}

var errStalled = errors.New("the server has sent nothing for a minute")

// network returns the error of a connection that failed, in words.
func (j *job) network(err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if is[*os.PathError](err) || is[*os.LinkError](err) {
		return fmt.Errorf("import %s: %w", j.shown(), err) // this machine's disk
	}
	if x, ok := errors.AsType[*url.Error](err); ok {
		err = x.Err // the URL in it may hold a secret
	}
	e := j.failed(err.Error(), j.advice.away, err)
	dns, isDNS := errors.AsType[*net.DNSError](err)
	op, isOp := errors.AsType[*net.OpError](err)
	switch {
	case isDNS && dns.IsNotFound:
		e.Problem = fmt.Sprintf("there is no host %q", dns.Name)
	case is[*tls.CertificateVerificationError](err) || is[x509.UnknownAuthorityError](err) || is[x509.HostnameError](err):
		e.Mend = "where a company's own authority signs, set SSL_CERT_FILE to a file with its certificate"
	case errors.Is(err, syscall.ECONNREFUSED) && isOp && op.Addr != nil:
		e.Problem, e.again = fmt.Sprintf("nothing answers at %s: connection refused", op.Addr), true
	default:
		e.again = isDNS || isOp || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || errors.Is(err, errStalled) ||
			errors.Is(err, context.DeadlineExceeded) || errors.Is(err, syscall.ECONNRESET) || is[net.Error](err)
	}
	return e
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// again reports whether it may work the next time.
func again(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.again
}

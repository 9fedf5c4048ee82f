package sdk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/wherry-ml/wherry/dag/source"
)

// What compile.py replies.
const (
	kindOK        = "ok"
	kindNoKFP     = "no-kfp"     // this Python has none
	kindOldKFP    = "old-kfp"    // it has kfp 1
	kindBrokenKFP = "broken-kfp" // its kfp can't be imported
	kindChoose    = "choose"     // nothing, or more than one thing, is meant
	kindSyntax    = "syntax"
	kindModule    = "module" // ModuleNotFoundError
	kindImport    = "import" // another ImportError
	kindTypes     = "types"  // kfp: an argument does not fit its input
	kindSDK       = "sdk"    // any other exception that kfp itself raised
	kindFile      = "file"   // FileNotFoundError
	kindExit      = "exit"   // the file ends the process
)

// reply is what compile.py says.
type reply struct {
	Kind string `json:"kind"`

	IR   string `json:"ir"`
	Name string `json:"name"`
	What string `json:"what"`

	Things []thing  `json:"things"` // all that the file holds
	Chosen []string `json:"chosen"` // functions that may be meant

	Type      string   `json:"type"`    // of the exception
	Message   string   `json:"message"` // its text
	File      string   `json:"file"`    // the person's own code: absolute path
	Line      int      `json:"line"`
	Col       int      `json:"col"`
	Text      string   `json:"text"`
	Module    string   `json:"module"`    // that could not be imported
	Missing   []string `json:"missing"`   // all modules that can't
	Near      string   `json:"near"`      // the folder that has the module
	Function  string   `json:"function"`  // the component that it is about
	Defined   int      `json:"defined"`   // its line
	Arguments []string `json:"arguments"` // its inputs and outputs

	Modules []string `json:"modules"` // the person's own files that were read beside this one: absolute paths

	KFP    string `json:"kfp"`    // version
	Python string `json:"python"` // version
}

// thing is a pipeline or a component of the file.
type thing struct {
	Name  string `json:"name"`  // the function
	Title string `json:"title"` // the pipeline's or component's name
	What  string `json:"what"`  // pipeline or component
	Line  int    `json:"line"`  // 0: of another file
}

// thing returns the one of this name, or nil.
func (r *reply) thing(name string) *thing {
	for i := range r.Things {
		if t := &r.Things[i]; t.Name == name || t.Title == name {
			return t
		}
	}
	return nil
}

// list names things with their lines.
func (r *reply) list(names []string) string {
	var out []string
	for _, n := range names {
		if t := r.thing(n); t != nil && t.Line > 0 {
			n = fmt.Sprintf("%s (line %d)", n, t.Line)
		}
		out = append(out, n)
	}
	return strings.Join(out, ", ")
}

// patience is how long something may take before the person is told of it.
const patience = 3 * time.Second

// call runs compile.py with an interpreter. stub are modules that are missing and
// that the file is to be read without.
func (o *Options) call(ctx context.Context, py *interpreter, stub []string) (*reply, error) {
	request, err := json.Marshal(map[string]any{
		"file": o.File, "pipeline": o.Pipeline, "component": o.Component, "stub": stub, "verbose": o.Detail != nil,
	})
	if err != nil {
		return nil, err
	}
	out := &capped{max: 2 * source.MaxSize}
	cmd := exec.CommandContext(ctx, py.argv[0], append(py.argv[1:len(py.argv):len(py.argv)], "-c", program, string(request))...)
	cmd.Stdout, cmd.Stderr = out, o.Stderr
	endWithGroup(cmd)
	stop := o.noteIfSlow(fmt.Sprintf("note: %s is being read with %s", o.File, py.what))
	err = cmd.Run()
	stop()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("compile %s: %w", o.File, context.Cause(ctx))
	}
	var r reply
	if !out.over && json.Unmarshal(out.Bytes(), &r) == nil && r.Kind != "" {
		if o.Reads != nil {
			o.Reads(r.Modules)
		}
		return &r, nil
	}
	return nil, o.noReply(py, out.over, err)
}

// noReply is the error for a Python that ended without saying anything.
func (o *Options) noReply(py *interpreter, over bool, err error) error {
	e := &source.Error{File: o.File, Msg: fmt.Sprintf("can't be compiled: %s ended without a result", py.what)}
	var exit *exec.ExitError
	switch {
	case over:
		e.Msg = fmt.Sprintf("compiles to more than the %d MiB that are read", source.MaxSize>>20)
		return e
	case errors.As(err, &exit):
		e.Msg += " (" + exit.String() + ")"
		return e.WithMend("import it yourself, to see what ends Python: %s", strings.Join(py.argv, " ")+" "+o.File)
	case err != nil:
		e.Msg = fmt.Sprintf("can't be compiled: start %s: %v", py.what, err)
		return e.WithMend("mend that Python, or make one beside the file: %s", ownEnv)
	}
	return e.WithMend("don't end the process while the file is imported (os._exit)")
}

// noteIfSlow says text if stop is not called soon.
func (o *Options) noteIfSlow(text string) (stop func()) {
	said := make(chan struct{})
	timer := time.AfterFunc(patience, func() {
		o.Note(text)
		close(said)
	})
	return func() {
		if !timer.Stop() {
			<-said
		}
	}
}

// command runs a program to its end and returns all that it said.
func command(ctx context.Context, words ...string) (string, error) {
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	out := &capped{max: 1 << 20}
	cmd.Stdout, cmd.Stderr = out, out
	endWithGroup(cmd)
	err := cmd.Run()
	return out.String(), err
}

// endWithGroup lets a command's whole process group end with its context.
func endWithGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 2 * time.Second
}

// lastLines returns the last n lines of text that are not empty.
func lastLines(text string, n int) string {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, "\r\n "); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// capped keeps what is written, up to max bytes.
type capped struct {
	bytes.Buffer
	max  int
	over bool
}

func (c *capped) Write(p []byte) (int, error) {
	if c.Len()+len(p) > c.max {
		c.over = true
		return len(p), nil
	}
	return c.Buffer.Write(p)
}

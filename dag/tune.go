package dag

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Tune is a search for the best parameters: a step that the driver's Tuner carries
// out. It runs no container of its own.
type Tune struct {
	Image   string        `json:"image"` // the launcher that the file names
	Args    []Arg         `json:"args,omitempty"`
	Timeout time.Duration `json:"timeout,omitempty"` // of the search; a task's own wins; 0: none
}

// Launchers are the images whose containers are tuning steps, without host, tag and
// digest. The arguments of the first are those of wherry tune.
const (
	LauncherWherry = "wherry/tune"
	LauncherKatib  = "kubeflowkatib/kubeflow-pipelines-launcher"
)

// Launcher returns which launcher an image name is; "" where it is none.
func Launcher(image string) string {
	name, _, _ := strings.Cut(image, "@")
	if host, rest, ok := strings.Cut(name, "/"); ok && strings.ContainsAny(host, ".:") {
		name = rest
	}
	name, _, _ = strings.Cut(name, ":")
	if name == LauncherWherry || name == LauncherKatib {
		return name
	}
	return ""
}

// MakeTune makes a tuning step of a component whose container is a launcher; any
// other is left as it is.
func (c *Component) MakeTune() {
	if c.Pod == nil || len(c.Pod.Containers) != 1 {
		return
	}
	spec := c.Pod.Containers[0]
	if len(spec.Image) != 1 || spec.Image[0].Ref != nil || Launcher(spec.Image[0].Text) == "" {
		return
	}
	c.Tune = &Tune{Image: spec.Image[0].Text, Args: append(spec.Command[:len(spec.Command):len(spec.Command)], spec.Args...), Timeout: c.Pod.Timeout}
	c.Pod = nil
}

// Literal returns the arguments where the file alone says all of them.
func (t *Tune) Literal() ([]string, bool) {
	var out []string
	for _, a := range t.Args {
		if a.IfPresent != nil || a.Concat != nil {
			return nil, false
		}
		text := ""
		for _, p := range a.Text {
			if p.Ref != nil {
				return nil, false
			}
			text += p.Text
		}
		out = append(out, text)
	}
	return out, true
}

// Tuner carries out the searches of tuning steps.
type Tuner interface {
	// Tune brings a search to its end, from wherever it stands: there may be none yet of
	// its id, or one that an earlier process has begun. It returns the texts of the
	// outputs, and a line about what was found. When ctx is canceled with the cause
	// ErrTuneCanceled or ErrTuneTimeout the search's trials are canceled, with any other
	// they are left to a later call. An error that is a *runner.UnavailableError says that
	// the search can go on; any other one is that of the step.
	Tune(ctx context.Context, s Search) (outputs map[string]string, about string, err error)
}

// Search is what a tuning step asks for.
type Search struct {
	ID       string // of the experiment: the same after a crash
	Run      *Run   // the step's
	Task     string // its path
	Launcher string // LauncherWherry or LauncherKatib
	Args     []string
	Outputs  []string     // names of the output parameters that are wanted
	Note     func(string) // tells a person how it goes
}

// The causes with which a search ends early.
var (
	ErrTuneCanceled = errors.New(canceledReason)
	ErrTuneTimeout  = errors.New("the search ran longer than its limit")
)

// tune carries out a tuning step. It takes no room of the queue: its trials do.
func (d *drive) tune(n *node) {
	spec := n.comp.Tune
	args, err := render{run: d.run, node: n}.args(spec.Args)
	if err == nil && d.Tuner == nil {
		err = errors.New("nothing here can carry out a tuning step")
	}
	if err != nil {
		d.failWith(n, err)
		return
	}
	n.exec.State = Running
	if n.exec.Started.IsZero() {
		n.exec.Started = time.Now()
	}
	n.exec.Reason = "a search is made anew in each run; its trials may be cached"
	n.phase = phaseLive
	d.change(n)
	s := Search{
		Run: d.run, Task: n.exec.Path, Launcher: Launcher(spec.Image), Args: args,
		Outputs: sortedKeys(n.comp.Outputs.Parameters),
		Note:    func(text string) { d.post(func() { d.noteOn(n, ": %s", text) }) },
	}
	ctx, stop := context.WithCancelCause(d.ops)
	n.stopSearch = stop
	if d.canceled {
		stop(ErrTuneCanceled)
	}
	var limit *time.Timer
	if l := n.searchLimit(); l > 0 {
		limit = time.AfterFunc(l-time.Since(n.exec.Started), func() { stop(ErrTuneTimeout) })
	}
	d.after(func() {
		s.ID = fmt.Sprintf("%s-%d", d.run.ID, n.exec.ID)
		d.spawn(func() func() {
			outputs, about, err := d.Tuner.Tune(ctx, s)
			if limit != nil {
				limit.Stop()
			}
			cause := context.Cause(ctx)
			stop(nil)
			return func() { d.tuned(n, outputs, about, cause, err) }
		})
	})
}

func (n *node) searchLimit() time.Duration {
	if n.task.Timeout > 0 {
		return n.task.Timeout
	}
	return n.comp.Tune.Timeout
}

// tuned ends a tuning step.
func (d *drive) tuned(n *node, outputs map[string]string, about string, cause, err error) {
	n.stopSearch = nil
	switch {
	case n.exec.State.Ended():
		return
	case errors.Is(cause, ErrTuneTimeout):
		d.end(n, Failed, fmt.Sprintf("%v, %s", ErrTuneTimeout, n.searchLimit()))
		return
	case errors.Is(cause, ErrTuneCanceled):
		d.endCanceled(n)
		return
	case err != nil:
		d.failWith(n, err)
		return
	}
	v := Values{Parameters: map[string]any{}, Artifacts: map[string][]Artifact{}}
	for _, name := range sortedKeys(n.comp.Outputs.Parameters) {
		text, ok := outputs[name]
		if !ok {
			d.end(n, Failed, fmt.Sprintf("the search has no output %q", name))
			return
		}
		x, err := ParseText(text, n.comp.Outputs.Parameters[name].Type)
		if err != nil {
			d.end(n, Failed, fmt.Sprintf("output parameter %q %v", name, err))
			return
		}
		v.Parameters[name] = x
	}
	n.exec.Outputs = v
	n.exec.Reason = about
	d.end(n, Succeeded, "")
}

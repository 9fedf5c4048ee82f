package dag

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wherry-ml/wherry/runner"
)

// fakeTuner is a Tuner whose searches last some time.
type fakeTuner struct {
	mu      sync.Mutex
	lasts   time.Duration
	outputs map[string]string
	err     error
	calls   []Search
	causes  []error // with which searches were broken off
}

func (f *fakeTuner) Tune(ctx context.Context, s Search) (map[string]string, string, error) {
	f.mu.Lock()
	f.calls = append(f.calls, s)
	f.mu.Unlock()
	select {
	case <-time.After(f.lasts):
		return f.outputs, "experiment " + s.ID, f.err
	case <-ctx.Done():
		f.mu.Lock()
		defer f.mu.Unlock()
		f.causes = append(f.causes, context.Cause(ctx))
		return nil, "", context.Cause(ctx)
	}
}

// searching is tune -> train, where train takes the best lr, and a step beside them.
func searching() *Pipeline {
	p := steps("tune beside train<-tune")
	p.Components["root"].Inputs.Parameters = map[string]*Parameter{"trials": {Type: TypeInteger}}
	p.Components["search"] = &Component{
		Name:    "search",
		Inputs:  Inputs{Parameters: map[string]*Parameter{"trials": {Type: TypeInteger}}},
		Outputs: Outputs{Parameters: map[string]*OutputParameter{"best-lr": {Type: TypeDouble}}},
		Pod: &Pod{Containers: []Container{{
			Image: Literal("registry.example:5000/wherry/tune:1"), Command: Args("trial.yaml"),
			Args: []Arg{{Text: Literal("--max-trials")}, {Text: Text{{Ref: &Ref{Kind: RefInputValue, Name: "trials"}}}}},
		}}},
	}
	p.Components["search"].MakeTune()
	p.Components["train"] = &Component{
		Name: "train", Inputs: Inputs{Parameters: map[string]*Parameter{"lr": {Type: TypeDouble}}},
		Pod: &Pod{Containers: []Container{{Image: Literal("img"), Command: Args("train")}}},
	}
	tasks := p.Components["root"].Graph.Tasks
	tasks["tune"].Component, tasks["train"].Component = "search", "train"
	tasks["tune"].Parameters = map[string]*Source{"trials": {Input: "trials"}}
	tasks["train"].Parameters = map[string]*Source{"lr": {Task: "tune", Output: "best-lr"}}
	return p
}

func (s *stage) createSearch(id string, p *Pipeline, change ...func(*Run)) {
	s.create(id, p, append(change, func(r *Run) { r.Parameters = map[string]any{"trials": int64(7)} })...)
}

func (s *stage) driveTuning(ctx context.Context, id string, f *fakeTuner) (*Run, map[string]*Execution, error) {
	d := s.driver(id)
	d.Tuner = f
	_, _, err := d.Drive(ctx, id)
	run, list, e := s.store.LoadRun(s.t.Context(), id)
	if e != nil {
		s.t.Fatal(e)
	}
	byPath := map[string]*Execution{}
	for _, x := range list {
		byPath[x.Path] = x
	}
	return run, byPath, err
}

// TestTuneFeeds: what a search finds is the input of the step after it, and it takes
// no room: a step beside it runs where only one may.
func TestTuneFeeds(t *testing.T) {
	play(t, func(s *stage) {
		s.lasts(time.Second)
		f := &fakeTuner{lasts: time.Minute, outputs: map[string]string{"best-lr": "0.25"}}
		s.createSearch("r1", searching(), func(r *Run) { r.Options.MaxParallel = 1 })
		run, got, err := s.driveTuning(s.t.Context(), "r1", f)
		if err != nil || run.State != Succeeded {
			s.t.Fatalf("%s, %v:\n%s", run.State, err, states(got))
		}
		if x := got["train"].Inputs.Parameters["lr"]; x != 0.25 {
			s.t.Errorf("train got lr %v", x)
		}
		if b := got["beside"]; b.Ended.Sub(b.Started) > 5*time.Second || !b.Ended.Before(got["tune"].Ended) {
			s.t.Errorf("the step beside the search ended at %s, the search at %s", b.Ended, got["tune"].Ended)
		}
		c := f.calls[0]
		if want := []string{"trial.yaml", "--max-trials", "7"}; !slices.Equal(c.Args, want) || c.Launcher != LauncherWherry || c.Task != "tune" {
			s.t.Errorf("the search is %+v, want arguments %q", c, want)
		}
		if x := got["tune"]; x.Kind != KindTune || x.Reason != "experiment "+c.ID || x.Tries() != 1 {
			s.t.Errorf("the step is %+v", x)
		}
		s.clean()
	})
}

// TestTuneGoesOn: after a crash and after a hangup the same search goes on, by its id.
func TestTuneGoesOn(t *testing.T) {
	play(t, func(s *stage) {
		s.lasts(time.Second)
		f := &fakeTuner{lasts: time.Minute, outputs: map[string]string{"best-lr": "1"}}
		s.createSearch("r1", searching())
		ctx, stop := context.WithCancelCause(s.t.Context())
		time.AfterFunc(10*time.Second, func() { stop(ErrHangup) })
		if _, got, err := s.driveTuning(ctx, "r1", f); !errors.Is(err, ErrHangup) || got["tune"].State != Running {
			s.t.Fatalf("after a hangup: %v\n%s", err, states(got))
		}
		if len(f.causes) != 1 || errors.Is(f.causes[0], ErrTuneCanceled) || errors.Is(f.causes[0], ErrTuneTimeout) {
			s.t.Errorf("the search was ended by %v", f.causes)
		}
		s.store.crashIn = 2 // tune has ended; train is granted room
		if _, _, err := s.driveTuning(s.t.Context(), "r1", f); !errors.Is(err, errCrash) {
			s.t.Fatalf("no crash: %v", err)
		}
		s.store.crashed, s.store.crashIn = false, -1
		run, got, err := s.driveTuning(s.t.Context(), "r1", f)
		if err != nil || run.State != Succeeded {
			s.t.Fatalf("%v\n%s", err, states(got))
		}
		for _, c := range f.calls {
			if c.ID != f.calls[0].ID {
				s.t.Errorf("a search %s, and then %s", f.calls[0].ID, c.ID)
			}
		}
		s.clean()
	})
}

// TestTuneEnds: a search that is canceled, that takes too long, that fails, that lacks
// an output, or whose engine is away.
func TestTuneEnds(t *testing.T) {
	play(t, func(s *stage) {
		s.lasts(time.Second)
		f := &fakeTuner{lasts: time.Hour}
		s.createSearch("r1", searching())
		ctx, stop := context.WithCancelCause(s.t.Context())
		time.AfterFunc(10*time.Second, func() { stop(errors.New("interrupted")) })
		run, got, err := s.driveTuning(ctx, "r1", f)
		if err != nil || run.State != Canceled || got["tune"].State != Canceled || got["train"].State != Skipped {
			s.t.Errorf("canceled: %v %s\n%s", err, run.State, states(got))
		}
		if len(f.causes) != 1 || !errors.Is(f.causes[0], ErrTuneCanceled) {
			s.t.Errorf("the search was ended by %v", f.causes)
		}

		late := searching()
		late.Components["root"].Graph.Tasks["tune"].Timeout = time.Minute
		s.createSearch("r2", late)
		_, got, _ = s.driveTuning(s.t.Context(), "r2", f)
		if x := got["tune"]; x.State != Failed || !strings.Contains(x.Error, "longer than its limit, 1m0s") {
			s.t.Errorf("late: %s", states(got))
		}

		f.lasts, f.err = time.Second, errors.New("all trials failed")
		s.createSearch("r3", searching())
		_, got, _ = s.driveTuning(s.t.Context(), "r3", f)
		if x := got["tune"]; x.State != Failed || x.Error != "all trials failed" || got["train"].State != Skipped {
			s.t.Errorf("failing: %s", states(got))
		}

		f.err, f.outputs = nil, map[string]string{"best-depth": "3"}
		s.createSearch("r4", searching())
		_, got, _ = s.driveTuning(s.t.Context(), "r4", f)
		if x := got["tune"]; x.State != Failed || !strings.Contains(x.Error, `no output "best-lr"`) {
			s.t.Errorf("without an output: %s", states(got))
		}

		f.err = &runner.UnavailableError{Backend: "fake", Err: errors.New("gone")}
		s.createSearch("r5", searching())
		_, got, err = s.driveTuning(s.t.Context(), "r5", f)
		if e := (*runner.UnavailableError)(nil); !errors.As(err, &e) || got["tune"].State != Running {
			s.t.Errorf("without an engine: %v\n%s", err, states(got))
		}

		s.createSearch("r6", searching())
		if _, got := s.drive("r6"); got["tune"].State != Failed { // no Tuner
			s.t.Errorf("without a Tuner: %s", states(got))
		}
	})
}

func TestLauncher(t *testing.T) {
	for image, want := range map[string]string{
		"wherry/tune": LauncherWherry, "wherry/tune:2": LauncherWherry, "localhost:5000/wherry/tune@sha256:00": LauncherWherry,
		"kubeflowkatib/kubeflow-pipelines-launcher:v0.9": LauncherKatib, "example.org/kubeflowkatib/kubeflow-pipelines-launcher": LauncherKatib,
		"kubeflow/katib:v1.8.0": "", "wherry/tuner": "", "me/wherry/tune": "", "tune": "", "": "",
	} {
		if got := Launcher(image); got != want {
			t.Errorf("Launcher(%q) = %q, want %q", image, got, want)
		}
	}
}

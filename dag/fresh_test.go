package dag

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/wherry-ml/wherry/runner"
)

// branched is load -> clean -> train -> report, with other beside; caching is on but
// for clean. Each hands on a number, and train has the parameter lr.
func branched() *Pipeline {
	p := steps("load clean<-load train<-clean report<-train other<-load")
	p.Components["root"].Inputs.Parameters = map[string]*Parameter{"lr": {Type: TypeDouble}, "rows": {Type: TypeInteger}}
	g := p.Components["root"].Graph
	for _, t := range g.Tasks {
		t.Cache = t.Name != "clean"
		t.Component = t.Name
		c := &Component{
			Name: t.Name, Inputs: Inputs{Parameters: map[string]*Parameter{}},
			Outputs: Outputs{Parameters: map[string]*OutputParameter{"n": {Type: TypeInteger}}},
			Pod:     &Pod{Containers: []Container{{Image: Literal("img"), Command: Args(t.Name)}}},
		}
		t.Parameters = map[string]*Source{}
		for _, e := range t.Needs {
			c.Inputs.Parameters[e.Task] = &Parameter{Type: TypeInteger}
			t.Parameters[e.Task] = &Source{Task: e.Task, Output: "n"}
		}
		p.Components[t.Name] = c
	}
	for task, input := range map[string]string{"train": "lr", "load": "rows"} {
		p.Components[task].Inputs.Parameters[input] = p.Components["root"].Inputs.Parameters[input]
		g.Tasks[task].Parameters[input] = &Source{Input: input}
	}
	return p
}

// again drives a run of branched with these options, and returns what became of
// each task.
func (s *stage) again(id string, change func(*Run)) string {
	s.t.Helper()
	s.create(id, branched(), func(r *Run) { r.Parameters = map[string]any{"lr": 0.1, "rows": int64(9)} }, change)
	_, got := s.drive(id)
	return states(got)
}

func counting(s *stage) {
	s.backend.outputs = func(runner.Pod) map[string]string { return map[string]string{"parameter:0:n": "7"} }
}

// cachedIn is the reason of a hit; of which run does not matter here.
var cachedIn = regexp.MustCompile(`same inputs and code as in run [^)]*`)

func TestRerunFrom(t *testing.T) {
	play(t, func(s *stage) {
		counting(s)
		s.again("r1", func(*Run) {})
		for _, tt := range []struct {
			name   string
			change func(*Run)
			want   string
		}{
			{"all from the cache but what never is", func(*Run) {}, `
clean SUCCEEDED (caching is off for this task)
load SUCCEEDED (cached)
other SUCCEEDED (cached)
report SUCCEEDED (cached)
train SUCCEEDED (cached)`},
			{"from a task", func(r *Run) { r.Options.From, r.Options.Base = []string{"train"}, "r1" }, `
clean SUCCEEDED (taken from run r1 (--from train))
load SUCCEEDED (taken from run r1 (--from train))
other SUCCEEDED (taken from run r1 (--from train))
report SUCCEEDED (depends on train, which runs anew (--from train))
train SUCCEEDED (runs anew (--from train))`},
			{"from a task, where an earlier one gets another input", func(r *Run) {
				r.Options.From, r.Options.Base = []string{"report"}, "r1"
				r.Parameters["lr"] = 0.2
			}, `
clean SUCCEEDED (taken from run r1 (--from report))
load SUCCEEDED (taken from run r1 (--from report))
other SUCCEEDED (taken from run r1 (--from report))
report SUCCEEDED (runs anew (--from report))
train SUCCEEDED (parameter lr: 0.1 -> 0.2)`},
			{"without a base", func(r *Run) { r.Options.From = []string{"train"} }, `
clean SUCCEEDED (caching is off for this task)
load SUCCEEDED (cached)
other SUCCEEDED (cached)
report SUCCEEDED (depends on train, which runs anew (--from train))
train SUCCEEDED (runs anew (--from train))`},
			{"one task without cache", func(r *Run) { r.Options.NoCache = []string{"train"} }, `
clean SUCCEEDED (caching is off for this task)
load SUCCEEDED (cached)
other SUCCEEDED (cached)
report SUCCEEDED (cached)
train SUCCEEDED (caching is off (--no-cache=train))`},
			{"one task alone", func(r *Run) { r.Options.Only, r.Options.Base = "train", "r1" }, `
clean SUCCEEDED (taken from run r1 (--only train))
load SUCCEEDED (taken from run r1 (--only train))
other SUCCEEDED (taken from run r1 (--only train))
report SKIPPED (depends on train, and only that runs (--only))
train SUCCEEDED (runs anew (--only train))`},
		} {
			got := "\n" + cachedIn.ReplaceAllString(s.again(tt.name, tt.change), "cached")
			if got != tt.want {
				t.Errorf("%s: got%s\nwant%s", tt.name, got, tt.want)
			}
		}
		s.clean()
	})
}

// TestRerunFailed: a task that failed runs alone with what it was given; what the
// run never reached is not run.
func TestRerunFailed(t *testing.T) {
	play(t, func(s *stage) {
		counting(s)
		s.exits(func(task string, _ int) runner.Exit {
			if task == "train" {
				return exit1
			}
			return exit0
		})
		s.again("r1", func(*Run) {})
		s.exits(func(string, int) runner.Exit { return exit0 })
		starts := len(s.backend.starts)
		got := s.again("r2", func(r *Run) { r.Options.Only, r.Options.Base = "train", "r1" })
		if want := "report SKIPPED (depends on train, and only that runs (--only))\ntrain SUCCEEDED (runs anew (--only train))"; !strings.HasSuffix(got, want) {
			t.Errorf("got\n%s\nwant at its end\n%s", got, want)
		}
		if n := len(s.backend.starts) - starts; n != 1 {
			t.Errorf("%d pods were started, want 1", n)
		}
		got = s.again("r3", func(r *Run) { r.Options.Only, r.Options.Base = "report", "r1" })
		if !strings.Contains(got, "train SKIPPED (only report runs (--only), and run r1 has no result of this task)") {
			t.Errorf("got\n%s", got)
		}
	})
}

// TestRerunGoesOn: a driver that takes over takes and runs the same tasks.
func TestRerunGoesOn(t *testing.T) {
	play(t, func(s *stage) {
		counting(s)
		s.again("r1", func(*Run) {})
		s.lasts(10 * time.Second)
		s.create("r2", branched(), func(r *Run) {
			r.Parameters = map[string]any{"lr": 0.1, "rows": int64(9)}
			r.Options.From, r.Options.Base = []string{"clean"}, "r1"
		})
		ctx, cancel := context.WithCancelCause(s.t.Context())
		time.AfterFunc(12*time.Second, func() { cancel(ErrHangup) })
		if _, _, err := s.driveCtx(ctx, "r2"); !errors.Is(err, ErrHangup) {
			t.Fatal(err)
		}
		_, got := s.drive("r2")
		want := `clean SUCCEEDED (runs anew (--from clean))
load SUCCEEDED (taken from run r1 (--from clean))
other SUCCEEDED (taken from run r1 (--from clean))
report SUCCEEDED (depends on clean, which runs anew (--from clean))
train SUCCEEDED (depends on clean, which runs anew (--from clean))`
		if states(got) != want {
			t.Errorf("got\n%s\nwant\n%s", states(got), want)
		}
		if got["load"].Source == 0 || got["load"].Attempts != nil {
			t.Errorf("load: source %d, attempts %v", got["load"].Source, got["load"].Attempts)
		}
	})
}

// TestTakeNeedsOutputs: what is gone from the store is not taken.
func TestTakeNeedsOutputs(t *testing.T) {
	play(t, func(s *stage) {
		s.backend.outputs = func(runner.Pod) map[string]string {
			return map[string]string{"artifact:table": "rows", "parameter:0:score": "7"}
		}
		lr := func(r *Run) { r.Parameters = map[string]any{"lr": 0.1} }
		s.create("r1", tuned(), lr)
		_, first := s.drive("r1")
		s.gone[first["load"].Outputs.Artifacts["table"][0].Digest] = true
		s.create("r2", tuned(), lr, func(r *Run) { r.Options.From, r.Options.Base = []string{"train"}, "r1" })
		if _, got := s.drive("r2"); got["load"].Cached || got["load"].State != Succeeded {
			t.Errorf("load: %+v", got["load"])
		}
		s.create("r3", tuned(), lr, func(r *Run) { r.Options.Only, r.Options.Base = "train", "r1" })
		if _, got := s.drive("r3"); got["load"].State != Failed || !strings.Contains(got["load"].Error, `output "table" of run r1 is gone`) {
			t.Errorf("load: %s", states(got))
		}
	})
}

func TestFollows(t *testing.T) {
	// prepare -> loop over {a -> b} -> after, with aside
	inner := steps("a b<-a").Components["root"]
	inner.Name = "inner"
	p := steps("prepare loop<-prepare after<-loop aside")
	p.Components["inner"] = inner
	inner.Inputs.Parameters = map[string]*Parameter{"item": {}}
	loop := p.Components["root"].Graph.Tasks["loop"]
	loop.Component = "inner"
	loop.Iterate = &Iterator{Input: "item", Items: &Source{Constant: &Constant{Value: []any{int64(1), int64(2)}}}}
	for _, tt := range []struct{ from, want string }{
		{"loop[1]/a", "after loop[1]/a loop[1]/b"},
		{"loop/a", "after loop[0]/a loop[0]/b loop[1]/a loop[1]/b"},
		{"loop/b", "after loop[0]/b loop[1]/b"},
		{"loop[0]", "after loop[0]/a loop[0]/b"},
		{"loop", "after loop[0]/a loop[0]/b loop[1]/a loop[1]/b"},
		{"prepare", "after loop[0]/a loop[0]/b loop[1]/a loop[1]/b prepare"},
		{"aside", "aside"},
	} {
		play(t, func(s *stage) {
			run := func(r *Run) { r.Options.Cache = CacheOn }
			s.create("r1", p, run)
			s.drive("r1")
			s.create("r2", p, run, func(r *Run) { r.Options.From, r.Options.Base = []string{tt.from}, "r1" })
			_, got := s.drive("r2")
			var anew []string
			for _, path := range sortedKeys(got) {
				if x := got[path]; x.Kind.Runs() && !x.Cached {
					anew = append(anew, path)
				}
			}
			if fmt.Sprint(anew) != "["+tt.want+"]" {
				t.Errorf("--from %s ran %v, want %s", tt.from, anew, tt.want)
			}
		})
		if _, err := p.FindTask(tt.from); err != nil {
			t.Error(err)
		}
	}
}

func TestFindTask(t *testing.T) {
	p := steps("load middle<-load")
	inner := steps("train check").Components["root"]
	inner.Name = "inner"
	p.Components["inner"] = inner
	p.Components["root"].Graph.Tasks["middle"].Component = "inner"
	for text, want := range map[string]string{
		"load": "load", "train": "middle/train", "middle/check": "middle/check",
		"tran":    `task "tran" is not in this pipeline`,
		"load[1]": `task "load[1]" names an iteration, and load is no loop`,
	} {
		got, err := p.FindTask(text)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

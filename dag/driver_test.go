package dag

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wherry-ml/wherry/runner"
)

func TestDriveBranches(t *testing.T) {
	play(t, func(s *stage) {
		s.exits(func(task string, _ int) runner.Exit {
			if task == "bad" {
				return exit1
			}
			return exit0
		})
		s.create("r1", steps("bad after<-bad later<-after other more<-other always<-bad:end mend<-bad:failure both<-bad:failure,more"))
		start := time.Now()
		run, got := s.drive("r1")
		want := `after SKIPPED (bad failed)
always SUCCEEDED (caching is off for this task)
bad FAILED (exit code 1)
both SUCCEEDED (caching is off for this task)
later SKIPPED (after was skipped)
mend SUCCEEDED (caching is off for this task)
more SUCCEEDED (caching is off for this task)
other SUCCEEDED (caching is off for this task)`
		if states(got) != want {
			s.t.Errorf("got\n%s\nwant\n%s", states(got), want)
		}
		if run.State != Failed || run.Error != `task "bad" failed: exit code 1` {
			s.t.Errorf("run %s %q", run.State, run.Error)
		}
		if d := time.Since(start); d > 3500*time.Millisecond {
			s.t.Errorf("three steps of a second in a row took %s", d)
		}
		s.clean()
	})
}

// tuned is load -> train, where train has the run's parameter lr and both cache.
func tuned() *Pipeline {
	p := steps("load train<-load")
	p.Components["root"].Inputs.Parameters = map[string]*Parameter{"lr": {Type: TypeDouble}}
	p.Components["train"] = &Component{
		Name: "train", Inputs: Inputs{Parameters: map[string]*Parameter{"lr": {Type: TypeDouble}}, Artifacts: map[string]*ArtifactPort{"table": {}}},
		Outputs: Outputs{Parameters: map[string]*OutputParameter{"score": {Type: TypeInteger}}},
		Pod:     &Pod{Containers: []Container{{Image: Literal("img"), Command: Args("train")}}},
	}
	p.Components["step"].Outputs.Artifacts = map[string]*OutputArtifact{"table": {}}
	p.Components["root"].Outputs.Parameters = map[string]*OutputParameter{"score": {Select: []*Source{{Task: "train", Output: "score"}}}}
	tasks := p.Components["root"].Graph.Tasks
	tasks["train"].Component = "train"
	tasks["train"].Parameters = map[string]*Source{"lr": {Input: "lr"}}
	tasks["train"].Artifacts = map[string]*Source{"table": {Task: "load", Output: "table"}}
	tasks["load"].Cache, tasks["train"].Cache = true, true
	return p
}

func TestDriveCache(t *testing.T) {
	play(t, func(s *stage) {
		table := "rows"
		s.backend.outputs = func(runner.Pod) map[string]string {
			return map[string]string{"artifact:table": table, "parameter:0:score": "7.0"}
		}
		lr := func(x float64) func(*Run) { return func(r *Run) { r.Parameters = map[string]any{"lr": x} } }
		for _, tt := range []struct {
			id     string
			change []func(*Run)
			before func()
			want   string
			starts int
		}{
			{"r1", []func(*Run){lr(0.01)}, nil, "load SUCCEEDED (first run)\ntrain SUCCEEDED (first run)", 2},
			{"r2", []func(*Run){lr(0.01)}, nil, "load SUCCEEDED (same inputs and code as in run r1)\ntrain SUCCEEDED (same inputs and code as in run r1)", 0},
			{"r3", []func(*Run){lr(0.02)}, nil, "load SUCCEEDED (same inputs and code as in run r1)\ntrain SUCCEEDED (parameter lr: 0.01 -> 0.02)", 1},
			{"r4", []func(*Run){lr(0.01), func(r *Run) { r.Options.Cache = CacheOff }}, nil, "load SUCCEEDED (caching is off (--no-cache))\ntrain SUCCEEDED (caching is off (--no-cache))", 2},
			{"r5", []func(*Run){lr(0.01)}, nil, "load SUCCEEDED (same inputs and code as in run r4)\ntrain SUCCEEDED (same inputs and code as in run r4)", 0},
			{"r6", []func(*Run){lr(0.01), func(r *Run) {
				r.Pipeline.Components["root"].Graph.Tasks["load"].Cache = false
			}}, nil, "load SUCCEEDED (caching is off for this task)\ntrain SUCCEEDED (same inputs and code as in run r4)", 1},
			{"r7", []func(*Run){lr(0.01)}, func() { s.gone["sha256:rows"] = true; table = "more rows" },
				"load SUCCEEDED (output \"table\" of run r4 is gone from the artifact store)\ntrain SUCCEEDED (artifact table: sha256:rows {} -> sha256:more rows {})", 2},
			{"r8", []func(*Run){lr(0.01), func(r *Run) {
				r.Pipeline.Components["step"].Pod.Containers[0].Image = Literal("img2")
			}}, nil, "load SUCCEEDED (image: sha256:img -> sha256:img2)\ntrain SUCCEEDED (same inputs and code as in run r7)", 1},
		} {
			if tt.before != nil {
				tt.before()
			}
			before := len(s.backend.starts)
			s.create(tt.id, tuned(), tt.change...)
			run, got := s.drive(tt.id)
			if states(got) != tt.want {
				s.t.Errorf("%s: got\n%s\nwant\n%s", tt.id, states(got), tt.want)
			}
			if n := len(s.backend.starts) - before; n != tt.starts {
				s.t.Errorf("%s: %d pods were started, want %d", tt.id, n, tt.starts)
			}
			if score := FormatValue(run.Outputs.Parameters["score"]); score != "7" {
				s.t.Errorf("%s: score %s, want 7, cached or not", tt.id, score)
			}
		}
		s.clean()
	})
}

func TestDriveMaxParallel(t *testing.T) {
	for _, most := range []int{1, 3, 0} {
		play(t, func(s *stage) {
			s.create("r1", steps("a b c d e f"), func(r *Run) { r.Options.MaxParallel = most })
			start := time.Now()
			run, _ := s.drive("r1")
			want := most
			if most == 0 {
				want = 6
			}
			if run.State != Succeeded || s.backend.most != want {
				s.t.Errorf("max-parallel %d: %s, %d ran at once", most, run.State, s.backend.most)
			}
			rounds := time.Duration((6 + want - 1) / want)
			if d := time.Since(start); d > rounds*time.Second+tick {
				s.t.Errorf("max-parallel %d: %d rounds of a second took %s", most, rounds, d)
			}
		})
	}
}

func TestDriveWaits(t *testing.T) {
	play(t, func(s *stage) {
		p := steps("a b c")
		p.Components["step"].Pod.Containers[0].Resources.CPURequest = Literal("2500m")
		s.create("r1", p)
		run, _ := s.drive("r1")
		if run.State != Succeeded || s.backend.most != 1 {
			s.t.Errorf("run %s, %d ran at once", run.State, s.backend.most)
		}
		slices.Sort(s.notes)
		if len(s.notes) != 2 || !strings.HasPrefix(s.notes[0], "b waits for 2.5 CPU") || !strings.HasPrefix(s.notes[1], "c waits for 2.5 CPU") {
			s.t.Errorf("each that waits is told once: %q", s.notes)
		}
		s.clean()
	})
}

func TestDriveImage(t *testing.T) {
	play(t, func(s *stage) {
		p := steps("a b<-a c")
		p.Components["gone"] = &Component{Name: "gone", Pod: &Pod{Containers: []Container{{Image: Literal("missing")}}, Retry: &Retry{Limit: 2}}}
		p.Components["root"].Graph.Tasks["a"].Component = "gone"
		s.create("r1", p)
		_, got := s.drive("r1")
		want := "a FAILED (image \"missing\" can't be had: not found; try: docker load)\nb SKIPPED (a failed)\nc SUCCEEDED (caching is off for this task)"
		if states(got) != want {
			s.t.Errorf("got\n%s\nwant\n%s", states(got), want)
		}
		s.clean()
	})
}

func TestDriveImporter(t *testing.T) {
	play(t, func(s *stage) {
		p := steps("b")
		p.File = "/p/flow.yaml"
		p.Components["import"] = &Component{
			Name: "import", Inputs: Inputs{Parameters: map[string]*Parameter{"uri": {Type: TypeString}}},
			Outputs:  Outputs{Artifacts: map[string]*OutputArtifact{"data": {}}},
			Importer: &Importer{URI: &Source{Input: "uri"}, Type: ArtifactType{Title: "system.Dataset"}, Metadata: &Source{Fields: map[string]*Source{"from": {Input: "uri"}, "n": {Constant: &Constant{int64(3)}}}}},
		}
		tasks := p.Components["root"].Graph.Tasks
		tasks["i"] = &Task{Name: "i", Component: "import", Parameters: map[string]*Source{"uri": {Constant: &Constant{"x.csv"}}}}
		tasks["b"].Needs = []Edge{{Task: "i"}}
		s.create("r1", p)
		_, got := s.drive("r1")
		a := got["i"].Outputs.Artifacts["data"]
		if got["i"].State != Succeeded || len(a) != 1 || a[0].URI != "/p/x.csv" || a[0].Digest != "sha256:0" || a[0].Type != "system.Dataset" || a[0].Metadata["from"] != "x.csv" {
			s.t.Errorf("%+v, %+v", got["i"], a)
		}
		s.clean()
	})
}

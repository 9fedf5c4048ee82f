package dag

import (
	"context"
	"io/fs"
	"strings"
	"testing"
)

// liveTrees is an artifact store beside a live mount, of which it knows the changes
// between two lists.
type liveTrees struct {
	*trees
	now     string // digest of what lies there now
	changes map[string][]LiveChange
}

func (a *liveTrees) LiveDigest(context.Context, []Mount, int) (string, error) { return a.now, nil }

func (a *liveTrees) LiveChanges(_ context.Context, before, now string) ([]LiveChange, error) {
	list, ok := a.changes[before+" "+now]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return list, nil
}

// TestLiveMount asserts that a live mount counts by its list, whatever a step reads of
// other sources, and that nothing is remembered of a step during which it changed.
func TestLiveMount(t *testing.T) {
	play(t, func(s *stage) {
		files := map[string]map[string]string{"t1": {"a.py": "a", "b.py": "b"}, "t2": {"a.py": "a", "b.py": "B"}}
		store := &liveTrees{trees: &trees{dir: s.home, opened: []string{"a.py"}, files: files}, changes: map[string][]LiveChange{
			"l1 l2": {{"x.csv", "size", "3", "5"}},
			"l2 l3": {{Path: "y.csv", Before: "(none)", After: "new"}, {Path: "z.csv", Before: "there", After: "(none)"}},
		}}
		run := func(id, tree, list, now, want string) (notes string) {
			t.Helper()
			store.now = now
			p := steps("a")
			p.Components["root"].Graph.Tasks["a"].Cache = true
			s.create(id, p, func(r *Run) {
				r.Options.Mounts = []Mount{
					{Source: "/src", Target: "/app", ReadOnly: true, Digest: tree},
					{Source: "/big", Target: "/data", ReadOnly: true, Live: true, Digest: list},
				}
			})
			d := s.driver(id)
			d.Backend, d.Artifacts = seeing{s.backend}, store
			d.Observe = func(e Event) { notes += e.Note + "\n" }
			if _, _, err := d.Drive(s.t.Context(), id); err != nil {
				t.Fatal(err)
			}
			_, executions, _ := s.store.LoadRun(s.t.Context(), id)
			if got := executions[0].Reason; got != want || executions[0].State != Succeeded {
				t.Errorf("%s: %s (%s), want %s", id, executions[0].State, got, want)
			}
			return notes
		}
		run("r1", "t1", "l1", "l1", "first run")
		run("r2", "t2", "l1", "l1", "b.py changed, which it does not read; else as in run r1")
		run("r3", "t2", "l2", "l2", "/data/x.csv changed, size 3 -> 5")
		run("r4", "t1", "l2", "l2", "b.py changed, which it does not read; else as in run r3")
		notes := run("r5", "t1", "l3", "l4", "/data/y.csv is new, and 1 more")
		if !strings.Contains(notes, "/data changed while the run used it") {
			t.Errorf("the notes say nothing of the change: %q", notes)
		}
		run("r6", "t1", "l3", "l3", "nothing to reuse: its last execution has not succeeded")
		run("r7", "t1", "l3", "l3", "same inputs and code as in run r6")
		run("r8", "t1", "l1", "l1", "same inputs and code as in run r1")
	})
}

// TestLivePod asserts that a live mount is the path itself, and read-only.
func TestLivePod(t *testing.T) {
	run, n := keyPod()
	run.Options.Mounts = []Mount{{Source: "/big", Target: "/data", ReadOnly: true, Live: true, Digest: "sha256:l"}}
	pod, err := buildPod(run, n, 1, "/home", "h", nil)
	if err != nil {
		t.Fatal(err)
	}
	v := pod.Volumes[1]
	if v.Host != "/big" || v.Tree != "" || !v.Live || !pod.Containers[0].Mounts[1].ReadOnly {
		t.Errorf("mounted as %+v", v)
	}
	if got := keyParts(run, n)["mount /data"]; got != "live sha256:l" {
		t.Errorf("it counts as %q", got)
	}
	snapshot := run.Options.Mounts[0]
	snapshot.Live = false
	if snapshot.keyText() == run.Options.Mounts[0].keyText() {
		t.Error("a snapshot has the key of a list")
	}
}

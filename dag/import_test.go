package dag

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// elsewhere is an artifact store whose Fetch brings the current version of
// everything, slowly if told so.
type elsewhere struct {
	stageArtifacts
	version int
	calls   []string
	takes   time.Duration
	err     error
}

func (a *elsewhere) Fetch(ctx context.Context, uri string, progress func(done, total int64)) (string, int64, error) {
	a.calls = append(a.calls, uri)
	for end := time.Now().Add(a.takes); time.Now().Before(end); {
		select {
		case <-time.After(100 * time.Millisecond):
			progress(1<<20, 4<<20)
		case <-ctx.Done():
			return "", 0, context.Cause(ctx)
		}
	}
	return fmt.Sprintf("sha256:v%d", a.version), 4 << 20, a.err
}

// importing is a pipeline of one importer.
func importing(uri string, reimport bool) *Pipeline {
	p := steps("")
	p.File = "/p/flow.yaml"
	p.Components["import"] = &Component{
		Name: "import", Outputs: Outputs{Artifacts: map[string]*OutputArtifact{"data": {}}},
		Importer: &Importer{URI: &Source{Constant: &Constant{uri}}, Type: ArtifactType{Title: "system.Dataset"}, Reimport: reimport},
	}
	p.Components["root"].Graph.Tasks["i"] = &Task{Name: "i", Component: "import"}
	return p
}

func (s *stage) importing(id string, store *elsewhere, p *Pipeline, change ...func(*Run)) *Execution {
	s.t.Helper()
	s.create(id, p, change...)
	d := s.driver(id)
	store.gone = s.gone
	d.Artifacts = store
	_, list, err := d.Drive(s.t.Context(), id)
	if err != nil || len(list) != 1 {
		s.t.Fatalf("%v, %v", list, err)
	}
	return list[0]
}

func TestImportOnce(t *testing.T) {
	play(t, func(s *stage) {
		store := &elsewhere{version: 1}
		const uri = "s3://b/k"
		check := func(id string, x *Execution, digest, reason string, calls int) {
			t.Helper()
			a := x.Outputs.Artifacts["data"]
			if x.State != Succeeded || len(a) != 1 || a[0].URI != uri || a[0].Digest != digest || a[0].Type != "system.Dataset" {
				t.Errorf("%s: %s %s, %+v", id, x.State, x.Error, a)
			}
			if x.Tries() != 1 || !strings.HasPrefix(x.Reason, reason) || len(store.calls) != calls {
				t.Errorf("%s: %d tries, %q, fetched %d times", id, x.Tries(), x.Reason, len(store.calls))
			}
		}
		check("first", s.importing("r1", store, importing(uri, false)), "sha256:v1", "imported for the first time", 1)
		store.version = 2
		check("again", s.importing("r2", store, importing(uri, false)), "sha256:v1", "imported before", 1)
		check("reimport", s.importing("r3", store, importing(uri, true)), "sha256:v2", "reimport", 2)
		check("after that", s.importing("r4", store, importing(uri, false)), "sha256:v2", "imported before", 2)
		check("no cache", s.importing("r5", store, importing(uri, false), func(r *Run) { r.Options.Cache = CacheOff }), "sha256:v2", "caching is off", 3)
		s.gone["sha256:v2"] = true
		check("the newest is gone", s.importing("r6", store, importing(uri, false)), "sha256:v1", "imported before", 3)
		s.gone["sha256:v1"] = true
		store.version = 3
		check("all are gone", s.importing("r7", store, importing(uri, false)), "sha256:v3", "what was imported before is gone", 4)
	})
}

func TestImportFails(t *testing.T) {
	play(t, func(s *stage) {
		x := s.importing("r1", &elsewhere{err: errors.New("import s3://b/k: no")}, importing("s3://b/k", false))
		if x.State != Failed || x.Error != "import s3://b/k: no" || len(x.Outputs.Artifacts) > 0 {
			t.Errorf("%+v", x)
		}
	})
}

// A URI that can't be fetched is a record, as on a cluster.
func TestImportRecord(t *testing.T) {
	play(t, func(s *stage) {
		store := &elsewhere{}
		x := s.importing("r1", store, importing("wherry-test://a/b", false))
		if a := x.Outputs.Artifacts["data"]; x.State != Succeeded || len(a) != 1 || a[0].URI != "wherry-test://a/b" || a[0].Digest != "" || len(store.calls) > 0 {
			t.Errorf("%+v", x)
		}
		if len(s.notes) != 1 || !strings.HasPrefix(s.notes[0], "i: wherry-test:// can't be fetched (http, https, s3, minio, gs, oci can)") {
			t.Errorf("%q", s.notes)
		}
	})
}

func TestImportSaysHowFar(t *testing.T) {
	play(t, func(s *stage) {
		s.importing("r1", &elsewhere{takes: 25 * time.Second}, importing("s3://b/k", false))
		want := []string{"i: fetched 1Mi of 4Mi", "i: fetched 1Mi of 4Mi", "i: fetched 1Mi of 4Mi", "i: fetched 4Mi in 25 s"}
		if !slices.Equal(s.notes, want) {
			t.Errorf("%q", s.notes)
		}
	})
}

func TestImportCanceled(t *testing.T) {
	play(t, func(s *stage) {
		s.create("r1", importing("s3://b/k", false))
		d := s.driver("r1")
		d.Artifacts = &elsewhere{takes: time.Hour}
		ctx, cancel := context.WithCancel(s.t.Context())
		time.AfterFunc(5*time.Second, cancel)
		start := time.Now()
		run, list, err := d.Drive(ctx, "r1")
		if err != nil || run.State != Canceled || list[0].State != Canceled || time.Since(start) > 10*time.Second {
			t.Errorf("%s, %s, %v after %s", run.State, list[0].State, err, time.Since(start))
		}
	})
}

// What a step has made is found by the database: the link at its URI comes later.
func TestImportWhatAStepMade(t *testing.T) {
	play(t, func(s *stage) {
		made := s.home + "/runs/r0/1/1/data"
		s.store.executions[1000] = &Execution{ID: 1000, Run: "r0", State: Succeeded, Kind: KindContainer,
			Outputs: Values{Artifacts: map[string][]Artifact{"data": {{URI: made, Digest: "sha256:made"}}}}}
		x := s.importing("r1", &elsewhere{}, importing(made, true))
		if a := x.Outputs.Artifacts["data"]; x.State != Succeeded || a[0].Digest != "sha256:made" || a[0].Type != "system.Dataset" {
			t.Errorf("%+v", x)
		}
	})
}

// TestImportHidesPassword: it is used to fetch, and on record nowhere.
func TestImportHidesPassword(t *testing.T) {
	play(t, func(s *stage) {
		store := &elsewhere{version: 1}
		const uri = "https://me:hunter2@h.example/x.csv?v=1"
		x := s.importing("r1", store, importing(uri, false))
		a := x.Outputs.Artifacts["data"]
		if len(a) != 1 || a[0].URI != "https://h.example/x.csv?v=1" || !slices.Equal(store.calls, []string{uri}) || strings.Contains(fmt.Sprintf("%+v %v", *x, s.notes), "hunter2") {
			t.Errorf("%+v, fetched %v, notes %v", *x, store.calls, s.notes)
		}
		again := s.importing("r2", store, importing("https://me:changed@h.example/x.csv?v=1", false))
		if len(store.calls) != 1 || !strings.HasPrefix(again.Reason, "imported before") {
			t.Errorf("with another password: %s, fetched %d times", again.Reason, len(store.calls))
		}
	})
}

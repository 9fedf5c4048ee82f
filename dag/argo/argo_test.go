package argo

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/dag/source"
	"github.com/wherry-ml/wherry/e2e/need"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// read reads a pipeline as wherry does: Read, then dag.Validate.
func read(f *source.File, o Options) (*dag.Pipeline, error) {
	docs, err := f.Documents()
	if err != nil {
		return nil, err
	}
	if !Sniff(docs[0]) {
		return nil, fmt.Errorf("%s: not recognised", f.Name)
	}
	p, err := Read(f, docs[0], o)
	if err != nil {
		return nil, err
	}
	return p, dag.Validate(p, f)
}

func readFile(t *testing.T, path string, o Options) *dag.Pipeline {
	t.Helper()
	f, err := source.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	f.Name = filepath.Base(path)
	p, err := read(f, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			golden(t, strings.TrimSuffix(file, ".yaml")+".golden", readFile(t, file, Options{Mounted: []string{"/app"}}))
		})
	}
}

// golden compares the pipeline, without positions and as JSON, and its notes as
// people see them.
func golden(t *testing.T, file string, p *dag.Pipeline) {
	t.Helper()
	notes := strings.Join(p.Notes, "\n")
	p.Notes = nil
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(withoutPositions(tree)); err != nil {
		t.Fatal(err)
	}
	got := notes + "\n\n" + b.String()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update rewrites it):\n%s", file, diff)
	}
}

func withoutPositions(x any) any {
	switch x := x.(type) {
	case map[string]any:
		delete(x, "pos")
		for k, v := range x {
			if m, ok := withoutPositions(v).(map[string]any); ok && len(m) == 0 {
				delete(x, k)
			}
		}
	case []any:
		for _, v := range x {
			withoutPositions(v)
		}
	}
	return x
}

// shared returns a file of the article.
func shared(t *testing.T, name string) string {
	t.Helper()
	return need.Shared(t, "conformance/seed/"+name)
}

func TestArticlePipelineV2(t *testing.T) {
	p := readFile(t, shared(t, "pipeline_v2_example.yaml"), Options{Mounted: []string{"/app"}})
	if p.Name != "ml-pipeline-v2" || p.Root != "main" || p.Format != dag.FormatPipeline {
		t.Errorf("pipeline %q, root %q, format %q", p.Name, p.Root, p.Format)
	}
	tasks := p.Components["main"].Graph.Tasks
	for _, want := range []struct {
		task, needs, artifacts, directories, outputs string
	}{
		{"data-preprocessing", "", "", "/data<-[]", "output-path"},
		{"model-training", "data-preprocessing", "data-1=data-preprocessing.data", "/data<-[data-1] /models<-[]", "model-path"},
		{"model-evaluation", "model-training", "models-1=model-training.models", "/models<-[models-1] /results<-[]", ""},
	} {
		task := tasks[want.task]
		c := p.Components[task.Component]
		if got := join2(task); got != want.needs+"|"+want.artifacts {
			t.Errorf("%s: needs and artifacts %s", want.task, got)
		}
		if got := dirsOf(c); got != want.directories {
			t.Errorf("%s: directories %s", want.task, got)
		}
		if got := strings.Join(keys(c.Outputs.Parameters), " "); got != want.outputs {
			t.Errorf("%s: outputs %s", want.task, got)
		}
		if !task.Cache {
			t.Errorf("%s is not cached", want.task)
		}
	}
	train := p.Components["train-model"]
	want := []dag.Origin{{Text: dag.Literal("/models/model.h5")}}
	if diff := cmp.Diff(want, train.Outputs.Parameters["model-path"].From); diff != "" {
		t.Error(diff)
	}
	source := tasks["model-training"].Parameters["data-path"]
	if source.Task != "data-preprocessing" || source.Output != "output-path" {
		t.Errorf("data-path comes from %+v", source)
	}
	r := train.Pod.Containers[0].Resources
	got := []dag.Text{r.CPURequest, r.CPULimit, r.MemoryRequest, r.MemoryLimit}
	if diff := cmp.Diff([]dag.Text{dag.Literal("1"), dag.Literal("2"), dag.Literal("2Gi"), dag.Literal("4Gi")}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{`inferred, because the file doesn't declare it:
  inputs       preprocess-data: input-path (what its tasks are given)
               train-model: data-path (what its tasks are given)
               evaluate-model: model-path (what its tasks are given)
  outputs      preprocess-data: output-path = the value of --output-path (/data/processed)
               train-model: model-path = the value of --model-path (/models/model.h5)
  directories  /data: data-preprocessing (starts empty); model-training (from data-preprocessing)
               /models: model-training (starts empty); model-evaluation (from model-training)
               /results: model-evaluation (starts empty)`}, p.Notes); diff != "" {
		t.Error(diff)
	}
}

func join2(t *dag.Task) string {
	var needs, artifacts []string
	for _, e := range t.Needs {
		needs = append(needs, e.Task)
	}
	for _, name := range keys(t.Artifacts) {
		s := t.Artifacts[name]
		artifacts = append(artifacts, name+"="+strings.TrimPrefix(s.Task+"."+s.Output+s.Input, "."))
	}
	return strings.Join(needs, " ") + "|" + strings.Join(artifacts, " ")
}

func dirsOf(c *dag.Component) string {
	var out []string
	for _, d := range c.Pod.Directories {
		out = append(out, fmt.Sprintf("%s<-%v", d.Path, d.From))
	}
	return strings.Join(out, " ")
}

func TestArticleRetry(t *testing.T) {
	p := readFile(t, shared(t, "pipeline_with_retry.yaml"), Options{})
	if diff := cmp.Diff(&dag.Retry{Limit: 3, Policy: dag.RetryAlways}, p.Components["main"].Graph.Tasks["data-processing"].Retry); diff != "" {
		t.Error(diff)
	}
	if got := p.Components["process-data"].Pod.Timeout; got != 300*time.Second {
		t.Errorf("timeout %s", got)
	}
}

func TestArticleKatib(t *testing.T) {
	p := readFile(t, shared(t, "katib_pipeline.yaml"), Options{})
	c := p.Components["katib-tuning"]
	if got := strings.Join(keys(c.Inputs.Parameters), " "); got != "max-trials parallel-trials" {
		t.Errorf("inputs %s", got)
	}
	script := c.Pod.Containers[0].Args[0].Text
	want := dag.Text{
		{Text: "echo 'Starting Katib hyperparameter tuning...'; python /app/katib_tuner.py --max-trials "},
		{Ref: &dag.Ref{Kind: dag.RefInputValue, Name: "max-trials"}},
		{Text: " --parallel-trials "},
		{Ref: &dag.Ref{Kind: dag.RefInputValue, Name: "parallel-trials"}},
	}
	if diff := cmp.Diff(want, script); diff != "" {
		t.Error(diff)
	}
	if s := p.Components["main"].Graph.Tasks["katib-job"].Parameters["max-trials"]; s.Constant == nil || s.Constant.Value != "10" {
		t.Errorf("max-trials is given %+v", s)
	}
}

func FuzzRead(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.yaml")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	for _, c := range errorCases {
		f.Add([]byte(c.file()))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		defer time.AfterFunc(20*time.Second, func() { panic("hangs") }).Stop()
		file := &source.File{Name: "fuzz.yaml", Text: text}
		docs, err := file.Documents()
		if err != nil || len(docs) == 0 {
			return
		}
		if !Sniff(docs[0]) {
			return
		}
		p, err := Read(file, docs[0], Options{Mounted: []string{"/app"}})
		if err != nil {
			e, ok := errors.AsType[*source.Error](err)
			if !ok || e.Pos.Line == 0 {
				t.Fatalf("an error without a position: %v", err)
			}
			return
		}
		if err := dag.Validate(p, file); err != nil && !strings.Contains(err.Error(), "waits for itself") {
			t.Fatalf("what Read lets through, Validate refuses: %v", err)
		}
	})
}

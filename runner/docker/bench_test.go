package docker

import (
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/docker/docker/api/types/container"

	"github.com/wherry-ml/wherry/runner"
	"github.com/wherry-ml/wherry/runner/runnertest"
)

// BenchmarkStep compares one trivial step through the backend (Ensure, Watch,
// Collect, Remove) with the same five calls made straight to the engine. The
// ratio is measured step by step in turn, so that a busy machine weighs on both.
func BenchmarkStep(b *testing.B) {
	ctx := b.Context()
	dir := b.TempDir()
	back := openAt(dir, false)
	defer back.Close()
	e, err := back.connect.engine(ctx)
	if err != nil {
		b.Fatal(err)
	}
	im, err := back.Resolve(ctx, testImage, runner.ResolveOptions{})
	if err != nil {
		b.Fatal(err)
	}
	ended := make(chan string)
	watchCtx, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for st := range back.Watch(watchCtx) {
			if st.Synced || st.Phase == runner.PhaseEnded {
				ended <- st.Pod
			}
		}
	}()
	<-ended
	defer func() { stop(); <-done }()
	var raw, ours float64
	n := 0
	for b.Loop() {
		start := b.Elapsed()
		rawStep(b, e, im.Ref, fmt.Sprintf("wherry-bench-raw-%d", n))
		middle := b.Elapsed()
		oneStep(b, back, im.Ref, runner.PodName(homeOf(dir), "bench", int64(n), 1), ended)
		raw += (middle - start).Seconds()
		ours += (b.Elapsed() - middle).Seconds()
		n++
	}
	b.ReportMetric(raw/float64(n)*1e3, "raw-ms")
	b.ReportMetric(ours/float64(n)*1e3, "ours-ms")
	b.ReportMetric(ours/raw, "ratio")
}

func oneStep(b *testing.B, back *Backend, image, name string, ended <-chan string) {
	ctx := b.Context()
	p := runner.Pod{Name: name, Labels: map[string]string{runner.LabelHome: back.cfg.Home},
		Containers: []runner.Container{{Name: "main", Image: image, Command: []string{"true"}}}}
	if err := back.Ensure(ctx, []runner.Pod{p}); err != nil {
		b.Fatal(err)
	}
	for got := ""; got != name; got = <-ended {
	}
	exit, err := back.Collect(ctx, p, &runnertest.Sink{})
	if err != nil || !exit.OK() {
		b.Fatal(exit, err)
	}
	if err := back.Remove(ctx, name); err != nil {
		b.Fatal(err)
	}
}

func rawStep(b *testing.B, e *engine, image, name string) {
	ctx := b.Context()
	c, err := e.ContainerCreate(ctx, &container.Config{Image: image, Cmd: []string{"true"}},
		&container.HostConfig{LogConfig: logOptions()}, nil, nil, name)
	if err != nil {
		b.Fatal(err)
	}
	if err := e.ContainerStart(ctx, c.ID, container.StartOptions{}); err != nil {
		b.Fatal(err)
	}
	ok, failed := e.ContainerWait(ctx, c.ID, container.WaitConditionNotRunning)
	select {
	case <-ok:
	case err := <-failed:
		b.Fatal(err)
	}
	logs, err := e.ContainerLogs(ctx, c.ID, container.LogsOptions{ShowStdout: true, ShowStderr: true})
	if err != nil {
		b.Fatal(err)
	}
	io.Copy(io.Discard, logs)
	logs.Close()
	if err := e.ContainerRemove(ctx, c.ID, container.RemoveOptions{}); err != nil {
		b.Fatal(err)
	}
}

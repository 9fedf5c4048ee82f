package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/runner"
)

// baseImage is what the starter pipeline and most of KFP's components run in.
const baseImage = "python:3.11"

// What a finding says.
const (
	findingOK   = "ok"
	findingWarn = "warn" // something will be slower, or fail in some cases
	findingFail = "fail" // steps can't run
)

// finding is one thing that doctor looked at.
type finding struct {
	Check   string `json:"check"`
	Status  string `json:"status"` // ok, warn or fail
	Message string `json:"message"`
	Mend    string `json:"mend"` // what to do; empty when there is nothing to do
}

// diagnosis collects findings.
type diagnosis struct {
	g        *globals
	backend  string
	project  *project
	findings []finding
	noEngine error  // an *UnavailableError
	usage    *usage // nil: not known
}

func (d *diagnosis) add(check, status, mend, format string, args ...any) {
	f := finding{Check: check, Status: status, Mend: mend, Message: fmt.Sprintf(format, args...)}
	d.findings = append(d.findings, f)
	if !d.g.structured() {
		d.g.printFinding(f)
	}
}

func newDoctorCmd(g *globals) *cobra.Command {
	backend, verify := "", false
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what this machine lacks to run pipelines",
		Long: `Looks at WHERRY_HOME, the disk and what wherry takes of it, the engine and its images, what wherry.yaml of
this folder mounts, and proxies, and says of each what is wrong and how to mend
it. It runs a container that must see a file of WHERRY_HOME and of each mount.
With --verify it only reads all artifacts, and names those that a failing disk or
somebody has changed; the next run that would use one makes it anew.

The exit code is 0 unless something fails: then 3 without an engine, else 1.`,
		Example: `  wherry doctor
  wherry doctor -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if verify {
				return g.verify(cmd.Context())
			}
			return g.doctor(cmd.Context(), backend)
		},
	}
	cmd.Flags().BoolVar(&verify, "verify", false, "read all artifacts and compare them with their digests")
	cmd.Flags().StringVar(&backend, "backend", "docker", "look at this backend: docker or process")
	return cmd
}

func (g *globals) doctor(ctx context.Context, backend string) error {
	if !slices.Contains(backendNames, backend) {
		return &usageError{msg: fmt.Sprintf("unknown backend %q", backend), mend: "--backend " + strings.Join(backendNames, " or --backend ")}
	}
	d := &diagnosis{g: g, backend: backend, project: &project{}}
	if p, err := findProject("."); err != nil {
		d.add(projectFile, findingFail, hintIn(err), "%v", err)
	} else if d.project = p; p.File != "" {
		d.add(projectFile, findingOK, "", "%s", p.File)
	}
	writable := d.checkHome()
	d.checkDisk()
	d.checkInotify()
	d.checkProxies()
	if !writable {
		d.add("engine", findingWarn, "", "not checked, because WHERRY_HOME can't be written to")
	} else if err := d.checkBackend(ctx); err != nil {
		return err
	}
	if g.structured() {
		if err := g.printDocument(map[string]any{"status": d.worst(), "findings": d.findings, "usage": d.usage}); err != nil {
			return err
		}
	}
	return d.err()
}

// err is the command's error: nil unless something fails.
func (d *diagnosis) err() error {
	if d.noEngine != nil {
		return d.noEngine
	}
	var failed []string
	for _, f := range d.findings {
		if f.Status == findingFail {
			failed = append(failed, f.Check)
		}
	}
	if len(failed) == 0 {
		return nil
	}
	return &workError{state: dag.Failed, msg: "doctor: steps can't run as things are: " + strings.Join(failed, ", ")}
}

func (d *diagnosis) worst() string {
	worst := findingOK
	for _, f := range d.findings {
		if f.Status == findingFail || worst == findingOK {
			worst = f.Status
		}
	}
	return worst
}

func (g *globals) printFinding(f finding) {
	status := fmt.Sprintf("%-5s", f.Status)
	if g.colors(g.Out) {
		color := map[string]string{findingOK: "32", findingWarn: "33", findingFail: "31"}[f.Status]
		status = "\x1b[" + color + "m" + status + "\x1b[0m"
	}
	fmt.Fprintf(g.Out, "%s %-11s %s\n", status, f.Check, indent(f.Message, 18))
	if f.Mend != "" {
		fmt.Fprintf(g.Out, "%18stry: %s\n", "", indent(f.Mend, 23))
	}
}

// indent sets all lines but the first n columns in.
func indent(text string, n int) string {
	return strings.ReplaceAll(text, "\n", "\n"+strings.Repeat(" ", n))
}

// hintIn returns the hint of the error, if it has one.
func hintIn(err error) string {
	if h, ok := errors.AsType[interface {
		error
		Hint() string
	}](err); ok {
		return h.Hint()
	}
	return ""
}

// describer is a backend that says what and where it is.
type describer interface {
	Describe(ctx context.Context) (string, error) // "Docker Engine 28.2.2 at unix:///var/run/docker.sock"
}

// checkBackend looks at the engine, the base image and what containers see. An
// error means that ctx ended.
func (d *diagnosis) checkBackend(ctx context.Context) error {
	b, err := d.g.backend(ctx, d.backend)
	if err == nil {
		err = b.Ping(ctx)
	}
	if err != nil {
		mend := hintIn(err)
		if is[*runner.UnavailableError](err) {
			d.noEngine = err
		}
		d.add("engine", findingFail, mend, "%v", err)
		return errors.Join(d.checkUsage(ctx, nil), context.Cause(ctx))
	}
	d.describeEngine(ctx, b)
	if err := d.checkUsage(ctx, b); err != nil {
		return err
	}
	image, ok := d.checkImage(ctx, b)
	if ok && b.Features().Isolation {
		d.checkMounts(ctx, b, image)
	}
	return context.Cause(ctx)
}

func (d *diagnosis) describeEngine(ctx context.Context, b runner.Backend) {
	text := "the " + b.Features().Name + " backend answers"
	if x, ok := b.(describer); ok {
		if s, err := x.Describe(ctx); err == nil {
			text = s
		}
	}
	c, err := b.Capacity(ctx)
	if err != nil {
		d.add("engine", findingWarn, "", "%s, but does not say what it has: %v", text, err)
		return
	}
	text += fmt.Sprintf("; %.4g CPUs, %.1f GiB of memory", float64(c.CPU)/1000, float64(c.Memory)/(1<<30))
	if n := len(c.GPUs); n > 0 {
		text += fmt.Sprintf(", %d GPUs", n)
	}
	if c.Memory < 2<<30 {
		d.add("engine", findingWarn, "give the engine more memory: training steps usually need some GiB", "%s", text)
		return
	}
	d.add("engine", findingOK, "", "%s", text)
}

// checkImage looks for the base image, as this folder names it, without pulling.
func (d *diagnosis) checkImage(ctx context.Context, b runner.Backend) (runner.Image, bool) {
	name, build := d.project.image(baseImage)
	if build != nil && build.Base != "" {
		name = build.Base
	} else if build != nil {
		name = baseImage
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	image, err := b.Resolve(ctx, name, runner.ResolveOptions{Policy: runner.PullNever})
	if err != nil {
		d.add("base image", findingWarn, "docker pull "+name+"; without a registry: docker load -i IMAGE.tar, or scripts/base-image.sh of wherry's sources builds python:3.11",
			"%s is not on the engine, so it is pulled by the first run that needs it; what containers see was not checked", name)
		return image, false
	}
	switch {
	case !b.Features().Images:
		d.add("base image", findingOK, "", "this machine's Python stands for %s", name)
	case image.Emulated:
		d.add("base image", findingWarn, "docker rmi "+name+", then docker pull "+name+" without --platform and with DOCKER_DEFAULT_PLATFORM unset", "%s is for %s and runs emulated: several times slower", name, image.Platform)
	default:
		d.add("base image", findingOK, "", "%s is there, for %s, not emulated", name, image.Platform)
	}
	return image, true
}

// checkMounts runs containers that must see WHERRY_HOME and each mount.
func (d *diagnosis) checkMounts(ctx context.Context, b runner.Backend, image runner.Image) {
	p := prober{g: d.g, backend: b, image: image.Ref}
	seen := map[string]bool{d.g.Home: true}
	d.reportProbe("home seen", d.g.Home, p.probe(ctx, d.g.Home))
	for _, m := range d.project.Mounts {
		// What is mounted read-only is copied to WHERRY_HOME first, unless it is live.
		if m.ReadOnly && !m.Live {
			d.checkSource(m)
			continue
		}
		source, err := filepath.EvalSymlinks(m.Source)
		if err != nil || seen[source] {
			continue
		}
		seen[source] = true
		d.reportProbe("mount seen", m.Source, p.probe(ctx, source))
	}
}

func (d *diagnosis) reportProbe(check, path string, err error) {
	if err == nil {
		d.add(check, findingOK, "", "a container sees %s", path)
		return
	}
	if e, ok := errors.AsType[*probeError](err); ok && e.unchecked {
		d.add(check, findingWarn, e.mend, "%v", e)
		return
	}
	d.add(check, findingFail, hintIn(err), "%v", err)
}

package soak

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wherry-ml/wherry/e2e/harness"
)

// campaign is a home, and what its steps do to the world outside.
type campaign struct {
	*testing.T
	home    string
	folder  string // of the pipelines, with a wherry.yaml
	effects string // where steps leave their names
	rng     *rand.Rand
	want    map[string]*document // by pipeline file: what an undisturbed run came to

	runs, killed, resumes int // resumes: of the killed
}

// document is what wherry run -o json prints, as far as it is compared.
type document struct {
	Run struct {
		State string
		Error string
		Tasks []struct {
			Path     string
			State    string
			Attempts int
			Outputs  struct {
				Parameters map[string]any
				Artifacts  map[string][]struct{ Digest string }
			}
		}
		Outputs struct{ Parameters map[string]any }
	}
}

func newCampaign(t *testing.T) *campaign {
	c := &campaign{T: t, home: t.TempDir(), folder: t.TempDir(), effects: t.TempDir(), rng: rand.New(rand.NewPCG(*seed, 1)), want: map[string]*document{}}
	for _, name := range []string{"effects.yaml", "effects_layer.yaml", "data.csv"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		c.must(err)
		c.must(os.WriteFile(filepath.Join(c.folder, name), data, 0o644))
	}
	t.Cleanup(func() { harness.CleanUp(c.home); dropLayers() })
	return c
}

func (c *campaign) must(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

func (c *campaign) command(args ...string) *exec.Cmd {
	cmd := exec.Command(wherry, args...)
	cmd.Dir = c.folder
	cmd.Env = append(os.Environ(), "WHERRY_HOME="+c.home)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// layers that only this campaign has: by what pip installs into them.
func dropLayers() {
	out, _ := exec.Command("docker", "images", "--quiet", "--no-trunc", "wherry/layer").Output()
	for _, id := range strings.Fields(string(out)) {
		comment, _ := exec.Command("docker", "image", "inspect", "--format", "{{.Comment}}", id).Output()
		if strings.TrimSpace(string(comment)) == "pip install six==1.15.0" {
			_ = exec.Command("docker", "rmi", "-f", id).Run()
		}
	}
}

// lives starts wherry as often as it takes to end a run, and kills it, while it may,
// at a random moment of each life. It returns what the last life printed.
func (c *campaign) lives(file, name string, longest time.Duration, mayKill func() bool) *document {
	c.Helper()
	args := []string{"run", file, "--name", name, "--no-cache", "-v", c.effects + ":/effects", "-o", "json"}
	for range 500 {
		var stdout, stderr bytes.Buffer
		cmd := c.command(args...)
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		c.must(cmd.Start())
		var fate *time.Timer
		if mayKill() {
			after := 10*time.Millisecond + time.Duration(c.rng.Int64N(int64(longest)))
			fate = time.AfterFunc(after, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
		}
		_ = cmd.Wait()
		if fate != nil && !fate.Stop() && cmd.ProcessState.ExitCode() == -1 {
			c.killed++
			if args[0] == "resume" {
				c.resumes++
			}
			if c.command("describe", name).Run() == nil { // else it came to nothing
				args = []string{"resume", name, "-o", "json"}
			}
			continue
		}
		d := &document{}
		if err := json.Unmarshal(stdout.Bytes(), d); err != nil {
			if code := cmd.ProcessState.ExitCode(); code == 3 { // the engine stayed away
				args = []string{"resume", name, "-o", "json"}
				time.Sleep(time.Second)
				continue
			}
			c.Fatalf("run %s: %v\n%s", name, cmd.ProcessState, stderr.String())
		}
		c.runs++
		return d
	}
	c.Fatalf("run %s never ended", name)
	return nil
}

// names are those that the steps left since the last call, and how often.
func (c *campaign) names() map[string]int {
	path := filepath.Join(c.effects, "log")
	text, _ := os.ReadFile(path)
	_ = os.Remove(path)
	names := map[string]int{}
	for line := range strings.Lines(string(text)) {
		names[strings.TrimSpace(line)]++
	}
	return names
}

// outputs are everything that the tasks of a run handed on.
func (d *document) outputs() map[string]string {
	out := map[string]string{}
	for _, task := range d.Run.Tasks {
		for name, value := range task.Outputs.Parameters {
			out[task.Path+"."+name] = fmt.Sprint(value)
		}
		for name, list := range task.Outputs.Artifacts {
			for i, a := range list {
				out[fmt.Sprintf("%s.%s[%d]", task.Path, name, i)] = a.Digest
			}
		}
	}
	return out
}

// undisturbed is a run that nobody kills: what the others must come to.
func (c *campaign) undisturbed(file string, steps int) (took time.Duration) {
	start := time.Now()
	d := c.lives(file, "undisturbed-"+file, time.Second, func() bool { return false })
	if d.Run.State != "SUCCEEDED" {
		c.Fatalf("the undisturbed run of %s: %s: %s", file, d.Run.State, d.Run.Error)
	}
	if names := c.names(); len(names) != steps || slices.Max(slices.Collect(maps.Values(names))) != 1 {
		c.Fatalf("the undisturbed run of %s left %v", file, names)
	}
	c.want[file] = d
	return time.Since(start)
}

// same fails unless a run has come to what the undisturbed one came to.
func (c *campaign) same(file, name string, d *document) {
	c.Helper()
	if d.Run.State != "SUCCEEDED" {
		c.Errorf("run %s: %s: %s", name, d.Run.State, d.Run.Error)
	}
	if diff := cmp.Diff(c.want[file].outputs(), d.outputs()); diff != "" {
		c.Errorf("run %s: its outputs are not those of an undisturbed run:\n%s", name, diff)
	}
}

// clean fails if a container, a claim on the machine or a temporary file was left.
func (c *campaign) clean(name string) {
	c.Helper()
	ids, err := harness.Left(c.home)
	c.must(err)
	if len(ids) > 0 {
		c.Errorf("run %s left %d containers", name, len(ids))
	}
	out, _ := exec.Command("docker", "ps", "-aq", "--filter", "label=dev.wherry.layer-home="+harness.HomeID(c.home)).Output()
	if len(bytes.TrimSpace(out)) > 0 {
		c.Errorf("run %s left containers that installed packages: %s", name, out)
	}
	c.must(filepath.WalkDir(c.home, func(path string, e fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(c.home, path)
		if err == nil && !e.IsDir() && !expected(rel, e) {
			c.Errorf("run %s left %s", name, rel)
		}
		if e != nil && e.IsDir() && strings.HasPrefix(rel, "artifacts/sha256/") {
			return fs.SkipDir
		}
		return err
	}))
}

// expected are the files of a home where nothing runs.
func expected(rel string, e fs.DirEntry) bool {
	top, _, _ := strings.Cut(rel, "/")
	base := filepath.Base(rel)
	switch top {
	case "artifacts":
		return strings.HasPrefix(rel, "artifacts/seals/")
	case "work": // the locks of image builds stay
		return strings.HasPrefix(base, "build-") && strings.HasSuffix(base, ".lock")
	case "id", "wherry.db", "wherry.db-wal", "wherry.db-shm", "logs", "snapshots":
		return true
	case "runs":
		return base == "lock" || base == "owner" || e.Type() == fs.ModeSymlink
	}
	return false
}

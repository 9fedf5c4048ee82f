package process

import (
	"context"
	"errors"
	"fmt"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/wherry-ml/wherry/runner"
)

// defaultGrace is the time between SIGTERM and SIGKILL where the pod names none.
const defaultGrace = 10 * time.Second

// plan is a pod that can be run here: what its supervisor is told, what Ensure
// makes for it first, and what its containers need of Python.
type plan struct {
	spec
	secrets secrets
	seeds   map[string][]string               // directories to copy, by scratch volume
	files   map[string]map[string]runner.File // to write, by volume
	volumes []string                          // directories to make
	envs    []envNeed
}

// envNeed is what one container needs of Python.
type envNeed struct {
	image string
	layer *runner.Layer
	uses  usesPython
}

// plan checks the pod and says how it runs. It starts and makes nothing. What
// can't be honoured is an *runner.UnsupportedError.
func (b *Backend) plan(p runner.Pod) (*plan, error) {
	if err := checkShape(p); err != nil {
		return nil, err
	}
	if err := checkSupported(p); err != nil {
		return nil, err
	}
	d := b.pod(p.Name)
	pl := &plan{spec: spec{Name: p.Name, Labels: p.Labels, Deadline: p.Deadline, Grace: p.Grace, FailFast: p.FailFast}, secrets: secrets{}}
	if pl.Grace <= 0 {
		pl.Grace = defaultGrace
	}
	if err := b.planMounts(pl, p, d); err != nil {
		return nil, err
	}
	for _, c := range p.Containers {
		if err := pl.addContainer(c, d, len(p.Containers) == 1); err != nil {
			return nil, err
		}
	}
	return pl, nil
}

// Check implements runner.Checker.
func (b *Backend) Check(p runner.Pod) error {
	_, err := b.plan(p)
	if _, ok := errors.AsType[*runner.UnsupportedError](err); ok {
		return err
	}
	return nil
}

func (pl *plan) addContainer(c runner.Container, d podDir, only bool) error {
	words, err := argv(c, pl.brings)
	if err != nil {
		return err
	}
	cs := containerSpec{Name: c.Name, Role: c.Role, After: c.After, Argv: words, Dir: d.cwd()}
	switch {
	case c.WorkDir != "":
		if !pl.brings(c.WorkDir) {
			return unsupported(fmt.Sprintf("container %q: working directory %s", c.Name, c.WorkDir),
				"it is a path of image %q; commands run in a directory of their own", c.Image)
		}
		cs.Dir = c.WorkDir
	case !only:
		cs.Dir = filepath.Join(d.cwd(), c.Name)
	}
	for _, e := range c.Env {
		if e.Secret {
			pl.secrets[c.Name] = append(pl.secrets[c.Name], e.Name+"="+e.Value)
		} else {
			cs.Env = append(cs.Env, e.Name+"="+e.Value)
		}
	}
	pl.Containers = append(pl.Containers, cs)
	pl.envs = append(pl.envs, envNeed{c.Image, c.Layer, uses(words)})
	return nil
}

// brings reports whether path lies where the pod has mounted something.
func (pl *plan) brings(path string) bool {
	under := func(m bind) bool { return within(m.Path, path) }
	return slices.ContainsFunc(pl.Mounts, under) || slices.ContainsFunc(pl.Inputs, under)
}

// within reports whether path is dir or lies under it, by their names alone.
func within(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && (rel == "." || filepath.IsLocal(rel))
}

// checkShape refuses pods that no backend could run.
func checkShape(p runner.Pod) error {
	if !fileName(p.Name) {
		return fmt.Errorf("pod name %q can't be the name of a directory", p.Name)
	}
	done := map[string]bool{}
	for _, c := range p.Containers {
		if !fileName(c.Name) {
			return fmt.Errorf("pod %q: container name %q can't be the name of a file", p.Name, c.Name)
		}
		if _, twice := done[c.Name]; twice {
			return fmt.Errorf("pod %q has two containers named %q", p.Name, c.Name)
		}
		done[c.Name] = false
	}
	if !slices.ContainsFunc(p.Containers, func(c runner.Container) bool { return c.Role == runner.Main }) {
		return fmt.Errorf("pod %q has no main container", p.Name)
	}
	return checkOrder(p, done)
}

// checkOrder refuses an order of main containers in which one can never start.
func checkOrder(p runner.Pod, done map[string]bool) error {
	for again := true; again; {
		again = false
		for _, c := range p.Containers {
			waits := slices.ContainsFunc(c.After, func(n string) bool { return !done[n] })
			if !done[c.Name] && !waits {
				done[c.Name], again = true, true
			}
		}
	}
	for _, c := range p.Containers {
		if !done[c.Name] {
			return fmt.Errorf("pod %q: container %q waits for %q, which can't end before it", p.Name, c.Name, c.After)
		}
	}
	return nil
}

func fileName(s string) bool {
	return s != "" && len(s) < 200 && !strings.HasPrefix(s, ".") && filepath.IsLocal(s) && filepath.Base(s) == s
}

// checkSupported refuses what needs a container.
func checkSupported(p runner.Pod) error {
	switch {
	case p.Network.Mode == runner.NetworkNone:
		return unsupported("network: none", "host processes share this machine's network")
	case p.Network.Mode != runner.NetworkDefault:
		return unsupported("network: "+string(p.Network.Mode), "host processes share this machine's network")
	case p.Network.Gang != "":
		return unsupported("network: gang "+p.Network.Gang, "host processes have no names of their own on a network")
	case p.Network.Hostname != "":
		return unsupported("network: hostname "+p.Network.Hostname, "host processes share this machine's name")
	case p.Resources.GPU > 0 || len(p.Resources.Devices) > 0:
		return unsupported("resources: gpu", "host processes can't be kept to the devices granted")
	}
	for _, c := range p.Containers {
		field := func(name string) string { return fmt.Sprintf("container %q: %s", c.Name, name) }
		switch {
		case c.Resources.GPU > 0 || len(c.Resources.Devices) > 0:
			return unsupported(field("resources: gpu"), "host processes can't be kept to the devices granted")
		case c.User != "" && !isSelf(c.User):
			return unsupported(field("user "+c.User), "host processes run as the user who starts wherry")
		case c.SHMSize > 0:
			return unsupported(field("shm size"), "host processes share this machine's /dev/shm")
		}
	}
	return checkPlatform(p.Platform)
}

// isSelf reports whether name, as in Container.User, is who runs this process.
func isSelf(name string) bool {
	u, err := user.Current()
	return err == nil && slices.Contains([]string{u.Uid, u.Uid + ":" + u.Gid, u.Username}, name)
}

// withPython makes the environments that the containers need, and says where
// they are. overlaid are those that get a layer of their own.
func (b *Backend) withPython(ctx context.Context, pl *plan, d podDir) (overlaid map[string]string, err error) {
	overlaid = map[string]string{} // base by place
	for i, need := range pl.envs {
		if !need.uses.python && need.layer.Empty() {
			continue
		}
		base, err := b.environment(ctx, need.image, need.layer)
		if err != nil {
			return nil, err
		}
		c := &pl.Containers[i]
		c.Venv = base
		if need.uses.pip {
			c.Venv = filepath.Join(d.venv(), c.Name)
			overlaid[c.Name] = base
		}
		c.Paths = []string{filepath.Join(c.Venv, "bin")}
	}
	return overlaid, nil
}

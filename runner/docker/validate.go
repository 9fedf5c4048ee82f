package docker

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/wherry-ml/wherry/runner"
)

var validName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`)

// check refuses what this engine can't honour, and pods that make no sense,
// before anything of them is made.
func (b *Backend) check(ctx context.Context, e *engine, p runner.Pod) error {
	if !validName.MatchString(p.Name) {
		return fmt.Errorf("pod %q: the name must match %s", p.Name, validName)
	}
	if home := p.Labels[runner.LabelHome]; home != b.cfg.Home {
		return fmt.Errorf("pod %s: label %s is %q, and this is home %q", p.Name, runner.LabelHome, home, b.cfg.Home)
	}
	if err := checkContainers(p); err != nil {
		return fmt.Errorf("pod %s: %w", p.Name, err)
	}
	if p.Network.Mode == runner.NetworkNone && (p.Network.Gang != "" || len(p.Network.Ports) > 0) {
		return unsupported("network", "mode none has neither a gang nor ports")
	}
	for _, v := range p.Volumes {
		if v.Host == "" {
			continue
		}
		if err := checkHost(v.Host, e.end.socket()); err != nil {
			return err
		}
	}
	return b.checkDevices(ctx, e, p)
}

func checkContainers(p runner.Pod) error {
	names := map[string]runner.Role{}
	for _, c := range p.Containers {
		if !validName.MatchString(c.Name) {
			return fmt.Errorf("container %q: the name must match %s", c.Name, validName)
		}
		if _, twice := names[c.Name]; twice {
			return fmt.Errorf("container %q is there twice", c.Name)
		}
		for _, m := range c.Mounts {
			if !path.IsAbs(m.Path) {
				return fmt.Errorf("container %q: mount path %q is not absolute", c.Name, m.Path)
			}
		}
		names[c.Name] = c.Role
	}
	for _, c := range p.Containers {
		for _, after := range c.After {
			if role, ok := names[after]; !ok || role != runner.Main {
				return fmt.Errorf("container %q comes after %q, which is no main container of the pod", c.Name, after)
			}
		}
		if comesAfter(p, c.Name, c.Name, len(p.Containers)) {
			return fmt.Errorf("container %q comes after itself", c.Name)
		}
	}
	if firstMain(p).Name == "" {
		return fmt.Errorf("no main container")
	}
	return nil
}

// comesAfter reports whether a container starts after another, over at most
// depth others.
func comesAfter(p runner.Pod, name, other string, depth int) bool {
	i := slices.IndexFunc(p.Containers, func(c runner.Container) bool { return c.Name == name })
	return depth > 0 && slices.ContainsFunc(p.Containers[i].After, func(after string) bool {
		return after == other || comesAfter(p, after, other, depth-1)
	})
}

// checkHost refuses the engine's socket, by whatever name, and the folders that
// hold it: who has it is root on this machine.
func checkHost(host, socket string) error {
	real, err := filepath.EvalSymlinks(host)
	if err != nil {
		return fmt.Errorf("volume %s: %w", host, err)
	}
	for _, s := range []string{socket, "/var/run/docker.sock", "/run/podman/podman.sock", "/run/containerd/containerd.sock"} {
		if s == "" {
			continue
		}
		if r, err := filepath.EvalSymlinks(s); err == nil {
			s = r
		}
		a, aerr := os.Stat(real)
		z, zerr := os.Stat(s)
		same := aerr == nil && zerr == nil && os.SameFile(a, z)
		if same || real == s || inside(real, s) && strings.HasPrefix(s, "/run/") {
			return unsupported("volumes[].host", "%s gives the container the engine's socket %s, and with it this machine", host, s)
		}
	}
	return nil
}

func (b *Backend) checkDevices(ctx context.Context, e *engine, p runner.Pod) error {
	wanted := slices.Clone(p.Resources.Devices)
	for _, c := range p.Containers {
		wanted = append(wanted, c.Resources.Devices...)
	}
	if len(wanted) == 0 {
		return nil
	}
	have, err := e.gpus(ctx)
	if err != nil {
		return err
	}
	for _, id := range wanted {
		if !slices.Contains(have, id) {
			return unsupported("resources.devices", "the engine has no GPU %q (it has %d)", id, len(have))
		}
	}
	return nil
}

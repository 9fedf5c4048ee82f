package docker

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/go-connections/nat"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/wherry-ml/wherry/runner"
)

// spec is all that creating a container takes.
type spec struct {
	name       string
	config     *container.Config
	host       *container.HostConfig
	networking *network.NetworkingConfig
	platform   *ocispec.Platform
	files      filePlan
	init       bool // it is a holder, which needs our init
}

// logOptions bound what a container's log takes on the engine's disk: 16 GB. The
// driver keeps every byte (json-file mangles what is not UTF-8), but throws away the
// oldest file when there are too many, and nobody is told: so there may be many. A
// short line takes about 40 bytes more than it has.
func logOptions() container.LogConfig {
	return container.LogConfig{Type: "local", Config: map[string]string{"max-size": "512m", "max-file": "32", "compress": "false"}}
}

// specs turns a pod into the containers to create, the holder first.
func (b *Backend) specs(ctx context.Context, p runner.Pod, e *engine, life string) ([]spec, error) {
	reaps := e.reaps(ctx)
	pl := b.planner(p, b.fileMode(e))
	multi := len(p.Containers) > 1
	var out []spec
	if multi {
		holder := holderSpec(p, life)
		holder.host.Mounts = pl.held()
		out = append(out, holder)
	}
	env := b.connect.conf.proxyEnv(e.end.host)
	if b.cfg.CABundle != "" {
		maps.Copy(env, caEnv())
	}
	for i, c := range p.Containers {
		files, err := pl.plan(c)
		if err != nil {
			return nil, fmt.Errorf("container %q: %w", c.Name, err)
		}
		s := containerSpec(p, i, env)
		s.files, s.host.Mounts = files, files.mounts
		s.config.Labels[labelInstance] = life
		init := reaps && c.Init
		s.host.Init = &init
		if multi {
			s.name = p.Name + "-" + c.Name
			s.config.Labels[labelMulti] = "true"
			s.host.NetworkMode = container.NetworkMode("container:" + p.Name)
		} else {
			s.joinNetwork(p, publishes(e))
		}
		out = append(out, s)
	}
	if multi {
		out[0].joinNetwork(p, publishes(e))
	}
	return out, nil
}

// publishes reports whether a container's own address can't be reached from
// here, so that its ports must be published.
func publishes(e *engine) bool { return !e.native }

// holderSpec is the container that owns a pod's network.
func holderSpec(p runner.Pod, life string) spec {
	labels := podLabels(p)
	labels[labelRole], labels[labelMulti], labels[labelInstance] = roleHolder, "true", life
	return spec{
		name: p.Name, init: true,
		config: &container.Config{
			Image: firstMain(p).Image, Entrypoint: []string{initPath}, Cmd: []string{}, Labels: labels,
			User: "0", WorkingDir: "/", Healthcheck: &container.HealthConfig{Test: []string{"NONE"}},
		},
		host: &container.HostConfig{
			LogConfig: logOptions(), SecurityOpt: []string{"no-new-privileges"}, CapDrop: []string{"ALL"},
			Resources: container.Resources{Memory: 16 << 20, MemorySwap: 16 << 20},
		},
		platform: platform(p.Platform),
	}
}

func containerSpec(p runner.Pod, i int, env map[string]string) spec {
	c := p.Containers[i]
	labels := podLabels(p)
	labels[labelContainer], labels[labelRole] = c.Name, roleName(c.Role)
	labels[labelOrder], labels[labelAfter] = strconv.Itoa(i), strings.Join(c.After, ",")
	return spec{
		name: p.Name,
		config: &container.Config{
			Image: c.Image, Entrypoint: c.Command, Cmd: c.Args, Env: environ(env, c.Env), Labels: labels,
			WorkingDir: c.WorkDir, User: c.User, Healthcheck: &container.HealthConfig{Test: []string{"NONE"}},
		},
		host: &container.HostConfig{
			LogConfig: logOptions(), SecurityOpt: []string{"no-new-privileges"},
			ShmSize: c.SHMSize, Resources: resources(p, c),
		},
		platform: platform(p.Platform),
	}
}

// joinNetwork gives the pod's network to the container that owns it.
func (s *spec) joinNetwork(p runner.Pod, publish bool) {
	n := p.Network
	s.config.Hostname = n.Hostname
	switch {
	case n.Mode == runner.NetworkNone:
		s.host.NetworkMode = "none"
	case n.Gang != "":
		net := gangNetwork(p.Labels[runner.LabelHome], n.Gang)
		s.host.NetworkMode = container.NetworkMode(net)
		end := &network.EndpointSettings{}
		if n.Hostname != "" {
			end.Aliases = []string{n.Hostname}
		}
		s.networking = &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{net: end}}
	}
	if !publish || n.Mode == runner.NetworkNone {
		return
	}
	s.config.ExposedPorts, s.host.PortBindings = nat.PortSet{}, nat.PortMap{}
	for _, port := range n.Ports {
		key := nat.Port(strconv.Itoa(port) + "/tcp")
		s.config.ExposedPorts[key] = struct{}{}
		s.host.PortBindings[key] = []nat.PortBinding{{HostIP: "127.0.0.1"}}
	}
}

func gangNetwork(home, gang string) string { return "wherry-" + home + "-" + gang }

func podLabels(p runner.Pod) map[string]string {
	labels := maps.Clone(p.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[runner.LabelPod] = p.Name
	labels[labelGrace] = grace(p).String()
	labels[labelCount] = strconv.Itoa(len(p.Containers))
	if p.Deadline > 0 {
		labels[labelDeadline] = p.Deadline.String()
	}
	if p.FailFast && len(p.Containers) > 1 {
		labels[labelFailFast] = "true"
	}
	if p.Network.Gang != "" {
		labels[labelGang] = p.Network.Gang
	}
	return labels
}

func roleName(r runner.Role) string {
	switch r {
	case runner.Init:
		return roleInit
	case runner.Sidecar:
		return roleSidecar
	}
	return roleMain
}

func firstMain(p runner.Pod) runner.Container {
	for _, c := range p.Containers {
		if c.Role == runner.Main {
			return c
		}
	}
	return runner.Container{}
}

// environ is base with a container's own variables over it, each name once.
func environ(base map[string]string, own []runner.EnvVar) []string {
	all := maps.Clone(base)
	if all == nil {
		all = map[string]string{}
	}
	for _, v := range own {
		all[v.Name] = v.Value
	}
	env := make([]string, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		env = append(env, name+"="+all[name])
	}
	return env
}

// caEnv makes the usual clients trust the bundle at caPath.
func caEnv() map[string]string {
	env := map[string]string{}
	for _, name := range []string{
		"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE",
		"GIT_SSL_CAINFO", "NODE_EXTRA_CA_CERTS",
	} {
		env[name] = caPath
	}
	return env
}

// resources are a container's limits, and of a pod with one container the
// pod's requests and limits as well. Devices go to the main containers that
// ask for them, or to all where none does.
func resources(p runner.Pod, c runner.Container) container.Resources {
	r := c.Resources
	if len(p.Containers) == 1 {
		r = orElse(r, p.Resources)
	}
	out := container.Resources{NanoCPUs: r.CPULimit * 1e6, Memory: r.MemoryLimit, MemorySwap: r.MemoryLimit}
	if r.CPU > 0 {
		out.CPUShares = max(2, r.CPU*1024/1000)
	}
	if r.Memory > 0 && (r.MemoryLimit == 0 || r.Memory <= r.MemoryLimit) {
		out.MemoryReservation = r.Memory
	}
	devices := r.Devices
	if len(devices) == 0 && wantsDevices(p, c) {
		devices = p.Resources.Devices
	}
	if len(devices) > 0 {
		out.DeviceRequests = []container.DeviceRequest{{
			Driver: "nvidia", DeviceIDs: devices, Capabilities: [][]string{{"gpu"}},
		}}
	}
	return out
}

func wantsDevices(p runner.Pod, c runner.Container) bool {
	asked := slices.ContainsFunc(p.Containers, func(c runner.Container) bool { return c.Resources.GPU > 0 })
	return c.Resources.GPU > 0 || !asked && c.Role == runner.Main
}

func orElse(r, or runner.Resources) runner.Resources {
	set := func(v *int64, or int64) {
		if *v == 0 {
			*v = or
		}
	}
	set(&r.CPU, or.CPU)
	set(&r.Memory, or.Memory)
	set(&r.CPULimit, or.CPULimit)
	set(&r.MemoryLimit, or.MemoryLimit)
	return r
}

// platform parses "os/arch[/variant]"; nil where none is asked for.
func platform(s string) *ocispec.Platform {
	if s == "" {
		return nil
	}
	parts := append(strings.SplitN(s, "/", 3), "", "")
	return &ocispec.Platform{OS: parts[0], Architecture: parts[1], Variant: parts[2]}
}

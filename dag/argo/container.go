package argo

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/runner"
)

// linkContainer parses every text of a container template.
func (r *reader) linkContainer(t *tmpl) error {
	c := t.Container
	if c.Image.S == "" {
		return r.errorf(c.Pos, "template %q: the container has no image", t.Name.S)
	}
	var err error
	parse := func(x text) []part {
		if err != nil {
			return nil
		}
		var parts []part
		parts, err = r.parse(x)
		t.refs = append(t.refs, refsOf(parts)...)
		return parts
	}
	t.image = parse(c.Image)
	for _, a := range c.Command {
		t.command = append(t.command, parse(a))
	}
	for _, a := range c.Args {
		t.args = append(t.args, parse(a))
	}
	for _, e := range c.Env {
		if e.Name.S == "" {
			return r.errorf(e.Pos, "template %q: a variable of env has no name", t.Name.S)
		}
		t.env = append(t.env, parse(e.Value))
	}
	if strings.Contains(c.WorkingDir.S, "{{") {
		return r.errorf(c.WorkingDir.Pos, "template %q: references in workingDir are not supported yet", t.Name.S)
	}
	t.requests, t.limits = map[string][]part{}, map[string][]part{}
	for _, name := range keys(c.Resources.Requests) {
		t.requests[name] = parse(c.Resources.Requests[name])
	}
	for _, name := range keys(c.Resources.Limits) {
		t.limits[name] = parse(c.Resources.Limits[name])
	}
	if err != nil {
		return err
	}
	t.flags = flagsOf(t.command, t.args)
	return r.checkRefs(t)
}

// checkRefs refuses what a container can't refer to. Its inputs are checked when
// all callers are known.
func (r *reader) checkRefs(t *tmpl) error {
	for _, x := range t.refs {
		switch x.kind {
		case refTask:
			return r.errorf(x.pos, "template %q: a container can't refer to a task (%s)", t.Name.S, x.tag).
				WithMend("give it as an argument of the task that runs the template, and write {{inputs.parameters.…}} here")
		case refOutputPath:
			p, ok := t.declared[x.name]
			if !ok || p.ValueFrom == nil {
				err := r.errorf(x.pos, "template %q declares no output parameter %q", t.Name.S, x.name)
				return near(err, x.name, keys(t.declared))
			}
		}
	}
	return nil
}

// container translates a container template's container.
func (r *reader) container(t *tmpl) (dag.Container, error) {
	c := t.Container
	out := dag.Container{
		Name:       c.Name.S,
		Image:      t.podText(t.image),
		WorkDir:    c.WorkingDir.S,
		PullPolicy: runner.PullPolicy(c.ImagePullPolicy.S),
		Pos:        c.Pos,
	}
	switch out.PullPolicy {
	case "", runner.PullAlways, runner.PullMissing, runner.PullNever:
	default:
		err := r.errorf(c.ImagePullPolicy.Pos, "template %q: imagePullPolicy %q", t.Name.S, out.PullPolicy)
		return out, near(err, c.ImagePullPolicy.S, []string{"Always", "IfNotPresent", "Never"})
	}
	for _, a := range t.command {
		out.Command = append(out.Command, dag.Arg{Text: t.podText(a)})
	}
	for _, a := range t.args {
		out.Args = append(out.Args, dag.Arg{Text: t.podText(a)})
	}
	for i, e := range c.Env {
		out.Env = append(out.Env, dag.EnvVar{Name: e.Name.S, Value: t.podText(t.env[i])})
	}
	err := r.resources(t, &out.Resources)
	return out, err
}

// quantity is Kubernetes' notation of an amount.
var quantity = regexp.MustCompile(`^\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)(n|u|m|k|M|G|T|P|E|[KMGTPE]i|[eE][+-]?[0-9]+)?$`)

func (r *reader) resources(t *tmpl, out *dag.Resources) error {
	set := func(into map[string]*dag.Text, from map[string]text, parts map[string][]part) error {
		for _, name := range keys(from) {
			x := from[name]
			if s, ok := literal(parts[name]); ok && !quantity.MatchString(s) {
				return r.errorf(x.Pos, "template %q: %s: %q is not a quantity like 250m, 2 or 4Gi", t.Name.S, name, s)
			}
			switch field := into[name]; {
			case field != nil:
				*field = t.podText(parts[name])
			case strings.Contains(name, "/"):
				if err := r.accelerator(t, out, name, x, parts[name]); err != nil {
					return err
				}
			default:
				err := r.errorf(x.Pos, "template %q: resource %q is not supported yet", t.Name.S, name)
				return near(err, name, []string{"cpu", "memory", "nvidia.com/gpu"})
			}
		}
		return nil
	}
	requests := map[string]*dag.Text{"cpu": &out.CPURequest, "memory": &out.MemoryRequest}
	limits := map[string]*dag.Text{"cpu": &out.CPULimit, "memory": &out.MemoryLimit}
	if err := set(requests, t.Container.Resources.Requests, t.requests); err != nil {
		return err
	}
	return set(limits, t.Container.Resources.Limits, t.limits)
}

// accelerator sets a device such as nvidia.com/gpu. Kubernetes wants the request
// and the limit of a device to be the same.
func (r *reader) accelerator(t *tmpl, out *dag.Resources, name string, x text, parts []part) error {
	if len(out.AcceleratorType) > 0 {
		before, asked := out.AcceleratorType[0].Text, t.Container.Resources.Requests[name]
		if before != name {
			return r.errorf(x.Pos, "template %q: %s and %s: one kind of accelerator for each container", t.Name.S, before, name)
		}
		if asked.Set && asked.S != x.S {
			return r.errorf(x.Pos, "template %q: %s: the limit %s is not the request %s", t.Name.S, name, x.S, asked.S)
		}
	}
	out.AcceleratorType, out.AcceleratorCount = dag.Literal(name), t.podText(parts)
	return nil
}

// timeout returns how long one attempt of a container template may take.
func (r *reader) timeout(t *tmpl) (time.Duration, error) {
	var out time.Duration
	for _, x := range []text{t.ActiveDeadlineSeconds, t.Container.TimeoutSeconds} {
		if !x.Set {
			continue
		}
		n, err := strconv.ParseInt(x.S, 10, 64)
		if err != nil || n <= 0 || n > math.MaxInt64/int64(time.Second) {
			return 0, r.errorf(x.Pos, "template %q: a timeout must be a whole number of seconds above 0, not %q", t.Name.S, x.S)
		}
		if d := time.Duration(n) * time.Second; out == 0 || d < out {
			out = d
		}
	}
	return out, nil
}

// retry translates a retryStrategy. Argo retries without end where there is no
// limit.
func (r *reader) retry(who string, s *retryStrategy) (*dag.Retry, error) {
	if s == nil {
		return nil, nil
	}
	out := &dag.Retry{Limit: -1, Policy: dag.RetryPolicy(s.RetryPolicy.S)}
	if s.Limit.Set {
		n, err := strconv.Atoi(s.Limit.S)
		if err != nil || n < 0 {
			return nil, r.errorf(s.Limit.Pos, "%s: retryStrategy: limit must be a whole number, not %q", who, s.Limit.S)
		}
		out.Limit = n
	}
	switch out.Policy {
	case "":
		out.Policy = dag.RetryOnFailure
	case dag.RetryOnFailure, dag.RetryAlways, dag.RetryOnError, dag.RetryOnTransientError:
	default:
		err := r.errorf(s.RetryPolicy.Pos, "%s: retryStrategy: unknown retryPolicy %q", who, s.RetryPolicy.S)
		return nil, near(err, s.RetryPolicy.S, []string{"Always", "OnFailure", "OnError", "OnTransientError"})
	}
	if s.Backoff == nil {
		return out, nil
	}
	return out, r.backoff(who, s.Backoff, out)
}

func (r *reader) backoff(who string, b *backoff, out *dag.Retry) error {
	for _, d := range []struct {
		name string
		text text
		into *time.Duration
	}{
		{"duration", b.Duration, &out.Backoff},
		{"maxDuration", b.MaxDuration, &out.MaxDuration},
		{"cap", b.Cap, &out.MaxBackoff},
	} {
		if !d.text.Set {
			continue
		}
		x, ok := duration(d.text.S)
		if !ok {
			return r.errorf(d.text.Pos, "%s: retryStrategy: backoff.%s must be a duration like 10, 30s or 5m, not %q", who, d.name, d.text.S)
		}
		*d.into = x
	}
	if !b.Factor.Set {
		return nil
	}
	factor, err := strconv.ParseFloat(b.Factor.S, 64)
	if err != nil || !(factor > 0) || math.IsInf(factor, 0) {
		return r.errorf(b.Factor.Pos, "%s: retryStrategy: backoff.factor must be a number above 0, not %q", who, b.Factor.S)
	}
	out.Factor = factor
	return nil
}

// duration reads Argo's durations: Go's, or a number of seconds.
func duration(s string) (time.Duration, bool) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return time.Duration(n) * time.Second, n >= 0 && n <= math.MaxInt64/int64(time.Second)
	}
	d, err := time.ParseDuration(s)
	return d, err == nil && d >= 0
}

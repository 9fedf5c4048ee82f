package kfp

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/runner"
)

// kubernetesOnly are fields that steer where and how Kubernetes runs a pod, not
// what its containers see.
var kubernetesOnly = map[string]bool{
	"nodeSelector": true, "podMetadata": true, "imagePullSecret": true, "tolerations": true,
	"nodeAffinity": true, "podAffinity": true,
}

// kubernetesApplied are fields that the translation takes over.
var kubernetesApplied = map[string]bool{
	"imagePullPolicy": true, "activeDeadlineSeconds": true, "securityContext": true,
}

// checkPlatform reads what concerns the whole pipeline, and checks names.
func (t *translator) checkPlatform() error {
	if t.platform == nil {
		return nil
	}
	for i := range t.platform.Platforms.Items {
		e := &t.platform.Platforms.Items[i]
		if e.Name != "kubernetes" {
			t.unused["platform "+e.Name] = true
			continue
		}
		for _, x := range e.Value.DeploymentSpec.Executors.Items {
			if t.spec.DeploymentSpec.Executors.get(x.Name) == nil {
				return t.unknown(text{x.Name, x.Pos}, "executor", "platform kubernetes", t.spec.DeploymentSpec.Executors.names())
			}
		}
		c := &e.Value.PipelineConfig
		if c.Workspace != nil {
			t.refuse(workspace, "the pipeline", c.At["workspace"])
		}
		if c.ActiveDeadlineSeconds != 0 {
			t.refuseAs(string(kubernetes)+" activeDeadlineSeconds", "the pipeline", c.At["activeDeadlineSeconds"])
		}
		if c.ResourceTTLOnCompletion != 0 || c.ResourceTTLOnSuccess != 0 || c.ResourceTTLOnFailure != 0 {
			t.unused["resourceTtl"] = true
		}
	}
	return nil
}

// applyPlatform brings what the platform document says of an executor to its pod.
func (t *translator) applyPlatform(label string, pod *dag.Pod) error {
	if t.platform == nil {
		return nil
	}
	p := t.platform.Platforms.get("kubernetes")
	if p == nil {
		return nil
	}
	e := p.Value.DeploymentSpec.Executors.get(label)
	if e == nil {
		return nil
	}
	x, about := &e.Value, fmt.Sprintf("executor %q", label)
	c := &pod.Containers[0]
	for _, field := range slices.Sorted(maps.Keys(x.At)) {
		switch {
		case kubernetesApplied[field]:
		case kubernetesOnly[field]:
			t.unused[field] = true
		default:
			t.refuseAs(string(kubernetes)+" "+field, about, x.At[field])
		}
	}
	switch policy := runner.PullPolicy(x.ImagePullPolicy.Value); policy {
	case "", runner.PullAlways, runner.PullMissing, runner.PullNever:
		c.PullPolicy = policy
	default:
		return t.unknown(x.ImagePullPolicy, "imagePullPolicy", about, []string{"Always", "IfNotPresent", "Never"})
	}
	if x.ActiveDeadlineSeconds < 0 || x.ActiveDeadlineSeconds > int64(maxDeadline/time.Second) {
		return t.errorf(x.At["activeDeadlineSeconds"], "%s: activeDeadlineSeconds %d is out of range", about, x.ActiveDeadlineSeconds)
	}
	pod.Timeout = time.Duration(x.ActiveDeadlineSeconds) * time.Second
	if s := x.SecurityContext; s != nil {
		c.User = user(s)
		if s.RunAsNonRoot {
			t.unused["securityContext.runAsNonRoot"] = true
		}
	}
	return nil
}

// maxDeadline is the longest deadline taken; longer ones overflow.
const maxDeadline = 100 * 365 * 24 * time.Hour

// user writes uid:gid as container engines take it.
func user(s *securityContext) string {
	out := ""
	if s.RunAsUser != nil {
		out = strconv.FormatInt(*s.RunAsUser, 10)
	}
	if s.RunAsGroup != nil {
		if out == "" {
			out = "0"
		}
		out += ":" + strconv.FormatInt(*s.RunAsGroup, 10)
	}
	return out
}

package kfp

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/dag/source"
	"github.com/wherry-ml/wherry/runner"
)

// kubernetesOnly are fields that steer where and how Kubernetes runs a pod, not
// what its containers see.
var kubernetesOnly = map[string]string{
	"nodeSelector": "nodeSelector", "tolerations": "tolerations", "nodeAffinity": "nodeAffinity", "podAffinity": "podAffinity",
	"podMetadata":     "podMetadata (but for field paths)",
	"imagePullSecret": "imagePullSecret (images are pulled with the credentials of docker login)",
}

// unusedSizes names the sizes of volumes that are not kept in memory.
const unusedSizes = "sizes and storage classes of volumes (a volume may fill the disk)"

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
			t.out.Workspace = true
			t.unused[unusedSizes] = true
		}
		var err error
		if t.out.Deadline, err = t.deadline(c.ActiveDeadlineSeconds, "the pipeline", c.At["activeDeadlineSeconds"]); err != nil {
			return err
		}
		if c.ResourceTTLOnCompletion != 0 || c.ResourceTTLOnSuccess != 0 || c.ResourceTTLOnFailure != 0 {
			t.unused["resourceTtl"] = true
		}
	}
	return nil
}

// maxDeadline is the longest deadline taken; longer ones overflow.
const maxDeadline = 100 * 365 * 24 * time.Hour

func (t *translator) deadline(seconds int64, about string, pos source.Pos) (time.Duration, error) {
	if seconds < 0 || seconds > int64(maxDeadline/time.Second) {
		return 0, t.errorf(pos, "%s: activeDeadlineSeconds %d is out of range", about, seconds)
	}
	return time.Duration(seconds) * time.Second, nil
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
	for _, field := range slices.Sorted(maps.Keys(e.Value.At)) {
		if name := kubernetesOnly[field]; name != "" {
			t.unused[name] = true
		}
	}
	k := &platformTranslator{translator: t, about: fmt.Sprintf("executor %q", label), x: &e.Value, pod: pod, volumes: map[string]string{}}
	for _, step := range []func() error{k.pull, k.limits, k.metadata, k.inputs, k.claims, k.scratch, k.initContainers} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// platformTranslator carries the translation of what one executor asks of
// Kubernetes.
type platformTranslator struct {
	*translator
	about   string // "executor \"exec-train\""
	x       *kubernetesConfig
	pod     *dag.Pod
	volumes map[string]string // names in pod.Volumes, by the names that init containers call them
}

// main is the executor's own container.
func (t *platformTranslator) main() *dag.Container { return &t.pod.Containers[0] }

func (t *platformTranslator) pull() error {
	switch policy := runner.PullPolicy(t.x.ImagePullPolicy.Value); policy {
	case "", runner.PullAlways, runner.PullMissing, runner.PullNever:
		t.main().PullPolicy = policy
		return nil
	}
	return t.unknown(t.x.ImagePullPolicy, "imagePullPolicy", t.about, []string{"Always", "IfNotPresent", "Never"})
}

func (t *platformTranslator) limits() error {
	var err error
	t.pod.Timeout, err = t.deadline(t.x.ActiveDeadlineSeconds, t.about, t.x.At["activeDeadlineSeconds"])
	if s := t.x.SecurityContext; s != nil {
		t.main().User = user(s)
		if s.RunAsNonRoot {
			t.unused["securityContext.runAsNonRoot"] = true
		}
	}
	return err
}

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

// metadata keeps labels and annotations for the field paths that ask for them.
func (t *platformTranslator) metadata() error {
	if m := t.x.PodMetadata; m != nil {
		t.pod.Metadata = &dag.Metadata{Labels: texts(m.Labels), Annotations: texts(m.Annotations)}
	}
	addresses := map[string]bool{"status.podIP": true, "status.podIPs": true, "status.hostIP": true, "status.hostIPs": true}
	for _, f := range t.x.FieldPathAsEnv {
		pos := t.x.At["fieldPathAsEnv"]
		if !dag.GoodField(f.FieldPath) {
			return t.errorf(pos, "%s: fieldPathAsEnv: a pod has no field %q", t.about, f.FieldPath).
				WithMend("metadata.name, metadata.labels['x'], metadata.annotations['x'], spec.nodeName, status.podIP, …")
		}
		if addresses[f.FieldPath] {
			t.unused[f.FieldPath+" (it is 127.0.0.1)"] = true
		}
		if err := t.env(f.Name, &dag.EnvFrom{Field: f.FieldPath, Pos: pos}); err != nil {
			return err
		}
	}
	return nil
}

func texts(d dict[string]) map[string]string {
	out := map[string]string{}
	for _, e := range d.Items {
		out[e.Name] = e.Value
	}
	return out
}

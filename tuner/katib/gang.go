package katib

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/dag/podspec"
	"github.com/wherry-ml/wherry/dag/source"
	"github.com/wherry-ml/wherry/runner"
)

// maxReplicas bounds the containers of one trial.
const maxReplicas = 64

// replica is one member of a gang.
type replica struct {
	kind  string // "Master"
	index int    // of its kind
	c     *dag.Container
}

// gang reads a job of the Training Operator (v1): its replicas become containers of one
// pod, all or none, with the variables that the operator sets (kubeflow/training-operator,
// pkg/controller.v1: pytorch/envvar.go, tensorflow/tensorflow.go, xgboost/xgboost.go).
// They share a network, so that their addresses are ports of localhost.
func (r *templateReader) gang(kind string, n *yaml.Node) error {
	specs := child(n, "spec", map[string]string{"PyTorchJob": "pytorchReplicaSpecs", "TFJob": "tfReplicaSpecs", "XGBoostJob": "xgbReplicaSpecs"}[kind])
	if specs == nil || specs.Kind != yaml.MappingNode {
		return r.f.Errorf(source.PosOf(n), "the %s has no replica specs", kind)
	}
	known := map[string][]string{
		"PyTorchJob": {"Master", "Worker"}, "TFJob": {"Chief", "Master", "PS", "Worker", "Evaluator"}, "XGBoostJob": {"Master", "Worker"},
	}[kind]
	var all []replica
	for _, name := range known { // in their order: rank 0 is the master's
		spec := child(specs, name)
		if spec == nil {
			continue
		}
		list, err := r.replicas(name, spec)
		if err != nil {
			return err
		}
		all = append(all, list...)
	}
	for i := 0; i+1 < len(specs.Content); i += 2 {
		if !slices.Contains(known, specs.Content[i].Value) {
			return r.f.Errorf(source.PosOf(specs.Content[i]), "a %s has no replicas of kind %q", kind, specs.Content[i].Value).WithMend("known: %s", strings.Join(known, ", "))
		}
	}
	if len(all) == 0 {
		return r.f.Errorf(source.PosOf(specs), "the %s has no replicas", kind)
	}
	for i := range all {
		env, err := operatorEnv(kind, all, i)
		if err != nil {
			return err
		}
		all[i].c.Env = append(env, all[i].c.Env...)
		r.pod.Containers = append(r.pod.Containers, *all[i].c)
	}
	r.pod.FailFast = true // the others would wait for it
	r.container = r.primaryReplica(all)
	return nil
}

// replicas reads one replica spec.
func (r *templateReader) replicas(kind string, n *yaml.Node) ([]replica, error) {
	count := 1
	if c := child(n, "replicas"); c != nil {
		v, err := strconv.Atoi(c.Value)
		if err != nil || v < 0 || v > maxReplicas {
			return nil, r.f.Errorf(source.PosOf(c), "replicas must be a whole number up to %d, not %q", maxReplicas, c.Value)
		}
		count = v
	}
	template := child(n, "template")
	if template == nil {
		return nil, r.f.Errorf(source.PosOf(n), "%s has no template", kind)
	}
	var out []replica
	for i := range count {
		res, err := podspec.Read(r.f, template, podspec.Options{Text: r.text})
		if err != nil {
			return nil, err
		}
		mains := 0
		for _, c := range res.Pod.Containers {
			c := c
			if c.Role != runner.Main {
				return nil, r.f.Errorf(c.Pos, "%s: init containers of a training job are not supported yet", kind)
			}
			if mains++; mains > 1 {
				return nil, r.f.Errorf(c.Pos, "%s: a replica of one container is supported, this has a second", kind)
			}
			c.Name = replicaName(kind, i)
			if kind == "PS" || kind == "Evaluator" {
				c.Role = runner.Sidecar // these serve until the others have ended
			}
			out = append(out, replica{kind: kind, index: i, c: &c})
		}
		for _, v := range res.Pod.Volumes {
			if !slices.ContainsFunc(r.pod.Volumes, func(w dag.Volume) bool { return w.Name == v.Name }) {
				r.pod.Volumes = append(r.pod.Volumes, v)
			}
		}
		r.ignored = append(r.ignored, res.Ignored...)
		r.e.Trial.Grace = max(r.e.Trial.Grace, res.Grace)
	}
	slices.Sort(r.ignored)
	r.ignored = slices.Compact(r.ignored)
	return out, nil
}

// primaryReplica is the container whose metrics count: that of the replica type which
// primaryPodLabels name, else the first that trains.
func (r *templateReader) primaryReplica(all []replica) string {
	for label, v := range r.tt.PrimaryPodLabels {
		if !strings.HasSuffix(label, "replica-type") {
			continue
		}
		for _, x := range all {
			if strings.EqualFold(x.kind, v.S) {
				return x.c.Name
			}
		}
	}
	for _, x := range all {
		if x.c.Role == runner.Main { // the operator takes it for the master: the chief's, else the first worker
			return x.c.Name
		}
	}
	return all[0].c.Name
}

// Ports of a gang on its own localhost.
const (
	masterPort = 23456 // the operator's
	tfPort     = 2222  // of the first replica; the next ones follow
	xgbPort    = 9999
)

// operatorEnv are the variables of one replica.
func operatorEnv(kind string, all []replica, i int) ([]dag.EnvVar, error) {
	var out []dag.EnvVar
	set := func(name string, value any) {
		out = append(out, dag.EnvVar{Name: name, Value: dag.Literal(fmt.Sprint(value))})
	}
	set("PYTHONUNBUFFERED", 1)
	switch kind {
	case "PyTorchJob":
		set("MASTER_ADDR", "localhost")
		set("MASTER_PORT", masterPort)
		set("WORLD_SIZE", len(all))
		set("RANK", i)
		set("PET_MASTER_ADDR", "localhost")
		set("PET_MASTER_PORT", masterPort)
		set("PET_NNODES", len(all))
		set("PET_NODE_RANK", i)
		set("PET_NPROC_PER_NODE", "auto")
	case "XGBoostJob":
		set("MASTER_ADDR", "localhost")
		set("MASTER_PORT", xgbPort)
		set("WORLD_SIZE", len(all))
		set("RANK", i)
		set("WORKER_PORT", xgbPort+1)
		var workers []string
		for _, x := range all {
			if x.kind == "Worker" {
				workers = append(workers, "localhost")
			}
		}
		set("WORKER_ADDRS", strings.Join(workers, ","))
	case "TFJob":
		if len(all) == 1 {
			return out, nil // the operator sets none for a job of one
		}
		cluster := map[string][]string{}
		for j, x := range all {
			if x.kind != "Evaluator" { // is no part of the cluster
				name := strings.ToLower(x.kind)
				cluster[name] = append(cluster[name], fmt.Sprintf("localhost:%d", tfPort+j))
			}
		}
		text, err := json.Marshal(map[string]any{
			"cluster": cluster, "task": map[string]any{"type": strings.ToLower(all[i].kind), "index": all[i].index}, "environment": "cloud",
		})
		if err != nil {
			return nil, err
		}
		set("TF_CONFIG", string(text))
	}
	return out, nil
}

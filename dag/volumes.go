package dag

import "github.com/wherry-ml/wherry/dag/source"

// Volume is a directory that containers of a pod mount.
type Volume struct {
	Name     string     `json:"name"` // unique in the pod
	Kind     VolumeKind `json:"kind"`
	From     *Source    `json:"from,omitempty"`     // name of the secret, config map or claim, as a task of the graph sees it
	Optional bool       `json:"optional,omitempty"` // it is left out where the secret or config map was not given
	Memory   bool       `json:"memory,omitempty"`   // with VolumeEmpty: kept in memory
	Size     int64      `json:"size,omitempty"`     // with Memory: bytes at most; 0: half of the machine's
	Pos      source.Pos `json:"pos"`
}

// VolumeKind is what a volume holds.
type VolumeKind string

// The kinds of volumes.
const (
	VolumeSecret    VolumeKind = "secret"
	VolumeConfigMap VolumeKind = "config map"
	VolumeClaim     VolumeKind = "claim" // outlives the run
	VolumeEmpty     VolumeKind = "empty" // new, gone with the pod
)

// VolumeMount places a volume of the pod in a container.
type VolumeMount struct {
	Volume   string `json:"volume"`
	Path     string `json:"path"` // absolute
	SubPath  string `json:"subPath,omitempty"`
	ReadOnly bool   `json:"readOnly,omitempty"`
}

// EnvFrom is where the value of a variable comes from: a key of a secret or config
// map, or a field of the pod.
type EnvFrom struct {
	Kind     VolumeKind `json:"kind,omitempty"` // VolumeSecret or VolumeConfigMap; empty: Field
	Name     *Source    `json:"name,omitempty"` // as Volume.From
	Key      string     `json:"key,omitempty"`
	Optional bool       `json:"optional,omitempty"` // without the key the variable is left out
	Field    string     `json:"field,omitempty"`    // as in Kubernetes: metadata.name, metadata.labels['x'], …
	Pos      source.Pos `json:"pos"`
}

// Metadata are a pod's labels and annotations in Kubernetes. Here only field paths
// see them.
type Metadata struct {
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// Claim makes or deletes the volume of a claim. Its component has the inputs of
// KFP's CreatePVC (pvc_name or pvc_name_suffix) or DeletePVC (pvc_name).
type Claim struct {
	Delete bool `json:"delete,omitempty"`
}

// DefaultWorkspace is where the run's workspace lies in a container, as on a cluster.
const DefaultWorkspace = "/kfp-workspace"

// workspaceMark is the metadata of an artifact that a container sees in the
// workspace. KFP's own code in the container looks for it.
const workspaceMark = "_kfp_workspace"

package argo

import (
	"errors"
	"fmt"

	"go.yaml.in/yaml/v3"

	"github.com/wherry-ml/wherry/dag/source"
)

// The structs below are the part of Argo's format that is understood. Each type
// with names in the table later is read through strict, which refuses those.

type document struct {
	APIVersion text     `yaml:"apiVersion"`
	Kind       text     `yaml:"kind"`
	Metadata   metadata `yaml:"metadata"`
	Spec       *spec    `yaml:"spec"`
	Status     any      `yaml:"status"` // what a cluster adds
}

// metadata of a Kubernetes object. Only the names matter here; the rest is what
// `kubectl get -o yaml` writes.
type metadata struct {
	Name              text `yaml:"name"`
	GenerateName      text `yaml:"generateName"`
	Namespace         any  `yaml:"namespace"`
	Labels            any  `yaml:"labels"`
	Annotations       any  `yaml:"annotations"`
	CreationTimestamp any  `yaml:"creationTimestamp"`
	Generation        any  `yaml:"generation"`
	ResourceVersion   any  `yaml:"resourceVersion"`
	UID               any  `yaml:"uid"`
	OwnerReferences   any  `yaml:"ownerReferences"`
	ManagedFields     any  `yaml:"managedFields"`
	Finalizers        any  `yaml:"finalizers"`
}

type spec struct {
	Description  text          `yaml:"description"`
	PipelineSpec *pipelineSpec `yaml:"pipelineSpec"`
	WorkflowSpec *workflowSpec `yaml:"workflowSpec"`
	Pos          source.Pos    `yaml:",pos"`
}

type pipelineSpec struct {
	PipelineInfo pipelineInfo  `yaml:"pipelineInfo"`
	WorkflowSpec *workflowSpec `yaml:"workflowSpec"`
}

type pipelineInfo struct {
	Name        text `yaml:"name"`
	DisplayName any  `yaml:"displayName"`
	Description text `yaml:"description"`
}

type workflowSpec struct {
	Entrypoint text        `yaml:"entrypoint"`
	Arguments  arguments   `yaml:"arguments"`
	Templates  []*template `yaml:"templates"`
	Pos        source.Pos  `yaml:",pos"`
}

type template struct {
	Name                  text           `yaml:"name"`
	Metadata              any            `yaml:"metadata"`
	Inputs                inputs         `yaml:"inputs"`
	Outputs               outputs        `yaml:"outputs"`
	Container             *container     `yaml:"container"`
	DAG                   *dagTemplate   `yaml:"dag"`
	ActiveDeadlineSeconds text           `yaml:"activeDeadlineSeconds"`
	RetryStrategy         *retryStrategy `yaml:"retryStrategy"`
	Pos                   source.Pos     `yaml:",pos"`
}

type inputs struct {
	Parameters []parameter `yaml:"parameters"`
}

type outputs struct {
	Parameters []parameter `yaml:"parameters"`
}

type arguments struct {
	Parameters []parameter `yaml:"parameters"`
}

// parameter is Argo's parameter in all its places: an input, an output, an
// argument. What is wrong in which place is checked where it is used.
type parameter struct {
	Name        text       `yaml:"name"`
	Value       text       `yaml:"value"`
	Default     text       `yaml:"default"`
	ValueFrom   *valueFrom `yaml:"valueFrom"`
	Enum        []text     `yaml:"enum"`
	Description text       `yaml:"description"`
	Pos         source.Pos `yaml:",pos"`
}

type valueFrom struct {
	Path      text       `yaml:"path"`
	Parameter text       `yaml:"parameter"`
	Default   text       `yaml:"default"`
	Pos       source.Pos `yaml:",pos"`
}

type dagTemplate struct {
	Tasks    []*task    `yaml:"tasks"`
	FailFast *bool      `yaml:"failFast"`
	Pos      source.Pos `yaml:",pos"`
}

type task struct {
	Name          text           `yaml:"name"`
	Template      text           `yaml:"template"`
	Dependencies  []text         `yaml:"dependencies"`
	Arguments     arguments      `yaml:"arguments"`
	RetryStrategy *retryStrategy `yaml:"retryStrategy"` // not in Argo; the article has it here
	Pos           source.Pos     `yaml:",pos"`
}

type container struct {
	Name            text       `yaml:"name"`
	Image           text       `yaml:"image"`
	Command         []text     `yaml:"command"`
	Args            []text     `yaml:"args"`
	Env             []envVar   `yaml:"env"`
	WorkingDir      text       `yaml:"workingDir"`
	ImagePullPolicy text       `yaml:"imagePullPolicy"`
	Resources       resources  `yaml:"resources"`
	TimeoutSeconds  text       `yaml:"timeoutSeconds"` // not in Argo; the article has it here
	Pos             source.Pos `yaml:",pos"`
}

type envVar struct {
	Name  text       `yaml:"name"`
	Value text       `yaml:"value"`
	Pos   source.Pos `yaml:",pos"`
}

type resources struct {
	Requests map[string]text `yaml:"requests"`
	Limits   map[string]text `yaml:"limits"`
}

type retryStrategy struct {
	Limit       text       `yaml:"limit"`
	RetryPolicy text       `yaml:"retryPolicy"`
	Backoff     *backoff   `yaml:"backoff"`
	Pos         source.Pos `yaml:",pos"`
}

type backoff struct {
	Duration    text `yaml:"duration"`
	Factor      text `yaml:"factor"`
	MaxDuration text `yaml:"maxDuration"`
	Cap         text `yaml:"cap"`
}

// text is a value as it is written.
type text = source.Text

func (w *workflowSpec) UnmarshalSource(d *source.Decoder, n *yaml.Node) error {
	type plain workflowSpec
	return strict(d, n, "workflowSpec", "", (*plain)(w))
}

func (t *template) UnmarshalSource(d *source.Decoder, n *yaml.Node) error {
	type plain template
	return strict(d, n, "template", "name", (*plain)(t))
}

func (i *inputs) UnmarshalSource(d *source.Decoder, n *yaml.Node) error {
	type plain inputs
	return strict(d, n, "inputs", "", (*plain)(i))
}

func (o *outputs) UnmarshalSource(d *source.Decoder, n *yaml.Node) error {
	type plain outputs
	return strict(d, n, "outputs", "", (*plain)(o))
}

func (a *arguments) UnmarshalSource(d *source.Decoder, n *yaml.Node) error {
	type plain arguments
	return strict(d, n, "arguments", "", (*plain)(a))
}

func (p *parameter) UnmarshalSource(d *source.Decoder, n *yaml.Node) error {
	type plain parameter
	return strict(d, n, "parameter", "name", (*plain)(p))
}

func (v *valueFrom) UnmarshalSource(d *source.Decoder, n *yaml.Node) error {
	type plain valueFrom
	return strict(d, n, "valueFrom", "", (*plain)(v))
}

func (g *dagTemplate) UnmarshalSource(d *source.Decoder, n *yaml.Node) error {
	type plain dagTemplate
	return strict(d, n, "dag", "", (*plain)(g))
}

func (t *task) UnmarshalSource(d *source.Decoder, n *yaml.Node) error {
	type plain task
	return strict(d, n, "task", "name", (*plain)(t))
}

func (c *container) UnmarshalSource(d *source.Decoder, n *yaml.Node) error {
	type plain container
	return strict(d, n, "container", "", (*plain)(c))
}

func (e *envVar) UnmarshalSource(d *source.Decoder, n *yaml.Node) error {
	type plain envVar
	return strict(d, n, "env", "name", (*plain)(e))
}

func (r *resources) UnmarshalSource(d *source.Decoder, n *yaml.Node) error {
	type plain resources
	return strict(d, n, "resources", "", (*plain)(r))
}

func (r *retryStrategy) UnmarshalSource(d *source.Decoder, n *yaml.Node) error {
	type plain retryStrategy
	return strict(d, n, "retryStrategy", "", (*plain)(r))
}

// strict decodes n into what into points to, a type without methods, after it
// has refused what comes later. Errors name the object: its kind, and its name
// where the field nameKey holds one.
func strict(d *source.Decoder, n *yaml.Node, kind, nameKey string, into any) error {
	n, err := refuse(d, n, kind)
	if err == nil {
		err = d.Decode(n, into)
	}
	if e, ok := errors.AsType[*source.Error](err); ok && nameKey != "" {
		if name := field(n, nameKey); name != "" {
			e.Msg = fmt.Sprintf("%s %q: %s", kind, name, e.Msg)
		}
	}
	return err
}

// field returns the text of a mapping's field, or "".
func field(n *yaml.Node, key string) string {
	if n.Kind != yaml.MappingNode {
		return ""
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if v := n.Content[i+1]; n.Content[i].Value == key && v.Kind == yaml.ScalarNode {
			return v.Value
		}
	}
	return ""
}

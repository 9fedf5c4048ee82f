package dag

import (
	"time"

	"github.com/wherry-ml/wherry/dag/source"
	"github.com/wherry-ml/wherry/runner"
)

// Pipeline is a pipeline of any format. It is plain data: it is stored with the
// run as JSON, so that a run can go on after its file has changed.
type Pipeline struct {
	Name        string                `json:"name"`
	DisplayName string                `json:"displayName,omitempty"`
	Description string                `json:"description,omitempty"`
	Format      Format                `json:"format"`
	File        string                `json:"file,omitempty"`      // as the person named it
	Components  map[string]*Component `json:"components"`          // by name; they may refer to each other, also in a circle
	Root        string                `json:"root"`                // name of the component that a run executes
	Deadline    time.Duration         `json:"deadline,omitempty"`  // of the whole run, in nanoseconds; 0: none
	Workspace   bool                  `json:"workspace,omitempty"` // tasks may share a directory of the run
	Notes       []string              `json:"notes,omitempty"`
	// Given are the root's input artifacts that the person named, with the task that
	// imports each; see GiveArtifacts.
	Given map[string]string `json:"given,omitempty"`
	// Unsupported is what the file asks for and no backend of this version can
	// run yet. Such a pipeline is refused before anything starts.
	Unsupported []Unsupported `json:"unsupported,omitempty"`
}

// Format names a pipeline format.
type Format string

// The formats.
const (
	FormatIR       Format = "ir"       // KFP v2 PipelineSpec
	FormatPipeline Format = "pipeline" // kind: Pipeline with a workflowSpec
)

// Unsupported is one construct that is read but can't be run.
type Unsupported struct {
	What string     `json:"what"`           // "parameterIterator (a loop) of task \"train\""
	Mend string     `json:"mend,omitempty"` // what to do instead, where no version will run it
	Pos  source.Pos `json:"pos"`
}

// Component is something that a task runs. Exactly one of Graph, Pod, Importer,
// Claim and Tune is set.
type Component struct {
	Name     string     `json:"name"`
	Inputs   Inputs     `json:"inputs"`
	Outputs  Outputs    `json:"outputs"`
	Graph    *Graph     `json:"graph,omitempty"`
	Pod      *Pod       `json:"pod,omitempty"`
	Importer *Importer  `json:"importer,omitempty"`
	Claim    *Claim     `json:"claim,omitempty"`
	Tune     *Tune      `json:"tune,omitempty"`
	Pos      source.Pos `json:"pos"`
}

// Inputs are a component's inputs, by name.
type Inputs struct {
	Parameters map[string]*Parameter    `json:"parameters,omitempty"`
	Artifacts  map[string]*ArtifactPort `json:"artifacts,omitempty"`
}

// Outputs are a component's outputs, by name.
type Outputs struct {
	Parameters map[string]*OutputParameter `json:"parameters,omitempty"`
	Artifacts  map[string]*OutputArtifact  `json:"artifacts,omitempty"`
}

// Type is a parameter's type, by KFP's names.
type Type string

// The types. TypeAny takes any value as it is (Argo's parameters are text, but
// its callers write numbers).
const (
	TypeAny        Type = ""
	TypeString     Type = "STRING"
	TypeInteger    Type = "NUMBER_INTEGER"
	TypeDouble     Type = "NUMBER_DOUBLE"
	TypeBoolean    Type = "BOOLEAN"
	TypeList       Type = "LIST"
	TypeStruct     Type = "STRUCT"
	TypeFinal      Type = "TASK_FINAL_STATUS"
	TypeTaskConfig Type = "TASK_CONFIG"
)

// Parameter is an input parameter. A value is nil, bool, int64, float64, string,
// []any or map[string]any throughout this package.
type Parameter struct {
	Type        Type       `json:"type,omitempty"`
	Description string     `json:"description,omitempty"`
	HasDefault  bool       `json:"hasDefault,omitempty"`
	Default     any        `json:"default,omitempty"`
	Optional    bool       `json:"optional,omitempty"`
	Literals    []any      `json:"literals,omitempty"` // the only values allowed; empty: all
	Pos         source.Pos `json:"pos"`
}

// ArtifactPort is an input artifact.
type ArtifactPort struct {
	Type        ArtifactType `json:"type"`
	List        bool         `json:"list,omitempty"`
	Optional    bool         `json:"optional,omitempty"`
	Description string       `json:"description,omitempty"`
}

// ArtifactType is MLMD's schema of an artifact.
type ArtifactType struct {
	Title    string `json:"title,omitempty"` // "system.Model"
	Instance string `json:"instance,omitempty"`
	Version  string `json:"version,omitempty"`
}

// OutputParameter is an output parameter of a component. The value of a pod's
// output is the first of From that is there; of a graph's, see Select.
type OutputParameter struct {
	Type        Type       `json:"type,omitempty"`
	Description string     `json:"description,omitempty"`
	From        []Origin   `json:"from,omitempty"`   // of a pod; empty: <outputs directory>/parameter-<name>
	Select      []*Source  `json:"select,omitempty"` // of a graph: the first whose task succeeded (more than one: OneOf)
	Pos         source.Pos `json:"pos"`
}

// Origin is where a pod's output parameter may come from. Exactly one is set.
type Origin struct {
	Path string `json:"path,omitempty"` // file in the container, absolute or relative to the outputs directory
	Text Text   `json:"text,omitempty"` // a text known before the start
}

// OutputArtifact is an output artifact of a component.
type OutputArtifact struct {
	Type        ArtifactType   `json:"type"`
	Description string         `json:"description,omitempty"`
	Metadata    map[string]any `json:"metadata,omitempty"`
	List        bool           `json:"list,omitempty"`
	Path        string         `json:"path,omitempty"`      // of a pod, in the container; empty: <outputs directory>/<name>
	Container   string         `json:"container,omitempty"` // of the pod in whose file system Path lies; empty: the first main one
	Select      []*Source      `json:"select,omitempty"`    // of a graph
	Pos         source.Pos     `json:"pos"`
}

// Graph is a component made of tasks.
type Graph struct {
	Tasks map[string]*Task `json:"tasks"`
	// FailFast stops starting tasks of this graph once one has failed. When it
	// is false, independent branches go on.
	FailFast bool `json:"failFast,omitempty"`
}

// Task is one use of a component in a graph.
type Task struct {
	Name        string             `json:"name"`
	DisplayName string             `json:"displayName,omitempty"`
	Component   string             `json:"component"`
	Parameters  map[string]*Source `json:"parameters,omitempty"` // by the component's input
	Artifacts   map[string]*Source `json:"artifacts,omitempty"`
	Needs       []Edge             `json:"needs,omitempty"`
	When        *Expression        `json:"when,omitempty"` // false: the task is SKIPPED
	Iterate     *Iterator          `json:"iterate,omitempty"`
	Retry       *Retry             `json:"retry,omitempty"`
	Timeout     time.Duration      `json:"timeout,omitempty"` // of each attempt, in nanoseconds; 0: none
	Cache       bool               `json:"cache,omitempty"`
	CacheKey    string             `json:"cacheKey,omitempty"` // the format's own key, added to ours
	Pos         source.Pos         `json:"pos"`
}

// Edge is a dependency: a producer and a predicate over its state.
type Edge struct {
	Task string    `json:"task"`
	On   Predicate `json:"on,omitempty"`
}

// Predicate says which end of the producer satisfies an edge. When it can't be
// satisfied any more the dependant is SKIPPED.
type Predicate string

// The predicates.
const (
	OnSuccess Predicate = ""          // SUCCEEDED
	OnEnd     Predicate = "end"       // any end: exit handlers, ignored upstream failure
	OnDone    Predicate = "succeeded" // SUCCEEDED or SKIPPED
	OnFailure Predicate = "failure"   // FAILED
)

// Source says where a task's input comes from. Exactly one field is set, apart from
// Output, Keys and Select.
type Source struct {
	Constant *Constant `json:"constant,omitempty"`
	Input    string    `json:"input,omitempty"`  // the enclosing component's input
	Task     string    `json:"task,omitempty"`   // sibling task; with Output
	Output   string    `json:"output,omitempty"` // its output's name
	Status   string    `json:"status,omitempty"` // sibling task whose final status this is
	Item     bool      `json:"item,omitempty"`   // the iterator's item
	Run      string    `json:"run,omitempty"`    // what RefRun's Name of that name stands for; "workspace_path": RefWorkspace
	Concat   []*Source `json:"concat,omitempty"` // joined as text
	List     []*Source `json:"list,omitempty"`   // a list whose items need looking up
	// Fields are a struct's, where some need looking up. Keys are those of Fields
	// whose name does, and what it becomes.
	Fields map[string]*Source `json:"fields,omitempty"`
	Keys   map[string]*Source `json:"keys,omitempty"`
	Select *Expression        `json:"select,omitempty"` // applied to the value
	Pos    source.Pos         `json:"pos"`
}

// Constant is a value written in the file; a struct, so that null is one too.
type Constant struct {
	Value any `json:"value"`
}

// Expression is text in a language that a front end evaluates.
type Expression struct {
	Language string     `json:"language"` // cel, expr, argo, tekton
	Text     string     `json:"text"`
	Pos      source.Pos `json:"pos"`
}

// Iterator runs a task once for each item.
type Iterator struct {
	Items       *Source `json:"items"`
	Input       string  `json:"input"` // the component's input that receives the item
	Artifact    bool    `json:"artifact,omitempty"`
	Parallelism int     `json:"parallelism,omitempty"` // 0: no limit of its own
}

// Retry says when a failed attempt is followed by another.
type Retry struct {
	Limit       int           `json:"limit"`                 // retries after the first attempt; -1: no limit
	Policy      RetryPolicy   `json:"policy,omitempty"`      // empty: RetryOnFailure
	Backoff     time.Duration `json:"backoff,omitempty"`     // before the first retry
	Factor      float64       `json:"factor,omitempty"`      // of each further wait; 0: 1 where Backoff is set
	MaxBackoff  time.Duration `json:"maxBackoff,omitempty"`  // longest single wait; 0: none
	MaxDuration time.Duration `json:"maxDuration,omitempty"` // from the first start; no retry begins later; 0: none
}

// RetryPolicy is Argo's retryPolicy.
type RetryPolicy string

// The policies. A failure is an exit other than 0; an error is everything that
// kept the container from saying so itself (image, start, lost, evicted).
const (
	RetryOnFailure        RetryPolicy = "OnFailure"
	RetryAlways           RetryPolicy = "Always"
	RetryOnError          RetryPolicy = "OnError"
	RetryOnTransientError RetryPolicy = "OnTransientError"
)

// Pod is what a container component runs.
type Pod struct {
	Containers []Container `json:"containers"`
	// Directories are mounted in every container. Their content at the start is
	// that of the input artifacts named in From, and at the end it is the output
	// artifact Name.
	Directories []Directory `json:"directories,omitempty"`
	// Volumes are mounted where Container.Mounts says.
	Volumes  []Volume  `json:"volumes,omitempty"`
	Ports    []int     `json:"ports,omitempty"`    // TCP ports that somebody will connect to
	FailFast bool      `json:"failFast,omitempty"` // a main container that fails has the others stopped
	Metadata *Metadata `json:"metadata,omitempty"` // what the labels and annotations of field paths are
	// Executor is true where the KFP executor contract holds: outputs are also
	// read from the executor output file, which wins over single files.
	Executor bool `json:"executor,omitempty"`
	// TaskConfig is what inputs of TypeTaskConfig receive: the part of the
	// container's own configuration that it hands on. Its sources of kind Input
	// are the component's own.
	TaskConfig *Source       `json:"taskConfig,omitempty"`
	Timeout    time.Duration `json:"timeout,omitempty"` // of each attempt; a task's own wins
	Retry      *Retry        `json:"retry,omitempty"`   // a task's own wins
}

// Directory is a directory that tasks hand on to each other.
type Directory struct {
	Name string   `json:"name"`           // of the output artifact
	Path string   `json:"path"`           // in the container
	From []string `json:"from,omitempty"` // input artifacts, later ones over earlier ones
}

// Container is one container of a pod.
type Container struct {
	Name       string            `json:"name,omitempty"`
	Role       runner.Role       `json:"role,omitempty"`
	After      []string          `json:"after,omitempty"`
	Image      Text              `json:"image"`
	Command    []Arg             `json:"command,omitempty"`
	Args       []Arg             `json:"args,omitempty"`
	Env        []EnvVar          `json:"env,omitempty"`
	WorkDir    string            `json:"workDir,omitempty"`
	User       string            `json:"user,omitempty"`
	Mounts     []VolumeMount     `json:"mounts,omitempty"`
	Resources  Resources         `json:"resources"`
	PullPolicy runner.PullPolicy `json:"pullPolicy,omitempty"`
	Layer      *Layer            `json:"layer,omitempty"`
	Python     *Python           `json:"python,omitempty"`
	Pos        source.Pos        `json:"pos"`
}

// Layer is what a container's Command installs by pip before it does its work. It
// is put into an environment that is made once, where the rest of Command runs.
type Layer struct {
	Installs [][]string `json:"installs"`       // arguments of each "pip install"
	Venv     bool       `json:"venv,omitempty"` // into a virtual environment that sees the image's packages
	Words    int        `json:"words"`          // how many words of Command it makes needless, from the first on
}

// Python is how Command starts a Python component of the SDK, whose arguments can
// also come from a file.
type Python struct {
	Word   int    `json:"word"`             // of Command at which it begins
	Module string `json:"module"`           // that is run with the arguments
	Source bool   `json:"source,omitempty"` // the last word of Command is its source
}

// EnvVar is an environment variable: text with placeholders, or what From says.
type EnvVar struct {
	Name  string   `json:"name"`
	Value Text     `json:"value"`
	From  *EnvFrom `json:"from,omitempty"`
}

// Resources are Kubernetes quantities ("250m", "4Gi") with placeholders.
type Resources struct {
	CPURequest       Text `json:"cpuRequest,omitempty"`
	CPULimit         Text `json:"cpuLimit,omitempty"`
	MemoryRequest    Text `json:"memoryRequest,omitempty"`
	MemoryLimit      Text `json:"memoryLimit,omitempty"`
	AcceleratorType  Text `json:"acceleratorType,omitempty"`
	AcceleratorCount Text `json:"acceleratorCount,omitempty"`
}

// Importer makes an artifact of data that exists.
type Importer struct {
	URI      *Source      `json:"uri"` // Constant, or Input: a parameter of the importer's component
	Type     ArtifactType `json:"type"`
	Metadata *Source      `json:"metadataFrom,omitempty"` // a struct; Input as in URI
	Reimport bool         `json:"reimport,omitempty"`
	// Workspace is true where those that take the artifact see it in the workspace.
	Workspace bool `json:"workspace,omitempty"`
}

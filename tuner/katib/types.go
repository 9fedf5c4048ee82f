package katib

import (
	"go.yaml.in/yaml/v3"

	"github.com/wherry-ml/wherry/dag/source"
)

// document is an Experiment or a Suggestion.
type document struct {
	APIVersion text       `yaml:"apiVersion"`
	Kind       text       `yaml:"kind"`
	Metadata   metadata   `yaml:"metadata"`
	Spec       *spec      `yaml:"spec"`
	Status     any        `yaml:"status"`
	Pos        source.Pos `yaml:",pos"`
}

type metadata struct {
	Name              text `yaml:"name"`
	GenerateName      text `yaml:"generateName"`
	Namespace         text `yaml:"namespace"`
	Labels            any  `yaml:"labels"`
	Annotations       any  `yaml:"annotations"`
	CreationTimestamp any  `yaml:"creationTimestamp"`
	Generation        any  `yaml:"generation"`
	ResourceVersion   any  `yaml:"resourceVersion"`
	UID               any  `yaml:"uid"`
	Finalizers        any  `yaml:"finalizers"`
	ManagedFields     any  `yaml:"managedFields"`
}

type spec struct {
	Objective        *objective   `yaml:"objective"`
	Algorithm        *algorithm   `yaml:"algorithm"`
	EarlyStopping    *algorithm   `yaml:"earlyStopping"`
	Parameters       []*parameter `yaml:"parameters"`
	Parallel         text         `yaml:"parallelTrialCount"`
	MaxTrials        text         `yaml:"maxTrialCount"`
	MaxFailed        text         `yaml:"maxFailedTrialCount"`
	ResumePolicy     text         `yaml:"resumePolicy"`
	MetricsCollector *collector   `yaml:"metricsCollectorSpec"`
	TrialTemplate    *yaml.Node   `yaml:"trialTemplate"`
	NASConfig        *yaml.Node   `yaml:"nasConfig"`
	Pos              source.Pos   `yaml:",pos"`

	// Of a Suggestion, which has them here.
	AlgorithmName     text       `yaml:"algorithmName"`
	AlgorithmSettings []*setting `yaml:"algorithmSettings"`
}

type objective struct {
	Type       text        `yaml:"type"`
	Goal       text        `yaml:"goal"`
	Metric     text        `yaml:"objectiveMetricName"`
	Additional []text      `yaml:"additionalMetricNames"`
	Strategies []*strategy `yaml:"metricStrategies"`
	Pos        source.Pos  `yaml:",pos"`
}

type strategy struct {
	Name  text `yaml:"name"`
	Value text `yaml:"value"`
}

type algorithm struct {
	Name     text       `yaml:"algorithmName"`
	Settings []*setting `yaml:"algorithmSettings"`
	Pos      source.Pos `yaml:",pos"`
}

type setting struct {
	Name  text `yaml:"name"`
	Value text `yaml:"value"`
}

type parameter struct {
	Name  text       `yaml:"name"`
	Type  text       `yaml:"parameterType"`
	Space *feasible  `yaml:"feasibleSpace"`
	Pos   source.Pos `yaml:",pos"`
}

type feasible struct {
	Min          text   `yaml:"min"`
	Max          text   `yaml:"max"`
	Step         text   `yaml:"step"`
	List         []text `yaml:"list"`
	Distribution text   `yaml:"distribution"`
}

type collector struct {
	Source    *collectorSource `yaml:"source"`
	Collector *collectorKind   `yaml:"collector"`
	Pos       source.Pos       `yaml:",pos"`
}

type collectorKind struct {
	Kind            text       `yaml:"kind"`
	CustomCollector *yaml.Node `yaml:"customCollector"`
}

type collectorSource struct {
	FileSystemPath *filePath `yaml:"fileSystemPath"`
	HTTPGet        *httpGet  `yaml:"httpGet"`
	Filter         *filter   `yaml:"filter"`
}

type filePath struct {
	Path   text `yaml:"path"`
	Kind   text `yaml:"kind"`
	Format text `yaml:"format"`
}

type httpGet struct {
	Path        text `yaml:"path"`
	Port        text `yaml:"port"`
	Host        any  `yaml:"host"`
	Scheme      any  `yaml:"scheme"`
	HTTPHeaders any  `yaml:"httpHeaders"`
}

type filter struct {
	MetricsFormat []text `yaml:"metricsFormat"`
}

type trialTemplate struct {
	Retain           bool              `yaml:"retain"`
	TrialSpec        *yaml.Node        `yaml:"trialSpec"`
	ConfigMap        *configMapSource  `yaml:"configMap"`
	TrialParameters  []*trialParameter `yaml:"trialParameters"`
	PrimaryPodLabels map[string]text   `yaml:"primaryPodLabels"`
	PrimaryContainer text              `yaml:"primaryContainerName"`
	SuccessCondition text              `yaml:"successCondition"`
	FailureCondition text              `yaml:"failureCondition"`
	Checkpoint       text              `yaml:"checkpoint"` // not of Katib: the directory that a trial leaves to those that go on from it
	Pos              source.Pos        `yaml:",pos"`
}

type configMapSource struct {
	Name      text `yaml:"configMapName"`
	Namespace any  `yaml:"configMapNamespace"`
	Path      text `yaml:"templatePath"`
}

type trialParameter struct {
	Name        text       `yaml:"name"`
	Description any        `yaml:"description"`
	Reference   text       `yaml:"reference"`
	Pos         source.Pos `yaml:",pos"`
}

// text is a value as it is written.
type text = source.Text

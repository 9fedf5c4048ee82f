package kfp

import "github.com/wherry-ml/wherry/dag/source"

// The types here are messages of pipeline_spec.proto, by their JSON names. At
// is the place of a field's value, for fields that need one.

type places = map[string]source.Pos

// pipelineJob wraps a pipeline: PipelineJob of the older API, or the two fields
// in snake case as the backend's own API writes them.
type pipelineJob struct {
	Name          string         `yaml:"name"`
	DisplayName   string         `yaml:"displayName"`
	PipelineSpec  *pipelineSpec  `yaml:"pipelineSpec"`
	PlatformSpec  *platformSpec  `yaml:"platformSpec"`
	PipelineSpec2 *pipelineSpec  `yaml:"pipeline_spec"`
	PlatformSpec2 *platformSpec  `yaml:"platform_spec"`
	Labels        dict[string]   `yaml:"labels"`
	RuntimeConfig *runtimeConfig `yaml:"runtimeConfig"`
}

type runtimeConfig struct {
	Parameters         dict[legacyValue] `yaml:"parameters"`
	ParameterValues    dict[value]       `yaml:"parameterValues"`
	GcsOutputDirectory string            `yaml:"gcsOutputDirectory"`
}

type pipelineSpec struct {
	PipelineInfo        *pipelineInfo       `yaml:"pipelineInfo"`
	DeploymentSpec      deploymentSpec      `yaml:"deploymentSpec"`
	SdkVersion          string              `yaml:"sdkVersion"`
	SchemaVersion       text                `yaml:"schemaVersion"`
	Components          dict[componentSpec] `yaml:"components"`
	Root                *componentSpec      `yaml:"root"`
	DefaultPipelineRoot string              `yaml:"defaultPipelineRoot"`
	Pos                 source.Pos          `yaml:",pos"`
	At                  places              `yaml:",posof"`
}

type pipelineInfo struct {
	Name        text       `yaml:"name"`
	DisplayName string     `yaml:"displayName"`
	Description string     `yaml:"description"`
	Pos         source.Pos `yaml:",pos"`
}

type componentSpec struct {
	InputDefinitions       componentInputs         `yaml:"inputDefinitions"`
	OutputDefinitions      componentOutputs        `yaml:"outputDefinitions"`
	Dag                    *dagSpec                `yaml:"dag"`
	ExecutorLabel          *text                   `yaml:"executorLabel"`
	SinglePlatformSpecs    []singlePlatformSpec    `yaml:"singlePlatformSpecs"`
	TaskConfigPassthroughs []taskConfigPassthrough `yaml:"taskConfigPassthroughs"`
	Pos                    source.Pos              `yaml:",pos"`
	At                     places                  `yaml:",posof"`
}

type taskConfigPassthrough struct {
	Field       text `yaml:"field"`
	ApplyToTask bool `yaml:"applyToTask"`
}

type componentInputs struct {
	Parameters dict[inputParameterSpec] `yaml:"parameters"`
	Artifacts  dict[inputArtifactSpec]  `yaml:"artifacts"`
}

type inputParameterSpec struct {
	Type          text    `yaml:"type"` // before parameterType: INT, DOUBLE, STRING
	ParameterType text    `yaml:"parameterType"`
	DefaultValue  value   `yaml:"defaultValue"`
	IsOptional    bool    `yaml:"isOptional"`
	Description   string  `yaml:"description"`
	Literals      []value `yaml:"literals"`
}

type inputArtifactSpec struct {
	ArtifactType   artifactTypeSchema `yaml:"artifactType"`
	IsArtifactList bool               `yaml:"isArtifactList"`
	IsOptional     bool               `yaml:"isOptional"`
	Description    string             `yaml:"description"`
}

type componentOutputs struct {
	Parameters dict[outputParameterSpec] `yaml:"parameters"`
	Artifacts  dict[outputArtifactSpec]  `yaml:"artifacts"`
}

type outputParameterSpec struct {
	Type          text   `yaml:"type"`
	ParameterType text   `yaml:"parameterType"`
	Description   string `yaml:"description"`
}

type outputArtifactSpec struct {
	ArtifactType     artifactTypeSchema            `yaml:"artifactType"`
	Properties       dict[valueOrRuntimeParameter] `yaml:"properties"`
	CustomProperties dict[valueOrRuntimeParameter] `yaml:"customProperties"`
	Metadata         map[string]any                `yaml:"metadata"`
	IsArtifactList   bool                          `yaml:"isArtifactList"`
	Description      string                        `yaml:"description"`
}

type artifactTypeSchema struct {
	SchemaTitle    string `yaml:"schemaTitle"`
	SchemaURI      string `yaml:"schemaUri"`
	InstanceSchema string `yaml:"instanceSchema"`
	SchemaVersion  string `yaml:"schemaVersion"`
}

type dagSpec struct {
	Tasks   dict[taskSpec] `yaml:"tasks"`
	Outputs dagOutputs     `yaml:"outputs"`
}

type dagOutputs struct {
	Parameters dict[dagOutputParameter] `yaml:"parameters"`
	Artifacts  dict[dagOutputArtifact]  `yaml:"artifacts"`
}

type dagOutputParameter struct {
	ValueFromParameter *parameterSelector  `yaml:"valueFromParameter"`
	ValueFromOneof     *parameterSelectors `yaml:"valueFromOneof"`
}

type parameterSelectors struct {
	ParameterSelectors []parameterSelector `yaml:"parameterSelectors"`
}

type parameterSelector struct {
	ProducerSubtask    text `yaml:"producerSubtask"`
	OutputParameterKey text `yaml:"outputParameterKey"`
}

type dagOutputArtifact struct {
	ArtifactSelectors []artifactSelector `yaml:"artifactSelectors"`
}

type artifactSelector struct {
	ProducerSubtask   text `yaml:"producerSubtask"`
	OutputArtifactKey text `yaml:"outputArtifactKey"`
}

type taskSpec struct {
	TaskInfo          taskInfo           `yaml:"taskInfo"`
	Inputs            taskInputs         `yaml:"inputs"`
	DependentTasks    []text             `yaml:"dependentTasks"`
	CachingOptions    cachingOptions     `yaml:"cachingOptions"`
	ComponentRef      componentRef       `yaml:"componentRef"`
	TriggerPolicy     triggerPolicy      `yaml:"triggerPolicy"`
	ArtifactIterator  *artifactIterator  `yaml:"artifactIterator"`
	ParameterIterator *parameterIterator `yaml:"parameterIterator"`
	RetryPolicy       *retryPolicy       `yaml:"retryPolicy"`
	IteratorPolicy    iteratorPolicy     `yaml:"iteratorPolicy"`
	Pos               source.Pos         `yaml:",pos"`
}

type taskInfo struct {
	Name string `yaml:"name"`
}

type componentRef struct {
	Name text `yaml:"name"`
}

type cachingOptions struct {
	EnableCache bool   `yaml:"enableCache"`
	CacheKey    string `yaml:"cacheKey"`
}

type triggerPolicy struct {
	Condition text `yaml:"condition"`
	Strategy  text `yaml:"strategy"`
}

type iteratorPolicy struct {
	ParallelismLimit int `yaml:"parallelismLimit"`
}

type retryPolicy struct {
	MaxRetryCount      int     `yaml:"maxRetryCount"`
	BackoffDuration    text    `yaml:"backoffDuration"`
	BackoffFactor      float64 `yaml:"backoffFactor"`
	BackoffMaxDuration text    `yaml:"backoffMaxDuration"`
	At                 places  `yaml:",posof"`
}

type artifactIterator struct {
	Items     artifactItems `yaml:"items"`
	ItemInput text          `yaml:"itemInput"`
	Pos       source.Pos    `yaml:",pos"`
}

type artifactItems struct {
	InputArtifact text `yaml:"inputArtifact"`
}

type parameterIterator struct {
	Items     parameterItems `yaml:"items"`
	ItemInput text           `yaml:"itemInput"`
	Pos       source.Pos     `yaml:",pos"`
}

type parameterItems struct {
	Raw            *text `yaml:"raw"`
	InputParameter *text `yaml:"inputParameter"`
}

type taskInputs struct {
	Parameters dict[taskInputParameter] `yaml:"parameters"`
	Artifacts  dict[taskInputArtifact]  `yaml:"artifacts"`
}

type taskInputParameter struct {
	TaskOutputParameter         *taskOutputParameter     `yaml:"taskOutputParameter"`
	RuntimeValue                *valueOrRuntimeParameter `yaml:"runtimeValue"`
	ComponentInputParameter     *text                    `yaml:"componentInputParameter"`
	TaskFinalStatus             *taskFinalStatus         `yaml:"taskFinalStatus"`
	ParameterExpressionSelector *text                    `yaml:"parameterExpressionSelector"`
	Pos                         source.Pos               `yaml:",pos"`
}

type taskOutputParameter struct {
	ProducerTask       text `yaml:"producerTask"`
	OutputParameterKey text `yaml:"outputParameterKey"`
}

type taskFinalStatus struct {
	ProducerTask text `yaml:"producerTask"`
}

type taskInputArtifact struct {
	TaskOutputArtifact     *taskOutputArtifact `yaml:"taskOutputArtifact"`
	ComponentInputArtifact *text               `yaml:"componentInputArtifact"`
	Pos                    source.Pos          `yaml:",pos"`
}

type taskOutputArtifact struct {
	ProducerTask      text `yaml:"producerTask"`
	OutputArtifactKey text `yaml:"outputArtifactKey"`
}

type valueOrRuntimeParameter struct {
	ConstantValue    *legacyValue `yaml:"constantValue"` // before constant
	RuntimeParameter *text        `yaml:"runtimeParameter"`
	Constant         value        `yaml:"constant"`
	Pos              source.Pos   `yaml:",pos"`
}

// get returns the constant, nil where there is none.
func (v *valueOrRuntimeParameter) get() any {
	if v.ConstantValue != nil {
		return v.ConstantValue.get()
	}
	return v.Constant.Value
}

type legacyValue struct {
	IntValue    *int64     `yaml:"intValue"`
	DoubleValue *float64   `yaml:"doubleValue"`
	StringValue *string    `yaml:"stringValue"`
	Pos         source.Pos `yaml:",pos"`
}

// get returns the value, nil where none is set.
func (v *legacyValue) get() any {
	switch {
	case v.IntValue != nil:
		return *v.IntValue
	case v.DoubleValue != nil:
		return *v.DoubleValue
	case v.StringValue != nil:
		return *v.StringValue
	}
	return nil
}

package kfp

import "github.com/wherry-ml/wherry/dag/source"

// deploymentSpec is PipelineDeploymentConfig of pipeline_spec.proto.
type deploymentSpec struct {
	Executors dict[executorSpec] `yaml:"executors"`
}

type executorSpec struct {
	Container *containerSpec `yaml:"container"`
	Importer  *importerSpec  `yaml:"importer"`
	Resolver  *resolverSpec  `yaml:"resolver"`
	CustomJob *customJobSpec `yaml:"customJob"`
	Pos       source.Pos     `yaml:",pos"`
}

type containerSpec struct {
	Image     text         `yaml:"image"`
	Command   []text       `yaml:"command"`
	Args      []text       `yaml:"args"`
	Lifecycle *lifecycle   `yaml:"lifecycle"`
	Resources resourceSpec `yaml:"resources"`
	Env       []envVar     `yaml:"env"`
	Pos       source.Pos   `yaml:",pos"`
	At        places       `yaml:",posof"`
}

type lifecycle struct {
	PreCacheCheck *lifecycleExec `yaml:"preCacheCheck"`
}

type lifecycleExec struct {
	Command []text `yaml:"command"`
	Args    []text `yaml:"args"`
}

type envVar struct {
	Name  text `yaml:"name"`
	Value text `yaml:"value"`
}

// resourceSpec holds each figure twice: as a Kubernetes quantity, which may be a
// placeholder and wins, and in the older form as a number of cores or of 10⁹
// bytes.
type resourceSpec struct {
	CPULimit              float64            `yaml:"cpuLimit"`
	MemoryLimit           float64            `yaml:"memoryLimit"`
	CPURequest            float64            `yaml:"cpuRequest"`
	MemoryRequest         float64            `yaml:"memoryRequest"`
	ResourceCPULimit      text               `yaml:"resourceCpuLimit"`
	ResourceMemoryLimit   text               `yaml:"resourceMemoryLimit"`
	ResourceCPURequest    text               `yaml:"resourceCpuRequest"`
	ResourceMemoryRequest text               `yaml:"resourceMemoryRequest"`
	Accelerator           *acceleratorConfig `yaml:"accelerator"`
}

type acceleratorConfig struct {
	Type          text  `yaml:"type"`
	Count         int64 `yaml:"count"`
	ResourceType  text  `yaml:"resourceType"`
	ResourceCount text  `yaml:"resourceCount"`
}

type importerSpec struct {
	ArtifactURI         *valueOrRuntimeParameter      `yaml:"artifactUri"`
	TypeSchema          artifactTypeSchema            `yaml:"typeSchema"`
	Properties          dict[valueOrRuntimeParameter] `yaml:"properties"`
	CustomProperties    dict[valueOrRuntimeParameter] `yaml:"customProperties"`
	Reimport            bool                          `yaml:"reimport"`
	Metadata            map[string]any                `yaml:"metadata"`
	DownloadToWorkspace bool                          `yaml:"downloadToWorkspace"`
	Pos                 source.Pos                    `yaml:",pos"`
	At                  places                        `yaml:",posof"`
}

type resolverSpec struct {
	OutputArtifactQueries dict[artifactQuery] `yaml:"outputArtifactQueries"`
}

type artifactQuery struct {
	Filter string `yaml:"filter"`
	Limit  int    `yaml:"limit"`
}

type customJobSpec struct {
	CustomJob map[string]any `yaml:"customJob"`
}

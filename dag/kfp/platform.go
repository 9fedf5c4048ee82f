package kfp

import "github.com/wherry-ml/wherry/dag/source"

// platformSpec is the second document: what a pipeline asks of one platform.
type platformSpec struct {
	Platforms dict[singlePlatformSpec] `yaml:"platforms"`
}

type singlePlatformSpec struct {
	DeploymentSpec platformDeployment `yaml:"deploymentSpec"`
	Platform       string             `yaml:"platform"`
	Config         map[string]any     `yaml:"config"`
	PipelineConfig pipelineConfig     `yaml:"pipelineConfig"`
	Pos            source.Pos         `yaml:",pos"`
}

type platformDeployment struct {
	Executors dict[kubernetesConfig] `yaml:"executors"`
}

type pipelineConfig struct {
	ResourceTTLOnCompletion int64            `yaml:"resourceTtlOnCompletion"`
	ResourceTTLOnSuccess    int64            `yaml:"resourceTtlOnSuccess"`
	ResourceTTLOnFailure    int64            `yaml:"resourceTtlOnFailure"`
	ActiveDeadlineSeconds   int64            `yaml:"activeDeadlineSeconds"`
	Workspace               *workspaceConfig `yaml:"workspace"`
	At                      places           `yaml:",posof"`
}

type workspaceConfig struct {
	Size       string               `yaml:"size"`
	Kubernetes *kubernetesWorkspace `yaml:"kubernetes"`
}

type kubernetesWorkspace struct {
	PvcSpecPatch map[string]any `yaml:"pvcSpecPatch"`
}

// kubernetesConfig is KubernetesExecutorConfig of
// kubernetes_executor_config.proto.
type kubernetesConfig struct {
	SecretAsVolume         []secretAsVolume         `yaml:"secretAsVolume"`
	SecretAsEnv            []secretAsEnv            `yaml:"secretAsEnv"`
	PvcMount               []pvcMount               `yaml:"pvcMount"`
	NodeSelector           *nodeSelector            `yaml:"nodeSelector"`
	PodMetadata            *podMetadata             `yaml:"podMetadata"`
	ImagePullSecret        []imagePullSecret        `yaml:"imagePullSecret"`
	ImagePullPolicy        text                     `yaml:"imagePullPolicy"`
	ConfigMapAsVolume      []configMapAsVolume      `yaml:"configMapAsVolume"`
	ConfigMapAsEnv         []configMapAsEnv         `yaml:"configMapAsEnv"`
	ActiveDeadlineSeconds  int64                    `yaml:"activeDeadlineSeconds"`
	FieldPathAsEnv         []fieldPathAsEnv         `yaml:"fieldPathAsEnv"`
	Tolerations            []toleration             `yaml:"tolerations"`
	GenericEphemeralVolume []genericEphemeralVolume `yaml:"genericEphemeralVolume"`
	NodeAffinity           []nodeAffinity           `yaml:"nodeAffinity"`
	PodAffinity            []podAffinity            `yaml:"podAffinity"`
	EnabledSharedMemory    *enabledSharedMemory     `yaml:"enabledSharedMemory"`
	EmptyDirMounts         []emptyDirMount          `yaml:"emptyDirMounts"`
	SecurityContext        *securityContext         `yaml:"securityContext"`
	InitContainers         []initContainer          `yaml:"initContainers"`
	At                     places                   `yaml:",posof"`
}

type secretAsVolume struct {
	SecretName          string              `yaml:"secretName"`
	MountPath           string              `yaml:"mountPath"`
	Optional            bool                `yaml:"optional"`
	SecretNameParameter *taskInputParameter `yaml:"secretNameParameter"`
}

type secretAsEnv struct {
	SecretName          string              `yaml:"secretName"`
	KeyToEnv            []secretKeyToEnv    `yaml:"keyToEnv"`
	Optional            bool                `yaml:"optional"`
	SecretNameParameter *taskInputParameter `yaml:"secretNameParameter"`
}

type secretKeyToEnv struct {
	SecretKey string `yaml:"secretKey"`
	EnvVar    string `yaml:"envVar"`
}

type configMapAsVolume struct {
	ConfigMapName          string              `yaml:"configMapName"`
	MountPath              string              `yaml:"mountPath"`
	Optional               bool                `yaml:"optional"`
	ConfigMapNameParameter *taskInputParameter `yaml:"configMapNameParameter"`
}

type configMapAsEnv struct {
	ConfigMapName          string              `yaml:"configMapName"`
	KeyToEnv               []configMapKeyToEnv `yaml:"keyToEnv"`
	Optional               bool                `yaml:"optional"`
	ConfigMapNameParameter *taskInputParameter `yaml:"configMapNameParameter"`
}

type configMapKeyToEnv struct {
	ConfigMapKey string `yaml:"configMapKey"`
	EnvVar       string `yaml:"envVar"`
}

// pvcMount names its claim twice: in pvcNameParameter, which wins, and in one of
// the three older fields.
type pvcMount struct {
	TaskOutputParameter     *taskOutputParameter `yaml:"taskOutputParameter"`
	Constant                string               `yaml:"constant"`
	ComponentInputParameter string               `yaml:"componentInputParameter"`
	MountPath               string               `yaml:"mountPath"`
	PvcNameParameter        *taskInputParameter  `yaml:"pvcNameParameter"`
	SubPath                 string               `yaml:"subPath"`
}

type nodeSelector struct {
	Labels           dict[string]        `yaml:"labels"`
	NodeSelectorJSON *taskInputParameter `yaml:"nodeSelectorJson"`
}

type podMetadata struct {
	Labels      dict[string] `yaml:"labels"`
	Annotations dict[string] `yaml:"annotations"`
}

type imagePullSecret struct {
	SecretName          string              `yaml:"secretName"`
	SecretNameParameter *taskInputParameter `yaml:"secretNameParameter"`
}

type fieldPathAsEnv struct {
	Name      string `yaml:"name"`
	FieldPath string `yaml:"fieldPath"`
}

type toleration struct {
	Key               string              `yaml:"key"`
	Operator          string              `yaml:"operator"`
	Value             string              `yaml:"value"`
	Effect            string              `yaml:"effect"`
	TolerationSeconds *int64              `yaml:"tolerationSeconds"`
	TolerationJSON    *taskInputParameter `yaml:"tolerationJson"`
}

type genericEphemeralVolume struct {
	VolumeName          string       `yaml:"volumeName"`
	MountPath           string       `yaml:"mountPath"`
	AccessModes         []string     `yaml:"accessModes"`
	Size                string       `yaml:"size"`
	DefaultStorageClass bool         `yaml:"defaultStorageClass"`
	StorageClassName    string       `yaml:"storageClassName"`
	Metadata            *podMetadata `yaml:"metadata"`
}

type selectorRequirement struct {
	Key      string   `yaml:"key"`
	Operator string   `yaml:"operator"`
	Values   []string `yaml:"values"`
}

type nodeAffinity struct {
	MatchExpressions []selectorRequirement `yaml:"matchExpressions"`
	MatchFields      []selectorRequirement `yaml:"matchFields"`
	Weight           int32                 `yaml:"weight"`
	NodeAffinityJSON *taskInputParameter   `yaml:"nodeAffinityJson"`
}

type podAffinity struct {
	MatchPodExpressions       []selectorRequirement `yaml:"matchPodExpressions"`
	MatchPodLabels            dict[string]          `yaml:"matchPodLabels"`
	TopologyKey               string                `yaml:"topologyKey"`
	Namespaces                []string              `yaml:"namespaces"`
	MatchNamespaceExpressions []selectorRequirement `yaml:"matchNamespaceExpressions"`
	MatchNamespaceLabels      dict[string]          `yaml:"matchNamespaceLabels"`
	Weight                    int32                 `yaml:"weight"`
	Anti                      bool                  `yaml:"anti"`
}

type enabledSharedMemory struct {
	VolumeName string `yaml:"volumeName"`
	Size       string `yaml:"size"`
}

type emptyDirMount struct {
	VolumeName string `yaml:"volumeName"`
	MountPath  string `yaml:"mountPath"`
	Medium     string `yaml:"medium"`
	SizeLimit  string `yaml:"sizeLimit"`
}

type securityContext struct {
	RunAsUser    *int64 `yaml:"runAsUser"`
	RunAsGroup   *int64 `yaml:"runAsGroup"`
	RunAsNonRoot bool   `yaml:"runAsNonRoot"`
}

type initContainer struct {
	Name          string            `yaml:"name"`
	Image         string            `yaml:"image"`
	Command       []string          `yaml:"command"`
	Args          []string          `yaml:"args"`
	Env           []envVar          `yaml:"env"`
	VolumeMounts  []initVolumeMount `yaml:"volumeMounts"`
	RestartPolicy string            `yaml:"restartPolicy"`
	Resources     initResources     `yaml:"resources"`
}

type initVolumeMount struct {
	VolumeName string `yaml:"volumeName"`
	MountPath  string `yaml:"mountPath"`
}

type initResources struct {
	Requests dict[string] `yaml:"requests"`
	Limits   dict[string] `yaml:"limits"`
}

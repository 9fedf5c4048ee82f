package podspec

import (
	"github.com/wherry-ml/wherry/dag/source"
)

// template is a PodTemplateSpec.
type template struct {
	Metadata metadata   `yaml:"metadata"`
	Spec     *spec      `yaml:"spec"`
	Pos      source.Pos `yaml:",pos"`
}

type metadata struct {
	Name              any               `yaml:"name"`
	Labels            map[string]scalar `yaml:"labels"`
	Annotations       map[string]scalar `yaml:"annotations"`
	CreationTimestamp any               `yaml:"creationTimestamp"`
	Namespace         any               `yaml:"namespace"`
}

// spec is a PodSpec. Fields of type any are named in ignored or must be empty.
type spec struct {
	Containers            []*container `yaml:"containers"`
	InitContainers        []*container `yaml:"initContainers"`
	Volumes               []*volume    `yaml:"volumes"`
	ActiveDeadlineSeconds scalar       `yaml:"activeDeadlineSeconds"`
	TerminationGrace      scalar       `yaml:"terminationGracePeriodSeconds"`
	RestartPolicy         scalar       `yaml:"restartPolicy"`

	Affinity                     any `yaml:"affinity"`
	AutomountServiceAccountToken any `yaml:"automountServiceAccountToken"`
	DNSConfig                    any `yaml:"dnsConfig"`
	DNSPolicy                    any `yaml:"dnsPolicy"`
	EnableServiceLinks           any `yaml:"enableServiceLinks"`
	Hostname                     any `yaml:"hostname"`
	ImagePullSecrets             any `yaml:"imagePullSecrets"`
	NodeName                     any `yaml:"nodeName"`
	NodeSelector                 any `yaml:"nodeSelector"`
	PreemptionPolicy             any `yaml:"preemptionPolicy"`
	Priority                     any `yaml:"priority"`
	PriorityClassName            any `yaml:"priorityClassName"`
	RuntimeClassName             any `yaml:"runtimeClassName"`
	SchedulerName                any `yaml:"schedulerName"`
	SecurityContext              any `yaml:"securityContext"`
	ServiceAccount               any `yaml:"serviceAccount"`
	ServiceAccountName           any `yaml:"serviceAccountName"`
	ShareProcessNamespace        any `yaml:"shareProcessNamespace"`
	Subdomain                    any `yaml:"subdomain"`
	Tolerations                  any `yaml:"tolerations"`
	TopologySpread               any `yaml:"topologySpreadConstraints"`

	HostNetwork scalar     `yaml:"hostNetwork"`
	HostPID     scalar     `yaml:"hostPID"`
	HostIPC     scalar     `yaml:"hostIPC"`
	Pos         source.Pos `yaml:",pos"`

	Given map[string]source.Pos `yaml:",posof"`
}

type container struct {
	Name            scalar     `yaml:"name"`
	Image           scalar     `yaml:"image"`
	ImagePullPolicy scalar     `yaml:"imagePullPolicy"`
	Command         []scalar   `yaml:"command"`
	Args            []scalar   `yaml:"args"`
	WorkingDir      scalar     `yaml:"workingDir"`
	Env             []*envVar  `yaml:"env"`
	EnvFrom         []any      `yaml:"envFrom"`
	Resources       resources  `yaml:"resources"`
	VolumeMounts    []*mount   `yaml:"volumeMounts"`
	SecurityContext *security  `yaml:"securityContext"`
	Ports           []port     `yaml:"ports"`
	RestartPolicy   scalar     `yaml:"restartPolicy"` // of an init container: Always makes it a sidecar
	LivenessProbe   any        `yaml:"livenessProbe"`
	ReadinessProbe  any        `yaml:"readinessProbe"`
	StartupProbe    any        `yaml:"startupProbe"`
	Lifecycle       any        `yaml:"lifecycle"`
	MessagePath     any        `yaml:"terminationMessagePath"`
	MessagePolicy   any        `yaml:"terminationMessagePolicy"`
	Stdin           any        `yaml:"stdin"`
	TTY             any        `yaml:"tty"`
	Pos             source.Pos `yaml:",pos"`

	Given map[string]source.Pos `yaml:",posof"`
}

type port struct {
	Name          any    `yaml:"name"`
	ContainerPort scalar `yaml:"containerPort"`
	Protocol      any    `yaml:"protocol"`
	HostPort      any    `yaml:"hostPort"`
	HostIP        any    `yaml:"hostIP"`
}

type envVar struct {
	Name      scalar     `yaml:"name"`
	Value     scalar     `yaml:"value"`
	ValueFrom *valueFrom `yaml:"valueFrom"`
	Pos       source.Pos `yaml:",pos"`
}

type valueFrom struct {
	Secret    *keyRef    `yaml:"secretKeyRef"`
	ConfigMap *keyRef    `yaml:"configMapKeyRef"`
	Field     *fieldRef  `yaml:"fieldRef"`
	Resource  any        `yaml:"resourceFieldRef"`
	Pos       source.Pos `yaml:",pos"`
}

type keyRef struct {
	Name     scalar     `yaml:"name"`
	Key      scalar     `yaml:"key"`
	Optional bool       `yaml:"optional"`
	Pos      source.Pos `yaml:",pos"`
}

type fieldRef struct {
	APIVersion any    `yaml:"apiVersion"`
	FieldPath  scalar `yaml:"fieldPath"`
}

type resources struct {
	Requests map[string]scalar `yaml:"requests"`
	Limits   map[string]scalar `yaml:"limits"`
	Claims   any               `yaml:"claims"`
}

type mount struct {
	Name      scalar     `yaml:"name"`
	MountPath scalar     `yaml:"mountPath"`
	SubPath   scalar     `yaml:"subPath"`
	ReadOnly  bool       `yaml:"readOnly"`
	Pos       source.Pos `yaml:",pos"`
}

type volume struct {
	Name      scalar     `yaml:"name"`
	EmptyDir  *emptyDir  `yaml:"emptyDir"`
	Secret    *named     `yaml:"secret"`
	ConfigMap *named     `yaml:"configMap"`
	Claim     *claim     `yaml:"persistentVolumeClaim"`
	HostPath  any        `yaml:"hostPath"`
	Pos       source.Pos `yaml:",pos"`

	Given map[string]source.Pos `yaml:",posof"`
}

type emptyDir struct {
	Medium    scalar `yaml:"medium"`
	SizeLimit scalar `yaml:"sizeLimit"`
}

// named is the source of a secret or a config map.
type named struct {
	SecretName scalar     `yaml:"secretName"` // of a secret
	Name       scalar     `yaml:"name"`       // of a config map
	Optional   bool       `yaml:"optional"`
	Mode       any        `yaml:"defaultMode"`
	Items      []any      `yaml:"items"`
	Pos        source.Pos `yaml:",pos"`
}

type claim struct {
	ClaimName scalar `yaml:"claimName"`
	ReadOnly  bool   `yaml:"readOnly"`
}

type security struct {
	Privileged scalar `yaml:"privileged"`
	RunAsUser  scalar `yaml:"runAsUser"`
	RunAsGroup scalar `yaml:"runAsGroup"`

	AllowPrivilegeEscalation any `yaml:"allowPrivilegeEscalation"`
	Capabilities             any `yaml:"capabilities"`
	ProcMount                any `yaml:"procMount"`
	ReadOnlyRootFilesystem   any `yaml:"readOnlyRootFilesystem"`
	RunAsNonRoot             any `yaml:"runAsNonRoot"`
	SeccompProfile           any `yaml:"seccompProfile"`
	SELinuxOptions           any `yaml:"seLinuxOptions"`
}

// scalar is a value as it is written.
type scalar = source.Text

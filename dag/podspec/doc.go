// Package podspec reads a Kubernetes pod template as a dag.Pod: the part that a
// Katib trial's Job, a training job's replicas and a model server have in common.
//
//	PodTemplateSpec or PodSpec (core/v1) ── Read ── dag.Pod, and the names of what has no meaning here
//
// What one machine can't honour but need not (node selectors, tolerations, service
// accounts) is named once; what would change a result (a host path, a privileged
// container) is refused with its position.
package podspec

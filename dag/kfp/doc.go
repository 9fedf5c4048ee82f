// Package kfp reads Kubeflow Pipelines' compiled pipelines, the IR YAML of KFP
// v2, and translates them to dag.Pipeline. It runs nothing.
//
//	documents ── Sniff: is it IR?
//	    │
//	    └─ Read ── pipelineSpec, platformSpec (spec.go, platform.go: the format, strictly)
//	                  └─ translator ── components, tasks, executors, placeholders ── dag.Pipeline
//	                        └─ unsupported.go: what is read but can't be run yet
//
// The structs follow api/v2alpha1/pipeline_spec.proto and
// kubernetes_platform/proto/kubernetes_executor_config.proto of
// kubeflow/pipelines at 7b70c7b. What the format leaves open follows the
// Kubeflow backend (backend/src/v2), not kfp.local.
package kfp

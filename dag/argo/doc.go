// Package argo reads pipelines whose body is an Argo workflow: kind: Pipeline of
// kubeflow.org, with spec.pipelineSpec.workflowSpec. It only translates.
//
//	Read ── decode (types.go, strict; later.go: what is refused by name)
//	          │
//	        link (link.go): templates, calls, references; what callers give are inputs
//	          │
//	        infer: outputs (outputs.go), possible values (values.go), directories (directories.go)
//	          │
//	        translate (translate.go) ── dag.Pipeline with a note of all that was inferred (note.go)
//
// Such files are written by hand and declare little, so what they leave out is
// inferred. A real Workflow (argoproj.io), where an undeclared output is an
// error, is recognised and refused: it comes with a later version.
package argo

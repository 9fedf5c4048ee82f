// Package katib reads Katib's Experiment (kubeflow.org/v1beta1), and the kind:
// Suggestion that has an experiment's fields and no trial template, as a
// tuner.Experiment. It only translates: nothing here runs.
//
//	file ── Read ── tuner.Experiment ── a trial template, of the file or of wherry.yaml ── Template ── dag.Pipeline
//
// A trial is a pipeline of one task whose pod is that of the Job, or has a container
// for each replica of a training job: they share a network, so localhost is each
// other's address. ${trialParameters.x} is an input parameter of the pipeline.
package katib

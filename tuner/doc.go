// Package tuner runs experiments: it asks an algorithm (package suggest) for
// parameters, has a trial run with them, follows what the trial measures (package
// metrics), stops what is not worth going on with, and keeps all of it in a store.
//
//	Experiment ── suggest ── Trial (a run with these parameters) ── observations ── store ── suggest …
//
// It knows no engine and no database: a Runner runs a trial, a Store keeps what was
// decided and observed. The words and states are Katib's (v1beta1).
//
// Start reading at Controller.Drive.
package tuner

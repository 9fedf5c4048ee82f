// Package dag is the pipeline model and what drives it: validation, the cache
// key and the scheduler.
//
//	front end ── Pipeline ── Validate ── Driver.Drive
//	                                        │  decide (pure): what next, and why
//	                                        │  commit (Store): one transaction
//	                                        └─ act: queue ── backend ── collect
//
// The front ends (dag/kfp, dag/argo) only translate a file to a Pipeline.
// Nothing here knows an engine or a database: it asks for a runner.Backend, a
// Store, an Admission and an Artifacts, each declared beside its use.
//
// Start reading at Pipeline (model.go), then Driver (driver.go).
package dag

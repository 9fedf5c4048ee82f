// Package docker runs pods on a Docker Engine through its API, and on what
// speaks it: Docker Desktop, Colima, OrbStack, Rancher Desktop, Podman.
//
//	Pod ── plan (files.go, spec.go) ── create ── fill ── start ── events ── collect ── remove
//	          pure                       Ensure                    Watch     Collect   Remove
//
// A pod of one container is one plain container named Pod.Name. A pod of
// several is a holder named Pod.Name, which owns the network (the pod's own
// image running our static init, init.go), and containers named
// <pod>-<container> that join it; a supervisor in this process (supervise.go)
// starts them in order, and the labels and states on the engine are all that it
// needs to go on after a crash (state.go).
//
// Files come to a container in one of two ways, see [fileMode]: mounted where
// this machine and the engine share a file system and whatever containers write
// can be deleted again, copied by the archive API elsewhere.
//
// Stop sends the image's own stop signal where its Dockerfile names one,
// SIGTERM else, as Kubernetes does.
//
// Start reading at [Backend.Ensure].
package docker

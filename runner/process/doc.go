// Package process runs pods as host processes: what a machine without a
// container engine has. An image only names the interpreter; Python commands
// run in cached virtual environments, everything else with the host's programs.
//
//	Ensure ── work/<pod>/spec.json ── supervisor (a session of its own) ── containers
//	             │                          ├─ logs/<container>.log   CRI lines, streamed
//	             │                          ├─ lock                   held while it lives
//	             │                          └─ exit.json              renamed into place
//	Watch, Logs, Collect, Stop, Remove ── read that directory; a kill -9 of the caller changes nothing
//
// The supervisor is the program itself, re-executed as `wherry supervise DIR`.
// What would change a result (absolute paths of an image, mounts elsewhere,
// network none) is refused with a *runner.UnsupportedError before anything
// starts. CPU and memory limits can't be enforced and are not refused:
// Features().Limits is false, so that the caller can say so once.
//
// A step sees the host's HOME, PATH, locale, proxies and pip settings, a TMPDIR
// and a directory of its own, and what its pod sets; nothing else of the caller's
// environment. A step that installs packages itself (`pip install … && …`) gets a
// layer of its own over the cached environment, which goes with the pod.
//
// Start reading at New and Supervise.
package process

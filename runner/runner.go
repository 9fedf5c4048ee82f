package runner

import (
	"context"
	"io"
	"io/fs"
	"iter"
	"net"
	"time"
)

// Backend runs pods somewhere. Every method is safe for concurrent use, honours
// ctx and can be repeated by a caller that crashed. Pods are addressed by Name,
// which is derived from home, run, execution and attempt and therefore unique
// on the engine; a backend sees only the pods of its own home.
type Backend interface {
	// Features says what this backend can honour. It never blocks.
	Features() Features

	// Ping returns nil when the backend answers, else an *UnavailableError
	// that says what was tried and what to do.
	Ping(ctx context.Context) error

	// Resolve finds the image, pulling it if o.Policy asks for that, and returns
	// its identity. An image that can't be had is an *ImageError.
	Resolve(ctx context.Context, image string, o ResolveOptions) (Image, error)

	// Ensure starts every pod of the gang or none, and adopts those that already
	// exist by Name, so that a caller that crashed can repeat it. It returns when
	// all have started; of a pod with several containers the rest follow in their
	// order while the caller lives, and after a crash from the next Ensure on.
	// What can't be honoured is refused before anything starts with an
	// *UnsupportedError that names the field, an image that is not there with an
	// *ImageError. A command that can't be started is no error: that pod has ended
	// with CauseStart, and the others of its gang are stopped.
	Ensure(ctx context.Context, gang []Pod) error

	// Watch yields the status of every pod of this home that is there, then one
	// Status with Synced set, then each change until ctx ends. A lost connection
	// is mended inside, and after it everything is yielded again; when the
	// backend stays away an *UnavailableError ends the sequence.
	Watch(ctx context.Context) iter.Seq2[Status, error]

	// Logs yields the lines of the pod's containers in order, from o.Since on.
	// With o.Follow it ends when the pod has ended, else at what there is now.
	Logs(ctx context.Context, pod string, o LogOptions) iter.Seq2[Line, error]

	// Collect hands the log of the ended pod to sink, then each output that it
	// wrote, and returns how the pod ended, also with an error. It can be repeated until Remove. A pod that is gone is
	// ErrLost, never a successful exit. An output that is a symbolic link out of
	// its volume is never followed: it is an *OutputError, or handed over as the
	// link that it is.
	Collect(ctx context.Context, pod Pod, to Sink) (Exit, error)

	// Exec runs a command in a running container of the pod (empty container: its
	// first main one).
	Exec(ctx context.Context, pod, container string, x ExecSpec) (Exit, error)

	// Dial connects to a TCP port of the pod.
	Dial(ctx context.Context, pod string, port int) (net.Conn, error)

	// Stop sends SIGTERM to every container, and SIGKILL after grace. It returns
	// when the pod has ended; one that has ended, or is gone, is no error.
	Stop(ctx context.Context, pod string, grace time.Duration) error

	// Remove deletes the pod and what the backend made for it: containers,
	// networks, scratch volumes. A running one is killed; one that is gone is no
	// error.
	Remove(ctx context.Context, pod string) error

	// Capacity returns what all pods together may request.
	Capacity(ctx context.Context) (Capacity, error)
}

// Builder is a backend that can also build images.
type Builder interface {
	// Build makes the image that b describes, or finds it by b's derivation and
	// does nothing. Output of the build goes to log, line by line.
	Build(ctx context.Context, b BuildSpec, log func(string)) (Image, error)
}

// ImageCarrier is a backend whose images can be taken to another machine. The
// archives are those of docker save and docker load.
type ImageCarrier interface {
	// SaveImage returns the archive of an image, by a name that Resolve has given.
	SaveImage(ctx context.Context, name string) (io.ReadCloser, error)
	// LoadImages takes in an archive of images. A name that another image has
	// becomes that of the new one.
	LoadImages(ctx context.Context, archive io.Reader) error
	// ImageID returns the id of an image by its name; empty where there is none.
	ImageID(ctx context.Context, name string) (string, error)
}

// Peeker is a backend that shows the files of a pod that still writes them.
type Peeker interface {
	// Peek hands over each plain file at or below a path of a container (empty: the
	// first main one) as it is now, by its path below that one; of a file that is the
	// path itself that is empty. What is written meanwhile may be there in part. Links
	// are not followed, but for the path itself. Where nothing lies at the path the
	// error is fs.ErrNotExist; a pod that is gone is ErrLost. A path that the
	// backend can't look at is an *UnsupportedError.
	Peek(ctx context.Context, pod, container, path string, file func(name string, r io.Reader) error) error

	// PeekAt returns the size and the time of change of what lies at such a path, from
	// which one may see that there is nothing new. Of a folder they say nothing of what
	// lies in it.
	PeekAt(ctx context.Context, pod, container, path string) (fs.FileInfo, error)
}

// VolumeRemover is a backend whose named volumes can be deleted.
type VolumeRemover interface {
	// RemoveVolume deletes the volume that pods name by Volume.Named. One that is
	// gone is no error; one that a pod still uses is.
	RemoveVolume(ctx context.Context, name string) error
}

// Sweeper is a backend on which a process that died can leave what belongs to no pod.
type Sweeper interface {
	// Sweep removes that of this home. What it can't remove is left for the next
	// time.
	Sweep(ctx context.Context)
}

// Tidier is a backend that keeps things of a pod beside the pod itself. A driver that
// was killed while it removed a pod may have left some.
type Tidier interface {
	// Tidy removes what is left of these pods, which are gone, and of image builds
	// of this home that nobody carries on.
	Tidy(ctx context.Context, pods []string) error
}

// Checker is a backend that can say before anything starts what it would refuse.
type Checker interface {
	// Check returns the *UnsupportedError that Ensure would return for the pod,
	// as far as it can be known from what is there now. It makes nothing.
	Check(pod Pod) error
}

// Features is what a backend can honour. What is false is refused by Ensure.
type Features struct {
	Name            string // "docker", "process"
	Images          bool   // runs the image itself; false: an image only names the interpreter
	Isolation       bool   // own file system per container: absolute paths of the image, mounts at any path
	Limits          bool   // enforces CPU and memory limits
	SeparateStreams bool   // keeps stdout and stderr apart
	Networks        bool   // network none, gangs that reach each other by name
	Accelerators    bool   // GPUs by device id
	SeesOpens       bool   // runs on this machine's kernel: inotify sees what a container opens
}

// ResolveOptions says how an image is looked up.
type ResolveOptions struct {
	Platform string         // "linux/arm64"; empty: the engine's own
	Policy   PullPolicy     // empty: PullMissing
	Progress func(Progress) // called while pulling; may be nil
	Layer    *Layer         // what the process backend installs beside the interpreter
}

// PullPolicy is Kubernetes' imagePullPolicy.
type PullPolicy string

// The pull policies.
const (
	PullMissing PullPolicy = "IfNotPresent"
	PullAlways  PullPolicy = "Always"
	PullNever   PullPolicy = "Never"
)

// Progress is how far a pull is, in bytes; Total is 0 while it is not known.
type Progress struct {
	Image       string
	Done, Total int64
	Status      string
}

// Image is an image that was found.
type Image struct {
	Name       string   // as it was asked for
	Ref        string   // what Container.Image must be to run exactly this one
	Identity   string   // for cache keys: content digest, or derivation of one that we built
	Platform   string   // "linux/amd64"
	Emulated   bool     // the engine's own platform differs
	Entrypoint []string // what runs when Container.Command is empty
	Cmd        []string // its arguments when Container.Args is empty too
	WorkDir    string   // its working directory when Container.WorkDir is empty; empty: /
}

// BuildSpec describes an image: a base and a layer over it, or a context directory
// with a Dockerfile.
type BuildSpec struct {
	Name       string // tag of the image
	Base       string // reference of the base image (with Layer)
	Platform   string // as it was asked for; empty: the base's own (with Layer)
	Layer      *Layer // what pip adds to Base
	Context    string // directory on this machine (with a Dockerfile)
	Dockerfile string // path in Context; empty: Dockerfile
	CABundle   string // PEM file on this machine given to the build; may be empty
	Derivation string // digest of all that decides the result; computed by the caller
	Offline    bool   // a layer is only found, never made: that takes the network
}

// Pod is what a backend runs: one attempt of a task, one trial's job, one
// replica of a server. It names data by digest and path, never by a place on
// this machine's disk; the exception is a volume that the person asked for by a
// host path.
type Pod struct {
	Name       string            // wherry-<home>-<run>-<execution>-<attempt>
	Labels     map[string]string // enough to rebuild what runs after a crash; see labels.go
	Platform   string            // "linux/amd64"; empty: the engine's own
	Containers []Container       // Role says when each runs; at least one is Main
	Volumes    []Volume          // mounted by name
	Inputs     []Input           // artifacts, read-only, in every container
	Outputs    []Output          // what Collect brings back
	Network    Network
	Resources  Resources     // what the queue granted to the pod as a whole
	Deadline   time.Duration // from the start of the pod; 0: none
	Grace      time.Duration // between SIGTERM and SIGKILL; 0: 10 s

	// FailFast has the other containers stopped once a main one has failed, as in a job
	// whose processes wait for each other.
	FailFast bool `json:",omitempty"`
}

// Role is when a container of a pod runs.
type Role int

// Main containers start together, or after those that After names; the pod has
// ended when all main ones have. Init containers run before, one after the
// other, each until it ended well. Sidecars start before the main ones and are
// stopped when those have ended; they never keep a pod alive or fail it.
const (
	Main Role = iota
	Init
	Sidecar
)

// Container is one process tree of a pod.
type Container struct {
	Name      string // unique in the pod
	Role      Role
	After     []string // main containers that must have ended well before this one starts
	Image     string   // Image.Ref
	Command   []string // empty: the image's entrypoint
	Args      []string // empty: the image's, if Command is empty too
	Env       []EnvVar
	WorkDir   string // empty: the image's
	User      string // "uid", "uid:gid" or a name; empty: the image's
	Mounts    []Mount
	Resources Resources // limits of this container
	SHMSize   int64     // bytes of /dev/shm; 0: the engine's default

	// Init asks for an init process before the command, where the backend has one: as
	// the first process of a container a shell or Python takes no notice of SIGTERM.
	// A command that is not there is then an exit code of 127, not CauseStart.
	Init bool

	// Layer is what the process backend must have in the environment in which it
	// runs Command; for other backends it is in the image.
	Layer *Layer
}

// EnvVar is one variable of a container's environment.
type EnvVar struct {
	Name, Value string
	Secret      bool // never printed, stored or part of an error
}

// Mount places a volume of the pod in a container.
type Mount struct {
	Volume   string
	Path     string // absolute, in the container
	SubPath  string // relative to the volume's root
	ReadOnly bool
}

// Volume is a directory that containers of a pod mount. Exactly one of Scratch,
// Files, Named, Host and Tree says what it is.
type Volume struct {
	Name    string
	Scratch bool            // new, writable by any uid, gone with the pod
	Seed    []string        // with Scratch: digests of directories copied into it before the start, in order
	Memory  bool            `json:",omitempty"` // with Scratch and without Seed: kept in memory; no output can be collected from it
	Size    int64           `json:",omitempty"` // with Memory: bytes at most; 0: the engine's default
	Files   map[string]File `json:",omitempty"` // by relative path; read-only where the backend can, gone with the pod
	Named   string          // volume of the backend that outlives the pod; made empty and writable by any uid when it is not there
	Host    string          // path on this machine that the person named
	Live    bool            `json:",omitempty"` // with Host: read-only and that path itself, never a copy of it
	Tree    string          // digest of a directory in the artifact store; mounts are read-only
}

// File is a small file that a pod brings along. Every container that mounts it
// can read it, whatever its uid, and it takes the place of what its image has there.
type File struct {
	Data   []byte
	Mode   fs.FileMode // permission bits; 0: 0444
	Secret bool        // Data is never printed, stored or part of an error
}

// Input is an artifact that every container of the pod sees at Path, read-only.
type Input struct {
	Digest string // "sha256:…" in the artifact store
	Path   string // absolute, in the container
}

// Output is a file or directory that Collect hands to its sink when it is there.
type Output struct {
	Name string
	Path string // absolute, in the container; in a scratch volume or anywhere else in Container
	// Container is the one whose file system it lies in; empty: the first main one.
	Container string `json:",omitempty"`
}

// Network is what a pod's containers can reach.
type Network struct {
	Mode     NetworkMode
	Gang     string // with NetworkDefault: pods of the same Gang reach each other by Hostname
	Hostname string // empty: the engine's choice
	Ports    []int  // TCP ports that Dial will be asked for
}

// NetworkMode is on or none.
type NetworkMode string

// The network modes.
const (
	NetworkDefault NetworkMode = ""
	NetworkNone    NetworkMode = "none"
)

// Resources are requests and limits. Zero is unset: no request, no limit.
type Resources struct {
	CPU         int64    `json:"cpu,omitempty"`         // millicores requested
	Memory      int64    `json:"memory,omitempty"`      // bytes requested
	GPU         int      `json:"gpu,omitempty"`         // devices requested
	CPULimit    int64    `json:"cpuLimit,omitempty"`    // millicores
	MemoryLimit int64    `json:"memoryLimit,omitempty"` // bytes
	Devices     []string `json:"devices,omitempty"`     // ids of the GPUs that the queue granted
}

// Capacity is what a backend has for all pods together.
type Capacity struct {
	CPU    int64    // millicores
	Memory int64    // bytes
	GPUs   []string // device ids
	Pods   int      // how many may run at once
}

// Phase is where a pod is in its life.
type Phase string

// The phases. A pod that is gone is PhaseGone.
const (
	PhaseCreated Phase = "created"
	PhaseRunning Phase = "running"
	PhaseEnded   Phase = "ended"
	PhaseGone    Phase = "gone"
)

// Status is what Watch saw of one pod, or (Synced) that all pods have been seen.
type Status struct {
	Synced bool
	Pod    string
	Labels map[string]string
	Phase  Phase
	Exit   Exit // when Phase is PhaseEnded or PhaseGone
}

// Cause is why a pod ended.
type Cause string

// The causes. CauseOOM is given only when the exit code is not 0.
const (
	CauseCompleted Cause = "completed" // every main container exited 0
	CauseError     Cause = "error"     // a container exited with another code or by a signal
	CauseOOM       Cause = "oom"       // killed for memory
	CauseDeadline  Cause = "deadline"  // stopped because Pod.Deadline passed
	CauseStopped   Cause = "stopped"   // Stop or Remove was called
	CauseImage     Cause = "image"     // the image is not available
	CauseStart     Cause = "start"     // the command can't be started
	CauseEvicted   Cause = "evicted"   // the backend took it away
	CauseLost      Cause = "lost"      // it is gone, or ended with its engine
)

// Exit is how a pod ended.
type Exit struct {
	Cause     Cause
	Code      int       // of the container that decided; 128+n for signal n
	Container string    // the container that decided
	Message   string    // the engine's own words, if any
	Started   time.Time // of the first container
	Ended     time.Time // of the last main container
}

// OK reports whether the pod ended well.
func (e Exit) OK() bool { return e.Cause == CauseCompleted }

// Stream names an output stream.
type Stream string

// The streams.
const (
	Stdout Stream = "stdout"
	Stderr Stream = "stderr"
)

// LogOptions says which lines are wanted.
type LogOptions struct {
	Container string    // empty: all
	Since     time.Time // only lines after this moment; the cursor to resume from
	Tail      int       // only the last Tail lines; 0: all
	Follow    bool
}

// Line is one line that a container wrote, without its newline. Bytes are as
// written, whatever their encoding.
type Line struct {
	Time      time.Time
	Container string
	Stream    Stream
	Text      []byte
	Partial   bool // no newline followed; a backend may give a line of more than 1 MiB in such parts
}

// Sink takes what Collect brings.
type Sink interface {
	// Output is called for each output that exists, with a file or directory on
	// this machine that stays unchanged until the pod is removed. The sink may
	// hard-link what lies there, and must not follow symbolic links out of it.
	Output(name, path string) error
	// Line is called for each line of every container's log, in order.
	Line(Line) error
}

// ExecSpec is a command to run in a container.
type ExecSpec struct {
	Command        []string
	Env            []EnvVar
	TTY            bool
	Resize         <-chan TerminalSize // with TTY: its size, and each one after that; may be nil
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// TerminalSize is that of a terminal, in characters.
type TerminalSize struct{ Width, Height uint }

// Store is what a backend needs of the artifact store: where the object of a
// digest lies on this machine.
type Store interface {
	// Path returns the file or directory of digest; fs.ErrNotExist when the store
	// has none.
	Path(digest string) (string, error)
}

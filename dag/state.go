package dag

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/wherry-ml/wherry/dag/given"
	"github.com/wherry-ml/wherry/runner"
)

// State is where a run or an execution is in its life.
type State string

// The states. SUCCEEDED, FAILED, SKIPPED and CANCELED are ends.
const (
	Pending   State = "PENDING"
	Running   State = "RUNNING"
	Suspended State = "SUSPENDED"
	Succeeded State = "SUCCEEDED"
	Failed    State = "FAILED"
	Skipped   State = "SKIPPED"
	Canceling State = "CANCELING"
	Canceled  State = "CANCELED"
	Lost      State = "LOST" // of an attempt only
)

// Ended reports whether nothing follows s.
func (s State) Ended() bool {
	switch s {
	case Succeeded, Failed, Skipped, Canceled, Lost:
		return true
	}
	return false
}

// Kind is what an execution does.
type Kind string

// The kinds.
const (
	KindContainer Kind = "container"
	KindImporter  Kind = "importer"
	KindTune      Kind = "tune"
	KindDAG       Kind = "dag"
	KindCondition Kind = "condition"
	KindLoop      Kind = "loop"
	KindIteration Kind = "iteration"
)

// Runs reports whether an execution of this kind runs something itself.
func (k Kind) Runs() bool { return k == KindContainer || k == KindImporter || k == KindTune }

// Run is one run of a pipeline.
type Run struct {
	ID         string
	Name       string
	Pipeline   *Pipeline
	Options    RunOptions
	Parameters map[string]any // of the root component, defaults filled in
	State      State
	Error      string
	Created    time.Time
	Started    time.Time
	Ended      time.Time
	Outputs    Values
	Cancel     bool // somebody asked for it
}

// RunOptions are what the person asked for beside the pipeline. They are stored
// with the run, so that resume goes on in the same way.
type RunOptions struct {
	Backend     string             `json:"backend"`
	MaxParallel int                `json:"maxParallel,omitempty"` // 0: as the queue allows
	Cache       CacheMode          `json:"cache,omitempty"`
	Env         []runner.EnvVar    `json:"env,omitempty"`    // of every container
	Mounts      []Mount            `json:"mounts,omitempty"` // in every container
	Secrets     []given.Ref        `json:"secrets,omitempty"`
	ConfigMaps  []given.Ref        `json:"configMaps,omitempty"`
	Workspace   string             `json:"workspace,omitempty"` // path in containers; empty: DefaultWorkspace
	Imports     string             `json:"imports,omitempty"`   // where steps find what was imported from elsewhere; empty: where KFP's code looks, as /s3/…
	Images      map[string]Alias   `json:"images,omitempty"`    // by the name in the file
	Platform    string             `json:"platform,omitempty"`
	Trust       string             `json:"trust,omitempty"` // CA bundle on this machine
	Network     runner.NetworkMode `json:"network,omitempty"`
	Grace       time.Duration      `json:"grace,omitempty"`    // 0: 10 s
	NoLayers    bool               `json:"noLayers,omitempty"` // commands install their packages themselves
	Watch       string             `json:"watch,omitempty"`    // the watch of wherry up that made the run: it alone goes on with it

	// Of single tasks, by path; a loop without [i] means all its iterations.
	NoCache []string `json:"noCache,omitempty"` // run them and what is in them, cached or not
	From    []string `json:"from,omitempty"`    // the same, with all that depends on them
	Only    string   `json:"only,omitempty"`    // run nothing else: the rest is as it was in Base
	Base    string   `json:"base,omitempty"`    // run that From and Only take the other tasks' results from

	// Experiment is the id of the experiment that the run is a trial of; empty: none.
	Experiment string `json:"experiment,omitempty"`
}

// CacheMode overrides what the format says about caching.
type CacheMode string

// The cache modes.
const (
	CacheFormat CacheMode = ""    // as the format says
	CacheOn     CacheMode = "on"  // --cache
	CacheOff    CacheMode = "off" // --no-cache: run everything, still remember the results
)

// Alias is what an image name in a file means on this machine: another name, or
// an image that wherry builds.
type Alias struct {
	Image string            `json:"image,omitempty"`
	Build *runner.BuildSpec `json:"build,omitempty"`
}

// Mount is a directory of this machine in every container.
type Mount struct {
	Source   string `json:"source"` // absolute, on this machine
	Target   string `json:"target"` // absolute, in the container
	ReadOnly bool   `json:"readOnly,omitempty"`
	Live     bool   `json:"live,omitempty"`   // with ReadOnly: mounted as it is, not as a snapshot
	Digest   string `json:"digest,omitempty"` // with ReadOnly: of the snapshot taken when the run was made; with Live: of the list of what was there
}

// Values are parameters and artifacts by name.
type Values struct {
	Parameters map[string]any        `json:"parameters"`
	Artifacts  map[string][]Artifact `json:"artifacts"`
}

// Has reports whether the stored artifact with this id is among the values.
func (v Values) Has(id int64) bool {
	for _, list := range v.Artifacts {
		for _, a := range list {
			if a.ID == id && id != 0 {
				return true
			}
		}
	}
	return false
}

// Artifact is data with a digest and metadata.
type Artifact struct {
	ID       int64          `json:"-"`      // 0: not stored yet
	Name     string         `json:"-"`      // of the output or import that made it
	URI      string         `json:"uri"`    // absolute path, or what the importer was given
	Digest   string         `json:"digest"` // "sha256:…"; empty: the data is not in the store
	Type     string         `json:"type"`   // schema title
	Version  string         `json:"-"`      // schema version
	Metadata map[string]any `json:"metadata"`
	Size     int64          `json:"-"` // bytes
}

// Execution is one task of one run.
type Execution struct {
	ID        int64 // given by the Store when it is first committed
	Run       string
	Parent    int64  // execution of the enclosing graph; 0: the root graph
	Path      string // "for-loop-1[0]/train"
	Task      string // name in the enclosing graph
	Component string
	Kind      Kind
	Iteration int // -1: none
	State     State
	Cached    bool
	Source    int64             // with Cached: the execution that made the outputs; 0: not known
	Reason    string            // why it ran, or did not
	Key       string            // cache key, "sha256:…"; empty: not cacheable
	KeyParts  map[string]string // what the key was made of, by name, for reasons
	Reads     *Reads            // of mounted sources; nil: all that is in them counts
	Inputs    Values
	Outputs   Values
	Error     string
	ExitCode  int
	Created   time.Time
	Started   time.Time
	Ended     time.Time
	Attempts  []*Attempt
	Retries   int // attempts that the retry policy granted after the first
	RetryAt   time.Time
}

// Tries is how often the execution was started. An importer and a tuning step have no
// attempts of their own: nothing of them could be adopted.
func (x *Execution) Tries() int {
	if (x.Kind == KindImporter || x.Kind == KindTune) && !x.Started.IsZero() {
		return 1
	}
	return len(x.Attempts)
}

// Attempt is one try of an execution.
type Attempt struct {
	Number  int64 // 1, 2, …
	Pod     string
	State   State
	Cause   runner.Cause
	Code    int
	Error   string
	Started time.Time
	Ended   time.Time
	Log     string // path of the log file, relative to WHERRY_HOME; set when it was collected
}

// Batch is what one transaction commits: all of it or nothing.
type Batch struct {
	Run        *Run         // nil: unchanged
	Executions []*Execution // new (ID 0) or changed ones; the Store sets ID and each new artifact's ID
	Durable    bool         // an execution's or a run's end: it must survive a power cut
	Epoch      int64        // of the owner of the executions' (or the) run; 0: anybody
}

// Empty reports whether there is nothing to commit.
func (b *Batch) Empty() bool { return b.Run == nil && len(b.Executions) == 0 }

// CacheEntry is a past execution that can stand for a new one.
type CacheEntry struct {
	Execution int64
	Run       string
	Outputs   Values
}

// PastReads is an execution, and what it has read of mounted sources.
type PastReads struct {
	Execution int64
	Run, Key  string
	Sources   []SourceRead
}

// ErrNotFound says that a Store has no such thing.
var ErrNotFound = errors.New("not found")

// TakenOverError says that another driver owns the run now. The one that gets it
// ends, and touches nothing of the run any more.
type TakenOverError struct{ Run string }

func (e *TakenOverError) Error() string {
	return fmt.Sprintf("run %s is driven by another process now", e.Run)
}

// Hint says what to do next.
func (e *TakenOverError) Hint() string { return fmt.Sprintf("wherry logs -f %s follows it", e.Run) }

// Store keeps runs. It is implemented by package sqlite.
type Store interface {
	// Own makes the caller the run's owner, in place of whoever was. ErrNotFound
	// where there is no such run.
	Own(ctx context.Context, run string) (epoch int64, err error)
	// Owns returns a *TakenOverError when the run has an owner after this epoch's.
	Owns(ctx context.Context, run string, epoch int64) error
	// CreateRun stores a new run with its pipeline and options.
	CreateRun(ctx context.Context, r *Run) error
	// LoadRun returns a run and its executions in the order of their ids, with
	// attempts and values. ErrNotFound where there is none.
	LoadRun(ctx context.Context, id string) (*Run, []*Execution, error)
	// Commit writes b in one transaction. An execution that becomes SUCCEEDED
	// with a Key and without Cached becomes a cache entry, its Reads are kept beside
	// it; its inputs and outputs become events. A batch with the Epoch of an earlier
	// owner is refused with a *TakenOverError.
	Commit(ctx context.Context, b *Batch) error
	// LookupCache returns the newest entry of key, or ErrNotFound, and notes that
	// it was used.
	LookupCache(ctx context.Context, key string) (*CacheEntry, error)
	// PastReads returns the newest executions with the Reads.Base base, the newest
	// first, few of them.
	PastReads(ctx context.Context, base string) ([]PastReads, error)
	// LastKeyParts returns what the key of the newest execution of this pipeline
	// and path was made of; ErrNotFound where there is none.
	LastKeyParts(ctx context.Context, pipeline, path string) (map[string]string, error)
	// ArtifactsAt returns the newest artifacts with a URI, the last first.
	ArtifactsAt(ctx context.Context, uri string) ([]Artifact, error)
	// CancelRequested reports whether somebody asked to cancel the run.
	CancelRequested(ctx context.Context, run string) (bool, error)
}

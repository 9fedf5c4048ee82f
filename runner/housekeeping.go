package runner

import (
	"context"
	"time"
)

// HoldingKind is what a Holding is.
type HoldingKind string

// The kinds of holdings.
const (
	HoldingImage       HoldingKind = "image"       // built from a folder or by a layer
	HoldingVolume      HoldingKind = "volume"      // Volume.Named of this home
	HoldingCache       HoldingKind = "cache"       // what pip has downloaded, for all homes
	HoldingBuild       HoldingKind = "build"       // what a build of this home left that nobody goes on with
	HoldingEnvironment HoldingKind = "environment" // Python environment of host processes
)

// Holding is something that a backend keeps for longer than a pod.
type Holding struct {
	Kind  HoldingKind
	ID    string    // for Discard
	Name  string    // for people; of a volume Volume.Named
	Bytes int64     // on the disk, without what others share; -1: not known
	Used  time.Time // the last time, as far as it is known; zero: it is not
	Own   bool      // this home was the last that used it
	Busy  bool      // something that runs or exists has it in use now
}

// Housekeeper is a backend that says what it keeps for longer than a pod, and can
// remove it.
type Housekeeper interface {
	// Holdings lists what wherry has made. What is on an engine and can serve several
	// homes is listed for all. With sizes it measures them, which may take seconds.
	Holdings(ctx context.Context, sizes bool) ([]Holding, error)

	// Discard removes a holding. One that is gone is no error; one that is in use,
	// or was used after h.Used, stays: false.
	Discard(ctx context.Context, h Holding) (bool, error)
}

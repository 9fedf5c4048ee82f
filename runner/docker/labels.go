package docker

// Labels of this package, beside those of runner/labels.go: what is needed to
// tell how a pod ended, and to go on with it after a crash.
const (
	labelContainer  = "dev.wherry.container"  // Container.Name; holders have none
	labelRole       = "dev.wherry.role"       // roleHolder, roleMain, roleInit, roleSidecar
	labelMulti      = "dev.wherry.multi"      // "true" where a pod has a holder
	labelCount      = "dev.wherry.containers" // how many the pod has, without the holder
	labelOrder      = "dev.wherry.order"      // place among the pod's containers: 0, 1, …
	labelAfter      = "dev.wherry.after"      // names, separated by commas
	labelDeadline   = "dev.wherry.deadline"   // time.Duration of the pod
	labelGrace      = "dev.wherry.grace"      // time.Duration of the pod
	labelFailFast   = "dev.wherry.fail-fast"  // "true": a main container that fails has the others stopped
	labelGang       = "dev.wherry.gang"       // Network.Gang
	labelInstance   = "dev.wherry.instance"   // which life of the engine created it
	labelDerivation = "dev.wherry.derivation" // of an image that we built
	labelLayer      = "dev.wherry.layer"      // of a container that installs a layer: the derivation
	labelInstalled  = "dev.wherry.installed"  // of an image with a layer: the digest of all packages and versions in it
	labelLayerHome  = "dev.wherry.layer-home" // of such a container: the home; not labelHome, for it is no pod
)

// Values of labelRole.
const (
	roleHolder  = "holder"
	roleMain    = "main"
	roleInit    = "init"
	roleSidecar = "sidecar"
)

package runner

import "fmt"

// Labels that every object on an engine carries. They are enough to rebuild
// what runs after a crash.
const (
	LabelHome      = "dev.wherry.home"      // HomeID of the WHERRY_HOME that owns it
	LabelPod       = "dev.wherry.pod"       // Pod.Name
	LabelRun       = "dev.wherry.run"       // run id
	LabelExecution = "dev.wherry.execution" // execution id
	LabelAttempt   = "dev.wherry.attempt"   // 1, 2, …
	LabelDebug     = "dev.wherry.debug"     // id of the session that a pod is for, instead of run, execution and attempt
)

// PodName is the name of the pod that runs one attempt of an execution. home is
// the short id of WHERRY_HOME.
func PodName(home, run string, execution, attempt int64) string {
	return fmt.Sprintf("wherry-%s-%s-%d-%d", home, run, execution, attempt)
}

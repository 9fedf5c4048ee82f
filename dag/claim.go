package dag

import (
	"errors"
	"fmt"
	"time"

	"github.com/wherry-ml/wherry/runner"
)

// claim makes or deletes the volume of a claim. It runs no container, is never
// cached, and can be repeated after a crash.
func (d *drive) claim(n *node) {
	n.exec.State = Running
	if n.exec.Started.IsZero() {
		n.exec.Started = time.Now()
	}
	n.exec.Reason = "claims are always looked after"
	n.phase = phaseLive
	d.change(n)
	name, err := n.claimName(d.run)
	if err != nil {
		d.failWith(n, err)
		return
	}
	if !n.comp.Claim.Delete { // the backend makes the volume for the first pod that mounts it
		n.exec.Outputs = Values{Parameters: map[string]any{}, Artifacts: map[string][]Artifact{}}
		for output := range n.comp.Outputs.Parameters {
			n.exec.Outputs.Parameters[output] = name
		}
		d.end(n, Succeeded, "")
		return
	}
	remover, ok := d.Backend.(runner.VolumeRemover)
	if !ok {
		d.failWith(n, fmt.Errorf("the %s backend can't delete claims", d.Backend.Features().Name))
		return
	}
	d.after(func() {
		d.spawn(func() func() {
			err := d.removeVolume(remover, volumeName(d.HomeID, "claim", name))
			return func() {
				if n.exec.State.Ended() {
					return
				}
				if err != nil {
					d.failWith(n, fmt.Errorf("delete claim %q: %w", name, err))
					return
				}
				d.end(n, Succeeded, "")
			}
		})
	})
}

// removeVolume removes a volume. The pods that used it may not be gone yet.
func (d *drive) removeVolume(remover runner.VolumeRemover, name string) error {
	deadline := time.Now().Add(d.patience())
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		err := remover.RemoveVolume(d.ops, name)
		if err == nil || time.Now().After(deadline) {
			return err
		}
		select {
		case <-d.ops.Done():
			return err
		case <-time.After(pause):
		}
	}
}

// claimName is the name of the claim that the task makes or deletes. One that is not
// named gets a name of the run and execution, which a second try finds again.
func (n *node) claimName(run *Run) (string, error) {
	text := func(input string) string {
		x := n.exec.Inputs.Parameters[input]
		if x == nil {
			return ""
		}
		return FormatValue(x)
	}
	name, suffix := text("pvc_name"), text("pvc_name_suffix")
	switch {
	case n.comp.Claim.Delete && name == "":
		return "", errors.New("it names no claim to delete (pvc_name)")
	case name != "" && suffix != "":
		return "", errors.New("a claim has a pvc_name or a pvc_name_suffix, not both")
	case text("data_source") != "":
		return "", errors.New("a claim can't be made as the copy of another (data_source)")
	case name == "":
		name = fmt.Sprintf("%s-%d%s", run.ID, n.exec.ID, suffix)
	}
	if !claimName.MatchString(name) {
		return "", fmt.Errorf("%q can't be the name of a claim", name)
	}
	return name, nil
}

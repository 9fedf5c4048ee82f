package dag

import "fmt"

// Evaluator evaluates the expressions of one language. It is pure, and bounded in
// time and memory.
type Evaluator interface {
	// Condition returns whether text holds for a task with these input parameters.
	Condition(text string, inputs map[string]any) (bool, error)
	// Select returns the part of value that text names.
	Select(text string, value any) (any, error)
}

// setting is what all scopes of one drive share.
type setting struct {
	run        *Run
	evaluators map[string]Evaluator // by Expression.Language
}

func (c *setting) evaluator(e *Expression) (Evaluator, error) {
	ev, ok := c.evaluators[e.Language]
	if !ok {
		return nil, fmt.Errorf("no evaluator for %s expressions", e.Language)
	}
	return ev, nil
}

// holds reports whether a task's condition holds for its inputs.
func (c *setting) holds(e *Expression, inputs Values) (bool, error) {
	ev, err := c.evaluator(e)
	if err != nil {
		return false, err
	}
	ok, err := ev.Condition(e.Text, inputs.Parameters)
	if err != nil {
		return false, fmt.Errorf("condition %s: %w", clip(e.Text, 120), err)
	}
	return ok, nil
}

func (c *setting) choose(e *Expression, value any) (any, error) {
	ev, err := c.evaluator(e)
	if err != nil {
		return nil, err
	}
	x, err := ev.Select(e.Text, value)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", clip(e.Text, 120), err)
	}
	return x, nil
}

// finalStatus is KFP's PipelineTaskFinalStatus of an ended task. Its state is
// COMPLETE where ours is SUCCEEDED, as in the backend.
func (c *setting) finalStatus(x *Execution) map[string]any {
	state := string(x.State)
	if x.State == Succeeded {
		state = "COMPLETE"
	}
	status := map[string]any{
		"state":                   state,
		"pipelineJobResourceName": c.resourceName(),
		"pipelineTaskName":        x.Task,
	}
	if x.Error != "" {
		status["error"] = map[string]any{"code": int64(max(1, x.ExitCode)), "message": x.Error}
	}
	return status
}

func (c *setting) resourceName() string { return c.run.Pipeline.Name + "-" + c.run.ID }

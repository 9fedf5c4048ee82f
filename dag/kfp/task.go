package kfp

import (
	"fmt"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/dag/cel"
)

// taskTranslator carries the translation of one task.
type taskTranslator struct {
	*translator
	about   string // "task \"train\""
	spec    *taskSpec
	callee  *componentSpec
	item    string          // input that receives the iterator's item
	mention map[string]bool // inputs that others take their value from
}

func (t *translator) task(c *dag.Component, siblings *dict[taskSpec], e *entry[taskSpec]) (*dag.Task, error) {
	tt := &taskTranslator{translator: t, spec: &e.Value, mention: map[string]bool{}}
	tt.about = fmt.Sprintf("task %q", e.Name)
	if err := tt.resolve(); err != nil {
		return nil, err
	}
	task := &dag.Task{Name: e.Name, DisplayName: tt.spec.TaskInfo.Name,
		Component: tt.spec.ComponentRef.Name.Value, Pos: e.Pos,
		Cache: tt.spec.CachingOptions.EnableCache, CacheKey: tt.spec.CachingOptions.CacheKey}
	if task.DisplayName == task.Name {
		task.DisplayName = ""
	}
	for _, step := range []func(*dag.Task) error{tt.iterator, tt.parameters, tt.artifacts, tt.retry} {
		if err := step(task); err != nil {
			return nil, err
		}
	}
	if when := tt.spec.TriggerPolicy.Condition; when.Value != "" {
		if err := tt.checkExpression("condition", when, cel.CheckCondition); err != nil {
			return nil, err
		}
		task.When = &dag.Expression{Language: "cel", Text: when.Value, Pos: when.Pos}
	}
	return task, tt.needs(task, siblings)
}

// resolve finds the component that the task runs.
func (t *taskTranslator) resolve() error {
	name := t.spec.ComponentRef.Name
	if name.Value == "" {
		return t.errorf(t.spec.Pos, "%s has no componentRef", t.about)
	}
	e := t.translator.spec.Components.get(name.Value)
	if e == nil {
		return t.unknown(name, "component", t.about, t.translator.spec.Components.names())
	}
	t.callee = &e.Value
	return nil
}

func (t *taskTranslator) iterator(task *dag.Task) error {
	p, a := t.spec.ParameterIterator, t.spec.ArtifactIterator
	switch {
	case p != nil && a != nil:
		return t.errorf(a.Pos, "%s has two iterators", t.about)
	case p != nil:
		task.Iterate = &dag.Iterator{Input: p.ItemInput.Value}
		if p.Items.Raw != nil && p.Items.InputParameter == nil {
			items, err := dag.ParseJSON([]byte(p.Items.Raw.Value))
			if _, ok := items.([]any); err != nil || !ok {
				return t.errorf(p.Items.Raw.Pos, "%s: items.raw is not a JSON list", t.about)
			}
			if task.Iterate.Items, err = t.value(items, p.Items.Raw.Pos); err != nil {
				return err
			}
			break
		}
		if p.Items.InputParameter == nil || p.Items.Raw != nil {
			return t.errorf(p.Pos, "%s: items needs exactly one of raw and inputParameter", t.about)
		}
		src, err := t.input(*p.Items.InputParameter)
		if err != nil {
			return err
		}
		task.Iterate.Items = src
	case a != nil:
		e := t.spec.Inputs.Artifacts.get(a.Items.InputArtifact.Value)
		if e == nil {
			return t.unknown(a.Items.InputArtifact, "input artifact", t.about, t.spec.Inputs.Artifacts.names())
		}
		src, err := t.artifact(&e.Value)
		if err != nil {
			return err
		}
		t.mention[e.Name] = true
		task.Iterate = &dag.Iterator{Items: src, Input: a.ItemInput.Value, Artifact: true}
	default:
		return nil
	}
	if task.Iterate.Input == "" {
		return t.errorf(t.spec.Pos, "%s: its iterator has no itemInput", t.about)
	}
	t.item = task.Iterate.Input
	task.Iterate.Parallelism = t.spec.IteratorPolicy.ParallelismLimit
	return nil
}

// input returns the source of another input of this task.
func (t *taskTranslator) input(name text) (*dag.Source, error) {
	e := t.spec.Inputs.Parameters.get(name.Value)
	if e == nil {
		return nil, t.unknown(name, "input parameter", t.about, t.spec.Inputs.Parameters.names())
	}
	t.mention[name.Value] = true
	if v := e.Value.RuntimeValue; v != nil && refers(v.get(), t.known) {
		return nil, t.errorf(v.Pos, "%s: input %q holds placeholders, and another input refers to it",
			t.about, name.Value)
	}
	if v := e.Value.RuntimeValue; v != nil {
		if t.copied += size(v.get()); t.copied > maxCopied {
			return nil, t.errorf(name.Pos, "placeholders copy constants to more than %d MiB", maxCopied>>20)
		}
	}
	return t.parameter(e)
}

func (t *taskTranslator) parameters(task *dag.Task) error {
	for i := range t.spec.Inputs.Parameters.Items {
		e := &t.spec.Inputs.Parameters.Items[i]
		src, err := t.parameter(e)
		if err != nil {
			return err
		}
		if !t.repeatsResource(e) {
			put(&task.Parameters, e.Name, src)
		}
	}
	// The compiler gives a task inputs that its component doesn't have, for the
	// placeholders in its constants and for its iterator. They stand where they
	// are mentioned.
	for name := range t.mention {
		if t.callee.InputDefinitions.Parameters.get(name) == nil && !t.implicit(t.callee)[name] {
			delete(task.Parameters, name)
		}
	}
	return nil
}

// repeatsResource reports whether the input is one that the compiler adds, under
// a name like cpu_limit that nothing reads, for a resource figure that it also
// gives to the executor as an undeclared input.
func (t *taskTranslator) repeatsResource(e *entry[taskInputParameter]) bool {
	if e.Value.RuntimeValue == nil || t.callee.InputDefinitions.Parameters.get(e.Name) != nil {
		return false
	}
	s, _ := e.Value.RuntimeValue.get().(string)
	ref, ok := parsePlaceholder(s)
	return ok && ref.Kind == dag.RefInputValue && t.implicit(t.callee)[ref.Name]
}

func (t *taskTranslator) artifacts(task *dag.Task) error {
	for i := range t.spec.Inputs.Artifacts.Items {
		e := &t.spec.Inputs.Artifacts.Items[i]
		src, err := t.artifact(&e.Value)
		if err != nil {
			return err
		}
		if !t.mention[e.Name] || t.callee.InputDefinitions.Artifacts.get(e.Name) != nil {
			put(&task.Artifacts, e.Name, src)
		}
	}
	return nil
}

func (t *taskTranslator) artifact(spec *taskInputArtifact) (*dag.Source, error) {
	o, in := spec.TaskOutputArtifact, spec.ComponentInputArtifact
	switch {
	case o != nil && in == nil:
		if o.ProducerTask.Value == "" || o.OutputArtifactKey.Value == "" {
			return nil, t.errorf(spec.Pos, "%s: taskOutputArtifact needs producerTask and outputArtifactKey", t.about)
		}
		return &dag.Source{Task: o.ProducerTask.Value, Output: o.OutputArtifactKey.Value, Pos: o.ProducerTask.Pos}, nil
	case in != nil && o == nil:
		return &dag.Source{Input: in.Value, Pos: in.Pos}, nil
	}
	return nil, t.errorf(spec.Pos, "%s: an input artifact needs exactly one of taskOutputArtifact and componentInputArtifact", t.about)
}

// retry follows the backend: it hands the policy to Argo, whose default is to
// retry on failure, and whose maxDuration counts from the first start.
func (t *taskTranslator) retry(task *dag.Task) error {
	p := t.spec.RetryPolicy
	if p == nil {
		return nil
	}
	r := &dag.Retry{Limit: p.MaxRetryCount, Factor: p.BackoffFactor}
	if r.Limit < 0 || r.Factor < 0 {
		return t.errorf(p.At["maxRetryCount"], "%s: a retry policy has no negative figures", t.about)
	}
	var err error
	if d := p.BackoffDuration; d.Value != "" {
		if r.Backoff, err = parseDuration(d.Value); err != nil {
			return t.errorf(d.Pos, "%s: backoffDuration %s", t.about, err)
		}
	}
	if d := p.BackoffMaxDuration; d.Value != "" {
		if r.MaxDuration, err = parseDuration(d.Value); err != nil {
			return t.errorf(d.Pos, "%s: backoffMaxDuration %s", t.about, err)
		}
	}
	if r.Limit > 0 {
		task.Retry = r
	}
	return nil
}

// needs gathers the edges: dependentTasks and the producers of the inputs.
func (t *taskTranslator) needs(task *dag.Task, siblings *dict[taskSpec]) error {
	on := dag.OnSuccess
	switch s := t.spec.TriggerPolicy.Strategy; s.Value {
	case "", "TRIGGER_STRATEGY_UNSPECIFIED", "ALL_UPSTREAM_TASKS_SUCCEEDED":
	case "ALL_UPSTREAM_TASKS_COMPLETED":
		on = dag.OnEnd
	default:
		return t.unknown(s, "strategy", t.about, []string{"ALL_UPSTREAM_TASKS_SUCCEEDED", "ALL_UPSTREAM_TASKS_COMPLETED"})
	}
	seen := map[string]bool{}
	add := func(name string, on dag.Predicate) {
		if name != "" && !seen[name] {
			seen[name] = true
			task.Needs = append(task.Needs, dag.Edge{Task: name, On: on})
		}
	}
	for _, d := range t.spec.DependentTasks {
		if siblings.get(d.Value) == nil {
			return t.unknown(d, "task", t.about, siblings.names())
		}
		add(d.Value, on)
	}
	eachSource(task, func(src *dag.Source) {
		add(src.Task, on)
		add(src.Status, dag.OnEnd)
	})
	return nil
}

// eachSource calls f for every source of the task's values, in a fixed order.
func eachSource(task *dag.Task, f func(*dag.Source)) {
	var walk func(*dag.Source)
	walk = func(src *dag.Source) {
		f(src)
		for _, list := range [][]*dag.Source{src.Concat, src.List} {
			for _, s := range list {
				walk(s)
			}
		}
		for _, fields := range []map[string]*dag.Source{src.Fields, src.Keys} {
			for _, name := range keys(fields) {
				walk(fields[name])
			}
		}
	}
	if task.Iterate != nil {
		walk(task.Iterate.Items)
	}
	for _, sources := range []map[string]*dag.Source{task.Parameters, task.Artifacts} {
		for _, name := range keys(sources) {
			walk(sources[name])
		}
	}
}

func count(conditions ...bool) int {
	n := 0
	for _, c := range conditions {
		if c {
			n++
		}
	}
	return n
}

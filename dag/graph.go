package dag

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/wherry-ml/wherry/runner"
)

// node is one execution with what it belongs to. The driver's loop owns it.
type node struct {
	exec    *Execution
	task    *Task
	comp    *Component
	parent  *scope // the graph that it is a task of
	inner   *scope // of a graph or loop that has started
	ident   string // see identity; once it was asked for
	phase   phase
	image   []resolved       // of each container, once known
	looked  time.Time        // when its images were first looked for
	lost    int              // attempts lost in a row
	waits   string           // what it waits for, for people
	live    bool             // an attempt of it has a goroutine
	begun   bool             // its pod has started under a driver before: it has its secrets
	request runner.Resources // of the queue
	// stopSearch ends the search of a tuning step that is under way, for a cause.
	stopSearch context.CancelCauseFunc

	offer *offered     // to the run that replaces this one; nil: to none
	views *sharedViews // of the attempt that runs
}

// phase is where a node stands between two states. It is derived again after a
// crash, and therefore not stored.
type phase int

const (
	phaseIdle      phase = iota // waits for other tasks
	phaseResolving              // waits for its image
	phaseWaiting                // waits for the queue
	phaseLive                   // an attempt runs
	phaseBackoff                // waits until the next attempt
)

// scope is a graph or a loop that has started: the tasks of one execution of a
// graph component, or the iterations of a task.
type scope struct {
	*setting
	loop       *loop // the tasks are the iterations of a loop; nil: those of a graph
	owner      *node // nil: the root
	comp       *Component
	inputs     Values
	nodes      map[string]*node
	order      []*node // topological
	dependents map[string][]*node
	open       int // tasks that have not ended
	failed     int // tasks that have failed
}

// newScope makes the scope of a graph component with a PENDING execution for
// each task.
func newScope(c *setting, owner *node, comp *Component, inputs Values) *scope {
	s := &scope{setting: c, owner: owner, comp: comp, inputs: inputs, nodes: map[string]*node{}, dependents: map[string][]*node{}}
	for _, t := range topological(comp.Graph) {
		target := c.run.Pipeline.Components[t.Component]
		n := &node{task: t, comp: target, parent: s, exec: &Execution{
			Path: s.path(t.Name), Task: t.Name, Component: t.Component, Kind: kindOf(t, target), Iteration: -1, State: Pending,
		}}
		s.nodes[t.Name] = n
		s.order = append(s.order, n)
		for _, dep := range t.dependencies() {
			s.dependents[dep] = append(s.dependents[dep], n)
		}
	}
	s.open = len(s.order)
	return s
}

// ended counts a task that has ended.
func (s *scope) ended(state State) {
	s.open--
	if state == Failed {
		s.failed++
	}
}

func (s *scope) path(task string) string {
	if s.owner == nil {
		return task
	}
	return s.owner.exec.Path + "/" + task
}

func kindOf(t *Task, c *Component) Kind {
	switch {
	case t.Iterate != nil:
		return KindLoop
	case c.Importer != nil:
		return KindImporter
	case c.Tune != nil:
		return KindTune
	case c.Graph == nil:
		return KindContainer
	case t.When != nil:
		return KindCondition
	}
	return KindDAG
}

// topological returns the tasks so that each comes after those it waits for;
// otherwise in the order of the file, then by name.
func topological(g *Graph) []*Task {
	tasks := make([]*Task, 0, len(g.Tasks))
	for _, t := range g.Tasks {
		tasks = append(tasks, t)
	}
	slices.SortFunc(tasks, func(a, b *Task) int {
		return cmp.Or(cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Col, b.Pos.Col), cmp.Compare(a.Name, b.Name))
	})
	out := make([]*Task, 0, len(tasks))
	done := map[string]bool{}
	var visit func(t *Task)
	visit = func(t *Task) {
		if done[t.Name] {
			return
		}
		done[t.Name] = true
		for _, dep := range t.dependencies() {
			visit(g.Tasks[dep])
		}
		out = append(out, t)
	}
	for _, t := range tasks {
		visit(t)
	}
	return out
}

// verdict is what follows for a PENDING task from the states of those it waits for.
type verdict int

const (
	wait verdict = iota
	ready
	skip
)

// verdict decides about n, and says why it is skipped. It is pure: the same
// states give the same answer, live, after a crash and in a dry run.
func (s *scope) verdict(n *node) (verdict, string) {
	if s.loop != nil {
		return ready, ""
	}
	result := ready
	for _, e := range n.task.edges() {
		producer := s.nodes[e.Task].exec
		switch {
		case !producer.State.Ended():
			result = wait
		case !e.On.holds(producer.State):
			return skip, fmt.Sprintf("%s %s", e.Task, stateWord(producer.State))
		}
	}
	if s.comp.Graph.FailFast && s.failed > 0 && result == ready && !n.task.afterFailure() {
		for _, sibling := range s.order {
			if sibling.exec.State == Failed {
				return skip, fmt.Sprintf("%s failed, and the graph stops at the first failure", sibling.task.Name)
			}
		}
	}
	return result, ""
}

// afterFailure reports whether the task is there for what has gone wrong: an exit
// handler.
func (t *Task) afterFailure() bool {
	return slices.ContainsFunc(t.Needs, func(e Edge) bool { return e.On == OnEnd || e.On == OnFailure })
}

// edges returns the task's edges: those that it names, and an OnSuccess one for
// each producer of an input that it does not name.
func (t *Task) edges() []Edge {
	edges := slices.Clone(t.Needs)
	for _, dep := range t.dependencies() {
		if !slices.ContainsFunc(t.Needs, func(e Edge) bool { return e.Task == dep }) {
			edges = append(edges, Edge{Task: dep})
		}
	}
	return edges
}

// holds reports whether the end of a producer satisfies the predicate.
func (p Predicate) holds(s State) bool {
	switch p {
	case OnEnd:
		return true
	case OnDone:
		return s == Succeeded || s == Skipped
	case OnFailure:
		return s == Failed
	}
	return s == Succeeded
}

func stateWord(s State) string {
	switch s {
	case Failed:
		return "failed"
	case Skipped:
		return "was skipped"
	case Canceled:
		return "was canceled"
	}
	return "ended " + string(s)
}

// result is the state that the scope's graph ends with, and why.
func (s *scope) result() (State, string) {
	if s.loop != nil {
		return s.loopResult()
	}
	state, why := Succeeded, ""
	for _, n := range s.order {
		switch {
		case n.canceled():
			return Canceled, canceledReason
		case n.exec.State == Failed:
			if state == Succeeded {
				state, why = Failed, fmt.Sprintf("task %q failed: %s", n.task.Name, n.exec.Error)
			}
		}
	}
	return state, why
}

// canceled reports whether a cancelation ended the execution, or kept it from
// starting.
func (n *node) canceled() bool {
	return n.exec.State == Canceled || n.exec.State == Skipped && n.exec.Reason == canceledReason
}

package dag

import "fmt"

// Plan is what a run would do, as far as the file alone says it.
type Plan struct {
	Pipeline   string         `json:"pipeline"`
	Parameters map[string]any `json:"parameters"`
	Tasks      []PlannedTask  `json:"tasks"`
	Notes      []string       `json:"notes"`
}

// PlannedTask is a task of a Plan.
type PlannedTask struct {
	Path      string   `json:"path"`
	Kind      Kind     `json:"kind"`
	Component string   `json:"component"`
	Image     string   `json:"image,omitempty"` // of its first container, as the file names it
	Command   []string `json:"command,omitempty"`
	After     []string `json:"after"`
	Cache     bool     `json:"cache"`
	When      string   `json:"when,omitempty"`  // the condition of a task that has one
	Items     string   `json:"items,omitempty"` // what a loop iterates over
}

// maxPlanned bounds a plan: graphs of graphs can multiply.
const maxPlanned = 100_000

// NewPlan returns the plan of a run in the order in which its tasks can start. It
// is pure.
func NewPlan(run *Run) *Plan {
	p := &Plan{Pipeline: run.Pipeline.Name, Parameters: run.Parameters, Tasks: []PlannedTask{}, Notes: run.Pipeline.Notes}
	if p.Notes == nil {
		p.Notes = []string{}
	}
	steering := readSteering(run.Options)
	var visit func(c *Component, prefix string, depth int, anew bool)
	visit = func(c *Component, prefix string, depth int, anew bool) {
		for _, t := range topological(c.Graph) {
			if len(p.Tasks) >= maxPlanned || depth > 100 {
				return
			}
			target := run.Pipeline.Components[t.Component]
			anew := anew || steering.planned(c.Graph, prefix, t.Name)
			p.Tasks = append(p.Tasks, planned(run, t, target, prefix, anew))
			if target.Graph != nil {
				inside := prefix + t.Name
				if t.Iterate != nil {
					inside += "[*]"
				}
				visit(target, inside+"/", depth+1, anew)
			}
		}
	}
	visit(run.Pipeline.Components[run.Pipeline.Root], "", 0, false)
	return p
}

func planned(run *Run, t *Task, c *Component, prefix string, anew bool) PlannedTask {
	out := PlannedTask{Path: prefix + t.Name, Kind: kindOf(t, c), Component: t.Component, After: t.dependencies(), Cache: t.Cache}
	if t.When != nil {
		out.When = t.When.Text
	}
	if t.Iterate != nil {
		out.Items = t.Iterate.Items.describe()
	}
	switch run.Options.Cache {
	case CacheOn:
		out.Cache = true
	case CacheOff:
		out.Cache = false
	}
	out.Cache = out.Cache && !anew
	if c.Tune != nil {
		out.Image, out.Command = c.Tune.Image, plain(c.Tune.Args)
	}
	if c.Pod != nil {
		first := c.Pod.Containers[0]
		out.Image = plain([]Arg{{Text: first.Image}})[0]
		out.Command = append(plain(first.Command), plain(first.Args)...)
	}
	return out
}

// describe says for people where a loop's items come from.
func (s *Source) describe() string {
	switch {
	case s.Constant != nil:
		if list, ok := s.Constant.Value.([]any); ok {
			return fmt.Sprintf("%d items", len(list))
		}
	case s.List != nil:
		return fmt.Sprintf("%d items", len(s.List))
	case s.Input != "":
		return "input " + s.Input
	case s.Task != "":
		return s.Task + "." + s.Output
	}
	return "known when it starts"
}

package main

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/sqlite"
)

type lineageFlags struct {
	direction string
	depth     int
}

func newLineageCmd(g *globals) *cobra.Command {
	var f lineageFlags
	cmd := &cobra.Command{
		Use:   "lineage REF",
		Short: "Show what an artifact was made from, and what was made from it",
		Long: `Lineage takes an artifact (its id, digest, place, or RUN/TASK/OUTPUT), a task
(RUN/TASK) or a run, and shows the tasks and artifacts that it came from.`,
		Example: `  wherry lineage last/model-training/model
  wherry lineage sha256:3fd9 --direction both -o json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.lineage(cmd.Context(), args[0], f)
		},
	}
	cmd.Flags().StringVar(&f.direction, "direction", "up", "`WHERE` to look: up, down or both")
	cmd.Flags().IntVar(&f.depth, "depth", 20, "at most `N` tasks away")
	return cmd
}

func (g *globals) lineage(ctx context.Context, ref string, f lineageFlags) error {
	direction := sqlite.Direction(f.direction)
	if direction != sqlite.Up && direction != sqlite.Down && direction != sqlite.Both {
		return &usageError{msg: fmt.Sprintf("unknown direction %q", f.direction), mend: "--direction up, down or both"}
	}
	db, err := g.database(ctx)
	if err != nil {
		return err
	}
	starts, err := g.lineageStarts(ctx, db, ref)
	if err != nil {
		return err
	}
	whole := mergedGraph{artifacts: map[int64]sqlite.LineageArtifact{}, executions: map[int64]sqlite.LineageExecution{}, edges: map[sqlite.Edge]bool{}}
	for _, a := range starts {
		graph, err := db.Lineage(ctx, a, direction, f.depth)
		if err != nil {
			return err
		}
		whole.add(graph)
	}
	if g.structured() {
		return g.printDocument(whole.items())
	}
	for _, a := range starts {
		whole.print(g, a, direction)
	}
	return nil
}

// lineageStarts returns the artifacts that ref names: itself, or what a task or
// the last tasks of a run wrote.
func (g *globals) lineageStarts(ctx context.Context, db *sqlite.DB, ref string) ([]int64, error) {
	if a, err := db.FindArtifact(ctx, ref); err == nil {
		return []int64{a.ID}, nil
	} else if !errors.Is(err, dag.ErrNotFound) && !is[*sqlite.AmbiguousError](err) {
		return nil, err
	}
	run, executions, task, err := g.findWork(ctx, db, ref)
	if err != nil {
		return nil, err
	}
	used := map[int64]bool{} // by a task that made something of it
	var all []int64
	for _, x := range executions {
		if task != nil && x != task || task == nil && !x.Kind.Runs() {
			continue
		}
		made := madeBy(x)
		all = append(all, made...)
		for _, list := range x.Inputs.Artifacts {
			for _, a := range list {
				used[a.ID] = used[a.ID] || len(made) > 0
			}
		}
	}
	var starts []int64
	for _, a := range all {
		if task != nil || !used[a] {
			starts = append(starts, a)
		}
	}
	if len(starts) == 0 {
		return nil, &usageError{msg: fmt.Sprintf("%q wrote no artifacts", ref), mend: "wherry get artifacts " + run.ID}
	}
	return starts, nil
}

// madeBy returns the artifacts that an execution made; what it handed on as it
// came is not among them.
func madeBy(x *dag.Execution) []int64 {
	var made []int64
	for _, name := range sortedNames(x.Outputs.Artifacts) {
		for _, a := range x.Outputs.Artifacts[name] {
			if !x.Inputs.Has(a.ID) {
				made = append(made, a.ID)
			}
		}
	}
	return made
}

// mergedGraph is the lineage of several artifacts together.
type mergedGraph struct {
	artifacts  map[int64]sqlite.LineageArtifact
	executions map[int64]sqlite.LineageExecution
	edges      map[sqlite.Edge]bool
	truncated  bool
}

func (m *mergedGraph) add(g *sqlite.Graph) {
	for _, a := range g.Artifacts {
		m.artifacts[a.ID] = a
	}
	for _, x := range g.Executions {
		m.executions[x.ID] = x
	}
	read := map[[2]int64]bool{}
	for _, e := range g.Edges {
		if !e.Output {
			read[[2]int64{e.Execution, e.Artifact}] = true
		}
	}
	for _, e := range g.Edges {
		if !e.Output || !read[[2]int64{e.Execution, e.Artifact}] { // what was handed on as it came was not made
			m.edges[e] = true
		}
	}
	m.truncated = m.truncated || g.Truncated
}

func (m *mergedGraph) sortedEdges() []sqlite.Edge {
	edges := make([]sqlite.Edge, 0, len(m.edges))
	for e := range m.edges {
		edges = append(edges, e)
	}
	sort.Slice(edges, func(i, j int) bool {
		a, b := edges[i], edges[j]
		if a.Execution != b.Execution {
			return a.Execution < b.Execution
		}
		return a.Name < b.Name || a.Name == b.Name && a.Artifact < b.Artifact
	})
	return edges
}

func (m *mergedGraph) items() map[string]any {
	artifacts, executions, events := []any{}, []any{}, []any{}
	for _, id := range sortedIDs(m.artifacts) {
		a := m.artifacts[id]
		artifacts = append(artifacts, map[string]any{"id": a.ID, "uri": a.URI, "digest": a.Digest, "type": a.Type, "metadata": nonNil(a.Metadata)})
	}
	for _, id := range sortedIDs(m.executions) {
		x := m.executions[id]
		executions = append(executions, map[string]any{
			"id": x.ID, "run": x.Run, "runName": x.RunName, "pipeline": x.Pipeline, "task": x.Path, "state": x.State, "cached": x.Cached,
			"started": rfc3339(x.Started), "ended": rfc3339(x.Ended),
		})
	}
	for _, e := range m.sortedEdges() {
		direction := "input"
		if e.Output {
			direction = "output"
		}
		events = append(events, map[string]any{"execution": e.Execution, "artifact": e.Artifact, "direction": direction, "name": e.Name})
	}
	return map[string]any{"artifacts": artifacts, "executions": executions, "events": events, "truncated": m.truncated}
}

func sortedIDs[V any](m map[int64]V) []int64 {
	ids := make([]int64, 0, len(m))
	for id := range m {
		ids = append(ids, id)
	}
	sort.Slice(ids, func(i, j int) bool { return ids[i] < ids[j] })
	return ids
}

// print prints the tree above (and below) an artifact.
func (m *mergedGraph) print(g *globals, artifact int64, direction sqlite.Direction) {
	edges := m.sortedEdges()
	if direction != sqlite.Down {
		m.tree(g, edges, artifact, true, "", map[int64]bool{})
	}
	if direction == sqlite.Both {
		fmt.Fprintln(g.Out, "used by")
	}
	if direction != sqlite.Up {
		m.tree(g, edges, artifact, false, "", map[int64]bool{})
	}
	if m.truncated {
		g.note("there is more; --depth limits how far it goes")
	}
}

func (m *mergedGraph) tree(g *globals, edges []sqlite.Edge, artifact int64, up bool, indent string, seen map[int64]bool) {
	a := m.artifacts[artifact]
	fmt.Fprintf(g.Out, "%s%s %s %s\n", indent, m.name(edges, artifact), typeWord(a.Type), short(a.Digest, 19))
	if seen[artifact] {
		return
	}
	seen[artifact] = true
	for _, e := range edges {
		if e.Artifact != artifact || e.Output != up {
			continue
		}
		x := m.executions[e.Execution]
		word := "made by"
		if !up {
			word = "read by"
		}
		fmt.Fprintf(g.Out, "%s  %s %s (%s, %s)\n", indent, word, x.Path, x.RunName, strings.ToLower(string(x.State)))
		for _, next := range edges {
			if next.Execution == e.Execution && next.Output != up {
				m.tree(g, edges, next.Artifact, up, indent+"    ", seen)
			}
		}
	}
}

// name is the output's name of an artifact, or the input's that it came in by.
func (m *mergedGraph) name(edges []sqlite.Edge, artifact int64) string {
	name := ""
	for _, e := range edges {
		if e.Artifact == artifact && (e.Output || name == "") {
			name = e.Name
		}
	}
	return orDash(name)
}

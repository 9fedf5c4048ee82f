package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/dag/source"
	"github.com/wherry-ml/wherry/sqlite"
)

type getFlags struct {
	run, state, pipeline string
	limit                int
}

// kinds are what get lists, with what else they are called.
var kinds = map[string]string{
	"run": "runs", "runs": "runs", "task": "tasks", "tasks": "tasks", "artifact": "artifacts", "artifacts": "artifacts",
	"experiment": "experiments", "experiments": "experiments", "trial": "trials", "trials": "trials",
}

func newGetCmd(g *globals) *cobra.Command {
	var f getFlags
	cmd := &cobra.Command{
		Use:   "get runs|tasks|artifacts|experiments|trials [RUN|EXPERIMENT]",
		Short: "List runs, tasks, artifacts, experiments or trials",
		Example: `  wherry get runs --state FAILED
  wherry get tasks last
  wherry get artifacts last -o json
  wherry get trials last`,
		Args:      cobra.RangeArgs(1, 2),
		ValidArgs: []string{"runs", "tasks", "artifacts", "experiments", "trials"},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 {
				f.run = args[1]
			}
			return g.get(cmd.Context(), args[0], f)
		},
	}
	cmd.Flags().StringVar(&f.run, "run", "", "only those of this `RUN`")
	cmd.Flags().StringVar(&f.state, "state", "", "only those in this `STATE`")
	cmd.Flags().StringVar(&f.pipeline, "pipeline", "", "only runs of this `PIPELINE`")
	cmd.Flags().IntVar(&f.limit, "limit", 50, "at most `N`, newest first (0: all)")
	return cmd
}

func (g *globals) get(ctx context.Context, kind string, f getFlags) error {
	plural, ok := kinds[strings.ToLower(kind)]
	if !ok {
		e := &usageError{msg: fmt.Sprintf("there are no %q to get", kind), mend: "wherry get runs, tasks, artifacts, experiments or trials"}
		if near := source.Nearest(kind, []string{"runs", "tasks", "artifacts", "experiments", "trials"}); near != "" {
			e.mend = fmt.Sprintf("did you mean %q?", near)
		}
		return e
	}
	if plural == "experiments" || plural == "trials" {
		return g.getTuning(ctx, plural, f)
	}
	f.state = strings.ToUpper(f.state)
	if states := []string{"", "PENDING", "RUNNING", "SUCCEEDED", "FAILED", "SKIPPED", "CANCELING", "CANCELED"}; !slices.Contains(states, f.state) {
		return &usageError{msg: fmt.Sprintf("there is no state %q", f.state), mend: "--state " + strings.Join(states[1:], ", ")}
	}
	if f.limit < 0 {
		return &usageError{msg: "--limit must be 0 or more"}
	}
	db, err := g.database(ctx)
	if err != nil {
		return err
	}
	if f.run != "" {
		row, err := db.FindRun(ctx, f.run)
		if err != nil {
			return err
		}
		f.run = row.ID
	}
	switch plural {
	case "runs":
		return g.getRuns(ctx, db, f)
	case "tasks":
		return g.getTasks(ctx, db, f)
	}
	return g.getArtifacts(ctx, db, f)
}

func (g *globals) getRuns(ctx context.Context, db *sqlite.DB, f getFlags) error {
	rows, err := db.ListRuns(ctx, sqlite.RunFilter{State: dag.State(f.state), Pipeline: f.pipeline, NoTrials: true, Limit: f.limit})
	if err != nil {
		return err
	}
	if f.run != "" {
		row, err := db.FindRun(ctx, f.run)
		if err != nil {
			return err
		}
		rows = []sqlite.RunRow{*row}
	}
	items := []any{}
	t := g.table("ID", "NAME", "PIPELINE", "STATE", "TASKS", "STARTED", "TIME")
	for _, r := range rows {
		state, until, interrupted := string(r.State), r.Ended, !r.State.Ended() && !g.driven(r.ID)
		switch {
		case interrupted:
			state += " (interrupted)"
			g.note(fmt.Sprintf("note: wherry resume %s goes on with the interrupted run %s", r.ID, r.Name))
		case !r.State.Ended():
			until = time.Now()
		}
		items = append(items, map[string]any{
			"id": r.ID, "name": r.Name, "pipeline": r.Pipeline, "state": r.State, "interrupted": interrupted, "error": r.Error, "tasks": r.Tasks, "done": r.Done,
			"created": rfc3339(r.Created), "started": rfc3339(r.Started), "ended": rfc3339(r.Ended),
		})
		t.row(r.ID, r.Name, r.Pipeline, state, fmt.Sprintf("%d/%d", r.Done, r.Tasks), ago(r.Started), span(r.Started, until))
	}
	return t.print(items)
}

func (g *globals) getTasks(ctx context.Context, db *sqlite.DB, f getFlags) error {
	rows, err := db.ListTasks(ctx, sqlite.TaskFilter{Run: f.run, State: dag.State(f.state), Limit: f.limit})
	if err != nil {
		return err
	}
	items := []any{}
	t := g.table("RUN", "TASK", "KIND", "STATE", "ATTEMPTS", "TIME", "WHY")
	for _, r := range rows {
		items = append(items, map[string]any{
			"run": r.Run, "path": r.Path, "kind": r.Kind, "component": r.Component, "state": r.State, "cached": r.Cached, "reason": r.Reason,
			"attempts": r.Attempts, "exitCode": r.ExitCode, "error": r.Error, "started": rfc3339(r.Started), "ended": rfc3339(r.Ended),
		})
		state, why := string(r.State), r.Reason
		if r.Cached {
			state += " (cached)"
		}
		if r.Error != "" {
			why = r.Error
		}
		t.row(r.Run, r.Path, string(r.Kind), state, fmt.Sprint(r.Attempts), span(r.Started, r.Ended), t.clip(why, 70))
	}
	return t.print(items)
}

func (g *globals) getArtifacts(ctx context.Context, db *sqlite.DB, f getFlags) error {
	rows, err := db.ListArtifacts(ctx, sqlite.ArtifactFilter{Run: f.run, Limit: f.limit})
	if err != nil {
		return err
	}
	items := []any{}
	t := g.table("ID", "RUN", "ARTIFACT", "TYPE", "SIZE", "DIGEST", "WHERE")
	for _, r := range rows {
		items = append(items, artifactItem(r))
		t.row(fmt.Sprint(r.ID), r.Run, r.Path+"/"+r.Output, typeWord(r.Type), dag.FormatBytes(r.Size), t.clip(r.Digest, 19), r.URI)
	}
	return t.print(items)
}

func artifactItem(r sqlite.ArtifactRow) map[string]any {
	return map[string]any{
		"id": r.ID, "run": r.Run, "task": r.Path, "output": r.Output, "uri": r.URI, "digest": r.Digest, "type": r.Type,
		"size": r.Size, "metadata": nonNil(r.Metadata), "created": rfc3339(r.Created),
	}
}

// table is a list for people, or its items for a program.
type table struct {
	g    *globals
	rows [][]string
}

func (g *globals) table(columns ...string) *table {
	return &table{g: g, rows: [][]string{columns}}
}

func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

// clip cuts a cell, unless -o wide or csv.
func (t *table) clip(text string, n int) string {
	if t.g.Output == "wide" || t.g.Output == "csv" {
		return text
	}
	return short(text, n)
}

func (t *table) print(items []any) error {
	if t.g.structured() {
		return t.g.printDocument(map[string]any{"items": items})
	}
	if t.g.Output == "csv" {
		w := csv.NewWriter(t.g.Out)
		return w.WriteAll(t.rows)
	}
	if len(t.rows) == 1 {
		t.g.note("nothing found")
		return nil
	}
	w := tabwriter.NewWriter(t.g.Out, 0, 4, 2, ' ', 0)
	for _, cells := range t.rows {
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	return w.Flush()
}

// ago is a past moment as people say it.
func ago(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	switch d := time.Since(t); {
	case d < time.Minute:
		return fmt.Sprintf("%ds ago", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh ago", int(d.Hours()))
	}
	return t.Local().Format("2006-01-02")
}

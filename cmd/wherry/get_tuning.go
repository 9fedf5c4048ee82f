package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/wherry-ml/wherry/sqlite"
	"github.com/wherry-ml/wherry/tuner"
)

// getTuning lists experiments, or the trials of one.
func (g *globals) getTuning(ctx context.Context, kind string, f getFlags) error {
	if f.limit < 0 {
		return &usageError{msg: "--limit must be 0 or more"}
	}
	db, err := g.database(ctx)
	if err != nil {
		return err
	}
	if kind == "experiments" {
		return g.getExperiments(ctx, db, f)
	}
	if f.run == "" {
		f.run = "last"
	}
	row, err := db.FindExperiment(ctx, f.run)
	if err != nil {
		return err
	}
	return g.getTrials(ctx, db, row.ID, f)
}

func (g *globals) getExperiments(ctx context.Context, db *sqlite.DB, f getFlags) error {
	rows, err := db.ListExperiments(ctx, f.limit)
	if err != nil {
		return err
	}
	items := []any{}
	t := g.table("ID", "NAME", "STATE", "TRIALS", "STARTED", "TIME")
	for _, r := range rows {
		state, until, interrupted := string(r.State), r.Ended, !r.State.Ended() && !r.Asked && !g.driven(r.ID)
		switch {
		case interrupted:
			state += " (interrupted)"
			id := r.ID
			if run := r.Run(); run != "" {
				id = run
			}
			g.note(fmt.Sprintf("note: wherry resume %s goes on with the interrupted experiment %s", id, r.Name))
		case !r.State.Ended():
			until = time.Now()
		}
		items = append(items, map[string]any{
			"id": r.ID, "name": r.Name, "state": r.State, "reason": r.Reason, "interrupted": interrupted, "trials": r.Trials, "done": r.Done,
			"started": rfc3339(r.Created), "ended": rfc3339(r.Ended),
		})
		t.row(r.ID, r.Name, state, fmt.Sprintf("%d/%d", r.Done, r.Trials), ago(r.Created), span(r.Created, until))
	}
	return t.print(items)
}

func (g *globals) getTrials(ctx context.Context, db *sqlite.DB, id string, f getFlags) error {
	e, trials, observed, err := db.LoadExperiment(ctx, id, false)
	if err != nil {
		return err
	}
	tuner.Replay(e, trials, observed) // of those that run
	if f.state != "" {
		trials = slices.DeleteFunc(trials, func(t *tuner.Trial) bool { return !strings.EqualFold(string(t.State), f.state) })
	}
	columns := []string{"NAME", "STATE"}
	for _, m := range e.Metrics() {
		columns = append(columns, strings.ToUpper(m))
	}
	for i := range e.Parameters {
		columns = append(columns, e.Parameters[i].Name)
	}
	items := []any{}
	t := g.table(append(columns, "TIME", "WHY")...)
	best := tuner.Optimal(e, trials)
	for _, r := range trials {
		items = append(items, newTrialDocument(e, r))
		cells := []string{r.Name, string(r.State)}
		if r == best {
			cells[1] += " (best)"
		}
		for _, m := range e.Metrics() {
			cells = append(cells, figure(r.Value(e, m)))
		}
		values := map[string]string{}
		for _, a := range r.Assignments(e) {
			values[a.Name] = a.Value
		}
		for i := range e.Parameters {
			cells = append(cells, t.clip(values[e.Parameters[i].Name], 12))
		}
		until := r.Ended
		if !r.State.Ended() {
			until = time.Now()
		}
		first, _, _ := strings.Cut(r.Reason, "\n")
		t.row(append(cells, span(r.Started, until), t.clip(first, 60))...)
	}
	return t.print(items)
}

// describeExperiment shows all about an experiment.
func (g *globals) describeExperiment(ctx context.Context, id string) error {
	db, err := g.database(ctx)
	if err != nil {
		return err
	}
	e, trials, observed, err := db.LoadExperiment(ctx, id, false)
	if err != nil {
		return err
	}
	tuner.Replay(e, trials, observed) // of those that run
	if g.structured() {
		return g.printDocument(map[string]any{"experiment": newExperimentDocument(e, trials)})
	}
	g.summarizeExperiment(e, trials)
	return nil
}

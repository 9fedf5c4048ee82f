package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/runner"
	"github.com/wherry-ml/wherry/runner/queue"
	"github.com/wherry-ml/wherry/sqlite"
)

func newStatusCmd(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Say what is up, what runs, and what waits and why",
		Long: `Status says whether wherry up is up and since when, which runs have not ended and who
drives them, what waits and why, how the watches are, and what this home takes of the
disk. It needs no engine and changes nothing.`,
		Example: `  wherry status
  wherry status -o json | jq .up.up`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return g.status(cmd.Context()) },
	}
}

// statusDocument is what status prints.
type statusDocument struct {
	Up          statusUp       `json:"up"`
	Engines     []statusEngine `json:"engines"`     // of what runs and is watched
	Runs        []statusRun    `json:"runs"`        // that have not ended
	Experiments []statusRun    `json:"experiments"` // that have not ended: tasks are trials
	Watches     []upWatch      `json:"watches"`
	Disk        *usage         `json:"disk"` // null: nothing ran here yet
}

type statusUp struct {
	Up      bool   `json:"up"`
	PID     int    `json:"pid"` // 0: not known
	Since   string `json:"since"`
	Version string `json:"version"`
	Project string `json:"project"`
	Problem string `json:"problem"`
	Home    string `json:"home"`
}

type statusEngine struct {
	Backend string `json:"backend"`
	Error   string `json:"error"` // empty: it answers
}

type statusRun struct {
	ID          string       `json:"id"`
	Name        string       `json:"name"`
	State       string       `json:"state"`
	Driver      int          `json:"driver"`      // process; 0: none, or not known
	Up          bool         `json:"up"`          // wherry up drives it
	Interrupted bool         `json:"interrupted"` // nobody does
	Why         string       `json:"why"`         // wherry up can't go on with it
	Tasks       int          `json:"tasks"`
	Done        int          `json:"done"`
	Waits       []statusWait `json:"waits"`
}

// statusWait is a step that waits for room.
type statusWait struct {
	Task string `json:"task"`
	Why  string `json:"why"`
}

func (g *globals) status(ctx context.Context) error {
	d := &statusDocument{Up: statusUp{Home: g.Home}, Engines: []statusEngine{}, Runs: []statusRun{}, Experiments: []statusRun{}, Watches: []upWatch{}}
	told := g.statusOfUp(d)
	if _, err := os.Stat(filepath.Join(g.Home, "wherry.db")); err == nil {
		db, err := g.database(ctx)
		if err != nil {
			return err
		}
		if err := g.statusOfWork(ctx, db, d, told); err != nil {
			return err
		}
		if d.Disk, err = g.measure(ctx, nil); err != nil {
			return err
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if g.structured() {
		return g.printDocument(d)
	}
	return g.printStatus(d)
}

// statusOfUp fills in what is up, and returns what that tells of itself.
func (g *globals) statusOfUp(d *statusDocument) *upDocument {
	if !g.isUp() {
		return &upDocument{}
	}
	d.Up.Up = true
	if pid, err := ownerOf(g.upOwnerPath()); err == nil {
		d.Up.PID = pid
	}
	told, err := g.readUpState()
	if err != nil || d.Up.PID != 0 && told.PID != d.Up.PID {
		return &upDocument{} // it has only begun
	}
	d.Up.Since, d.Up.Version, d.Up.Project, d.Up.Problem = rfc3339(told.Since), told.Version, told.Project, told.Problem
	d.Watches = append(d.Watches, told.Watches...)
	return told
}

// statusOfWork fills in what has not ended.
func (g *globals) statusOfWork(ctx context.Context, db *sqlite.DB, d *statusDocument, told *upDocument) error {
	runs, err := db.Interrupted(ctx)
	if err != nil {
		return err
	}
	experiments, err := db.OpenExperiments(ctx)
	if err != nil || len(runs)+len(experiments) == 0 {
		return err
	}
	waits, err := g.waiting(ctx, db, d)
	if err != nil {
		return err
	}
	for _, row := range runs {
		r := g.statusOf(row.ID, d, told)
		r.Name, r.State, r.Tasks, r.Done = row.Name, string(row.State), row.Tasks, row.Done
		for _, w := range waits {
			if w.Run == row.ID {
				r.Waits = append(r.Waits, statusWait{Task: taskOf(ctx, db, w), Why: w.Why})
			}
		}
		d.Runs = append(d.Runs, r)
	}
	for _, row := range experiments {
		e := g.statusOf(row.ID, d, told)
		e.Name, e.State, e.Tasks, e.Done = row.Name, string(row.State), row.Trials, row.Done
		d.Experiments = append(d.Experiments, e)
	}
	return nil
}

// statusOf says who drives a run or an experiment.
func (g *globals) statusOf(id string, d *statusDocument, told *upDocument) statusRun {
	r := statusRun{ID: id, Waits: []statusWait{}}
	if r.Interrupted = !g.driven(id); !r.Interrupted {
		r.Driver, _ = g.holderPID(id)
		r.Up = d.Up.Up && r.Driver != 0 && r.Driver == d.Up.PID
	}
	if i := slices.IndexFunc(told.Waits, func(w upWaits) bool { return w.Run == id }); i >= 0 {
		r.Why = told.Waits[i].Why
	}
	return r
}

// waiting returns what waits for room on each backend where something does.
func (g *globals) waiting(ctx context.Context, db *sqlite.DB, d *statusDocument) (out []queue.Waiting, err error) {
	for _, name := range backendNames {
		rows, err := db.Admissions(ctx, name)
		if err != nil {
			return nil, err
		}
		if len(rows) == 0 {
			continue
		}
		capacity, err := g.capacity(ctx, name)
		d.Engines = append(d.Engines, statusEngine{Backend: name})
		if err != nil { // what there would be room for is not known then
			d.Engines[len(d.Engines)-1].Error = err.Error()
			continue
		}
		out = append(out, queue.Explain(rows, capacity)...)
	}
	return out, nil
}

// engineTime is how long status waits for an engine.
const engineTime = 3 * time.Second

func (g *globals) capacity(ctx context.Context, name string) (runner.Capacity, error) {
	ctx, cancel := context.WithTimeout(ctx, engineTime)
	defer cancel()
	b, err := g.backend(ctx, name)
	if err != nil {
		return runner.Capacity{}, err
	}
	return b.Capacity(ctx)
}

// taskOf is the path of the task that a pod is of.
func taskOf(ctx context.Context, db *sqlite.DB, w queue.Waiting) string {
	tasks, err := db.ListTasks(ctx, sqlite.TaskFilter{Run: w.Run})
	parts := strings.Split(w.Pod, "-") // see runner.PodName
	if err != nil || len(parts) < 2 {
		return w.Pod
	}
	for _, t := range tasks {
		if strconv.FormatInt(t.ID, 10) == parts[len(parts)-2] {
			return t.Path
		}
	}
	return w.Pod
}

func (g *globals) printStatus(d *statusDocument) error {
	w := tabwriter.NewWriter(g.Out, 0, 4, 2, ' ', 0)
	switch {
	case !d.Up.Up:
		fmt.Fprintf(w, "wherry up is not up in %s\n", d.Up.Home)
	case d.Up.Since == "":
		fmt.Fprintf(w, "wherry up begins in %s: process %d\n", d.Up.Home, d.Up.PID)
	default:
		since, _ := time.Parse(time.RFC3339Nano, d.Up.Since)
		fmt.Fprintf(w, "wherry up is up in %s: process %d, since %s (%s)\n", d.Up.Home, d.Up.PID, since.Local().Format(time.DateTime), ago(since))
	}
	if d.Up.Problem != "" {
		fmt.Fprintf(w, "%s is kept as it was: %s\n", projectFile, d.Up.Problem)
	}
	for _, e := range d.Engines {
		if e.Error != "" {
			fmt.Fprintf(w, "the %s backend does not answer: %s\n", e.Backend, e.Error)
		}
	}
	if len(d.Runs)+len(d.Experiments) == 0 {
		fmt.Fprintln(w, "no run is open")
	}
	printStatusRuns(w, d, "RUN", "TASKS", d.Runs)
	printStatusRuns(w, d, "EXPERIMENT", "TRIALS", d.Experiments)
	if len(d.Watches) > 0 {
		fmt.Fprintln(w, "\nWATCH\tSTATE\tRUN\tWHY")
	}
	for _, u := range d.Watches {
		name := relativeName(u.File)
		if u.Name != "" {
			name += " (" + u.Name + ")"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", name, orDash(u.State), orDash(u.Run), short(u.Why, 200))
	}
	if d.Disk != nil {
		fmt.Fprintf(w, "\ndisk: %s\n", d.Disk.homeLine())
		if d.Disk.GC > 0 {
			fmt.Fprintf(w, "wherry gc would free %s; wherry doctor says what the engine holds\n", dag.FormatBytes(d.Disk.GC))
		}
	}
	return w.Flush()
}

// printStatusRuns prints runs, or experiments, that have not ended.
func printStatusRuns(w *tabwriter.Writer, d *statusDocument, kind, parts string, list []statusRun) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\tNAME\tSTATE\t%s\tDRIVEN BY\tWHY\n", kind, parts)
	for _, r := range list {
		driver, why := fmt.Sprintf("process %d", r.Driver), r.Why
		switch {
		case r.Interrupted && d.Up.Up:
			driver = "nobody yet"
		case r.Interrupted:
			driver = "nobody"
			why = fmt.Sprintf("interrupted: wherry up, or wherry resume %s, goes on with it", r.ID)
		case r.Up:
			driver = "wherry up"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d/%d\t%s\t%s\n", r.ID, r.Name, r.State, r.Done, r.Tasks, driver, short(why, 200))
		for i, wait := range r.Waits {
			if i == maxWaits {
				fmt.Fprintf(w, "\t  and %d more\n", len(r.Waits)-i)
				break
			}
			fmt.Fprintf(w, "\t  %s %s\n", wait.Task, wait.Why)
		}
	}
}

// maxWaits is how many waiting steps of a run status names.
const maxWaits = 5

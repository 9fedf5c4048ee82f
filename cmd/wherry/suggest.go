package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/dag/source"
	"github.com/wherry-ml/wherry/sqlite"
	"github.com/wherry-ml/wherry/tuner"
	"github.com/wherry-ml/wherry/tuner/katib"
)

func newSuggestCmd(g *globals) *cobra.Command {
	var f tuneFlags
	var n int
	var anew bool
	cmd := &cobra.Command{
		Use:   "suggest FILE|NAME",
		Short: "Ask for the parameters of a trial that you run yourself",
		Long: `Suggest prints the name and the parameters of a trial, for a training loop of your own
in any language; wherry report says what came of it. FILE is a Katib Experiment or a
Suggestion, of which the trial template does not count. Without a file, NAME is the
experiment's, and -s and --minimize or --maximize say what is searched, as in wherry
tune. The first call makes the experiment, later ones with the same name go on with it.
Any number of shells may ask at once: each gets a trial of its own.

It exits with 1 when there is nothing more to try: the goal was reached, or all trials
have been handed out.`,
		Example: `  wherry suggest search -s 'lr=log(1e-4,1e-1)' -s 'depth=int(2,12)' --minimize loss
  wherry report search search-1 loss=0.31
  while t=$(wherry suggest experiment.yaml); do set -- $t; ./train "$@" && wherry report experiment.yaml $1 loss=$(cat loss); done`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.hasGoal = cmd.Flags().Changed("goal")
			if n < 1 {
				return &usageError{msg: "-n must be 1 or more"}
			}
			return g.suggest(cmd.Context(), args[0], f, cmd.Flags().Changed, n, anew)
		},
	}
	fl := cmd.Flags()
	fl.IntVarP(&n, "number", "n", 1, "ask for `N` trials")
	fl.BoolVar(&anew, "new", false, "begin another experiment of this name")
	f.addSearch(fl)
	fl.IntVar(&f.maxTrials, "max-trials", 0, "hand out `N` trials in all; 0: as many as are asked for")
	fl.IntVar(&f.parallel, "parallel", 1, "how many trials will run at once, as far as you know: `N`")
	fl.IntVar(&f.maxFailed, "max-failed", 0, "give up once more than `N` trials have failed")
	return cmd
}

// suggest asks for trials, of a new experiment or of one that is there.
func (g *globals) suggest(ctx context.Context, ref string, f tuneFlags, changed func(string) bool, n int, anew bool) error {
	db, err := g.database(ctx)
	if err != nil {
		return err
	}
	wanted, err := askedExperiment(ref, f, changed)
	if err != nil {
		return err
	}
	if wanted != nil {
		if err := g.warmStart(ctx, wanted, f.warm); err != nil {
			return err
		}
	}
	id, err := g.openAsked(ctx, db, ref, wanted, changed, anew)
	if err != nil {
		return err
	}
	c := &tuner.Controller{Store: db}
	e, trials, err := c.Ask(ctx, id, n)
	if is[*tuner.NoTrialError](err) {
		return &workError{state: dag.Failed, msg: err.Error(), mend: hintText(err)}
	}
	if err != nil {
		return err
	}
	return g.printSuggestions(e, trials)
}

// askedExperiment is the experiment that a file or flags describe; nil where ref is
// the name of one and nothing more is said.
func askedExperiment(ref string, f tuneFlags, changed func(string) bool) (*tuner.Experiment, error) {
	_, err := os.Stat(ref)
	flags := len(f.space)+len(f.minimize)+len(f.maximize) > 0
	switch {
	case err == nil && flags:
		return nil, &usageError{msg: fmt.Sprintf("%s is a file, which says itself what is searched; -s, --minimize and --maximize are for an experiment without one", ref), mend: "another name than the file's, or leave them out"}
	case err == nil:
		e, err := askedFile(ref)
		if err != nil {
			return nil, err
		}
		f.override(e, changed)
		return e, checkExperiment(e)
	case flags:
		parameters, err := parseSpace(f.space)
		if err != nil {
			return nil, err
		}
		e, err := f.search(parameters)
		if err != nil {
			return nil, err
		}
		e.Name = ref
		if changed("max-failed") {
			e.MaxFailed = &f.maxFailed
		}
		return e, checkExperiment(e)
	case strings.ContainsAny(ref, "/.") && errors.Is(err, fs.ErrNotExist):
		_, err := source.Read(ref) // says that there is no such file, and which was meant
		return nil, err
	}
	return nil, nil
}

// askedFile reads the experiment of a file; what its trials run does not count.
func askedFile(path string) (*tuner.Experiment, error) {
	k, err := sniffKatib(path)
	if err != nil {
		return nil, err
	}
	if k == nil {
		return nil, &usageError{msg: path + " is no Experiment and no Suggestion", mend: "wherry tune " + path + " -s … runs a pipeline's trials itself; wherry suggest NAME -s … needs no file"}
	}
	e, _, err := katib.Read(k.file, k.docs[slices.IndexFunc(k.docs, katib.Sniff)])
	if err != nil {
		return nil, err
	}
	e.ID, e.Created = newID(), time.Now()
	return e, nil
}

// openAsked finds the experiment to ask, or makes it.
func (g *globals) openAsked(ctx context.Context, db *sqlite.DB, ref string, wanted *tuner.Experiment, changed func(string) bool, anew bool) (string, error) {
	switch {
	case wanted == nil && anew:
		return "", &usageError{msg: "--new needs a file, or -s and --minimize or --maximize, that say what is searched", mend: "wherry suggest --help"}
	case wanted == nil:
		id, err := db.FindAsked(ctx, ref)
		if is[*sqlite.NotFoundError](err) {
			return "", &usageError{msg: err.Error(), mend: fmt.Sprintf("wherry suggest %s -s 'lr=log(1e-4,1e-1)' --minimize loss makes it", ref)}
		}
		return id, err
	case anew:
		return wanted.ID, db.CreateExperiment(ctx, wanted)
	}
	id, err := db.OpenAsked(ctx, wanted)
	if err != nil || id == wanted.ID {
		return id, err
	}
	have, _, _, err := db.LoadExperiment(ctx, id, false)
	if err != nil {
		return "", err
	}
	if err := sameSearch(have, wanted); err != nil {
		return "", err
	}
	if wanted.MaxTrials > have.MaxTrials && have.MaxTrials > 0 && (changed("max-trials") || wanted.File != "") {
		return id, allowMore(ctx, db, have, wanted.MaxTrials)
	}
	return id, nil
}

// sameSearch refuses to go on with an experiment that searches something else.
func sameSearch(have, wanted *tuner.Experiment) error {
	what := ""
	switch {
	case !reflect.DeepEqual(have.Parameters, wanted.Parameters):
		what = "other parameters"
	case !reflect.DeepEqual(have.Metrics(), wanted.Metrics()), have.Objectives[0].Maximize != wanted.Objectives[0].Maximize:
		what = "another objective or other metrics"
	case have.Algorithm.Name != wanted.Algorithm.Name:
		what = "another algorithm, " + have.Algorithm.Name
	default:
		return nil
	}
	return &usageError{msg: fmt.Sprintf("experiment %s (%s) has %s", have.Name, have.ID, what), mend: "wherry suggest " + have.Name + " goes on with it as it is, --new begins another one"}
}

// allowMore lets an experiment have more trials than before.
func allowMore(ctx context.Context, db *sqlite.DB, e *tuner.Experiment, n int) error {
	if e.State.Ended() {
		if e.Reason != tuner.ReasonMaxTrials {
			return nil
		}
		if e.ResumePolicy == tuner.ResumeNever {
			return &usageError{msg: fmt.Sprintf("experiment %s has ended, and its resumePolicy is Never", e.Name), mend: "resumePolicy: LongRunning, or --new"}
		}
		e.State, e.Reason, e.Message, e.Ended = tuner.Restarting, tuner.ReasonRestarting, "", time.Time{}
	}
	e.MaxTrials = n
	err := db.CommitTrials(ctx, tuner.Batch{Experiment: e, Spec: true, Exclusive: true})
	if errors.Is(err, tuner.ErrConflict) {
		return nil // somebody else asks at this moment, and says the same
	}
	return err
}

// printSuggestions prints trials: a line each, or a document.
func (g *globals) printSuggestions(e *tuner.Experiment, trials []*tuner.Trial) error {
	if g.structured() {
		items := []trialDocument{}
		for _, t := range trials {
			items = append(items, newTrialDocument(e, t))
		}
		return g.printDocument(map[string]any{"experiment": askedDocument(e), "trials": items})
	}
	for _, t := range trials {
		words := []string{t.Name}
		for _, a := range t.Assignments(e) {
			words = append(words, a.Name+"="+a.Value)
		}
		fmt.Fprintln(g.Out, strings.Join(words, " "))
	}
	return nil
}

// askedDocument is what suggest and report say of the experiment.
func askedDocument(e *tuner.Experiment) map[string]any {
	return map[string]any{"id": e.ID, "name": e.Name, "state": e.State, "reason": e.Reason, "message": e.Message}
}

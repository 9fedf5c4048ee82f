package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/wherry-ml/wherry/cmd/wherry/screen"
)

// globals is what every command is given: streams, the flags that all share, and
// what is opened at most once.
type globals struct {
	In       io.Reader
	Out, Err io.Writer
	Kill     <-chan struct{}
	// SharesTerminal is set while a shell of ours reads Ctrl-C from the same terminal.
	SharesTerminal *atomic.Bool
	Getenv         func(string) string

	Output  string // text, wide, json, yaml or csv
	Quiet   bool
	Verbose bool
	Home    string // WHERRY_HOME, absolute

	tree   atomic.Pointer[screen.Screen] // that was on Err last: notes go above it
	said   *sync.Map                     // notes that are not said again; nil: all are
	log    *slog.Logger                  // in place of Err, where nobody looks on; nil: none
	parent *globals                      // of a part of this process: what is opened is the parent's
	opened opened
}

// part returns globals of a part of this process, which says what there is to say in
// a log and has no results of its own.
func (g *globals) part(log *slog.Logger) *globals {
	return &globals{
		In: g.In, Out: io.Discard, Err: io.Discard, Kill: g.Kill, SharesTerminal: g.SharesTerminal, Getenv: g.Getenv,
		Output: "text", Verbose: g.Verbose, Home: g.Home, said: &sync.Map{}, log: log, parent: g,
	}
}

// shared is what all parts of this process have opened.
func (g *globals) shared() *opened {
	for g.parent != nil {
		g = g.parent
	}
	return &g.opened
}

func newRootCmd(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "wherry",
		Short: "Run ML pipelines as containers on one machine",
		Long: `Wherry runs machine-learning pipelines as containers on one machine, from the
files that Kubeflow users already have: Kubeflow pipelines (the .py, or compiled
to IR YAML) and kind: Pipeline with a workflowSpec. No cluster, no account.`,
		Example: `  wherry init                        # write a starter pipeline
  wherry run pipeline.yaml -p lr=0.1 # run it
  wherry get runs                    # what ran
  wherry lineage last                # what came from what`,
		Version:       versionLine(),
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if g.Output == "csv" && cmd.Name() != "get" {
				return &usageError{msg: "csv is for lists", mend: "wherry get … -o csv, or -o json here"}
			}
			return g.prepare()
		},
	}
	cmd.SetVersionTemplate("{{.Version}}\n")
	cmd.SetIn(g.In)
	cmd.SetOut(g.Out)
	cmd.SetErr(g.Err)
	f := cmd.PersistentFlags()
	f.StringVarP(&g.Output, "output", "o", "text", "`FORMAT` of the result on stdout: text, wide, json or yaml; of lists also csv")
	f.BoolVarP(&g.Quiet, "quiet", "q", false, "no progress on stderr")
	f.BoolVar(&g.Verbose, "verbose", false, "say more on stderr")
	cmd.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return &usageError{msg: err.Error(), mend: c.CommandPath() + " --help"}
	})
	cmd.AddCommand(
		newRunCmd(g), newTuneCmd(g), newSuggestCmd(g), newReportCmd(g), newResumeCmd(g), newRerunCmd(g), newGetCmd(g), newDescribeCmd(g), newLogsCmd(g),
		newCancelCmd(g), newExplainCmd(g), newDiffCmd(g), newDebugCmd(g), newLineageCmd(g), newDoctorCmd(g), newGCCmd(g),
		newDeleteCmd(g), newInitCmd(g), newBundleCmd(g), newVersionCmd(g),
		newUpCmd(g), newDownCmd(g), newStatusCmd(g),
	)
	for _, c := range cmd.Commands() {
		c.Args = usageArgs(c.Args)
	}
	strictBuiltins(cmd)
	return cmd
}

// strictBuiltins makes wrong usage of what cobra's own commands are content with: a
// completion for a shell that is not known, help on a command that there is not.
func strictBuiltins(root *cobra.Command) {
	root.InitDefaultCompletionCmd("bash")
	root.InitDefaultHelpCmd()
	for _, c := range root.Commands() {
		switch c.Name() {
		case "completion":
			c.Args = cobra.ArbitraryArgs
			c.RunE = func(c *cobra.Command, args []string) error {
				if len(args) == 0 {
					return c.Help()
				}
				return &usageError{msg: fmt.Sprintf("there is no completion for %q", args[0]), mend: "wherry completion bash, fish, powershell or zsh"}
			}
		case "help":
			c.Run, c.RunE = nil, func(_ *cobra.Command, args []string) error {
				of, rest, err := root.Find(args)
				if err != nil || len(rest) > 0 {
					return &usageError{msg: fmt.Sprintf("there is no command %q", strings.Join(args, " ")), mend: "wherry --help lists them"}
				}
				of.InitDefaultHelpFlag()
				return of.Help()
			}
		}
	}
}

// usageArgs makes a wrong number of arguments wrong usage.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if check == nil {
			return nil
		}
		if err := check(c, args); err != nil {
			return &usageError{msg: err.Error(), mend: "usage: " + c.UseLine()}
		}
		return nil
	}
}

// prepare checks the shared flags and finds WHERRY_HOME. It creates nothing.
func (g *globals) prepare() error {
	if formats := []string{"text", "wide", "json", "yaml", "csv"}; !slices.Contains(formats, g.Output) {
		return &usageError{msg: fmt.Sprintf("unknown output format %q", g.Output), mend: "-o text, wide, json or yaml; of lists also csv"}
	}
	home, err := findHome(g.Getenv)
	g.Home = home
	return err
}

// findHome returns where wherry keeps everything: $WHERRY_HOME, else
// $XDG_DATA_HOME/wherry, else ~/.local/share/wherry.
func findHome(getenv func(string) string) (string, error) {
	home := getenv("WHERRY_HOME")
	if home == "" {
		data := getenv("XDG_DATA_HOME")
		if data == "" {
			user, err := os.UserHomeDir()
			if err != nil {
				return "", &usageError{msg: "find WHERRY_HOME: " + err.Error(), mend: "set WHERRY_HOME to a folder of yours"}
			}
			data = filepath.Join(user, ".local", "share")
		}
		home = filepath.Join(data, "wherry")
	}
	abs, err := filepath.Abs(home)
	if err != nil {
		return "", err
	}
	// Symbolic links are followed, so that a path means the same in a container.
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		return real, nil
	}
	return abs, nil
}

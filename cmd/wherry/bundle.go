package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/wherry-ml/wherry/bundle"
	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/runner"
)

func newBundleCmd(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bundle",
		Short: "Take a run or a pipeline to a machine without a network",
		Long: `A bundle is one file with all that a pipeline needs: images and the layers that
wherry built, inputs, artifacts, lineage, logs and the files. On a machine with no
network at all the pipeline runs from it, cached steps included. It is a tar of an OCI
image layout, and every part of it is checked by its digest. Of secrets it has names.`,
		Example: `  wherry bundle save last -o demo.tar
  wherry bundle load demo.tar -C demo && wherry run demo/pipeline.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return &usageError{msg: "bundle needs to know what to do", mend: "wherry bundle save last -o FILE, or wherry bundle load FILE"}
		},
	}
	cmd.AddCommand(newBundleSaveCmd(g), newBundleLoadCmd(g))
	for _, c := range cmd.Commands() {
		c.Args = usageArgs(c.Args)
	}
	return cmd
}

// formatFlag is what -o is elsewhere, where -o names a file.
func (g *globals) formatFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("format", "text", "`FORMAT` of the result on stdout: text, json or yaml")
}

func (g *globals) setFormat(format string) error {
	if !slices.Contains([]string{"text", "json", "yaml"}, format) {
		return &usageError{msg: fmt.Sprintf("unknown output format %q", format), mend: "--format text, json or yaml"}
	}
	if format != "text" {
		g.Output = format
	}
	return nil
}

// bundleProgress says now and then how far a bundle is.
func (g *globals) bundleProgress() bundle.Progress {
	next := time.Now().Add(2 * time.Second)
	return func(what string, bytes int64) {
		if now := time.Now(); now.After(next) {
			next = now.Add(5 * time.Second)
			g.note(fmt.Sprintf("%s: %s so far", what, dag.FormatBytes(bytes)))
		}
	}
}

// carrier is the backend as one whose images travel; nil where it has none.
func carrier(b runner.Backend) bundle.Engine {
	if c, ok := b.(runner.ImageCarrier); ok && b.Features().Images {
		return c
	}
	return nil
}

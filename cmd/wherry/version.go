package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// version is set by the Makefile from the git tag.
var version = ""

func newVersionCmd(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  wherry version -o json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v, commit := buildVersion()
			if g.Output == "json" || g.Output == "yaml" {
				return g.printDocument(map[string]any{"version": v, "commit": commit, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH})
			}
			fmt.Fprintln(g.Out, versionLine())
			return nil
		},
	}
}

// versionLine is the version as people read it.
func versionLine() string {
	v, commit := buildVersion()
	parts := []string{runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
	if commit != "" {
		parts = append([]string{commit}, parts...)
	}
	return fmt.Sprintf("wherry %s (%s)", v, strings.Join(parts, ", "))
}

// buildVersion returns the version and the commit that the binary was built from.
func buildVersion() (v, commit string) {
	v = version
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v, ""
	}
	if v == "" {
		v = strings.Trim(info.Main.Version, "()")
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			commit = s.Value[:min(12, len(s.Value))]
		}
	}
	return v, commit
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

package main

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

//go:embed starter
var starter embed.FS

// starterFiles are what wherry init writes.
var starterFiles = []string{"pipeline.yaml", projectFile}

func newInitCmd(g *globals) *cobra.Command {
	schema := false
	cmd := &cobra.Command{
		Use:   "init [FOLDER]",
		Short: "Write a starter pipeline that runs",
		Long: `Writes a starter pipeline.yaml, which runs with python:3.11 and without a network,
and a wherry.yaml in which everything is commented out. It overwrites nothing.`,
		Example: `  wherry init && wherry run pipeline.yaml
  wherry init --schema > wherry.schema.json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if schema {
				if len(args) > 0 {
					return &usageError{msg: "--schema writes no files, so it takes no folder", mend: "wherry init --schema"}
				}
				_, err := io.WriteString(g.Out, projectSchema)
				return err
			}
			dir := "."
			if len(args) > 0 {
				dir = args[0]
			}
			return g.initFolder(dir)
		},
	}
	cmd.Flags().BoolVar(&schema, "schema", false, "print the JSON Schema of wherry.yaml for editors, and write nothing")
	return cmd
}

// initFolder writes the starter files to dir, all or none.
func (g *globals) initFolder(dir string) (err error) {
	_, thereErr := os.Lstat(dir)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return &usageError{msg: "init: " + err.Error(), mend: "name a folder that you may write to"}
	}
	var written []string
	defer func() {
		if err != nil {
			for _, name := range written {
				err = errors.Join(err, os.Remove(name))
			}
			if errors.Is(thereErr, fs.ErrNotExist) {
				_ = os.Remove(dir)
			}
		}
	}()
	for _, name := range starterFiles {
		at := filepath.Join(dir, name)
		err := writeNew(at, "starter/"+name)
		if errors.Is(err, fs.ErrExist) {
			return &usageError{msg: fmt.Sprintf("init: %s exists already, and is not overwritten", at), mend: "wherry init NEW-FOLDER"}
		}
		if err != nil {
			return fmt.Errorf("init: %w", err)
		}
		written = append(written, at)
	}
	if g.structured() {
		return g.printDocument(map[string]any{"files": written})
	}
	for _, at := range written {
		fmt.Fprintln(g.Out, at)
	}
	run := "wherry run " + shellQuote(written[0])
	g.note(fmt.Sprintf("\nnext:\n  %s\n  %s -p learning-rate=0.01\n  wherry lineage last\n\nwherry doctor says what this machine lacks, if anything.", run, run))
	return nil
}

// writeNew writes a starter file to a path at which there is nothing.
func writeNew(at, name string) error {
	text, err := starter.ReadFile(name)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(at, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(at))
	}
	return nil
}

// shellQuote writes a path as a shell reads it.
func shellQuote(path string) string {
	if strings.Trim(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./+,@%:=") == "" {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

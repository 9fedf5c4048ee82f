package argo

import (
	"fmt"
	"slices"
	"strings"
)

// note says all that was inferred, for people; "" where nothing was.
func (r *reader) note() string {
	var lines []string
	add := func(title string, items []string) {
		for i, item := range items {
			if i > 0 {
				title = ""
			}
			lines = append(lines, fmt.Sprintf("  %-12s %s", title, item))
		}
	}
	add("inputs", r.noteInputs())
	add("outputs", r.noteOutputs())
	add("directories", r.noteDirectories())
	add("timeouts", r.noteTimeouts())
	if len(lines) == 0 {
		return ""
	}
	return "inferred, because the file doesn't declare it:\n" + strings.Join(lines, "\n")
}

// inFileOrder returns the templates that the entrypoint reaches as a reader of
// the file meets them.
func (r *reader) inFileOrder() []*tmpl {
	return slices.SortedStableFunc(slices.Values(r.order), func(a, b *tmpl) int { return a.Pos.Line - b.Pos.Line })
}

func (r *reader) noteInputs() []string {
	var out []string
	for _, t := range r.inFileOrder() {
		if len(t.inferred) > 0 {
			out = append(out, fmt.Sprintf("%s: %s (what its tasks are given)", t.Name.S, strings.Join(t.inferred, ", ")))
		}
	}
	return out
}

func (r *reader) noteOutputs() []string {
	var out []string
	for _, t := range r.inFileOrder() {
		for _, name := range keys(t.outputs) {
			if o := t.outputs[name]; t.declared[name] == nil && !t.launcher() {
				out = append(out, fmt.Sprintf("%s: %s = %s", t.Name.S, name, o.describe(name)))
			}
		}
	}
	return out
}

func (o *output) describe(name string) string {
	var from []string
	if o.file != "" {
		from = append(from, "the file "+o.file)
	}
	if o.isFlag {
		from = append(from, fmt.Sprintf("the value of --%s (%s)", name, written(o.flag)))
	}
	return strings.Join(from, ", else ")
}

// written returns parts as they stand in the file.
func written(parts []part) string {
	var b strings.Builder
	for _, p := range parts {
		if p.ref != nil {
			b.WriteString(p.ref.tag)
		}
		b.WriteString(p.lit)
	}
	return b.String()
}

// noteDirectories says for each directory which tasks share it, and from whom
// each has its content.
func (r *reader) noteDirectories() []string {
	byDir := map[string][]string{}
	for _, t := range r.inFileOrder() {
		if t.DAG == nil {
			continue
		}
		for _, c := range t.inOrder() {
			for _, d := range c.dirs {
				if c.of.DAG == nil {
					byDir[d] = append(byDir[d], r.taskLabel(c)+" "+gets(c.feeds[d]))
				}
			}
		}
	}
	var out []string
	for _, d := range keys(byDir) {
		out = append(out, d+": "+shorten(byDir[d], "; "))
	}
	return out
}

// taskLabel names a task; in a dag below the root, with its dag.
func (r *reader) taskLabel(c *call) string {
	if c.in == r.root {
		return c.Name.S
	}
	return c.in.Name.S + "/" + c.Name.S
}

// gets says what a task finds in a directory when it starts.
func gets(feeds []port) string {
	var from []string
	for _, p := range feeds {
		name := p.task
		if name == "" {
			name = "the task around"
		}
		if !slices.Contains(from, name) {
			from = append(from, name)
		}
	}
	if len(from) == 0 {
		return "(starts empty)"
	}
	return "(from " + shorten(from, ", ") + ")"
}

// shorten joins items, of a long list only the first.
func shorten(items []string, sep string) string {
	const most = 12
	if len(items) <= most {
		return strings.Join(items, sep)
	}
	return fmt.Sprintf("%s%sand %d more", strings.Join(items[:most], sep), sep, len(items)-most)
}

func (r *reader) noteTimeouts() []string {
	var out []string
	for _, t := range r.inFileOrder() {
		if t.Container != nil && t.Container.TimeoutSeconds.Set {
			out = append(out, fmt.Sprintf("%s: each attempt ends after %s s (timeoutSeconds stands for Argo's activeDeadlineSeconds)",
				t.Name.S, t.Container.TimeoutSeconds.S))
		}
	}
	return out
}

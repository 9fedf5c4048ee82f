package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/wherry-ml/wherry/dag"
)

// grouped are the kinds of which a person is told how many, not which; -o wide
// lists them all.
var grouped = map[string]string{
	"artifact": "artifacts", "source": "files of sources", "snapshot": "remembered sources", "temporary": "temporary files",
	"folder": "folders of runs", "log": "folders of logs",
}

// printGC prints what is to go, or has gone.
func (g *globals) printGC(p *gcPlan, dryRun bool) error {
	items, bytes := []gcItem{}, int64(0)
	for _, i := range p.items {
		if dryRun || i.gone {
			items = append(items, *i)
			bytes += max(0, i.Bytes)
		}
	}
	kept := append([]gcItem{}, p.kept...)
	if g.structured() {
		return g.printDocument(map[string]any{"dryRun": dryRun, "items": items, "bytes": bytes, "kept": kept})
	}
	verb := "removed"
	if dryRun {
		verb = "would remove"
	}
	w := tabwriter.NewWriter(g.Out, 0, 4, 2, ' ', 0)
	if len(items) > 0 {
		fmt.Fprintln(w, "KIND\tNAME\tSIZE\tWHY")
	}
	for _, i := range g.groupItems(items) {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", i.Kind, i.Name, bytesOrDash(i.Bytes), i.Why)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(g.Out, "%s %s, %s\n", verb, count(len(items), "thing"), dag.FormatBytes(bytes))
	for _, i := range kept {
		g.note(fmt.Sprintf("note: %s %s stays: %s", i.Kind, i.Name, i.Why))
	}
	return nil
}

func bytesOrDash(n int64) string {
	if n < 0 {
		return "-"
	}
	return dag.FormatBytes(n)
}

// groupItems puts what a person has no name for into one line.
func (g *globals) groupItems(items []gcItem) []gcItem {
	if g.Output == "wide" {
		return items
	}
	type group struct{ kind, why string }
	at, number := map[group]int{}, map[group]int{}
	var out []gcItem
	for _, i := range items {
		noun, ok := grouped[i.Kind]
		if !ok {
			out = append(out, i)
			continue
		}
		key := group{i.Kind, i.Why}
		if number[key]++; number[key] == 1 {
			at[key] = len(out)
			out = append(out, i)
			continue
		}
		o := &out[at[key]]
		o.Name = fmt.Sprintf("%d %s", number[key], noun)
		o.Bytes = max(0, o.Bytes) + max(0, i.Bytes)
	}
	return out
}

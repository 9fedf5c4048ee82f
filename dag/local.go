package dag

import (
	"path/filepath"
	"slices"
)

// LocalImports lists the files and folders of this machine that the run's importers
// name, as far as that is known before it begins: absolute paths, sorted.
func LocalImports(r *Run) []string {
	var out []string
	add := func(x any) {
		if uri := localPath(FormatValue(x), r.Pipeline.File); filepath.IsAbs(uri) {
			out = append(out, uri)
		}
	}
	for name, c := range r.Pipeline.Components {
		if c.Importer != nil && c.Importer.URI.Constant != nil {
			add(c.Importer.URI.Constant.Value)
		}
		if c.Graph == nil {
			continue
		}
		for _, t := range c.Graph.Tasks {
			importer := r.Pipeline.Components[t.Component]
			if importer == nil || importer.Importer == nil || importer.Importer.URI.Input == "" {
				continue
			}
			switch from := t.Parameters[importer.Importer.URI.Input]; {
			case from == nil:
			case from.Constant != nil:
				add(from.Constant.Value)
			case from.Input != "" && name == r.Pipeline.Root:
				add(r.Parameters[from.Input])
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// SearchFiles lists the words of tuning steps that may be files: absolute paths, of
// which some are there.
func SearchFiles(p *Pipeline) []string {
	var out []string
	for _, name := range sortedKeys(p.Components) {
		c := p.Components[name]
		if c.Tune == nil || Launcher(c.Tune.Image) != LauncherWherry {
			continue
		}
		for _, a := range c.Tune.Args {
			if len(a.Text) == 1 && a.Text[0].Ref == nil {
				out = append(out, localPath(a.Text[0].Text, p.File))
			}
		}
	}
	return out
}

package dag

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// unread names the files that differ between what an execution saw of the mounted
// sources and what the run has.
func (d *drive) unread(p *PastReads) string {
	var names []string
	for _, r := range p.Sources {
		if now := d.sourceAt(r.Target); now != r.Tree {
			names = append(names, d.changedFiles(r.Tree, now)...)
		}
	}
	switch n := len(names); {
	case n == 0:
		return "nothing changed" // its trees are gone, or were another's
	case n > 3:
		return fmt.Sprintf("%s and %d more changed", strings.Join(names[:3], ", "), n-3)
	}
	return strings.Join(names, ", ") + " changed"
}

// changedFiles lists the files that differ between two snapshots; none where one
// is gone from the store.
func (d *drive) changedFiles(before, now string) []string {
	a, err1 := d.Artifacts.Files(d.ops, before)
	b, err2 := d.Artifacts.Files(d.ops, now)
	if err1 != nil || err2 != nil {
		return nil
	}
	return differing(a, b)
}

// changedSource says what an execution would read of the run's sources that it had
// not read: a line of a file, or which names changed.
func (d *drive) changedSource(p *PastReads) string {
	for _, r := range p.Sources {
		now := d.sourceAt(r.Target)
		changed := d.changedFiles(r.Tree, now)
		opened := r.opened()
		for _, name := range changed {
			if opened(name) {
				return fmt.Sprintf("%s changed%s", filepath.Join(r.Target, name), d.changedLine(r.Tree, now, name))
			}
		}
		if before, after := d.names(r.Tree), d.names(now); !slices.Equal(before, after) {
			for _, name := range changed {
				_, was := slices.BinarySearch(before, name)
				_, is := slices.BinarySearch(after, name)
				switch {
				case !was:
					return filepath.Join(r.Target, name) + " is new"
				case !is:
					return filepath.Join(r.Target, name) + " is gone"
				}
			}
		}
		if now != r.Tree && len(d.names(now)) > 0 {
			if digest, err := d.Artifacts.ReadDigest(d.ops, now, r.Opened); err == nil && digest != r.Digest {
				return fmt.Sprintf("in %s another file is executable, or a link leads elsewhere", r.Target)
			}
		}
	}
	return ""
}

// changedTree says which files differ between two snapshots of a source, of which it is
// not known what was read.
func (d *drive) changedTree(target, before, now string) string {
	changed := d.changedFiles(before, now)
	if len(changed) == 0 {
		return ""
	}
	text := filepath.Join(target, changed[0])
	_, was := slices.BinarySearch(d.names(before), changed[0])
	_, is := slices.BinarySearch(d.names(now), changed[0])
	switch {
	case !was:
		text += " is new"
	case !is:
		text += " is gone"
	default:
		text += " changed" + d.changedLine(before, now, changed[0])
	}
	return text + andMore(len(changed)-1)
}

func (d *drive) names(tree string) []string {
	files, err := d.Artifacts.Files(d.ops, tree)
	if err != nil {
		return nil
	}
	return sortedKeys(files)
}

// changedLine shows the first line that differs between two versions of a file.
func (d *drive) changedLine(before, now, name string) string {
	n, old, fresh := differingLine(d.Artifacts, before, now, name)
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", line %d: %s -> %s", n, old, fresh)
}

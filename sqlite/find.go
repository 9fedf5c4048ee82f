package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/wherry-ml/wherry/spell"
)

// FindRun returns the run that ref names: an id, "last" (no trial), a name (its newest run)
// or a unique prefix of an id, in this order. Else it is a *NotFoundError or an
// *AmbiguousError.
func (d *DB) FindRun(ctx context.Context, ref string) (*RunRow, error) {
	var found *RunRow
	err := d.view(ctx, func(s *snapshot) (err error) {
		found, err = findRun(s, ref)
		return err
	})
	return found, err
}

func findRun(s *snapshot, ref string) (*RunRow, error) {
	type try struct {
		where string
		args  []any
	}
	if ref == "" {
		return nil, &NotFoundError{Kind: "run", Ref: ref}
	}
	tries := []try{{` WHERE r.id = ?`, []any{ref}}}
	if ref == "last" {
		tries = append(tries, try{whereLast, nil})
	}
	tries = append(tries, try{` WHERE r.name = ? ORDER BY r.created DESC, r.id DESC LIMIT 1`, []any{ref}})
	tries = append(tries, try{` WHERE r.id >= ? AND r.id < ? ORDER BY r.created DESC LIMIT 5`, []any{ref, ref + "\U0010ffff"}})
	for _, t := range tries {
		list, err := runRows(s, t.where, t.args...)
		if err != nil {
			return nil, err
		}
		if len(list) == 1 {
			return &list[0], nil
		}
		if len(list) > 1 {
			e := &AmbiguousError{Kind: "run", Ref: ref}
			for _, r := range list {
				e.Matches = append(e.Matches, r.ID+" ("+r.Name+")")
			}
			return nil, e
		}
	}
	near, err := nearest(s, ref, `SELECT name FROM (SELECT name, max(created) AS at FROM runs GROUP BY name ORDER BY at DESC LIMIT 1000)`)
	return nil, errors.Join(err, &NotFoundError{Kind: "run", Ref: ref, Near: near})
}

// FindTask returns the execution that RUN/TASK names; TASK is a path, or the end
// of one that no other path has.
func (d *DB) FindTask(ctx context.Context, ref string) (*TaskRow, error) {
	var found *TaskRow
	err := d.view(ctx, func(s *snapshot) (err error) {
		found, err = findTask(s, ref)
		return err
	})
	return found, err
}

func findTask(s *snapshot, ref string) (*TaskRow, error) {
	name, path, ok := strings.Cut(ref, "/")
	if !ok || path == "" {
		return nil, &NotFoundError{Kind: "task", Ref: ref}
	}
	run, err := findRun(s, name)
	if err != nil {
		return nil, err
	}
	for _, where := range []string{`e.path = ?2`, `substr(e.path, -length(?2) - 1) = '/' || ?2`} {
		list, err := taskRows(s, ` WHERE e.run = ?1 AND `+where+` ORDER BY e.id LIMIT 5`, run.ID, path)
		if err != nil {
			return nil, err
		}
		if len(list) == 1 {
			return &list[0], nil
		}
		if len(list) > 1 {
			e := &AmbiguousError{Kind: "task", Ref: ref}
			for _, t := range list {
				e.Matches = append(e.Matches, name+"/"+t.Path)
			}
			return nil, e
		}
	}
	near, err := nearest(s, path, `SELECT path FROM executions WHERE run = ? LIMIT 10000`, run.ID)
	for i := range near {
		near[i] = name + "/" + near[i]
	}
	return nil, errors.Join(err, &NotFoundError{Kind: "task", Ref: ref, Near: near})
}

// FindArtifact returns the artifact that ref names: its id, a URI, a digest or a
// unique prefix of one ("sha256:" may be left out), RUN/TASK/NAME, or RUN/TASK
// where the task has one output. Of several with the same content or place it is
// the newest.
func (d *DB) FindArtifact(ctx context.Context, ref string) (*ArtifactRow, error) {
	var found *ArtifactRow
	err := d.view(ctx, func(s *snapshot) (err error) {
		found, err = findArtifact(s, ref)
		return err
	})
	return found, err
}

func findArtifact(s *snapshot, ref string) (*ArtifactRow, error) {
	one := func(where string, args ...any) (*ArtifactRow, error) {
		list, err := artifactRows(s, where+` ORDER BY a.id DESC LIMIT 1`, args...)
		if err != nil || len(list) == 0 {
			return nil, err
		}
		return &list[0], nil
	}
	if id, err := strconv.ParseInt(ref, 10, 64); err == nil {
		if a, err := one(` WHERE a.id = ?`, id); a != nil || err != nil {
			return a, err
		}
	}
	if a, err := one(` WHERE a.uri = ?`, ref); ref != "" && (a != nil || err != nil) {
		return a, err
	}
	digest, err := findDigest(s, ref)
	if err != nil {
		return nil, err
	}
	if digest != "" {
		return one(` WHERE a.digest = ?`, digest)
	}
	if strings.Contains(ref, "/") && !strings.HasPrefix(ref, "/") && !strings.Contains(ref, "://") {
		return findOutput(s, ref, one)
	}
	return nil, &NotFoundError{Kind: "artifact", Ref: ref}
}

// findDigest completes the prefix of a digest; empty where there is none.
func findDigest(s *snapshot, ref string) (string, error) {
	hex := strings.TrimPrefix(ref, "sha256:")
	if len(hex) < 4 || strings.Trim(hex, "0123456789abcdef") != "" {
		return "", nil
	}
	var digests []string
	err := each(s, func(rows *sql.Rows) error {
		var d string
		err := rows.Scan(&d)
		digests = append(digests, d)
		return err
	}, `SELECT DISTINCT digest FROM artifacts WHERE digest >= ?1 AND digest < ?1 || 'g' ORDER BY digest LIMIT 5`, "sha256:"+hex)
	if err != nil || len(digests) == 0 {
		return "", err
	}
	if len(digests) > 1 {
		return "", &AmbiguousError{Kind: "artifact", Ref: ref, Matches: digests}
	}
	return digests[0], nil
}

// findOutput reads ref as RUN/TASK/NAME, then as RUN/TASK.
func findOutput(s *snapshot, ref string, one func(string, ...any) (*ArtifactRow, error)) (*ArtifactRow, error) {
	const output = ` WHERE a.id = (SELECT artifact FROM events WHERE execution = ? AND output = 1 AND name = ? ORDER BY position LIMIT 1)`
	at := strings.LastIndexByte(ref, '/')
	if t, err := findTask(s, ref[:at]); err == nil {
		if a, err := one(output, t.ID, ref[at+1:]); a != nil || err != nil {
			return a, err
		}
	}
	t, err := findTask(s, ref)
	if err != nil {
		return nil, &NotFoundError{Kind: "artifact", Ref: ref, Near: nearOutputs(s, ref)}
	}
	names, err := texts(s, `SELECT DISTINCT name FROM events WHERE execution = ? AND output = 1`, t.ID)
	switch {
	case err != nil:
		return nil, err
	case len(names) == 0:
		return nil, &NotFoundError{Kind: "artifact", Ref: ref}
	case len(names) > 1:
		e := &AmbiguousError{Kind: "artifact", Ref: ref}
		for _, n := range names {
			e.Matches = append(e.Matches, ref+"/"+n)
		}
		return nil, e
	}
	return one(output, t.ID, names[0])
}

// nearOutputs lists what may have been meant by RUN/TASK/NAME.
func nearOutputs(s *snapshot, ref string) []string {
	name, rest, _ := strings.Cut(ref, "/")
	run, err := findRun(s, name)
	if err != nil {
		return nil
	}
	near, _ := nearest(s, rest, `SELECT DISTINCT e.path || '/' || o.name FROM executions e JOIN events o ON o.execution = e.id AND o.output = 1
		WHERE e.run = ? LIMIT 10000`, run.ID)
	for i := range near {
		near[i] = name + "/" + near[i]
	}
	return near
}

func texts(q querier, query string, args ...any) (list []string, err error) {
	err = each(q, func(rows *sql.Rows) error {
		var s string
		err := rows.Scan(&s)
		list = append(list, s)
		return err
	}, query, args...)
	return list, err
}

// nearest returns up to three of the texts of query that are closest to name, and
// not far from it.
func nearest(q querier, name, query string, args ...any) ([]string, error) {
	list, err := texts(q, query, args...)
	if err != nil {
		return nil, fmt.Errorf("look for near names: %w", err)
	}
	far := (len(name) + 2) / 3
	distances := map[string]int{}
	for _, s := range list {
		if n := spell.Distance(name, s); n <= far {
			distances[s] = n
		}
	}
	near := make([]string, 0, len(distances))
	for _, s := range list {
		if _, ok := distances[s]; ok {
			near = append(near, s)
		}
	}
	slices.SortStableFunc(near, func(a, b string) int { return distances[a] - distances[b] })
	return near[:min(3, len(near))], nil
}

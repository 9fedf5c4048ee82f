package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// References returns the digests that runs and experiments other than those of without
// refer to: what their tasks read and wrote, and their mounted sources. paths are the
// URIs of these artifacts.
func (d *DB) References(ctx context.Context, without []string) (digests, paths map[string]bool, err error) {
	digests, paths = map[string]bool{}, map[string]bool{}
	err = d.view(ctx, func(s *snapshot) error {
		list, err := jsonList(without)
		if err != nil {
			return err
		}
		note := func(rows *sql.Rows) error {
			var digest, uri string
			err := rows.Scan(&digest, &uri)
			digests[digest], paths[uri] = true, true
			return err
		}
		err = each(s, note, `SELECT digest, uri FROM artifacts WHERE id IN (
			SELECT v.artifact FROM executions e JOIN events v ON v.execution = e.id
			WHERE e.run NOT IN (SELECT value FROM json_each(?)))`, list)
		if err != nil {
			return err
		}
		ids := map[int64]bool{}
		if err := runRoots(s, list, ids, digests); err != nil {
			return err
		}
		if err := experimentRoots(s, list, digests); err != nil {
			return err
		}
		artifacts, err := artifactsByID(s, ids)
		for _, a := range artifacts {
			digests[a.Digest], paths[a.URI] = true, true
		}
		return err
	})
	delete(digests, "")
	delete(paths, "")
	if err != nil {
		return nil, nil, fmt.Errorf("look up what runs refer to: %w", err)
	}
	return digests, paths, nil
}

var digestText = regexp.MustCompile(`sha256:[0-9a-f]{64}`)

// runRoots notes what the rows of runs themselves refer to: their outputs, and
// any digest in their options.
func runRoots(q querier, without string, ids map[int64]bool, digests map[string]bool) error {
	return each(q, func(rows *sql.Rows) error {
		var options, outputs string
		if err := rows.Scan(&options, &outputs); err != nil {
			return err
		}
		for _, digest := range digestText.FindAllString(options, -1) {
			digests[digest] = true
		}
		stored, err := decodeStored(outputs)
		stored.ids(ids)
		return err
	}, `SELECT options, outputs FROM runs WHERE id NOT IN (SELECT value FROM json_each(?))`, without)
}

// experimentRoots notes any digest in what experiments are made of: one that has ended may go
// on, and its next trial sees these sources.
func experimentRoots(q querier, without string, digests map[string]bool) error {
	return each(q, func(rows *sql.Rows) error {
		var spec string
		err := rows.Scan(&spec)
		for _, digest := range digestText.FindAllString(spec, -1) {
			digests[digest] = true
		}
		return err
	}, `SELECT spec FROM experiments WHERE id NOT IN (SELECT value FROM json_each(?))`, without)
}

// Refers reports whether anything on record refers to a digest: an artifact, the options of a
// run, or an experiment. When a run was made says nothing: a loaded one may be old.
func (d *DB) Refers(ctx context.Context, digest string) (bool, error) {
	var found bool
	err := d.reader.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM artifacts WHERE digest = ?1)
		OR EXISTS (SELECT 1 FROM runs WHERE instr(options, ?1) > 0)
		OR EXISTS (SELECT 1 FROM experiments WHERE instr(spec, ?1) > 0)`, digest).Scan(&found)
	if err != nil {
		return false, fmt.Errorf("look up %s: %w", digest, d.typed(err))
	}
	return found, nil
}

// RunDigests returns the digests that each run, and each experiment, refers to.
func (d *DB) RunDigests(ctx context.Context) (map[string][]string, error) {
	of := map[string][]string{}
	err := d.view(ctx, func(s *snapshot) error {
		err := each(s, func(rows *sql.Rows) error {
			var run, digest string
			err := rows.Scan(&run, &digest)
			of[run] = append(of[run], digest)
			return err
		}, `SELECT DISTINCT e.run, a.digest FROM executions e JOIN events v ON v.execution = e.id
			JOIN artifacts a ON a.id = v.artifact WHERE a.digest <> ''`)
		if err != nil {
			return err
		}
		return each(s, func(rows *sql.Rows) error {
			var run, options string
			err := rows.Scan(&run, &options)
			of[run] = append(of[run], digestText.FindAllString(options, -1)...)
			return err
		}, `SELECT id, options FROM runs UNION ALL SELECT id, spec FROM experiments`)
	})
	if err != nil {
		return nil, fmt.Errorf("look up what each run refers to: %w", err)
	}
	for run, digests := range of {
		slices.Sort(digests)
		of[run] = slices.Compact(digests)
	}
	return of, nil
}

// Names reports whether a run or an experiment other than those of without was made of a
// file at or below path: its pipeline file, a mount, what an image is built from, a parameter.
func (d *DB) Names(ctx context.Context, path string, without []string) (named bool, err error) {
	err = d.view(ctx, func(s *snapshot) error {
		list, err := jsonList(without)
		if err != nil {
			return err
		}
		text, err := encode(path)
		if err != nil {
			return err
		}
		text = strings.Trim(text, `"`) // as it is written in JSON
		return s.row(`SELECT EXISTS (SELECT 1 FROM runs r JOIN pipelines p ON p.id = r.pipeline
			WHERE r.id NOT IN (SELECT value FROM json_each(?1)) AND (
				instr(r.options || p.json || r.parameters, ?2 || '"') OR instr(r.options || p.json || r.parameters, ?2 || '/')))
			OR EXISTS (SELECT 1 FROM experiments WHERE id NOT IN (SELECT value FROM json_each(?1)) AND (
				instr(spec, ?2 || '"') OR instr(spec, ?2 || '/')))`,
			list, text).Scan(&named)
	})
	if err != nil {
		return false, fmt.Errorf("look up what runs are made of: %w", err)
	}
	return named, nil
}

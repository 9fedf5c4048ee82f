package sqlite

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/wherry-ml/wherry/dag"
)

// Records are rows of one database on their way to another. Paths of the machine
// that they come from are replaced, see Places.
type Records struct {
	Schema int          `json:"schema"` // number of migrations
	Tables []tableRows  `json:"tables"`
	Uses   []UsedObject `json:"-"`
}

// tableRows are rows of one table; an integer or text for each column, or null.
type tableRows struct {
	Name    string   `json:"name"`
	Columns []string `json:"columns"`
	Rows    [][]any  `json:"rows"`
}

// UsedObject is an artifact whose content belongs to the records, by its digest.
type UsedObject struct{ Digest, URI, Name string }

// Places translate paths of this machine, for Export into names that mean the same
// on every machine, for Import back.
type Places struct {
	// URI translates an artifact's place.
	URI func(uri string) string
	// Run translates the paths that a run was given.
	Run func(o *dag.RunOptions, p *dag.Pipeline)
}

// carried are the tables that travel, in the order in which they can be filled. What
// is selected of each are the rows whose column is one of the ids of a kind.
var carried = []struct{ table, column, ids string }{
	{"pipelines", "id", "pipeline"},
	{"runs", "id", "run"},
	{"artifacts", "id", "artifact"},
	{"executions", "id", "execution"},
	{"attempts", "execution", "execution"},
	{"events", "execution", "execution"},
	{"cache_entries", "execution", "hit"},
	{"reads", "execution", "hit"},
}

// notCarried are the tables that say something about one machine only.
var notCarried = []string{"admissions", "owners", "experiments", "trials", "observations"}

// selection is what an Export takes.
type selection map[string]map[any]bool

func (s selection) add(kind string, id any) {
	if s[kind] == nil {
		s[kind] = map[any]bool{}
	}
	s[kind][id] = true
}

// ExportRun returns the records of a run that has ended: its executions, those whose
// cached results it took, and those from which its inputs came, with the cache
// entries of the first two. dag.ErrNotFound where there is no such run.
func (d *DB) ExportRun(ctx context.Context, run string, to Places) (*Records, error) {
	steps, err := migrationSteps()
	if err != nil {
		return nil, err
	}
	r := &Records{Schema: len(steps)}
	err = d.view(ctx, func(s *snapshot) error {
		sel, err := selectRun(s, run)
		if err != nil {
			return err
		}
		if r.Uses, err = usedObjects(s, sel, run); err != nil {
			return err
		}
		for _, c := range carried {
			t, err := dump(s, c.table, c.column, sel[c.ids])
			if err != nil {
				return err
			}
			r.Tables = append(r.Tables, t)
		}
		r.endRuns()
		return nil
	})
	if err == nil {
		err = r.translate(to)
	}
	if err != nil {
		return nil, fmt.Errorf("export run %q: %w", run, err)
	}
	return r, nil
}

// ExportArtifacts returns the records of artifacts, by id, that no run of these
// records has made: what was imported from elsewhere before.
func (d *DB) ExportArtifacts(ctx context.Context, ids []int64, to Places) (*Records, error) {
	steps, err := migrationSteps()
	if err != nil {
		return nil, err
	}
	r := &Records{Schema: len(steps)}
	err = d.view(ctx, func(s *snapshot) error {
		sel := selection{}
		for _, id := range ids {
			sel.add("artifact", id)
		}
		t, err := dump(s, "artifacts", "id", sel["artifact"])
		r.Tables = []tableRows{t}
		return err
	})
	if err == nil {
		err = r.translate(to)
	}
	return r, err
}

// endRuns makes an end of earlier runs that still go on: only what they have finished
// is among the records.
func (r *Records) endRuns() {
	t := r.table("runs")
	for _, row := range t.Rows {
		if !dag.State(t.text(row, "state")).Ended() {
			*t.cell(row, "state") = string(dag.Canceled)
			*t.cell(row, "error") = "it went on when a bundle was saved"
		}
	}
}

// dump returns the rows whose column is one of ids, in the order of the primary key.
func dump(q querier, table, column string, ids map[any]bool) (tableRows, error) {
	t := tableRows{Name: table, Rows: [][]any{}}
	columns, key, err := tableColumns(q, table)
	if err != nil {
		return t, err
	}
	t.Columns = columns
	list, err := encodeIDs(ids)
	if err != nil {
		return t, err
	}
	err = each(q, func(rows *sql.Rows) error {
		row := make([]any, len(columns))
		to := make([]any, len(columns))
		for i := range row {
			to[i] = &row[i]
		}
		if err := rows.Scan(to...); err != nil {
			return err
		}
		for i := range row {
			if b, ok := row[i].([]byte); ok {
				row[i] = map[string]any{"base64": base64.StdEncoding.EncodeToString(b)}
			}
		}
		t.Rows = append(t.Rows, row)
		return nil
	}, `SELECT `+joinColumns(columns)+` FROM `+table+` WHERE `+column+` IN (SELECT value FROM json_each(?)) ORDER BY `+joinColumns(key), list)
	return t, err
}

func joinColumns(names []string) string {
	text := ""
	for i, n := range names {
		if i > 0 {
			text += ", "
		}
		text += `"` + n + `"`
	}
	return text
}

// tableColumns returns the columns of a table, and those of its primary key.
func tableColumns(q querier, table string) (columns, key []string, err error) {
	err = each(q, func(rows *sql.Rows) error {
		var name string
		var pk int
		if err := rows.Scan(&name, &pk); err != nil {
			return err
		}
		columns = append(columns, name)
		if pk > 0 {
			key = append(key, name)
		}
		return nil
	}, `SELECT name, pk FROM pragma_table_info(?) ORDER BY cid`, table)
	if err == nil && len(columns) == 0 {
		err = fmt.Errorf("there is no table %q", table)
	}
	return columns, key, err
}

// table returns the rows of a table; of one that is not there, none.
func (r *Records) table(name string) *tableRows {
	i := slices.IndexFunc(r.Tables, func(t tableRows) bool { return t.Name == name })
	if i < 0 {
		return &tableRows{Name: name}
	}
	return &r.Tables[i]
}

// cell is where a row has a column.
func (t *tableRows) cell(row []any, column string) *any {
	if i := slices.Index(t.Columns, column); i >= 0 && i < len(row) {
		return &row[i]
	}
	var none any
	return &none
}

func (t *tableRows) text(row []any, column string) string {
	s, _ := (*t.cell(row, column)).(string)
	return s
}

func (t *tableRows) number(row []any, column string) int64 {
	switch x := (*t.cell(row, column)).(type) {
	case int64:
		return x
	case json.Number:
		n, _ := x.Int64()
		return n
	}
	return 0
}

// translate replaces the paths in the records. When a cache entry was last used says
// something about one machine only.
func (r *Records) translate(p Places) error {
	artifacts := r.table("artifacts")
	for _, row := range artifacts.Rows {
		*artifacts.cell(row, "uri") = p.URI(artifacts.text(row, "uri"))
	}
	entries := r.table("cache_entries")
	for _, row := range entries.Rows {
		*entries.cell(row, "used") = *entries.cell(row, "created")
	}
	return r.translateRuns(p)
}

// translateRuns replaces the paths that runs were given. Runs of one pipeline may
// have had other options: a pipeline is translated with those of its first.
func (r *Records) translateRuns(p Places) error {
	pipelines, runs := r.table("pipelines"), r.table("runs")
	byID := map[int64][]any{}
	for _, row := range pipelines.Rows {
		byID[pipelines.number(row, "id")] = row
	}
	done := map[int64]bool{}
	for _, row := range runs.Rows {
		id := runs.number(row, "pipeline")
		prow, ok := byID[id]
		if !ok {
			return fmt.Errorf("run %q has no pipeline", runs.text(row, "id"))
		}
		pipeline, err := decodePipeline(pipelines.text(prow, "json"))
		if err != nil {
			return err
		}
		var o dag.RunOptions
		if err := decode(runs.text(row, "options"), &o); err != nil {
			return err
		}
		if done[id] {
			copied := *pipeline
			p.Run(&o, &copied)
		} else {
			p.Run(&o, pipeline)
			text, err := encodePipeline(pipeline)
			if err != nil {
				return err
			}
			*pipelines.cell(prow, "json") = text
			done[id] = true
		}
		if *runs.cell(row, "options"), err = encode(o); err != nil {
			return err
		}
	}
	return nil
}

// Encode returns the records as text that ReadRecords takes; equal ones are equal
// text.
func (r *Records) Encode() ([]byte, error) {
	text, err := encode(r)
	return []byte(text), err
}

// Logs are the paths of the attempts' logs, below WHERRY_HOME.
func (r *Records) Logs() []string {
	t := r.table("attempts")
	var paths []string
	for _, row := range t.Rows {
		if p := t.text(row, "log"); p != "" {
			paths = append(paths, p)
		}
	}
	return paths
}

// Images are the identities of the images that the containers of a run had.
func (r *Records) Images(run string) (ids []string) {
	t := r.table("executions")
	for _, row := range t.Rows {
		var parts map[string]string
		if text := t.text(row, "key_parts"); t.text(row, "run") != run || text == "" || decode(text, &parts) != nil {
			continue
		}
		for name, id := range parts {
			if (name == "image" || strings.HasSuffix(name, " image")) && !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	slices.Sort(ids)
	return ids
}

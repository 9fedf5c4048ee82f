package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/wherry-ml/wherry/dag"
)

// storeArtifacts gives every artifact of values that has no ID its own: that of
// the stored one with the same URI and digest, or a new one. With made they are
// the outputs of something that ran, and new in any case.
func storeArtifacts(t *tx, values dag.Values, made bool, now int64) error {
	for _, name := range slices.Sorted(maps.Keys(values.Artifacts)) {
		list := values.Artifacts[name]
		for i := range list {
			if list[i].ID != 0 {
				continue
			}
			id, err := artifactID(t, &list[i], made, now)
			if err != nil {
				return err
			}
			t.assign(&list[i].ID, id)
		}
	}
	return nil
}

func artifactID(t *tx, a *dag.Artifact, made bool, now int64) (int64, error) {
	if !made {
		var id int64
		err := t.row(`SELECT id FROM artifacts WHERE uri = ? AND digest = ? ORDER BY id DESC LIMIT 1`, a.URI, a.Digest).Scan(&id)
		if !errors.Is(err, sql.ErrNoRows) {
			return id, err
		}
	}
	metadata, err := encodeMap(a.Metadata)
	if err != nil {
		return 0, err
	}
	return t.insert(`INSERT INTO artifacts (name, uri, digest, type, version, metadata, size, created)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		a.Name, a.URI, a.Digest, a.Type, a.Version, metadata, a.Size, now)
}

const artifactColumns = `a.id, a.name, a.uri, a.digest, a.type, a.version, a.metadata, a.size`

// artifactFields are where artifactColumns are scanned to; metadata is decoded
// by the caller.
func artifactFields(a *dag.Artifact, metadata *string) []any {
	return []any{&a.ID, &a.Name, &a.URI, &a.Digest, &a.Type, &a.Version, metadata, &a.Size}
}

// artifactsByID loads the artifacts of ids.
func artifactsByID(q querier, ids map[int64]bool) (map[int64]dag.Artifact, error) {
	found := make(map[int64]dag.Artifact, len(ids))
	if len(ids) == 0 {
		return found, nil
	}
	where, list := `= ?`, any(nil)
	for id := range ids {
		list = id
	}
	if len(ids) > 1 {
		text, err := idList(ids)
		if err != nil {
			return nil, err
		}
		where, list = `IN (SELECT value FROM json_each(?))`, text
	}
	err := each(q, func(rows *sql.Rows) (err error) {
		var a dag.Artifact
		var metadata string
		if err := rows.Scan(artifactFields(&a, &metadata)...); err != nil {
			return err
		}
		a.Metadata, err = decodeMap(metadata)
		found[a.ID] = a
		return err
	}, `SELECT `+artifactColumns+` FROM artifacts a WHERE a.id `+where, list)
	return found, err
}

// maxAt is how many artifacts ArtifactsAt returns.
const maxAt = 20

// ArtifactsAt returns the newest artifacts with a URI, the last first.
func (d *DB) ArtifactsAt(ctx context.Context, uri string) ([]dag.Artifact, error) {
	var found []dag.Artifact
	err := d.view(ctx, func(s *snapshot) error {
		return each(s, func(rows *sql.Rows) (err error) {
			var a dag.Artifact
			var metadata string
			if err := rows.Scan(artifactFields(&a, &metadata)...); err != nil {
				return err
			}
			a.Metadata, err = decodeMap(metadata)
			found = append(found, a)
			return err
		}, `SELECT `+artifactColumns+` FROM artifacts a WHERE a.uri = ? ORDER BY a.id DESC LIMIT ?`, uri, maxAt)
	})
	if err != nil {
		return nil, fmt.Errorf("look up the artifacts at %q: %w", uri, err)
	}
	return found, nil
}

// idList is a JSON array for json_each: one statement for any number of ids.
func idList(ids map[int64]bool) (string, error) {
	return encode(slices.Sorted(maps.Keys(ids)))
}

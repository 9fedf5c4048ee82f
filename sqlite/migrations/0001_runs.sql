-- A pipeline is stored once, however many runs it has.
CREATE TABLE pipelines (
	id      INTEGER PRIMARY KEY,
	digest  TEXT    NOT NULL UNIQUE, -- of json
	name    TEXT    NOT NULL,
	json    TEXT    NOT NULL,
	created INTEGER NOT NULL
);

CREATE TABLE runs (
	id            TEXT    NOT NULL PRIMARY KEY,
	name          TEXT    NOT NULL,
	pipeline      INTEGER NOT NULL REFERENCES pipelines (id),
	pipeline_name TEXT    NOT NULL,
	options       TEXT    NOT NULL, -- JSON
	parameters    TEXT    NOT NULL, -- JSON
	outputs       TEXT    NOT NULL, -- JSON: parameters, and artifacts by id
	state         TEXT    NOT NULL,
	error         TEXT    NOT NULL,
	cancel        INTEGER NOT NULL,
	created       INTEGER NOT NULL,
	started       INTEGER NOT NULL,
	ended         INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX runs_created ON runs (created);
CREATE INDEX runs_name ON runs (name, created);
CREATE INDEX runs_pipeline ON runs (pipeline);
CREATE INDEX runs_open ON runs (created)
	WHERE state NOT IN ('SUCCEEDED', 'FAILED', 'SKIPPED', 'CANCELED');

CREATE TABLE executions (
	id         INTEGER PRIMARY KEY AUTOINCREMENT, -- never given twice: pods are named by it
	run        TEXT    NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
	parent     INTEGER REFERENCES executions (id) ON DELETE CASCADE, -- NULL: the root graph
	pipeline   TEXT    NOT NULL, -- name, for executions_last
	path       TEXT    NOT NULL,
	task       TEXT    NOT NULL,
	component  TEXT    NOT NULL,
	kind       TEXT    NOT NULL,
	iteration  INTEGER NOT NULL, -- -1: none
	state      TEXT    NOT NULL,
	cached     INTEGER NOT NULL,
	reason     TEXT    NOT NULL,
	key        TEXT    NOT NULL, -- empty: not cacheable
	key_parts  TEXT,             -- JSON
	inputs     TEXT    NOT NULL, -- JSON: parameters, and artifacts by id
	outputs    TEXT    NOT NULL,
	error      TEXT    NOT NULL,
	exit_code  INTEGER NOT NULL,
	retries    INTEGER NOT NULL,
	retry_at   INTEGER NOT NULL,
	created    INTEGER NOT NULL,
	started    INTEGER NOT NULL,
	ended      INTEGER NOT NULL
);

CREATE INDEX executions_run ON executions (run, path);
CREATE INDEX executions_parent ON executions (parent);
CREATE INDEX executions_last ON executions (pipeline, path, id) WHERE key_parts IS NOT NULL;

CREATE TABLE attempts (
	execution INTEGER NOT NULL REFERENCES executions (id) ON DELETE CASCADE,
	number    INTEGER NOT NULL,
	pod       TEXT    NOT NULL,
	state     TEXT    NOT NULL,
	cause     TEXT    NOT NULL,
	code      INTEGER NOT NULL,
	error     TEXT    NOT NULL,
	log       TEXT    NOT NULL,
	started   INTEGER NOT NULL,
	ended     INTEGER NOT NULL,
	PRIMARY KEY (execution, number)
) WITHOUT ROWID;

CREATE TABLE artifacts (
	id       INTEGER PRIMARY KEY AUTOINCREMENT,
	name     TEXT    NOT NULL,
	uri      TEXT    NOT NULL,
	digest   TEXT    NOT NULL, -- empty: the data is not in the store
	type     TEXT    NOT NULL,
	version  TEXT    NOT NULL,
	metadata TEXT    NOT NULL, -- JSON
	size     INTEGER NOT NULL,
	created  INTEGER NOT NULL
);

CREATE INDEX artifacts_uri ON artifacts (uri, digest);
CREATE INDEX artifacts_digest ON artifacts (digest);

-- An event is an input or output edge. follow is 1 where lineage goes on from
-- the artifact to the execution: not to groups, whose tasks say it better, and
-- not to cache hits, whose original does.
CREATE TABLE events (
	execution INTEGER NOT NULL REFERENCES executions (id) ON DELETE CASCADE,
	output    INTEGER NOT NULL, -- 0: input, 1: output
	name      TEXT    NOT NULL,
	position  INTEGER NOT NULL, -- in a list
	artifact  INTEGER NOT NULL REFERENCES artifacts (id),
	follow    INTEGER NOT NULL,
	PRIMARY KEY (execution, output, name, position)
) WITHOUT ROWID;

CREATE INDEX events_artifact ON events (artifact, output, follow);

CREATE TABLE cache_entries (
	key       TEXT    NOT NULL PRIMARY KEY,
	execution INTEGER NOT NULL REFERENCES executions (id) ON DELETE CASCADE,
	created   INTEGER NOT NULL,
	used      INTEGER NOT NULL -- when it last stood for an execution
) WITHOUT ROWID;

CREATE INDEX cache_entries_execution ON cache_entries (execution);

-- Experiments and their trials. A trial's run is a row of runs, which may be gone.
CREATE TABLE experiments (
	id      TEXT    NOT NULL PRIMARY KEY,
	name    TEXT    NOT NULL,
	spec    TEXT    NOT NULL, -- JSON
	state   TEXT    NOT NULL,
	reason  TEXT    NOT NULL,
	message TEXT    NOT NULL,
	created INTEGER NOT NULL,
	ended   INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX experiments_created ON experiments (created);
CREATE INDEX experiments_name ON experiments (name, created);

CREATE TABLE trials (
	experiment TEXT    NOT NULL REFERENCES experiments (id) ON DELETE CASCADE,
	number     INTEGER NOT NULL,
	name       TEXT    NOT NULL,
	state      TEXT    NOT NULL,
	reason     TEXT    NOT NULL,
	stop       TEXT    NOT NULL, -- why it is to be stopped early
	point      TEXT    NOT NULL, -- numbers, with spaces between
	resource   REAL    NOT NULL,
	bracket    INTEGER NOT NULL,
	rung       INTEGER NOT NULL,
	parent     INTEGER NOT NULL, -- -1: none
	run        TEXT    NOT NULL,
	summary    TEXT    NOT NULL, -- JSON, numbers as text
	created    INTEGER NOT NULL,
	started    INTEGER NOT NULL,
	ended      INTEGER NOT NULL,
	PRIMARY KEY (experiment, number)
) WITHOUT ROWID;

CREATE INDEX trials_run ON trials (run);

CREATE TABLE observations (
	experiment TEXT    NOT NULL REFERENCES experiments (id) ON DELETE CASCADE,
	trial      INTEGER NOT NULL,
	stream     TEXT    NOT NULL, -- where it came from
	attempt    INTEGER NOT NULL,
	number     INTEGER NOT NULL, -- in its stream, from 0
	metric     TEXT    NOT NULL,
	value      REAL,             -- NULL: NaN
	time       INTEGER NOT NULL,
	step       INTEGER NOT NULL, -- -1: not said
	PRIMARY KEY (experiment, trial, stream, attempt, number)
) WITHOUT ROWID;

-- Which experiment a run is a trial of.
ALTER TABLE runs ADD COLUMN experiment TEXT GENERATED ALWAYS AS (json_extract(options, '$.experiment')) VIRTUAL;

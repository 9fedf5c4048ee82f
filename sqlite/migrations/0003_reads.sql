-- What an execution has read of the sources mounted in it: another that differs
-- from it in other files only can take its outputs.
CREATE TABLE reads (
	base      TEXT    NOT NULL, -- cache key without the content of mounted sources
	execution INTEGER NOT NULL REFERENCES executions (id) ON DELETE CASCADE,
	sources   TEXT    NOT NULL, -- JSON
	PRIMARY KEY (base, execution)
) WITHOUT ROWID;
CREATE INDEX reads_execution ON reads (execution);

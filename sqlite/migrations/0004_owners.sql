-- How often a run got a new driver. What an earlier one still wants to commit is
-- refused.
CREATE TABLE owners (
	run   TEXT    NOT NULL PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE,
	epoch INTEGER NOT NULL
) WITHOUT ROWID;

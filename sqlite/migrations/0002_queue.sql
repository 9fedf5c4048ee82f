-- What waits for the machine, and what was granted to it.
CREATE TABLE admissions (
	seq      INTEGER PRIMARY KEY, -- order of arrival
	backend  TEXT    NOT NULL,
	pod      TEXT    NOT NULL,
	run      TEXT    NOT NULL,
	owner    TEXT    NOT NULL, -- process that asked
	pods     INTEGER NOT NULL, -- of the gang
	cpu      INTEGER NOT NULL, -- millicores
	memory   INTEGER NOT NULL, -- bytes
	gpu      INTEGER NOT NULL, -- devices
	priority INTEGER NOT NULL,
	granted  INTEGER NOT NULL, -- 0: waits
	devices  TEXT    NOT NULL, -- JSON: ids of the granted GPUs
	asked    INTEGER NOT NULL, -- when the owner last asked
	UNIQUE (backend, pod)
);

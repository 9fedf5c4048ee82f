-- Lists of runs leave out those of trials, of which one experiment may have thousands.
CREATE INDEX runs_plain ON runs (created) WHERE experiment IS NULL;
CREATE INDEX runs_plain_open ON runs (created)
	WHERE experiment IS NULL AND state NOT IN ('SUCCEEDED', 'FAILED', 'SKIPPED', 'CANCELED');
CREATE INDEX runs_experiment ON runs (experiment) WHERE experiment IS NOT NULL;

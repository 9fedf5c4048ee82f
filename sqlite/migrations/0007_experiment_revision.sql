-- How often an experiment was written, so that of two who ask for its next trial at
-- once one sees that the other was faster.
ALTER TABLE experiments ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;

-- Of an execution that ran nothing itself: the one that made its outputs. 0: not
-- known. No reference: that one may be deleted.
ALTER TABLE executions ADD COLUMN source INTEGER NOT NULL DEFAULT 0;

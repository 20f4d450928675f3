-- +goose Up
-- The list of the desk, and the counts above it, are answered from indexes alone,
-- however many rows there are.
ALTER TABLE queue ADD COLUMN holder TEXT NOT NULL DEFAULT ''; -- who has claimed it
UPDATE queue SET holder = coalesce(CAST(row AS TEXT) ->> 'claimed_by', '') WHERE state = 'claimed';
DROP INDEX queue_open;
CREATE INDEX queue_open ON queue (service, level DESC, due, opened, n, state) WHERE state <> 'closed';
CREATE INDEX queue_state ON queue (service, state, due) WHERE state <> 'closed';
CREATE INDEX queue_holder ON queue (service, holder) WHERE holder <> '';

-- +goose Up
-- The board of referrals finds its rows among many.
ALTER TABLE queue ADD COLUMN concern TEXT NOT NULL DEFAULT '';
UPDATE queue SET concern = coalesce(CAST(row AS TEXT) ->> 'concern', '');
CREATE INDEX queue_concern ON queue (service, concern, level DESC, due, opened, n, state) WHERE state <> 'closed';
CREATE INDEX queue_concern_closed ON queue (service, concern, closed DESC) WHERE state = 'closed';

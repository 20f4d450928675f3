-- +goose Up
-- Values lie apart from the keys by which they are found. In one tree, each look-up that
-- came past a large one (a content pack has megabytes) read it whole, to compare its key.
CREATE TABLE values_apart (
    n       INTEGER PRIMARY KEY,
    drawer  TEXT NOT NULL,
    key     TEXT NOT NULL,
    expires INTEGER,               -- NULL: never
    value   BLOB NOT NULL
);
INSERT INTO values_apart (drawer, key, expires, value) SELECT drawer, key, expires, value FROM drawers;
DROP TABLE drawers;
ALTER TABLE values_apart RENAME TO drawers;
CREATE UNIQUE INDEX drawers_key ON drawers (drawer, key);
CREATE INDEX drawers_expires ON drawers (expires) WHERE expires IS NOT NULL;

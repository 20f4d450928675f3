-- +goose Up
-- Words are entered in said after the commit of their message: those of the journal up to
-- this line are. Until this, each commit entered its own.
CREATE TABLE said_upto (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    n   INTEGER NOT NULL           -- journal.n
);
INSERT INTO said_upto (one, n) SELECT 1, coalesce(max(n), 0) FROM journal;

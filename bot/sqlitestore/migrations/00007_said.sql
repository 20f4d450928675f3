-- +goose Up
-- By which words of hers somebody is found: marks of package vault, not words. Where her
-- messages are from before this, bot.EnterSaid enters them.
CREATE TABLE said (
    patient INTEGER NOT NULL,      -- patients.n
    mark    INTEGER NOT NULL,
    day     INTEGER NOT NULL,      -- on which it was said last, since 1970
    PRIMARY KEY (patient, mark)
) WITHOUT ROWID;
CREATE INDEX said_mark ON said (mark, day);

-- +goose Up
-- Where the store is encrypted: BLOBs of JSON are sealed; patients.nhs, .birth, .who,
-- addresses.at, names.part, outgoing.recipient, queue.holder, queue.concern and
-- drawers.key hold what package vault looks up by (Blind, Begins).
CREATE TABLE sealing (
    one   INTEGER PRIMARY KEY CHECK (one = 1),
    state TEXT NOT NULL            -- JSON of vault.State
);
-- The parts of her name, sealed: what stands in names then says too little. They
-- lie close together, for a search opens hundreds.
CREATE TABLE cards (
    patient TEXT PRIMARY KEY,
    card    BLOB NOT NULL
) WITHOUT ROWID;

-- +goose Up
-- Times are milliseconds since 1970 in UTC. JSON is kept as BLOB.

CREATE TABLE patients (
    n         INTEGER PRIMARY KEY,
    id        TEXT NOT NULL UNIQUE,
    service   TEXT NOT NULL,
    version   INTEGER NOT NULL,
    next_wake INTEGER,             -- the earliest of the record's wakes
    seq       INTEGER NOT NULL,    -- of the last journal entry
    rowed     INTEGER NOT NULL,    -- 1 once a queue row was ever written for her
    nhs       TEXT,
    birth     TEXT,
    who       TEXT NOT NULL DEFAULT '', -- what stands of her in names and addresses
    record    BLOB NOT NULL
);
CREATE INDEX patients_wake ON patients (next_wake) WHERE next_wake IS NOT NULL;
CREATE INDEX patients_nhs ON patients (nhs) WHERE nhs IS NOT NULL;
CREATE INDEX patients_birth ON patients (birth) WHERE birth IS NOT NULL;

CREATE TABLE addresses (
    n       INTEGER PRIMARY KEY,
    service TEXT NOT NULL,
    channel TEXT NOT NULL,
    at      TEXT NOT NULL,
    patient TEXT NOT NULL
);
CREATE INDEX addresses_at ON addresses (service, channel, at);
CREATE INDEX addresses_patient ON addresses (patient);

CREATE TABLE names (
    service TEXT NOT NULL,
    part    TEXT NOT NULL,         -- folded: lower case, no accents
    patient TEXT NOT NULL,
    PRIMARY KEY (service, part, patient)
) WITHOUT ROWID;
CREATE INDEX names_patient ON names (patient);

-- One line a change: what one event did, never altered.
CREATE TABLE journal (
    n       INTEGER PRIMARY KEY,
    patient TEXT NOT NULL,
    seq     INTEGER NOT NULL,      -- of its last entry
    key     TEXT,                  -- makes the change happen once
    entries BLOB NOT NULL
);
CREATE UNIQUE INDEX journal_key ON journal (key) WHERE key IS NOT NULL;
CREATE INDEX journal_patient ON journal (patient, seq);

CREATE TABLE queue (
    n       INTEGER PRIMARY KEY,
    id      TEXT NOT NULL UNIQUE,
    service TEXT NOT NULL,
    patient TEXT NOT NULL,
    state   TEXT NOT NULL,
    level   INTEGER NOT NULL,
    due     INTEGER NOT NULL,
    opened  INTEGER NOT NULL,
    closed  INTEGER NOT NULL,
    row     BLOB NOT NULL
);
CREATE INDEX queue_open ON queue (service, level DESC, due, opened) WHERE state <> 'closed';
CREATE INDEX queue_closed ON queue (service, closed DESC) WHERE state = 'closed';
CREATE INDEX queue_patient ON queue (patient);

CREATE TABLE outgoing (
    n           INTEGER PRIMARY KEY,
    id          TEXT NOT NULL UNIQUE,
    channel     TEXT NOT NULL,
    recipient   TEXT NOT NULL,
    priority    INTEGER NOT NULL,
    not_before  INTEGER NOT NULL,
    created     INTEGER NOT NULL,
    state       INTEGER NOT NULL,  -- 0 pending, 1 sending, 2 sent, 3 delivered, 4 undelivered, 5 failed, 6 cancelled
    fence       INTEGER NOT NULL DEFAULT 0,
    attempts    INTEGER NOT NULL DEFAULT 0,
    lease_until INTEGER NOT NULL DEFAULT 0,
    unsettled   INTEGER NOT NULL DEFAULT 0,
    settled_at  INTEGER NOT NULL DEFAULT 0,
    carrier_id  TEXT,
    code        TEXT,
    message     BLOB NOT NULL
);
CREATE INDEX outgoing_leave ON outgoing (channel, priority, n) WHERE state < 2;
CREATE INDEX outgoing_recipient ON outgoing (channel, recipient, n) WHERE state < 2;
CREATE INDEX outgoing_carrier ON outgoing (carrier_id) WHERE carrier_id IS NOT NULL;

CREATE TABLE audit (
    n     INTEGER PRIMARY KEY AUTOINCREMENT,
    entry BLOB NOT NULL
);

CREATE TABLE drawers (
    drawer  TEXT NOT NULL,
    key     TEXT NOT NULL,
    value   BLOB NOT NULL,
    expires INTEGER,               -- NULL: never
    PRIMARY KEY (drawer, key)
) WITHOUT ROWID;
CREATE INDEX drawers_expires ON drawers (expires) WHERE expires IS NOT NULL;

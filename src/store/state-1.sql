-- Kept readable for a person with `sqlite3` at three in the morning.
-- `moment` is nanoseconds on the daemon's own axis, `wall` what the clock said.

CREATE TABLE identity (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    id   TEXT NOT NULL
);
INSERT INTO identity VALUES (1, lower(hex(randomblob(16))));

CREATE TABLE anchor (
    only       INTEGER PRIMARY KEY CHECK (only = 1),
    boot_id    TEXT NOT NULL,
    boot_nanos INTEGER NOT NULL,
    wall_nanos INTEGER NOT NULL,
    moment     INTEGER NOT NULL
);

CREATE TABLE fact (
    id     INTEGER PRIMARY KEY,
    moment INTEGER NOT NULL,
    wall   TEXT NOT NULL,
    kind   TEXT NOT NULL,
    fact   TEXT NOT NULL
);

CREATE TABLE effect (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    moment       INTEGER NOT NULL,
    wall         TEXT NOT NULL,
    kind         TEXT NOT NULL,
    effect       TEXT NOT NULL,
    acknowledged INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX effect_pending ON effect (id) WHERE NOT acknowledged;

-- `state`: waiting, delivered, abandoned. `due` counts while it waits.
CREATE TABLE letter (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    effect    INTEGER NOT NULL REFERENCES effect (id) ON DELETE CASCADE,
    recipient TEXT NOT NULL,
    moment    INTEGER NOT NULL,
    thread    TEXT,
    subject   TEXT NOT NULL,
    text      TEXT NOT NULL,
    html      TEXT NOT NULL,
    state     TEXT NOT NULL DEFAULT 'waiting',
    due       INTEGER NOT NULL DEFAULT 0,
    attempts  INTEGER NOT NULL DEFAULT 0,
    error     TEXT,
    UNIQUE (effect, recipient)
);
CREATE INDEX letter_waiting ON letter (due) WHERE state = 'waiting';

-- The engine's inspect documents. They may hold secrets.
CREATE TABLE record (
    container TEXT PRIMARY KEY,
    document  TEXT NOT NULL
);

-- May be lost. `identity` is that of the `state.db` it belongs to.
CREATE TABLE checkpoint (
    only       INTEGER PRIMARY KEY CHECK (only = 1),
    identity   TEXT NOT NULL,
    boot_id    TEXT NOT NULL,
    boot_nanos INTEGER NOT NULL,
    wall_nanos INTEGER NOT NULL,
    moment     INTEGER NOT NULL,
    bytes      BLOB NOT NULL
);

-- What `why --at` is answered from. A keyframe is the core as it stood, a span
-- what it was given from there up to `until`; `facts` is the last fact that is
-- in it, `size` the bytes of the whole span. `cause` says why it begins there:
-- start, reload, again, lost.
CREATE TABLE keyframe (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    identity TEXT NOT NULL,
    moment   INTEGER NOT NULL,
    until    INTEGER NOT NULL,
    cause    TEXT NOT NULL,
    facts    INTEGER NOT NULL,
    size     INTEGER NOT NULL,
    core     BLOB NOT NULL
);

CREATE TABLE heard (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    keyframe INTEGER NOT NULL,
    "from"   INTEGER NOT NULL,
    until    INTEGER NOT NULL,
    bytes    BLOB NOT NULL
);
CREATE INDEX heard_keyframe ON heard (keyframe);

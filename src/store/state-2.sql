-- The image with which a mark of Compose on a container was first seen: what
-- has the mark and another image was not made by Compose.
CREATE TABLE mark (
    mark  TEXT PRIMARY KEY,
    image TEXT NOT NULL
);

-- What a rollback did to a container: `made` it, or `replaced` it.
CREATE TABLE touch (
    container TEXT NOT NULL,
    incident  INTEGER NOT NULL,
    touch     TEXT NOT NULL,
    PRIMARY KEY (container, incident)
);

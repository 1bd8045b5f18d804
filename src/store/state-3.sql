-- The process group of the command that runs for a project: written before the
-- command is told to go, so that a start after a crash finds it.
CREATE TABLE command (
    project TEXT PRIMARY KEY,
    held    TEXT NOT NULL
);

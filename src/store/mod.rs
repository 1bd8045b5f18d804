//! What lasts: facts, journal and outbox in SQLite.

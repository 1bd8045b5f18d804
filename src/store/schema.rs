//! The format of the two files and how an older one becomes the present one.
//! A file is looked at read-only first: what is refused is not touched.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags};

use super::error::StoreError;

/// Marks a file as ours: "rbkd".
const APPLICATION: u32 = 0x7262_6b64;

/// How long another program (an operator's `sqlite3`) may hold a file before
/// that is an error.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// One of the two files.
pub(super) struct Schema {
    /// Its name in the state directory.
    pub(super) file: &'static str,
    /// How each connection is set up.
    settings: &'static str,
    /// What leads from each format to the next; the first makes format 1.
    migrations: &'static [&'static str],
}

/// Facts, journal, outbox, records and anchor.
pub(super) const STATE: Schema = Schema {
    file: "state.db",
    settings: "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
        PRAGMA trusted_schema = OFF; PRAGMA secure_delete = FAST;
        PRAGMA journal_size_limit = 4194304;",
    migrations: &[
        include_str!("state-1.sql"),
        include_str!("state-2.sql"),
        include_str!("state-3.sql"),
    ],
};

/// Checkpoints, and what was recorded.
pub(super) const SAMPLES: Schema = Schema {
    file: "samples.db",
    settings: "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;
        PRAGMA trusted_schema = OFF; PRAGMA journal_size_limit = 4194304;",
    migrations: &[include_str!("samples-1.sql"), include_str!("samples-2.sql")],
};

impl Schema {
    /// The newest format, which this version writes.
    fn newest(&self) -> u32 {
        u32::try_from(self.migrations.len()).unwrap_or(u32::MAX)
    }

    /// Opens a file that exists (an empty one is new), brought to the newest
    /// format.
    pub(super) fn open(&self, path: &Path) -> Result<Connection, StoreError> {
        let wrong = |error: rusqlite::Error| StoreError::of(path, &error);
        let found = self.inspect(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags).map_err(wrong)?;
        connection.busy_timeout(PATIENCE).map_err(wrong)?;
        connection.execute_batch(self.settings).map_err(wrong)?;
        for (from, migration) in (0..).zip(self.migrations).skip(found as usize) {
            let step = connection.transaction().map_err(wrong)?;
            step.execute_batch(migration).map_err(wrong)?;
            step.pragma_update(None, "application_id", APPLICATION).map_err(wrong)?;
            step.pragma_update(None, "user_version", from + 1).map_err(wrong)?;
            step.commit().map_err(wrong)?;
        }
        Ok(connection)
    }

    /// Looks at a file without changing it: its format, when this version can
    /// go on with it.
    fn inspect(&self, path: &Path) -> Result<u32, StoreError> {
        let wrong = |error: rusqlite::Error| StoreError::of(path, &error);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(wrong)?;
        connection.busy_timeout(PATIENCE).map_err(wrong)?;
        let number =
            |sql: &str| connection.query_row(sql, [], |row| row.get::<_, u32>(0)).map_err(wrong);
        let found = number("PRAGMA user_version")?;
        let application = number("PRAGMA application_id")?;
        let empty = number("SELECT count(*) FROM sqlite_schema")? == 0;
        if application != APPLICATION && !(empty && found == 0) {
            return Err(StoreError::Foreign { path: path.to_owned() });
        }
        if found > self.newest() {
            return Err(StoreError::Newer { path: path.to_owned(), found, known: self.newest() });
        }
        let verdict: String =
            connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(wrong)?;
        if verdict != "ok" {
            let what = verdict.lines().next_back().unwrap_or_default().trim().to_owned();
            return Err(StoreError::Damaged { path: path.to_owned(), what });
        }
        Ok(found)
    }
}

//! Reading what was recorded, with connections of its own that only read: the
//! thread that owns the files never waits for it.

use std::path::{Path, PathBuf};

use rollbackd_core::{fact::Fact, moment::Moment};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, params};

use super::{
    error::StoreError,
    recorded::{Cause, Chunk},
    schema::{PATIENCE, SAMPLES, STATE},
};

/// A keyframe and what was recorded since: as much as is known of a moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// The core when it began.
    pub core: Vec<u8>,
    /// Everything that the core was given up to then is known.
    pub until: Moment,
    /// What it was given, in order; none where `until` is before the moment.
    pub chunks: Vec<Chunk>,
    /// The facts since it began, and no others, in order.
    pub facts: Vec<Fact>,
    /// When the next span began and why; `None` for the newest.
    pub next: Option<(Moment, Cause)>,
    /// The core when the newest span began, where that is another.
    pub newest: Option<Vec<u8>>,
}

/// The state directory, for reading the past.
#[derive(Debug)]
pub struct Past {
    state: Connection,
    samples: Connection,
    path: PathBuf,
    samples_path: PathBuf,
    identity: String,
}

impl Past {
    /// Opens what a running daemon has in a state directory.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn open(state_dir: &Path) -> Result<Self, StoreError> {
        let (path, samples_path) = (state_dir.join(STATE.file), state_dir.join(SAMPLES.file));
        let (state, samples) = (looking(&path)?, looking(&samples_path)?);
        let identity = state
            .query_row("SELECT id FROM identity", [], |row| row.get(0))
            .map_err(|error| StoreError::of(&path, &error))?;
        Ok(Self { state, samples, path, samples_path, identity })
    }

    /// The span of a moment: the newest that did not begin after it. `None`: it is
    /// older than everything that is kept.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn span(&self, at: Moment) -> Result<Option<Span>, StoreError> {
        let wrong = |error: rusqlite::Error| StoreError::of(&self.samples_path, &error);
        // One view of it all, whatever is pruned meanwhile.
        let view = self.samples.unchecked_transaction().map_err(wrong)?;
        let Some((id, facts, mut span)) = self.keyframe(&view, at).map_err(wrong)? else {
            return Ok(None);
        };
        if span.until >= at {
            span.chunks = chunks(&view, id, at).map_err(wrong)?;
            let up_to = self.next(&view, id, &mut span).map_err(wrong)?;
            span.facts = self.facts(facts, up_to)?;
        } else {
            self.next(&view, id, &mut span).map_err(wrong)?;
        }
        Ok(Some(span))
    }

    /// The oldest moment that is known; `None` when none is.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn oldest(&self) -> Result<Option<Moment>, StoreError> {
        self.samples
            .query_row(
                "SELECT min(moment) FROM keyframe WHERE identity = ?",
                [&self.identity],
                |row| Ok(row.get::<_, Option<i64>>(0)?.map(moment)),
            )
            .map_err(|error| StoreError::of(&self.samples_path, &error))
    }

    fn keyframe(
        &self,
        view: &Transaction<'_>,
        at: Moment,
    ) -> rusqlite::Result<Option<(i64, i64, Span)>> {
        view.query_row(
            "SELECT id, facts, until, core FROM keyframe WHERE identity = ? AND moment <= ?
             ORDER BY id DESC LIMIT 1",
            params![self.identity, at.as_nanos().cast_signed()],
            |row| {
                let (chunks, facts) = (Vec::new(), Vec::new());
                let (until, core) = (moment(row.get("until")?), row.get("core")?);
                let span = Span { core, until, chunks, facts, next: None, newest: None };
                Ok((row.get("id")?, row.get("facts")?, span))
            },
        )
        .optional()
    }

    /// What comes after a span; the number of its last fact.
    fn next(&self, view: &Transaction<'_>, id: i64, span: &mut Span) -> rusqlite::Result<i64> {
        let next = view
            .query_row(
                "SELECT moment, cause, facts FROM keyframe WHERE identity = ? AND id > ?
                 ORDER BY id LIMIT 1",
                params![self.identity, id],
                |row| Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?)),
            )
            .optional()?;
        let Some((at, cause, facts)) = next else { return Ok(i64::MAX) };
        span.next = Some((moment(at), Cause::of(&cause).unwrap_or(Cause::Lost)));
        span.newest = view
            .query_row(
                "SELECT core FROM keyframe WHERE identity = ? ORDER BY id DESC LIMIT 1",
                [&self.identity],
                |row| row.get(0),
            )
            .optional()?;
        Ok(facts)
    }

    fn facts(&self, after: i64, up_to: i64) -> Result<Vec<Fact>, StoreError> {
        let wrong = |error: rusqlite::Error| StoreError::of(&self.path, &error);
        let mut select = self
            .state
            .prepare("SELECT id, fact FROM fact WHERE id > ? AND id <= ? ORDER BY id")
            .map_err(wrong)?;
        let rows = select
            .query_map([after, up_to], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)));
        let fact = |row: rusqlite::Result<(i64, String)>| {
            let (id, text) = row.map_err(wrong)?;
            serde_json::from_str(&text).map_err(|error| StoreError::Damaged {
                path: self.path.clone(),
                what: format!("fact {id} cannot be read (column {})", error.column()),
            })
        };
        rows.map_err(wrong)?.map(fact).collect()
    }
}

fn chunks(view: &Transaction<'_>, id: i64, at: Moment) -> rusqlite::Result<Vec<Chunk>> {
    let mut select = view.prepare(
        "SELECT \"from\", until, bytes FROM heard WHERE keyframe = ? AND \"from\" <= ? ORDER BY id",
    )?;
    let chunk = |row: &rusqlite::Row<'_>| {
        let (from, until) = (moment(row.get(0)?), moment(row.get(1)?));
        Ok(Chunk { from, until, bytes: row.get(2)? })
    };
    select.query_map(params![id, at.as_nanos().cast_signed()], chunk)?.collect()
}

fn moment(nanos: i64) -> Moment {
    Moment::from_nanos(nanos.cast_unsigned())
}

fn looking(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let wrong = |error: rusqlite::Error| StoreError::of(path, &error);
    let connection = Connection::open_with_flags(path, flags).map_err(wrong)?;
    connection.busy_timeout(PATIENCE).map_err(wrong)?;
    Ok(connection)
}

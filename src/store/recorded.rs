//! What was recorded, in `samples.db`: keyframes of the core and what it was given
//! since. Written beside the checkpoints, bounded, pruned by whole spans, so that
//! every chunk that is kept has its keyframe.

use rollbackd_core::moment::Moment;
use rusqlite::{Transaction, params};

use super::{database::Store, error::StoreError};

/// How much of the recording is kept. With one sample in 15 s an hour of 10 triggers
/// has some 90 kB, its keyframe among them, and one of 100 triggers some 500 kB (a
/// test of `tests/past.rs` measures it): about 30 days of 10 triggers, 5 of 100.
const KEPT: i64 = 64 * 1024 * 1024;

/// What a chunk costs beside its bytes; of a calm project that is no small part.
const ROW: i64 = 32;

/// Why a span begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The daemon has started.
    Start,
    /// The configuration was read again.
    Reload,
    /// The last span had become long.
    Again,
    /// What was heard before could not be kept.
    Lost,
}

impl Cause {
    const ALL: [Self; 4] = [Self::Start, Self::Reload, Self::Again, Self::Lost];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Reload => "reload",
            Self::Again => "again",
            Self::Lost => "lost",
        }
    }

    pub(super) fn of(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.as_str() == text)
    }
}

/// The core as it stood: a span begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyframe {
    /// When.
    pub at: Moment,
    /// Why now.
    pub cause: Cause,
    /// The core.
    pub core: Vec<u8>,
}

/// A piece of what was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Its first record's time counts from here.
    pub from: Moment,
    /// All that was given to the core until then is in it, and in those before.
    pub until: Moment,
    /// The records.
    pub bytes: Vec<u8>,
}

impl Store {
    /// Adds a chunk to the span that was begun last, then begins a new one. What
    /// is too old for the space is removed. It may be lost.
    ///
    /// # Errors
    ///
    /// When it cannot be written; then nothing was.
    pub fn remember(
        &mut self,
        chunk: Option<&Chunk>,
        keyframe: Option<&Keyframe>,
    ) -> Result<(), StoreError> {
        let facts = match keyframe {
            // The loop waits for this: no fact comes between its core and this.
            Some(_) => self.last_fact()?,
            None => 0,
        };
        let (identity, mut span) = (&self.identity, self.span);
        let path = &self.samples_path;
        let wrong = |error: rusqlite::Error| StoreError::of(path, &error);
        let step = self.samples.transaction().map_err(wrong)?;
        if let (Some(chunk), Some(span)) = (chunk, span) {
            add(&step, span, chunk).map_err(wrong)?;
        }
        if let Some(keyframe) = keyframe {
            span = Some(begin(&step, identity, facts, keyframe).map_err(wrong)?);
            prune(&step, identity).map_err(wrong)?;
        }
        step.commit().map_err(wrong)?;
        self.span = span;
        Ok(())
    }

    fn last_fact(&self) -> Result<i64, StoreError> {
        self.state
            .query_row("SELECT ifnull(max(id), 0) FROM fact", [], |row| row.get(0))
            .map_err(|error| self.wrong(&error))
    }
}

fn add(step: &Transaction<'_>, span: i64, chunk: &Chunk) -> rusqlite::Result<()> {
    let until = chunk.until.as_nanos().cast_signed();
    if !chunk.bytes.is_empty() {
        let from = chunk.from.as_nanos().cast_signed();
        step.prepare_cached(
            "INSERT INTO heard (keyframe, \"from\", until, bytes) VALUES (?, ?, ?, ?)",
        )?
        .execute(params![span, from, until, chunk.bytes])?;
    }
    let more = if chunk.bytes.is_empty() { 0 } else { size(&chunk.bytes) + ROW };
    step.prepare_cached("UPDATE keyframe SET until = ?, size = size + ? WHERE id = ?")?
        .execute(params![until, more, span])?;
    Ok(())
}

fn begin(
    step: &Transaction<'_>,
    identity: &str,
    facts: i64,
    keyframe: &Keyframe,
) -> rusqlite::Result<i64> {
    let (at, cause) = (keyframe.at.as_nanos().cast_signed(), keyframe.cause.as_str());
    step.prepare_cached(
        "INSERT INTO keyframe (identity, moment, until, cause, facts, size, core)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![identity, at, at, cause, facts, size(&keyframe.core), keyframe.core])?;
    Ok(step.last_insert_rowid())
}

/// The newest spans that have room together, and the newest in any case.
fn prune(step: &Transaction<'_>, identity: &str) -> rusqlite::Result<()> {
    step.execute(
        "DELETE FROM keyframe WHERE identity != ?1 OR id NOT IN (
             SELECT id FROM (
                 SELECT id, sum(size) OVER (ORDER BY id DESC) AS total FROM keyframe
                 WHERE identity = ?1)
             WHERE total <= ?2 OR id = (SELECT max(id) FROM keyframe))",
        params![identity, KEPT],
    )?;
    step.execute("DELETE FROM heard WHERE keyframe NOT IN (SELECT id FROM keyframe)", [])?;
    Ok(())
}

fn size(bytes: &[u8]) -> i64 {
    i64::try_from(bytes.len()).unwrap_or(i64::MAX)
}

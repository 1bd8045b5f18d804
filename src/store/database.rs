//! The two files behind plain, blocking calls. The daemon reaches them through
//! [`super::Handle`]; the simulation calls them directly.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use rollbackd_core::{effect::Effect, fact::Fact, moment::Moment};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    directory::Directory,
    error::StoreError,
    schema::{SAMPLES, STATE},
};
use crate::host::{clock::Anchor, death::boundary};

/// How long what is done with (acknowledged effects and their letters) is kept
/// for people to look at.
const KEPT: std::time::Duration = std::time::Duration::from_secs(90 * 24 * 3600);

/// The number of an effect in the journal; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EffectId(pub(super) u64);

impl EffectId {
    /// The number itself, for logs and message IDs.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for EffectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Everything a start needs of what was stored.
#[derive(Debug, PartialEq)]
pub struct Contents {
    /// Where the clock stood when it was last stored.
    pub anchor: Option<Anchor>,
    /// Every fact in order, with the moment it was committed.
    pub facts: Vec<(Moment, Fact)>,
    /// The effects that nobody has acknowledged, in order.
    pub pending: Vec<(EffectId, Effect)>,
    /// The last checkpoint; `None` when it was lost.
    pub checkpoint: Option<Vec<u8>>,
}

/// The open state directory. Dropping it closes the files and lets go of the
/// lock.
#[derive(Debug)]
pub struct Store {
    pub(super) state: Connection,
    pub(super) samples: Connection,
    pub(super) path: PathBuf,
    pub(super) samples_path: PathBuf,
    pub(super) identity: String,
    /// The span that is being recorded.
    pub(super) span: Option<i64>,
    #[cfg(feature = "testing")]
    refusals: super::refusals::Refusals,
    /// Last, so that the lock outlives the connections.
    _directory: Directory,
}

impl Store {
    /// Opens a state directory, made when missing.
    ///
    /// # Errors
    ///
    /// When another daemon uses it, it cannot be written, or `state.db` is
    /// damaged, of another program or of a newer version. A `samples.db` of
    /// which that is true is made anew.
    pub fn open(state_dir: &Path) -> Result<Self, StoreError> {
        let directory = Directory::take(state_dir)?;
        let path = directory.file(STATE.file)?;
        let state = STATE.open(&path)?;
        let identity = state
            .query_row("SELECT id FROM identity", [], |row| row.get(0))
            .map_err(|error| StoreError::of(&path, &error))?;
        let samples_path = directory.file(SAMPLES.file)?;
        let samples = match SAMPLES.open(&samples_path) {
            Ok(samples) => samples,
            Err(
                error @ (StoreError::Damaged { .. }
                | StoreError::Newer { .. }
                | StoreError::Foreign { .. }),
            ) => {
                tracing::warn!(%error, "store.samples.lost: made anew, windows start empty");
                directory.remove(SAMPLES.file)?;
                SAMPLES.open(&directory.file(SAMPLES.file)?)?
            }
            Err(error) => return Err(error),
        };
        let store = Self {
            state,
            samples,
            path,
            samples_path,
            identity,
            span: None,
            #[cfg(feature = "testing")]
            refusals: super::refusals::Refusals::default(),
            _directory: directory,
        };
        store.tidy()?;
        Ok(store)
    }

    /// What this state directory calls itself: 32 hexadecimal digits, random.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Everything a start needs.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or a row does not mean anything to this version.
    pub fn contents(&self) -> Result<Contents, StoreError> {
        let (checkpointed, checkpoint) = self.last_checkpoint()?.unzip();
        let anchor = self.anchor()?.into_iter().chain(checkpointed).max_by_key(|at| at.moment);
        let facts = self.rows("SELECT id, moment, fact FROM fact ORDER BY id", "fact")?;
        let pending = self.rows(
            "SELECT id, moment, effect FROM effect WHERE NOT acknowledged ORDER BY id",
            "effect",
        )?;
        Ok(Contents {
            anchor,
            facts: facts.into_iter().map(|(_, at, fact)| (at, fact)).collect(),
            pending: pending.into_iter().map(|(id, _, effect)| (EffectId(id), effect)).collect(),
            checkpoint,
        })
    }

    /// Stores facts, the effects that they cause and the anchor: all or nothing,
    /// on the disk when this returns. The effects' numbers are in their order.
    ///
    /// # Errors
    ///
    /// When it cannot be written; then nothing was.
    pub fn commit(
        &mut self,
        at: &Anchor,
        facts: &[Fact],
        effects: &[Effect],
    ) -> Result<Vec<EffectId>, StoreError> {
        let facts = facts.iter().map(|fact| self.encode(fact, "fact"));
        let facts = facts.collect::<Result<Vec<_>, _>>()?;
        let effects = effects.iter().map(|effect| self.encode(effect, "effect"));
        let effects = effects.collect::<Result<Vec<_>, _>>()?;
        let (moment, wall) = (at.moment.as_nanos().cast_signed(), wall(at));
        self.write(|step| {
            for (kind, fact) in &facts {
                step.prepare_cached(
                    "INSERT INTO fact (moment, wall, kind, fact) VALUES (?, ?, ?, ?)",
                )?
                .execute(params![moment, wall, kind, fact])?;
            }
            let mut ids = Vec::with_capacity(effects.len());
            for (kind, effect) in &effects {
                step.prepare_cached(
                    "INSERT INTO effect (moment, wall, kind, effect) VALUES (?, ?, ?, ?)",
                )?
                .execute(params![moment, wall, kind, effect])?;
                ids.push(EffectId(step.last_insert_rowid().cast_unsigned()));
            }
            step.prepare_cached("INSERT OR REPLACE INTO anchor VALUES (1, ?, ?, ?, ?)")?.execute(
                params![
                    at.boot_id,
                    at.boot_nanos.cast_signed(),
                    at.wall_nanos.cast_signed(),
                    moment
                ],
            )?;
            Ok(ids)
        })
    }

    /// Notes that an effect is done: it is not handed on again.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn acknowledge(&mut self, effect: EffectId) -> Result<(), StoreError> {
        self.write(|step| acknowledge(step, effect))
    }

    /// Keeps a checkpoint in place of the one before. It may be lost.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn checkpoint(&mut self, at: &Anchor, bytes: &[u8]) -> Result<(), StoreError> {
        let done = self
            .samples
            .prepare_cached("INSERT OR REPLACE INTO checkpoint VALUES (1, ?, ?, ?, ?, ?, ?)")
            .and_then(|mut insert| {
                insert.execute(params![
                    self.identity,
                    at.boot_id,
                    at.boot_nanos.cast_signed(),
                    at.wall_nanos.cast_signed(),
                    at.moment.as_nanos().cast_signed(),
                    bytes
                ])
            });
        done.map(|_| ()).map_err(|error| StoreError::of(&self.samples_path, &error))
    }

    /// The checkpoint that belongs to this state, with its anchor.
    fn last_checkpoint(&self) -> Result<Option<(Anchor, Vec<u8>)>, StoreError> {
        self.samples
            .query_row(
                "SELECT boot_id, boot_nanos, wall_nanos, moment, bytes FROM checkpoint
                 WHERE identity = ?",
                [&self.identity],
                |row| Ok((anchor(row)?, row.get("bytes")?)),
            )
            .optional()
            .map_err(|error| StoreError::of(&self.samples_path, &error))
    }

    fn anchor(&self) -> Result<Option<Anchor>, StoreError> {
        self.state
            .query_row("SELECT boot_id, boot_nanos, wall_nanos, moment FROM anchor", [], anchor)
            .optional()
            .map_err(|error| self.wrong(&error))
    }

    /// Removes what has long been done with.
    fn tidy(&self) -> Result<(), StoreError> {
        let Some(anchor) = self.anchor()? else { return Ok(()) };
        let before = (anchor.moment - KEPT).as_nanos().cast_signed();
        self.state
            .execute(
                "DELETE FROM effect WHERE acknowledged AND moment < ? AND NOT EXISTS
                 (SELECT 1 FROM letter WHERE letter.effect = effect.id AND state = 'waiting')",
                [before],
            )
            .map(|_| ())
            .map_err(|error| self.wrong(&error))
    }

    /// Rows of `id, moment, JSON`.
    fn rows<T: DeserializeOwned>(
        &self,
        sql: &str,
        what: &str,
    ) -> Result<Vec<(u64, Moment, T)>, StoreError> {
        let mut select = self.state.prepare(sql).map_err(|error| self.wrong(&error))?;
        let rows = select.query_map([], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?))
        });
        let rows = rows.map_err(|error| self.wrong(&error))?.map(|row| {
            let (id, moment, text) = row.map_err(|error| self.wrong(&error))?;
            let value = self.decode(&text, what, &id)?;
            Ok((id.cast_unsigned(), Moment::from_nanos(moment.cast_unsigned()), value))
        });
        rows.collect()
    }

    /// The kind (the value of the enum's tag) and the JSON of a fact or effect.
    fn encode<T: Serialize>(&self, value: &T, tag: &str) -> Result<(String, String), StoreError> {
        let json = serde_json::to_value(value).map_err(|error| StoreError::Failed {
            path: self.path.clone(),
            what: format!("a {tag} cannot be written as JSON: {error}"),
        })?;
        let kind = json.get(tag).and_then(serde_json::Value::as_str).unwrap_or_default();
        Ok((kind.to_owned(), json.to_string()))
    }

    /// Reads JSON back; the error names the row and never quotes it.
    pub(super) fn decode<T: DeserializeOwned>(
        &self,
        text: &str,
        what: &str,
        id: &dyn fmt::Display,
    ) -> Result<T, StoreError> {
        serde_json::from_str(text).map_err(|error| StoreError::Damaged {
            path: self.path.clone(),
            what: format!("{what} {id} cannot be read (column {})", error.column()),
        })
    }

    /// One transaction: all or nothing, and on the disk when this returns.
    pub(super) fn write<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        boundary("store.commit before");
        #[cfg(feature = "testing")]
        if self.refusals.next() {
            return Err(StoreError::Full { path: self.path.clone() });
        }
        let path = &self.path;
        let wrong = |error: rusqlite::Error| StoreError::of(path, &error);
        let begun = self.state.transaction_with_behavior(TransactionBehavior::Immediate);
        let step = begun.map_err(wrong)?;
        let value = work(&step).map_err(wrong)?;
        step.commit().map_err(wrong)?;
        boundary("store.commit after");
        Ok(value)
    }

    /// As [`super::Handle::refuse_writes`].
    #[cfg(feature = "testing")]
    pub(super) fn refuse_writes(&mut self, refuse: bool) -> Result<(), StoreError> {
        self.state
            .pragma_update(None, "query_only", refuse)
            .map_err(|error| StoreError::of(&self.path, &error))
    }

    /// As [`super::Handle::refuse_from`].
    #[cfg(feature = "testing")]
    pub(super) const fn refuse_from(&mut self, n: u64, times: u64) {
        self.refusals.set(n, times);
    }

    /// As [`super::Handle::writes`].
    #[cfg(feature = "testing")]
    pub(super) const fn writes(&self) -> u64 {
        self.refusals.writes()
    }

    pub(super) fn wrong(&self, error: &rusqlite::Error) -> StoreError {
        StoreError::of(&self.path, error)
    }
}

/// Within a transaction: an effect is done.
pub(super) fn acknowledge(step: &Transaction<'_>, effect: EffectId) -> rusqlite::Result<()> {
    step.prepare_cached("UPDATE effect SET acknowledged = 1 WHERE id = ?")?
        .execute([effect.0.cast_signed()])?;
    Ok(())
}

fn anchor(row: &Row<'_>) -> rusqlite::Result<Anchor> {
    let nanos = |column: &str| row.get::<_, i64>(column).map(i64::cast_unsigned);
    Ok(Anchor {
        boot_id: row.get("boot_id")?,
        boot_nanos: nanos("boot_nanos")?,
        wall_nanos: nanos("wall_nanos")?,
        moment: Moment::from_nanos(nanos("moment")?),
    })
}

/// The wall time of an anchor to the millisecond, for people.
fn wall(at: &Anchor) -> String {
    let millis = i64::try_from(at.wall_nanos / 1_000_000).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX).to_string()
}

//! Letters on their way to people: one row a recipient, kept until the mail
//! server took it or it was given up with the reason.

use std::fmt;

use rollbackd_core::moment::Moment;
use rusqlite::{OptionalExtension, Row, params};

use super::{
    database::{EffectId, Store, acknowledge},
    error::StoreError,
};

/// A letter to one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The recipient's mailbox.
    pub recipient: String,
    /// When what it tells of happened.
    pub at: Moment,
    /// What it belongs to: letters of the same thread are shown together.
    pub thread: Option<String>,
    /// The subject.
    pub subject: String,
    /// The body as plain text.
    pub text: String,
    /// The body as HTML.
    pub html: String,
}

/// The number of a letter in the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LetterId(u64);

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A letter that waits to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queued {
    /// Its number.
    pub id: LetterId,
    /// The effect that asked for it.
    pub effect: EffectId,
    /// How often sending it has failed.
    pub attempts: u32,
    /// The letter.
    pub letter: Letter,
}

/// How the outbox stands, for status and metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outbox {
    /// Letters that wait.
    pub waiting: u64,
    /// Letters that were given up.
    pub abandoned: u64,
    /// Why the letter that failed last and still waits failed.
    pub last_error: Option<String>,
}

impl Store {
    /// Puts letters into the outbox and acknowledges the effect that asked for
    /// them, in one transaction. A recipient that already has a letter of this
    /// effect gets no second one.
    ///
    /// # Errors
    ///
    /// When it cannot be written; then nothing was.
    pub fn post(&mut self, effect: EffectId, letters: &[Letter]) -> Result<(), StoreError> {
        self.write(|step| {
            for letter in letters {
                step.prepare_cached(
                    "INSERT INTO letter (effect, recipient, moment, thread, subject, text, html)
                     VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (effect, recipient) DO NOTHING",
                )?
                .execute(params![
                    effect.0.cast_signed(),
                    letter.recipient,
                    letter.at.as_nanos().cast_signed(),
                    letter.thread,
                    letter.subject,
                    letter.text,
                    letter.html,
                ])?;
            }
            acknowledge(step, effect)
        })
    }

    /// The letters that are due, oldest first, at most `limit`.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn due(&self, now: Moment, limit: u32) -> Result<Vec<Queued>, StoreError> {
        let read = || -> rusqlite::Result<Vec<Queued>> {
            let mut select = self.state.prepare_cached(
                "SELECT id, effect, attempts, recipient, moment, thread, subject, text, html
                 FROM letter WHERE state = 'waiting' AND due <= ? ORDER BY id LIMIT ?",
            )?;
            select.query_map(params![whole(now), limit], queued)?.collect()
        };
        read().map_err(|error| self.wrong(&error))
    }

    /// When the next letter is due; `None` when none waits.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn next_due(&self) -> Result<Option<Moment>, StoreError> {
        self.state
            .query_row("SELECT min(due) FROM letter WHERE state = 'waiting'", [], |row| {
                row.get::<_, Option<i64>>(0)
            })
            .map(|due| due.map(|due| Moment::from_nanos(due.cast_unsigned())))
            .map_err(|error| self.wrong(&error))
    }

    /// The mail server took it.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn delivered(&mut self, letter: LetterId) -> Result<(), StoreError> {
        self.write(|step| {
            step.execute(
                "UPDATE letter SET state = 'delivered', error = NULL WHERE id = ?",
                [letter.0.cast_signed()],
            )?;
            Ok(())
        })
    }

    /// Sending it failed; it is due again at `retry_at`.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn failed(
        &mut self,
        letter: LetterId,
        retry_at: Moment,
        error: &str,
    ) -> Result<(), StoreError> {
        self.write(|step| {
            step.execute(
                "UPDATE letter SET due = ?, attempts = attempts + 1, error = ? WHERE id = ?",
                params![whole(retry_at), error, letter.0.cast_signed()],
            )?;
            Ok(())
        })
    }

    /// It will not be sent; the reason is kept.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn abandoned(&mut self, letter: LetterId, error: &str) -> Result<(), StoreError> {
        self.write(|step| {
            step.execute(
                "UPDATE letter SET state = 'abandoned', attempts = attempts + 1, error = ?
                 WHERE id = ?",
                params![error, letter.0.cast_signed()],
            )?;
            Ok(())
        })
    }

    /// How the outbox stands.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn outbox(&self) -> Result<Outbox, StoreError> {
        let count = |state: &str| {
            self.state
                .query_row("SELECT count(*) FROM letter WHERE state = ?", [state], |row| {
                    row.get::<_, i64>(0)
                })
                .map(i64::cast_unsigned)
        };
        let last_error = self
            .state
            .query_row(
                "SELECT error FROM letter WHERE state = 'waiting' AND error IS NOT NULL
                 ORDER BY due DESC LIMIT 1",
                [],
                |row| row.get(0),
            )
            .optional();
        let read = || {
            Ok(Outbox {
                waiting: count("waiting")?,
                abandoned: count("abandoned")?,
                last_error: last_error?,
            })
        };
        read().map_err(|error: rusqlite::Error| self.wrong(&error))
    }
}

fn queued(row: &Row<'_>) -> rusqlite::Result<Queued> {
    let number = |column: &str| row.get::<_, i64>(column).map(i64::cast_unsigned);
    Ok(Queued {
        id: LetterId(number("id")?),
        effect: EffectId(number("effect")?),
        attempts: row.get("attempts")?,
        letter: Letter {
            recipient: row.get("recipient")?,
            at: Moment::from_nanos(number("moment")?),
            thread: row.get("thread")?,
            subject: row.get("subject")?,
            text: row.get("text")?,
            html: row.get("html")?,
        },
    })
}

/// As SQLite compares it: what lies beyond the year 2262 is never due.
fn whole(moment: Moment) -> i64 {
    i64::try_from(moment.as_nanos()).unwrap_or(i64::MAX)
}

//! From a notice to a mail that was taken: each notice becomes a letter a
//! recipient in the store's outbox, and letters are sent until the server has
//! taken them or refused them for good. At least once, one connection at a
//! time; a mail server that is down loses nothing.

use std::{collections::BTreeMap, time::Duration};

use rollbackd_core::{effect::Notice, moment::Moment};
use tokio::{
    sync::{Notify, mpsc},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::{
    email::{Identity, MailError, Mailer},
    message::{Letterhead, Message},
    smtp::{Connection, Meaning},
};
use crate::{
    host::clock::Clock,
    store::{EffectId, Handle, Letter, LetterId, Queued, StoreError},
};

/// How long after the first failure a letter is tried again; doubled with each.
const FIRST_RETRY: Duration = Duration::from_secs(5);
/// The longest time between two tries.
const LONGEST_RETRY: Duration = Duration::from_secs(300);
/// How many letters are read from the store at once.
const BATCH: u32 = 50;
/// How long a store that could not be written is left alone.
const STORE_RETRY: Duration = Duration::from_secs(5);
/// The timer that waits for the next letter stands still while the machine is
/// suspended; so it never waits for longer than this.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How long a mail that is under way may take when the daemon stops.
const LAST_MAIL: Duration = Duration::from_secs(5);

/// Tells people of every notice that comes, and sends what waits, until it is
/// told to stop. Without a mailer, notices are logged and acknowledged, and
/// letters that still wait go on waiting.
///
/// A notice whose effect was not acknowledged before the stop is handed on
/// again at the next start.
pub async fn drain(
    store: Handle,
    mailer: Option<Mailer>,
    letterhead: Letterhead,
    inbox: &mut Inbox,
    stop: CancellationToken,
) {
    let recipients = mailer.as_ref().map(|mailer| mailer.recipients().to_vec()).unwrap_or_default();
    let desk = Desk { store: store.clone(), recipients, letterhead };
    let posted = Notify::new();
    let posting = async {
        loop {
            let (effect, notice) = tokio::select! {
                () = stop.cancelled() => return,
                next = inbox.first() => match next {
                    Some(first) => first,
                    None => return,
                },
            };
            if !desk.post_at_last(*effect, notice, &stop).await {
                return;
            }
            inbox.held = None;
            posted.notify_one();
        }
    };
    let sending = async {
        let Some(mailer) = mailer else { return };
        let mut courier = Courier::new(store, mailer, desk.letterhead.clock.clone());
        loop {
            let wait = tokio::select! {
                wait = courier.round() => wait,
                () = async { stop.cancelled().await; sleep(LAST_MAIL).await } => return,
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = posted.notified() => {}
                () = sleep(wait.min(LONGEST_WAIT)) => {}
            }
        }
    };
    tokio::join!(posting, sending);
}

/// Notices on their way in. It outlives a drain, so that one which could not be
/// posted before a reload is posted after it.
#[derive(Debug)]
pub struct Inbox {
    notices: mpsc::Receiver<(EffectId, Notice)>,
    held: Option<(EffectId, Notice)>,
}

impl Inbox {
    /// Of what comes through this channel.
    #[must_use]
    pub const fn new(notices: mpsc::Receiver<(EffectId, Notice)>) -> Self {
        Self { notices, held: None }
    }

    /// The first notice that is not yet posted; `None` when no more can come.
    async fn first(&mut self) -> Option<&(EffectId, Notice)> {
        if self.held.is_none() {
            self.held = self.notices.recv().await;
        }
        self.held.as_ref()
    }
}

/// Turns notices into letters.
#[derive(Debug)]
pub struct Desk {
    store: Handle,
    recipients: Vec<String>,
    letterhead: Letterhead,
}

impl Desk {
    /// Writes to these mailboxes; to none: notices are only logged.
    #[must_use]
    pub fn new(store: Handle, recipients: Vec<String>, letterhead: Letterhead) -> Self {
        Self { store, recipients, letterhead }
    }

    /// Puts a letter for each recipient into the outbox and acknowledges the
    /// effect, in one transaction. Doing it again changes nothing.
    ///
    /// # Errors
    ///
    /// When the store cannot be written.
    pub async fn post(&self, effect: EffectId, notice: &Notice) -> Result<(), StoreError> {
        let message = self.letterhead.write(notice);
        tracing::info!(%effect, subject = message.subject, "notify.told");
        if self.recipients.is_empty() {
            return self.store.acknowledge(effect).await;
        }
        let letters = self.recipients.iter().map(|recipient| addressed(&message, recipient));
        self.store.post(effect, letters.collect()).await
    }

    /// Tries until the store takes it, or (false) it is told to stop.
    async fn post_at_last(
        &self,
        effect: EffectId,
        notice: &Notice,
        stop: &CancellationToken,
    ) -> bool {
        while let Err(error) = self.post(effect, notice).await {
            tracing::error!(%effect, %error, "notify.post.failed: tried again in a moment");
            tokio::select! {
                () = stop.cancelled() => return false,
                () = sleep(STORE_RETRY) => {}
            }
        }
        true
    }
}

/// Sends the letters that are due.
#[derive(Debug)]
pub struct Courier {
    store: Handle,
    mailer: Mailer,
    clock: Clock,
    /// What came of letters and could not be noted: a letter that was taken is
    /// not sent again because the disk is full.
    unnoted: BTreeMap<LetterId, Fate>,
}

/// How one round went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Letters that the server took.
    pub delivered: u32,
    /// Letters that are tried again later.
    pub postponed: u32,
    /// Letters that were given up.
    pub abandoned: u32,
}

/// What came of a letter.
#[derive(Clone, Debug)]
enum Fate {
    Delivered,
    Postponed(Moment, String),
    Abandoned(String),
}

impl Courier {
    /// Sends by this mailer what waits in this store.
    #[must_use]
    pub fn new(store: Handle, mailer: Mailer, clock: Clock) -> Self {
        Self { store, mailer, clock, unnoted: BTreeMap::new() }
    }

    /// Sends what is due now, each letter once; one connection at a time.
    ///
    /// # Errors
    ///
    /// When the store cannot be read or written. What came of the letters until
    /// then is remembered and noted first in the next round.
    pub async fn deliver(&mut self) -> Result<Round, StoreError> {
        self.note_rest().await?;
        let due = self.store.due(self.clock.now(), BATCH).await?;
        // Taken out so that the connection borrows the mailer and not `self`.
        let Self { store, mailer, clock, unnoted } = self;
        let mut way = Way { mailer, connection: None };
        let mut round = Round::default();
        let mut letters = due.iter();
        while let Some(queued) = letters.next() {
            let identity = Identity {
                of: format!("effect-{}", queued.effect),
                store: store.identity().to_owned(),
                at: clock.wall_of(queued.letter.at),
            };
            let sent = way.send(&queued.letter, &identity).await;
            let nobody = matches!(&sent, Err(error) if error.meaning() == Meaning::Nobody);
            settle(store, clock, unnoted, queued, sent.as_ref(), &mut round).await?;
            if nobody {
                // None of the others could be sent either.
                for queued in letters.by_ref() {
                    settle(store, clock, unnoted, queued, sent.as_ref(), &mut round).await?;
                }
            }
        }
        way.leave().await;
        Ok(round)
    }

    /// A round, and how long to wait for the next.
    async fn round(&mut self) -> Duration {
        let next = match self.deliver().await {
            Ok(_) => self.store.next_due().await,
            Err(error) => Err(error),
        };
        match next {
            Ok(Some(due)) => due.since(self.clock.now()),
            Ok(None) => LONGEST_WAIT,
            Err(error) => {
                tracing::error!(%error, "notify.outbox.failed: tried again in a moment");
                STORE_RETRY
            }
        }
    }

    async fn note_rest(&mut self) -> Result<(), StoreError> {
        while let Some((letter, fate)) = self.unnoted.pop_first() {
            if let Err(error) = note(&self.store, letter, &fate).await {
                self.unnoted.insert(letter, fate);
                return Err(error);
            }
        }
        Ok(())
    }
}

/// The connection of one round, opened when it is first needed and again after
/// it broke.
struct Way<'a> {
    mailer: &'a Mailer,
    connection: Option<Connection<'a>>,
}

impl Way<'_> {
    async fn send(&mut self, letter: &Letter, identity: &Identity) -> Result<String, MailError> {
        let mut connection = match self.connection.take() {
            Some(open) => open,
            None => self.mailer.connect().await?,
        };
        let sent = self.mailer.send(&mut connection, letter, identity).await;
        match sent {
            Ok(_) => self.connection = Some(connection),
            // Nobody listens there any more.
            Err(MailError::Lost { .. }) => drop(connection),
            // In the middle of a transaction: the next letter begins anew.
            Err(_) => connection.quit().await,
        }
        sent
    }

    async fn leave(self) {
        if let Some(connection) = self.connection {
            connection.quit().await;
        }
    }
}

/// Notes what came of a letter, in the log and in the store.
async fn settle(
    store: &Handle,
    clock: &Clock,
    unnoted: &mut BTreeMap<LetterId, Fate>,
    queued: &Queued,
    sent: Result<&String, &MailError>,
    round: &mut Round,
) -> Result<(), StoreError> {
    let to = &queued.letter.recipient;
    let fate = match sent {
        Ok(answer) => {
            tracing::info!(letter = %queued.id, %to, %answer, "notify.mail.delivered");
            round.delivered += 1;
            Fate::Delivered
        }
        Err(error) if error.meaning() == Meaning::Never => {
            tracing::error!(letter = %queued.id, %to, %error, "notify.mail.abandoned");
            round.abandoned += 1;
            Fate::Abandoned(error.to_string())
        }
        Err(error) => {
            let wait = backoff(queued.attempts);
            tracing::warn!(letter = %queued.id, %to, %error, ?wait, "notify.mail.postponed");
            round.postponed += 1;
            Fate::Postponed(clock.now() + wait, error.to_string())
        }
    };
    let noted = note(store, queued.id, &fate).await;
    if noted.is_err() {
        unnoted.insert(queued.id, fate);
    }
    noted
}

async fn note(store: &Handle, letter: LetterId, fate: &Fate) -> Result<(), StoreError> {
    match fate.clone() {
        Fate::Delivered => store.delivered(letter).await,
        Fate::Postponed(until, why) => store.failed(letter, until, why).await,
        Fate::Abandoned(why) => store.abandoned(letter, why).await,
    }
}

/// 5 s, doubled with each failure, 5 minutes at most, for as long as it takes.
fn backoff(failures: u32) -> Duration {
    FIRST_RETRY.saturating_mul(2_u32.saturating_pow(failures)).min(LONGEST_RETRY)
}

fn addressed(message: &Message, recipient: &str) -> Letter {
    Letter {
        recipient: recipient.to_owned(),
        at: message.at,
        thread: message.thread.clone(),
        subject: message.subject.clone(),
        text: message.text.clone(),
        html: message.html.clone(),
    }
}

/// How a message that was sent at once fared on its way to one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The recipient.
    pub recipient: String,
    /// What the server answered, or a sentence why it did not take it.
    pub result: Result<String, String>,
}

/// Sends a message to everybody at once, past the outbox: for a test, and for
/// trouble with the store itself. Tried once, in the order of the recipients.
pub async fn send_now(mailer: &Mailer, clock: &Clock, message: &Message) -> Vec<Report> {
    let identity = Identity {
        of: format!("message-{}", message.at.as_nanos()),
        store: "direct".to_owned(),
        at: clock.wall_of(message.at),
    };
    let mut way = Way { mailer, connection: None };
    let mut reports = Vec::new();
    let mut nobody = None;
    for recipient in mailer.recipients() {
        let result = match &nobody {
            Some(why) => Err(String::clone(why)),
            None => way.send(&addressed(message, recipient), &identity).await.map_err(|error| {
                let why = error.to_string();
                // The others need not wait for the same answer.
                nobody = (error.meaning() == Meaning::Nobody).then(|| why.clone());
                why
            }),
        };
        reports.push(Report { recipient: recipient.clone(), result });
    }
    way.leave().await;
    reports
}

/// Sends the test message of `test-notify` to everybody.
pub async fn test(mailer: &Mailer, letterhead: &Letterhead) -> Vec<Report> {
    send_now(mailer, &letterhead.clock, &letterhead.test()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_between_tries_doubles_up_to_five_minutes_and_stays_there() {
        let waits: Vec<u64> = (0..9).map(|failures| backoff(failures).as_secs()).collect();
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
        assert_eq!(backoff(u32::MAX), LONGEST_RETRY);
    }
}

//! A notice as a message that a person can sort by its subject and act on by
//! its body. Which story each kind of news tells is in `story`.

use std::fs;

use jiff::tz::TimeZone;
use rollbackd_core::{
    effect::{News, Notice},
    incident::Incident,
    moment::Moment,
};

use super::{
    layout::{Block, Page, Tone},
    story::Story,
    wording::{clip, time},
};
use crate::host::clock::Clock;

/// Subjects are cut here; most programs show less.
const LONGEST_SUBJECT: usize = 160;

/// A message, ready to be sent to anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// When what it tells of happened.
    pub at: Moment,
    /// What it belongs to; messages of one thread are shown together.
    pub thread: Option<String>,
    /// One line.
    pub subject: String,
    /// The body as plain text.
    pub text: String,
    /// The body as HTML.
    pub html: String,
}

/// What all messages of this daemon share: whose they are, and its time.
#[derive(Clone, Debug)]
pub struct Letterhead {
    pub(super) clock: Clock,
    zone: TimeZone,
    host: String,
}

impl Letterhead {
    /// Of the machine that this runs on.
    #[must_use]
    pub fn here(clock: Clock) -> Self {
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host = if host.trim().is_empty() { "this machine" } else { host.trim() };
        Self::new(clock, TimeZone::system(), host)
    }

    /// Of a machine of this name, in this zone.
    #[must_use]
    pub fn new(clock: Clock, zone: TimeZone, host: &str) -> Self {
        Self { clock, zone, host: host.to_owned() }
    }

    /// The message that a notice becomes.
    #[must_use]
    pub fn write(&self, notice: &Notice) -> Message {
        let story = Story { letterhead: self, notice };
        let page = match &notice.news {
            News::Alert { breach, reason } => story.alert(breach, reason),
            News::Blind { service, trigger, reason } => story.blind(service, trigger, reason),
            News::KnownBad { services, by, unattended } => {
                story.known_bad(services, *by, *unattended)
            }
            News::Began(incident) => story.began(incident),
            News::Ended { incident, outcome, todo } => story.ended(incident, *outcome, todo),
            News::Refused(incident) => story.refused(incident),
            News::PauseEnded => story.pause_ended(),
            News::TargetFailed { incident, revision, why } => {
                story.target_failed(incident, *revision, why)
            }
        };
        self.message(notice.at, thread(&notice.news), &page)
    }

    /// What `test-notify` sends.
    #[must_use]
    pub fn test(&self) -> Message {
        let text = |text: &str| vec![Block::Text(text.into())];
        let page = Page {
            title: format!("test message from {}", self.host),
            tone: Tone::Good,
            happened: text("Somebody asked for a test message (`rollbackd test-notify`)."),
            done: text("This message was sent; nothing else."),
            over: text("Yes. If you read this, messages reach you."),
            todo: text("Nothing."),
            footer: self.footer(None),
        };
        self.message(self.clock.now(), None, &page)
    }

    /// Something that is wrong with the daemon itself and that no notice tells:
    /// that its state cannot be written, say. `what` and `remedy` are sentences.
    #[must_use]
    pub fn trouble(&self, what: &str, remedy: &str) -> Message {
        let text = |text: &str| vec![Block::Text(text.into())];
        let page = Page {
            title: format!("rollbackd on {} cannot act: {}", self.host, clip(what)),
            tone: Tone::Bad,
            happened: text(&clip(what)),
            done: text("Nothing: while this lasts, rollbackd rolls nothing back."),
            over: text("No. It is tried again with every sample."),
            todo: text(&clip(remedy)),
            footer: self.footer(None),
        };
        self.message(self.clock.now(), None, &page)
    }

    /// A moment as people read it.
    pub(super) fn time(&self, moment: Moment) -> String {
        time(&self.clock, &self.zone, moment)
    }

    /// The last line of a page.
    pub(super) fn footer(&self, incident: Option<&Incident>) -> String {
        let host = &self.host;
        match incident {
            None => format!("rollbackd on {host}. `rollbackd status` shows how things are now."),
            Some(Incident { id, .. }) => {
                format!(
                    "rollbackd on {host}, incident {id}. `rollbackd history {id}` shows it whole."
                )
            }
        }
    }

    fn message(&self, at: Moment, thread: Option<String>, page: &Page) -> Message {
        let subject = clip(&format!("[rollbackd] {}", page.title));
        let subject = match subject.char_indices().nth(LONGEST_SUBJECT) {
            None => subject,
            Some((end, _)) => format!("{}…", &subject[..end]),
        };
        Message { at, thread, subject, text: page.text(), html: page.html() }
    }
}

/// All messages of an incident are one thread.
fn thread(news: &News) -> Option<String> {
    let incident = match news {
        News::Began(incident)
        | News::Ended { incident, .. }
        | News::Refused(incident)
        | News::TargetFailed { incident, .. } => incident,
        News::KnownBad { by, .. } => return Some(format!("incident-{by}")),
        News::Alert { .. } | News::Blind { .. } | News::PauseEnded => return None,
    };
    Some(format!("incident-{}", incident.id))
}

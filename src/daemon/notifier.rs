//! Tells people: drains the outbox with the mail server of the present
//! configuration, sends test messages, and tells of a state that cannot be
//! written, from memory.

use std::time::Duration;

use rollbackd_core::effect::Notice;
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{
    api::{TestNotify, json::ChannelReport},
    config::settings::Email,
    host::clock::Clock,
    notify::{email::Mailer, message::Letterhead, outbox},
    store::{EffectId, Handle},
};

/// How long a message from memory may take.
const AT_ONCE: Duration = Duration::from_secs(120);

/// The mail server of the present configuration, and whose letters they are.
pub(super) struct Notifier {
    pub(super) store: Handle,
    pub(super) clock: Clock,
    pub(super) email: watch::Receiver<Option<Email>>,
}

impl Notifier {
    /// Drains the outbox until it is told to stop; anew after each change of the
    /// mail server.
    pub(super) async fn drain(
        mut self,
        notices: mpsc::Receiver<(EffectId, Notice)>,
        stop: CancellationToken,
    ) {
        let mut inbox = outbox::Inbox::new(notices);
        while !stop.is_cancelled() {
            let mailer = self.mailer();
            let until = stop.child_token();
            let letterhead = Letterhead::here(self.clock.clone());
            let drain =
                outbox::drain(self.store.clone(), mailer, letterhead, &mut inbox, until.clone());
            tokio::pin!(drain);
            tokio::select! {
                () = &mut drain => return,
                changed = self.email.changed() => {
                    until.cancel();
                    drain.await;
                    if changed.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Answers `test-notify`.
    pub(super) async fn test(mut self, mut tests: mpsc::Receiver<TestNotify>) {
        while let Some(answer) = tests.recv().await {
            let reports = match self.mailer() {
                Some(mailer) => outbox::test(&mailer, &Letterhead::here(self.clock.clone())).await,
                None => Vec::new(),
            };
            // The person may have gone.
            let _ = answer.send(reports.into_iter().map(report).collect());
        }
    }

    /// Tells of trouble with the state itself, past the outbox.
    pub(super) async fn troubles(mut self, mut troubles: mpsc::Receiver<String>) {
        while let Some(trouble) = troubles.recv().await {
            let Some(mailer) = self.mailer() else { continue };
            let remedy = "Make room on the disk, or make the state directory writable again; \
                          rollbackd goes on by itself.";
            let message = Letterhead::here(self.clock.clone()).trouble(&trouble, remedy);
            let sending = outbox::send_now(&mailer, &self.clock, &message);
            for report in timeout(AT_ONCE, sending).await.unwrap_or_default() {
                if let Err(why) = report.result {
                    tracing::warn!(to = report.recipient, why, "notify.trouble.untold");
                }
            }
        }
    }

    fn mailer(&mut self) -> Option<Mailer> {
        let email = self.email.borrow_and_update();
        let made = Mailer::new(email.as_ref()?);
        made.inspect_err(|error| tracing::error!(%error, "notify.email.unusable")).ok()
    }
}

fn report(report: outbox::Report) -> ChannelReport {
    let (ok, message) = match report.result {
        Ok(answer) => (true, answer),
        Err(why) => (false, why),
    };
    ChannelReport { channel: "email".into(), to: report.recipient, ok, message }
}

//! What is promised of mail, against a real SMTP server: everybody is told, once
//! where that can be had and twice rather than never; a server that is down, or
//! that refuses one of them, keeps nobody else from being told.
#![cfg(feature = "testing")]
#![allow(
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "tests fail by panicking, and their support is nobody's library"
)]

#[path = "support/smtp.rs"]
mod smtp;

use std::{
    fs, io,
    net::{Ipv4Addr, TcpListener},
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::tz::TimeZone;
use rollbackd::{
    config::settings::{Email, MailSecurity, Secret},
    host::clock::Clock,
    notify::{
        email::{MailError, Mailer},
        message::Letterhead,
        outbox::{Courier, Desk, Inbox, Round, drain, test},
    },
    store::{self, EffectId, Handle},
};
use rollbackd_core::{
    effect::{Effect, News, Notice},
    incident::{Cause, Incident, IncidentKind},
    moment::Moment,
    plan::Plan,
    words::{IncidentId, RevisionNo},
};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::smtp::{Authority, Options, SmtpServer, Tls};

/// 2026-11-21 08:30:00 UTC.
const NOW: Moment = Moment::from_nanos(1_795_249_800_000_000_000);

fn email(port: u16, to: &[&str]) -> Email {
    Email {
        host: "127.0.0.1".into(),
        port,
        security: MailSecurity::Plain,
        user: None,
        password: None,
        from: "Rollbackd <rollbackd@example.com>".into(),
        to: to.iter().map(|&to| to.to_owned()).collect(),
        ca_file: None,
    }
}

fn password(email: &mut Email, dir: &TempDir, password: &str) {
    let file = dir.path().join("smtp-password");
    fs::write(&file, format!("{password}\n")).unwrap();
    email.user = Some("ops".into());
    email.password = Some(Secret { file });
}

fn letterhead(clock: &Clock) -> Letterhead {
    Letterhead::new(clock.clone(), TimeZone::UTC, "server1")
}

/// A store, a clock that is set by hand, and who turns notices into letters.
struct Room {
    dir: TempDir,
    store: Handle,
    clock: Clock,
}

impl Room {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let store = store::open(dir.path()).unwrap().handle;
        Self { dir, store, clock: Clock::manual(NOW) }
    }

    async fn commit(&self, news: News) -> (EffectId, Notice) {
        let notice = Notice { at: NOW, project: "shop".into(), news };
        let effects = vec![Effect::Tell(notice.clone())];
        let effect = self.store.commit(self.clock.anchor(), vec![], effects).await.unwrap()[0];
        (effect, notice)
    }

    /// What the daemon does with a notice, as far as the outbox.
    async fn tell(&self, news: News, email: &Email) {
        let (effect, notice) = self.commit(news).await;
        let desk = Desk::new(self.store.clone(), email.to.clone(), letterhead(&self.clock));
        desk.post(effect, &notice).await.unwrap();
    }

    fn courier(&self, email: &Email) -> Courier {
        Courier::new(self.store.clone(), Mailer::new(email).unwrap(), self.clock.clone())
    }

    fn later(&self, by: Duration) {
        self.clock.set(self.clock.now() + by);
    }

    async fn last_error(&self) -> String {
        self.store.outbox().await.unwrap().last_error.unwrap_or_default()
    }
}

fn delivered(count: u32) -> Round {
    Round { delivered: count, ..Round::default() }
}

fn postponed(count: u32) -> Round {
    Round { postponed: count, ..Round::default() }
}

fn began() -> News {
    News::Began(Box::new(Incident {
        id: IncidentId(7),
        kind: IncidentKind::Rollback,
        project: "shop".into(),
        services: vec![],
        from: RevisionNo(2),
        to: Some(RevisionNo(1)),
        cause: Cause::Person { reason: "zu viele Fehler – überall".into(), forward: false },
        joined: vec![],
        began_at: NOW,
        ended_at: None,
        acted: None,
        outcome: None,
        reason: String::new(),
        steps: vec![],
        plan: Plan { steps: vec![], undo: vec![] },
    }))
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn each_recipient_gets_one_mail_with_an_envelope_of_its_own() {
    let server = SmtpServer::start(Options::default());
    let email = email(server.port(), &["Ops <ops@example.com>", "dev@example.com"]);
    let room = Room::new();
    room.tell(began(), &email).await;
    let mut courier = room.courier(&email);
    assert_eq!(courier.deliver().await.unwrap(), delivered(2));
    assert_eq!(courier.deliver().await.unwrap(), Round::default());

    let mails = [server.mail(), server.mail()];
    assert_eq!(mails[0].to, ["ops@example.com"]);
    assert_eq!(mails[1].to, ["dev@example.com"]);
    assert_eq!(mails[0].from, "rollbackd@example.com");
    let header = |name: &str| mails[0].header(name).unwrap_or_default();
    assert_eq!(header("to"), "Ops <ops@example.com>");
    assert_eq!(header("auto-submitted"), "auto-generated");
    assert_eq!(header("date"), "Sat, 21 Nov 2026 08:30:00 +0000");
    assert!(header("content-type").starts_with("multipart/alternative"), "{}", mails[0].data);
    // Words in other letters are encoded, not sent as they are.
    assert!(header("subject").starts_with("[rollbackd] shop: rolling back r2 -> r1"));
    assert!(mails[0].data.is_ascii());
    let ids = mails.each_ref().map(|mail| mail.header("message-id").unwrap());
    assert_ne!(ids[0], ids[1]);
    let thread = format!("<incident-7.{}@example.com>", room.store.identity());
    assert!(mails.iter().all(|mail| mail.header("references").as_deref() == Some(&thread)));
    assert_eq!(server.stop(), 0);
}

#[tokio::test]
async fn a_mail_server_that_is_down_for_a_while_loses_nothing_and_doubles_nothing() {
    let port = free_port();
    let email = email(port, &["ops@example.com", "dev@example.com"]);
    let room = Room::new();
    let mut courier = room.courier(&email);
    room.tell(News::PauseEnded, &email).await;
    // An hour, and every try in it fails.
    let mut tries = 0;
    while room.clock.now() < NOW + Duration::from_secs(3600) {
        assert_eq!(courier.deliver().await.unwrap(), postponed(2));
        assert_eq!(courier.deliver().await.unwrap(), Round::default(), "not before it is due");
        let due = room.store.next_due().await.unwrap().unwrap();
        assert!(due.since(room.clock.now()) <= Duration::from_secs(300));
        room.clock.set(due);
        tries += 1;
    }
    assert!((15..25).contains(&tries), "5 s doubled up to 5 minutes: {tries}");
    let error = room.last_error().await;
    let expected = format!("the mail server 127.0.0.1:{port} cannot be reached: ");
    assert!(error.starts_with(&expected) && error.contains("refused"), "{error}");

    let server = SmtpServer::start(Options { port: Some(port), ..Options::default() });
    assert_eq!(courier.deliver().await.unwrap(), delivered(2));
    room.later(Duration::from_secs(3600));
    assert_eq!(courier.deliver().await.unwrap(), Round::default());
    let mut to = [server.mail(), server.mail()].map(|mail| mail.to.concat());
    to.sort();
    assert_eq!(to, ["dev@example.com", "ops@example.com"]);
    assert_eq!(server.stop(), 0);
}

#[tokio::test]
async fn one_recipient_who_is_refused_for_good_keeps_nobody_else_from_being_told() {
    let mut server = SmtpServer::start(Options::default());
    server.refuse(&[("gone@example.com", "550 5.1.1 no such mailbox")]);
    let email = email(server.port(), &["ops@example.com", "gone@example.com", "dev@example.com"]);
    let room = Room::new();
    room.tell(News::PauseEnded, &email).await;
    let mut courier = room.courier(&email);
    let round = courier.deliver().await.unwrap();
    assert_eq!(round, Round { delivered: 2, postponed: 0, abandoned: 1 });
    assert_eq!(server.mail().to, ["ops@example.com"]);
    assert_eq!(server.mail().to, ["dev@example.com"]);
    let outbox = room.store.outbox().await.unwrap();
    assert_eq!((outbox.waiting, outbox.abandoned), (0, 1));
    room.later(Duration::from_secs(3600));
    assert_eq!(courier.deliver().await.unwrap(), Round::default());
}

#[tokio::test]
async fn one_recipient_who_is_put_off_is_tried_again_alone() {
    let mut server = SmtpServer::start(Options::default());
    server.refuse(&[("grey@example.com", "450 4.7.1 greylisted, come back later")]);
    let email = email(server.port(), &["grey@example.com", "ops@example.com"]);
    let room = Room::new();
    room.tell(News::PauseEnded, &email).await;
    let mut courier = room.courier(&email);
    let round = courier.deliver().await.unwrap();
    assert_eq!(round, Round { delivered: 1, postponed: 1, abandoned: 0 });
    assert_eq!(server.mail().to, ["ops@example.com"]);
    assert!(room.last_error().await.contains("450 4.7.1 greylisted"));
    server.refuse(&[]);
    room.later(Duration::from_secs(5));
    assert_eq!(courier.deliver().await.unwrap(), delivered(1));
    assert_eq!(server.mail().to, ["grey@example.com"]);
}

#[tokio::test]
async fn a_sender_who_is_refused_is_a_matter_of_the_configuration_and_loses_nothing() {
    let mut server = SmtpServer::start(Options::default());
    server.refuse(&[("MAIL", "553 5.7.1 not owned by you")]);
    let email = email(server.port(), &["ops@example.com", "dev@example.com"]);
    let room = Room::new();
    room.tell(News::PauseEnded, &email).await;
    let mut courier = room.courier(&email);
    assert_eq!(courier.deliver().await.unwrap(), postponed(2));
    let error = room.last_error().await;
    assert!(error.contains("takes no mail from rollbackd@example.com: 553"), "{error}");
    server.refuse(&[]);
    room.later(Duration::from_secs(5));
    assert_eq!(courier.deliver().await.unwrap(), delivered(2));
}

#[tokio::test]
async fn tls_from_the_first_byte_trusts_the_authority_that_is_given_and_no_other() {
    let (authority, other) = (Authority::make(), Authority::make());
    let server = SmtpServer::start(Options { tls: Tls::Always(&authority), ..Options::default() });
    let mut email = email(server.port(), &["ops@example.com"]);
    email.security = MailSecurity::Tls;
    for ca_file in [None, Some(other.path("ca.pem"))] {
        email.ca_file = ca_file;
        let refused = Mailer::new(&email).unwrap().check().await.unwrap_err();
        assert!(matches!(refused, MailError::Tls { .. }), "{refused:?}");
        assert!(refused.to_string().contains("give its authority as `email.ca_file`"), "{refused}");
    }
    email.ca_file = Some(authority.path("ca.pem"));
    let room = Room::new();
    room.tell(News::PauseEnded, &email).await;
    assert_eq!(room.courier(&email).deliver().await.unwrap(), delivered(1));
    assert_eq!(server.mail().to, ["ops@example.com"]);
}

#[tokio::test]
async fn starttls_with_a_login_works_and_check_says_so() {
    let authority = Authority::make();
    let server = SmtpServer::start(Options {
        tls: Tls::Upgrade(&authority),
        login: Some(("ops", "correct horse")),
        login_wants_tls: true,
        ..Options::default()
    });
    let room = Room::new();
    let mut email = email(server.port(), &["ops@example.com"]);
    email.security = MailSecurity::StartTls;
    email.ca_file = Some(authority.path("ca.pem"));
    password(&mut email, &room.dir, "correct horse");
    let said = Mailer::new(&email).unwrap().check().await.unwrap();
    let port = server.port();
    assert_eq!(said, format!("127.0.0.1:{port} answers; STARTTLS, logged in as ops"));
    room.tell(News::PauseEnded, &email).await;
    assert_eq!(room.courier(&email).deliver().await.unwrap(), delivered(1));
    assert_eq!(server.mail().user.as_deref(), Some("ops"));
    assert_eq!(server.stop(), 0, "checking sends nothing");
}

#[tokio::test]
async fn a_server_without_starttls_gets_no_mail_and_no_password_in_the_clear() {
    let server =
        SmtpServer::start(Options { login: Some(("ops", "correct horse")), ..Options::default() });
    let room = Room::new();
    let mut email = email(server.port(), &["ops@example.com"]);
    email.security = MailSecurity::StartTls;
    password(&mut email, &room.dir, "correct horse");
    room.tell(News::PauseEnded, &email).await;
    assert_eq!(room.courier(&email).deliver().await.unwrap(), postponed(1));
    let error = room.last_error().await;
    assert!(error.contains("offers no STARTTLS; write smtps://"), "{error}");
    assert_eq!(server.stop(), 0);
}

#[tokio::test]
async fn a_wrong_password_is_named_without_being_shown_and_works_once_it_is_put_right() {
    let server =
        SmtpServer::start(Options { login: Some(("ops", "correct horse")), ..Options::default() });
    let room = Room::new();
    let mut email = email(server.port(), &["ops@example.com", "dev@example.com"]);
    password(&mut email, &room.dir, "hunter2");
    room.tell(News::PauseEnded, &email).await;
    let mut courier = room.courier(&email);
    assert_eq!(courier.deliver().await.unwrap(), postponed(2));
    let error = room.last_error().await.replace(&server.port().to_string(), "PORT");
    insta::assert_snapshot!(error, @"the mail server 127.0.0.1:PORT does not let ops log in: 535 5.7.8 Authentication credentials invalid; check the user in `email.server` and `email.password_file`");

    password(&mut email, &room.dir, "correct horse");
    room.later(Duration::from_secs(5));
    assert_eq!(courier.deliver().await.unwrap(), delivered(2));
}

#[tokio::test]
async fn no_log_of_any_level_shows_a_password() {
    let login = Some(("ops", "correct horse"));
    let server = SmtpServer::start(Options { login, ..Options::default() });
    let room = Room::new();
    let mut email = email(server.port(), &["ops@example.com"]);
    password(&mut email, &room.dir, "correct horse");
    let log = Arc::new(Mutex::new(Vec::new()));
    let writer = Arc::clone(&log);
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || Shared(Arc::clone(&writer)))
        .finish();
    let logging = tracing::subscriber::set_default(subscriber);
    room.tell(News::PauseEnded, &email).await;
    assert_eq!(room.courier(&email).deliver().await.unwrap(), delivered(1));
    drop(logging);
    assert_eq!(server.mail().user.as_deref(), Some("ops"));
    let log = String::from_utf8(log.lock().unwrap().clone()).unwrap();
    assert!(log.contains("notify.mail.delivered"), "{log}");
    // In plain, and as AUTH PLAIN sends it.
    for shown in ["correct horse", "AG9wcwBjb3JyZWN0IGhvcnNl"] {
        assert!(!log.contains(shown), "{log}");
    }
}

/// A log that the test can read.
struct Shared(Arc<Mutex<Vec<u8>>>);

impl io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_password_that_cannot_be_read_and_a_server_without_a_login_are_told_apart() {
    let server = SmtpServer::start(Options::default());
    let room = Room::new();
    let mut email = email(server.port(), &["ops@example.com"]);
    password(&mut email, &room.dir, "hunter2");
    let refused = Mailer::new(&email).unwrap().check().await.unwrap_err();
    assert!(matches!(refused, MailError::NoLogin { .. }), "{refused:?}");
    fs::remove_file(room.dir.path().join("smtp-password")).unwrap();
    let refused = Mailer::new(&email).unwrap().check().await.unwrap_err();
    assert!(matches!(refused, MailError::Password(_)), "{refused:?}");
    email.ca_file = Some(Path::new("/dev/null").to_owned());
    email.security = MailSecurity::Tls;
    email.user = None;
    let refused = Mailer::new(&email).unwrap().check().await.unwrap_err();
    assert!(matches!(refused, MailError::Authority { .. }), "{refused:?}");
}

#[tokio::test]
async fn a_server_that_says_nothing_holds_nobody_up_for_longer_than_the_limit() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let email = email(silent.local_addr().unwrap().port(), &["ops@example.com"]);
    let limit = Duration::from_millis(200);
    let mailer = Mailer::new(&email).unwrap().with_limits(limit, limit);
    let refused = mailer.check().await.unwrap_err();
    assert!(refused.to_string().contains("no answer within 0.2s"), "{refused}");
}

#[tokio::test]
async fn a_mail_that_a_server_swallows_without_a_word_is_tried_again() {
    let mut server = SmtpServer::start(Options::default());
    server.refuse(&[("DATA", "hang")]);
    let email = email(server.port(), &["ops@example.com"]);
    let room = Room::new();
    room.tell(News::PauseEnded, &email).await;
    let (connect, send) = (Duration::from_secs(20), Duration::from_millis(500));
    let mailer = Mailer::new(&email).unwrap().with_limits(connect, send);
    let mut courier = Courier::new(room.store.clone(), mailer, room.clock.clone());
    assert_eq!(courier.deliver().await.unwrap(), postponed(1));
    assert!(room.last_error().await.contains("was not taken within 0.5s"));
    server.refuse(&[]);
    room.later(Duration::from_secs(5));
    assert_eq!(room.courier(&email).deliver().await.unwrap(), delivered(1));
}

#[tokio::test]
async fn a_mail_that_comes_twice_after_a_kill_has_the_same_message_id() {
    let server = SmtpServer::start(Options::default());
    let email = email(server.port(), &["ops@example.com"]);
    let room = Room::new();
    room.tell(News::PauseEnded, &email).await;
    // The files as they are before the answer is noted: what a kill leaves.
    let left = TempDir::new().unwrap();
    for file in ["state.db", "state.db-wal"] {
        fs::copy(room.dir.path().join(file), left.path().join(file)).unwrap();
    }
    assert_eq!(room.courier(&email).deliver().await.unwrap(), delivered(1));
    let again = store::open(left.path()).unwrap().handle;
    let mut courier = Courier::new(again, Mailer::new(&email).unwrap(), room.clock.clone());
    assert_eq!(courier.deliver().await.unwrap(), delivered(1));
    let mails = [server.mail(), server.mail()];
    assert_eq!(mails[0].header("message-id"), mails[1].header("message-id"));
    assert!(mails[0].header("message-id").is_some());
}

#[tokio::test]
async fn a_mail_that_was_taken_is_not_sent_again_because_that_could_not_be_noted() {
    let server = SmtpServer::start(Options::default());
    let email = email(server.port(), &["ops@example.com"]);
    let room = Room::new();
    room.tell(News::PauseEnded, &email).await;
    let disk = rusqlite::Connection::open(room.dir.path().join("state.db")).unwrap();
    disk.execute_batch(
        "CREATE TRIGGER full BEFORE UPDATE ON letter BEGIN SELECT RAISE(ABORT, 'full'); END",
    )
    .unwrap();
    let mut courier = room.courier(&email);
    courier.deliver().await.unwrap_err();
    courier.deliver().await.unwrap_err();
    disk.execute_batch("DROP TRIGGER full").unwrap();
    assert_eq!(courier.deliver().await.unwrap(), Round::default());
    assert_eq!(room.store.next_due().await.unwrap(), None);
    server.mail();
    assert_eq!(server.stop(), 0, "sent once");
}

#[tokio::test]
async fn a_test_message_reports_each_recipient_and_leaves_nothing_behind() {
    let mut server = SmtpServer::start(Options::default());
    server.refuse(&[("gone@example.com", "550 5.1.1 no such mailbox")]);
    let email = email(server.port(), &["ops@example.com", "gone@example.com"]);
    let clock = Clock::manual(NOW);
    let mailer = Mailer::new(&email).unwrap();
    let reports = test(&mailer, &letterhead(&clock)).await;
    assert_eq!(reports[0].recipient, "ops@example.com");
    assert_eq!(reports[0].result.as_deref(), Ok("250 2.0.0 queued as 1"));
    let refused = reports[1].result.clone().unwrap_err();
    assert!(refused.contains("gone@example.com: 550 5.1.1 no such mailbox"), "{refused}");
    assert_eq!(server.mail().header("subject").unwrap(), "[rollbackd] test message from server1");
    server.stop();
    let reports = test(&mailer, &letterhead(&clock)).await;
    assert!(reports.iter().all(|report| report.result.is_err()), "{reports:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_drain_tells_of_each_notice_and_ends_when_it_is_told_to() {
    let server = SmtpServer::start(Options::default());
    let email = email(server.port(), &["ops@example.com"]);
    let room = Room::new();
    let (notices, incoming) = mpsc::channel(8);
    let mut inbox = Inbox::new(incoming);
    let stop = CancellationToken::new();
    let mailer = Mailer::new(&email).unwrap();
    let head = letterhead(&room.clock);
    let (store, stopped) = (room.store.clone(), stop.clone());
    let draining =
        tokio::spawn(async move { drain(store, Some(mailer), head, &mut inbox, stopped).await });
    for news in [began(), News::PauseEnded] {
        notices.send(room.commit(news).await).await.unwrap();
        assert_eq!(server.mail().to, ["ops@example.com"]);
    }
    stop.cancel();
    draining.await.unwrap();
    room.store.clone().close().await;
    assert_eq!(store::open(room.dir.path()).unwrap().pending, []);
}

#[tokio::test]
async fn a_notice_that_could_not_be_posted_before_a_reload_is_posted_after_it() {
    let room = Room::new();
    let email = email(free_port(), &["ops@example.com"]);
    let (notices, incoming) = mpsc::channel(8);
    let mut inbox = Inbox::new(incoming);
    notices.send(room.commit(News::PauseEnded).await).await.unwrap();
    let disk = rusqlite::Connection::open(room.dir.path().join("state.db")).unwrap();
    disk.execute_batch(
        "CREATE TRIGGER full BEFORE INSERT ON letter BEGIN SELECT RAISE(ABORT, 'full'); END",
    )
    .unwrap();
    let mut drained = async || {
        let stop = CancellationToken::new();
        let (store, head) = (room.store.clone(), letterhead(&room.clock));
        let mailer = Mailer::new(&email).unwrap();
        let drain = drain(store, Some(mailer), head, &mut inbox, stop.clone());
        let stopping = async {
            // Until the drain has tried: it has taken the notice from the channel.
            while notices.capacity() < notices.max_capacity() {
                tokio::task::yield_now().await;
            }
            room.store.next_due().await.unwrap();
            stop.cancel();
        };
        tokio::join!(drain, stopping);
    };
    drained().await;
    assert_eq!(room.store.next_due().await.unwrap(), None);
    disk.execute_batch("DROP TRIGGER full").unwrap();
    drained().await;
    assert!(room.store.next_due().await.unwrap().is_some());
}

#[tokio::test]
async fn without_mail_notices_are_acknowledged_and_nothing_waits() {
    let room = Room::new();
    let desk = Desk::new(room.store.clone(), vec![], letterhead(&room.clock));
    let (effect, notice) = room.commit(News::PauseEnded).await;
    desk.post(effect, &notice).await.unwrap();
    assert_eq!(room.store.next_due().await.unwrap(), None);
    room.store.clone().close().await;
    assert_eq!(store::open(room.dir.path()).unwrap().pending, []);
}

#[test]
fn a_mailbox_that_is_none_is_named_with_its_key() {
    let refused = Mailer::new(&email(25, &["ops at example.com"])).unwrap_err();
    insta::assert_snapshot!(refused, @r#"`email.to`: "ops at example.com" is no mailbox (Invalid input); write it as `ops@example.com`"#);
}

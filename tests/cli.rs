//! The real binary against the real API on a real socket: what a person or a
//! program gets, with which exit code. Only the loop behind it is the test's.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test that cannot go on says so")]

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Command as Program, Stdio},
    sync::Arc,
    time::Duration,
};

use rollbackd::{
    api::{Doors, Question, Snapshot, bind::bind_socket, json::ChannelReport, serve::serve_socket},
    host::clock::Clock,
};
use rollbackd_core::{
    event::{Accepted, Answer, Command, Refusal},
    incident::{Cause, Incident, IncidentKind, Outcome, ServiceChange, StepRun},
    moment::Moment,
    plan::{Does, Plan, Step},
    settings::{Action, Condition, Mode},
    signal::Signal,
    view::{ProjectView, ServiceView, TriggerState, TriggerView, Verdict, VerdictView, WaitsFor},
    why::Why,
    words::{IncidentId, RevisionNo},
};
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

const NOW: Moment = Moment::from_nanos(1_795_257_792_000_000_000);

/// How a program ended and what it said.
#[derive(Debug)]
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Said {
    fn json(&self) -> Value {
        assert_eq!(self.err, "", "with --json nothing is said elsewhere");
        serde_json::from_str(&self.out).unwrap_or_else(|why| panic!("{why}: {self:?}"))
    }
}

fn program(words: &[&str]) -> Program {
    let mut program = Program::new(env!("CARGO_BIN_EXE_rollbackd"));
    program
        .args(words)
        .env_remove("ROLLBACKD_CONFIG")
        .env_remove("RUST_LOG")
        .env("TZ", "UTC")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    program
}

fn run(words: &[&str]) -> Said {
    let ended = program(words).output().unwrap();
    Said {
        code: ended.status.code().unwrap(),
        out: String::from_utf8(ended.stdout).unwrap(),
        err: String::from_utf8(ended.stderr).unwrap(),
    }
}

/// An API server whose loop is the test.
struct House {
    dir: tempfile::TempDir,
    snapshots: watch::Sender<Arc<Snapshot>>,
    _stop: DropGuard,
}

impl House {
    /// `answer` decides on each command and may change what is seen.
    fn open(
        mut answer: impl FnMut(Command, &watch::Sender<Arc<Snapshot>>) -> Answer + Send + 'static,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (snapshots, seen) = watch::channel(Arc::new(snapshot(vec![shop(true)])));
        let (commands, mut asked) = mpsc::channel(8);
        let (test_notify, mut tests) = mpsc::channel(8);
        let clock = Clock::manual(NOW);
        let (looks, mut looked) = mpsc::channel(8);
        let (questions, mut why) = mpsc::channel::<Question>(8);
        let (pasts, _) = mpsc::channel(1);
        let doors =
            Doors { snapshots: seen, commands, looks, questions, pasts, test_notify, clock };
        tokio::spawn(async move {
            while let Some((_, reply)) = looked.recv().await {
                let _ = reply.send(Ok(()));
            }
        });
        let socket = bind_socket(&dir.path().join("s")).unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(serve_socket(socket, doors, stop.clone()));
        let seen = snapshots.clone();
        tokio::spawn(async move {
            while let Some((command, reply)) = asked.recv().await {
                let _ = reply.send(answer(command, &seen));
            }
        });
        tokio::spawn(async move {
            while let Some(reply) = tests.recv().await {
                let _ = reply.send(vec![report("a@x.org", true), report("b@x.org", false)]);
            }
        });
        tokio::spawn(async move {
            while let Some(question) = why.recv().await {
                let known = question.service.as_str() == "backend";
                let _ = question.answer.send(known.then(nothing_breaches));
            }
        });
        Self { dir, snapshots, _stop: stop.drop_guard() }
    }

    fn quiet() -> Self {
        Self::open(|command, _| panic!("nobody asked for {command:?}"))
    }

    fn socket(&self) -> String {
        self.dir.path().join("s").display().to_string()
    }

    async fn run(&self, words: &[&str]) -> Said {
        let socket = self.socket();
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let asked = move || {
            let mut all = vec!["--socket", &socket];
            all.extend(words.iter().map(String::as_str));
            run(&all)
        };
        tokio::task::spawn_blocking(asked).await.unwrap()
    }
}

fn nothing_breaches() -> Why {
    Why {
        project: "shop".into(),
        service: "backend".into(),
        at: NOW,
        revision: Some(RevisionNo(2)),
        standing: None,
        says: "nothing breaches".into(),
        triggers: Vec::new(),
    }
}

fn report(to: &str, ok: bool) -> ChannelReport {
    ChannelReport { channel: "email".into(), to: to.into(), ok, message: "as it went".into() }
}

fn snapshot(projects: Vec<ProjectView>) -> Snapshot {
    Snapshot {
        at: NOW,
        version: "0.1.0",
        mode: Mode::Act,
        projects: projects.into_iter().map(Arc::new).collect(),
        engine: None,
        trouble: None,
        behind: Duration::ZERO,
    }
}

fn shop(armed: bool) -> ProjectView {
    let trigger = TriggerView {
        name: "errors".into(),
        signal: Signal::ErrorRate,
        source: "prom".into(),
        action: Action::Rollback,
        state: TriggerState::Ok,
        value: Some(0.012),
        at: Some(NOW),
        condition: Condition::Above(0.05),
        hold: rollbackd_core::settings::Hold::For(Duration::from_secs(60)),
        known_bad: false,
        pending_since: None,
        reason: None,
        recent: vec![Some(0.01), Some(0.012)],
    };
    let backend = ServiceView {
        name: "backend".into(),
        image: Some("shop:latest".into()),
        image_id: Some(image("1a")),
        since: Some(NOW),
        armed,
        reasons: Vec::new(),
        target: Some(RevisionNo(1)),
        triggers: vec![trigger],
    };
    let postgres = ServiceView {
        name: "postgres".into(),
        armed: false,
        reasons: vec!["no trigger".into()],
        triggers: Vec::new(),
        ..backend.clone()
    };
    ProjectView {
        name: "shop".into(),
        mode: Mode::Act,
        revision: Some(RevisionNo(2)),
        standing: None,
        deploying_since: None,
        bake: None,
        paused: None,
        announced: None,
        rollback: None,
        verdict: verdict(Verdict::Waits, Some(WaitsFor::Bake)),
        running: verdict(Verdict::Waits, Some(WaitsFor::Bake)),
        services: vec![backend, postgres],
        revisions: Vec::new(),
        incidents: Vec::new(),
    }
}

fn verdict(verdict: Verdict, waits_for: Option<WaitsFor>) -> VerdictView {
    VerdictView {
        revision: Some(RevisionNo(2)),
        verdict,
        waits_for,
        reason: "as it went".into(),
        rollback: None,
        outcome: None,
    }
}

fn image(digits: &str) -> rollbackd_core::words::ImageId {
    format!("sha256:{}", digits.repeat(32)).parse().unwrap()
}

fn incident(id: u64, outcome: Option<Outcome>) -> Incident {
    let step = StepRun {
        name: "recreate backend".into(),
        kind: "recreate".into(),
        began_at: NOW,
        ended_at: outcome.map(|_| NOW + Duration::from_secs(2)),
        attempts: 1,
        outcome: outcome.map(|_| Ok(())),
        output: String::new(),
    };
    let change = ServiceChange {
        name: "backend".into(),
        from_image: "shop:latest".into(),
        from_id: image("1a"),
        to_image: "shop:latest".into(),
        to_id: image("9e"),
    };
    let verify =
        Step { name: "verify".into(), does: Does::Verify, limit: Duration::from_secs(600) };
    Incident {
        id: IncidentId(id),
        kind: IncidentKind::Rollback,
        project: "shop".into(),
        services: vec![change],
        from: RevisionNo(2),
        to: Some(RevisionNo(1)),
        cause: Cause::Person { reason: "it is slow".into(), forward: false },
        joined: Vec::new(),
        began_at: NOW,
        ended_at: outcome.map(|_| NOW + Duration::from_secs(3)),
        acted: None,
        outcome,
        reason: outcome.map(|_| "that is how it went".to_owned()).unwrap_or_default(),
        steps: vec![step],
        plan: Plan { steps: vec![verify], undo: Vec::new() },
    }
}

/// Begins rollback 3; it is seen a little later, and later still it has ended.
fn rolling_back(outcome: Outcome) -> House {
    House::open(move |command, seen| {
        let Command::Rollback { reason, dry_run: false, .. } = command else {
            panic!("not a rollback: {command:?}");
        };
        assert_eq!(reason, "it is slow");
        let show = |incident| ProjectView { incidents: vec![incident], ..shop(true) };
        let seen = seen.clone();
        tokio::spawn(async move {
            // Long enough for a look before it is seen, and one while it runs.
            tokio::time::sleep(Duration::from_millis(100)).await;
            seen.send_replace(Arc::new(snapshot(vec![show(incident(3, None))])));
            tokio::time::sleep(Duration::from_millis(300)).await;
            seen.send_replace(Arc::new(snapshot(vec![show(incident(3, Some(outcome)))])));
        });
        let begun = Box::new(incident(3, None));
        Ok(Accepted { message: "rollback 3 began".into(), incident: Some(begun) })
    })
}

#[test]
fn no_daemon_is_exit_code_3_and_one_line() {
    let said = run(&["--socket", "/nowhere/s", "status"]);
    assert_eq!((said.code, said.out.as_str()), (3, ""));
    assert_eq!(said.err.lines().count(), 1, "{said:?}");
    assert!(said.err.starts_with("rollbackd: no daemon runs: there is no socket /nowhere/s;"));
}

#[test]
fn a_configuration_that_the_environment_names_must_be_there() {
    let ended = program(&["status"]).env("ROLLBACKD_CONFIG", "/nowhere/r.toml").output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(78), "{said}");
    assert!(said.starts_with("rollbackd: /nowhere/r.toml:1:1: "), "{said}");
}

#[test]
fn with_json_an_error_is_one_document_on_standard_output() {
    let said = run(&["status", "--json", "--socket", "/nowhere/s"]);
    assert_eq!(said.code, 3);
    assert_eq!(said.json()["error"]["code"], "unreachable");
    let said = run(&["--json", "statsu"]);
    assert_eq!(said.code, 2);
    assert_eq!(said.json()["error"]["code"], "usage");
}

#[test]
fn wrong_usage_is_exit_code_2_and_help_is_not() {
    for words in [&["statsu"][..], &["rollback"], &["status", "--frob"], &[]] {
        let said = run(words);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{words:?}");
    }
    for words in [&["--help"][..], &["--version"], &["rollback", "--help"]] {
        let said = run(words);
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{words:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn status_is_for_people_and_with_json_for_programs() {
    let house = House::quiet();
    let said = house.run(&["status"]).await;
    assert_eq!(said.code, 0);
    assert!(said.out.contains("armed, back to r1") && !said.out.contains('\x1b'), "{said:?}");
    let said = house.run(&["status", "--json"]).await;
    assert_eq!(said.json()["projects"][0]["services"][0]["triggers"][0]["value"], 0.012);
    let said = house.run(&["--color", "always", "status"]).await;
    assert!(said.out.contains('\x1b'), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn why_is_about_one_service_and_says_which_there_are() {
    let house = House::quiet();
    let said = house.run(&["why", "shop/backend"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("nothing breaches"), "{said:?}");
    let said = house.run(&["why", "shop/backend", "--json"]).await;
    assert_eq!(said.json()["says"], "nothing breaches");
    let said = house.run(&["why", "shop"]).await;
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.err.contains("shop/backend, shop/postgres"), "{said:?}");
    let said = house.run(&["why", "shop/frontend"]).await;
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("there are: shop/backend, shop/postgres"), "{said:?}");
    let said = house.run(&["why", "a b/c?d"]).await;
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("there is no project a b; "), "{said:?}");
    let said = house.run(&["why", "shop/backend", "--at", "noon"]).await;
    assert_eq!(said.code, 2, "{said:?}");
    let said = run(&["--socket", "/nowhere/s", "why", "shop/backend"]);
    assert_eq!(said.code, 3, "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn status_check_is_4_while_a_watched_service_is_unarmed() {
    let house = House::quiet();
    assert_eq!(house.run(&["status", "--check"]).await.code, 0, "postgres has no trigger");
    house.snapshots.send_replace(Arc::new(snapshot(vec![shop(false)])));
    assert_eq!(house.run(&["status", "--check"]).await.code, 4);
    assert_eq!(house.run(&["status"]).await.code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_tells_where_the_socket_is() {
    let house = House::quiet();
    let config: PathBuf = house.dir.path().join("rollbackd.toml");
    std::fs::write(&config, "[api]\nsocket = \"s\"\n").unwrap();
    let words = ["--config".to_owned(), config.display().to_string(), "status".to_owned()];
    let said = tokio::task::spawn_blocking(move || run(&words.each_ref().map(String::as_str)));
    assert_eq!(said.await.unwrap().code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_terminal_nobody_acts_unless_told_yes() {
    let house = House::quiet();
    for words in [&["rollback", "shop"][..], &["forward", "shop/backend"]] {
        let said = house.run(words).await;
        assert_eq!(said.code, 2, "{said:?}");
        assert!(said.err.contains("--yes"), "{said:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_is_seen_through_and_ends_with_its_outcomes_code() {
    let codes = [
        (Outcome::Recovered, 0),
        (Outcome::NotRecovered, 5),
        (Outcome::Unverified, 5),
        (Outcome::Failed, 1),
        (Outcome::Refused, 4),
    ];
    for (outcome, code) in codes {
        let house = rolling_back(outcome);
        let said = house.run(&["rollback", "shop", "--yes", "--reason", "it is slow"]).await;
        assert_eq!((said.code, said.err.as_str()), (code, ""), "{said:?}");
        let lines: Vec<&str> = said.out.lines().collect();
        assert_eq!(lines[0], "rollback 3 began");
        assert!(lines[1].ends_with("recreate backend: done in 2s"), "{said:?}");
        let end = format!("{}: that is how it went", outcome.as_str());
        assert!(lines[2].ends_with(&end), "{said:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_as_json_is_its_incident_begun_or_ended() {
    let words = ["rollback", "shop", "--yes", "--reason", "it is slow", "--json"];
    let ended = rolling_back(Outcome::Recovered).run(&words).await.json();
    assert_eq!((&ended["id"], &ended["outcome"]), (&3.into(), &"recovered".into()));
    let words = [&words[..], &["--no-wait"]].concat();
    let begun = rolling_back(Outcome::Recovered).run(&words).await.json();
    assert_eq!((&begun["id"], &begun["outcome"]), (&3.into(), &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_shows_the_steps_and_begins_nothing() {
    let house = House::open(|command, _| {
        let Command::Rollback { dry_run: true, to, service, .. } = command else {
            panic!("not a dry run: {command:?}");
        };
        assert_eq!((to, service), (Some(RevisionNo(1).into()), Some("backend".into())));
        let plan = Box::new(incident(0, None));
        Ok(Accepted { message: "this is what would be done".into(), incident: Some(plan) })
    });
    let said = house.run(&["rollback", "shop/backend", "--to", "r1", "--dry-run"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("1. verify  the signals must be back, and stay"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_guard_refuses_is_exit_code_4_with_what_to_do() {
    let house = House::open(|_, _| {
        let (message, hint) = ("there is nothing to return to".into(), "deploy once more".into());
        Err(Refusal { message, hint })
    });
    let said = house.run(&["rollback", "shop", "--yes"]).await;
    assert_eq!(said.code, 4);
    assert_eq!(said.err, "rollbackd: there is nothing to return to; deploy once more\n");
    let said = house.run(&["--json", "forward", "shop", "--yes"]).await;
    assert_eq!((said.code, &said.json()["error"]["code"]), (4, &"refused".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_has_its_length_and_its_reason() {
    let house = House::open(|command, _| {
        let expected = Command::Pause {
            project: Some("shop".into()),
            lasts: Some(Duration::from_secs(3600)),
            reason: "migration".into(),
        };
        assert_eq!(command, expected);
        Ok(Accepted { message: "shop is paused for 1h".into(), incident: None })
    });
    let said = house.run(&["pause", "shop", "--for", "1h", "--reason", "migration"]).await;
    assert_eq!((said.code, said.out.as_str()), (0, "shop is paused for 1h\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn test_notify_reports_each_and_fails_when_one_failed() {
    let said = House::quiet().run(&["test-notify"]).await;
    assert_eq!(said.code, 1);
    let lines = "email  a@x.org  taken   as it went\nemail  b@x.org  failed  as it went\n";
    assert_eq!(said.out, lines);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_away_is_no_error() {
    let house = House::quiet();
    let socket = house.socket();
    let ended = tokio::task::spawn_blocking(move || {
        let mut child = program(&["--socket", &socket, "status"]).spawn().unwrap();
        drop(child.stdout.take());
        child.wait_with_output().unwrap()
    });
    let ended = ended.await.unwrap();
    assert_eq!(ended.status.code(), Some(0));
    assert_eq!(ended.stderr, b"", "no panic and no backtrace");
}

#[tokio::test(flavor = "multi_thread")]
async fn watching_as_json_is_a_document_a_line() {
    let house = House::quiet();
    let socket = house.socket();
    let lines = tokio::task::spawn_blocking(move || {
        let mut child =
            program(&["--socket", &socket, "--json", "status", "--watch"]).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().take(2);
        let lines: Vec<String> = lines.map(Result::unwrap).collect();
        child.kill().unwrap();
        child.wait().unwrap();
        lines
    });
    for line in lines.await.unwrap() {
        let status: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(status["projects"][0]["name"], "shop");
    }
}

/// A configuration in a directory of its own.
fn configured(text: &str) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rollbackd.toml");
    std::fs::write(&path, text).unwrap();
    let path = path.display().to_string();
    (dir, path)
}

const BROKEN: &str = "mdoe = \"act\"\n[project.shop]\nbake = \"30 parsecs\"\n";

#[test]
fn check_draws_every_problem_and_run_tells_the_first() {
    let (_dir, path) = configured(BROKEN);
    let said = run(&["--config", &path, "check"]);
    assert_eq!((said.code, said.out.as_str()), (78, ""));
    assert!(
        said.err.contains("did you mean `mode`?") && said.err.contains("30 parsecs"),
        "{said:?}"
    );
    assert!(said.err.contains("rollbackd.toml:3:8"), "{said:?}");
    let said = run(&["--config", &path, "run"]);
    assert_eq!((said.code, said.err.lines().count()), (78, 1), "{said:?}");
    assert!(
        said.err.contains("rollbackd.toml:1:1: ") && said.err.contains("see `rollbackd check`")
    );
}

#[test]
fn check_as_json_is_every_problem_with_its_place() {
    let (_dir, path) = configured(BROKEN);
    let said = run(&["--config", &path, "--json", "check"]);
    assert_eq!(said.code, 78);
    let problems = said.json()["problems"].as_array().unwrap().clone();
    let bake = problems.iter().find(|problem| problem["line"] == 3).unwrap();
    assert_eq!((&bake["severity"], &bake["column"]), (&"error".into(), &8.into()));
    for field in ["message", "hint", "file"] {
        assert!(bake[field].is_string(), "{field} of {bake}");
    }
}

#[test]
fn check_is_0_with_warnings_only() {
    let (_dir, path) = configured("[project.shop]\n");
    let said = run(&["--config", &path, "check"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.err.contains("warning:") && said.out.contains("is good: 1 project"), "{said:?}");
    let said = run(&["--config", &path, "--json", "check"]);
    assert_eq!((said.code, &said.json()["problems"][0]["severity"]), (0, &"warning".into()));
}

/// Answers requests with 200 until the test ends; its address.
fn shop_door() -> std::net::SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 4096];
            let _ = std::io::Read::read(&mut stream, &mut head);
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let _ = std::io::Write::write_all(&mut stream, answer);
        }
    });
    address
}

#[test]
fn check_live_asks_everybody_once_and_fails_for_those_who_do_not_answer() {
    let text = format!(
        r#"
[docker]
host = "unix:///nowhere/docker.sock"
compose = "/bin/echo"
[email]
server = "smtp://127.0.0.1:9"
from = "a@example.com"
to = ["b@example.com"]
[source.door]
kind = "probe"
url = "http://{}/"
[project.shop]
health = false
[[project.shop.trigger]]
service = "backend"
signal = "availability"
source = "door"
below = "99%"
for = "1m"
"#,
        shop_door()
    );
    let (_dir, path) = configured(&text);
    let said = run(&["--config", &path, "--json", "check", "--live"]);
    assert_eq!(said.code, 1, "{said:?}");
    let document = said.json();
    let went: Vec<_> = document["live"]
        .as_array()
        .unwrap()
        .iter()
        .map(|asked| (asked["what"].as_str().unwrap(), asked["went"].as_str().unwrap()))
        .collect();
    let expected = [
        ("engine", "failed"),
        ("compose", "ok"),
        ("shop/backend availability", "ok"),
        ("mail", "failed"),
    ];
    assert_eq!(went, expected, "{document:#}");
}

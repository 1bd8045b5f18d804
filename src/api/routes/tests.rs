//! What the listeners answer, asked over real sockets.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use rollbackd_core::event::Refusal;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{mpsc, watch},
};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    api::{Asked, AskedLook, EngineAway, TestNotify, bind::bind_tcp, samples, serve::serve_tcp},
    host::clock::Clock,
};

/// The receiving ends of what the doors lead to.
struct House {
    doors: Doors,
    snapshots: watch::Sender<Arc<Snapshot>>,
    commands: mpsc::Receiver<Asked>,
    looks: mpsc::Receiver<AskedLook>,
    _test_notify: mpsc::Receiver<TestNotify>,
    clock: Clock,
}

fn house(snapshot: Snapshot) -> House {
    let clock = samples::clock();
    let (snapshots, seen) = watch::channel(Arc::new(snapshot));
    let (command, commands) = mpsc::channel(1);
    let (test, test_notify) = mpsc::channel(1);
    let (look, looks) = mpsc::channel(1);
    let doors = Doors {
        snapshots: seen,
        commands: command,
        looks: look,
        test_notify: test,
        clock: clock.clone(),
    };
    House { doors, snapshots, commands, looks, _test_notify: test_notify, clock }
}

/// Listens on TCP with any router until dropped.
async fn listen(house: &House) -> (SocketAddr, tokio_util::sync::DropGuard) {
    let listener = bind_tcp("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    tokio::spawn(serve_tcp(listener, house.doors.clone(), stop.clone()));
    (address, stop.drop_guard())
}

/// The status line's code and the body.
async fn ask(address: SocketAddr, method: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

async fn document(address: SocketAddr, path: &str) -> Value {
    let (code, body) = ask(address, "GET", path).await;
    assert_eq!(code, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

/// Every field of the contract is there; more are welcome.
fn has(document: &Value, fields: &str) {
    let there: BTreeSet<&str> = document.as_object().unwrap().keys().map(String::as_str).collect();
    for field in fields.split_whitespace() {
        assert!(there.contains(field), "{field} is missing among {there:?}");
    }
}

#[tokio::test]
async fn every_document_has_the_contracts_fields() {
    let house = house(samples::snapshot());
    let (address, _stop) = listen(&house).await;
    let status = document(address, "/v1/status").await;
    has(&status, "version mode projects");
    let project = &status["projects"][0];
    has(project, "name revision standing paused_until rollback services");
    let service = &project["services"][0];
    has(service, "name image image_id since armed reasons target triggers");
    has(
        &service["triggers"][0],
        "name signal source state value threshold at pending_since reason",
    );
    let revisions = document(address, "/v1/revisions?project=shop").await;
    has(&revisions[0], "project revision standing deployed_at services restorable reason");
    has(&revisions[0]["services"][0], "name image image_id");
    let history = document(address, "/v1/history").await;
    has(
        &history[1],
        "id kind project services from to trigger value threshold began_at ended_at outcome reason steps phases",
    );
    has(&history[1]["steps"][0], "name kind began_at ended_at attempts outcome output");
    has(&history[1]["phases"], "detect decide act verify");
}

#[tokio::test]
async fn a_look_is_answered_when_it_was_taken_and_only_the_socket_may_ask_for_one() {
    let mut house = house(samples::snapshot());
    let (address, _stop) = listen(&house).await;
    assert_eq!(ask(address, "POST", "/v1/look?project=shop").await.0, 405);
    let rooms = Rooms { doors: house.doors.clone(), metrics: Arc::default() };
    let asked = |project: &str| {
        let which = Which { project: Some(project.into()) };
        look(State(rooms.clone()), Ok(Query(which)))
    };
    let taken = async {
        let (project, answer) = house.looks.recv().await.unwrap();
        assert_eq!(project.as_str(), "shop");
        answer.send(Ok(())).unwrap();
    };
    let (looked, ()) = tokio::join!(asked("shop"), taken);
    assert_eq!(looked.unwrap().projects, ["shop".into()]);
    let away = async {
        let (_, answer) = house.looks.recv().await.unwrap();
        let (message, hint) = ("it is away".to_owned(), String::new());
        answer.send(Err(Refusal { message, hint })).unwrap();
    };
    let (looked, ()) = tokio::join!(asked("shop"), away);
    let problem = looked.unwrap_err();
    assert_eq!(
        (problem.status, problem.body.code.as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "unseen")
    );
    assert_eq!(asked("nobody").await.unwrap_err().status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn values_are_in_the_contracts_units_and_words() {
    let house = house(samples::snapshot());
    let (address, _stop) = listen(&house).await;
    let status = document(address, "/v1/status").await;
    let shop = &status["projects"][0];
    assert_eq!(shop["standing"], "baking");
    let errors = &shop["services"][0]["triggers"][0];
    assert_eq!((&errors["value"], &errors["threshold"]), (&0.124.into(), &0.05.into()));
    assert_eq!(errors["pending_since"], "2026-11-21T10:42:02Z");
    assert_eq!(errors["state"], "pending");
    assert_eq!(shop["services"][0]["image_id"], format!("sha256:{}", "1a".repeat(32)));
    let health = &shop["services"][2]["triggers"][0];
    assert_eq!(health["value"], f64::MAX, "JSON has no infinity");
    let history = document(address, "/v1/history").await;
    assert_eq!((&history[0]["id"], &history[0]["kind"]), (&8.into(), &"refused".into()));
    assert_eq!((&history[1]["id"], &history[1]["outcome"]), (&7.into(), &"recovered".into()));
    assert_eq!(history[1]["phases"]["detect"], 60.0);
    assert_eq!(document(address, "/v1/history/7").await, history[1]);
}

#[tokio::test]
async fn over_tcp_nobody_acts() {
    let mut house = house(samples::snapshot());
    let (address, _stop) = listen(&house).await;
    for path in ["/v1/command", "/v1/test-notify", "/v1/status", "/"] {
        for method in ["POST", "PUT", "DELETE", "PATCH"] {
            let (code, body) = ask(address, method, path).await;
            assert_eq!(code, 405, "{method} {path}");
            assert!(body.contains("read_only"), "{body}");
        }
    }
    let (code, _) = ask(address, "GET", "/v1/command").await;
    assert_eq!(code, 404);
    assert!(house.commands.try_recv().is_err());
}

#[tokio::test]
async fn an_unknown_name_is_told_with_the_known_ones() {
    let house = house(samples::snapshot());
    let (address, _stop) = listen(&house).await;
    let (code, body) = ask(address, "GET", "/v1/revisions?project=shpo").await;
    assert_eq!(code, 404);
    assert!(body.contains("shop, billing"), "{body}");
    for path in ["/v1/history/99", "/v1/history/x", "/nothing"] {
        let (code, body) = ask(address, "GET", path).await;
        assert_eq!(code, 404, "{path}");
        let error: ErrorDocument = serde_json::from_str(&body).unwrap();
        assert_eq!(error.error.code, "not_found");
    }
    let (code, body) = ask(address, "GET", "/v1/history?project=a&project=b").await;
    assert_eq!(code, 400);
    serde_json::from_str::<ErrorDocument>(&body).unwrap();
}

#[tokio::test]
async fn health_is_ill_when_nothing_can_be_protected() {
    let house = house(samples::snapshot());
    let (address, _stop) = listen(&house).await;
    assert_eq!(ask(address, "GET", "/healthz").await, (200, "ok\n".to_owned()));

    let ill = |snapshot: Snapshot| {
        house.snapshots.send_replace(Arc::new(snapshot));
        ask(address, "GET", "/healthz")
    };
    let trouble = Some("state cannot be written: the disk is full".to_owned());
    let (code, body) = ill(Snapshot { trouble, ..samples::snapshot() }).await;
    assert_eq!((code, body.as_str()), (503, "state cannot be written: the disk is full\n"));

    let away =
        |seconds| Some(EngineAway { since: samples::before(seconds), why: "refused".into() });
    let (code, _) = ill(Snapshot { engine: away(59.0), ..samples::snapshot() }).await;
    assert_eq!(code, 200, "an engine may be restarted");
    let (code, body) = ill(Snapshot { engine: away(61.0), ..samples::snapshot() }).await;
    assert_eq!((code, body.as_str()), (503, "the engine has not answered for 61s: refused\n"));

    house.snapshots.send_replace(Arc::new(samples::snapshot()));
    house.clock.set(samples::NOW + Duration::from_secs(42));
    let (code, body) = ask(address, "GET", "/healthz").await;
    assert_eq!((code, body.as_str()), (503, "the daemon's loop has not answered for 42s\n"));
}

#[tokio::test]
async fn a_stop_does_not_wait_for_an_idle_connection() {
    let house = house(samples::snapshot());
    let listener = bind_tcp("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let serving = tokio::spawn(serve_tcp(listener, house.doors.clone(), stop.clone()));
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut seen = [0; 15];
    idle.read_exact(&mut seen).await.unwrap();
    stop.cancel();
    timeout(Duration::from_secs(2), serving).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_full_queue_is_told_at_once_and_a_closed_one_too() {
    let mut house = house(samples::snapshot());
    let resume = || Command::Resume { project: None };
    hand_over(&house.doors.commands, (resume(), oneshot::channel().0)).unwrap();
    let full = hand_over(&house.doors.commands, (resume(), oneshot::channel().0)).unwrap_err();
    assert_eq!((full.status.as_u16(), full.body.code.as_str()), (503, "busy"));
    house.commands.close();
    let closed = hand_over(&house.doors.commands, (resume(), oneshot::channel().0)).unwrap_err();
    assert_eq!((closed.status.as_u16(), closed.body.code.as_str()), (503, "stopping"));
}

#[tokio::test]
async fn the_page_escapes_what_it_shows() {
    let mut snapshot = samples::snapshot();
    let shop = Arc::make_mut(&mut snapshot.projects[0]);
    shop.services[0].triggers[0].name = "<script>alert(1)</script>".into();
    let house = house(snapshot);
    let (address, _stop) = listen(&house).await;
    let (code, page) = ask(address, "GET", "/").await;
    assert_eq!(code, 200);
    assert!(page.contains("&lt;script&gt;alert(1)") && !page.contains("<script"), "{page}");
    assert!(page.contains("shop:latest") && page.contains("12.4%"), "{page}");
}

#[tokio::test]
async fn the_metrics_page() {
    let house = house(samples::snapshot());
    let (address, _stop) = listen(&house).await;
    let (code, page) = ask(address, "GET", "/metrics").await;
    assert_eq!(code, 200);
    insta::assert_snapshot!(page, @r#"
    # HELP rollbackd_build The running version
    # TYPE rollbackd_build info
    rollbackd_build_info{version="0.1.0"} 1
    # HELP rollbackd_engine_up 1 while the container engine answers
    # TYPE rollbackd_engine_up gauge
    rollbackd_engine_up 1.0
    # HELP rollbackd_state_writable 1 while decisions can be written down
    # TYPE rollbackd_state_writable gauge
    rollbackd_state_writable 1.0
    # HELP rollbackd_behind_seconds Age of the oldest sample not yet read
    # TYPE rollbackd_behind_seconds gauge
    rollbackd_behind_seconds 0.0
    # HELP rollbackd_revision The number of the revision that runs
    # TYPE rollbackd_revision gauge
    rollbackd_revision{project="shop"} 2.0
    # HELP rollbackd_paused 1 while automatic action is held
    # TYPE rollbackd_paused gauge
    rollbackd_paused{project="shop"} 0.0
    rollbackd_paused{project="billing"} 1.0
    # HELP rollbackd_rollback_running 1 while a rollback runs
    # TYPE rollbackd_rollback_running gauge
    rollbackd_rollback_running{project="shop"} 0.0
    rollbackd_rollback_running{project="billing"} 1.0
    # HELP rollbackd_deploying 1 while a deployment is under way
    # TYPE rollbackd_deploying gauge
    rollbackd_deploying{project="shop"} 0.0
    rollbackd_deploying{project="billing"} 1.0
    # HELP rollbackd_bake_remaining_seconds What is left of the bake
    # TYPE rollbackd_bake_remaining_seconds gauge
    rollbackd_bake_remaining_seconds{project="shop"} 1138.0
    # HELP rollbackd_armed 1 while a service could be rolled back
    # TYPE rollbackd_armed gauge
    rollbackd_armed{project="shop",service="backend"} 1.0
    rollbackd_armed{project="shop",service="postgres"} 0.0
    rollbackd_armed{project="shop",service="worker"} 0.0
    rollbackd_armed{project="billing",service="app"} 0.0
    # HELP rollbackd_trigger_state 1 for the state that a trigger is in
    # TYPE rollbackd_trigger_state gauge
    rollbackd_trigger_state{project="shop",service="backend",trigger="errors",state="ok"} 0.0
    rollbackd_trigger_state{project="shop",service="backend",trigger="errors",state="pending"} 1.0
    rollbackd_trigger_state{project="shop",service="backend",trigger="errors",state="breached"} 0.0
    rollbackd_trigger_state{project="shop",service="backend",trigger="errors",state="blind"} 0.0
    rollbackd_trigger_state{project="shop",service="backend",trigger="errors",state="grace"} 0.0
    rollbackd_trigger_state{project="shop",service="backend",trigger="slow",state="ok"} 1.0
    rollbackd_trigger_state{project="shop",service="backend",trigger="slow",state="pending"} 0.0
    rollbackd_trigger_state{project="shop",service="backend",trigger="slow",state="breached"} 0.0
    rollbackd_trigger_state{project="shop",service="backend",trigger="slow",state="blind"} 0.0
    rollbackd_trigger_state{project="shop",service="backend",trigger="slow",state="grace"} 0.0
    rollbackd_trigger_state{project="shop",service="backend",trigger="door",state="ok"} 0.0
    rollbackd_trigger_state{project="shop",service="backend",trigger="door",state="pending"} 0.0
    rollbackd_trigger_state{project="shop",service="backend",trigger="door",state="breached"} 0.0
    rollbackd_trigger_state{project="shop",service="backend",trigger="door",state="blind"} 1.0
    rollbackd_trigger_state{project="shop",service="backend",trigger="door",state="grace"} 0.0
    rollbackd_trigger_state{project="shop",service="backend",trigger="backend health",state="ok"} 1.0
    rollbackd_trigger_state{project="shop",service="backend",trigger="backend health",state="pending"} 0.0
    rollbackd_trigger_state{project="shop",service="backend",trigger="backend health",state="breached"} 0.0
    rollbackd_trigger_state{project="shop",service="backend",trigger="backend health",state="blind"} 0.0
    rollbackd_trigger_state{project="shop",service="backend",trigger="backend health",state="grace"} 0.0
    rollbackd_trigger_state{project="shop",service="worker",trigger="worker health",state="ok"} 0.0
    rollbackd_trigger_state{project="shop",service="worker",trigger="worker health",state="pending"} 0.0
    rollbackd_trigger_state{project="shop",service="worker",trigger="worker health",state="breached"} 1.0
    rollbackd_trigger_state{project="shop",service="worker",trigger="worker health",state="blind"} 0.0
    rollbackd_trigger_state{project="shop",service="worker",trigger="worker health",state="grace"} 0.0
    rollbackd_trigger_state{project="shop",service="worker",trigger="queue",state="ok"} 0.0
    rollbackd_trigger_state{project="shop",service="worker",trigger="queue",state="pending"} 0.0
    rollbackd_trigger_state{project="shop",service="worker",trigger="queue",state="breached"} 0.0
    rollbackd_trigger_state{project="shop",service="worker",trigger="queue",state="blind"} 0.0
    rollbackd_trigger_state{project="shop",service="worker",trigger="queue",state="grace"} 1.0
    # HELP rollbackd_trigger_value The last value of a trigger's signal
    # TYPE rollbackd_trigger_value gauge
    rollbackd_trigger_value{project="shop",service="backend",trigger="errors"} 0.124
    rollbackd_trigger_value{project="shop",service="backend",trigger="slow"} 0.23
    rollbackd_trigger_value{project="shop",service="backend",trigger="backend health"} 0.0
    rollbackd_trigger_value{project="shop",service="worker",trigger="worker health"} inf
    rollbackd_trigger_value{project="shop",service="worker",trigger="queue"} 12.0
    # HELP rollbackd_trigger_threshold What a trigger's value is compared with
    # TYPE rollbackd_trigger_threshold gauge
    rollbackd_trigger_threshold{project="shop",service="backend",trigger="errors"} 0.05
    rollbackd_trigger_threshold{project="shop",service="backend",trigger="slow"} 2.0
    rollbackd_trigger_threshold{project="shop",service="backend",trigger="door"} 0.99
    rollbackd_trigger_threshold{project="shop",service="backend",trigger="backend health"} 3.0
    rollbackd_trigger_threshold{project="shop",service="worker",trigger="worker health"} 3.0
    rollbackd_trigger_threshold{project="shop",service="worker",trigger="queue"} 100.0
    # HELP rollbackd_rollbacks Rollbacks that ended, and refusals, by outcome
    # TYPE rollbackd_rollbacks counter
    rollbackd_rollbacks_total{project="billing",outcome="recovered"} 0
    rollbackd_rollbacks_total{project="billing",outcome="unverified"} 0
    rollbackd_rollbacks_total{project="billing",outcome="not-recovered"} 0
    rollbackd_rollbacks_total{project="billing",outcome="failed"} 0
    rollbackd_rollbacks_total{project="billing",outcome="refused"} 0
    rollbackd_rollbacks_total{project="shop",outcome="recovered"} 1
    rollbackd_rollbacks_total{project="shop",outcome="unverified"} 0
    rollbackd_rollbacks_total{project="shop",outcome="not-recovered"} 0
    rollbackd_rollbacks_total{project="shop",outcome="failed"} 0
    rollbackd_rollbacks_total{project="shop",outcome="refused"} 1
    # EOF
    "#);
}

#[test]
fn a_counter_keeps_what_a_snapshot_forgets() {
    let metrics = Metrics::default();
    let total = |snapshot: &Snapshot| {
        let page = metrics.render(&Arc::new(snapshot.clone())).unwrap();
        let line = "rollbackd_rollbacks_total{project=\"shop\",outcome=\"recovered\"} ";
        let line = page.lines().find_map(|text| text.strip_prefix(line).map(str::to_owned));
        line.unwrap().parse::<u64>().unwrap()
    };
    let mut snapshot = samples::snapshot();
    assert_eq!(total(&snapshot), 1);
    assert_eq!(total(&snapshot), 1, "the same incident is counted once");
    let shop = Arc::make_mut(&mut snapshot.projects[0]);
    let mut another = samples::core_incident();
    another.id = IncidentId(9);
    shop.incidents = vec![another];
    assert_eq!(total(&snapshot), 2);
}

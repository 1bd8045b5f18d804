//! What becomes of an engine that goes away, comes back, or answers oddly: no
//! event is lost or told twice over a cut, and every odd answer is an error
//! that says which, within a limit.

#![allow(clippy::unwrap_used, reason = "in a test, a broken promise is a panic")]

use std::{
    path::PathBuf,
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

use rollbackd::{
    docker::{
        Docker,
        error::DockerError,
        event::{Happening, What},
        labels,
    },
    host::clock::Clock,
};
use serde_json::json;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{UnixListener, UnixStream},
    sync::broadcast,
    task::{JoinHandle, JoinSet},
};

const SOCKET: &str = "/var/run/docker.sock";
const PATIENCE: Duration = Duration::from_secs(20);

/// A way to the real engine that can be cut.
struct Door {
    folder: TempDir,
    open: Option<JoinHandle<()>>,
}

impl Door {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), open: None }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("docker.sock")
    }

    fn docker(&self) -> Docker {
        Docker::connect(&format!("unix://{}", self.path().display())).unwrap()
    }

    fn open(&mut self) {
        let listener = UnixListener::bind(self.path()).unwrap();
        self.open = Some(tokio::spawn(async move {
            let mut passing = JoinSet::new();
            while let Ok((mut inside, _)) = listener.accept().await {
                passing.spawn(async move {
                    let mut outside = UnixStream::connect(SOCKET).await.unwrap();
                    let _ = copy_bidirectional(&mut inside, &mut outside).await;
                });
            }
        }));
    }

    /// Cuts what passes, and lets nothing more through.
    async fn close(&mut self) {
        let open = self.open.take().unwrap();
        open.abort();
        let _ = open.await;
        std::fs::remove_file(self.path()).unwrap();
    }
}

/// Where things happen for their events' sake: containers that never
/// run, of an image that is nobody else's.
struct Stage {
    docker: Docker,
    name: String,
}

impl Stage {
    fn new() -> Self {
        let docker = Docker::connect(&format!("unix://{SOCKET}")).unwrap();
        let name = format!("rbdaway-{}", std::process::id());
        let tar = tempfile::NamedTempFile::new().unwrap();
        let empty = ["-cf", tar.path().to_str().unwrap(), "-T", "/dev/null"];
        assert!(Command::new("tar").args(empty).status().unwrap().success());
        let import = ["import", "-c", "CMD [\"/a\"]", tar.path().to_str().unwrap(), &name];
        assert!(Command::new("docker").args(import).output().unwrap().status.success());
        Self { docker, name }
    }

    /// Makes a container and removes it again.
    async fn scene(&self, what: &str) {
        let labels = json!({ labels::PROJECT: self.name });
        let none = json!({ "NetworkMode": "none" });
        let body = json!({ "Image": self.name, "Labels": labels, "HostConfig": none });
        let id = self.docker.create(&format!("{}-{what}", self.name), &body).await.unwrap();
        self.docker.remove(&id, true, true).await.unwrap();
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let filter = format!("name={}-", self.name);
        let left = Command::new("docker").args(["ps", "-aq", "--filter", &filter]).output();
        for id in String::from_utf8_lossy(&left.map(|left| left.stdout).unwrap_or_default()).lines()
        {
            let _ = Command::new("docker").args(["rm", "-f", "-v", id]).output();
        }
        let _ = Command::new("docker").args(["rmi", "-f", &self.name]).output();
    }
}

/// Follows an engine; what is heard of one project, each as a few words.
struct Ears {
    heard: broadcast::Receiver<Happening>,
    task: JoinHandle<()>,
    project: String,
}

impl Ears {
    fn new(docker: Docker, project: &str) -> Self {
        let (sender, heard) = broadcast::channel(1024);
        let clock = Clock::resume(None);
        let task = tokio::spawn(async move { docker.follow(clock, sender).await });
        Self { heard, task, project: project.to_owned() }
    }

    async fn next(&mut self) -> String {
        let wait = async {
            loop {
                match self.heard.recv().await.unwrap() {
                    Happening::Up => return "up".to_owned(),
                    Happening::Down(_) => return "down".to_owned(),
                    Happening::Container(event)
                        if event
                            .project
                            .as_ref()
                            .is_some_and(|one| one.as_str() == self.project) =>
                    {
                        let name = event.name.rsplit_once('-').unwrap().1;
                        let what = if event.what == What::Create { "made" } else { "gone" };
                        return format!("{name} {what}");
                    }
                    _ => {}
                }
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("it happens in time")
    }

    async fn hear(&mut self, expected: &[&str]) {
        for expected in expected {
            assert_eq!(self.next().await, *expected);
        }
    }
}

impl Drop for Ears {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tokio::test]
async fn what_happened_while_the_stream_was_cut_is_told_once() {
    let (stage, mut door) = (Stage::new(), Door::new());
    door.open();
    let mut ears = Ears::new(door.docker(), &stage.name);
    ears.hear(&["up"]).await;
    stage.scene("before").await;
    ears.hear(&["before made", "before gone"]).await;
    door.close().await;
    ears.hear(&["down"]).await;
    stage.scene("between").await;
    door.open();
    ears.hear(&["up", "between made", "between gone"]).await;
    stage.scene("after").await;
    ears.hear(&["after made", "after gone"]).await;
}

#[tokio::test]
async fn an_engine_that_is_not_there_yet_is_waited_for() {
    let mut door = Door::new();
    let mut ears = Ears::new(door.docker(), "none");
    ears.hear(&["down"]).await;
    let error = door.docker().version().await.unwrap_err();
    assert!(
        error.to_string().ends_with("its socket does not exist; is Docker running?"),
        "{error}"
    );
    door.open();
    ears.hear(&["up"]).await;
}

/// An engine that answers as a test says, and remembers what it was asked.
struct Odd {
    folder: TempDir,
    asked: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

/// Part of an answer.
#[derive(Clone)]
enum Part {
    Text(String),
    /// The same again, for ever.
    Endless(String),
    /// Nothing more, and the connection stays.
    Silence,
}

impl Odd {
    /// Answers a request whose line contains the key; else, to what comes first
    /// on every connection, the versions.
    fn new(answers: Vec<(&'static str, Vec<Part>)>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("docker.sock")).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            let mut talks = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                talks.spawn(talk(stream, answers.clone(), Arc::clone(&notes)));
            }
        });
        Self { folder, asked, task }
    }

    fn docker(&self) -> Docker {
        let path = self.folder.path().join("docker.sock");
        Docker::connect(&format!("unix://{}", path.display())).unwrap()
    }
}

impl Drop for Odd {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn talk(
    mut stream: UnixStream,
    answers: Vec<(&'static str, Vec<Part>)>,
    notes: Arc<Mutex<Vec<String>>>,
) {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let line = String::from_utf8_lossy(&head).lines().next().unwrap().to_owned();
    notes.lock().unwrap().push(line.trim_end_matches(" HTTP/1.1").to_owned());
    let own = answers.into_iter().find(|(key, _)| line.contains(key)).map(|(_, parts)| parts);
    let versions = r#"{"Version":"99.1","ApiVersion":"1.99","MinAPIVersion":"1.44"}"#;
    for part in own.unwrap_or_else(|| vec![ok(versions)]) {
        match part {
            Part::Text(text) => drop(stream.write_all(text.as_bytes()).await),
            Part::Endless(text) => while stream.write_all(text.as_bytes()).await.is_ok() {},
            Part::Silence => std::future::pending().await,
        }
    }
}

fn ok(body: &str) -> Part {
    answer("200 OK", body)
}

fn answer(status: &str, body: &str) -> Part {
    let length = body.len();
    Part::Text(format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}"))
}

fn text(text: &str) -> Part {
    Part::Text(text.to_owned())
}

#[tokio::test]
async fn the_newest_known_api_is_spoken_to_a_newer_engine_in_every_call() {
    let odd = Odd::new(vec![("/start", vec![answer("204 No Content", "")])]);
    let docker = odd.docker();
    docker.start(&"abc".into()).await.unwrap();
    let _ = docker.container("abc").await;
    let asked = odd.asked.lock().unwrap().clone();
    assert_eq!(
        asked,
        ["GET /version", "POST /v1.53/containers/abc/start", "GET /v1.53/containers/abc/json"]
    );
}

#[tokio::test]
async fn a_word_of_the_future_does_not_fail_an_answer() {
    let document = json!({ "Id": "abc", "State": { "Status": "levitating" }, "New": [1] });
    let odd = Odd::new(vec![("/json", vec![ok(&document.to_string())])]);
    let container = odd.docker().container("abc").await.unwrap().unwrap();
    assert_eq!(container.document, document);
}

#[tokio::test]
async fn an_answer_that_is_no_json_cannot_be_read() {
    let odd = Odd::new(vec![("/json", vec![ok("<html>hello</html>")])]);
    let error = odd.docker().container("abc").await.unwrap_err();
    assert!(matches!(error, DockerError::Unreadable { .. }), "{error}");
}

#[tokio::test]
async fn an_endless_answer_is_given_up() {
    let head = text("HTTP/1.1 200 OK\r\n\r\n[");
    let odd = Odd::new(vec![("/json", vec![head, Part::Endless("[".repeat(1 << 16))])]);
    let error = odd.docker().container("abc").await.unwrap_err();
    assert!(error.to_string().ends_with("it is longer than 32 MiB"), "{error}");
}

#[tokio::test]
async fn an_answer_cut_off_in_the_middle_is_an_engine_that_went_away() {
    let head = text("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"Id\":");
    let odd = Odd::new(vec![("/json", vec![head])]);
    let error = odd.docker().container("abc").await.unwrap_err();
    assert!(matches!(error, DockerError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn a_refusal_without_json_keeps_its_words() {
    let odd = Odd::new(vec![("/start", vec![answer("502 Bad Gateway", "the proxy is asleep")])]);
    let error = odd.docker().start(&"abc".into()).await.unwrap_err();
    insta::assert_snapshot!(error, @"the engine refused docker.start with status 502: the proxy is asleep");
}

#[tokio::test]
async fn an_engine_that_hangs_is_given_up_after_the_limit() {
    let odd = Odd::new(vec![("/version", vec![Part::Silence])]);
    let mut ears = Ears::new(odd.docker(), "none");
    let docker = odd.docker();
    let (answer, ()) = tokio::join!(docker.version(), ears.hear(&["down"]));
    let error = answer.unwrap_err();
    insta::assert_snapshot!(error, @"the engine did not finish docker.version within 10s");
}

#[tokio::test]
async fn a_pull_that_fails_half_way_is_a_failure() {
    let progress = "{\"status\":\"Pulling\"}\n{\"errorDetail\":{\"message\":\"no space left on device\"},\"error\":\"no space left on device\"}\n";
    let odd = Odd::new(vec![("/images/create", vec![ok(progress)])]);
    let error = odd.docker().pull("shop@sha256:00").await.unwrap_err();
    assert!(matches!(error, DockerError::NoSpace { .. }), "{error}");
    let asked = odd.asked.lock().unwrap().last().cloned().unwrap();
    assert!(asked.contains("fromImage=shop%40sha256%3A00"), "{asked}");
}

#[tokio::test]
async fn a_line_that_is_no_event_does_not_end_the_stream() {
    let events = "HTTP/1.1 200 OK\r\n\r\nnonsense\n{\"Type\":\"wormhole\"}\n{\"Type\":\"container\",\"Action\":\"create\",\"Actor\":{\"ID\":\"a\",\"Attributes\":{\"name\":\"a-b\",\"com.docker.compose.project\":\"shop\"}}}\n";
    let odd = Odd::new(vec![("/events", vec![text(events), Part::Silence])]);
    let mut ears = Ears::new(odd.docker(), "shop");
    ears.hear(&["up", "b made"]).await;
}

//! A project of a test's own on the real engine, deployed by the real Compose
//! and removed afterwards, also when the test failed.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use rollbackd::{
    docker::{Docker, container::Container, event::Happening},
    engine::{Engine, compose::Compose, records::Records},
    host::clock::Clock,
    rollback, store,
};
use rollbackd_core::{
    plan::{Does, Step, StepOutcome},
    revision::{Observation, ServiceRecord},
    settings::Order,
    words::{ImageId, IncidentId, ProjectName},
};
use serde_json::Value;
use tokio::sync::broadcast;

/// The one rollback of a test.
pub(crate) const INCIDENT: IncidentId = IncidentId(7);

/// Which Compose deploys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    V1,
    V2,
}

impl Tool {
    /// Those that are installed; at least one must be.
    pub(crate) fn all() -> Vec<Self> {
        let answers = |words: &[&str]| {
            let mut command = Command::new(words[0]);
            let command = command.args(&words[1..]).stdin(Stdio::null());
            command.output().is_ok_and(|output| output.status.success())
        };
        let mut all = Vec::new();
        if answers(&["docker", "compose", "version"]) {
            all.push(Self::V2);
        }
        if answers(&["docker-compose", "version"]) {
            all.push(Self::V1);
        }
        assert!(!all.is_empty(), "install Compose: `docker compose` or `docker-compose`");
        all
    }
}

/// The stage.
pub(crate) struct Stage {
    pub(crate) project: ProjectName,
    pub(crate) docker: Docker,
    pub(crate) engine: Engine,
    pub(crate) happenings: broadcast::Sender<Happening>,
    pub(crate) clock: Clock,
    tool: Tool,
    /// The Compose file's folder; the state directory is in it.
    pub(crate) folder: tempfile::TempDir,
    host: String,
    volumes: RefCell<BTreeSet<String>>,
}

impl Stage {
    pub(crate) fn new(tool: Tool) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let host = std::env::var("ROLLBACKD_TEST_DOCKER")
            .unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let project = ProjectName::new(format!("rbdeng{}x{number}", std::process::id()));
        let folder = tempfile::tempdir().expect("a folder can be made");
        let state = folder.path().join("state");
        let docker = Docker::connect(&host).expect("the host is an address");
        let clock = Clock::resume(None);
        let records = Records::new(store::open(&state).expect("the store opens").handle);
        let (happenings, _) = broadcast::channel(1024);
        let compose = Compose::new(
            docker.clone(),
            records,
            clock.clone(),
            happenings.clone(),
            &state,
            host.starts_with("unix:"),
        );
        let engine = Engine::Compose(compose);
        Self {
            project,
            docker,
            engine,
            happenings,
            clock,
            tool,
            folder,
            host,
            volumes: RefCell::default(),
        }
    }

    /// The reference of an image of this project.
    pub(crate) fn reference(&self, name: &str) -> String {
        format!("{}/{name}:latest", self.project)
    }

    /// Builds an image: the test program with these changes of its
    /// configuration. A new one each time, and the tag moves to it.
    pub(crate) fn build(&self, name: &str, changes: &[&str]) -> ImageId {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let tar = program();
        let label = format!("LABEL rollbackd.bench={} rollbackd.build={number}", self.project);
        let mut words = vec!["import", "-c", &label, "-c", r#"ENTRYPOINT ["/app"]"#];
        for change in changes {
            words.extend(["-c", change]);
        }
        let reference = self.reference(name);
        words.extend([tar.to_str().expect("the path is text"), &reference]);
        self.docker(&words).trim().parse().expect("an import prints the image's ID")
    }

    /// Writes the Compose file. `$PROJECT` in it is the project's name.
    pub(crate) fn write(&self, file: &str) {
        let file = file.replace("$PROJECT", self.project.as_str());
        fs::write(self.folder.path().join("compose.yml"), file).expect("the file can be written");
    }

    /// `up -d`; gives what Compose said.
    pub(crate) fn up(&self, words: &[&str]) -> String {
        self.try_up(words).unwrap_or_else(|said| panic!("{said}"))
    }

    /// Likewise; what Compose said is an error when it failed.
    pub(crate) fn try_up(&self, words: &[&str]) -> Result<String, String> {
        let output = self.compose(&[&["up", "-d"], words].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        self.note_volumes();
        if output.status.success() { Ok(said) } else { Err(said) }
    }

    fn compose(&self, words: &[&str]) -> Output {
        let mut command = match self.tool {
            Tool::V1 => Command::new("docker-compose"),
            Tool::V2 => Command::new("docker"),
        };
        if self.tool == Tool::V2 {
            command.arg("compose");
        }
        command
            .args(["-p", self.project.as_str(), "-f", "compose.yml"])
            .args(words)
            .current_dir(self.folder.path())
            .env("DOCKER_HOST", &self.host)
            .stdin(Stdio::null())
            .output()
            .expect("Compose is installed")
    }

    /// Runs `docker`, which must succeed.
    pub(crate) fn docker(&self, words: &[&str]) -> String {
        let output = self.try_docker(words);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "docker {words:?}: {complaint}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Remembers the volumes of the project's containers: Compose leaves
    /// anonymous ones behind, and what was bound by name does not go with `-v`.
    fn note_volumes(&self) {
        let project = format!("label=com.docker.compose.project={}", self.project);
        let format = r#"{{range .Mounts}}{{if eq .Type "volume"}}{{println .Name}}{{end}}{{end}}"#;
        for id in self.lines(&["ps", "-aq", "--filter", &project]) {
            let found = self.lines(&["inspect", "-f", format, &id]);
            self.volumes.borrow_mut().extend(found);
        }
    }

    /// What `docker` lists, a line each.
    fn lines(&self, words: &[&str]) -> Vec<String> {
        let output = self.try_docker(words).stdout;
        String::from_utf8_lossy(&output).lines().map(str::to_owned).collect()
    }

    fn try_docker(&self, words: &[&str]) -> Output {
        let mut command = Command::new("docker");
        let command = command.args(["-H", &self.host]).args(words).stdin(Stdio::null());
        command.output().expect("the `docker` command is installed")
    }

    /// The container of a service with a number, under its own name.
    pub(crate) async fn container(&self, service: &str, number: u32) -> Container {
        let all = self.docker.containers(&self.project).await.expect("the engine answers");
        let found = all.into_iter().find(|one| {
            let own = !one.name.contains(".rollbackd-");
            own && one.service == Some(service.into()) && one.number == number
        });
        found.expect("it is there")
    }

    /// Every container of the project by name, and whether it runs.
    pub(crate) async fn all(&self) -> BTreeMap<String, String> {
        let all = self.docker.containers(&self.project).await.expect("the engine answers");
        let status = |one: &Container| {
            one.document["State"]["Status"].as_str().unwrap_or_default().to_owned()
        };
        all.iter().map(|one| (one.name.clone(), status(one))).collect()
    }

    pub(crate) async fn observe(&self) -> Observation {
        self.engine.observe(&self.project).await.expect("it can be observed")
    }

    pub(crate) async fn record(&self, service: &str) -> ServiceRecord {
        let seen = self.observe().await.services;
        let found = seen.into_iter().find(|one| one.record.name == service.into());
        found.expect("the service has a container").record
    }

    pub(crate) async fn run(&self, does: Does) -> StepOutcome {
        let limit = Duration::from_secs(60);
        let step = Step { name: does.kind().to_owned(), does, limit };
        rollback::run(&step, &self.project, INCIDENT, &self.engine).await
    }

    pub(crate) async fn done(&self, does: Does) -> String {
        match self.run(does).await {
            StepOutcome::Done(said) => said,
            failed @ StepOutcome::Failed { .. } => panic!("{failed:?}"),
        }
    }

    /// The whole way back of one service, as the standard plan goes it.
    pub(crate) async fn back(&self, record: &ServiceRecord) {
        let service = record.name.clone();
        let reference = record.image.clone();
        let (along, image) = (Vec::new(), record.image_id);
        self.done(Does::Retag { service, along, reference, image }).await;
        self.done(recreate(record, Order::StopFirst)).await;
        let services = vec![record.name.clone()];
        self.done(Does::WaitHealthy { services: services.clone() }).await;
        self.done(Does::Discard { services }).await;
    }
}

/// The step that recreates a service from its record.
pub(crate) fn recreate(record: &ServiceRecord, order: Order) -> Does {
    Does::Recreate {
        service: record.name.clone(),
        records: record.containers.clone(),
        image: record.image_id,
        replaces: None,
        order,
        drain: Duration::from_millis(100),
        start_timeout: Duration::from_secs(30),
    }
}

/// What of an inspect document must be equal after a rollback: everything that
/// is not an identity, a time or an address of this one run.
fn essence(document: &Value) -> Value {
    let mut document = document.clone();
    let id = document["Id"].as_str().unwrap_or_default().to_owned();
    for volatile in [
        "Id",
        "Created",
        "State",
        "ResolvConfPath",
        "HostnamePath",
        "HostsPath",
        "LogPath",
        "GraphDriver",
        "Storage",
        "Path",
        "Args",
        "ExecIDs",
        "RestartCount",
    ] {
        document.as_object_mut().expect("it is an object").remove(volatile);
    }
    let networks = document["NetworkSettings"]["Networks"].clone();
    let mut kept = serde_json::Map::new();
    for (name, network) in networks.as_object().into_iter().flatten() {
        let mut aliases = network["Aliases"].as_array().cloned().unwrap_or_default();
        aliases.retain(|alias| !id.starts_with(alias.as_str().unwrap_or("-")));
        aliases.sort_by_key(ToString::to_string);
        let asked = network["IPAMConfig"].as_object().filter(|asked| !asked.is_empty()).cloned();
        kept.insert(
            name.clone(),
            serde_json::json!({ "aliases": aliases, "asked": asked, "links": network["Links"] }),
        );
    }
    document["NetworkSettings"] = Value::Object(kept);
    if document["Config"]["Hostname"].as_str().is_some_and(|name| id.starts_with(name)) {
        document["Config"]["Hostname"] = "own".into();
    }
    // Anonymous volumes are bound by name, as Compose itself does.
    let anonymous =
        |text: &str| text.len() >= 64 && text.as_bytes()[..64].iter().all(u8::is_ascii_hexdigit);
    if let Some(binds) = document["HostConfig"]["Binds"].as_array_mut() {
        binds.retain(|bind| !anonymous(bind.as_str().unwrap_or_default()));
    }
    if document["HostConfig"]["Binds"].as_array().is_some_and(Vec::is_empty) {
        document["HostConfig"]["Binds"] = Value::Null;
    }
    for mount in document["HostConfig"]["Mounts"].as_array_mut().into_iter().flatten() {
        if anonymous(mount["Source"].as_str().unwrap_or_default()) {
            mount.as_object_mut().expect("a mount is an object").remove("Source");
        }
    }
    if let Some(mounts) = document["Mounts"].as_array_mut() {
        for mount in mounts.iter_mut() {
            // How a volume came to be mounted reads differently: `z` or `rw`.
            mount.as_object_mut().expect("a mount is an object").remove("Mode");
        }
        mounts.sort_by_key(|mount| mount["Destination"].to_string());
    }
    document
}

/// The places at which two documents differ, with both values.
pub(crate) fn differences(place: &str, left: &Value, right: &Value) -> Vec<String> {
    match (left, right) {
        _ if left == right => Vec::new(),
        (Value::Object(one), Value::Object(other)) => {
            let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            let inner = |name: &&String| {
                differences(&format!("{place}/{name}"), &left[*name], &right[*name])
            };
            names.iter().flat_map(inner).collect()
        }
        _ => vec![format!("{place}: {left} != {right}")],
    }
}

/// Both documents describe the same container, as far as people care.
pub(crate) fn assert_same(now: &Container, ran: &Container) {
    let differ = differences("", &essence(&now.document), &essence(&ran.document));
    assert!(differ.is_empty(), "{differ:#?}");
}

impl Drop for Stage {
    /// One thing after the other: engines hang when containers of one network
    /// are removed at the same time.
    fn drop(&mut self) {
        let project = format!("label=com.docker.compose.project={}", self.project);
        let state = format!("label=rollbackd.state={}", self.folder.path().join("state").display());
        self.note_volumes();
        for filter in [&project, &state] {
            for id in self.lines(&["ps", "-aq", "--filter", filter]) {
                self.try_docker(&["rm", "-f", "-v", &id]);
            }
        }
        for network in self.lines(&["network", "ls", "-q", "--filter", &project]) {
            self.try_docker(&["network", "rm", &network]);
        }
        let mut volumes = self.volumes.take();
        volumes.extend(self.lines(&["volume", "ls", "-q", "--filter", &project]));
        for volume in volumes.iter().filter(|name| !name.is_empty()) {
            self.try_docker(&["volume", "rm", volume]);
        }
        let label = format!("label=rollbackd.bench={}", self.project);
        for image in self.lines(&["images", "-aq", "--no-trunc", "--filter", &label]) {
            self.try_docker(&["rmi", "-f", &image]);
        }
    }
}

/// The one program of all images, in a tar, built once a build: `run` ends on
/// SIGTERM, `exit N` ends at once, `check` is a health check that passes.
fn program() -> PathBuf {
    const SOURCE: &str = r#"
        #include <signal.h>
        #include <stdlib.h>
        #include <string.h>
        #include <unistd.h>
        static void done(int signal) { _exit(0); }
        int main(int count, char **words) {
            const char *word = count > 1 ? words[1] : "run";
            if (!strcmp(word, "check")) return 0;
            if (count > 2 && !strcmp(word, "exit")) return atoi(words[2]);
            signal(SIGTERM, done);
            for (;;) pause();
        }
    "#;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("engine-program");
    let tar = folder.join("app.tar");
    if tar.exists() {
        return tar;
    }
    // Several tests may build it at once: each its own, and one rename wins.
    let own = folder.join(std::process::id().to_string());
    fs::create_dir_all(&own).expect("the build folder can be written");
    fs::write(own.join("app.c"), SOURCE).expect("the build folder can be written");
    let made = |command: &mut Command| {
        let status = command.current_dir(&own).status().expect("gcc and tar are installed");
        assert!(status.success(), "the program of the test images could not be built");
    };
    made(Command::new("gcc").args(["-static", "-Os", "-s", "-o", "app", "app.c"]));
    made(Command::new("tar").args(["--owner=0", "--group=0", "-cf", "app.tar", "app"]));
    fs::rename(own.join("app.tar"), &tar).expect("both are in one folder");
    let _ = fs::remove_dir_all(&own);
    tar
}

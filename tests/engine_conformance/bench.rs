//! Where a promise is tried: on the model, or on the real engine, with names
//! of its own that are removed afterwards, also when the promise was broken.

use std::{
    collections::BTreeSet,
    fs, io,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use rollbackd::{
    docker::{
        Docker,
        container::Container,
        event::{ContainerEvent, Happening, What},
        labels,
        model::{Behaviour, Model},
    },
    host::clock::Clock,
};
use rollbackd_core::words::{ContainerId, ImageId, ProjectName};
use serde_json::{Value, json};
use tokio::sync::broadcast;

/// How long the real engine may take for anything a promise waits for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// One engine to try one promise on.
pub(crate) struct Bench {
    /// The connection under test.
    pub(crate) docker: Docker,
    /// Begins the name of everything that this bench makes; also a project.
    pub(crate) name: String,
    clock: Clock,
    kind: Kind,
}

enum Kind {
    Model(Model),
    Real(Real),
}

/// The real engine, spoken to by the `docker` command where a person would.
struct Real {
    host: String,
    name: String,
}

impl Bench {
    /// On the model.
    pub(crate) fn model() -> Self {
        let clock = Clock::resume(None);
        let model = Model::new(clock.clone());
        let docker = Docker::model(model.clone());
        Self { docker, name: "bench".to_owned(), clock, kind: Kind::Model(model) }
    }

    /// On the real engine: `$ROLLBACKD_TEST_DOCKER`, else the usual socket.
    pub(crate) fn real() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let host = std::env::var("ROLLBACKD_TEST_DOCKER")
            .unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("rbdconf-{}-{number}", std::process::id());
        let docker = Docker::connect(&host).expect("the host is an address");
        let kind = Kind::Real(Real { host, name: name.clone() });
        Self { docker, name, clock: Clock::resume(None), kind }
    }

    /// The name of something of this bench.
    pub(crate) fn named(&self, what: &str) -> String {
        format!("{}-{what}", self.name)
    }

    /// The project of this bench.
    pub(crate) fn project(&self) -> ProjectName {
        ProjectName::new(self.name.clone())
    }

    /// Imports an image under a tag of this bench: a new one each time.
    pub(crate) fn image(&self, tag: &str, behaviour: Behaviour) -> (String, ImageId) {
        self.image_with(tag, behaviour, &json!({}))
    }

    /// Likewise, with `Env` and `Volumes` of the image's own configuration.
    pub(crate) fn image_with(
        &self,
        tag: &str,
        behaviour: Behaviour,
        config: &Value,
    ) -> (String, ImageId) {
        let reference = format!("{}/app:{tag}", self.name);
        let id = match &self.kind {
            Kind::Model(model) => model.import_with(&reference, behaviour, config),
            Kind::Real(real) => real.import(&reference, behaviour, config),
        };
        (reference, id)
    }

    /// A network of this bench.
    pub(crate) fn network(&self, what: &str) -> String {
        let name = self.named(what);
        match &self.kind {
            Kind::Model(model) => model.network(&name),
            Kind::Real(real) => drop(real.docker(&["network", "create", &name])),
        }
        name
    }

    /// Likewise, with a subnet of its own choice, in which addresses can be
    /// fixed.
    pub(crate) fn network_with_subnet(&self, what: &str) -> String {
        let name = self.named(what);
        match &self.kind {
            Kind::Model(model) => model.network_with_subnet(&name, Ipv4Addr::new(10, 199, 0, 0)),
            Kind::Real(real) => {
                // Others may have chosen the same: the first that is free.
                let made = (0..=255).any(|third| {
                    let subnet = format!("10.199.{third}.0/24");
                    let words = ["network", "create", "--subnet", &subnet, &name];
                    real.try_docker(&words).is_ok_and(|output| output.status.success())
                });
                assert!(made, "no subnet is free");
            }
        }
        name
    }

    /// The program of all images as a file of this machine.
    pub(crate) fn program(&self) -> String {
        program().with_file_name("app").display().to_string()
    }

    /// A person prunes images; on the real engine only those of this bench.
    pub(crate) fn prune_images(&self, all: bool) {
        match &self.kind {
            Kind::Model(model) => model.prune_images(all),
            Kind::Real(real) => {
                let filter = format!("label=rollbackd.bench={}", real.name);
                let how = if all { "-af" } else { "-f" };
                real.docker(&["image", "prune", how, "--filter", &filter]);
            }
        }
    }

    /// A port that is free, and one that a process of this machine holds for
    /// as long as the listener lives.
    pub(crate) fn taken_port(&self) -> (u16, TcpListener) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        if let Kind::Model(model) = &self.kind {
            model.take_port(port, true);
        }
        (port, listener)
    }

    /// A port that nobody holds just now.
    pub(crate) fn free_port(&self) -> u16 {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
        listener.local_addr().expect("it is bound").port()
    }

    /// Creates a container of this bench; what is not said in `body` is: no
    /// network, the bench's project, the service `web`.
    pub(crate) async fn create(&self, what: &str, image: &str, body: Value) -> ContainerId {
        let body = self.body(image, body);
        self.docker.create(&self.named(what), &body).await.expect("it can be created")
    }

    /// The body of such a container.
    pub(crate) fn body(&self, image: &str, mut body: Value) -> Value {
        body["Image"] = image.into();
        if body["HostConfig"]["NetworkMode"].is_null() {
            body["HostConfig"]["NetworkMode"] = "none".into();
        }
        body["Labels"][labels::PROJECT] = self.name.clone().into();
        if body["Labels"][labels::SERVICE].is_null() {
            body["Labels"][labels::SERVICE] = "web".into();
        }
        body
    }

    /// Creates and starts one.
    pub(crate) async fn run(&self, what: &str, image: &str, body: Value) -> ContainerId {
        let id = self.create(what, image, body).await;
        self.docker.start(&id).await.expect("it starts");
        id
    }

    /// The container as it is now.
    pub(crate) async fn look(&self, id: &ContainerId) -> Container {
        self.docker.container(id.as_str()).await.expect("it answers").expect("it is there")
    }

    /// Waits until a container is as wanted; a restart that is due happens.
    pub(crate) async fn until(
        &self,
        id: &ContainerId,
        is: impl Fn(&Container) -> bool,
    ) -> Container {
        let wait = async {
            loop {
                let container = self.look(id).await;
                if is(&container) {
                    return container;
                }
                match &self.kind {
                    Kind::Model(model) => model.restart_round(),
                    Kind::Real(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("it becomes so in time")
    }

    /// Hears the events of this bench's containers from now on.
    pub(crate) async fn listen(&self) -> Ears {
        let (sender, mut heard) = broadcast::channel(1024);
        let (docker, clock) = (self.docker.clone(), self.clock.clone());
        let task = tokio::spawn(async move { docker.follow(clock, sender).await });
        let first = tokio::time::timeout(PATIENCE, heard.recv()).await.expect("it answers in time");
        assert_eq!(first, Ok(Happening::Up));
        Ears { heard, task, project: self.project() }
    }
}

/// The events of one bench.
pub(crate) struct Ears {
    heard: broadcast::Receiver<Happening>,
    task: tokio::task::JoinHandle<()>,
    project: ProjectName,
}

impl Ears {
    /// The next event of a container of the bench.
    pub(crate) async fn next(&mut self) -> ContainerEvent {
        let wait = async {
            loop {
                match self.heard.recv().await.expect("the stream goes on") {
                    Happening::Container(event)
                        if event.project.as_ref() == Some(&self.project) =>
                    {
                        return event;
                    }
                    _ => {}
                }
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("it happens in time")
    }

    /// Everything that happens up to and with this.
    pub(crate) async fn until(&mut self, last: What) -> Vec<What> {
        let mut all = Vec::new();
        while all.last() != Some(&last) {
            all.push(self.next().await.what);
        }
        all
    }
}

impl Drop for Ears {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Real {
    fn import(&self, reference: &str, behaviour: Behaviour, config: &Value) -> ImageId {
        let mut changes = vec![format!("LABEL rollbackd.bench={}", self.name)];
        changes.push(match behaviour {
            Behaviour::CannotExecute => r#"ENTRYPOINT ["/nope"]"#.to_owned(),
            _ => r#"ENTRYPOINT ["/app"]"#.to_owned(),
        });
        match behaviour {
            Behaviour::Runs => changes.push(r#"CMD ["run"]"#.to_owned()),
            Behaviour::Unhealthy => {
                changes.push(r#"CMD ["run"]"#.to_owned());
                let check = r#"--interval=1s --retries=2 CMD ["/app", "exit", "1"]"#;
                changes.push(format!("HEALTHCHECK {check}"));
            }
            Behaviour::Exits(code) => changes.push(format!(r#"CMD ["exit", "{code}"]"#)),
            Behaviour::IgnoresSigterm => changes.push(r#"CMD ["stubborn"]"#.to_owned()),
            Behaviour::CannotExecute => {}
        }
        for variable in config["Env"].as_array().into_iter().flatten() {
            changes.push(format!("ENV {}", variable.as_str().expect("a variable is text")));
        }
        for (path, _) in config["Volumes"].as_object().into_iter().flatten() {
            changes.push(format!("VOLUME {path}"));
        }
        let tar = program();
        let mut words = vec!["import"];
        for change in &changes {
            words.extend(["-c", change]);
        }
        words.extend([tar.to_str().expect("the path is text"), reference]);
        self.docker(&words).trim().parse().expect("an import prints the image's ID")
    }

    /// Runs `docker`, which must succeed.
    fn docker(&self, words: &[&str]) -> String {
        let output = self.try_docker(words).expect("the `docker` command is installed");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "docker {words:?}: {complaint}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn try_docker(&self, words: &[&str]) -> io::Result<Output> {
        Command::new("docker").args(["-H", &self.host]).args(words).stdin(Stdio::null()).output()
    }

    /// What `docker` lists, a line each.
    fn listed(&self, words: &[&str]) -> Vec<String> {
        let output = self.try_docker(words).map(|output| output.stdout).unwrap_or_default();
        String::from_utf8_lossy(&output).lines().map(str::to_owned).collect()
    }
}

impl Drop for Real {
    /// One thing after the other: engines hang when containers of one network
    /// are removed at the same time.
    fn drop(&mut self) {
        let filter = format!("name=^/?{}-", self.name);
        let mut volumes = BTreeSet::new();
        for id in self.listed(&["ps", "-aq", "--no-trunc", "--filter", &filter]) {
            let format =
                r#"{{range .Mounts}}{{if eq .Type "volume"}}{{println .Name}}{{end}}{{end}}"#;
            volumes.extend(self.listed(&["inspect", "-f", format, &id]));
            let _ = self.try_docker(&["rm", "-f", "-v", &id]);
        }
        let own = format!("name=^{}-", self.name);
        volumes.extend(self.listed(&["volume", "ls", "-q", "--filter", &own]));
        for volume in volumes.iter().filter(|name| !name.is_empty()) {
            let _ = self.try_docker(&["volume", "rm", "-f", volume]);
        }
        for network in self.listed(&["network", "ls", "-q", "--filter", &own]) {
            let _ = self.try_docker(&["network", "rm", &network]);
        }
        let label = format!("label=rollbackd.bench={}", self.name);
        for image in self.listed(&["images", "-aq", "--no-trunc", "--filter", &label]) {
            let _ = self.try_docker(&["rmi", "-f", &image]);
        }
    }
}

/// The one program of all images, in a tar, built once a build: `run` ends on
/// SIGTERM, `stubborn` does not, `exit N` ends at once.
fn program() -> PathBuf {
    const SOURCE: &str = r#"
        #include <signal.h>
        #include <stdlib.h>
        #include <string.h>
        #include <unistd.h>
        static void done(int signal) { _exit(0); }
        int main(int count, char **words) {
            const char *word = count > 1 ? words[1] : "run";
            if (count > 2 && !strcmp(word, "exit")) return atoi(words[2]);
            signal(SIGTERM, strcmp(word, "run") ? SIG_IGN : done);
            for (;;) pause();
        }
    "#;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-programs");
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
    fs::rename(own.join("app"), folder.join("app")).expect("both are in one folder");
    fs::rename(own.join("app.tar"), &tar).expect("both are in one folder");
    let _ = fs::remove_dir_all(&own);
    tar
}

//! A Compose project of a test's own: its files, its images, its containers.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use serde_json::Value;
use tempfile::TempDir;

use super::{
    docker::{docker, image},
    free_port, traffic,
    wait::until,
};

/// One service, `web`, that is the shop.
pub const WEB: &str = r#"
services:
  web:
    image: ${REPOSITORY}:latest
    ports: ["127.0.0.1:${PORT}:8080"]
    restart: unless-stopped
    stop_grace_period: 2s
"#;

/// A project; dropped, nothing is left of it.
pub struct Project {
    /// Its name.
    pub name: String,
    /// Its directory, which is also the daemon's.
    pub directory: TempDir,
    /// The port of this machine at which `web` is reached.
    pub port: u16,
    /// The shop's image, without a tag. May be set to one of a registry before
    /// images are made.
    pub repository: String,
    images: Mutex<Vec<String>>,
}

impl Project {
    /// A project with the service [`WEB`]. Nothing runs yet.
    pub fn new() -> Self {
        Self::with(WEB)
    }

    /// A project with a Compose file that may use `${REPOSITORY}` and `${PORT}`.
    pub fn with(compose_file: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("rbtest-{}-{count}", std::process::id());
        let project = Self {
            directory: TempDir::with_prefix("rbtest-").unwrap(),
            port: free_port(),
            repository: format!("{name}/shop"),
            images: Mutex::default(),
            name,
        };
        project.write("compose.yaml", compose_file);
        project.variables("");
        project
    }

    /// A path in its directory.
    pub fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }

    /// Writes a file in its directory.
    pub fn write(&self, file: &str, text: &str) {
        fs::write(self.path(file), text).unwrap();
    }

    /// Writes `.env`: the usual variables and more.
    pub fn variables(&self, more: &str) {
        let Self { name, repository, port, .. } = self;
        self.write(
            ".env",
            &format!("COMPOSE_PROJECT_NAME={name}\nREPOSITORY={repository}\nPORT={port}\n{more}\n"),
        );
    }

    /// Makes an image of the shop with this tag and environment; gives its ID.
    pub fn image(&self, tag: &str, environment: &str) -> String {
        // The project's name in it makes the ID this project's alone.
        let environment = format!("SHOP_VERSION={tag} RBTEST={} {environment}", self.name);
        let id = image(&shop(), &format!("{}:{tag}", self.repository), environment.trim()).unwrap();
        self.images.lock().unwrap().push(id.clone());
        id
    }

    /// Adds an image that is made elsewhere, to be removed with the project.
    pub fn owns(&self, id: &str) {
        self.images.lock().unwrap().push(id.to_owned());
    }

    /// `docker tag REPOSITORY:TAG REPOSITORY:latest`
    pub fn tag(&self, tag: &str) {
        let repository = &self.repository;
        docker(&["tag", &format!("{repository}:{tag}"), &format!("{repository}:latest")]).unwrap();
    }

    /// Deploys as a person would: retag, `docker compose up -d`.
    pub fn deploy(&self, tag: &str) {
        self.tag(tag);
        self.up();
    }

    /// `docker compose up -d`, which must go well.
    pub fn up(&self) {
        let output = self.compose(&["up", "-d"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Runs Compose in the project's directory: `$ROLLBACKD_TEST_COMPOSE`, else
    /// v2.
    pub fn compose(&self, arguments: &[&str]) -> Output {
        let chosen = std::env::var("ROLLBACKD_TEST_COMPOSE");
        let chosen = chosen.unwrap_or_else(|_| "docker compose".into());
        let mut words = chosen.split_whitespace();
        Command::new(words.next().expect("Compose has a name"))
            .args(words)
            .args(arguments)
            .current_dir(self.directory.path())
            .output()
            .unwrap()
    }

    /// The inspect documents of a service's containers, running or not.
    pub fn containers(&self, service: &str) -> Vec<Value> {
        let project = format!("label=com.docker.compose.project={}", self.name);
        let service = format!("label=com.docker.compose.service={service}");
        let list = ["ps", "-aq", "--no-trunc", "--filter", &project, "--filter", &service];
        let ids = docker(&list).unwrap();
        // One that vanishes between the two questions is not there.
        let inspect = |id| docker(&["inspect", id]).ok();
        let parse = |text: String| serde_json::from_str::<Vec<Value>>(&text).unwrap().remove(0);
        ids.split_whitespace().filter_map(inspect).map(parse).collect()
    }

    /// The only container of a service; fails the test when there are others,
    /// running or not: nothing may be left lying about.
    pub fn container(&self, service: &str) -> Value {
        let mut containers = self.containers(service);
        assert_eq!(containers.len(), 1, "containers of {service}: {:?}", names(&containers));
        containers.remove(0)
    }

    /// The image ID that the only container of a service runs.
    pub fn running_image(&self, service: &str) -> String {
        let container = self.container(service);
        assert_eq!(container["State"]["Running"], true, "{service} does not run");
        container["Image"].as_str().unwrap().to_owned()
    }

    /// Waits until `web` answers as this version.
    pub fn wait_for(&self, version: &str) {
        until(&format!("web answers as {version}"), || {
            (self.version().as_deref() == Some(version)).then_some(())
        });
    }

    /// The version as which `web` answers, if it does.
    pub fn version(&self) -> Option<String> {
        traffic::ask(self.port).ok()?.1
    }
}

fn names(containers: &[Value]) -> Vec<&str> {
    containers.iter().filter_map(|container| container["Name"].as_str()).collect()
}

impl Drop for Project {
    /// One container at a time (engines of Debian 12 hang otherwise). What the
    /// daemon was just making when it was stopped may come after a first look,
    /// so this looks again until nothing is left.
    fn drop(&mut self) {
        let label = format!("label=com.docker.compose.project={}", self.name);
        let mut images = std::mem::take(self.images.get_mut().unwrap_or_else(|e| e.into_inner()));
        for attempt in 0..50 {
            // By image as well: what the daemon keeps images with.
            let by_image = images.iter().map(|id| format!("ancestor={id}"));
            for filter in [label.clone()].into_iter().chain(by_image) {
                each(&["ps", "-aq", "--filter", &filter], &["rm", "-f", "-v"]);
            }
            each(&["network", "ls", "-q", "--filter", &label], &["network", "rm"]);
            each(&["volume", "ls", "-q", "--filter", &label], &["volume", "rm"]);
            images.retain(|id| match docker(&["rmi", "-f", id]) {
                Ok(_) => false,
                Err(why) => {
                    let is_gone = why.to_string().contains("No such image");
                    if attempt == 49 && !is_gone {
                        eprintln!("left behind: {why}");
                    }
                    !is_gone
                }
            });
            if images.is_empty() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    }
}

fn each(list: &[&str], remove: &[&str]) {
    for id in docker(list).unwrap_or_default().split_whitespace() {
        let removal: Vec<&str> = remove.iter().copied().chain([id]).collect();
        drop(docker(&removal));
    }
}

/// The shop's program: `$ROLLBACKD_TEST_SHOP`, else what `make shop` makes.
pub fn shop() -> PathBuf {
    if let Some(path) = std::env::var_os("ROLLBACKD_TEST_SHOP") {
        return path.into();
    }
    let root = env!("CARGO_MANIFEST_DIR");
    let made = Command::new("make").args(["-s", "shop"]).current_dir(root).status().unwrap();
    assert!(made.success(), "make shop failed");
    let target = std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| format!("{root}/target"));
    let hosts = fs::read_dir(format!("{target}/shop")).unwrap();
    let programs = hosts.map(|host| host.unwrap().path().join("release/shop"));
    programs.into_iter().find(|program| program.is_file()).expect("make shop makes a shop")
}

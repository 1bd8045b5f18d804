//! The examples of deploy jobs, run as they are written: a real daemon, engine,
//! Compose and registry. Only `ssh` is a stand-in that stays on this machine, and
//! the names in their variables are the test's.

use std::{
    fs,
    io::Write,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;

use crate::deploying::config;
use crate::support::{daemon::Daemon, project::Project, registry::Registry, traffic::Traffic};

/// A project that a registry serves, v1 of it running, and a v2 to deploy.
struct Host {
    daemon: Daemon,
    project: Project,
    images: [String; 2],
    _traffic: Traffic,
    _registry: Registry,
}

impl Host {
    fn new(v2: &str) -> Self {
        let registry = Registry::start();
        let mut project = Project::new();
        project.repository = format!("{}/{}", registry.address, project.name);
        project.variables("");
        let images = [project.image("v1", ""), project.image("v2", v2)];
        registry.publish(&project.repository, "v1");
        assert!(project.compose(&["pull", "-q"]).status.success());
        project.up();
        let traffic = Traffic::start(project.port).unwrap();
        let daemon = Daemon::start(&project, &config(&project));
        daemon.wait_armed();
        registry.publish(&project.repository, "v2");
        let host = Self { daemon, project, images, _traffic: traffic, _registry: registry };
        host.programs();
        host
    }

    /// What a job finds: `rollbackd`, and an `ssh` that leads back here.
    fn programs(&self) {
        let programs = self.project.path("bin");
        fs::create_dir(&programs).unwrap();
        symlink(env!("CARGO_BIN_EXE_rollbackd"), programs.join("rollbackd")).unwrap();
        let ssh = programs.join("ssh");
        // The first word is the host; the rest goes to a shell there.
        fs::write(
            &ssh,
            "#!/bin/sh\n[ \"$1\" = rbtest@host ] || exit 255\nshift\ncd /\nexec sh -c \"$*\"\n",
        )
        .unwrap();
        fs::set_permissions(&ssh, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Runs a line of a job with its variables.
    fn run(&self, program: &str, arguments: &[&str], directory: &Path) -> Output {
        let path = std::env::var("PATH").unwrap();
        Command::new(program)
            .args(arguments)
            .current_dir(directory)
            .env("PATH", format!("{}:{path}", self.project.path("bin").display()))
            .env("ROLLBACKD_CONFIG", self.project.path("rollbackd.toml"))
            .envs(self.variables())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    fn variables(&self) -> [(&'static str, String); 3] {
        let directory = self.project.directory.path().display().to_string();
        [
            ("HOST", "rbtest@host".into()),
            ("DIRECTORY", directory),
            ("PROJECT", self.project.name.clone()),
        ]
    }

    fn runs(&self) -> String {
        self.project.running_image("web")
    }
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

/// An example that is YAML, read by the parser that most people's tools use.
fn yaml(name: &str) -> Value {
    let read = "import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)";
    let has = |python: &&&str| {
        let mut ask = Command::new(python);
        ask.args(["-c", "import yaml"]).stderr(Stdio::null());
        ask.status().is_ok_and(|status| status.success())
    };
    let pythons = ["python3", "/usr/bin/python3"];
    let python = pythons.iter().find(has).expect("PyYAML is there: sh tests/bring-tools.sh");
    let mut parser = Command::new(python)
        .args(["-c", read])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    parser.stdin.take().unwrap().write_all(&fs::read(example(name)).unwrap()).unwrap();
    let parsed = parser.wait_with_output().unwrap();
    assert!(parsed.status.success(), "{name} is no YAML");
    serde_json::from_slice(&parsed.stdout).unwrap()
}

/// Every variable that the test sets is the example's own.
fn has_variables(host: &Host, variables: &Value, which: &[&str]) {
    for (name, _) in host.variables().iter().filter(|(name, _)| which.contains(name)) {
        assert!(variables[*name].is_string(), "{name} is not among {variables:#}");
    }
}

#[test]
fn the_github_job_is_green_when_the_deployment_is_good() {
    let host = Host::new("");
    let job = yaml("github-actions.yml")["jobs"]["deploy"].clone();
    has_variables(&host, &job["env"], &["HOST", "DIRECTORY", "PROJECT"]);
    let steps = job["steps"].as_array().unwrap();
    let lines: Vec<&str> = steps.iter().map(|step| step["run"].as_str().unwrap()).collect();
    let (keys, work): (Vec<&str>, Vec<&str>) =
        lines.into_iter().partition(|line| line.contains("secrets."));
    assert_eq!((keys.len(), work.len()), (1, 2), "all but the keys is run here");
    for line in work {
        let ran = host.run("bash", &["-e", "-c", line], Path::new("/"));
        assert_eq!(ran.status.code(), Some(0), "{line}: {ran:?}");
    }
    assert_eq!(host.runs(), host.images[1]);
    assert_eq!(host.daemon.project()["standing"], "good");
}

#[test]
fn the_gitlab_job_ends_with_6_when_the_deployment_was_rolled_back() {
    let host = Host::new("SHOP_ERRORS=50%");
    let job = yaml("gitlab-ci.yml")["deploy"].clone();
    has_variables(&host, &job["variables"], &["DIRECTORY", "PROJECT"]);
    assert_eq!(job["allow_failure"]["exit_codes"], serde_json::json!([6]));
    let lines: Vec<&str> =
        job["script"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    let ran = host.run("bash", &["-e", "-c", &lines.join("\n")], Path::new("/"));
    assert_eq!(ran.status.code(), Some(6), "{ran:?}");
    assert_eq!(host.runs(), host.images[0]);
}

#[test]
fn the_makefile_deploys_there_and_here() {
    let host = Host::new("");
    let make = example("Makefile");
    let run = |arguments: &[&str]| {
        let words = [&["-f", make.to_str().unwrap()], arguments].concat();
        host.run("make", &words, Path::new("/"))
    };
    let deployed = run(&["deploy"]);
    assert_eq!(deployed.status.code(), Some(0), "{deployed:?}");
    assert_eq!(host.runs(), host.images[1]);
    // On the host itself, where it is good already.
    for goal in ["wait", "status"] {
        let ran = run(&[goal, "HOST="]);
        assert_eq!(ran.status.code(), Some(0), "{goal}: {ran:?}");
    }
    let nobody = run(&["wait", "PROJECT=nobody"]);
    assert_eq!(nobody.status.code(), Some(2), "{nobody:?}");
}

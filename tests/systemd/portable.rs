//! Promises about the static program: from its tarball, and as an image.

use std::{fs, path::Path, process::Command};

use crate::{
    made,
    support::{
        config::Config,
        daemon::{Ran, rollbackd},
        docker::docker,
        project::Project,
        traffic::Traffic,
        wait::until,
    },
};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn script(name: &str, arguments: &[&Path]) -> String {
    let script = Path::new(ROOT).join("package").join(name);
    let done = Command::new("sh").arg(script).args(arguments).output().unwrap();
    assert!(done.status.success(), "{name}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

fn run(program: &Path, directory: &Path, arguments: &[&str]) -> Ran {
    let done = Command::new(program).args(arguments).current_dir(directory).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran { code: done.status.code().unwrap_or(-1), out: text(&done.stdout), err: text(&done.stderr) }
}

#[test]
fn the_tarball_holds_a_static_program_that_runs_where_it_is_unpacked() {
    let directory = tempfile::tempdir().unwrap();
    let program = made::static_program();
    let archive = script("tarball.sh", &[&program, directory.path()]);
    let mut unpack = Command::new("tar");
    unpack.arg("-C").arg(directory.path()).args(["-xzf", &archive]);
    assert!(unpack.status().unwrap().success());
    let name = Path::new(&archive).file_name().unwrap().to_string_lossy().into_owned();
    let inside = directory.path().join(name.trim_end_matches(".tar.gz"));
    let program = inside.join("rollbackd");
    let loader = Command::new("ldd").arg(&program).output().unwrap();
    let said = String::from_utf8_lossy(&[loader.stdout, loader.stderr].concat()).into_owned();
    assert!(said.contains("statically linked") || said.contains("not a dynamic"), "{said}");

    let checked = run(&program, &inside, &["--config", "rollbackd.toml", "check"]);
    assert_eq!(checked.code, 0, "{checked:?}");
    for file in [
        "systemd/rollbackd.service",
        "man/rollbackd.1",
        "completions/_rollbackd",
        "compose.yml",
        "docs/operating.md",
        "LICENSE-MIT",
    ] {
        assert!(inside.join(file).is_file(), "{file} is missing");
    }
}

/// A name is looked up by the static C library, and the machine's authorities
/// are found: the connection fails at the port, not before.
#[test]
fn the_static_program_finds_names_and_authorities() {
    let directory = tempfile::tempdir().unwrap();
    let port = crate::support::free_port();
    let config = format!(
        "state_dir = \"state\"\n[api]\nsocket = \"s\"\n[email]\nserver = \"smtps://localhost:{port}\"\n\
         from = \"a@test.invalid\"\nto = [\"b@test.invalid\"]\n[project.x]\n\
         [[project.x.trigger]]\nservice = \"web\"\nsignal = \"health\"\n"
    );
    fs::write(directory.path().join("rollbackd.toml"), config).unwrap();
    let arguments = ["--config", "rollbackd.toml", "check", "--live"];
    let live = run(&made::static_program(), directory.path(), &arguments);
    let said = live.out + &live.err;
    assert!(said.contains("refused"), "{said}");
}

#[test]
fn the_image_beside_a_project_takes_a_bad_deployment_back() {
    let project = Project::new();
    let good = project.image("v1", "");
    project.image("v2", "SHOP_ERRORS=50%");
    project.deploy("v1");
    let _traffic = Traffic::start(project.port).unwrap();
    let beside = Beside::start(&project);

    let status = || {
        let ran = beside.ask(&["--json", "status"]);
        (ran.code == 0).then(|| ran.json())
    };
    until("armed", || (status()?["projects"][0]["services"][0]["armed"] == true).then_some(()));
    project.deploy("v2");
    let rollback = until("the rollback has ended", || {
        let ran = beside.ask(&["--json", "history"]);
        let first = ran.json()[0].clone();
        (!first["ended_at"].is_null()).then_some(first)
    });
    assert_eq!(rollback["outcome"], "recovered", "{rollback:#}");
    assert_eq!(project.running_image("web"), good);
    // And from inside, as `docker compose exec` would.
    docker(&["exec", &beside.container, "rollbackd", "status"]).unwrap();
}

/// The image, brought up by the Compose file that is shipped.
struct Beside<'a> {
    project: &'a Project,
    name: String,
    tag: String,
    container: String,
}

impl<'a> Beside<'a> {
    fn start(project: &'a Project) -> Self {
        let name = format!("{}-beside", project.name);
        let tag = format!("{name}:latest");
        script("image.sh", &[&made::static_program(), Path::new(&tag)]);
        for directory in ["etc", "state", "run"] {
            fs::create_dir(project.path(directory)).unwrap();
        }
        let config = Config::new(project).errors(project).text();
        let config = config
            .replace("\"state\"", &format!("{:?}", project.path("state")))
            .replace("\"rollbackd.sock\"", "\"/run/rollbackd/rollbackd.sock\"");
        fs::write(project.path("etc/rollbackd.toml"), config).unwrap();
        let container = format!("{name}-rollbackd-1");
        let beside = Self { project, name, tag, container };
        let up = beside.compose(&["up", "-d"]);
        assert_eq!(up.code, 0, "{up:?}");
        beside
    }

    fn compose(&self, arguments: &[&str]) -> Ran {
        let directory = &self.project.directory;
        let done = Command::new("docker")
            .args(["compose", "-p", &self.name, "-f"])
            .arg(Path::new(ROOT).join("package/compose.yml"))
            .args(arguments)
            .env("ROLLBACKD_IMAGE", &self.tag)
            .env("ROLLBACKD_CONFIGURATION", directory.path().join("etc"))
            .env("ROLLBACKD_STATE", directory.path().join("state"))
            .env("ROLLBACKD_RUN", directory.path().join("run"))
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ran {
            code: done.status.code().unwrap_or(-1),
            out: text(&done.stdout),
            err: text(&done.stderr),
        }
    }

    /// The command on the machine, over the socket that the container shares.
    fn ask(&self, arguments: &[&str]) -> Ran {
        let directory = self.project.directory.path();
        rollbackd(directory, &[&["--socket", "run/rollbackd.sock"], arguments].concat())
    }
}

impl Drop for Beside<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let logs = self.compose(&["logs"]);
            eprintln!("--- the container's log\n{}{}", logs.out, logs.err);
        }
        self.compose(&["down", "-v"]);
        drop(docker(&["rmi", "-f", &self.tag]));
    }
}

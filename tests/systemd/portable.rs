//! Promises about the static program: from its tarball, and as an image.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    made,
    smtp::Authority,
    support::{
        Running,
        config::Config,
        daemon::{Ran, rollbackd},
        docker::docker,
        free_port,
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

fn ran(command: &mut Command) -> Ran {
    let done = command.stdin(Stdio::null()).output().unwrap();
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

    let mut check = Command::new(&program);
    check.args(["--config", "rollbackd.toml", "check"]).current_dir(&inside);
    let checked = ran(&mut check);
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

/// The static C library looks names up by itself, and the authorities are a file
/// of the image.
#[test]
fn the_image_finds_names_and_trusts_its_authorities() {
    let project = Project::new();
    project.image("v1", "");
    project.deploy("v1");
    let image = Image::build(&project);
    let network = format!("{}_default", project.name);
    let by_name = image.live(&project, &network, "http://web:8080/health/ready", None);
    assert!(by_name.out.contains("answered as expected"), "{by_name:?}");

    let authority = Authority::make();
    let port = free_port();
    let _server = Running(tls_server(&authority, port));
    let url = format!("https://127.0.0.1:{port}/");
    until("the authority in the file is trusted", || {
        let trusted = image.live(&project, "host", &url, Some(&authority.path("ca.pem")));
        trusted.out.contains("answered as expected").then_some(())
    });
    let stranger = image.live(&project, "host", &url, None);
    assert!(!stranger.out.contains("answered as expected"), "{stranger:?}");
}

fn tls_server(authority: &Authority, port: u16) -> std::process::Child {
    Command::new("openssl")
        .args(["s_server", "-quiet", "-www", "-accept", &format!("127.0.0.1:{port}")])
        .arg("-cert")
        .arg(authority.path("server.pem"))
        .arg("-key")
        .arg(authority.path("server.key"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
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

/// The image of the static program, with a tag of this test.
struct Image {
    tag: String,
}

impl Image {
    fn build(project: &Project) -> Self {
        let tag = format!("{}-rollbackd:latest", project.name);
        script("image.sh", &[&made::static_program(), Path::new(&tag)]);
        Self { tag }
    }

    /// `check --live` with one probe, in a container of that network.
    fn live(&self, project: &Project, network: &str, url: &str, trusts: Option<&Path>) -> Ran {
        let name = &project.name;
        let config = format!(
            "[source.door]\nkind = \"probe\"\nurl = \"{url}\"\n[project.{name}]\n\
             [[project.{name}.trigger]]\nservice = \"web\"\nsignal = \"availability\"\n\
             source = \"door\"\nbelow = \"99%\"\nfor = \"1m\"\n"
        );
        project.write("live.toml", &config);
        let mount = |from: &Path, to: &str| format!("{}:{to}:ro", from.display());
        let mut run = Command::new("docker");
        run.args(["run", "--rm", "--network", network])
            .args(["-v", "/var/run/docker.sock:/var/run/docker.sock", "-v"])
            .arg(mount(&project.path("live.toml"), "/etc/rollbackd/rollbackd.toml"));
        if let Some(authorities) = trusts {
            run.arg("-v").arg(mount(authorities, "/etc/ssl/certs/ca-certificates.crt"));
        }
        ran(run.args([&self.tag, "check", "--live"]))
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        drop(docker(&["rmi", "-f", &self.tag]));
    }
}

/// The image, brought up by the Compose file that is shipped.
struct Beside<'a> {
    project: &'a Project,
    name: String,
    image: Image,
    container: String,
}

impl<'a> Beside<'a> {
    fn start(project: &'a Project) -> Self {
        let name = format!("{}-beside", project.name);
        let image = Image::build(project);
        for directory in ["etc", "state", "run"] {
            fs::create_dir(project.path(directory)).unwrap();
        }
        let config = Config::new(project).errors(project).text();
        let config = config
            .replace("\"state\"", &format!("{:?}", project.path("state")))
            .replace("\"rollbackd.sock\"", "\"/run/rollbackd/rollbackd.sock\"");
        fs::write(project.path("etc/rollbackd.toml"), config).unwrap();
        let container = format!("{name}-rollbackd-1");
        let beside = Self { project, name, image, container };
        let up = beside.compose(&["up", "-d"]);
        assert_eq!(up.code, 0, "{up:?}");
        beside
    }

    fn compose(&self, arguments: &[&str]) -> Ran {
        let directory = &self.project.directory;
        ran(Command::new("docker")
            .args(["compose", "-p", &self.name, "-f"])
            .arg(Path::new(ROOT).join("package/compose.yml"))
            .args(arguments)
            .env("ROLLBACKD_IMAGE", &self.image.tag)
            .env("ROLLBACKD_CONFIGURATION", directory.path().join("etc"))
            .env("ROLLBACKD_STATE", directory.path().join("state"))
            .env("ROLLBACKD_RUN", directory.path().join("run")))
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
    }
}

//! A deploy job on the host: `deploy` and `wait` end with what became of the
//! deployment, and `abort` stops a rollback where it is.

use std::{
    fs,
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{
    config::Config, daemon::Daemon, project::Project, traffic::Traffic, wait::until,
};

const UP: [&str; 4] = ["docker", "compose", "up", "-d"];
/// Half of all pages fail.
const ERRS: &str = "SHOP_ERRORS=50%";

/// Errors and health, both asked once a second: a bake is observed to 90 % also
/// where it lasts 30 seconds.
pub fn config(project: &Project) -> Config {
    let health = "signal = \"health\"\nfailures = 3\nfor = \"5m\"\nevery = \"1s\"\n";
    Config::new(project).errors(project).trigger(project, health)
}

/// A project that serves v1, a v2, customers, and a daemon that is armed.
struct Bench {
    daemon: Daemon,
    project: Project,
    v1: String,
    v2: String,
    _traffic: Traffic,
}

impl Bench {
    fn new(v2: &str) -> Self {
        let project = Project::new();
        let v1 = project.image("v1", "");
        let v2 = project.image("v2", v2);
        project.deploy("v1");
        let traffic = Traffic::start(project.port).unwrap();
        let daemon = Daemon::start(&project, &config(&project));
        daemon.wait_armed();
        Self { daemon, project, v1, v2, _traffic: traffic }
    }

    fn name(&self) -> &str {
        &self.project.name
    }

    /// `rollbackd deploy` of what a person would type.
    fn deploy<'a>(&'a self, flags: &[&'a str], command: &[&'a str]) -> Vec<&'a str> {
        [flags, &["deploy", self.name(), "--"], command].concat()
    }

    /// A command that runs beside the test.
    fn spawn(&self, arguments: &[&str]) -> Running {
        let out = fs::File::create(self.project.path("job.out")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_rollbackd"))
            .args(["--socket", "rollbackd.sock"])
            .args(arguments)
            .current_dir(self.project.directory.path())
            .env_remove("ROLLBACKD_CONFIG")
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap();
        Running { child, out: self.project.path("job.out") }
    }
}

/// A command that runs beside the test; killed when it is dropped.
struct Running {
    child: Child,
    out: std::path::PathBuf,
}

impl Running {
    fn said(&self) -> String {
        fs::read_to_string(&self.out).unwrap()
    }

    /// Its exit code.
    fn end(&mut self) -> i32 {
        let ended = until("the job ends", || self.child.try_wait().unwrap());
        ended.code().unwrap_or(-1)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn a_good_deployment_ends_its_job_with_0_when_its_bake_was_observed() {
    let bench = Bench::new("");
    let Bench { daemon, project, v2, .. } = &bench;
    project.tag("v2");
    let ran = daemon.run(&bench.deploy(&[], &UP));
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(&project.running_image("web"), v2);
    let about = |phase: &str| format!("{} r2 {phase}:", project.name);
    for phase in ["baking", "good"] {
        assert!(ran.out.contains(&about(phase)), "no line `{}` in {ran:?}", about(phase));
    }
    assert!(!ran.out.contains('\x1b') && !ran.out.contains('\r'), "no terminal, no drawing");
    assert_eq!(ran.out.matches(&about("baking")).count(), 1, "one line a phase: {ran:?}");

    let before = std::time::Instant::now();
    let waited = daemon.run(&["wait", bench.name()]);
    assert_eq!(waited.code, 0, "{waited:?}");
    let nothing = daemon.run(&bench.deploy(&[], &["true"]));
    assert_eq!(nothing.code, 0, "{nothing:?}");
    assert!(nothing.out.contains("nothing changed"), "{nothing:?}");
    assert!(before.elapsed().as_secs() < 25, "what is good already is told at once");
    let json = daemon.run(&bench.deploy(&["--json"], &["echo", "not on standard output"])).json();
    assert_eq!((&json["verdict"], &json["exit_code"]), (&"good".into(), &0.into()), "{json:#}");
    assert_eq!((&json["changed"], &json["revision"]), (&false.into(), &2.into()), "{json:#}");
}

#[test]
fn a_bad_deployment_ends_its_job_with_6_when_it_was_rolled_back_and_recovered() {
    let bench = Bench::new(ERRS);
    let Bench { daemon, project, v1, .. } = &bench;
    project.tag("v2");
    let ran = daemon.run(&bench.deploy(&["--json"], &UP));
    assert_eq!(ran.code, 6, "{ran:?}");
    let json = ran.json();
    assert_eq!((&json["verdict"], &json["changed"]), (&"rolled-back".into(), &true.into()));
    assert_eq!(json["rollback"]["outcome"], "recovered", "{json:#}");
    assert_eq!(&project.running_image("web"), v1);
    let again = daemon.run(&["wait", bench.name()]);
    assert_eq!(again.code, 6, "the newest revision is still that one: {again:?}");
    assert!(again.out.contains("rolled-back: rollback 1 to r1"), "{again:?}");
}

#[test]
fn nothing_is_rolled_back_while_the_command_runs_and_a_daemon_that_dies_does_not_forget_it() {
    let mut bench = Bench::new(ERRS);
    bench.project.tag("v2");
    let slow = "docker compose up -d && until [ -e go ]; do sleep 0.1; done";
    let mut job = bench.spawn(&bench.deploy(&[], &["sh", "-c", slow]));
    let breached = |daemon: &Daemon| {
        let state = daemon.service("web")["triggers"][0]["state"].clone();
        (state == "breached").then_some(())
    };
    bench.daemon.wait("the breach", breached);
    assert!(bench.daemon.history().is_empty(), "it waits for the command");
    bench.daemon.kill();
    bench.daemon.start_again(&[]);
    let project = bench.daemon.project();
    assert!(project["announced"]["until"].is_string(), "{project:#}");
    let shown = bench.daemon.run(&["status"]).out;
    assert!(shown.contains("`rollbackd deploy` is at work"), "{shown}");
    bench.daemon.wait("the breach", breached);
    assert!(bench.daemon.history().is_empty());
    let other = bench.daemon.run(&bench.deploy(&[], &["touch", "other"]));
    assert_eq!(other.code, 4, "{other:?}");
    assert!(!bench.project.path("other").exists(), "a refused deploy runs nothing");

    bench.project.write("go", "");
    bench.daemon.wait("the verdict waits", |_| job.said().contains("baking").then_some(()));
    // An upgrade in the middle of the job.
    assert_eq!(bench.daemon.stop(), Some(0));
    until("it is waited for", || job.said().contains("daemon-away").then_some(()));
    bench.daemon.start_again(&[]);
    assert_eq!(job.end(), 6, "{}", job.said());
    assert_eq!(bench.project.running_image("web"), bench.v1);
}

#[test]
fn a_command_that_fails_ends_the_job_with_1_and_what_it_changed_is_watched() {
    let bench = Bench::new(ERRS);
    let Bench { daemon, project, v1, .. } = &bench;
    project.tag("v2");
    let ran = daemon.run(&bench.deploy(&[], &["sh", "-c", "docker compose up -d && exit 3"]));
    assert_eq!(ran.code, 1, "{ran:?}");
    let last = ran.err.lines().last().unwrap();
    assert!(last.contains("exit code 3") && last.contains("watched"), "{last}");
    assert_eq!(daemon.wait_ended(1)["outcome"], "recovered");
    assert_eq!(&project.running_image("web"), v1);

    let ran = daemon.run(&bench.deploy(&[], &["no-such-program"]));
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains("no-such-program") && ran.err.contains("cannot be run"), "{ran:?}");
    assert!(daemon.project()["announced"].is_null(), "it does not hold the project");
}

#[test]
fn a_signal_is_handed_on_to_the_command() {
    let bench = Bench::new("");
    let script = "trap 'touch got; exit 9' TERM; touch ready; while :; do sleep 0.1; done";
    let mut job = bench.spawn(&bench.deploy(&[], &["sh", "-c", script]));
    until("the command runs", || bench.project.path("ready").exists().then_some(()));
    let pid = i32::try_from(job.child.id()).ok().and_then(Pid::from_raw).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(job.end(), 1, "{}", job.said());
    assert!(bench.project.path("got").exists());
    assert!(job.said().contains("exit code 9"), "{}", job.said());
}

#[test]
fn time_that_runs_out_is_7_and_a_bake_that_stood_still_is_4() {
    let project = Project::new();
    project.image("v1", "");
    project.deploy("v1");
    let _traffic = Traffic::start(project.port).unwrap();
    let daemon = Daemon::start(&project, &config(&project).bake("1h"));
    let name = project.name.as_str();
    daemon.wait("its bake", |daemon| {
        (daemon.project()["verdict"]["waits_for"] == "bake").then_some(())
    });
    let soon = daemon.run(&["wait", name, "--timeout", "1s"]);
    assert_eq!(soon.code, 7, "{soon:?}");
    assert!(soon.out.contains("r1 time-ran-out: "), "{soon:?}");
    assert_eq!(daemon.run(&["pause", name, "--reason", "the fair"]).code, 0);
    let paused = daemon.run(&["wait", name, "--timeout", "1s"]);
    assert_eq!(paused.code, 4, "{paused:?}");
    assert!(paused.out.contains("paused the whole time (the fair)"), "{paused:?}");
}

#[test]
fn without_a_daemon_the_command_is_not_run() {
    let directory = tempfile::TempDir::with_prefix("rbtest-").unwrap();
    let words = ["--socket", "nobody.sock", "deploy", "shop", "--", "touch", "ran"];
    let ran = crate::support::daemon::rollbackd(directory.path(), &words);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(!directory.path().join("ran").exists());
    let ran = crate::support::daemon::rollbackd(directory.path(), &["--socket", "n", "wait", "x"]);
    assert_eq!(ran.code, 3, "{ran:?}");
}

#[test]
fn without_an_engine_nothing_is_run_and_waiting_runs_out_of_time() {
    let project = Project::new();
    let no_engine = "[docker]\nhost = \"unix:///nowhere/docker.sock\"";
    let daemon = Daemon::start(&project, &config(&project).table(no_engine));
    let refused = daemon.run(&["deploy", &project.name, "--", "touch", "ran"]);
    assert_eq!(refused.code, 4, "{refused:?}");
    assert!(!project.path("ran").exists());
    let waited = daemon.run(&["wait", &project.name, "--timeout", "2s"]);
    assert_eq!(waited.code, 7, "{waited:?}");
    assert!(waited.out.contains("looking: "), "{waited:?}");
}

#[test]
fn a_breach_that_a_pause_holds_back_ends_the_job_with_1_and_names_the_pause() {
    let bench = Bench::new(ERRS);
    let Bench { daemon, project, v2, .. } = &bench;
    let name = bench.name();
    assert_eq!(daemon.run(&["pause", name, "--reason", "the fair"]).code, 0);
    // A deployment of a moment ago is seen, whatever the engine told.
    project.tag("v2");
    project.up();
    let ran = daemon.run(&["wait", name]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.out.contains("not-rolled-back") && ran.out.contains("the fair"), "{ran:?}");
    assert_eq!(&project.running_image("web"), v2);
    let unknown = daemon.run(&["wait", "another"]);
    assert_eq!(unknown.code, 4, "{unknown:?}");
}

/// Two services, of which one is watched.
const TWO: &str = r#"
services:
  web:
    image: ${REPOSITORY}:latest
    ports: ["127.0.0.1:${PORT}:8080"]
    stop_grace_period: 2s
  idle:
    image: ${REPOSITORY}:v1
    environment: {COLOUR: "${COLOUR}"}
    stop_grace_period: 2s
"#;

#[test]
fn a_deployment_that_nothing_watches_ends_the_job_with_4_at_once() {
    let project = Project::with(TWO);
    project.variables("COLOUR=red");
    project.image("v1", "");
    project.deploy("v1");
    let _traffic = Traffic::start(project.port).unwrap();
    let daemon = Daemon::start(&project, &Config::new(&project).errors(&project));
    daemon.wait_armed();
    project.variables("COLOUR=blue");
    let ran = daemon.run(&["deploy", &project.name, "--", "docker", "compose", "up", "-d"]);
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.out.contains("unknown: no trigger"), "{ran:?}");
}

#[test]
fn a_rollback_that_verifies_is_stopped_and_stays_where_it_is() {
    let project = Project::new();
    let v1 = project.image("v1", "");
    project.image("v2", "");
    project.deploy("v1");
    let traffic = Traffic::start(project.port).unwrap();
    let daemon = Daemon::start(&project, &Config::new(&project).errors(&project));
    daemon.wait_armed();
    project.deploy("v2");
    daemon.wait("revision 2", |daemon| (daemon.project()["revision"] == 2).then_some(()));
    // Without customers there is nothing to judge by, and verifying takes its time.
    drop(traffic);
    let begun = daemon.run(&["rollback", &project.name, "--yes", "--no-wait"]);
    assert_eq!(begun.code, 0, "{begun:?}");
    daemon.wait("it verifies", |daemon| {
        (daemon.project()["verdict"]["waits_for"] == "verification").then_some(())
    });
    let stopped = daemon.run(&["abort", "1"]);
    assert_eq!(stopped.code, 0, "{stopped:?}");
    assert!(stopped.out.contains("stopped by a person"), "{stopped:?}");
    let rollback = daemon.wait_ended(1);
    assert_eq!(rollback["outcome"], "unverified", "{rollback:#}");
    assert_eq!(project.running_image("web"), v1);
    let again = daemon.run(&["abort", "1"]);
    assert_eq!(again.code, 4, "{again:?}");
    assert!(again.err.contains("unverified"), "it says how it ended: {again:?}");
    assert_eq!(daemon.run(&["abort", "77"]).code, 4);
    assert_eq!(daemon.run(&["wait", &project.name]).code, 5, "rolled back, and nobody judged");
}

/// Two services that take their time to stop.
const SLOW: &str = r#"
services:
  web: &slow
    image: ${REPOSITORY}:latest
    stop_signal: SIGWINCH
    stop_grace_period: 5s
    ports: ["127.0.0.1:${PORT}:8080"]
  other:
    <<: *slow
    ports: []
"#;

#[test]
fn a_rollback_is_stopped_in_the_middle_and_every_service_still_has_its_container() {
    let project = Project::with(SLOW);
    let images = [project.image("v1", ""), project.image("v2", "")];
    project.deploy("v1");
    let daemon = Daemon::start(&project, &config(&project));
    daemon.wait("revision 1", |daemon| (daemon.project()["revision"] == 1).then_some(()));
    project.deploy("v2");
    daemon.wait("revision 2", |daemon| (daemon.project()["revision"] == 2).then_some(()));
    let begun = daemon.run(&["rollback", &project.name, "--to", "1", "--yes", "--no-wait"]);
    assert_eq!(begun.code, 0, "{begun:?}");
    let service = daemon.wait("the first recreation", |daemon| {
        let steps = daemon.history()[0]["steps"].clone();
        let last = steps.as_array()?.last()?.clone();
        let name = last["name"].as_str()?.strip_prefix("recreate ")?.to_owned();
        last["ended_at"].is_null().then_some(name)
    });
    let stopped = daemon.run(&["abort", "1"]);
    assert_eq!(stopped.code, 0, "{stopped:?}");
    let said = format!("stopped by a person after recreate {service}: ");
    assert!(stopped.out.contains(&said), "{stopped:?}");
    assert_eq!(daemon.wait_ended(1)["outcome"], "refused");
    let other = if service == "web" { "other" } else { "web" };
    for (name, image) in [(service.as_str(), &images[0]), (other, &images[1])] {
        let container = project.container(name);
        assert_eq!(container["State"]["Running"], true, "{name}");
        assert_eq!(container["Image"].as_str(), Some(image.as_str()), "{name}");
    }
}

#[test]
fn what_is_unarmed_is_a_line_each_and_what_is_armed_is_silence() {
    let bench = Bench::new("");
    let armed = bench.daemon.run(&["-q", "status", "--check"]);
    assert_eq!((armed.code, armed.out.as_str()), (0, ""), "{armed:?}");
    let project = Project::new();
    let daemon = Daemon::start(&project, &Config::new(&project).health(&project));
    let unarmed = daemon.wait("the reason", |daemon| {
        Some(daemon.run(&["status", "--check"])).filter(|ran| ran.out.contains("does not run"))
    });
    assert_eq!((unarmed.code, unarmed.out.lines().count()), (4, 1), "{unarmed:?}");
    assert!(unarmed.out.starts_with(&format!("{}/web: ", project.name)), "{unarmed:?}");
}

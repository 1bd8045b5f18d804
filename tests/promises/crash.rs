//! The daemon may be killed at any moment: what it began it finishes once, and
//! what it missed it finds out.

use jiff::Timestamp;
use serde_json::Value;

use crate::support::{config::Config, daemon::Daemon, project::Project, traffic::Traffic};

/// A project that serves v1, customers, and a v2 that is broken.
struct Broken {
    _traffic: Traffic,
    project: Project,
    v1: String,
}

impl Broken {
    fn new() -> Self {
        let project = Project::new();
        let v1 = project.image("v1", "");
        project.image("v2", "SHOP_ERRORS=50%");
        project.deploy("v1");
        Self { _traffic: Traffic::start(project.port).unwrap(), project, v1 }
    }

    fn config(&self) -> Config {
        // Its revisions are counted: on a busy machine one `up` may rest longer
        // than the usual second.
        let config = Config::new(&self.project).instead("settle = \"1s\"", "settle = \"3s\"");
        config.errors(&self.project)
    }
}

fn restarted_after_a_kill(began: impl Fn(&Value) -> bool) {
    let broken = Broken::new();
    let Broken { project, v1, .. } = &broken;
    let mut daemon = Daemon::start(project, &broken.config());
    daemon.wait_armed();
    project.deploy("v2");
    daemon.wait("the moment to kill it", |daemon| {
        daemon.history().iter().find(|i| began(i)).cloned()
    });
    daemon.kill();
    daemon.start_again(&[]);

    let rollback = daemon.wait_ended(1);
    assert_eq!(rollback["outcome"], "recovered", "{rollback:#}");
    assert_eq!(&project.running_image("web"), v1);
    assert_eq!(daemon.history().len(), 1, "one rollback, not two: {:#?}", daemon.history());
    let revisions = daemon.revisions();
    assert_eq!(revisions.len(), 2, "going back makes no revision: {revisions:#?}");
}

#[test]
fn killed_while_it_acts_it_finishes_exactly_once() {
    restarted_after_a_kill(|incident| incident["kind"] == "rollback");
}

#[test]
fn killed_while_it_verifies_it_goes_on_verifying() {
    restarted_after_a_kill(|incident| {
        let steps = incident["steps"].as_array();
        steps.is_some_and(|steps| {
            steps.iter().any(|step| step["kind"] == "verify" && !step["began_at"].is_null())
        })
    });
}

#[test]
fn a_deployment_while_it_was_away_is_noticed_and_dated_by_the_containers() {
    let project = Project::new();
    project.image("v1", "");
    let v2 = project.image("v2", "");
    project.deploy("v1");
    let _traffic = Traffic::start(project.port).unwrap();
    let config = Config::new(&project).errors(&project);
    let mut daemon = Daemon::start(&project, &config);
    daemon.wait("revision 1", |daemon| (daemon.project()["revision"] == 1).then_some(()));
    daemon.kill();
    project.deploy("v2");
    let created: Timestamp = project.container("web")["Created"].as_str().unwrap().parse().unwrap();
    daemon.start_again(&[]);

    let revision = daemon.wait("revision 2", |daemon| daemon.revisions().into_iter().nth(1));
    let began: Timestamp = revision["began_at"]
        .as_str()
        .or(revision["deployed_at"].as_str())
        .unwrap()
        .parse()
        .unwrap();
    let apart = began.duration_since(created).abs();
    assert!(apart.as_secs() <= 2, "it began {began}, the container was created {created}");
    assert_eq!(revision["services"][0]["image_id"], v2);
}

#[test]
fn it_stops_cleanly_when_asked() {
    let project = Project::new();
    project.image("v1", "");
    project.deploy("v1");
    let mut daemon = Daemon::start(&project, &Config::new(&project).health(&project));
    assert_eq!(daemon.stop(), Some(0));
    daemon.start_again(&[]);
    assert_eq!(daemon.stop(), Some(0));
}

/// Needs a build with `--features testing`: the daemon ends itself with SIGKILL
/// at a numbered durable boundary, and its next start finishes what it began.
/// The first run finds out which boundaries a rollback passes; two of them,
/// chosen by a seed that is printed, are then died at. `RBTEST_SEED` repeats one.
#[cfg(feature = "testing")]
#[test]
fn a_death_at_any_durable_boundary_changes_nothing_but_the_time_it_takes() {
    let boundaries = boundaries_of_a_rollback();
    let seed = std::env::var("RBTEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: usize = seed.unwrap_or_else(|| std::process::id() as usize);
    eprintln!("RBTEST_SEED={seed}: of the boundaries {boundaries:?}");
    for part in 0..2 {
        let half = boundaries.len() / 2;
        let chosen = &boundaries[part * half + seed % half];
        eprintln!("dies at boundary {chosen}");
        dies_and_goes_on(chosen.split(' ').next().unwrap());
    }
}

/// The lines `NUMBER NAME` of all boundaries from the first change of the engine
/// by a rollback to its last.
#[cfg(feature = "testing")]
fn boundaries_of_a_rollback() -> Vec<String> {
    let broken = Broken::new();
    let mut daemon = Daemon::start(&broken.project, &broken.config());
    assert_eq!(daemon.stop(), Some(0));
    let log = broken.project.path("boundaries");
    daemon.start_again(&[("ROLLBACKD_DIE_LOG", log.to_str().unwrap())]);
    daemon.wait_armed();
    broken.project.deploy("v2");
    assert_eq!(daemon.wait_ended(1)["outcome"], "recovered");
    let lines = std::fs::read_to_string(log).unwrap();
    let lines: Vec<String> = lines.lines().map(str::to_owned).collect();
    let acts = |line: &String| line.contains("stop") || line.contains("rename");
    let first = lines.iter().position(acts).expect("a rollback stops and renames containers");
    let last = lines.iter().rposition(acts).unwrap();
    // A little before and after as well: the commits around it.
    lines[first.saturating_sub(6)..(last + 6).min(lines.len())].to_vec()
}

#[cfg(feature = "testing")]
fn dies_and_goes_on(boundary: &str) {
    let broken = Broken::new();
    let mut daemon = Daemon::start(&broken.project, &broken.config());
    assert_eq!(daemon.stop(), Some(0));
    daemon.start_again(&[("ROLLBACKD_DIE_AT", boundary)]);
    daemon.wait_armed();
    broken.project.deploy("v2");
    if !daemon.ends_before_its_rollback() {
        // Fewer boundaries were passed than in the first run: by a commit or two
        // of the daemon's own housekeeping.
        eprintln!("boundary {boundary} was not reached");
        assert_eq!(daemon.stop(), Some(0));
    }
    daemon.start_again(&[]);

    let rollback = daemon.wait_ended(1);
    assert_eq!(rollback["outcome"], "recovered", "boundary {boundary}: {rollback:#}");
    assert_eq!(broken.project.running_image("web"), broken.v1, "boundary {boundary}");
    assert_eq!(daemon.history().len(), 1, "boundary {boundary}");
}

//! The daemon may be killed at any moment: what it began it finishes once, and
//! what it missed it finds out.

use jiff::Timestamp;
use serde_json::Value;

use crate::support::{config::Config, daemon::Daemon, project::Project, traffic::Traffic};

fn restarted_after_a_kill(began: impl Fn(&Value) -> bool) {
    let project = Project::new();
    let v1 = project.image("v1", "");
    project.image("v2", "SHOP_ERRORS=50%");
    project.deploy("v1");
    let _traffic = Traffic::start(project.port).unwrap();
    let mut daemon = Daemon::start(&project, &Config::new(&project).errors(&project));
    daemon.wait_armed();
    project.deploy("v2");
    daemon.wait("the moment to kill it", |daemon| {
        daemon.history().iter().find(|i| began(i)).cloned()
    });
    daemon.kill();
    daemon.start_again(&[]);

    let rollback = daemon.wait_ended(1);
    assert_eq!(rollback["outcome"], "recovered", "{rollback:#}");
    assert_eq!(project.running_image("web"), v1);
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
/// at the numbered durable boundary, and then goes on as if nothing had been.
#[cfg(feature = "testing")]
#[test]
fn dying_at_a_durable_boundary_changes_nothing_but_the_time_it_takes() {
    let project = Project::new();
    let v1 = project.image("v1", "");
    project.image("v2", "SHOP_ERRORS=50%");
    project.deploy("v1");
    let _traffic = Traffic::start(project.port).unwrap();
    let mut daemon = Daemon::start(&project, &Config::new(&project).errors(&project));
    daemon.wait_armed();
    assert_eq!(daemon.stop(), Some(0));
    // A few of the deaths, chosen anew in every run and named when one fails.
    let seed = std::process::id() % 7;
    let boundary = 10 + seed * 3;
    eprintln!("dies at boundary {boundary}");
    daemon.start_again(&[("ROLLBACKD_DIE_AT", &boundary.to_string())]);
    project.deploy("v2");
    daemon.wait_for_end();
    daemon.start_again(&[]);

    let rollback = daemon.wait_ended(1);
    assert_eq!(rollback["outcome"], "recovered", "boundary {boundary}: {rollback:#}");
    assert_eq!(project.running_image("web"), v1, "boundary {boundary}");
    assert_eq!(daemon.history().len(), 1, "boundary {boundary}");
}

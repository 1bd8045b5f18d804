//! A rollback to an image that never ran here, by the real daemon and the real
//! Compose: done, undone, refused with a reason, and finished once though the
//! daemon is killed in the middle of it.

use crate::support::{config::Config, daemon::Daemon, project::Project};

/// A project that runs v1, and another image that never ran.
fn stage() -> (Project, String, String) {
    let project = Project::new();
    let other = project.image("previous", "");
    let v1 = project.image("v1", "");
    project.deploy("v1");
    project.wait_for("v1");
    (project, v1, other)
}

fn begun(project: &Project) -> Daemon {
    let config = Config::new(project).health(project);
    let daemon = Daemon::start(project, &config);
    daemon.wait("revision 1", |daemon| (daemon.project()["revision"] == 1).then_some(()));
    daemon
}

#[test]
fn an_image_that_never_ran_here_is_deployed_becomes_a_revision_and_can_be_undone() {
    let (project, v1, other) = stage();
    let daemon = begun(&project);
    let service = format!("{}/web", project.name);
    let reference = format!("{}:previous", project.repository);
    let to = ["rollback", &service, "--to", &reference];
    let dry = daemon.run(&[&to[..], &["--dry-run"]].concat());
    assert_eq!(dry.code, 0, "{dry:?}");
    assert!(dry.out.contains(&format!("r1 -> {reference}")), "{}", dry.out);
    assert!(dry.out.contains("Compose deploys 1 container of web"), "{}", dry.out);
    assert_eq!(project.running_image("web"), v1, "nothing was done");

    let ran = daemon.run(&[&to[..], &["--yes", "--no-wait"]].concat());
    assert_eq!(ran.code, 0, "{ran:?}");
    let ended = daemon.wait_ended(1);
    assert_eq!(ended["outcome"], "recovered", "{ended:#}");
    assert!(ended["to"].is_null(), "it is no revision: {ended:#}");
    assert_eq!(ended["changes"][0]["to_image_id"], other);
    assert_eq!(project.running_image("web"), other);
    let second = daemon.wait("revision 2", |daemon| daemon.revisions().into_iter().nth(1));
    assert_eq!(second["services"][0]["image_id"], other);
    let container = project.container("web")["Id"].clone();
    project.up();
    assert_eq!(project.container("web")["Id"], container, "Compose finds nothing to do");

    let back = daemon.run(&["forward", &project.name, "--yes", "--no-wait"]);
    assert_eq!(back.code, 0, "{back:?}");
    assert_eq!(daemon.wait_ended(2)["to"], 1);
    assert_eq!(project.running_image("web"), v1);
}

#[test]
fn what_cannot_be_deployed_is_refused_with_what_to_do() {
    let (project, v1, _) = stage();
    let daemon = begun(&project);
    let service = format!("{}/web", project.name);
    let nowhere = format!("{}:nowhere", project.repository);
    let said = daemon.run(&["rollback", &service, "--to", &nowhere, "--yes"]);
    assert_eq!(said.code, 4, "{said:?}");
    assert!(said.err.contains("is not on this host and names no registry"), "{}", said.err);

    let previous = format!("{}:previous", project.repository);
    let whole = daemon.run(&["rollback", &project.name, "--to", &previous, "--yes"]);
    assert_eq!(whole.code, 4, "{whole:?}");
    assert!(whole.err.contains("an image is gone back to for one service"), "{}", whole.err);

    let text = std::fs::read_to_string(project.path("compose.yaml")).unwrap();
    project.write("compose.yaml", &format!("{text}    environment: [EDITED=1]\n"));
    let edited = daemon.run(&["rollback", &service, "--to", &previous, "--yes"]);
    assert_eq!(edited.code, 4, "{edited:?}");
    assert!(edited.err.contains("changed since then: "), "{}", edited.err);
    assert!(edited.err.contains("compose.yaml ("), "{}", edited.err);
    assert!(daemon.history().is_empty(), "nothing was begun");
    assert_eq!(project.running_image("web"), v1);
}

/// The first run finds out at which boundary Compose's `up` has been told to go
/// and is not yet waited for. The second dies there and leaves it running; the
/// next start ends it, and finishes.
#[cfg(feature = "testing")]
#[test]
fn killed_while_compose_runs_it_is_finished_once_and_a_container_runs() {
    let log = "boundaries";
    let (project, ..) = stage();
    let daemon =
        started_again(&project, ("ROLLBACKD_DIE_LOG", project.path(log).to_str().unwrap()));
    roll_back(&daemon, &project);
    assert_eq!(daemon.wait_ended(1)["outcome"], "recovered");
    let boundaries = std::fs::read_to_string(project.path(log)).unwrap();
    let last = boundaries.lines().rfind(|line| line.ends_with("spawn released"));
    let number = last.expect("Compose was run").split(' ').next().unwrap();
    drop(daemon);

    let (project, _, other) = stage();
    let mut daemon = started_again(&project, ("ROLLBACKD_DIE_AT", number));
    roll_back(&daemon, &project);
    assert!(daemon.ends_before_its_rollback(), "boundary {number} was not reached");
    daemon.start_again(&[]);
    let ended = daemon.wait_ended(1);
    assert_eq!(ended["outcome"], "recovered", "{ended:#}");
    assert_eq!(daemon.history().len(), 1, "{:#?}", daemon.history());
    assert_eq!(project.running_image("web"), other);
    let revision = daemon.wait("revision 2", |daemon| daemon.revisions().into_iter().nth(1));
    assert_eq!(revision["services"][0]["image_id"], other);
}

/// A daemon on the state of an earlier run, with a variable of its own.
#[cfg(feature = "testing")]
fn started_again(project: &Project, variable: (&str, &str)) -> Daemon {
    let mut daemon = begun(project);
    assert_eq!(daemon.stop(), Some(0));
    daemon.start_again(&[variable]);
    daemon.wait("it has looked", |daemon| (daemon.project()["revision"] == 1).then_some(()));
    daemon
}

#[cfg(feature = "testing")]
fn roll_back(daemon: &Daemon, project: &Project) {
    let (service, reference) =
        (format!("{}/web", project.name), format!("{}:previous", project.repository));
    // The daemon may die before it has answered.
    daemon.run(&["rollback", &service, "--to", &reference, "--yes", "--no-wait"]);
}

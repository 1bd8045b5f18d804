//! What the engine itself knows is enough: a version that ends, never starts or
//! says that it is ill is rolled back without any metrics.

use crate::support::{config::Config, daemon::Daemon, docker::docker, project::Project};

/// v1 runs and is armed, by `health` alone.
fn armed(project: &Project) -> (String, Daemon) {
    let v1 = project.image("v1", "");
    project.deploy("v1");
    let daemon = Daemon::start(project, &Config::new(project).health(project));
    daemon.wait_armed();
    (v1, daemon)
}

fn assert_rolled_back(project: &Project, daemon: &Daemon, v1: &str) {
    let rollback = daemon.wait_ended(1);
    assert_eq!(rollback["outcome"], "recovered", "{rollback:#}");
    assert_eq!(project.running_image("web"), v1);
    project.wait_for("v1");
}

#[test]
fn a_version_that_ends_again_and_again_is_rolled_back() {
    let project = Project::new();
    let (v1, daemon) = armed(&project);
    project.image("v2", "SHOP_START=exit:3");
    project.deploy("v2");
    assert_rolled_back(&project, &daemon, &v1);
}

#[test]
fn a_version_that_says_it_is_ill_is_rolled_back() {
    let project = Project::new();
    let (v1, daemon) = armed(&project);
    project.image("v2", "SHOP_HEALTH=fail");
    project.deploy("v2");
    assert_rolled_back(&project, &daemon, &v1);
}

#[test]
fn a_container_that_never_leaves_created_is_rolled_back() {
    let project = Project::new();
    let (v1, daemon) = armed(&project);
    let v2 = format!("{}:v2", project.repository);
    // No such program in the image: the engine tells it by no event at all.
    let made = docker(&["create", &format!("{}:v1", project.repository)]).unwrap();
    let made = made.trim();
    let id = docker(&["commit", "-c", r#"ENTRYPOINT ["/nothing"]"#, made, &v2]).unwrap();
    docker(&["rm", made]).unwrap();
    project.owns(id.trim());
    project.tag("v2");
    let up = project.compose(&["up", "-d"]);
    assert!(!up.status.success(), "up tells that it cannot be started");
    assert_rolled_back(&project, &daemon, &v1);
}

#[test]
fn a_service_that_somebody_stops_is_not_a_failed_deployment() {
    let project = Project::new();
    let (v1, daemon) = armed(&project);
    let stopped = project.compose(&["restart", "web"]);
    assert!(stopped.status.success());
    daemon.wait_armed();
    assert_eq!(project.running_image("web"), v1);
    assert!(daemon.history().is_empty(), "{:#?}", daemon.history());
}

//! What goes back: what the blamed deployment changed, with all that lives in
//! its namespaces, and nothing else.

use crate::support::{
    config::Config, daemon::Daemon, docker::docker, project::Project, traffic::Traffic,
};

const TWO: &str = r#"
services:
  web:
    image: ${REPOSITORY}:latest
    ports: ["127.0.0.1:${PORT}:8080"]
    stop_grace_period: 2s
  worker:
    image: ${REPOSITORY}:worker
    stop_grace_period: 2s
  store:
    image: ${REPOSITORY}:store
    stop_grace_period: 2s
"#;

#[test]
fn only_the_services_that_the_deployment_changed_go_back() {
    let project = Project::with(TWO);
    let v1 = project.image("v1", "");
    let worker_v1 = project.image("worker-v1", "");
    project.image("v2", "SHOP_ERRORS=50%");
    project.image("worker-v2", "");
    project.image("store", "");
    let move_worker = |tag: &str| {
        let repository = &project.repository;
        let from = format!("{repository}:{tag}");
        docker(&["tag", &from, &format!("{repository}:worker")]).unwrap();
    };
    move_worker("worker-v1");
    project.deploy("v1");
    let _traffic = Traffic::start(project.port).unwrap();
    let daemon = Daemon::start(&project, &Config::new(&project).errors(&project));
    daemon.wait_armed();
    let store = project.container("store")["Id"].clone();
    move_worker("worker-v2");
    project.deploy("v2");

    let rollback = daemon.wait_ended(1);
    assert_eq!(rollback["outcome"], "recovered", "{rollback:#}");
    assert_eq!(project.running_image("web"), v1);
    assert_eq!(project.running_image("worker"), worker_v1);
    assert_eq!(project.container("store")["Id"], store, "store was not touched");
}

const SIDECAR: &str = r#"
services:
  web:
    image: ${REPOSITORY}:latest
    ports: ["127.0.0.1:${PORT}:8080"]
    stop_grace_period: 2s
  sidecar:
    image: ${REPOSITORY}:sidecar
    network_mode: "service:web"
    environment: {SHOP_PORT: "8081"}
    stop_grace_period: 2s
"#;

#[test]
fn what_lives_in_a_services_network_is_recreated_with_it() {
    let project = Project::with(SIDECAR);
    let v1 = project.image("v1", "");
    project.image("v2", "SHOP_ERRORS=50%");
    let sidecar = project.image("sidecar", "");
    project.deploy("v1");
    let _traffic = Traffic::start(project.port).unwrap();
    let daemon = Daemon::start(&project, &Config::new(&project).errors(&project));
    daemon.wait_armed();
    project.deploy("v2");

    let rollback = daemon.wait_ended(1);
    assert_eq!(rollback["outcome"], "recovered", "{rollback:#}");
    assert_eq!(project.running_image("web"), v1);
    assert_eq!(project.running_image("sidecar"), sidecar);
    let web = project.container("web")["Id"].as_str().unwrap().to_owned();
    let mode = project.container("sidecar")["HostConfig"]["NetworkMode"].clone();
    assert_eq!(mode, format!("container:{web}"), "it lives in the new container's network");
}

//! What the other tests stand on, tried by itself: a deployment through a real
//! registry, and that nothing is left of a project.

use crate::support::{
    docker::docker, project::Project, prometheus::Prometheus, registry::Registry, traffic::Traffic,
};

#[test]
fn a_deployment_through_a_registry_changes_what_serves_and_leaves_nothing_behind() {
    let registry = Registry::start();
    let mut project = Project::new();
    project.repository = format!("{}/{}", registry.address, project.name);
    project.variables("");
    let images = [project.image("v1", ""), project.image("v2", "SHOP_ERRORS=100%")];
    for (version, id) in ["v1", "v2"].into_iter().zip(&images) {
        registry.publish(&project.repository, version);
        assert!(project.compose(&["pull", "-q"]).status.success());
        project.up();
        assert_eq!(&project.running_image("web"), id);
        project.wait_for(version);
    }
    let name = project.name.clone();
    drop(project);
    for list in [["ps", "-aq"], ["network", "ls"], ["images", "--no-trunc"]] {
        let left = docker(&list).unwrap();
        assert!(!left.contains(&name), "{left}");
        assert!(images.iter().all(|id| !left.contains(id)), "{left}");
    }
}

#[test]
fn a_prometheus_server_is_ready_and_customers_are_served() {
    let project = Project::new();
    project.image("v1", "");
    project.deploy("v1");
    project.wait_for("v1");
    let _prometheus = Prometheus::start(project.port);
    let traffic = Traffic::start(project.port).unwrap();
    crate::support::wait::until("two hundred requests", || {
        (traffic.totals().requests >= 200).then_some(())
    });
    let totals = traffic.totals();
    assert_eq!((totals.errors, totals.unanswered), (0, 0), "{totals:?}");
}

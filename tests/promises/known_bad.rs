//! What was rolled back from comes back; and what was rolled back from though it
//! was not the cause.

use rollbackd::docker::Docker;

use crate::support::{
    config::Config,
    daemon::Daemon,
    engine::{self, puller},
    mail::MailSink,
    project::Project,
    registry::Registry,
    traffic::Traffic,
};

#[test]
fn a_bad_image_deployed_again_within_minutes_is_put_back_before_it_hurts() {
    let project = Project::new();
    let v1 = project.image("v1", "");
    project.image("v2", "SHOP_ERRORS=50%");
    project.deploy("v1");
    let _traffic = Traffic::start(project.port).unwrap();
    let mail = MailSink::start().unwrap();
    let config = Config::new(&project).errors(&project).health(&project).mail(&mail);
    let daemon = Daemon::start(&project, &config);
    daemon.wait_armed();
    project.deploy("v2");
    assert_eq!(daemon.wait_ended(1)["outcome"], "recovered");
    project.deploy("v2");

    let again = daemon.wait_ended(2);
    assert_eq!(again["cause"], "known-bad", "{again:#}");
    assert_eq!(again["phases"]["detect"], serde_json::Value::Null, "nothing had to break first");
    assert_eq!(project.running_image("web"), v1);
    let told = daemon.wait("people are told", |_| {
        mail.arrived().into_iter().find(|mail| mail.subject.contains("known to be bad is back"))
    });
    assert!(told.text.contains("incident 1"), "{}", told.text);
}

#[tokio::test]
async fn what_a_puller_brings_back_is_put_back_at_once() {
    let registry = Registry::start();
    let mut project = Project::new();
    project.repository = format!("{}/{}", registry.address, project.name);
    project.variables("");
    let v1 = project.image("v1", "");
    project.image("v2", "SHOP_ERRORS=50%");
    registry.publish(&project.repository, "v1");
    assert!(project.compose(&["pull", "-q"]).status.success());
    project.up();
    let _traffic = Traffic::start(project.port).unwrap();
    let daemon = Daemon::start(&project, &Config::new(&project).errors(&project).health(&project));
    daemon.wait_armed();
    registry.publish(&project.repository, "v2");
    let docker = Docker::connect(&engine::host()).unwrap();
    let name = project.container("web")["Name"].as_str().unwrap().trim_matches('/').to_owned();

    puller::update(&docker, &name).await.expect("there is a newer one");
    assert_eq!(daemon.wait_ended(1)["outcome"], "recovered", "the first time it has to break");
    assert_eq!(project.running_image("web"), v1);
    puller::update(&docker, &name).await.expect("the registry still has it");
    let again = daemon.wait_ended(2);
    assert_eq!(again["cause"], "known-bad", "{again:#}");
    assert_eq!(project.running_image("web"), v1);
}

#[test]
fn going_back_that_does_not_help_acquits_the_deployment_and_says_so() {
    let project = Project::new();
    let v1 = project.image("v1", "SHOP_ERRORS=40%");
    project.image("v2", "SHOP_ERRORS=50%");
    project.deploy("v1");
    let mail = MailSink::start().unwrap();
    let config = Config::new(&project)
        .instead("recover_within = \"30s\"", "recover_within = \"5s\"")
        .errors(&project)
        .mail(&mail);
    let daemon = Daemon::start(&project, &config);
    // Without customers its trigger is blind, so it need not be armed.
    daemon.wait("r1 can be returned to", |daemon| {
        (daemon.revisions().first()?["restorable"] == true).then_some(())
    });
    // Customers come only now: nothing could be seen of v1.
    project.deploy("v2");
    let _traffic = Traffic::start(project.port).unwrap();

    let rollback = daemon.wait_ended(1);
    assert_eq!(rollback["outcome"], "not-recovered", "{rollback:#}");
    assert_eq!(project.running_image("web"), v1, "it stays where it went");
    let revisions = daemon.revisions();
    assert_eq!(revisions[1]["acquitted"], true, "{revisions:#?}");
    assert_eq!(revisions[1]["standing"], "unproven");
    let told = daemon.wait("people are told", |_| {
        mail.arrived().into_iter().find(|mail| mail.text.contains("r2 is acquitted"))
    });
    assert!(told.text.contains("rollbackd forward"), "{}", told.text);
}

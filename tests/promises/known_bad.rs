//! What was rolled back from comes back; and what was rolled back from though it
//! was not the cause.

use crate::support::{
    config::Config, daemon::Daemon, mail::MailSink, project::Project, traffic::Traffic,
};

#[test]
fn a_bad_image_deployed_again_within_minutes_is_put_back_before_it_hurts() {
    let project = Project::new();
    let v1 = project.image("v1", "");
    project.image("v2", "SHOP_ERRORS=50%");
    project.deploy("v1");
    let _traffic = Traffic::start(project.port).unwrap();
    let mail = MailSink::start().unwrap();
    let config = Config::new(&project).errors(&project).mail(&mail);
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
    daemon.wait_armed();
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

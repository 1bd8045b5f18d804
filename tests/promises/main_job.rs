//! The main job: a bad image is deployed, the previous one is put back, that is
//! proven, and people are told.

use crate::support::{
    config::Config, daemon::Daemon, mail::MailSink, project::Project, prometheus::Prometheus,
    registry::Registry, traffic::Traffic,
};

/// Twelve of a hundred pages fail.
const ERRS: &str = "SHOP_ERRORS=12%";

#[test]
fn a_bad_image_pulled_from_a_registry_is_rolled_back_verified_and_mailed() {
    let registry = Registry::start();
    let mut project = Project::new();
    project.repository = format!("{}/{}", registry.address, project.name);
    project.variables("");
    let v1 = project.image("v1", "");
    let v2 = project.image("v2", ERRS);
    let mail = MailSink::start().unwrap();

    registry.publish(&project.repository, "v1");
    pull_and_up(&project);
    project.wait_for("v1");
    let _traffic = Traffic::start(project.port).unwrap();
    let config = Config::new(&project).errors(&project).mail(&mail);
    // On a busy machine one `up` may rest longer than the usual second.
    let config = config.instead("settle = \"1s\"", "settle = \"3s\"");
    let daemon = Daemon::start(&project, &config);
    daemon.wait_armed();
    registry.publish(&project.repository, "v2");
    pull_and_up(&project);
    assert_eq!(project.running_image("web"), v2);

    let rollback = daemon.wait_ended(1);
    assert_eq!(rollback["outcome"], "recovered", "{rollback:#}");
    assert_eq!((&rollback["from"], &rollback["to"]), (&2.into(), &1.into()));
    assert!(rollback["value"].as_f64().unwrap() > 0.05, "{rollback:#}");
    assert_eq!(rollback["threshold"], 0.05);
    for phase in ["detect", "decide", "act", "verify"] {
        assert!(rollback["phases"][phase].is_number(), "no phase {phase}: {rollback:#}");
    }
    assert_eq!(project.running_image("web"), v1);
    project.wait_for("v1");
    let standings: Vec<_> = daemon.revisions().iter().map(|r| r["standing"].clone()).collect();
    assert_eq!(standings.len(), 2, "going back makes no revision: {standings:?}");
    assert_eq!(standings[1], "bad");
    assert_ne!(standings[0], "bad");

    let mails = daemon.wait("two mails", |_| Some(mail.arrived()).filter(|m| m.len() >= 2));
    assert_eq!(mails.len(), 2, "{mails:#?}");
    for message in &mails {
        assert!(message.subject.contains(&project.name), "{}", message.subject);
    }
    let last = &mails[1];
    assert!(last.subject.contains("recovered"), "{}", last.subject);
    let still_bad = format!("{}:latest", project.repository);
    assert!(last.text.contains(&still_bad), "it must name what is still bad:\n{}", last.text);
}

#[test]
fn what_was_put_back_stays_at_the_next_up() {
    let project = Project::new();
    let v1 = project.image("v1", "");
    project.image("v2", ERRS);
    project.deploy("v1");
    let _traffic = Traffic::start(project.port).unwrap();
    let daemon = Daemon::start(&project, &Config::new(&project).errors(&project));
    daemon.wait_armed();
    project.deploy("v2");
    assert_eq!(daemon.wait_ended(1)["outcome"], "recovered");

    let before = project.container("web")["Id"].clone();
    project.up();
    assert_eq!(project.container("web")["Id"], before, "up must find nothing to do");
    assert_eq!(project.running_image("web"), v1);
}

#[test]
fn a_prometheus_query_leads_to_a_rollback() {
    let project = Project::new();
    let v1 = project.image("v1", "");
    project.image("v2", ERRS);
    project.deploy("v1");
    let _traffic = Traffic::start(project.port).unwrap();
    let prometheus = Prometheus::start(project.port);
    let config = Config::new(&project)
        .table(&format!("[source.prom]\nkind = \"prometheus\"\nurl = \"{}\"", prometheus.url))
        .trigger(
            &project,
            r#"
signal = "error_rate"
source = "prom"
query = '''(sum(rate(http_requests_total{job="shop",code=~"5.."}[4s])) or vector(0)) / sum(rate(http_requests_total{job="shop"}[4s]))'''
above = "5%"
for = "4s"
every = "1s"
"#,
        );
    let daemon = Daemon::start(&project, &config);
    daemon.wait_armed();
    project.deploy("v2");

    let rollback = daemon.wait_ended(1);
    assert_eq!(rollback["outcome"], "recovered", "{rollback:#}");
    assert_eq!(project.running_image("web"), v1);
}

#[test]
fn a_slow_version_is_rolled_back_by_its_latency() {
    let project = Project::new();
    let v1 = project.image("v1", "");
    project.image("v2", "SHOP_DELAY=700ms");
    project.deploy("v1");
    let _traffic = Traffic::start(project.port).unwrap();
    let config = Config::new(&project)
        .table("[source.page]\nkind = \"scrape\"\nservice = \"web\"\nport = 8080\n")
        .trigger(
            &project,
            "signal = \"latency_p99\"\nsource = \"page\"\nabove = \"400ms\"\nfor = \"4s\"\n\
             window = \"2s\"\nevery = \"1s\"\n",
        );
    let daemon = Daemon::start(&project, &config);
    daemon.wait_armed();
    project.deploy("v2");

    let rollback = daemon.wait_ended(1);
    assert_eq!(rollback["outcome"], "recovered", "{rollback:#}");
    assert_eq!(project.running_image("web"), v1);
}

#[test]
fn a_person_sees_the_steps_first_goes_back_and_goes_forward_again() {
    let project = Project::new();
    let v1 = project.image("v1", "");
    let v2 = project.image("v2", "");
    project.deploy("v1");
    let daemon = Daemon::start(&project, &Config::new(&project).health(&project));
    daemon.wait_armed();
    project.deploy("v2");
    daemon.wait("revision 2", |daemon| (daemon.project()["revision"] == 2).then_some(()));

    let name = project.name.as_str();
    let planned = daemon.run(&["rollback", name, "--dry-run"]);
    assert_eq!(planned.code, 0, "{planned:?}");
    assert!(planned.out.contains("web"), "{planned:?}");
    assert_eq!(project.running_image("web"), v2, "a dry run changes nothing");

    let back = daemon.run(&["rollback", name, "--yes", "--reason", "the promise test"]);
    assert!([0, 5].contains(&back.code), "{back:?}");
    daemon.wait_ended(1);
    assert_eq!(project.running_image("web"), v1);

    // Refused for as long as what runs has not been looked at again.
    let forward = daemon.wait("forward is taken", |daemon| {
        Some(daemon.run(&["forward", name, "--yes"])).filter(|ran| ran.code != 4)
    });
    assert!([0, 5].contains(&forward.code), "{forward:?}");
    daemon.wait_ended(2);
    assert_eq!(project.running_image("web"), v2);
}

/// What a person types.
fn pull_and_up(project: &Project) {
    let pulled = project.compose(&["pull", "-q"]);
    assert!(pulled.status.success(), "{}", String::from_utf8_lossy(&pulled.stderr));
    project.up();
}

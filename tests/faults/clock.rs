//! Somebody sets the machine's clock in the middle. The clock of the machine
//! that runs the tests is not the tests' to set, and a time namespace has no
//! wall clock of its own. What the daemon sees of it is made instead: after the
//! clock was set back by an hour, what the engine had written down before lies an
//! hour in the future; after it was set forward, an hour further in the past.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::{proxy::Proxy, stage::Broken, support::daemon::Daemon};

fn moved(time: &mut Value, by: SignedDuration) {
    let read: Option<Timestamp> = time.as_str().and_then(|time| time.parse().ok());
    if let Some(read) = read.filter(|read| *read > Timestamp::UNIX_EPOCH) {
        *time = (read + by).to_string().into();
    }
}

/// From now on, what was written before now is dated otherwise.
fn set(broken: &Broken, proxy: &Proxy, by: SignedDuration) {
    let before = broken.project.container("web")["Id"].as_str().unwrap().to_owned();
    let after = move |_: &str, mut answer: Value| {
        if answer["Id"] == before.as_str() {
            moved(&mut answer["Created"], by);
            moved(&mut answer["State"]["StartedAt"], by);
        }
        answer
    };
    proxy.says(Box::new(|_| None), Box::new(after));
}

fn rolled_back_after_the_clock_was_set(by: SignedDuration) {
    let (broken, proxy) = (Broken::new(), Proxy::start());
    let config = broken.behind(&proxy).instead("grace = \"1s\"", "grace = \"5s\"");
    let daemon = Daemon::start(&broken.project, &config);
    daemon.wait_armed();
    daemon.wait("its grace is over", |daemon| {
        let triggers = daemon.service("web")["triggers"].clone();
        triggers.as_array()?.iter().all(|trigger| trigger["state"] == "ok").then_some(())
    });
    let revisions = daemon.revisions().len();
    set(&broken, &proxy, by);
    // It looks again whenever the stream was cut; a start that seems to be of
    // this moment each time would keep its triggers in grace.
    for _ in 0..4 {
        let requests = proxy.requests();
        proxy.cut_events();
        daemon.wait("it looked again", |_| (proxy.requests() > requests + 4).then_some(()));
        for trigger in daemon.service("web")["triggers"].as_array().unwrap() {
            assert_ne!(trigger["state"], "grace", "{trigger:#}");
        }
    }
    daemon.wait_armed();
    assert_eq!(daemon.revisions().len(), revisions, "a clock is no deployment");
    broken.project.deploy("v2");
    broken.assert_recovered(&daemon);
}

#[test]
fn a_clock_set_back_by_an_hour_is_no_deployment_and_keeps_no_bad_one_from_being_undone() {
    rolled_back_after_the_clock_was_set(SignedDuration::from_hours(1));
}

#[test]
fn a_clock_set_forward_by_an_hour_is_no_deployment_and_keeps_no_bad_one_from_being_undone() {
    rolled_back_after_the_clock_was_set(SignedDuration::from_hours(-1));
}

//! What happens to the daemon itself in the middle of a rollback: it is told to
//! stop, its configuration is replaced, its mail server is away.

use rustix::process::Signal;

use crate::{
    smtp::{Options, SmtpServer},
    stage::{Broken, wait_log, wait_swapped},
    support::{config::Config, daemon::Daemon, free_port, wait::until},
};

#[test]
fn told_to_stop_in_the_middle_of_a_rollback_it_ends_the_step_and_goes_on_at_the_next_start() {
    let broken = Broken::slow();
    let mut daemon = Daemon::start(&broken.project, &broken.config());
    daemon.wait_armed();
    broken.project.deploy("v2");
    wait_swapped(&broken, &daemon);
    assert_eq!(daemon.stop(), Some(0));
    let runs = broken.project.containers("web");
    let running = runs.iter().filter(|one| one["State"]["Running"] == true).count();
    assert_eq!(running, 1, "it left something running: {runs:#?}");
    daemon.start_again(&[]);
    broken.assert_recovered(&daemon);
}

#[test]
fn a_configuration_replaced_in_the_middle_changes_no_rollback_that_has_begun() {
    let broken = Broken::slow();
    let daemon = Daemon::start(&broken.project, &broken.config());
    daemon.wait_armed();
    broken.project.deploy("v2");
    wait_swapped(&broken, &daemon);
    let whole = broken.config().text();
    broken.project.write("rollbackd.toml", &whole[..whole.len() / 2]);
    daemon.signal(Signal::HUP);
    wait_log(&daemon, "daemon.reload.refused: the old configuration stays");
    let other = broken.config().key("order = \"start-first\"").key("keep = 2").text();
    broken.project.write("rollbackd.toml", &other);
    daemon.signal(Signal::HUP);
    wait_log(&daemon, "daemon.reloaded");
    assert!(daemon.history()[0]["ended_at"].is_null(), "the rollback still runs");
    broken.assert_recovered(&daemon);
}

/// A mail that was taken, by its subject.
fn subjects(server: &SmtpServer, count: usize) -> Vec<String> {
    (0..count).map(|_| server.mail().header("Subject").unwrap()).collect()
}

#[test]
fn what_could_not_be_mailed_while_the_server_was_down_is_mailed_after_a_restart() {
    let (broken, port) = (Broken::new(), free_port());
    let mail = format!(
        "[email]\nserver = \"smtp://127.0.0.1:{port}\"\nfrom = \"rollbackd@test.invalid\"\n\
         to = [\"ops@test.invalid\"]"
    );
    let config: Config = broken.config().table(&mail);
    let mut daemon = Daemon::start(&broken.project, &config);
    daemon.wait_armed();
    broken.project.deploy("v2");
    broken.assert_recovered(&daemon);
    until("the log tells that mail waits", || {
        let log = daemon.log();
        log.lines()
            .any(|line| line.contains("notify.") && line.contains(&port.to_string()))
            .then_some(())
    });
    assert_eq!(daemon.stop(), Some(0));
    // Greylisting: everybody is put off at first.
    let mut server = SmtpServer::start(Options { port: Some(port), ..Options::default() });
    server.refuse(&[("ops@test.invalid", "451 4.7.1 come back later")]);
    daemon.start_again(&[]);
    wait_log(&daemon, "come back later");
    server.refuse(&[]);
    let subjects = subjects(&server, 2);
    assert!(subjects.iter().all(|subject| subject.contains(&broken.project.name)), "{subjects:?}");
    assert_ne!(subjects[0], subjects[1], "one when it began, one at its end");
}

//! The daemon has no file descriptor left. That is nobody's fault but its own,
//! so nobody is judged by it.

use std::{thread, time::Duration};

use rustix::process::{Resource, Rlimit, getrlimit, prlimit};

use crate::{
    odd::{Does, Odd},
    stage::{Broken, wait_log},
    support::{daemon::Daemon, wait::until},
};

/// Sources that hold a connection each for as long as they may.
const MANY: usize = 40;

fn limit(daemon: &Daemon, most: u64) {
    let was = getrlimit(Resource::Nofile);
    let new = Rlimit { current: Some(most), maximum: was.maximum };
    prlimit(Some(daemon.process()), Resource::Nofile, new).unwrap();
}

#[test]
fn without_file_descriptors_nobody_is_blamed_it_is_said_and_afterwards_it_goes_on() {
    let broken = Broken::new();
    let (project, silent, door) =
        (&broken.project, Odd::start(Does::Silence), Odd::start(Does::Well));
    let mut config = broken.config();
    for n in 0..MANY {
        config = config
            .table(&format!(
                "[source.held{n}]\nkind = \"probe\"\nurl = \"{}/{n}\"\ntimeout = \"2s\"",
                silent.url()
            ))
            .trigger(
                project,
                &format!(
                    "name = \"held{n}\"\nsignal = \"availability\"\nsource = \"held{n}\"\n\
                     below = \"1%\"\nfor = \"1h\"\nwindow = \"3s\"\nevery = \"1s\"\naction = \"alert\"\n"
                ),
            );
    }
    config = config
        .table(&format!("[source.door]\nkind = \"probe\"\nurl = \"{}/door\"", door.url()))
        .trigger(
            project,
            "name = \"door\"\nsignal = \"availability\"\nsource = \"door\"\nbelow = \"90%\"\n\
             for = \"4s\"\nwindow = \"2s\"\nevery = \"1s\"\naction = \"rollback\"\n",
        );
    let good = project.image("v3", "");
    let daemon = Daemon::start(project, &config);
    daemon.wait_armed();
    project.deploy("v3");
    daemon.wait_armed();
    limit(&daemon, 64);
    wait_log(&daemon, "file descriptor");
    // Longer than the door's trigger needs.
    thread::sleep(Duration::from_secs(8));
    limit(&daemon, 4096);
    until("it answers again", || (daemon.run(&["--json", "status"]).code == 0).then_some(()));
    daemon.wait_armed();
    let history = daemon.history();
    assert!(history.is_empty(), "nobody was blamed: {history:#?}");
    assert_eq!(project.running_image("web"), good);
    project.deploy("v2");
    // Neither had finished its bake, so both are gone back from.
    broken.assert_recovered(&daemon);
}

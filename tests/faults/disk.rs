//! The disk under `state_dir` is full, or may not be written: nothing is done
//! that could not be written down, people are told from memory, and all goes on
//! by itself when there is room.

use std::{
    fs::{self, File},
    io::Write,
    path::PathBuf,
    process::Command,
};

use crate::{
    stage::{Broken, wait_log, wait_reason, wait_swapped},
    support::{
        daemon::{Daemon, rollbackd},
        mail::MailSink,
        wait::until,
    },
};

/// A small disk; dropped, it is unmounted.
struct Disk(PathBuf);

impl Disk {
    /// Mounted as the state directory of a project's daemon.
    fn mount(broken: &Broken) -> Self {
        let path = broken.project.path("state");
        fs::create_dir(&path).unwrap();
        let disk = Self(path);
        let path = disk.0.to_str().unwrap();
        run("mount", &["-t", "tmpfs", "-o", "size=24m,mode=700", "rbtest", path]);
        disk
    }

    /// Not a byte is left.
    fn fill(&self) {
        let mut file = File::create(self.0.join("fill")).unwrap();
        let mut piece = 1 << 20;
        while piece > 0 {
            if file.write_all(&vec![1; piece]).is_err() {
                piece /= 4;
            }
        }
    }

    fn make_room(&self) {
        fs::remove_file(self.0.join("fill")).unwrap();
    }

    fn read_only(&self) {
        run("mount", &["-o", "remount,ro", self.0.to_str().unwrap()]);
    }

    fn writable(&self) {
        run("mount", &["-o", "remount,rw", self.0.to_str().unwrap()]);
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        run("umount", &["-l", self.0.to_str().unwrap()]);
    }
}

fn run(program: &str, words: &[&str]) {
    let done = Command::new(program).args(words).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{program} {words:?} (this test needs root): {said}");
}

const FULL: [&str; 3] = [
    "state cannot be written: the disk is full",
    "state.db could not be written",
    "free some space",
];

#[test]
fn on_a_full_disk_nothing_is_done_it_is_said_and_mailed_and_with_room_the_bad_version_goes_back() {
    let (broken, mail) = (Broken::new(), MailSink::start().unwrap());
    let disk = Disk::mount(&broken);
    let daemon = Daemon::start(&broken.project, &broken.config().mail(&mail));
    daemon.wait_armed();
    disk.fill();
    broken.project.deploy("v2");
    wait_reason(&daemon, &FULL);
    until("it is mailed from memory", || {
        let all = mail.arrived();
        all.iter().any(|mail| format!("{mail:?}").contains("the disk is full")).then_some(())
    });
    let by_hand = daemon.run(&["rollback", &broken.project.name, "--yes", "--to", "1"]);
    assert_ne!(by_hand.code, 0, "{by_hand:?}");
    assert!(by_hand.err.contains("the disk is full"), "{by_hand:?}");
    assert_eq!(broken.project.running_image("web"), broken.v2, "nothing was done");
    assert!(daemon.history().is_empty(), "{:#?}", daemon.history());
    disk.make_room();
    wait_log(&daemon, "daemon.state.writable");
    broken.assert_recovered(&daemon);
    until("both mails of the rollback came", || (mail.arrived().len() >= 3).then_some(()));
}

#[test]
fn a_disk_that_fills_in_the_middle_of_a_rollback_holds_it_up_and_loses_nothing_of_it() {
    let broken = Broken::slow();
    let disk = Disk::mount(&broken);
    let daemon = Daemon::start(&broken.project, &broken.config());
    daemon.wait_armed();
    broken.project.deploy("v2");
    wait_swapped(&broken, &daemon);
    disk.fill();
    wait_reason(&daemon, &FULL);
    until("something runs", || {
        let all = broken.project.containers("web");
        all.iter().any(|one| one["State"]["Running"] == true).then_some(())
    });
    disk.make_room();
    broken.assert_recovered(&daemon);
    assert_eq!(broken.project.containers("web").len(), 1);
}

#[test]
fn a_state_directory_that_is_read_only_or_full_at_the_start_ends_with_1_and_says_which() {
    let broken = Broken::new();
    let disk = Disk::mount(&broken);
    broken.project.write("rollbackd.toml", &broken.config().text());
    let start = || {
        let words = ["--config", "rollbackd.toml", "run"];
        let ran = rollbackd(broken.project.directory.path(), &words);
        assert_eq!(ran.code, 1, "{ran:?}");
        ran.err
    };
    disk.read_only();
    let said = start();
    assert!(said.contains("Read-only file system") && said.contains("state_dir"), "{said}");
    disk.writable();
    disk.fill();
    let said = start();
    assert!(said.contains("the disk is full") && said.contains("free some space"), "{said}");
    disk.make_room();
    let daemon = Daemon::start(&broken.project, &broken.config());
    daemon.wait_armed();
}

#[test]
fn a_state_file_that_is_damaged_or_of_a_newer_version_ends_with_1_and_is_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let text = "state_dir = \"state\"\n[api]\nsocket = \"rollbackd.sock\"\n[docker]\n\
                host = \"unix:///nowhere/docker.sock\"\n[project.shop]\n";
    fs::write(directory.path().join("rollbackd.toml"), text).unwrap();
    let file = directory.path().join("state/state.db");
    drop(rollbackd::store::open(&directory.path().join("state")).unwrap());
    until("the store has let go of its directory", || {
        rollbackd::store::open(&directory.path().join("state")).is_ok().then_some(())
    });
    let said = |word: &str| {
        let before = fs::read(&file).unwrap();
        let ran = rollbackd(directory.path(), &["--config", "rollbackd.toml", "run"]);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.err.contains(word) && ran.err.contains("move the file aside"), "{ran:?}");
        assert!(fs::read(&file).unwrap() == before, "the file was changed");
    };
    until("the store has let go of its file", || {
        let state = rusqlite::Connection::open(&file).unwrap();
        state.execute_batch("PRAGMA journal_mode = DELETE; PRAGMA user_version = 77").ok()
    });
    said("was written by a newer rollbackd (format 77");
    fs::write(&file, "torn apart ".repeat(500)).unwrap();
    said("is damaged");
}

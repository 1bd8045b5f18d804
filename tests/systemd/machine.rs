//! Promises about the service, on a machine with systemd.

use std::{io::Read, net::TcpListener, time::Duration};

use crate::{
    host::{Machine, OF_NOTHING, project, watching},
    made,
    support::{project::Project, wait::until},
};

#[test]
fn it_is_up_when_systemd_says_so_and_its_sandbox_is_tight() {
    let Some(machine) = Machine::with_rollbackd(OF_NOTHING) else { return };
    // `Type=notify`: active means that it has said so.
    assert_eq!(machine.property("ActiveState"), "active");
    assert_eq!(machine.property("Type"), "notify");
    assert_eq!(machine.property("User"), "rollbackd");
    machine.wait("its own word", |machine| {
        (machine.property("StatusText") == "1 project, 0 of 1 watched services armed").then_some(())
    });
    // 20: an exposure of 2.0. Manual pages are no part of a machine this small.
    machine.ok("systemd-analyze security --no-pager --threshold=20 rollbackd.service");
    let verified = machine.sh("systemd-analyze verify --man=no rollbackd.service");
    assert_eq!((verified.code, verified.out + &verified.err), (0, String::new()));

    assert_eq!(machine.ok("stat -c '%a %U:%G' /var/lib/rollbackd"), "700 rollbackd:rollbackd\n");
    assert_eq!(machine.ok("stat -c '%a %U:%G' /etc/rollbackd"), "750 root:rollbackd\n");
    machine.ok("systemctl stop rollbackd");
    assert_eq!(machine.property("Result"), "success");
    assert_eq!(machine.sh("ls /run/rollbackd").code, 2, "nothing is left in /run");
}

#[test]
fn who_is_in_its_group_may_ask_it_and_nobody_else() {
    let Some(machine) = Machine::with_rollbackd(OF_NOTHING) else { return };
    assert_eq!(
        machine.ok("stat -c '%a %U:%G' /run/rollbackd/rollbackd.sock"),
        "660 rollbackd:rollbackd\n"
    );
    machine.ok("useradd -G rollbackd member && useradd stranger");
    machine.ok("runuser -u member -- rollbackd status");
    let refused = machine.sh("runuser -u stranger -- rollbackd status");
    assert_eq!(refused.code, 3, "{refused:?}");
}

#[test]
fn a_secret_for_root_alone_reaches_it_as_a_credential() {
    let Some(machine) = Machine::with_rollbackd(OF_NOTHING) else { return };
    let gateway = machine.gateway();
    let listener = TcpListener::bind((gateway.as_str(), 0)).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    machine.write("/etc/rollbackd/token", "only-root-knows\n");
    machine.ok("chmod 600 /etc/rollbackd/token");
    machine.write(
        "/etc/rollbackd/rollbackd.toml",
        &format!(
            "[source.door]\nkind = \"probe\"\nurl = \"{url}\"\n\
             bearer_token_file = \"/etc/rollbackd/token\"\n[project.nothing]\n\
             [[project.nothing.trigger]]\nservice = \"web\"\nsignal = \"availability\"\n\
             source = \"door\"\nbelow = \"99%\"\nfor = \"10s\"\nevery = \"1s\"\n"
        ),
    );
    machine.drop_in("[Service]\nLoadCredential=token:/etc/rollbackd/token\n");
    machine.ok("systemctl restart rollbackd");
    let asked = first_request(&listener);
    assert!(asked.to_lowercase().contains("authorization: bearer only-root-knows"), "{asked}");
}

/// The head of the first request that comes.
fn first_request(listener: &TcpListener) -> String {
    listener.set_nonblocking(true).unwrap();
    let (mut asking, _) = until("it is asked", || listener.accept().ok());
    asking.set_nonblocking(false).unwrap();
    asking.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut head = String::new();
    let mut part = [0; 1024];
    while !head.contains("\r\n\r\n") {
        let read = asking.read(&mut part).unwrap();
        assert_ne!(read, 0, "it broke off: {head}");
        head += &String::from_utf8_lossy(&part[..read]);
    }
    head
}

#[test]
fn a_good_reload_is_taken_and_a_broken_one_is_refused_and_the_old_stays() {
    let Some(machine) = Machine::with_rollbackd(OF_NOTHING) else { return };
    let file = "/etc/rollbackd/rollbackd.toml";
    let main = machine.property("MainPID");
    machine.write(file, &OF_NOTHING.replace("nothing", "something"));
    machine.ok("systemctl reload rollbackd");
    let of = |name: &str| {
        let name = name.to_owned();
        move |machine: &Machine| {
            (machine.ask("status")?["projects"][0]["name"] == name.as_str()).then_some(())
        }
    };
    machine.wait("the new configuration holds", of("something"));

    machine.write(file, "[project.nothing");
    let refused = machine.sh("systemctl reload rollbackd");
    assert_ne!(refused.code, 0, "the person who asked is told");
    // And where it is not asked for by systemctl: the daemon itself says so.
    machine.ok("systemctl kill --signal=HUP --kill-who=main rollbackd");
    machine.wait("systemd is told as well", |machine| {
        machine.property("StatusText").contains("the configuration file is broken").then_some(())
    });
    let errors = machine.ok("journalctl -u rollbackd -p err -o cat _COMM=rollbackd");
    assert!(errors.contains("daemon.reload.refused"), "{errors}");
    assert!(!errors.contains("daemon.started"), "{errors}");
    assert!(of("something")(&machine).is_some(), "the old one stays");
    assert_eq!(machine.property("ActiveState"), "active");

    machine.write(file, OF_NOTHING);
    machine.ok("systemctl reload rollbackd");
    machine.wait("repaired", of("nothing"));
    machine.wait("and said so", |machine| {
        (!machine.property("StatusText").contains("broken")).then_some(())
    });
    assert_eq!(machine.property("MainPID"), main, "one process all the time");
}

#[test]
fn a_loop_that_hangs_is_restarted_by_its_watchdog() {
    let Some(machine) = Machine::with_rollbackd(OF_NOTHING) else { return };
    machine.drop_in(
        "[Service]\nWatchdogSec=3s\nRestartSec=100ms\n\
         Environment=ROLLBACKD_HANG_ON=/run/rollbackd/hang\n",
    );
    machine.ok("systemctl restart rollbackd");
    let main = machine.property("MainPID");
    // Not hung it lives on: three times what the watchdog waits.
    let fed =
        |machine: &Machine| machine.property("WatchdogTimestampMonotonic").parse::<u64>().ok();
    let (began, enough) = (fed(&machine).unwrap(), Duration::from_secs(9));
    machine.wait("the loop feeds it", |machine| {
        (u128::from(fed(machine)? - began) > enough.as_micros()).then_some(())
    });
    assert_eq!((machine.property("MainPID"), machine.property("NRestarts")), (main, "0".into()));

    machine.ok("touch /run/rollbackd/hang");
    machine.wait("it is restarted", |machine| (machine.property("NRestarts") == "1").then_some(()));
    machine.wait("and answers", |machine| machine.ask("status"));
    let journal = machine.journal();
    assert!(journal.contains("daemon.hangs"), "{journal}");
    assert!(journal.contains("Watchdog timeout (limit 3s)!"), "{journal}");
}

#[test]
fn stopped_in_the_middle_of_a_rollback_it_goes_on_after_its_start() {
    let (project, good) = project();
    let Some(machine) = Machine::with_rollbackd(&watching(&project)) else { return };
    machine.wait_armed();
    project.deploy("v2");
    machine.wait("it acts", |machine| machine.history().pop());
    machine.ok("systemctl stop rollbackd");
    assert_eq!(machine.property("Result"), "success", "within its time, and in good order");
    machine.ok("systemctl start rollbackd");
    went_on(&machine, &project, &good);
}

/// The rollback ended well, once, and after the last start.
fn went_on(machine: &Machine, project: &Project, good: &str) {
    let rollback = machine.wait_ended();
    assert_eq!(rollback["outcome"], "recovered", "{rollback:#}");
    assert_eq!(project.running_image("web"), good);
    let journal = machine.journal();
    let (_, after) = journal.rsplit_once("daemon.started").expect("it was started");
    assert!(after.contains("rollback.ended"), "it ended before the stop:\n{journal}");
}

#[test]
fn after_a_reboot_it_waits_for_the_engine_and_then_does_its_work() {
    let (project, good) = project();
    let Some(machine) = Machine::with_rollbackd(&watching(&project)) else { return };
    machine.wait_armed();
    machine.reboot();
    assert_eq!(machine.property("ActiveState"), "active", "up before the engine is");
    machine.wait("it says what is missing", |machine| {
        machine.property("StatusText").contains("the engine does not answer").then_some(())
    });
    let service = machine.ask("status").unwrap()["projects"][0]["services"][0].clone();
    assert_eq!(service["armed"], false, "{service:#}");

    machine.connect_engine();
    machine.wait_armed();
    let revisions = machine.ask("revisions").unwrap();
    assert_eq!(revisions.as_array().unwrap().len(), 1, "nothing was deployed: {revisions:#}");
    project.deploy("v2");
    assert_eq!(machine.wait_ended()["outcome"], "recovered");
    assert_eq!(project.running_image("web"), good);
}

#[test]
fn an_upgrade_in_the_middle_of_a_rollback_goes_on_with_it() {
    let (project, good) = project();
    let Some(machine) = Machine::with_rollbackd(&watching(&project)) else { return };
    machine.wait_armed();
    let main = machine.property("MainPID");
    project.deploy("v2");
    machine.wait("it acts", |machine| machine.history().pop());
    machine.install(&made::debian_packages()[1]);
    assert_ne!(machine.property("MainPID"), main, "the new program runs");
    assert_eq!(
        machine.ok("dpkg-query -W -f '${Version}' rollbackd"),
        concat!(env!("CARGO_PKG_VERSION"), "-2")
    );
    went_on(&machine, &project, &good);
}

#[test]
fn a_fresh_install_waits_for_its_configuration_and_a_purge_leaves_nothing() {
    let Some(machine) = Machine::boot() else { return };
    machine.connect_engine();
    let told = machine.install(&made::debian_packages()[0]);
    assert!(told.err.contains("it starts when /etc/rollbackd/rollbackd.toml is there"), "{told:?}");
    assert_eq!(machine.property("ActiveState"), "inactive");
    assert_eq!(machine.property("UnitFileState"), "enabled");
    assert_eq!(machine.ok("systemctl --failed --no-legend"), "");
    machine.ok("test -e /usr/share/man/man1/rollbackd-status.1.gz");
    machine.ok("bash -n /usr/share/bash-completion/completions/rollbackd");
    let example = "/usr/share/doc/rollbackd/examples/rollbackd.toml";
    machine.ok(&format!("rollbackd --config {example} check"));

    machine.write("/etc/rollbackd/rollbackd.toml", OF_NOTHING);
    machine.ok("systemctl start rollbackd");
    machine.ok("rollbackd status");

    machine.ok("dpkg --remove rollbackd");
    assert_eq!(machine.sh("rollbackd status").code, 127, "the program is gone");
    assert_eq!(machine.property("ActiveState"), "inactive");
    machine.ok("test ! -e /usr/bin/rollbackd && test -e /var/lib/rollbackd/state.db");
    machine.ok("rm /etc/rollbackd/rollbackd.toml");
    machine.ok("dpkg --purge rollbackd");
    let left = machine.ok(
        "find / -xdev -not -path '/proc/*' -not -path '/sys/*' -not -path '/var/lib/dpkg/*' \
         -not -path '/var/log/*' -iname '*rollbackd*'; getent passwd rollbackd; \
         getent group rollbackd; true",
    );
    assert_eq!(left, "");
}

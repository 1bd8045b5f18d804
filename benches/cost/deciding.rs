//! From the death of a container's process to the decision, on the real engine.
//!
//! The process is killed from outside and not by `docker kill`: what somebody
//! asks the engine to end has not failed.

use std::{thread, time::Duration};

use jiff::Timestamp;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{
    support::{config::Config, daemon::Daemon, docker::docker, project::Project},
    used,
};

const TIMES: usize = 20;

/// How long after the kill, in milliseconds.
struct Took {
    /// The engine dates the death.
    told: f64,
    /// The rollback was decided.
    decided: f64,
    /// It was committed, and its first step began.
    acts: f64,
    /// Of that ours: from the engine's event to the decision.
    ours: f64,
}

/// As often as that, and the median and the worst.
pub(crate) fn measure() {
    println!("deciding: ms from the kill of the process (failures = 1)");
    println!("        the engine's event   decided   first step   decided after the event");
    let project = Project::new();
    project.image("v1", "");
    project.deploy("v1");
    project.wait_for("v1");
    let health = "signal = \"health\"\nfailures = 1\nfor = \"20s\"\nevery = \"1s\"\n";
    let config = Config::new(&project)
        .instead("recover_within = \"30s\"", "recover_within = \"20s\"")
        .trigger(&project, health);
    let daemon = Daemon::start(&project, &config);
    daemon.wait_armed();
    let mut all = Vec::new();
    for round in 1..=TIMES {
        let took = round_of(&project, &daemon, round);
        println!("{round:>6}  {}", line(&took));
        all.push(took);
    }
    println!("median  {}", line(&of(&all, |values| values[values.len() / 2])));
    println!("worst   {}", line(&of(&all, |values| values[values.len() - 1])));
    println!("load    {} (target: decided within 50 ms)", used::load());
}

/// A new image is deployed, and its process killed.
fn round_of(project: &Project, daemon: &Daemon, round: usize) -> Took {
    let version = format!("v{}", round + 1);
    project.image(&version, "");
    project.deploy(&version);
    daemon.wait("the deployment has its revision", |daemon| {
        let (is, service) = (daemon.project(), daemon.service("web"));
        let here = is["revision"].as_u64() == u64::try_from(round + 1).ok();
        (here && service["armed"] == true && is["rollback"].is_null()).then_some(())
    });
    let container = project.container("web");
    let pid = container["State"]["Pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
    let pid = pid.and_then(Pid::from_raw).expect("it runs");
    let killed = Timestamp::now();
    kill_process(pid, Signal::KILL).unwrap();
    let rollback = daemon.wait_ended(round);
    let died = died(container["Id"].as_str().unwrap(), killed);
    let after = |at: Timestamp| at.duration_since(killed).as_secs_f64() * 1e3;
    let (told, decided) = (after(died), after(time(&rollback["began_at"])));
    let acts = after(time(&rollback["steps"][0]["began_at"]));
    Took { told, decided, acts, ours: decided - told }
}

fn time(value: &Value) -> Timestamp {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no time: {value}"))
}

/// When the engine says that it died.
fn died(id: &str, since: Timestamp) -> Timestamp {
    loop {
        let (since, until) = (since.to_string(), Timestamp::now().to_string());
        let (container, format) = (format!("container={id}"), "{{.TimeNano}}");
        let words = ["events", "--since", &since, "--until", &until, "--filter", "event=die"];
        let told = docker(&[&words[..], &["--filter", &container, "--format", format]].concat());
        if let Some(nanos) = told.unwrap().lines().next() {
            return Timestamp::from_nanosecond(nanos.trim().parse().unwrap()).unwrap();
        }
        thread::sleep(Duration::from_millis(100));
    }
}

fn line(took: &Took) -> String {
    let Took { told, decided, acts, ours } = took;
    format!("{told:>18.1} {decided:>9.1} {acts:>12.1} {ours:>25.1}")
}

fn of(all: &[Took], pick: fn(&[f64]) -> f64) -> Took {
    let one = |value: fn(&Took) -> f64| {
        let mut values: Vec<f64> = all.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        pick(&values)
    };
    Took {
        told: one(|t| t.told),
        decided: one(|t| t.decided),
        acts: one(|t| t.acts),
        ours: one(|t| t.ours),
    }
}

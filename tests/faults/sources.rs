//! Every kind of source in every odd state at once, beside one that is well.

use serde_json::Value;

use crate::{
    odd::{Does, Odd},
    stage::Broken,
    support::{config::Config, daemon::Daemon, free_port},
};

const STATES: [(&str, Does); 4] = [
    ("slow", Does::Silence),
    ("lies", Does::Lies),
    ("drips", Does::Drips),
    ("endless", Does::Endless),
];

/// A source of a kind, and a trigger on it that only tells.
fn source(config: Config, project: &str, kind: &str, state: &str, port: u16) -> Config {
    let name = format!("{kind}-{state}");
    let base = format!("http://127.0.0.1:{port}");
    let (more, ask) = match kind {
        "prometheus" => (
            format!("url = \"{base}\""),
            "signal = \"queue\"\nquery = \"queue\"\nabove = 5\nfor = \"6s\"",
        ),
        "scrape" => (
            format!("url = \"{base}/metrics\""),
            "signal = \"error_rate\"\nabove = \"5%\"\nfor = \"6s\"\nwindow = \"3s\"\nmin_requests = 1",
        ),
        _ => (
            format!("url = \"{base}/\"\nbody_contains = \"ok\""),
            "signal = \"availability\"\nbelow = \"99%\"\nfor = \"6s\"\nwindow = \"3s\"",
        ),
    };
    config.table(&format!("[source.{name}]\nkind = \"{kind}\"\n{more}\ntimeout = \"1s\"")).after(
        &format!(
            "[[project.{project}.trigger]]\nname = \"{name}\"\nservice = \"side\"\n\
             source = \"{name}\"\n{ask}\nevery = \"1s\"\naction = \"alert\"\n"
        ),
    )
}

/// A trigger of `side`, by its name.
fn trigger(daemon: &Daemon, name: &str) -> Option<Value> {
    let triggers = daemon.service("side")["triggers"].clone();
    triggers.as_array()?.iter().find(|trigger| trigger["name"] == name).cloned()
}

fn wait_blind(daemon: &Daemon, name: &str, word: &str) {
    let told = daemon.wait(&format!("{name}: {word}"), |daemon| {
        let trigger = trigger(daemon, name)?;
        let blind = trigger["state"] == "blind" && trigger["value"].is_null();
        (blind && trigger["reason"].as_str()?.contains(word)).then_some(trigger)
    });
    eprintln!("{name}: {}", told["reason"]);
}

fn wait_value(daemon: &Daemon, name: &str, value: f64) {
    daemon.wait(&format!("{name}: {value}"), |daemon| {
        (trigger(daemon, name)?["value"].as_f64()? == value).then_some(())
    });
}

#[test]
fn sources_that_are_down_slow_lying_dripping_or_endless_are_named_and_keep_nobody_else_from_deciding()
 {
    let broken = Broken::with_a_side();
    let name = broken.project.name.clone();
    let mut config = broken.config();
    let (mut servers, mut down) = (Vec::new(), Vec::new());
    for kind in ["prometheus", "scrape", "probe"] {
        let port = free_port();
        config = source(config, &name, kind, "down", port);
        down.push(port);
        for (state, does) in STATES {
            let server = Odd::start(does);
            config = source(config, &name, kind, state, server.port);
            servers.push(server);
        }
    }
    let daemon = Daemon::start(&broken.project, &config);

    for kind in ["prometheus", "scrape"] {
        let refused = "refuses the connection: is it running, and is the port right?";
        wait_blind(&daemon, &format!("{kind}-down"), refused);
        for state in ["slow", "drips"] {
            let late = "did not answer completely within 1s";
            wait_blind(&daemon, &format!("{kind}-{state}"), late);
        }
    }
    wait_blind(&daemon, "prometheus-lies", "does not answer as a Prometheus server does");
    wait_blind(&daemon, "scrape-lies", "the page is no metrics page");
    wait_blind(&daemon, "prometheus-endless", "more than 1 MiB, which is not read further");
    wait_blind(&daemon, "scrape-endless", "more than 8 MiB, which is not read further");
    for state in ["down", "slow", "lies", "drips"] {
        wait_value(&daemon, &format!("probe-{state}"), 0.0);
    }

    // Beside all that, the one that is well decides.
    daemon.wait("web is armed", |daemon| (daemon.service("web")["armed"] == true).then_some(()));
    broken.project.deploy("v2");
    let rollback = daemon.wait_ended(1);
    assert_eq!(rollback["outcome"], "recovered", "{rollback:#}");
    assert_eq!(broken.project.running_image("web"), broken.v1);
    let rss = daemon.resident_mib();
    eprintln!("with fifteen odd sources: {rss} MiB resident");
    assert!(rss < 200, "{rss} MiB");

    for server in &servers {
        server.now(Does::Well);
    }
    let servers: Vec<Odd> =
        servers.into_iter().chain(down.iter().map(|port| Odd::at(*port, Does::Well))).collect();
    for state in ["down", "slow", "lies", "drips", "endless"] {
        wait_value(&daemon, &format!("prometheus-{state}"), 1.0);
        wait_value(&daemon, &format!("scrape-{state}"), 0.0);
        wait_value(&daemon, &format!("probe-{state}"), 1.0);
    }
    drop(servers);
}

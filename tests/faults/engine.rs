//! The engine is away, hangs, answers late, cuts its events, or has more than
//! anybody wants to hear about.

use std::{thread, time::Duration};

use serde_json::{Value, json};

use crate::{
    proxy::{Mood, Proxy},
    stage::{Broken, wait_reason, wait_swapped},
    support::daemon::Daemon,
};

#[test]
fn an_engine_that_stops_in_the_middle_of_a_rollback_is_waited_for_and_the_rollback_ends() {
    let (broken, proxy) = (Broken::slow(), Proxy::start());
    let daemon = Daemon::start(&broken.project, &broken.behind(&proxy));
    daemon.wait_armed();
    broken.project.deploy("v2");
    wait_swapped(&broken, &daemon);
    proxy.stop();
    wait_reason(&daemon, &["engine", "its socket does not exist; is Docker running?"]);
    assert_eq!(daemon.run(&["status", "--check"]).code, 4);
    proxy.start_again();
    broken.assert_recovered(&daemon);
}

#[test]
fn an_engine_that_hangs_is_told_with_the_limit_and_armed_again_when_it_answers() {
    let (broken, proxy) = (Broken::new(), Proxy::start());
    let daemon = Daemon::start(&broken.project, &broken.behind(&proxy));
    daemon.wait_armed();
    proxy.mood(Mood::Hangs);
    wait_reason(&daemon, &["engine", "did not finish docker.version within 10s"]);
    proxy.mood(Mood::Good);
    daemon.wait_armed();
    broken.project.deploy("v2");
    broken.assert_recovered(&daemon);
}

#[test]
fn a_rollback_is_carried_out_on_an_engine_that_answers_late_and_cuts_its_events() {
    let (broken, proxy) = (Broken::new(), Proxy::start());
    // Longer than Compose takes between two changes on a busy machine.
    let config = broken.behind(&proxy).instead("settle = \"1s\"", "settle = \"6s\"");
    let daemon = Daemon::start(&broken.project, &config);
    daemon.wait_armed();
    proxy.mood(Mood::Late(Duration::from_millis(150)));
    let cut = thread::scope(|scope| {
        let (over, goes_on) = std::sync::mpsc::channel::<()>();
        let cutting = scope.spawn(move || {
            let mut cut = 0;
            while goes_on
                .recv_timeout(Duration::from_millis(700))
                .is_err_and(|why| why == std::sync::mpsc::RecvTimeoutError::Timeout)
            {
                cut += proxy.cut_events();
            }
            (cut, proxy)
        });
        broken.project.deploy("v2");
        broken.assert_recovered(&daemon);
        drop(over);
        cutting.join().unwrap()
    });
    assert!(cut.0 >= 3, "the stream was cut {} times", cut.0);
    assert!(daemon.log().contains("it ended the stream of events"), "the log says so");
    let revisions = daemon.revisions();
    assert_eq!(revisions.len(), 2, "each deployment once: {revisions:#?}");
}

/// How many containers the engine has besides.
const CROWD: usize = 500;
/// How many of them are a service of the project.
const OURS: usize = 40;

/// The ID of one of the crowd.
fn id(n: usize) -> String {
    format!("{n:0>60}feed")
}

/// A container like `web`'s, but one of the crowd.
fn one_of_them(like: &Value, n: usize) -> Value {
    let mut one = like.clone();
    let project = like["Config"]["Labels"]["com.docker.compose.project"].as_str().unwrap();
    let project = project.to_owned();
    one["Id"] = id(n).into();
    one["Name"] = format!("/{project}-crowd-{n}").into();
    one["HostConfig"]["PortBindings"] = json!({});
    let whose = if n < OURS { project.as_str() } else { "strangers" };
    one["Config"]["Labels"]["com.docker.compose.project"] = whose.into();
    one["Config"]["Labels"]["com.docker.compose.service"] = "crowd".into();
    one["Config"]["Labels"]["com.docker.compose.container-number"] = n.to_string().into();
    one
}

/// What the engine tells when all of them start.
fn events(like: &Value) -> Vec<Value> {
    let labels = &like["Config"]["Labels"];
    let event = |id: String, action: &str, project: &Value, n: usize| {
        json!({ "Type": "container", "Action": action, "Actor": { "ID": id, "Attributes": {
            "name": format!("crowd-{n}"), "com.docker.compose.project": project,
            "com.docker.compose.service": "crowd", "com.docker.compose.container-number": "1",
        } } })
    };
    let mut all = Vec::new();
    let project = &labels["com.docker.compose.project"];
    for n in 0..CROWD {
        for action in ["create", "start", "health_status: healthy"] {
            let whose = if n < OURS { project } else { &json!("strangers") };
            all.push(event(id(n), action, whose, n));
        }
    }
    all
}

#[test]
fn five_hundred_containers_that_start_at_once_hide_no_bad_deployment() {
    let (broken, proxy) = (Broken::new(), Proxy::start());
    let daemon = Daemon::start(&broken.project, &broken.behind(&proxy));
    daemon.wait_armed();
    let like = broken.project.container("web");
    let listed = |n: usize| {
        let one = one_of_them(&like, n);
        json!({ "Id": one["Id"], "Names": [one["Name"]], "Image": one["Config"]["Image"],
            "ImageID": one["Image"], "Labels": one["Config"]["Labels"], "State": "running",
            "Status": "Up 1 second", "Created": 1_700_000_000, "Ports": [], "Mounts": [] })
    };
    let crowd: Vec<Value> = (0..CROWD).map(listed).collect();
    let (template, project) = (like.clone(), broken.project.name.clone());
    let instead = move |path: &str| {
        let id = path.split('/').find(|part| part.ends_with("feed") && part.len() == 64)?;
        let n = id.trim_end_matches("feed").trim_start_matches('0').parse().unwrap_or(0);
        path.ends_with("/json").then(|| one_of_them(&template, n))
    };
    let after = move |path: &str, mut answer: Value| {
        if path.contains("/containers/json")
            && (path.contains(&project) || !path.contains("filters"))
            && let Some(list) = answer.as_array_mut()
        {
            // Whoever asks for a project gets ours alone.
            let seen = if path.contains("filters") { OURS } else { CROWD };
            list.extend(crowd[..seen].iter().cloned());
        }
        answer
    };
    proxy.says(Box::new(instead), Box::new(after));
    let events = events(&like);
    proxy.tell(&events);
    daemon.wait("the crowd is seen", |daemon| {
        daemon.project()["services"].as_array()?.iter().find(|s| s["name"] == "crowd").map(drop)
    });
    broken.project.deploy("v2");
    proxy.tell(&events);
    broken.assert_recovered(&daemon);
    let rss = daemon.resident_mib();
    eprintln!("with {CROWD} containers: {rss} MiB resident");
    assert!(rss < 200, "{rss} MiB");
}

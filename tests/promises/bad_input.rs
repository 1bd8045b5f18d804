//! What is wrong is said in one line that tells what to do, with the contract's
//! exit code.

use std::{fs, os::unix::net::UnixListener};

use tempfile::TempDir;

use crate::support::{
    daemon::{Ran, rollbackd},
    free_port,
    prometheus::Prometheus,
    wait::until,
};

const HEAD: &str = "state_dir = \"state\"\n[api]\nsocket = \"rollbackd.sock\"\n";
/// A file that is right, on an engine that is not there.
const NO_ENGINE: &str = "state_dir = \"state\"\n[api]\nsocket = \"rollbackd.sock\"\n\
    [docker]\nhost = \"unix:///nowhere/docker.sock\"\n[project.shop]\n\
    [[project.shop.trigger]]\nservice = \"web\"\nsignal = \"health\"\n";

fn directory(config: &str) -> TempDir {
    let directory = TempDir::with_prefix("rbtest-").unwrap();
    fs::write(directory.path().join("rollbackd.toml"), config).unwrap();
    directory
}

fn run(directory: &TempDir) -> Ran {
    rollbackd(directory.path(), &["--config", "rollbackd.toml", "run"])
}

/// One line for a person, and neither a panic nor a backtrace.
fn assert_plain(ran: &Ran, words: &[&str]) {
    for word in words {
        assert!(ran.err.contains(word), "`{word}` is not in {ran:?}");
    }
    assert!(!ran.err.contains("panicked") && !ran.err.contains("backtrace"), "{ran:?}");
}

#[test]
fn a_broken_configuration_ends_with_78_and_tells_the_place() {
    let broken = directory(&format!("{HEAD}[project.shop]\nbaek = \"30m\"\n"));
    let ran = run(&broken);
    assert_eq!(ran.code, 78, "{ran:?}");
    assert_plain(&ran, &["rollbackd.toml", "baek", "bake"]);

    let ran = rollbackd(broken.path(), &["--config", "rollbackd.toml", "--json", "check"]);
    assert_eq!(ran.code, 78, "{ran:?}");
    let json = ran.json();
    let mut problems = json["problems"].as_array().unwrap().iter();
    let error = problems.find(|problem| problem["severity"] == "error").unwrap();
    assert_eq!(error["line"], 5, "{error:#}");
}

#[test]
fn a_file_that_is_not_there_ends_with_78() {
    let empty = TempDir::with_prefix("rbtest-").unwrap();
    let ran = run(&empty);
    assert_eq!(ran.code, 78, "{ran:?}");
    assert_plain(&ran, &["rollbackd.toml"]);
}

#[test]
fn a_configuration_that_is_a_pipe_or_a_directory_ends_with_78_and_nobody_waits() {
    let there = directory(HEAD);
    let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
    rustix::fs::mknodat(rustix::fs::CWD, there.path().join("pipe"), kind, mode, 0).unwrap();
    for (file, word) in [("pipe", "pipe"), (".", "directory")] {
        for command in ["run", "check", "status", "revisions", "history", "test-notify"] {
            let ran = rollbackd(there.path(), &["--config", file, command]);
            assert_eq!(ran.code, 78, "{command}: {ran:?}");
            assert_plain(&ran, &[file, ":1:1", word]);
        }
    }
}

#[test]
fn a_mistyped_configuration_is_told_and_no_other_daemon_is_asked() {
    let there = directory(NO_ENGINE);
    for command in
        [&["status"][..], &["status", "--check"], &["history", "1"], &["rollback", "shop", "--yes"]]
    {
        let ran = rollbackd(there.path(), &[&["--config", "rolbackd.toml"], command].concat());
        assert_eq!(ran.code, 78, "{ran:?}");
        assert_plain(&ran, &["rolbackd.toml:1:1", "no such file", "--socket"]);
        assert_eq!(ran.err.trim().lines().count(), 1, "{ran:?}");
    }
    let ran = rollbackd(there.path(), &["--config", "rolbackd.toml", "--json", "status"]);
    let error = &ran.json()["error"];
    assert_eq!(
        (ran.code, &error["code"], &error["line"]),
        (78, &"configuration".into(), &1.into())
    );

    // The socket was named: the configuration does not matter.
    let words = ["--config", "rolbackd.toml", "--socket", "other.sock", "status"];
    let ran = rollbackd(there.path(), &words);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert_plain(&ran, &["other.sock"]);
}

#[test]
fn a_file_that_is_being_edited_still_tells_whom_to_ask() {
    let there = directory(&format!("{HEAD}[project.shop\nbake = "));
    let ran = rollbackd(there.path(), &["--config", "rollbackd.toml", "status"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert_plain(&ran, &["rollbackd.sock"]);
}

#[test]
fn a_state_directory_that_cannot_be_written_ends_with_1() {
    // Below a file nobody can make a directory, not even root.
    let config = NO_ENGINE.replace("\"state\"", "\"rollbackd.toml/state\"");
    let ran = run(&directory(&config));
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_plain(&ran, &["rollbackd.toml/state"]);
}

#[test]
fn anothers_socket_ends_with_1_and_is_left_alone() {
    let there = directory(NO_ENGINE);
    let socket = there.path().join("rollbackd.sock");
    let other = UnixListener::bind(&socket).unwrap();
    let ran = run(&there);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_plain(&ran, &["rollbackd.sock"]);
    assert!(socket.exists(), "the other's socket is still there");
    drop(other);
}

#[test]
fn without_a_daemon_commands_end_with_3() {
    let there = directory(NO_ENGINE);
    let ran = rollbackd(there.path(), &["--config", "rollbackd.toml", "status"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert_plain(&ran, &["rollbackd.sock"]);
    assert_eq!(ran.err.trim().lines().count(), 1, "{ran:?}");

    let ran = rollbackd(there.path(), &["--config", "rollbackd.toml", "--json", "status"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.json()["error"]["message"].is_string(), "{ran:?}");
}

#[test]
fn wrong_usage_ends_with_2() {
    let there = directory(NO_ENGINE);
    for arguments in [&["fly"][..], &["rollback"], &["--colour", "status"]] {
        assert_eq!(rollbackd(there.path(), arguments).code, 2, "{arguments:?}");
    }
}

/// A file whose only trigger asks this of a Prometheus server.
fn asking(prometheus: &Prometheus, signal: &str, query: &str) -> String {
    let url = &prometheus.url;
    format!(
        "[docker]\nhost = \"unix:///nowhere/docker.sock\"\n[source.prom]\nkind = \"prometheus\"\n\
         url = \"{url}\"\n[project.shop]\nhealth = false\n[[project.shop.trigger]]\n\
         service = \"web\"\nsignal = \"{signal}\"\nsource = \"prom\"\nquery = {query}\n\
         above = \"5%\"\nfor = \"1m\"\naction = \"alert\"\n"
    )
}

fn check_live(config: &str, more: &[&str]) -> Ran {
    let there = directory(config);
    let words = [&["--config", "rollbackd.toml"], more, &["check", "--live"]].concat();
    let ran = rollbackd(there.path(), &words);
    assert_eq!(ran.code, 1, "{ran:?}");
    ran
}

/// The last error that was drawn, without what differs from run to run.
fn drawn(ran: &Ran, prometheus: &Prometheus) -> String {
    let host = prometheus.url.trim_start_matches("http://");
    let errors = ran.err.split("\n\n").filter(|part| part.starts_with("error: "));
    let last = errors.last().unwrap_or_else(|| panic!("nothing was drawn: {ran:?}"));
    let plain = |line: &str| match line.split_once("--> ") {
        Some((arrow, path)) => format!("{arrow}--> {}", path.rsplit('/').next().unwrap()),
        None => line.replace(host, "HOST"),
    };
    last.lines().map(plain).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_query_that_the_server_refuses_is_drawn_at_its_place_with_the_servers_words() {
    let scraped = free_port();
    let prometheus = Prometheus::start(scraped);
    let several_lines = "'''\n  sum(rate(x{a=\"ü\"}[1m]))\n    /\n  smu(rate(x[1m]))\n'''";
    let ran = check_live(&asking(&prometheus, "error_rate", several_lines), &[]);
    insta::assert_snapshot!(drawn(&ran, &prometheus), @r##"
    error: HOST does not understand the query: 3:3: parse error: unknown function with name "smu"
      --> rollbackd.toml:15:3
       |
    15 |   smu(rate(x[1m]))
       |   ^
       |
       = help: try it in the page of the server itself, at HOST
    "##);
    assert!(ran.out.contains("failed  prom: "), "{ran:?}");

    // In one line, with escapes before the place.
    let escaped = r#""sum(rate(x{a=\"\u00fc\"}[1m])) foo""#;
    let config = asking(&prometheus, "queue", escaped);
    let json = check_live(&config, &["--json"]).json();
    let problems = json["problems"].as_array().unwrap();
    let error = problems.iter().find(|problem| problem["severity"] == "error").unwrap();
    let line = config.lines().position(|line| line.starts_with("query")).unwrap();
    let column = config.lines().nth(line).unwrap().find("foo").unwrap();
    assert_eq!((&error["line"], &error["column"]), (&(line + 1).into(), &(column + 1).into()));
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("1:26: parse error: unexpected identifier \"foo\""), "{message}");

    // Where the server names no place, the whole query is meant.
    let many = "'{__name__=~\"up|scrape_samples_scraped\"}'";
    let ran = until("the server has scraped", || {
        let ran = check_live(&asking(&prometheus, "error_rate", many), &[]);
        ran.err.contains("2 series and not one").then_some(ran)
    });
    let drawn = drawn(&ran, &prometheus).replace(&scraped.to_string(), "PORT");
    insta::assert_snapshot!(drawn, @r##"
    error: the query's result is 2 series and not one: scrape_samples_scraped{instance="127.0.0.1:PORT", job="shop"}, up{instance="127.0.0.1:PORT", job="shop"}
      --> rollbackd.toml:12:9
       |
    12 | query = '{__name__=~"up|scrape_samples_scraped"}'
       |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: aggregate both sides of the ratio: `sum(...) / sum(...)`
    "##);
}

mod with_a_daemon {
    use super::*;
    use crate::support::{config::Config, daemon::Daemon, project::Project};

    fn without_an_engine(project: &Project) -> Config {
        Config::new(project)
            .table("[docker]\nhost = \"unix:///nowhere/docker.sock\"")
            .health(project)
    }

    #[test]
    fn an_engine_that_is_not_there_is_waited_for_and_told() {
        let project = Project::new();
        let daemon = Daemon::start(&project, &without_an_engine(&project));
        let service = daemon.service("web");
        assert_eq!(service["armed"], false);
        daemon.wait("the reason", |daemon| {
            let reasons = daemon.service("web")["reasons"].to_string();
            reasons.contains("engine").then_some(())
        });
        assert_eq!(daemon.run(&["status", "--check"]).code, 4);
    }

    #[test]
    fn a_second_daemon_on_the_same_state_ends_with_1() {
        let project = Project::new();
        let daemon = Daemon::start(&project, &without_an_engine(&project));
        // Its socket is another, so that it is the state that it stumbles over.
        let second = without_an_engine(&project).text().replace("rollbackd.sock", "second.sock");
        project.write("second.toml", &second);
        let ran = rollbackd(project.directory.path(), &["--config", "second.toml", "run"]);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert_plain(&ran, &["state"]);
        assert_eq!(daemon.run(&["status"]).code, 0, "the first one goes on");
    }

    #[test]
    fn a_project_that_does_not_run_is_unarmed_and_told() {
        let project = Project::new();
        let daemon = Daemon::start(&project, &Config::new(&project).health(&project));
        let service = daemon.service("web");
        assert_eq!(service["armed"], false);
        assert!(!service["reasons"].as_array().unwrap().is_empty(), "{service:#}");
    }

    fn reason(daemon: &Daemon, trigger: &str) -> Option<String> {
        let service = daemon.service("web");
        let triggers = service["triggers"].as_array()?;
        let seen = triggers.iter().find(|seen| seen["name"] == trigger)?;
        Some(seen["reason"].as_str()?.to_owned())
    }

    #[test]
    fn status_says_what_the_server_refuses_which_series_there_are_and_how_many_samples() {
        let project = Project::new();
        let prometheus = Prometheus::start(free_port());
        let (url, rest) = (&prometheus.url, "above = 5\nevery = \"1s\"\naction = \"alert\"");
        let of = |name: &str, query: &str, held: &str| {
            format!(
                "name = \"{name}\"\nsignal = \"{name}\"\nsource = \"prom\"\nquery = '{query}'\n{rest}\n{held}"
            )
        };
        let many = "{__name__=~\"up|scrape_.*\"}";
        let config = without_an_engine(&project)
            .table(&format!("[source.prom]\nkind = \"prometheus\"\nurl = \"{url}\""))
            .trigger(&project, &of("broken", "sum(up) foo", "for = \"4s\""))
            .trigger(&project, &of("many", many, "for = \"4s\""))
            .trigger(&project, &of("shared", "vector(1)", "for = \"20m\"\nshare = \"80%\""));
        let daemon = Daemon::start(&project, &config);
        let says = |trigger: &'static str, words: &'static [&'static str]| {
            daemon.wait(words[0], |daemon| {
                let reason = reason(daemon, trigger)?;
                words.iter().all(|word| reason.contains(word)).then_some(())
            });
        };
        says("broken", &["1:9: parse error: unexpected identifier \"foo\""]);
        says("many", &["series and not one: scrape_duration_seconds{", "`sum(...)` or `max(...)`"]);
        says("shared", &[" of 1201 samples so far"]);
    }
}

//! The commented reference is right: it loads, its comments are the defaults,
//! and no key is missing from it.

use std::time::Duration;

use rollbackd_core::{
    settings::{Action, Condition, Group, Hold},
    signal::Signal,
};

use super::{REFERENCE, drawn, loaded, only, problems, read};
use crate::config::schema;

/// Where the part begins that is only about plans.
const PLAN: &str = "# [project.shop.plan]";

/// Keys whose line has no default: an example is shown.
const EXAMPLES: [&str; 15] = [
    "dir",
    "files",
    "env_files",
    "profiles",
    "listen",
    "password_file",
    "ca_file",
    "bearer_token_file",
    "user",
    "url",
    "body_contains",
    "share",
    "window",
    "clear_below",
    "clear_above",
];

#[test]
fn the_reference_has_no_problem() {
    assert_eq!(drawn(&problems(REFERENCE), REFERENCE), "");
}

#[test]
fn the_reference_watches_what_it_says() {
    let config = loaded(REFERENCE).config;
    let shop = &config.projects[0];
    assert_eq!(shop.settings.bake, Duration::from_secs(30 * 60));
    let seconds = Duration::from_secs;
    let watched: Vec<_> = shop
        .watches
        .iter()
        .map(|watch| {
            let trigger = &watch.trigger;
            (trigger.signal.to_string(), trigger.condition, trigger.hold, trigger.action)
        })
        .collect();
    let expected = [
        ("error_rate", Condition::Above(0.05), 300, Action::Rollback),
        ("latency_p99", Condition::Above(2.0), 180, Action::Rollback),
        ("availability", Condition::Below(0.99), 60, Action::Rollback),
        ("health", Condition::AtLeast(3.0), 0, Action::Rollback),
        ("error_rate", Condition::Above(0.05), 120, Action::Alert),
        ("error_rate", Condition::Above(0.1), 60, Action::Rollback),
        ("cpu", Condition::Above(0.8), 300, Action::Alert),
        ("memory", Condition::Above(0.8), 300, Action::Alert),
    ];
    let expected = expected.map(|(signal, condition, held, action)| {
        (signal.to_owned(), condition, Hold::For(seconds(held)), action)
    });
    assert_eq!(watched, expected);
    let health = shop.watches.iter().filter(|watch| watch.trigger.signal == Signal::Health);
    assert_eq!(health.count(), 1, "the written one stands for the implicit one");
}

#[test]
fn every_key_that_is_known_is_in_the_reference() {
    for shape in schema::ALL {
        for key in shape.keys {
            let assigned = REFERENCE.match_indices(key).any(|(at, _)| {
                let before = REFERENCE[..at].chars().next_back().unwrap_or('\n');
                let rest = REFERENCE[at + key.len()..].trim_start_matches(' ');
                let assigned = rest.starts_with('=') && " \n{".contains(before);
                let headed = "[.".contains(before) && rest.starts_with(['.', ']']);
                assigned || headed
            });
            assert!(assigned, "the reference lacks `{key}` of {}", shape.title);
        }
    }
}

#[test]
fn a_commented_key_shows_its_default() {
    let reference = loaded(REFERENCE).config;
    let mut tried = 0;
    let (mut webhook, mut at) = (false, 0);
    for line in REFERENCE[..REFERENCE.find(PLAN).unwrap()].lines() {
        webhook = (webhook || line == "# [webhook.chat]") && line.starts_with('#');
        let text = format!(
            "{}{}{}",
            &REFERENCE[..at],
            line.trim_start_matches("# "),
            &REFERENCE[at + line.len()..]
        );
        at += line.len() + 1;
        let Some((key, _)) = line.strip_prefix("# ").and_then(|line| line.split_once(" = ")) else {
            continue;
        };
        let key = key.trim();
        // A group and its triggers name each other: they are tried together below.
        if webhook
            || ["group", "needs"].contains(&key)
            || !key.chars().all(|c| c.is_ascii_lowercase() || c == '_')
        {
            continue;
        }
        tried += 1;
        match read(&text) {
            Ok(live) if EXAMPLES.contains(&key) => assert_eq!(live.warnings, [], "{line}"),
            Ok(live) => assert_eq!(live.config, reference, "{line}"),
            Err(rejected) => {
                let said = drawn(&rejected.problems, &rejected.text);
                let later = said.contains("is not built yet");
                assert_eq!(rejected.problems.len(), 1, "{line}\n{said}");
                // A user needs a password, and one of two places is enough.
                assert!(later || ["user", "password_file", "url"].contains(&key), "{line}\n{said}");
            }
        }
    }
    assert!(tried > 55, "only {tried} commented keys were found");
}

#[test]
fn a_whole_plan_is_one_problem() {
    let at = REFERENCE.find(PLAN).unwrap();
    let live: String = REFERENCE[at..]
        .lines()
        .map(|line| line.trim_start_matches("# ").to_owned() + "\n")
        .collect();
    let said = only(&format!("{}{live}", &REFERENCE[..at]));
    assert!(said.contains("`plan` is not built yet"), "{said}");
}

#[test]
fn all_webhooks_are_one_problem() {
    let block = "# [webhook.chat]\n# url_file = \"/etc/rollbackd/chat-url\"";
    let text =
        REFERENCE.replacen(block, "[webhook.chat]\nurl_file = \"/etc/rollbackd/chat-url\"", 1);
    let said = only(&format!("{text}\n[webhook.other]\nurl = \"https://chat.example.com/x\"\n"));
    assert!(said.contains("`webhook` is not built yet"), "{said}");
}

#[test]
fn a_group_is_declared_and_named_as_the_reference_shows_it() {
    let group = "[project.shop.group.front]";
    let text = REFERENCE
        .replace(&format!("# {group}\n# needs = 2"), &format!("{group}\nneeds = 2"))
        .replace("# group = \"front\"", "group = \"front\"")
        .replacen("above   = \"2s\"", "above   = \"2s\"\ngroup   = \"front\"", 1);
    let shop = &loaded(&text).config.projects[0];
    let front = Group { name: "front".into(), needs: 2 };
    assert_eq!(shop.settings.groups, [front]);
    let grouped = shop.watches.iter().filter(|watch| watch.trigger.group.is_some());
    let names: Vec<&str> = grouped.map(|watch| watch.trigger.name.as_str()).collect();
    assert_eq!(names, ["errors", "backend latency_p99"]);
}

//! Triggers beside each other: two levels of one signal, when a breach is over,
//! groups, and the shorter time on an image that is known to be bad.

use std::time::Duration;

use rollbackd_core::settings::{Clear, Group, ProjectSettings, TriggerSettings};

use super::{line, loaded, only, problems, with_project, with_trigger};

/// The triggers of `backend` in the file's order, the implicit ones last.
fn triggers(text: &str) -> Vec<TriggerSettings> {
    let watches = loaded(text).config.projects.remove(0).watches.into_iter();
    watches
        .map(|watch| watch.trigger)
        .filter(|trigger| trigger.service.as_str() == "backend")
        .collect()
}

fn errors(lines: &str) -> String {
    format!("signal = \"error_rate\"\nsource = \"page\"\n{lines}\n")
}

fn next(trigger: &str) -> String {
    format!("[[project.shop.trigger]]\nservice = \"backend\"\n{trigger}")
}

const LOW: &str = "above = \"5%\"\nfor = \"2m\"\naction = \"alert\"";
const HIGH: &str = "above = \"10%\"\nfor = \"1m\"";

/// Names and identities of these triggers without names.
fn told_apart(of: &[String]) -> Vec<(String, String)> {
    let rest: String = of[1..].iter().map(|trigger| next(trigger)).collect();
    let all = triggers(&with_trigger(&format!("{}{rest}", of[0])));
    all.into_iter().take(of.len()).map(|one| (one.name, one.id.to_string())).collect()
}

#[test]
fn two_levels_of_one_signal_need_no_names() {
    let (low, high) = (errors(LOW), errors(HIGH));
    let levels = told_apart(&[low.clone(), high.clone()]);
    assert_eq!(levels[0].0, "backend error_rate above 5%");
    assert_eq!(levels[1].0, "backend error_rate above 10%");
    assert_ne!(levels[0].1, levels[1].1);
    let mut turned = told_apart(&[high, low]);
    turned.reverse();
    assert_eq!(turned, levels, "their order in the file does not matter");
}

#[test]
fn a_level_alone_is_called_and_known_as_ever() {
    let alone = told_apart(&[errors(LOW)]);
    // Windows of a daemon of before are found by it.
    assert_eq!(alone, [("backend error_rate".to_owned(), "c2da8c1228b2".to_owned())]);
    let named = format!("name = \"many\"\n{}", errors(HIGH));
    let beside = told_apart(&[errors(LOW), named]);
    assert_eq!(beside[0], alone[0], "a level with a name does not clash");
    assert_eq!(beside[1].0, "many");
}

#[test]
fn levels_are_called_by_what_tells_them_apart() {
    let names = |lines: [&str; 2]| -> Vec<String> {
        told_apart(&lines.map(errors)).into_iter().map(|(name, _)| name).collect()
    };
    let called = [
        names(["above = \"5%\"\nfor = \"2m\"", "above = \"5%\"\nfor = \"5m\""]),
        names(["above = \"5%\"\nfor = \"5m\"", "above = \"5%\"\nfor = \"5m\"\nshare = \"80%\""]),
        names(["above = 0.05001\nfor = \"5m\"", "above = 0.05002\nfor = \"5m\""]),
    ];
    insta::assert_snapshot!(called.concat().join("\n"), @r##"
    backend error_rate above 5% for 2m
    backend error_rate above 5% for 5m
    backend error_rate above 5% for 5m
    backend error_rate above 5% for 80% of 5m
    backend error_rate above 5% for 5m (above 0.05001)
    backend error_rate above 5% for 5m (above 0.05002)
    "##);
    let health =
        ["failures = 3", "failures = 6"].map(|lines| format!("signal = \"health\"\n{lines}\n"));
    assert_eq!(told_apart(&health)[1].0, "backend health 6 or more");
}

fn said(triggers: &[&str]) -> String {
    let said = |lines: &&str| only(&with_trigger(lines)) + "\n";
    triggers.iter().map(said).collect()
}

fn first(lines: &str) -> TriggerSettings {
    triggers(&with_trigger(lines)).remove(0)
}

#[test]
fn a_breach_is_over_beyond_a_line_and_after_a_time() {
    let clear = |lines: &str| first(lines).clear;
    let of = |line, seconds| Clear { line, lasts: Duration::from_secs(seconds) };
    assert_eq!(
        clear(&errors("above = \"5%\"\nfor = \"2m\"\nclear_below = \"3%\"")),
        of(Some(0.03), 0)
    );
    assert_eq!(clear(&errors("above = \"5%\"\nfor = \"2m\"\nclear_for = \"2m\"")), of(None, 120));
    let door = "signal = \"availability\"\nsource = \"door\"\nbelow = \"99%\"\nfor = \"2m\"\n";
    assert_eq!(
        clear(&format!("{door}clear_above = \"99.5%\"\nclear_for = \"30s\"")),
        of(Some(0.995), 30)
    );
    let slow = "signal = \"latency_p99\"\nsource = \"page\"\nabove = \"2s\"\nfor = \"2m\"\n";
    assert_eq!(clear(&format!("{slow}clear_below = \"1500ms\"")), of(Some(1.5), 0));
    assert_eq!(clear("signal = \"health\"\nclear_for = \"1m\""), of(None, 60));
    let own = "signal = \"queue\"\nsource = \"prom\"\nquery = \"q\"\nbelow = 10\nfor = \"2m\"\naction = \"alert\"\n";
    assert_eq!(clear(&format!("{own}clear_above = 20")), of(Some(20.0), 0));
}

#[test]
fn a_line_that_would_not_clear_is_an_error() {
    let errors = |lines: &str| errors(&format!("above = \"5%\"\nfor = \"2m\"\n{lines}"));
    let door = "signal = \"availability\"\nsource = \"door\"\nbelow = \"99%\"\nfor = \"2m\"\n";
    insta::assert_snapshot!(said(&[
        &errors("clear_below = \"5%\""),
        &errors("clear_below = \"7%\""),
        &errors("clear_below = \"0%\""),
        &errors("clear_below = 3"),
        &errors("clear_above = \"3%\""),
        &errors("clear_for = 2"),
        &format!("{door}clear_above = \"98%\""),
        &format!("{door}clear_above = \"100%\""),
        &format!("{door}clear_below = \"99.5%\""),
        "signal = \"health\"\nclear_below = 1",
        "signal = \"restarts\"\nabove = 0\nfor = \"5m\"\naction = \"alert\"\nclear_below = 0",
    ]), @r##"
    error 18:15 `clear_below` is 5%, and must be below the threshold of 5%; write less than 5%, or leave it out: then a breach is over as soon as a sample does not breach
    error 18:15 `clear_below` is 7%, and must be below the threshold of 5%; write less than 5%, or leave it out: then a breach is over as soon as a sample does not breach
    error 18:15 a breach of this trigger would never be over: `error_rate` is never below 0%; write less than 5%, or leave it out: then a breach is over as soon as a sample does not breach
    error 18:15 `clear_below` takes a share, and 3 alone is not clear; write `clear_below = "3%"`, or a number from 0.0 to 1.0
    error 18:1 `clear_above` is for triggers with `below`; a breach of `above` is over at a value below a line: write `clear_below`
    error 18:13 `clear_for` takes a duration, not an integer; a duration has a unit and quotes: `clear_for = "2s"` or "2m"
    error 18:15 `clear_above` is 98%, and must be above the threshold of 99%; write more than 99%, or leave it out: then a breach is over as soon as a sample does not breach
    error 18:15 a breach of this trigger would never be over: `availability` is never above 100%; write more than 99%, or leave it out: then a breach is over as soon as a sample does not breach
    error 18:1 `clear_below` is for triggers with `above`; a breach of `below` is over at a value above a line: write `clear_above`
    error 15:1 `clear_below` says nothing for `health`; leave it out, or write `clear_for = "2m"`
    error 18:15 a breach of this trigger would never be over: `restarts` is never below 0; leave it out: then a breach is over as soon as a sample does not breach
    "##);
}

#[test]
fn a_known_bad_image_has_a_third_of_the_time() {
    let seconds = |lines: &str| first(lines).for_known_bad.as_secs();
    assert_eq!(seconds(&errors("above = \"5%\"\nfor = \"5m\"")), 100);
    assert_eq!(seconds(&errors("above = \"5%\"\nfor = \"5m\"\nfor_known_bad = \"1m\"")), 60);
    assert_eq!(seconds(&errors("above = \"5%\"\nfor = \"5m\"\nfor_known_bad = \"5m\"")), 300);
    assert_eq!(seconds("signal = \"health\""), 0);
    let query = |lines: &str| {
        format!(
            "signal = \"queue\"\nsource = \"prom\"\nquery = \"q\"\nabove = 3\naction = \"alert\"\n{lines}"
        )
    };
    assert_eq!(seconds(&query("for = \"1m\"")), 20);
    assert_eq!(seconds(&query("for = \"20s\"")), 15);
    assert_eq!(seconds(&query("for = \"30s\"\nshare = \"80%\"")), 30);
    assert_eq!(seconds(&query("for = \"0s\"")), 0);
    assert_eq!(seconds(&query("for = \"15s\"\nfor_known_bad = \"15s\"")), 15);
}

#[test]
fn what_is_left_out_for_a_known_bad_image_is_never_an_error() {
    for (held, every) in
        [("1m", "15s"), ("1s", "250ms"), ("0s", "15s"), ("7d", "1h"), ("401ms", "100ms")]
    {
        let times = format!("for = \"{held}\"\nevery = \"{every}\"\nrecover_within = \"1h\"");
        let text = errors(&format!("above = \"5%\"\naction = \"alert\"\n{times}"));
        let left_out = first(&text);
        let shown = humantime::format_duration(left_out.for_known_bad);
        let written = first(&format!("{text}for_known_bad = \"{shown}\""));
        assert_eq!(written.for_known_bad, left_out.for_known_bad, "{times}");
        assert!(left_out.for_known_bad <= left_out.hold.span(), "{times}");
    }
}

#[test]
fn a_time_for_known_bad_images_that_does_not_fit_is_told() {
    let query = "signal = \"queue\"\nsource = \"prom\"\nquery = \"q\"\nabove = 3\naction = \"alert\"\nfor = \"1m\"\n";
    insta::assert_snapshot!(said(&[
        &errors("above = \"5%\"\nfor = \"2m\"\nfor_known_bad = \"3m\""),
        &errors("above = \"5%\"\nfor = \"2m\"\nfor_known_bad = \"20s\""),
        &format!("{query}for_known_bad = \"5s\""),
        &format!("{query}share = \"80%\"\nfor_known_bad = \"15s\""),
        "signal = \"health\"\nfor_known_bad = \"1m\"",
        &errors("above = \"5%\"\nfor = \"2m\"\nblame = \"never\""),
    ]), @r##"
    error 18:17 `for_known_bad` is 3m, longer than `for` (2m): an image that was rolled back from before would have more time than any other; write 2m or less, or leave it out for a third of `for`
    error 18:17 `for_known_bad` is 20s, too short: there is a sample only every 15s; write 30s or more, or ask more often
    error 20:17 `for_known_bad` is 5s, too short: there is a sample only every 15s; write 15s or more, or ask more often
    error 21:17 `for_known_bad` is 15s, too short: there is a sample only every 15s; write 30s or more, or ask more often
    warning 15:1 `for_known_bad` has no effect on `health`; remove it; failures are counted over `for`
    error 18:9 `blame` takes "careful" or "always", not "never"; write `blame = "careful"`
    "##);
}

const MEMBERS: &str = r#"
[[project.shop.trigger]]
service = "backend"
signal = "error_rate"
source = "page"
above = "5%"
for = "2m"
group = "front"
[[project.shop.trigger]]
service = "backend"
signal = "availability"
source = "door"
below = "99%"
for = "1m"
group = "front"
"#;

fn grouped(needs: &str) -> String {
    with_project(&format!("[project.shop.group.front]\n{needs}\n{MEMBERS}"))
}

#[test]
fn triggers_of_a_group_name_it() {
    for needs in [1, 2] {
        let project = loaded(&grouped(&format!("needs = {needs}"))).config.projects.remove(0);
        let ProjectSettings { groups, .. } = project.settings;
        assert_eq!(groups, [Group { name: "front".into(), needs }]);
        let members = project.watches.iter().filter(|watch| watch.trigger.group.is_some());
        assert_eq!(members.count(), 2);
    }
}

#[test]
fn a_group_that_could_never_act_is_told_once() {
    let two = grouped("needs = 2");
    insta::assert_snapshot!([
        only(&grouped("needs = 3")),
        only(&grouped("needs = 0")),
        only(&grouped("")),
        only(&grouped("need = 2")),
        only(&two.replacen("group = \"front\"", "group = \"frnot\"", 1)),
        only(&two.replacen("group = \"front\"", "gruop = \"front\"", 1)),
        only(&two.replacen("group = \"front\"", "group = \"front\"\naction = \"alert\"", 1)),
        only(&two.replace("[project.shop.group.front]", "[project.shop.groups.front]")),
        only(&two.replace("[project.shop.group.front]", "[project.shop.group.\"the front\"]").replace("\"front\"", "\"the front\"")),
        only(&with_project("[project.shop.group.front]\nneeds = 2")),
        only(&with_project("group = \"front\"")),
    ].join("\n"), @r##"
    error 13:9 this group can never act: 3 of its triggers must be breached at once, and there are only 2; write `needs = 2`, or `group = "front"` in more triggers
    error 13:9 `needs` cannot be 0; write a whole number from 1 to 100, without quotes
    error 12:1 [project.shop.group.front] has no `needs`; say how many must be breached at once: `needs = 2`
    error 13:1 `need` is no key of [project.shop.group.front]; did you mean `needs`?
    error 21:9 there is no group called "frnot"; did you mean "front"?
    error 21:1 `gruop` is no key of [[project.shop.trigger]]; did you mean `group`?
    error 21:9 a trigger of a group must roll back, and this one only alerts: it would never count; remove `group`, or write `action = "rollback"`
    error 12:15 `groups` is no key of [project.shop]; did you mean `group`?
    error 12:21 "the front" cannot be the name of a group; use at most 64 letters, digits, -, _ and .
    warning 12:1 no trigger is in the group `front`: this table changes nothing; write `group = "front"` in its triggers, or remove the table
    error 12:9 `group` takes tables with names, not text; head each one like this: [project.shop.group.front]
    "##);
    let undeclared = two.replace("[project.shop.group.front]\nneeds = 2\n", "");
    let said: Vec<String> = problems(&undeclared).iter().map(line).collect();
    assert_eq!(said.len(), 2, "each of the two triggers: {said:#?}");
    assert!(said[0].contains("declare it: a table [project.shop.group.front]"), "{said:#?}");
}

//! What would never fire, never act or do nothing is told, once, with a remedy.

use super::{EMAIL, line, only, problems, with_project, with_trigger};

/// What is said of a trigger with these lines.
fn said(lines: &str) -> String {
    let said = only(&with_trigger(lines));
    let (severity_and_place, text) =
        said.split_at(said.find(|c: char| c.is_ascii_digit()).unwrap());
    let place = text.split(' ').next().unwrap();
    format!("{severity_and_place}{}", &text[place.len() + 1..])
}

fn all(triggers: &[&str]) -> String {
    triggers.iter().map(|lines| said(lines) + "\n").collect()
}

#[test]
fn a_threshold_outside_its_signals_range_is_an_error() {
    insta::assert_snapshot!(all(&[
        "signal = \"error_rate\"\nsource = \"page\"\nabove = \"100%\"\nfor = \"5m\"",
        "signal = \"error_rate\"\nsource = \"page\"\nabove = 5\nfor = \"5m\"",
        "signal = \"error_rate\"\nsource = \"page\"\nabove = \"120%\"\nfor = \"5m\"",
        "signal = \"error_rate\"\nsource = \"page\"\nbelow = \"5%\"\nfor = \"5m\"",
        "signal = \"availability\"\nsource = \"door\"\nbelow = \"0%\"\nfor = \"5m\"",
        "signal = \"availability\"\nsource = \"door\"\nabove = \"99%\"\nfor = \"5m\"",
        "signal = \"latency_p99\"\nsource = \"page\"\nabove = \"0s\"\nfor = \"5m\"",
        "signal = \"latency_p99\"\nsource = \"page\"\nabove = 2.0\nfor = \"5m\"",
        "signal = \"memory\"\nabove = 1.0\nfor = \"5m\"\naction = \"alert\"",
        "signal = \"health\"\nfailures = 0",
        "signal = \"health\"\nabove = 3",
        "signal = \"error_rate\"\nsource = \"page\"\nabove = \"5%\"\nfailures = 3\nfor = \"5m\"",
        "signal = \"queue\"\nsource = \"prom\"\nquery = \"q\"\nabove = 3\nbelow = 1\nfor = \"5m\"\naction = \"alert\"",
        "signal = \"queue\"\nsource = \"prom\"\nquery = \"q\"\nfor = \"5m\"\naction = \"alert\"",
        "signal = \"queue\"\nsource = \"prom\"\nquery = \"q\"\nabove = inf\nfor = \"5m\"\naction = \"alert\"",
    ]), @r##"
    error this trigger can never fire: `error_rate` is never above 100%; write `above = "5%"`
    error `above` takes a share, and 5 alone is not clear; write `above = "5%"`, or a number from 0.0 to 1.0
    error `above` is a share, and "120%" lies outside 0% to 100%; write `above = "5%"`
    error `below` is not what is bad for `error_rate`; write `above = "5%"`
    error this trigger can never fire: availability is never below 0%; write `below = "99%"`
    error `above` is not what is bad for availability; write `below = "99%"`
    error this trigger would always breach: every request takes longer than nothing; write `above = "2s"` or `"500ms"`
    error `above` takes a latency, not a number; say the unit, in quotes: `above = "2s"`
    error this trigger can never fire: `memory` is never above 100%; write `above = "80%"`
    error `failures` cannot be 0; write a whole number from 1 to 1000, without quotes
    error `above` says nothing for `health`; write `failures = 3`
    error `failures` counts only for `health`; write `above` or `below`
    error a trigger has `above` or `below`, not both; make two triggers of it
    error [[project.shop.trigger]] has no `above`; say when it is bad: `above = 100` or `below = 10`
    error `above` takes a number that is not inf; write a number, a share or a duration: `above = 100`, `above = "5%"`, `above = "2s"`
    "##);
}

#[test]
fn a_source_that_cannot_give_the_signal_is_an_error() {
    insta::assert_snapshot!(all(&[
        "signal = \"availability\"\nsource = \"page\"\nbelow = \"99%\"\nfor = \"5m\"",
        "signal = \"health\"\nsource = \"prom\"",
        "signal = \"cpu\"\nsource = \"door\"\nabove = \"80%\"\nfor = \"5m\"\naction = \"alert\"",
        "signal = \"error_rate\"\nsource = \"docker\"\nabove = \"5%\"\nfor = \"5m\"",
        "signal = \"error_rate\"\nabove = \"5%\"\nfor = \"5m\"",
        "signal = \"queue\"\nsource = \"page\"\nabove = 3\nfor = \"5m\"\naction = \"alert\"",
        "signal = \"error_rate\"\nsource = \"prom\"\nabove = \"5%\"\nfor = \"5m\"",
        "signal = \"error_rate\"\nsource = \"page\"\nquery = \"x\"\nabove = \"5%\"\nfor = \"5m\"",
        "signal = \"error_rate\"\nsource = \"pgae\"\nabove = \"5%\"\nfor = \"5m\"",
        "signal = \"error_rate\"\nsource = \"prom\"\nquery = \"sum(rate(x[5m])\"\nabove = \"5%\"\nfor = \"5m\"",
    ]), @r##"
    error this trigger can never fire: a scrape source cannot give `availability`; write `source = "door"` or `source = "prom"`
    error this trigger can never fire: a prometheus source cannot give `health`; write `source = "docker"`
    error this trigger can never fire: a probe source cannot give `cpu`; write `source = "prom"` or `source = "docker"`
    error this trigger can never fire: a docker source cannot give `error_rate`; write `source = "door"` or `source = "page"` or `source = "prom"`
    error [[project.shop.trigger]] has no `source`; write `source = "door"` or `source = "page"` or `source = "prom"`
    error this trigger can never fire: a scrape source cannot give `queue`; write `source = "prom"`, with a `query`: a signal of your own comes from nowhere else
    error [[project.shop.trigger]] has no `query`; write PromQL that gives one number: `query = 'sum(rate(http_requests_total[1m]))'`
    error a scrape source has no use for a `query`; remove it, or name a source of the kind prometheus
    error there is no source called "pgae"; did you mean "page"?
    error `query` is no PromQL: a `(` is never closed; try it in the Prometheus page first
    "##);
}

#[test]
fn times_that_do_not_fit_are_an_error() {
    insta::assert_snapshot!(all(&[
        "signal = \"error_rate\"\nsource = \"page\"\nabove = \"5%\"\nfor = \"30s\"",
        "signal = \"error_rate\"\nsource = \"page\"\nabove = \"5%\"\nfor = \"5m\"\nwindow = \"3m\"",
        "signal = \"error_rate\"\nsource = \"page\"\nabove = \"5%\"\nfor = \"5m\"\nwindow = \"20s\"",
        "signal = \"error_rate\"\nsource = \"page\"\nabove = \"5%\"\nfor = \"5m\"\nmax_gap = \"10s\"",
        "signal = \"queue\"\nsource = \"prom\"\nquery = \"q\"\nabove = 3\nfor = \"10s\"\naction = \"alert\"",
        "signal = \"queue\"\nsource = \"prom\"\nquery = \"q\"\nabove = 3\nfor = \"20s\"\nshare = \"80%\"\naction = \"alert\"",
        "signal = \"queue\"\nsource = \"prom\"\nquery = \"q\"\nabove = 3\nfor = \"5m\"\nshare = 0.0\naction = \"alert\"",
        "signal = \"queue\"\nsource = \"prom\"\nquery = \"q\"\nabove = 3\nfor = \"5m\"\nrecover_within = \"5s\"\naction = \"alert\"",
        "signal = \"latency_p99\"\nsource = \"door\"\nabove = \"2s\"\nfor = \"5m\"",
        "signal = \"latency_p99\"\nsource = \"door\"\nabove = \"1s\"\nfor = \"5m\"\nmin_requests = 20",
        "signal = \"error_rate\"\nsource = \"page\"\nabove = \"5%\"\nfor = \"5M\"",
        "signal = \"error_rate\"\nsource = \"page\"\nabove = \"5%\"\nfor = 300",
        "signal = \"error_rate\"\nsource = \"page\"\nabove = \"5%\"",
        "signal = \"error_rate\"\nsource = \"page\"\nabove = \"5%\"\nfor = \"40m\"",
        "signal = \"error_rate\"\nsource = \"page\"\nabove = \"5%\"\nfor = \"29m30s\"",
    ]), @r##"
    error this trigger can never fire: a window of at least 2 × `every` (30s) and at most half of `for` (15s) is impossible; ask more often, `every = "7s"`, or let `for` be 1m or longer
    error `window` is 3m, more than half of `for`: one bad moment would look like a long outage; write 2m30s or less, or leave it out
    error `window` is 20s, less than 2 × `every` (30s): too few samples would be in it; write 30s or more, or ask more often
    error this trigger can never fire: with `max_gap` of 10s every pause between two samples (15s) is a gap; write `max_gap = "45s"`, or leave it out
    error `for` is 10s, but the source is asked only every 15s; ask more often, `every = "2s"`, or let `for` be longer
    error this trigger can never fire: a `share` needs at least three samples within `for`, and every 15s there are fewer in 20s; let `for` be 30s or longer, or remove `share`
    error a `share` of 0% would always hold; write `share = "80%"`
    error no rollback could be seen to help: `recover_within` is 5s, and there is a sample only every 15s; let `recover_within` be longer, or ask more often
    error this trigger can never fire: probes of `door` are given up after 2s already; write `timeout = "4s"` in [source.door], or a lower threshold
    error this trigger can never fire: probes every 15s make 6 requests in the window of 1m40s, fewer than `min_requests` = 20; write `min_requests = 6` or less, or ask more often
    error `for` is too long: "5M"; write 7d or less: `for = "5m"` ("M" is months, "m" is minutes)
    error `for` takes a duration, not an integer; a duration has a unit and quotes: `for = "300s"` or "300m"
    error [[project.shop.trigger]] has no `for`; say for how long: `for = "5m"`, or `"0s"` to fire at the first sample
    error this trigger can never roll back: `for` is 40m, and a breach is blamed on a deployment only within its `bake` of 30m; let `bake` be longer than 41m, or `for` shorter
    warning this trigger hardly ever rolls back: after `grace` (1m) and `for` (29m30s) the `bake` of 30m is over; let `bake` be longer than 30m30s, or `for` shorter
    "##);
}

#[test]
fn what_must_be_said_is_asked_for() {
    insta::assert_snapshot!(all(&[
        "signal = \"cpu\"\nabove = \"80%\"\nfor = \"5m\"",
        "signal = \"queue\"\nsource = \"prom\"\nquery = \"q\"\nabove = 3\nfor = \"5m\"",
        "signal = \"eror_rate\"\nsource = \"page\"\nabove = \"5%\"\nfor = \"5m\"",
        "signal = \"latency_99\"\nsource = \"page\"\nabove = \"2s\"\nfor = \"5m\"",
        "source = \"page\"\nabove = \"5%\"\nfor = \"5m\"",
    ]), @r##"
    error [[project.shop.trigger]] has no `action`; what `cpu` should do must be said: `action = "alert"` or "rollback"
    error [[project.shop.trigger]] has no `action`; what `queue` should do must be said: `action = "alert"` or "rollback"
    error there is no signal called "eror_rate"; did you mean "error_rate"? A signal of your own needs a name less like it
    error there is no signal called "latency_99"; did you mean "latency_p99"? A signal of your own needs a name less like it
    error [[project.shop.trigger]] has no `signal`; say what is measured: `signal = "error_rate"`
    "##);
}

#[test]
fn what_has_no_effect_is_a_warning() {
    insta::assert_snapshot!(all(&[
        "signal = \"queue\"\nsource = \"prom\"\nquery = \"q\"\nabove = 3\nfor = \"5m\"\nwindow = \"1m\"\naction = \"alert\"",
        "signal = \"health\"\ngrace = \"5s\"",
        "signal = \"error_rate\"\nsource = \"prom\"\nquery = 'sum(x{code=~\"5..\"}) / sum(x)'\nabove = \"5%\"\nfor = \"5m\"",
    ]), @r##"
    warning `window` has no effect on a Prometheus query; the window is in the query: `rate(...[1m])`
    warning `grace` has no effect on `health`; remove it; failures are counted over `for`
    warning this ratio is empty while there are no errors, and no data is not zero; let the numerator fall back to zero: `(sum(x{code=~"5.."}) or vector(0)) / ...`
    "##);
}

#[test]
fn a_name_that_is_there_twice_is_told_whatever_else_is_wrong() {
    let broken =
        "name = \"a\"\nsignal = \"cpu\"\nabove = \"80%\"\nfor = \"5 minits\"\naction = \"alert\"\n";
    let second = format!("[[project.shop.trigger]]\nservice = \"backend\"\n{broken}");
    let said: Vec<String> =
        problems(&with_trigger(&format!("{broken}{second}"))).iter().map(line).collect();
    assert_eq!(said.len(), 3, "{said:#?}");
    let twice =
        "the trigger of line 12 is called \"a\" too; give each trigger of a project its own `name`";
    assert_eq!(said.iter().filter(|said| said.ends_with(twice)).count(), 1, "{said:#?}");
}

#[test]
fn an_identical_trigger_twice_is_an_error() {
    let first = "signal = \"error_rate\"\nsource = \"page\"\nabove = \"5%\"\nfor = \"5m\"\n";
    let again = |name: &str, second: &str| {
        let second = format!("[[project.shop.trigger]]\nservice = \"backend\"\n{second}");
        only(&with_trigger(&format!("{name}{first}{second}")))
    };
    let other = first.replace("5%", "10%");
    insta::assert_snapshot!([
        again("", first),
        again("name = \"a\"\n", &format!("name = \"a\"\n{other}")),
        again("name = \"a\"\n", &format!("name = \"b\"\n{first}")),
        again("", &format!("{first}action = \"alert\"\n")),
    ].join("\n"), @r##"
    error 18:1 this trigger is that of line 12 once more: it measures the same, with the same condition and `for`; remove one, or let their conditions or times differ
    error 21:8 the trigger of line 12 is called "a" too; give each trigger of a project its own `name`
    error 19:1 this trigger is that of line 12 once more: it measures the same, with the same condition and `for`; remove one, or let their conditions or times differ
    error 18:1 this trigger is that of line 12 once more: it measures the same, with the same condition and `for`; remove one, or let their conditions or times differ
    "##);
}

#[test]
fn a_project_that_could_never_act_is_told() {
    let of = |lines: &str| only(&with_project(lines));
    insta::assert_snapshot!([
        of("bake = \"0s\""),
        of("keep = 0"),
        of("max_rollbacks = 0"),
        of("cooldown = \"0s\""),
        of("settle = \"0s\""),
        of("start_timeout = \"2h\""),
        of("[project.shop.service.db]\nhealth = true"),
        only(&format!("[project.shop]\n{EMAIL}")),
        only(&with_project("").replace(EMAIL, "")),
        only("mode = \"act\"\n"),
        only(&format!("{}[source.spare]\nkind = \"probe\"\nurl = \"http://h/\"\n", with_project(""))),
        only(&with_project("").replace("project.shop", "project.Shop")),
    ].join("\n"), @r##"
    error 12:8 `bake` is too short: "0s"; write 1s or more: `bake = "30m"`
    error 12:8 `keep` cannot be 0; write a whole number from 1 to 100, without quotes
    error 12:17 `max_rollbacks` cannot be 0; write a whole number from 1 to 1000, without quotes
    warning 12:12 without a `cooldown` the same image may be rolled back from again and again; leave it out for 15m, or write `cooldown = "1m"` or more
    error 12:10 `settle` is too short: "0s"; write 1ms or more: `settle = "60s"`
    error 12:17 `start_timeout` is too long: "2h"; write 1h or less: `start_timeout = "60s"`
    warning 12:1 no trigger watches the service `db`: this table changes nothing; add a trigger with `service = "db"`, or remove the table
    warning 1:1 the project `shop` has no trigger: nothing is watched, nothing goes back; add one: [[project.shop.trigger]]
    warning 1:1 there is no [email]: nobody is told of a breach or a rollback; add the table, with `server`, `from` and `to`
    error 1:1 there is no project to watch; add a table for it: [project.NAME], where NAME is the Compose project's name
    warning 37:1 no trigger uses the source `spare`; name it in a trigger, `source = "spare"`, or remove it
    error 11:10 "Shop" cannot be the name of a Compose project; use the name that `docker compose ls` shows: lower case letters, digits, - and _
    "##);
}

#[test]
fn a_misspelt_table_is_one_mistake() {
    let good = with_project("");
    let of = |right: &str, wrong: &str| only(&good.replace(right, wrong));
    insta::assert_snapshot!([
        of("[[project.shop.trigger]]", "[[project.shop.triger]]"),
        of("project.shop", "projects.shop"),
        of("[source.", "[sources."),
        only(&good.replacen("source = \"prom\"", "sorce = \"prom\"", 1)),
        only(&good.replacen("source = \"prom\"", "source = \"pom\"", 1)),
        only(&good.replacen("[source.page]\nkind = \"scrape\"", "[source.page]\nkind = \"scarpe\"", 1)),
        only(&good.replacen("[source.page]\nkind", "[source.page]\nkidn", 1)),
    ].join("\n"), @r##"
    error 13:16 `triger` is no key of [project.shop]; did you mean `trigger`?
    error 11:2 `projects` is no key of the top level; did you mean `project`?
    error 1:2 `sources` is no key of the top level; did you mean `source`?
    error 16:1 `sorce` is no key of [[project.shop.trigger]]; did you mean `source`?
    error 16:10 there is no source called "pom"; did you mean "prom"?
    error 5:8 `kind` takes "prometheus" or "scrape" or "probe", not "scarpe"; did you mean "scrape"?
    error 5:1 `kidn` is no key of [source.page]; did you mean `kind`?
    "##);
}

#[test]
fn a_bake_that_does_not_matter_is_not_complained_of() {
    super::loaded(&with_project("bake = \"10s\"\nafter_bake = \"rollback\""));
}

#[test]
fn exactly_what_is_not_built_yet_is_refused_and_once() {
    let of = |lines: &str| only(&with_project(lines));
    let trigger = "signal = \"error_rate\"\nsource = \"prom\"\nfor = \"5m\"\n";
    insta::assert_snapshot!([
        of("engine = \"swarm\""),
        of("keep_by = \"archive\""),
        of("schema_changed = \"refuse\""),
        of("schema_changed = \"plan:down\""),
        of("restore_files = [\".env\"]"),
        of("watch_files = [\".env\"]"),
        of("[project.shop.plan]\non_failure = \"escalate\""),
        only(&with_trigger(&format!("{trigger}query = \"q\"\nabove_baseline = 2.0"))),
        only(&with_trigger(&format!("{trigger}select = {{ job = \"a\" }}\nabove = \"5%\""))),
        only(&with_trigger(&format!("{trigger}query = \"q\"\nabove = \"5%\"\naction = \"scale\""))),
    ].join("\n"), @r##"
    error 12:10 `engine = "swarm"` is not built yet; leave it out: Compose projects are watched
    error 12:11 `keep_by = "archive"` is not built yet; write `keep_by = "anchor"` or "tag"
    error 12:18 `schema_changed` is not built yet; remove it: labels of schemas are not looked at
    error 12:18 `schema_changed` is not built yet; remove it: labels of schemas are not looked at
    error 12:1 `restore_files` is not built yet; remove it: files are left as they are
    error 12:1 `watch_files` is not built yet; remove it: files are left as they are
    error 12:15 `plan` is not built yet; remove it: the standard plan is run
    error 18:1 `above_baseline` is not built yet; write a fixed threshold with `above`
    error 17:1 `select` is not built yet; write the whole `query`
    error 19:10 `action = "scale"` is not built yet; write "rollback" or "alert"
    "##);
}

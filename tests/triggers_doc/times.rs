//! How a condition's time is counted: `for`, `share`, gaps, blindness, grace,
//! and what a restart, a suspended machine and a clock that is set do to it.

use rollbackd::replay::plot::{Line, Panel, Tone};
use rollbackd_core::{
    ratio::Ratio,
    reading::Reading,
    settings::{Clear, Condition, Hold, Mode, OnBlind, TriggerSettings},
    signal::Signal,
    view::TriggerState::{Blind, Breached, Grace, Ok, Pending},
    words::TriggerId,
};

use crate::{
    scene::{Scene, Told, about, errors, line, said, shop},
    world::{at, empty, runs, secs, unanswered},
};

fn bad(second: i64) -> Reading {
    Reading::Value(about(0.11, second))
}

fn good(second: i64) -> Reading {
    Reading::Value(about(0.012, second))
}

fn named(name: &str, trigger: TriggerSettings) -> TriggerSettings {
    TriggerSettings { id: TriggerId::new(name), name: name.into(), ..trigger }
}

pub fn held_for() -> Told {
    let mut scene = Scene::new(shop(vec![errors()]), 0, |_, _, t| match t {
        60..165 | 180..360 => bad(t),
        _ => good(t),
    });
    scene.until(420);
    let first = scene.pending("errors", 0);
    let calm = scene.since("errors", Ok, first);
    let again = scene.pending("errors", calm);
    let fires = scene.since("errors", Breached, 0);
    let clears = scene.since("errors", Ok, fires);
    scene.mark(fires, format!("fires at {}", said(fires)), Tone::Breached);
    scene.mark(clears, format!("clears at {}", said(clears)), Tone::Ok);
    let mut panel = scene.panel("errors");
    panel.strips.push(scene.length(again, fires, "for = 2m"));
    let title = format!(
        "Errors rise above 5% at {}, one sample at {} does not breach, and the trigger is pending \
         anew at {}. It fires at {} and clears at {}.",
        said(first),
        said(calm),
        said(again),
        said(fires),
        said(clears)
    );
    let says = vec![
        format!("pending at {}", said(first)),
        format!("at {} does not breach", said(calm)),
        format!("pending anew at {}", said(again)),
        format!("fires at {}", said(fires)),
        format!("clears at {}", said(clears)),
    ];
    scene.told(title, vec![panel], says)
}

pub fn share() -> Told {
    let share = Hold::Share { share: Ratio::new(0.8).unwrap(), within: secs(120) };
    let share = TriggerSettings { hold: share, ..named("share", errors()) };
    let mut scene = Scene::new(shop(vec![errors(), share]), 0, |_, _, t| match t {
        120 | 255 | 390 => good(t),
        60.. => bad(t),
        _ => good(t),
    });
    scene.until(420);
    let fires = scene.since("share", Breached, 0);
    assert!(!scene.was("errors", Breached), "the time of `for` is never whole");
    scene.mark(fires, format!("share fires at {}", said(fires)), Tone::Breached);
    let mut panel = scene.panel("errors");
    panel.strips = vec![scene.strip("errors", "for alone"), scene.strip("share", "share 80%")];
    panel.strips.push(scene.length(fires - 120, fires, "8 of 9 samples"));
    let title = format!(
        "Errors stay above 5% but for single samples. With `for` alone the trigger never fires; \
         with `share = \"80%\"` it fires at {} and stays breached.",
        said(fires)
    );
    scene.told(title, vec![panel], vec![format!("fires at {}", said(fires)), "8 of 9".into()])
}

/// A trigger with the usual gap and one with Prometheus's rule.
fn both_rules() -> Vec<TriggerSettings> {
    vec![errors(), TriggerSettings { max_gap: secs(0), ..named("prometheus", errors()) }]
}

fn rules_panel(scene: &Scene) -> Panel {
    let mut panel = scene.panel("errors");
    panel.strips =
        vec![scene.strip("errors", "max_gap 45s"), scene.strip("prometheus", "max_gap 0s")];
    panel
}

pub fn gaps() -> Told {
    let mut scene = Scene::new(shop(both_rules()), 0, |_, _, t| match t {
        90 | 105 => unanswered(),
        150 => empty(),
        60..345 => bad(t),
        _ => good(t),
    });
    scene.until(390);
    let (ours, theirs) =
        (scene.since("errors", Breached, 0), scene.since("prometheus", Breached, 0));
    let cleared = scene.since("prometheus", Ok, 60);
    scene.mark(ours, format!("fires at {}", said(ours)), Tone::Breached);
    scene.mark(theirs, format!("with 0s at {}", said(theirs)), Tone::Breached);
    let panel = rules_panel(&scene);
    let title = format!(
        "Two questions without an answer and one empty answer while errors are above 5%. With the \
         usual `max_gap` the time goes on and the trigger fires at {}; with `max_gap = \"0s\"` the \
         empty answer clears it at {} and it fires at {}.",
        said(ours),
        said(cleared),
        said(theirs)
    );
    let says = vec![
        format!("fires at {}", said(ours)),
        format!("clears it at {}", said(cleared)),
        format!("fires only at {}", said(theirs)),
    ];
    scene.told(title, vec![panel], says)
}

pub fn long_gap() -> Told {
    let mut scene = Scene::new(shop(both_rules()), 0, |_, _, t| match t {
        90..165 => unanswered(),
        60..345 => bad(t),
        _ => good(t),
    });
    scene.until(390);
    let again = scene.pending("errors", 90);
    let (ours, theirs) =
        (scene.since("errors", Breached, 0), scene.since("prometheus", Breached, 0));
    scene.mark(again, format!("pending anew at {}", said(again)), Tone::Pending);
    scene.mark(ours, format!("fires at {}", said(ours)), Tone::Breached);
    let mut panel = rules_panel(&scene);
    panel.strips.insert(1, scene.length(75, again, "90s without a value"));
    let title = format!(
        "Five questions in a row fail while errors are above 5%. With the usual `max_gap` the \
         trigger is blind, pending anew at {} and fires at {}; with `max_gap = \"0s\"` failed \
         questions leave its state as it was and it fires at {}.",
        said(again),
        said(ours),
        said(theirs)
    );
    let says = vec![
        format!("pending anew at {}", said(again)),
        format!("fires at {}", said(ours)),
        format!("fires at {} all the same", said(theirs)),
    ];
    scene.told(title, vec![panel], says)
}

pub fn blind() -> Told {
    let mut scene = Scene::new(shop(vec![errors()]), 0, |_, _, t| match t {
        60..120 => bad(t),
        120..240 => unanswered(),
        240..375 => bad(t),
        _ => good(t),
    });
    scene.until(420);
    let blind = scene.since("errors", Blind, 0);
    let again = scene.pending("errors", blind);
    let fires = scene.since("errors", Breached, 0);
    assert_eq!(blind, 105 + 45 + 1, "more than 45 s after the last value");
    scene.mark(fires, format!("fires at {}", said(fires)), Tone::Breached);
    let mut panel = scene.panel("errors");
    panel.strips.push(scene.length(105, 150, "3 × every"));
    let title = format!(
        "Errors are above 5% when the source stops answering. 45s after its last value the trigger \
         is blind and what was pending is gone; with new values it is pending at {} and fires at {}.",
        said(again),
        said(fires)
    );
    let says =
        vec![format!("pending anew at {}", said(again)), format!("fires at {}", said(fires))];
    scene.told(title, vec![panel], says)
}

pub fn blind_breach() -> Told {
    let trigger = TriggerSettings { on_blind: OnBlind::Breach, ..errors() };
    let mut scene = Scene::new(shop(vec![trigger]), 60, |world, _, t| {
        let answers = world.version("web") == 1 && t != 0;
        if answers { good(t) } else { unanswered() }
    });
    scene.deploy("web", 2);
    scene.until(360);
    let fires = scene.since("errors", Breached, 0);
    let (began, to) = scene.rollback();
    assert_eq!((began, to), (fires, 1));
    scene.mark(0, "deployment", Tone::Plain);
    scene.mark(fires, format!("breach by blindness at {}", said(fires)), Tone::Breached);
    let mut panel = scene.panel("errors");
    panel.strips.push(scene.length(0, fires, "grace + for"));
    panel.strips.push(scene.project());
    let title = format!(
        "The source has answered until a deployment and has not since. With \
         `on_blind = \"breach\"` that is a breach at {}, and the deployment is rolled back.",
        said(fires)
    );
    scene.told(title, vec![panel], vec![format!("at {}", said(fires))])
}

pub fn grace() -> Told {
    let mut observed = shop(vec![errors()]);
    observed.mode = Mode::Observe;
    let mut scene = Scene::new(observed, 60, |world, _, t| match world.version("web") {
        1 => good(t),
        _ => bad(t),
    });
    scene.deploy("web", 2);
    scene.until(240);
    let (pending, fires) = (scene.pending("errors", 0), scene.since("errors", Breached, 0));
    scene.mark(0, "web starts", Tone::Plain);
    scene.mark(pending, format!("pending at {}", said(pending)), Tone::Pending);
    scene.mark(fires, format!("fires at {}", said(fires)), Tone::Breached);
    let mut panel = scene.panel("errors");
    panel.strips.push(scene.length(0, 60, "grace"));
    let title = format!(
        "A new version errs from its start at 0. Samples of the first minute do not count; the \
         trigger is pending at {} and fires at {}.",
        said(pending),
        said(fires)
    );
    let says = vec![format!("pending at {}", said(pending)), format!("fires at {}", said(fires))];
    scene.told(title, vec![panel], says)
}

pub fn health() -> Told {
    let trigger = TriggerSettings {
        signal: Signal::Health,
        condition: Condition::AtLeast(3.0),
        hold: Hold::For(secs(0)),
        grace: secs(0),
        ..named("health", errors())
    };
    let mut scene = Scene::new(shop(vec![trigger]), 60, |world, _, t| {
        let failed = if world.version("web") == 2 { t / 15 } else { 0 };
        Reading::Value(failed.clamp(0, 5) as f64)
    });
    scene.deploy("web", 2);
    scene.until(180);
    let (fires, (began, to)) = (scene.since("health", Breached, 0), scene.rollback());
    scene.mark(0, "deployment", Tone::Plain);
    scene.mark(fires, format!("fires at {}", said(fires)), Tone::Breached);
    scene.mark(began, format!("back to r{to} at {}", said(began)), Tone::Breached);
    let mut panel = scene.panel("health");
    panel.strips.push(scene.project());
    let title = format!(
        "A new version fails its health check from its start. The third failure in a row fires at {}, \
         and as soon as the deployment has settled, at {}, the project goes back to r{to}.",
        said(fires),
        said(began)
    );
    let says =
        vec![format!("fires at {}", said(fires)), format!("at {} it goes back", said(began))];
    scene.told(title, vec![panel], says)
}

pub fn grace_of_a_dependency() -> Told {
    let trigger = TriggerSettings { hold: Hold::For(secs(30)), ..errors() };
    let mut web = runs("web", 1, at(0) - secs(3600));
    web.depends_on = vec!["db"];
    let services = vec![web, runs("db", 1, at(0) - secs(3600))];
    let mut scene = Scene::of(shop(vec![trigger]), 60, services, |_, _, t| match t {
        1..60 => bad(t),
        _ => good(t),
    });
    scene.start_again("db");
    scene.until(180);
    assert!(scene.was("errors", Grace) && !scene.was("errors", Pending));
    scene.mark(0, "db restarts", Tone::Plain);
    let panel = scene.panel("errors");
    let title = "Errors of web rise above 5% for a minute while db, on which it depends, restarts. \
                 The samples of that minute do not count, and the trigger is never pending.";
    scene.told(title, vec![panel], vec!["never pending".into()])
}

pub fn restart() -> Told {
    let mut scene = Scene::new(shop(vec![errors()]), 0, |_, _, t| match t {
        30..360 => bad(t),
        _ => good(t),
    });
    scene.until(62);
    scene.restart(20);
    let kept = scene.since("errors", Pending, 62);
    scene.until(122);
    scene.restart(56);
    scene.until(390);
    let anew = scene.pending("errors", 150);
    let fires = scene.since("errors", Breached, 0);
    assert!(kept < 90, "a short gap is time");
    scene.mark(anew, format!("pending anew at {}", said(anew)), Tone::Pending);
    scene.mark(fires, format!("fires at {}", said(fires)), Tone::Breached);
    let mut panel = scene.panel("errors");
    let runs = [(0, 62), (82, 122), (178, 390)].map(|(from, to)| (from, to, Tone::Plain, "runs"));
    panel.strips.push(scene.lasted("rollbackd", &runs));
    let title = format!(
        "The daemon is restarted twice while errors are above 5%. Away for 20s, what is pending \
         goes on; away for 56s, the gap between two samples is a minute, and the trigger is pending \
         anew at {} and fires at {}.",
        said(anew),
        said(fires)
    );
    let says = vec![format!("pending anew at {}", said(anew)), format!("fires at {}", said(fires))];
    scene.told(title, vec![panel], says)
}

pub fn suspended() -> Told {
    let mut scene = Scene::new(shop(vec![errors()]), 60, |_, _, t| match t {
        120..600 => bad(t),
        _ => good(t),
    });
    scene.until(182);
    scene.suspend(176);
    scene.until(540);
    let anew = scene.pending("errors", 300);
    let fires = scene.since("errors", Breached, 0);
    scene.mark(anew, format!("pending anew at {}", said(anew)), Tone::Pending);
    scene.mark(fires, format!("fires at {}", said(fires)), Tone::Breached);
    let mut panel = scene.panel("errors");
    let awake = [(-60, 182, Tone::Plain, "awake"), (358, 540, Tone::Plain, "awake")];
    panel.strips.push(scene.lasted("machine", &awake));
    let title = format!(
        "The machine is suspended for three minutes while the trigger is pending. When it wakes the \
         time it slept is a gap: pending anew at {}, fires at {}.",
        said(anew),
        said(fires)
    );
    let says = vec![format!("pending anew at {}", said(anew)), format!("fires at {}", said(fires))];
    scene.told(title, vec![panel], says)
}

pub fn clock_set_back() -> Told {
    let mut scene = Scene::new(shop(vec![errors()]), 0, |_, _, t| match t {
        60..270 => bad(t),
        _ => good(t),
    });
    scene.until(300);
    let fires = scene.since("errors", Breached, 0);
    scene.mark(120, "set back by an hour", Tone::Plain);
    scene.mark(fires, format!("fires at {}", said(fires)), Tone::Breached);
    let mut panel = scene.panel("errors");
    let shows = [(0, 120, Tone::Plain, "14:00 – 14:02"), (120, 300, Tone::Plain, "13:02 – 13:05")];
    panel.strips.push(scene.lasted("wall clock", &shows));
    let title = format!(
        "The machine's clock is set back by an hour while the trigger is pending. It fires at {}, as \
         if nothing had happened.",
        said(fires)
    );
    scene.told(title, vec![panel], vec![format!("fires at {}", said(fires))])
}

pub fn clearing() -> Told {
    let clear = Clear { line: Some(0.03), lasts: secs(60) };
    let calmer = TriggerSettings { clear, ..named("calmer", errors()) };
    let mut scene = Scene::new(shop(vec![errors(), calmer]), 0, |_, _, t| match t {
        30..195 => bad(t),
        195..240 | 300..360 => Reading::Value(about(0.042, t)),
        240..300 => Reading::Value(about(0.066, t)),
        _ => good(t),
    });
    scene.until(480);
    let fires = scene.since("calmer", Breached, 0);
    let (plain, clears) = (scene.since("errors", Ok, fires), scene.since("calmer", Ok, fires));
    assert_eq!(scene.since("errors", Breached, 0), fires);
    scene.mark(fires, format!("fires at {}", said(fires)), Tone::Breached);
    scene.mark(clears, format!("clears at {}", said(clears)), Tone::Ok);
    let mut panel = scene.panel("errors");
    panel.strips = vec![scene.strip("errors", "without"), scene.strip("calmer", "clear_below")];
    panel.strips.push(scene.length(clears - 60, clears, "clear_for = 1m"));
    let line = Line { value: 0.03, label: "clear 3%".into(), tone: Tone::Ok };
    panel.curve.as_mut().unwrap().lines.push(line);
    let title = format!(
        "A breach that fired at {} wavers around 5%. Without a clearing line it is over at {} and \
         pending again soon after; with `clear_below = \"3%\"` and `clear_for = \"1m\"` it is one \
         breach, over at {}.",
        said(fires),
        said(plain),
        said(clears)
    );
    let says = vec![
        format!("fires at {}", said(fires)),
        format!("clears at {}, ", said(plain)),
        format!("until {}", said(clears)),
    ];
    scene.told(title, vec![panel], says)
}

pub fn two_levels() -> Told {
    let slow = TriggerSettings { hold: Hold::For(secs(300)), ..errors() };
    let fast = TriggerSettings {
        hold: Hold::For(secs(60)),
        condition: Condition::Above(0.1),
        ..named("many errors", errors())
    };
    let mut scene = Scene::new(shop(vec![slow, fast]), 0, |_, _, t| match t {
        30..240 => Reading::Value(about(0.072, t)),
        240..420 => Reading::Value(about(0.16, t)),
        _ => good(t),
    });
    scene.until(450);
    let (slow, fast) =
        (scene.since("errors", Breached, 0), scene.since("many errors", Breached, 0));
    scene.mark(fast, format!("10% fires at {}", said(fast)), Tone::Breached);
    scene.mark(slow, format!("5% fires at {}", said(slow)), Tone::Breached);
    let mut panel = scene.panel("errors");
    panel.strips =
        vec![scene.strip("errors", "5% for 5m"), scene.strip("many errors", "10% for 1m")];
    if let Some(curve) = &mut panel.curve {
        curve.lines.push(line(scene.settings("many errors")));
    }
    let title = format!(
        "Errors are above 5% and become worse. The trigger of 10% for 1m fires at {}, that of 5% \
         for 5m at {}.",
        said(fast),
        said(slow)
    );
    let says = vec![format!("fires at {}", said(fast)), format!("at {}", said(slow))];
    scene.told(title, vec![panel], says)
}

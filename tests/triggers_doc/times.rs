//! How a condition's time is counted: `for`, `share`, grace, clearing.

use rollbackd::replay::plot::{Line, Tone};
use rollbackd_core::{
    ratio::Ratio,
    reading::Reading,
    settings::{Clear, Condition, Hold, Mode, TriggerSettings},
    signal::Signal,
    view::TriggerState::{Breached, Grace, Ok, Pending},
    words::TriggerId,
};

use crate::{
    scene::{Scene, Told, about, errors, picture::line, said, shop},
    world::{at, runs, secs},
};

pub fn bad(second: i64) -> Reading {
    Reading::Value(about(0.11, second))
}

pub fn good(second: i64) -> Reading {
    Reading::Value(about(0.012, second))
}

pub fn named(name: &str, trigger: TriggerSettings) -> TriggerSettings {
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

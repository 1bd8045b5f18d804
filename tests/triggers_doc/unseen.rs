//! What is not known: gaps, blindness, a restart, a suspended machine, a clock
//! that is set.

use rollbackd::replay::plot::{Panel, Tone};
use rollbackd_core::{
    settings::{OnBlind, TriggerSettings},
    view::TriggerState::{Blind, Breached, Ok, Pending},
};

use crate::{
    scene::{Scene, Told, errors, said, shop},
    times::{bad, good, named},
    world::{empty, secs, unanswered},
};

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
        120..240 => unanswered(),
        60..390 => bad(t),
        _ => good(t),
    });
    scene.until(435);
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

//! What comes after a decision: verification, acquittal, and what is thought of
//! a revision.

use rollbackd::replay::plot::{Panel, Tone};
use rollbackd_core::{fact::Fact, incident::Outcome, reading::Reading, settings::TriggerSettings};

use crate::{
    scene::{Scene, Told, about, errors, said, shop},
    world::{secs, unanswered},
};

fn share(value: f64, second: i64) -> Reading {
    Reading::Value(about(value, second))
}

fn panel(scene: &Scene) -> Panel {
    let mut panel = scene.panel("errors");
    panel.strips.push(scene.project());
    panel
}

/// When verification began, from when on samples are judged, and until when.
fn verifying(scene: &Scene) -> (i64, i64, i64) {
    scene.fact(|fact| match fact {
        Fact::Verifying { at, counts_from, until, .. } => {
            Some((scene.second(*at), scene.second(*counts_from), scene.second(*until)))
        }
        _ => None,
    })
}

pub fn verification() -> Told {
    // The number looks a minute back: errors of the new version linger in it.
    let trigger = TriggerSettings { looks_back: secs(60), ..errors() };
    let mut scene = Scene::new(shop(vec![trigger]), 60, |world, _, t| {
        let age = i64::try_from(world.now.since(world.services[0].started).as_secs()).unwrap();
        match world.version("web") {
            2 => share(0.11, t),
            _ if t > 0 && age < 60 => share(0.012 + 0.098 * (60 - age) as f64 / 60.0, t),
            _ => share(0.012, t),
        }
    });
    scene.deploy("web", 2);
    scene.until(420);
    let (began, to) = scene.rollback();
    let (_, counts, _) = verifying(&scene);
    let ended = scene.ended();
    assert_eq!(scene.world.outcomes(), [Outcome::Recovered]);
    assert_eq!(scene.standing(2), "bad");
    scene.mark(began, "rollback", Tone::Breached);
    scene.mark(counts, "judged from here", Tone::Plain);
    scene.mark(ended, "recovered", Tone::Ok);
    let mut panel = panel(&scene);
    panel.strips.push(scene.length(began, counts, "steps, grace, window"));
    let title = format!(
        "A rollback to r{to} begins at {}. Errors of the version before still show in the numbers for \
         a minute and are not judged; the first three samples after that do not breach, and the \
         rollback ends recovered {} after it began.",
        said(began),
        said(ended - began)
    );
    scene.told(title, vec![panel], vec![format!("{} after it began", said(ended - began))])
}

pub fn acquittal() -> Told {
    let trigger = TriggerSettings { recover_within: secs(180), ..errors() };
    let mut scene =
        Scene::new(shop(vec![trigger]), 60, |_, _, t| share(if t >= 90 { 0.11 } else { 0.012 }, t));
    scene.deploy("web", 2);
    scene.until(540);
    let (began, to) = scene.rollback();
    let (_, counts, until) = verifying(&scene);
    let ended = scene.ended();
    assert_eq!(scene.world.outcomes(), [Outcome::NotRecovered]);
    assert_eq!((scene.standing(2), ended), ("unproven", until));
    scene.mark(0, "deployment", Tone::Plain);
    scene.mark(began, "rollback", Tone::Breached);
    scene.mark(ended, "not-recovered: r2 acquitted", Tone::Plain);
    let mut panel = panel(&scene);
    panel.strips.push(scene.length(counts, until, "recover_within = 3m"));
    let title = format!(
        "Errors rise after a deployment, and the project goes back to r{to} at {}. They stay as they \
         were: the rollback ends not-recovered at {}, and r2 is acquitted.",
        said(began),
        said(ended)
    );
    let says =
        vec![format!("goes back at {}", said(began)), format!("not-recovered at {}", said(ended))];
    scene.told(title, vec![panel], says)
}

/// A deployment whose source did not answer for so long in its bake.
fn bake(silent: std::ops::Range<i64>) -> (Scene, i64) {
    let mut scene = Scene::new(shop(vec![errors()]), 60, move |_, _, t| {
        if silent.contains(&t) { unanswered() } else { share(0.012, t) }
    });
    scene.deploy("web", 2);
    scene.until(780);
    let over = scene.second(scene.fact(|fact| match fact {
        Fact::Stands { revision, at, .. } if revision.0 == 2 => Some(*at),
        _ => None,
    }));
    scene.mark(0, "deployment", Tone::Plain);
    (scene, over)
}

pub fn standing() -> Told {
    let (mut scene, over) = bake(300..345);
    assert_eq!(scene.standing(2), "good");
    scene.mark(over, format!("good at {}", said(over)), Tone::Ok);
    let mut panel = panel(&scene);
    panel.strips.push(scene.length(60, over, "bake = 10m"));
    let title = format!(
        "A deployment at 0 settles at 1m and bakes for ten minutes. Its trigger lacks data for less \
         than a minute: r2 is good at {}.",
        said(over)
    );
    scene.told(title, vec![panel], vec![format!("good at {}", said(over))])
}

pub fn standing_unproven() -> Told {
    let (mut scene, over) = bake(300..420);
    assert_eq!(scene.standing(2), "unproven");
    let reason = scene.fact(|fact| match fact {
        Fact::Stands { revision, reason, .. } if revision.0 == 2 => Some(reason.clone()),
        _ => None,
    });
    scene.mark(over, format!("unproven at {}", said(over)), Tone::Plain);
    let mut panel = panel(&scene);
    panel.strips.push(scene.length(60, over, "bake = 10m"));
    let title = format!(
        "The same, but the source does not answer for two minutes: at {} r2 is unproven, because {reason}.",
        said(over)
    );
    scene.told(title, vec![panel], vec![format!("{} r2 is unproven", said(over)), reason])
}

/// r2 was rolled back from; eleven minutes after it was deployed it comes back.
fn known_bad(comes_back: impl Fn(&mut Scene)) -> Scene {
    let slower = TriggerSettings { every: secs(30), max_gap: secs(90), ..errors() };
    let mut settings = shop(vec![TriggerSettings { for_known_bad: secs(40), ..slower }]);
    settings.cooldown = secs(300);
    let mut scene = Scene::new(settings, 60, |world, _, t| {
        share(if world.version("web") == 2 { 0.11 } else { 0.012 }, t)
    });
    scene.deploy("web", 2);
    scene.until(AGAIN);
    assert_eq!(scene.world.outcomes(), [Outcome::Recovered]);
    let (first, _) = scene.rollback();
    scene.mark(0, "v2 deployed", Tone::Plain);
    scene.mark(first, format!("back at {}", said(first)), Tone::Breached);
    comes_back(&mut scene);
    scene
}

const AGAIN: u64 = 660;

pub fn known_bad_again() -> Told {
    let mut scene = known_bad(|scene| {
        scene.deploy("web", 2);
        scene.until(960);
    });
    let told = scene.fact(|fact| match fact {
        Fact::KnownBad { at, .. } => Some(scene.second(*at)),
        _ => None,
    });
    let (pending, (began, _)) = (scene.pending("errors", told), scene.rollback());
    scene.mark(told, "v2 again: told at once", Tone::Plain);
    scene.mark(began, format!("back at {}", said(began)), Tone::Breached);
    let panel = panel(&scene);
    let title = format!(
        "v2 has been rolled back from and is deployed again at {}. People are told at once, and its \
         trigger, pending at {}, needs only `for_known_bad` and fires at {}.",
        said(told),
        said(pending),
        said(began)
    );
    let says = vec![
        format!("again at {}", said(told)),
        format!("pending at {}", said(pending)),
        format!("fires at {}", said(began)),
    ];
    scene.told(title, vec![panel], says)
}

pub fn known_bad_pulled() -> Told {
    let mut scene = known_bad(|scene| {
        scene.pull("web", 2);
        scene.until(840);
    });
    let (began, to) = scene.rollback();
    let after = began - i64::try_from(AGAIN).unwrap();
    scene.mark(began, "v2 pulled, and put back", Tone::Breached);
    let panel = panel(&scene);
    let title = format!(
        "v2 has been rolled back from, and something that is no Compose brings it back at {}. \
         {} later the project goes back to r{to}; no trigger is waited for.",
        said(i64::try_from(AGAIN).unwrap()),
        said(after)
    );
    scene.told(title, vec![panel], vec![format!("{} later", said(after))])
}

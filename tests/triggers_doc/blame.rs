//! Whose fault a breach is: of the deployment that it followed, or of none.

use rollbackd::replay::plot::{Line, Panel, Tone};
use rollbackd_core::{
    reading::Reading,
    revision::Health,
    settings::{Blame, Condition, Group, TriggerSettings},
    signal::Signal,
    view::TriggerState::{Breached, Ok},
    words::{GroupName, ServiceName, TriggerId},
};

use crate::{
    scene::{Scene, Told, about, errors, said, shop},
    world::{World, at, runs, secs},
};

fn share(value: f64, second: i64) -> Reading {
    Reading::Value(about(value, second))
}

/// The trigger, and what the project was doing.
fn panel(scene: &Scene) -> Panel {
    let mut panel = scene.panel("errors");
    panel.strips.push(scene.project());
    panel
}

pub fn blamed() -> Told {
    let mut scene = Scene::new(shop(vec![errors()]), 60, |world, _, t| {
        share(if world.version("web") == 2 && t >= 150 { 0.11 } else { 0.012 }, t)
    });
    scene.deploy("web", 2);
    scene.until(450);
    let (pending, (began, to)) = (scene.pending("errors", 0), scene.rollback());
    let ended = scene.ended();
    scene.mark(0, "deployment", Tone::Plain);
    scene.mark(pending, format!("pending at {}", said(pending)), Tone::Pending);
    scene.mark(began, format!("fires at {}", said(began)), Tone::Breached);
    scene.mark(ended, "recovered", Tone::Ok);
    let title = format!(
        "A deployment at 0. Errors rise above 5% at {}, after it began; the trigger fires at {} and \
         the project goes back to r{to}.",
        said(pending),
        said(began)
    );
    let says = vec![
        format!("pending at {}", said(pending)),
        format!("fires at {}", said(began)),
        format!("back to r{to}"),
    ];
    let panel = panel(&scene);
    scene.told(title, vec![panel], says)
}

/// A breach that a deployment found, and how bad it was after it.
fn found(after: f64) -> Scene {
    let mut scene = Scene::new(shop(vec![errors()]), 240, move |world, _, t| match t {
        ..-180 => share(0.012, t),
        _ if world.version("web") == 2 => Reading::Value(after),
        // Once it went back, what it found is there no more.
        1.. => share(0.012, t),
        _ => Reading::Value(0.1),
    });
    scene.deploy("web", 2);
    scene.until(240);
    scene.mark(0, "deployment", Tone::Plain);
    scene
}

/// Half again as bad as the 10 % that the deployment found.
fn with_half_again(mut panel: Panel) -> Panel {
    let line = Line { value: 0.125, label: "12.5%".into(), tone: Tone::Plain };
    panel.curve.as_mut().unwrap().lines.push(line);
    panel
}

pub fn older() -> Told {
    let mut scene = found(0.12);
    let fires = scene.since("errors", Breached, -240);
    assert!(fires < 0 && scene.world.rollbacks().is_empty());
    let held = scene.world.held();
    assert!(held.last().unwrap().contains("had held before the deployment"), "{held:?}");
    scene.mark(fires, format!("fires at {}", said(fires)), Tone::Breached);
    let panel = with_half_again(panel(&scene));
    let title = format!(
        "Errors are at 10% and the trigger has fired at {}, before the deployment at 0. With 12% \
         afterwards nothing goes back.",
        said(fires)
    );
    scene.told(title, vec![panel], vec![format!("fires at {}", said(fires)), "12.5%".into()])
}

pub fn worse() -> Told {
    let mut scene = found(0.13);
    let (began, to) = scene.rollback();
    scene.mark(began, format!("rollback at {}", said(began)), Tone::Breached);
    let panel = with_half_again(panel(&scene));
    let title = format!(
        "Errors are at 10% and the trigger has fired before the deployment at 0. With 13% \
         afterwards, more than the 12.5% that are half again as bad, the project goes back to r{to} \
         at {}.",
        said(began)
    );
    scene.told(title, vec![panel], vec![format!("back at {}", said(began))])
}

pub fn pending() -> Told {
    let mut scene = Scene::new(shop(vec![errors()]), 120, |world, _, t| {
        let bad = t >= -60 && (t <= 0 || world.version("web") == 2);
        share(if bad { 0.11 } else { 0.012 }, t)
    });
    let before = scene.pending("errors", -120);
    scene.deploy("web", 2);
    scene.until(300);
    let (anew, (began, to)) = (scene.pending("errors", 0), scene.rollback());
    scene.mark(before, format!("pending at {}", said(before)), Tone::Pending);
    scene.mark(0, "deployment", Tone::Plain);
    scene.mark(anew, format!("pending anew at {}", said(anew)), Tone::Pending);
    scene.mark(began, format!("fires at {}", said(began)), Tone::Breached);
    let panel = panel(&scene);
    let title = format!(
        "The trigger is pending since {} when a deployment begins at 0. It starts anew when the \
         deployment has ended, at {}, fires at {}, and the project goes back to r{to}.",
        said(before),
        said(anew),
        said(began)
    );
    let says = vec![
        format!("pending since {}", said(before)),
        format!("pending anew at {}", said(anew)),
        format!("fires at {}", said(began)),
    ];
    scene.told(title, vec![panel], says)
}

pub fn chain() -> Told {
    let mut scene = Scene::new(shop(vec![errors()]), 60, |world, _, t| {
        share(if world.version("web") == 3 { 0.11 } else { 0.012 }, t)
    });
    scene.deploy("web", 2);
    scene.until(240);
    scene.deploy("web", 3);
    scene.until(600);
    let (began, to) = scene.rollback();
    assert_eq!(scene.world.version("web"), 1);
    scene.mark(0, "r2 deployed", Tone::Plain);
    scene.mark(240, "r3 deployed", Tone::Plain);
    scene.mark(began, format!("back to r{to} at {}", said(began)), Tone::Breached);
    let panel = panel(&scene);
    let title = format!(
        "r3 is deployed while r2 still bakes. Errors begin with r3; at {} the project goes back to \
         r{to}, because nobody has seen r2 through its bake.",
        said(began)
    );
    let says = vec![format!("at {} the project goes back to r{to}", said(began))];
    scene.told(title, vec![panel], says)
}

pub fn chain_clean() -> Told {
    let mut scene = Scene::new(shop(vec![errors()]), 60, |world, _, t| {
        share(if world.version("web") == 3 { 0.11 } else { 0.012 }, t)
    });
    scene.deploy("web", 2);
    scene.until(540);
    scene.deploy("web", 3);
    scene.until(840);
    let (began, to) = scene.rollback();
    assert_eq!(scene.world.version("web"), 2);
    scene.mark(0, "r2 deployed", Tone::Plain);
    scene.mark(540, "r3 deployed", Tone::Plain);
    scene.mark(began, format!("back to r{to} at {}", said(began)), Tone::Breached);
    let mut panel = panel(&scene);
    panel.strips.push(scene.length(60, 540, "nothing breached for 8m"));
    let title = format!(
        "r3 is deployed when r2 has run for 8 minutes of its bake without a fault, longer than its \
         `for` and five minutes. Errors begin with r3, and at {} the project goes back to r{to}.",
        said(began)
    );
    let says = vec![format!("at {} the project goes back to r{to}", said(began))];
    scene.told(title, vec![panel], says)
}

/// web is deployed and errs while db, on which it depends, is unhealthy.
fn dependency(blame: Blame) -> Scene {
    let mut services = two_services("db");
    services[0].depends_on = vec!["db"];
    let trigger = TriggerSettings { blame, ..errors() };
    let mut scene = Scene::of(shop(vec![trigger]), 60, services, |world, _, t| {
        let bad = (60..270).contains(&t) && world.version("web") == 2;
        share(if bad { 0.11 } else { 0.012 }, t)
    });
    scene.deploy("web", 2);
    scene.until(30);
    scene.health("db", Health::Unhealthy);
    scene.until(255);
    scene.health("db", Health::Healthy);
    scene.until(360);
    scene.mark(0, "web deployed", Tone::Plain);
    scene
}

fn dependency_panel(scene: &Scene) -> Panel {
    let mut panel = panel(scene);
    let db = [
        (-60, 30, Tone::Ok, "healthy"),
        (30, 255, Tone::Breached, "unhealthy"),
        (255, 360, Tone::Ok, "healthy"),
    ];
    panel.strips.push(scene.lasted("db", &db));
    panel
}

pub fn careful() -> Told {
    let mut scene = dependency(Blame::Careful);
    let fires = scene.since("errors", Breached, 0);
    assert!(scene.world.rollbacks().is_empty());
    let held = scene.world.held();
    assert!(held[0].contains("db, which web depends on"), "{held:?}");
    scene.mark(fires, format!("fires at {}: told only", said(fires)), Tone::Breached);
    let panel = dependency_panel(&scene);
    let title = format!(
        "web is deployed and errs, and db, on which it depends, is unhealthy. At {} people are told; \
         nothing goes back, and when db is healthy the errors end.",
        said(fires)
    );
    scene.told(title, vec![panel], vec![format!("fires at {}", said(fires)), held[0].clone()])
}

pub fn always() -> Told {
    let mut scene = dependency(Blame::Always);
    let (began, to) = scene.rollback();
    scene.mark(began, format!("back to r{to} at {}", said(began)), Tone::Breached);
    let panel = dependency_panel(&scene);
    let title = format!(
        "The same with `blame = \"always\"`: at {} the project goes back to r{to} although db is \
         unhealthy.",
        said(began)
    );
    scene.told(title, vec![panel], vec![format!("goes back at {}", said(began))])
}

pub fn others() -> Told {
    let api = TriggerSettings {
        id: TriggerId::new("api"),
        name: "api errors".into(),
        service: ServiceName::new("api"),
        ..errors()
    };
    let services = two_services("api");
    let mut scene = Scene::of(shop(vec![errors(), api]), 60, services, |_, trigger, t| {
        let bad = (30..285).contains(&t);
        let much = if trigger.name == "errors" { 0.11 } else { 0.09 };
        share(if bad { much } else { 0.012 }, t)
    });
    scene.deploy("web", 2);
    scene.until(330);
    let (fires, other) =
        (scene.since("errors", Breached, 0), scene.since("api errors", Breached, 0));
    assert!(scene.world.rollbacks().is_empty());
    let held = scene.world.held();
    let said_so = held.iter().find(|why| why.contains("is bad as well")).unwrap().clone();
    scene.mark(0, "web deployed", Tone::Plain);
    scene.mark(other, format!("api fires at {}", said(other)), Tone::Breached);
    scene.mark(fires, format!("web fires at {}: told only", said(fires)), Tone::Breached);
    let web = scene.panel("errors");
    let mut other_panel = scene.panel("api errors");
    other_panel.strips.push(scene.project());
    let title = format!(
        "web is deployed and errs, and so does api, which was not deployed and needs nothing that \
         was. When web fires at {} people are told, and nothing goes back.",
        said(fires)
    );
    let says = vec![format!("web fires at {}", said(fires)), said_so];
    scene.told(title, vec![web, other_panel], says)
}

pub fn group() -> Told {
    let front = GroupName::new("front");
    let errors = TriggerSettings { group: Some(front.clone()), ..errors() };
    let slow = TriggerSettings {
        id: TriggerId::new("slow"),
        name: "slow".into(),
        signal: Signal::parse("latency_p99"),
        condition: Condition::Above(2.0),
        ..errors.clone()
    };
    let mut settings = shop(vec![errors, slow]);
    settings.groups = vec![Group { name: front, needs: 2 }];
    let mut scene = Scene::new(settings, 60, |world, trigger, t| {
        let new = world.version("web") == 2;
        match trigger.name.as_str() {
            "errors" => share(if new { 0.08 } else { 0.012 }, t),
            _ => Reading::Value(about(if new && t >= 150 { 3.1 } else { 0.4 }, t)),
        }
    });
    scene.deploy("web", 2);
    scene.until(330);
    let first = scene.since("errors", Breached, 0);
    let (began, to) = scene.rollback();
    assert_eq!(began, scene.since("slow", Breached, 0));
    let held = scene.world.held();
    assert!(held[0].contains("1 of the 2 triggers of group front"), "{held:?}");
    scene.mark(0, "deployment", Tone::Plain);
    scene.mark(first, format!("errors: {}", said(first)), Tone::Breached);
    scene.mark(began, format!("both: back to r{to}"), Tone::Breached);
    let top = scene.panel("errors");
    let mut bottom = scene.panel("slow");
    bottom.strips.push(scene.project());
    let title = format!(
        "Two triggers of a group that needs 2. Errors breach at {} and people are told; at {} the \
         latency breaches as well, and the project goes back to r{to}.",
        said(first),
        said(began)
    );
    let says = vec![
        format!("at {} errors breach", said(first)),
        format!("at {} the latency", said(began)),
        held[0].clone(),
    ];
    scene.told(title, vec![top, bottom], says)
}

fn two_services(name: &'static str) -> Vec<crate::world::Runs> {
    let old = at(0) - secs(3600);
    vec![runs("web", 1, old), runs(name, 1, old)]
}

fn auth_errs(world: &World, t: i64) -> Reading {
    share(if world.version("auth") == 2 { 0.11 } else { 0.012 }, t)
}

pub fn blames() -> Told {
    let trigger = TriggerSettings { blames: vec![ServiceName::new("auth")], ..errors() };
    let run = |trigger| {
        let services = two_services("auth");
        let mut scene =
            Scene::of(shop(vec![trigger]), 60, services, |world, _, t| auth_errs(world, t));
        scene.deploy("auth", 2);
        scene.until(330);
        scene
    };
    let without = run(errors());
    assert!(without.world.rollbacks().is_empty(), "auth is not web");
    assert!(without.world.held()[0].contains("no deployment of web"), "{:?}", without.world.held());
    let mut scene = run(trigger);
    let (began, to) = scene.rollback();
    assert_eq!(scene.world.version("auth"), 1);
    scene.mark(0, "auth deployed", Tone::Plain);
    scene.mark(began, format!("auth goes back at {}", said(began)), Tone::Breached);
    let panel = panel(&scene);
    let title = format!(
        "auth is deployed at 0 and web errs. The trigger of web blames auth too: at {} auth goes \
         back to what it was in r{to}.",
        said(began)
    );
    scene.told(title, vec![panel], vec![format!("at {} auth goes back", said(began))])
}

pub fn nobody() -> Told {
    let mut scene = Scene::new(shop(vec![errors()]), 60, |_, _, t| match t {
        780..960 => share(0.11, t),
        _ => share(0.012, t),
    });
    scene.deploy("web", 2);
    scene.until(1020);
    let fires = scene.since("errors", Breached, 0);
    let good = scene.second(scene.fact(|fact| match fact {
        rollbackd_core::fact::Fact::Stands { revision, at, .. } if revision.0 == 2 => Some(*at),
        _ => None,
    }));
    assert!(scene.world.rollbacks().is_empty());
    assert!(scene.world.held()[0].contains("in its bake"));
    assert!(scene.since("errors", Ok, fires) > fires);
    scene.mark(0, "deployment", Tone::Plain);
    scene.mark(good, format!("bake over at {}", said(good)), Tone::Ok);
    scene.mark(fires, format!("alert at {}", said(fires)), Tone::Breached);
    let panel = panel(&scene);
    let title = format!(
        "A deployment at 0 has become good at {}. A breach at {} is blamed on nobody: people are \
         told, nothing goes back.",
        said(good),
        said(fires)
    );
    let says = vec![format!("good at {}", said(good)), format!("breach at {}", said(fires))];
    scene.told(title, vec![panel], says)
}

//! Whose fault a breach is: chains and clean revisions, what a service depends
//! on, what breaches besides, groups, and what is known to be bad.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod world;

use rollbackd_core::{
    effect::News,
    event::Command,
    fact::Fact,
    incident::{Cause, Outcome},
    reading::Reading,
    revision::{Health, Standing},
    settings::{Action, Blame, Condition, Group, Hold, NotRecovered, OnBlind, TriggerSettings},
    signal::Signal,
    view::TriggerState,
    words::{GroupName, ProjectName, RevisionNo, ServiceName, TriggerId},
};
use world::*;

fn of(service: &str) -> TriggerSettings {
    TriggerSettings {
        id: TriggerId::new(service),
        name: format!("{service} errors"),
        service: ServiceName::new(service),
        ..errors()
    }
}

/// Bad are these versions of these services.
fn bad(world: &mut World, versions: &'static [(&'static str, u8)]) {
    world.reads = Box::new(move |world, trigger| {
        let service = trigger.service.as_str();
        let is_bad = versions.contains(&(service, world.version(service)));
        Reading::Value(if is_bad { 0.2 } else { 0.0 })
    });
}

/// `web`, which depends on `db`, and `auth`, which depends on nothing.
fn street(triggers: Vec<TriggerSettings>) -> World {
    let long_ago = at(0) - secs(3600);
    let mut services = ["web", "db", "auth"].map(|name| runs(name, 1, long_ago)).to_vec();
    services[0].depends_on = vec!["db"];
    let mut world = World::of(shop(triggers), services);
    bad(&mut world, &[]);
    world.run(2500);
    assert_eq!(world.view().standing.unwrap(), Standing::Good);
    world.facts.clear();
    world.notices.clear();
    world
}

fn unwell(world: &mut World, service: &str, health: Health) {
    world.services.iter_mut().find(|runs| runs.name == service).unwrap().health = health;
    world.look();
}

#[test]
fn a_deployment_is_not_blamed_while_what_it_depends_on_is_unhealthy() {
    let mut world = street(vec![of("web")]);
    bad(&mut world, &[("web", 2)]);
    world.deploy("web", 2);
    unwell(&mut world, "db", Health::Unhealthy);
    world.run(600);
    assert_eq!(world.version("web"), 2);
    let why = "db, which web depends on and which was not deployed, is unhealthy";
    assert_eq!(world.held(), [why]);
    unwell(&mut world, "db", Health::Healthy);
    world.run(60);
    assert_eq!(world.version("web"), 1, "the breach is still there when the guard lifts");
}

#[test]
fn it_is_blamed_for_a_dependency_that_it_deployed_itself() {
    let mut world = street(vec![of("web")]);
    bad(&mut world, &[("web", 2)]);
    world.deploy("web", 2);
    world.deploy("db", 2);
    unwell(&mut world, "db", Health::Unhealthy);
    world.run(600);
    assert_eq!((world.version("web"), world.version("db")), (1, 1));
}

#[test]
fn it_is_not_blamed_while_others_breach_that_were_not_deployed() {
    let mut world = street(vec![of("web"), of("auth")]);
    bad(&mut world, &[("web", 2)]);
    world.deploy("web", 2);
    world.run(60);
    world.reads = Box::new(|_, _| Reading::Value(0.3));
    world.run(600);
    assert_eq!(world.version("web"), 2);
    let held = world.held();
    let why =
        "auth errors is bad as well, and auth was not deployed and depends on nothing that was";
    assert!(held.contains(&why.to_owned()), "{held:?}");
    bad(&mut world, &[("web", 2)]);
    world.run(60);
    assert_eq!(world.version("web"), 1, "web alone is the deployment's");
}

#[test]
fn what_breaches_because_it_depends_on_what_was_deployed_does_not_acquit_it() {
    let mut world = street(vec![of("web"), of("db")]);
    bad(&mut world, &[("db", 2)]);
    world.deploy("db", 2);
    let db = world.version("db");
    world.reads =
        Box::new(move |world, _| Reading::Value(if world.version("db") == db { 0.2 } else { 0.0 }));
    world.run(600);
    assert_eq!(world.version("db"), 1, "{:?}", world.held());
}

#[test]
fn an_older_breach_elsewhere_does_not_acquit_it() {
    let mut world = street(vec![of("web"), of("auth")]);
    bad(&mut world, &[("web", 2), ("auth", 1)]);
    world.run(600);
    world.deploy("web", 2);
    world.run(600);
    assert_eq!(world.version("web"), 1, "{:?}", world.held());
}

#[test]
fn blame_always_rolls_back_whatever_else_is_wrong() {
    let always = |service| TriggerSettings { blame: Blame::Always, ..of(service) };
    let mut world = street(vec![always("web"), of("auth")]);
    world.deploy("web", 2);
    unwell(&mut world, "db", Health::Unhealthy);
    world.run(60);
    world.reads =
        Box::new(|world, _| Reading::Value(if world.version("web") == 2 { 0.3 } else { 0.0 }));
    world.run(600);
    assert_eq!(world.version("web"), 1, "{:?}", world.held());
}

#[test]
fn the_chain_is_blamed_only_back_to_a_revision_that_was_seen_clean() {
    let mut world = street(vec![of("web"), of("auth")]);
    bad(&mut world, &[("web", 3)]);
    world.deploy("web", 2);
    world.run(60 + 60 + 300 + 120);
    world.deploy("web", 3);
    world.run(400);
    assert_eq!(world.version("web"), 2, "two was clean for its `for` and five minutes");
    let clean = world.facts.iter().any(|fact| matches!(fact, Fact::Clean { .. }));
    assert!(clean);
}

#[test]
fn a_revision_that_was_not_seen_long_enough_shares_the_blame() {
    let mut world = street(vec![of("web")]);
    bad(&mut world, &[("web", 3)]);
    world.deploy("web", 2);
    world.run(200);
    world.deploy("web", 3);
    world.run(400);
    assert_eq!(world.version("web"), 1);
}

#[test]
fn a_clean_revision_is_still_blamed_for_what_it_alone_changed() {
    let mut world = street(vec![of("web"), of("auth")]);
    world.deploy("web", 2);
    bad(&mut world, &[]);
    world.run(60 + 60 + 300 + 120);
    world.deploy("auth", 2);
    world.run(200);
    // A slow leak: it shows only now.
    bad(&mut world, &[("web", 2)]);
    world.run(400);
    assert_eq!(world.version("web"), 1, "{:?}", world.held());
}

#[test]
fn a_group_acts_only_when_enough_of_it_breaches() {
    let mut settings = shop(Vec::new());
    let group = GroupName::new("front");
    let member = |id: &str| TriggerSettings {
        id: TriggerId::new(id),
        name: id.into(),
        group: Some(group.clone()),
        ..errors()
    };
    settings.triggers = vec![member("first"), member("second"), member("third")];
    settings.groups = vec![Group { name: group.clone(), needs: 2 }];
    let mut world = World::proven(settings);
    world.deploy("web", 2);
    world.reads = Box::new(|world, trigger| {
        let is_bad = world.version("web") == 2 && trigger.id.as_str() == "first";
        Reading::Value(if is_bad { 0.2 } else { 0.0 })
    });
    world.run(600);
    assert_eq!(world.version("web"), 2);
    assert_eq!(world.held(), ["1 of the 3 triggers of group front breach; it needs 2"]);
    world.reads = Box::new(|world, trigger| {
        let is_bad = world.version("web") == 2 && trigger.id.as_str() != "third";
        Reading::Value(if is_bad { 0.2 } else { 0.0 })
    });
    world.run(200);
    assert_eq!(world.version("web"), 1);
    assert_eq!(world.rollbacks()[0].joined.len(), 1, "the rollback knows the other");
    assert_eq!(world.outcomes(), [Outcome::Recovered]);
}

#[test]
fn going_back_that_does_not_help_acquits_the_revision() {
    let mut world = World::proven(shop(vec![errors()]));
    world.deploy("web", 2);
    world.reads = Box::new(|_, _| Reading::Value(0.2));
    world.run(2000);
    assert_eq!(world.outcomes(), [Outcome::NotRecovered]);
    let revisions = world.view().revisions;
    assert!(revisions[1].acquitted);
    assert_eq!(revisions[1].standing, Standing::Unproven);
    // Its image is not known bad: deployed again, nothing is announced.
    world.reads = Box::new(|_, _| Reading::Value(0.0));
    world.run(900);
    world.deploy("web", 2);
    world.run(60);
    assert!(!world.notices.iter().any(|n| matches!(n.news, News::KnownBad { .. })));
}

#[test]
fn a_revision_that_was_gone_forward_to_can_become_good() {
    let mut settings = shop(vec![errors()]);
    settings.not_recovered = NotRecovered::Forward;
    let mut world = World::proven(settings);
    world.deploy("web", 2);
    world.reads = Box::new(|_, _| Reading::Value(0.2));
    world.run(1600);
    assert_eq!(world.version("web"), 2);
    world.reads = Box::new(|_, _| Reading::Value(0.0));
    world.run(3000);
    let view = world.view();
    assert_eq!((view.revision, view.standing), (Some(RevisionNo(2)), Some(Standing::Good)));
}

/// Rolled back from version 2 and recovered, long enough ago.
fn warned(mut world: World) -> World {
    bad(&mut world, &[("web", 2)]);
    world.deploy("web", 2);
    world.run(1200);
    assert_eq!(world.outcomes(), [Outcome::Recovered]);
    world.facts.clear();
    world.notices.clear();
    world
}

fn announced(world: &World) -> Vec<bool> {
    let of = |news: &News| match news {
        News::KnownBad { unattended, .. } => Some(*unattended),
        _ => None,
    };
    world.notices.iter().filter_map(|notice| of(&notice.news)).collect()
}

#[test]
fn a_person_who_deploys_a_known_bad_image_is_told_at_once_and_its_triggers_are_quicker() {
    let mut world = warned(World::proven(shop(vec![errors()])));
    let began = world.now;
    world.deploy("web", 2);
    assert_eq!(announced(&world), [false], "once, and at once");
    world.run(240);
    assert_eq!(announced(&world), [false]);
    assert_eq!(world.version("web"), 1);
    let breach = world.rollbacks()[0].breach().unwrap().clone();
    assert!(breach.at.since(breach.pending_since) < secs(60), "20 s instead of a minute");
    assert!(breach.at.since(began) < secs(120));
}

#[test]
fn a_known_bad_image_that_a_puller_brings_back_is_put_back_at_once_outside_the_budget() {
    let mut settings = shop(vec![errors()]);
    settings.max_rollbacks = 1;
    let mut world = warned(World::proven(settings));
    world.pull("web", 2);
    assert_eq!(announced(&world), [true]);
    world.run(6);
    assert_eq!(world.version("web"), 1, "it need not be bad for a while first");
    let rollback = world.rollbacks()[0].clone();
    assert!(matches!(rollback.cause, Cause::KnownBad { .. }));
    world.run(300);
    assert_eq!(world.outcomes(), [Outcome::Recovered]);
}

#[test]
fn a_known_bad_image_that_comes_back_within_minutes_is_put_back_whoever_brought_it() {
    let mut world = World::proven(shop(vec![errors()]));
    bad(&mut world, &[("web", 2)]);
    world.deploy("web", 2);
    world.run(400);
    assert_eq!(world.outcomes(), [Outcome::Recovered]);
    world.deploy("web", 2);
    world.run(62);
    assert_eq!(world.version("web"), 1, "when Compose has settled");
}

#[test]
fn what_brings_it_back_more_than_three_times_in_an_hour_must_be_stopped_by_a_person() {
    let mut world = warned(World::proven(shop(vec![errors()])));
    world.pullers = vec!["watchtower".into()];
    for _ in 0..4 {
        world.pull("web", 2);
        world.run(240);
    }
    let put_back = |cause: &Cause| matches!(cause, Cause::KnownBad { .. });
    let count = world.rollbacks().iter().filter(|incident| put_back(&incident.cause)).count();
    assert_eq!(count, 3);
    let held = world.held();
    let told = held.iter().find(|why| why.contains("stop the container that does it: watchtower"));
    assert!(told.is_some(), "{held:?}");
}

#[test]
fn going_forward_to_a_known_bad_image_clears_its_mark() {
    let mut world = warned(World::proven(shop(vec![errors()])));
    bad(&mut world, &[]);
    let forward = Command::Forward { project: ProjectName::new("shop"), service: None };
    world.command(forward).unwrap();
    world.run(300);
    assert_eq!(world.version("web"), 2);
    world.deploy("web", 1);
    world.run(300);
    world.deploy("web", 2);
    assert_eq!(announced(&world), [] as [bool; 0]);
}

#[test]
fn a_paused_project_keeps_even_a_known_bad_image() {
    let mut world = warned(World::proven(shop(vec![errors()])));
    let pause = Command::Pause { project: None, lasts: None, reason: "mine".into() };
    world.command(pause).unwrap();
    world.pull("web", 2);
    world.run(300);
    assert_eq!(world.version("web"), 2);
    assert!(world.held().iter().any(|why| why.contains("paused")));
}

#[test]
fn two_levels_on_one_signal_warn_first_and_act_later() {
    let warn = TriggerSettings { id: TriggerId::new("warn"), action: Action::Alert, ..errors() };
    let act = TriggerSettings { condition: Condition::Above(0.1), ..errors() };
    let mut world = World::proven(shop(vec![warn, act]));
    world.deploy("web", 2);
    world.reads =
        Box::new(|world, _| Reading::Value(if world.version("web") == 2 { 0.07 } else { 0.0 }));
    world.run(400);
    assert_eq!((world.version("web"), world.held().len()), (2, 1));
    world.reads =
        Box::new(|world, _| Reading::Value(if world.version("web") == 2 { 0.2 } else { 0.0 }));
    world.run(400);
    assert_eq!(world.version("web"), 1);
}

#[test]
fn what_was_blind_before_the_deployment_is_no_breach_by_blindness() {
    let trigger = TriggerSettings { on_blind: OnBlind::Breach, ..errors() };
    let mut world = World::proven(shop(vec![trigger]));
    world.reads = Box::new(|_, _| unanswered());
    world.run(300);
    world.deploy("web", 2);
    world.run(900);
    assert_eq!(world.version("web"), 2);
    assert_eq!(world.state("errors"), TriggerState::Blind);
}

#[test]
fn why_tells_every_guard_with_its_values() {
    let mut world = World::proven(shop(vec![errors()]));
    let pause = Command::Pause { project: None, lasts: None, reason: "launch".into() };
    world.command(pause).unwrap();
    world.deploy("web", 2);
    world.run(600);
    let why =
        world.core.why(&ProjectName::new("shop"), &ServiceName::new("web"), world.now).unwrap();
    assert_eq!(why.says, "errors breaches, and pause holds: shop is paused (launch)");
    let trigger = &why.triggers[0];
    assert_eq!(trigger.view.state, TriggerState::Breached);
    assert!(trigger.says.starts_with("20% is above 5% for "), "{}", trigger.says);
    let failing: Vec<&str> = trigger
        .checks
        .iter()
        .filter(|check| !check.passed)
        .map(|check| check.guard.asks())
        .collect();
    assert_eq!(failing, ["pause"]);
    let says: Vec<&str> = trigger.checks.iter().map(|check| check.says.as_str()).collect();
    assert!(says.contains(&"web would go back to revision 1 (good)"), "{says:#?}");
    assert!(says.contains(&"0 of 3 rollbacks from the same image in 24 h"), "{says:#?}");
}

#[test]
fn why_agrees_with_what_was_decided() {
    for version in [1, 2] {
        let mut world = World::proven(shop(vec![errors()]));
        world.deploy("web", version);
        for _ in 0..600 {
            let before = world.rollbacks().len();
            let why = |world: &World| {
                world
                    .core
                    .why(&ProjectName::new("shop"), &ServiceName::new("web"), world.now)
                    .unwrap()
            };
            let said = why(&world);
            let clear = said.triggers.iter().any(|trigger| {
                trigger.view.state == TriggerState::Breached
                    && trigger.checks.iter().all(|check| check.passed)
            });
            assert!(!clear, "what may act has acted");
            world.run(1);
            if world.rollbacks().len() > before {
                let checks = &said.triggers[0].checks;
                assert!(checks.iter().all(|check| check.passed), "{checks:#?}");
            }
        }
    }
}

#[test]
fn the_whole_core_is_the_same_after_it_was_written_down_and_read() {
    let share =
        Hold::Share { share: rollbackd_core::ratio::Ratio::new(0.7).unwrap(), within: secs(90) };
    let slow = TriggerSettings { hold: share, id: TriggerId::new("slow"), ..errors() };
    let health = TriggerSettings {
        id: TriggerId::new("health"),
        signal: Signal::Health,
        condition: Condition::AtLeast(3.0),
        ..errors()
    };
    let mut world = warned(World::proven(shop(vec![errors(), slow, health])));
    world.deploy("web", 2);
    for _ in 0..100 {
        world.run(3);
        let text = serde_json::to_string(&world.core).unwrap();
        let again: rollbackd_core::reducer::Core = serde_json::from_str(&text).unwrap();
        let name = (ProjectName::new("shop"), ServiceName::new("web"));
        assert_eq!(
            again.why(&name.0, &name.1, world.now),
            world.core.why(&name.0, &name.1, world.now)
        );
        assert_eq!(serde_json::to_string(&again).unwrap(), text);
    }
}

#[test]
fn what_is_said_of_a_known_bad_image_is_what_is_done_with_it() {
    for (away, put_back) in [(295, true), (310, false)] {
        let mut world = World::proven(shop(vec![errors()]));
        bad(&mut world, &[("web", 2)]);
        world.deploy("web", 2);
        while world.outcomes().is_empty() {
            world.run(1);
        }
        world.run(away);
        // A long pull: the old container is gone, the new one comes later.
        let began = world.now;
        world.services[0].containers = 0;
        world.look();
        world.run(10);
        world.services[0].containers = 1;
        world.deploy("web", 2);
        assert_eq!(announced(&world), [put_back], "begun at {began}");
        world.run(70);
        assert_eq!(world.version("web"), if put_back { 1 } else { 2 });
    }
}

#[test]
fn a_known_bad_image_of_an_announced_deployment_is_a_persons() {
    let mut world = World::proven(shop(vec![errors()]));
    bad(&mut world, &[("web", 2)]);
    world.deploy("web", 2);
    while world.outcomes().is_empty() {
        world.run(1);
    }
    world.run(30);
    let project = ProjectName::new("shop");
    let begins = Command::DeployBegins { project, id: "job".into(), limit: secs(600) };
    world.command(begins).unwrap();
    world.deploy("web", 2);
    assert_eq!(announced(&world), [false]);
    let ends = Command::DeployEnds { project: ProjectName::new("shop"), id: "job".into() };
    world.command(ends).unwrap();
    world.run(35);
    assert_eq!(world.view().deploying_since, None);
    assert_eq!(world.rollbacks().len(), 1, "it goes back only when it breaches again");
}

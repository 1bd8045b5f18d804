//! Decisions at odd moments: a reload or a kill in the middle, a state that
//! cannot be written, looks that come late.
#![allow(missing_docs, clippy::unwrap_used)]

mod world;

use rollbackd_core::{
    effect::News,
    event::{Command, Event},
    fact::Fact,
    incident::Outcome,
    plan::{Does, Fault, StepOutcome},
    reading::{Reading, Sample},
    revision::Standing,
    settings::{Action, Condition, Hold, NotRecovered, OnBlind, Settings, TriggerSettings},
    view::TriggerState,
    words::{ProjectName, RevisionNo, TriggerId},
};
use world::*;

/// A world in which the rollback from version 2 is being verified.
fn verifying(trigger: TriggerSettings) -> World {
    let mut world = World::proven(shop(vec![trigger]));
    world.deploy("web", 2);
    while world.version("web") == 2 {
        world.run(1);
    }
    assert!(world.outcomes().is_empty());
    world
}

#[test]
fn a_trigger_that_was_removed_while_it_was_judged_is_no_recovery() {
    let mut world = verifying(errors());
    let other = TriggerSettings { id: TriggerId::new("other"), ..errors() };
    world.reload(Settings { projects: vec![shop(vec![other])] });
    world.run(1500);
    assert_eq!(world.outcomes(), [Outcome::Unverified]);
}

#[test]
fn a_project_that_leaves_the_configuration_while_it_is_verified_ends_unverified() {
    let mut world = verifying(errors());
    world.reload(Settings { projects: vec![] });
    world.run(1500);
    assert_eq!(world.outcomes(), [Outcome::Unverified]);
}

#[test]
fn what_a_running_rollback_goes_back_to_is_kept_though_its_project_was_removed() {
    let mut world = World::proven(shop(vec![errors()]));
    world.prompt = false;
    world.deploy("web", 2);
    world.run(300);
    world.core.configure(&Settings { projects: vec![] }, world.now);
    let kept = world.core.kept();
    let numbers: Vec<RevisionNo> = kept[0].1.iter().map(|revision| revision.number).collect();
    assert_eq!(numbers, [RevisionNo(1), RevisionNo(2)]);
}

#[test]
fn a_project_that_comes_back_into_the_configuration_is_looked_at_before_it_is_acted_on() {
    let mut world = World::proven(shop(vec![errors()]));
    let settings = world.settings.clone();
    world.reload(Settings { projects: vec![] });
    world.run(600);
    world.core.configure(&settings, world.now);
    world.settings = settings;
    let refusal = world.command(by_hand()).unwrap_err();
    assert_eq!(refusal.message, "shop has not been looked at yet");
}

#[test]
fn a_trigger_whose_threshold_changed_while_it_was_judged_is_judged_by_the_new_one() {
    let mut world = verifying(errors());
    let stricter = TriggerSettings { condition: Condition::Above(0.04), ..errors() };
    world.reload(Settings { projects: vec![shop(vec![stricter])] });
    world.run(1500);
    assert_eq!(world.outcomes(), [Outcome::Recovered]);
}

#[test]
fn a_sample_of_what_was_measured_before_a_reload_is_not_taken_for_the_new_measure() {
    let mut world = World::proven(shop(vec![errors()]));
    let before = place(&world, "errors");
    let now =
        TriggerSettings { measures: "another query".into(), hold: Hold::For(secs(0)), ..errors() };
    world.reload(Settings { projects: vec![shop(vec![now])] });
    let reading = Reading::Value(0.9);
    world.event(Event::Sample(Sample { trigger: before, at: world.now, reading }));
    assert!(!world.facts.iter().any(|fact| matches!(fact, Fact::Breached { .. })));
}

#[test]
fn a_trigger_that_is_asked_oftener_after_a_reload_is_blind_sooner() {
    let slow = TriggerSettings {
        every: secs(900),
        max_gap: secs(2700),
        on_blind: OnBlind::Alert,
        ..errors()
    };
    let quick = TriggerSettings { on_blind: OnBlind::Alert, ..errors() };
    let mut world = World::new(shop(vec![slow]));
    world.run(60);
    world.reads = Box::new(|_, _| unanswered());
    world.reload(Settings { projects: vec![shop(vec![quick])] });
    world.run(120);
    assert!(world.notices.iter().any(|notice| matches!(notice.news, News::Blind { .. })));
}

#[test]
fn a_further_target_is_reached_though_the_last_look_showed_the_one_that_failed() {
    let mut world = World::proven(shop(vec![errors()]));
    world.reads =
        Box::new(|world, _| Reading::Value(if world.version("web") == 3 { 0.2 } else { 0.0 }));
    world.deploy("web", 2);
    world.run(2400);
    world.prompt = false;
    world.deploy("web", 3);
    world.run(300);
    let mut healthy = 0;
    for _ in 0..40 {
        let Some((incident, run, does)) = world.open.pop() else { break };
        let mut outcome = StepOutcome::Done(String::new());
        match &does {
            Does::Recreate { image: wanted, .. } => {
                world.services[0].version = if *wanted == image(2) { 2 } else { 1 };
                world.look();
            }
            Does::WaitHealthy { .. } => {
                healthy += 1;
                if healthy == 1 {
                    outcome = failed("it exits with 3", Fault::Target);
                }
            }
            // The look that shows it comes only after the next step has begun.
            Does::PutBack { .. } => world.services[0].version = 3,
            _ => {}
        }
        let late = matches!(does, Does::Retag { .. });
        world.event(Event::StepEnded { incident, run, outcome });
        if late {
            world.look();
        }
    }
    world.prompt = true;
    world.run(600);
    assert_eq!(world.version("web"), 1);
    assert_eq!(world.outcomes(), [Outcome::Recovered]);
}

#[test]
fn killed_just_after_a_deployment_it_counts_again() {
    let mut world = World::new(shop(vec![errors()]));
    world.run(2400);
    world.reads = Box::new(|_, _| Reading::Value(0.2));
    world.run(30);
    world.deploy("web", 2);
    let held_back = world.core.checkpoint();
    world.run(70);
    assert!(world.view().deploying_since.is_none());
    world.restart_from(held_back, 1);
    world.run(600);
    assert_eq!(world.rollbacks().len(), 1, "{:?}", world.held());
}

#[test]
fn that_a_trigger_is_blind_is_told_though_the_first_turn_could_not_be_committed() {
    let alert = TriggerSettings { on_blind: OnBlind::Alert, ..errors() };
    let mut world = World::proven(shop(vec![alert]));
    world.reads = Box::new(|_, _| unanswered());
    let mut said = 0;
    for _ in 0..300 {
        world.now = world.now + secs(1);
        said += world.dropped(Event::Deadline).effects.len();
    }
    assert!(said >= 1);
    world.run(120);
    let blind = world.notices.iter().filter(|n| matches!(n.news, News::Blind { .. })).count();
    assert_eq!(blind, 1);
}

#[test]
fn not_recovered_forward_waits_for_a_person_while_paused() {
    let mut settings = shop(vec![errors()]);
    settings.not_recovered = NotRecovered::Forward;
    let mut world = World::proven(settings);
    world.deploy("web", 2);
    world.reads = Box::new(|_, _| Reading::Value(0.3));
    while world.version("web") == 2 {
        world.run(1);
    }
    world.command(Command::Pause { project: None, lasts: None, reason: String::new() }).unwrap();
    world.run(3000);
    assert_eq!(world.outcomes(), [Outcome::NotRecovered]);
    assert_eq!(world.version("web"), 1);
}

#[test]
fn forward_does_not_overwrite_what_somebody_has_deployed_meanwhile() {
    let mut world = World::proven(shop(vec![errors()]));
    world.deploy("web", 2);
    world.run(400);
    assert_eq!(world.version("web"), 1);
    world.deploy("web", 3);
    let facts = world.facts.len();
    let forward = Command::Forward { project: ProjectName::new("shop"), service: None };
    let refusal = world.command(forward).unwrap_err();
    assert_eq!(refusal.message, "shop was deployed again since rollback 1");
    assert_eq!((world.version("web"), world.facts.len()), (3, facts));
}

#[test]
fn an_image_that_is_no_longer_kept_is_not_shown_as_restorable() {
    let mut world = World::proven(shop(vec![errors()]));
    world.reads = Box::new(|_, _| Reading::Value(0.0));
    for version in 2..=6 {
        world.deploy("web", version);
        world.run(2400);
    }
    assert_eq!(world.view().revisions[0].problem.as_deref(), Some("no longer kept"));
}

#[test]
fn a_breach_that_began_in_the_chain_is_blamed_though_another_deployment_came_after_it() {
    let mut world = World::proven(shop(vec![errors()]));
    world.command(Command::Pause { project: None, lasts: None, reason: String::new() }).unwrap();
    world.deploy("web", 2);
    world.run(400);
    assert_eq!(world.state("errors"), TriggerState::Breached);
    world.deploy("web", 3);
    world.run(400);
    world.command(Command::Resume { project: None }).unwrap();
    world.run(60);
    assert_eq!(world.version("web"), 1, "{:?}", world.held());
}

#[test]
fn what_completed_only_after_the_deployment_had_begun_starts_anew() {
    let mut world = World::proven(shop(vec![errors()]));
    world.reads = Box::new(|_, _| Reading::Value(0.2));
    while world.state("errors") != TriggerState::Pending {
        world.run(1);
    }
    world.run(50);
    // The engine says when it began; the look that tells comes later.
    let began = world.now;
    world.services[0] = runs("web", 2, began);
    while world.state("errors") == TriggerState::Pending {
        world.now = world.now + secs(1);
        if (world.now.as_nanos() / 1_000_000_000).is_multiple_of(15) {
            let (trigger, at) = (place(&world, "errors"), world.now);
            world.event(Event::Sample(Sample { trigger, at, reading: Reading::Value(0.2) }));
        }
    }
    assert_eq!(world.state("errors"), TriggerState::Breached);
    let mut seen = world.observation();
    seen.changed_at = Some(began);
    world.event(Event::Observed(seen));
    world.run(600);
    assert_eq!(world.rollbacks().len(), 1, "{:?}", world.held());
}

#[test]
fn killed_in_a_deployment_what_was_pending_before_it_still_starts_anew() {
    for graceful in [true, false] {
        let mut world = World::new(shop(vec![TriggerSettings { grace: secs(0), ..errors() }]));
        world.run(2400);
        world.reads = Box::new(|_, _| Reading::Value(0.2));
        world.run(30);
        assert_eq!(world.state("errors"), TriggerState::Pending);
        let before = world.core.checkpoint();
        world.deploy("web", 2);
        let checkpoint = if graceful { world.core.checkpoint() } else { before };
        let ended = world.now + secs(60);
        world.restart_from(checkpoint, 1);
        world.run(600);
        assert_eq!(world.rollbacks().len(), 1, "{:?}", world.held());
        assert!(world.rollbacks()[0].breach().unwrap().pending_since >= ended);
    }
}

#[test]
fn a_checkpoint_from_before_a_deployment_is_no_evidence_of_its_bake() {
    let mut world = World::new(shop(vec![errors()]));
    world.run(6000);
    world.deploy("web", 2);
    let before = world.core.checkpoint();
    world.reads = Box::new(|_, _| unanswered());
    world.run(62);
    assert_eq!(world.view().standing, Some(Standing::Baking));
    world.restart_from(before, 1);
    world.run(2400);
    assert_eq!(world.view().standing, Some(Standing::Unproven), "no data, so nobody saw it");
}

#[test]
fn a_deployment_seen_while_nothing_could_be_written_began_when_it_began() {
    let mut world = World::proven(shop(vec![errors()]));
    let began = world.now;
    world.services[0] = runs("web", 2, began);
    let seen = world.observation();
    world.dropped(Event::Observed(seen));
    world.now = world.now + secs(600);
    world.look();
    let told = world.facts.iter().find_map(|fact| match fact {
        Fact::DeploymentBegan { at, .. } => Some(*at),
        _ => None,
    });
    assert_eq!(told, Some(began));
}

#[test]
fn the_target_that_status_names_is_where_the_next_rollback_goes() {
    let mut world = World::proven(shop(vec![errors()]));
    world.command(Command::Pause { project: None, lasts: None, reason: String::new() }).unwrap();
    world.reads =
        Box::new(|world, _| Reading::Value(if world.version("web") == 2 { 0.2 } else { 0.0 }));
    world.deploy("web", 2);
    world.run(400);
    world.command(by_hand()).unwrap();
    world.run(400);
    let forward = Command::Forward { project: ProjectName::new("shop"), service: None };
    world.command(forward).unwrap();
    world.run(1500);
    assert_eq!(world.view().revision, Some(RevisionNo(2)));
    let said = world.view().services[0].target;
    world.command(Command::Resume { project: None }).unwrap();
    world.reads =
        Box::new(|world, _| Reading::Value(if world.version("web") == 3 { 0.2 } else { 0.0 }));
    world.run(60);
    world.deploy("web", 3);
    world.run(400);
    assert_eq!(world.version("web"), 1);
    assert_eq!(world.rollbacks().last().unwrap().to, said);
}

#[test]
fn a_share_that_flickers_below_its_share_does_not_keep_a_bake_open_for_ever() {
    let share = rollbackd_core::ratio::Ratio::new(0.8).unwrap();
    let flickers = TriggerSettings { hold: Hold::Share { share, within: secs(180) }, ..errors() };
    let mut world = World::new(shop(vec![flickers]));
    world.reads = Box::new(|world, _| {
        let sample = world.now.as_nanos() / 15_000_000_000;
        Reading::Value(if sample.is_multiple_of(5) { 0.2 } else { 0.0 })
    });
    world.run(2400);
    assert_eq!(world.view().standing, Some(Standing::Good));
}

/// A source that answers out of order, and a guard that lifts meanwhile.
#[test]
fn an_answer_that_a_newer_one_has_overtaken_begins_nothing() {
    let mut world = World::proven(shop(vec![errors()]));
    let (project, reason) = (Some(ProjectName::new("shop")), String::new());
    world.command(Command::Pause { project, lasts: None, reason }).unwrap();
    world.deploy("web", 2);
    world.run(400);
    world.command(Command::Resume { project: None }).unwrap();
    let (trigger, at) = (place(&world, "errors"), world.now - secs(60));
    let overtaken = Sample { trigger, at, reading: Reading::Value(0.2) };
    world.event(Event::Sample(overtaken));
    assert!(world.rollbacks().is_empty(), "it is not live");
    world.run(20);
    assert_eq!(world.rollbacks().len(), 1);
}

/// Asked every 5 s and answered 20 s later: longer than the longest gap.
#[test]
fn a_source_that_answers_late_is_slow_and_not_silent() {
    let trigger = TriggerSettings {
        every: secs(5),
        max_gap: secs(15),
        hold: Hold::For(secs(0)),
        action: Action::Alert,
        on_blind: OnBlind::Alert,
        ..errors()
    };
    let mut world = World::new(shop(vec![trigger]));
    let (trigger, late) = (place(&world, "errors"), secs(20));
    world.settings.projects[0].triggers.clear();
    for _ in 0..900 {
        world.run(1);
        let at = world.now - late;
        if (at.as_nanos() / 1_000_000_000).is_multiple_of(5) {
            world.event(Event::Sample(Sample { trigger, at, reading: Reading::Value(0.3) }));
        }
    }
    let told = |which: fn(&News) -> bool| world.notices.iter().filter(|n| which(&n.news)).count();
    assert_eq!(told(|news| matches!(news, News::Alert { .. })), 1, "{:?}", world.held());
    assert_eq!(told(|news| matches!(news, News::Blind { .. })), 0);
    assert!(!world.facts.iter().any(|fact| matches!(fact, Fact::Cleared { .. })));
    let breach = world.facts.iter().find_map(|fact| match fact {
        Fact::Breached { breach, .. } => breach.value,
        _ => None,
    });
    assert_eq!(breach, Some(0.3), "people are told what it said");
    world.run(60);
    assert!(world.facts.iter().any(|fact| matches!(fact, Fact::Cleared { .. })), "silent now");
}

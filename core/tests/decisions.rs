//! What the core promises of its decisions, each told as a small story.
#![allow(missing_docs)]

mod world;

use rollbackd_core::{
    effect::News,
    event::{Command, Event},
    fact::Fact,
    incident::Outcome,
    plan::{Does, Fault, Step, StepOutcome},
    reading::Reading,
    revision::Standing,
    settings::{
        Action, AfterBake, Condition, Hold, Mode, NotRecovered, OnBlind, Scope, TriggerSettings,
    },
    signal::Signal,
    view::TriggerState,
    words::{ProjectName, RevisionNo, ServiceName, TriggerId},
};
use world::*;

#[test]
fn a_bad_deployment_is_rolled_back_verified_and_told() {
    let mut world = World::proven(shop(vec![errors()]));
    world.deploy("web", 2);
    world.run(600);
    assert_eq!(world.version("web"), 1);
    assert_eq!(world.outcomes(), [Outcome::Recovered]);
    let view = world.view();
    assert_eq!(view.revision, Some(RevisionNo(1)));
    assert_eq!(view.revisions[1].standing, Standing::Bad);
    assert_eq!(world.notices.len(), 2, "one mail when it begins, one at its end");
}

#[test]
fn a_good_deployment_becomes_a_good_revision() {
    let mut world = World::proven(shop(vec![errors()]));
    world.reads = Box::new(|_, _| Reading::Value(0.01));
    world.deploy("web", 2);
    world.run(2400);
    assert_eq!(world.view().revision, Some(RevisionNo(2)));
    assert_eq!(world.view().standing, Some(Standing::Good));
    assert!(world.notices.is_empty());
}

#[test]
fn no_data_is_never_a_breach() {
    let mut world = World::proven(shop(vec![errors()]));
    world.reads = Box::new(|_, _| unanswered());
    world.deploy("web", 2);
    world.run(4000);
    assert_eq!(world.version("web"), 2);
    assert_eq!(world.state("errors"), TriggerState::Blind);
    assert_eq!(world.view().standing, Some(Standing::Unproven), "nobody saw it bake");
}

#[test]
fn a_breach_of_on_blind_needs_data_before_and_none_since() {
    let blind = TriggerSettings { on_blind: OnBlind::Breach, ..errors() };
    let mut world = World::proven(shop(vec![blind]));
    world.reads =
        Box::new(
            |world, _| {
                if world.version("web") == 1 { Reading::Value(0.0) } else { unanswered() }
            },
        );
    world.deploy("web", 2);
    world.run(900);
    assert_eq!(world.outcomes(), [Outcome::Recovered]);
}

#[test]
fn a_paused_project_is_never_rolled_back_and_decided_when_resumed() {
    let mut world = World::proven(shop(vec![errors()]));
    let shop = Some(ProjectName::new("shop"));
    let pause = Command::Pause { project: shop.clone(), lasts: None, reason: "fair".into() };
    world.command(pause).unwrap();
    world.deploy("web", 2);
    world.run(1200);
    assert_eq!(world.version("web"), 2);
    assert_eq!(world.held(), ["shop is paused (fair)"], "told once");
    world.command(Command::Resume { project: shop }).unwrap();
    world.run(120);
    assert_eq!(world.version("web"), 1);
}

#[test]
fn a_pause_with_an_end_is_over_by_itself_and_that_is_told() {
    let mut world = World::proven(shop(vec![errors()]));
    let pause = Command::Pause { project: None, lasts: Some(secs(300)), reason: String::new() };
    world.command(pause).unwrap();
    world.run(400);
    assert!(world.view().paused.is_none());
    assert_eq!(world.notices.len(), 1);
}

#[test]
fn the_bake_stands_still_while_paused() {
    let mut world = World::proven(shop(vec![errors()]));
    world.reads = Box::new(|_, _| Reading::Value(0.0));
    world.deploy("web", 2);
    world.run(120);
    world.command(Command::Pause { project: None, lasts: None, reason: String::new() }).unwrap();
    world.run(4000);
    assert_eq!(world.view().standing, Some(Standing::Baking));
}

#[test]
fn observing_decides_and_tells_and_touches_nothing() {
    let mut settings = shop(vec![errors()]);
    settings.mode = Mode::Observe;
    let mut world = World::proven(settings);
    world.deploy("web", 2);
    world.run(1200);
    assert_eq!(world.version("web"), 2);
    assert_eq!(world.held().len(), 1);
    let refused = world.facts.iter().any(|fact| matches!(fact, Fact::Refused { .. }));
    assert!(refused);
}

#[test]
fn without_a_deployment_a_breach_only_alerts() {
    let mut world = World::proven(shop(vec![errors()]));
    world.reads = Box::new(|_, _| Reading::Value(0.5));
    world.run(600);
    assert!(world.rollbacks().is_empty());
    assert_eq!(world.held(), ["no deployment of web is in its bake, so none is blamed"]);
}

#[test]
fn after_the_bake_a_rollback_happens_only_where_it_is_written() {
    let mut settings = shop(vec![errors()]);
    settings.after_bake = AfterBake::Rollback;
    let mut world = World::proven(settings);
    world.reads = Box::new(|_, _| Reading::Value(0.0));
    world.deploy("web", 2);
    world.run(2400);
    assert_eq!(world.view().standing, Some(Standing::Good));
    world.reads =
        Box::new(|world, _| Reading::Value(if world.version("web") == 1 { 0.0 } else { 0.2 }));
    world.run(600);
    assert_eq!(world.version("web"), 1);
}

#[test]
fn a_breach_older_than_the_deployment_is_not_blamed_on_it() {
    let mut world = World::proven(shop(vec![errors()]));
    world.reads = Box::new(|_, _| Reading::Value(0.2));
    world.run(300);
    world.deploy("web", 2);
    world.run(1200);
    assert_eq!(world.version("web"), 2);
    assert!(world.held().last().unwrap().contains("had held before the deployment"));
}

#[test]
fn an_older_breach_that_the_deployment_made_half_again_as_bad_is_blamed() {
    let mut world = World::proven(shop(vec![errors()]));
    world.reads =
        Box::new(|world, _| Reading::Value(if world.version("web") == 1 { 0.1 } else { 0.2 }));
    world.run(300);
    world.deploy("web", 2);
    world.run(600);
    assert_eq!(world.version("web"), 1);
}

#[test]
fn what_was_pending_when_a_deployment_began_starts_anew_after_it() {
    let mut world = World::proven(shop(vec![errors()]));
    let began = world.now;
    world.reads = Box::new(|_, _| Reading::Value(0.2));
    world.run(30);
    assert_eq!(world.state("errors"), TriggerState::Pending);
    world.deploy("web", 2);
    world.run(600);
    let rollback = world.rollbacks()[0];
    let since = rollback.breach().unwrap().pending_since;
    assert!(since >= began + secs(30 + 60), "it counts from the deployment's end and grace");
}

#[test]
fn the_same_image_is_not_rolled_back_from_twice_within_the_cooldown() {
    let mut world = World::proven(shop(vec![errors()]));
    world.deploy("web", 2);
    world.run(600);
    assert_eq!(world.version("web"), 1);
    world.deploy("web", 2);
    world.run(300);
    assert_eq!(world.version("web"), 2);
    assert!(world.held()[0].starts_with("cooldown: rollback 1"), "{:?}", world.held());
    world.run(600);
    assert_eq!(world.version("web"), 1, "the breach was still there when the guard lifted");
}

#[test]
fn the_budget_of_a_day_is_not_exceeded() {
    let mut world = World::proven(shop(vec![errors()]));
    for _ in 0..5 {
        world.deploy("web", 2);
        world.run(1500);
    }
    assert_eq!(world.rollbacks().len(), 3);
    assert!(world.held().iter().any(|why| why.contains("max_rollbacks is 3")));
}

#[test]
fn the_blame_of_a_chain_goes_to_the_last_good_revision() {
    let mut world = World::proven(shop(vec![errors()]));
    world.reads =
        Box::new(|world, _| Reading::Value(if world.version("web") == 3 { 0.2 } else { 0.0 }));
    world.deploy("web", 2);
    world.run(300);
    world.deploy("web", 3);
    world.run(600);
    assert_eq!(world.version("web"), 1, "revision 2 never finished its bake");
}

#[test]
fn a_second_breach_joins_the_first() {
    let slow = TriggerSettings {
        id: TriggerId::new("slow"),
        name: "slow".into(),
        hold: Hold::For(secs(90)),
        ..errors()
    };
    let mut world = World::proven(shop(vec![errors(), slow]));
    world.prompt = false;
    world.deploy("web", 2);
    world.run(400);
    assert_eq!(world.rollbacks().len(), 1);
    let joined = world.facts.iter().filter(|fact| matches!(fact, Fact::Joined { .. })).count();
    assert_eq!(joined, 1);
    assert_eq!(world.notices.len(), 1);
}

#[test]
fn a_target_that_fails_is_marked_bad_and_what_ran_is_put_back() {
    let mut world = World::proven(shop(vec![errors()]));
    world.steps = Box::new(|does| match does {
        Does::Recreate { .. } => failed("it exits with 3", Fault::Target),
        _ => StepOutcome::Done(String::new()),
    });
    world.deploy("web", 2);
    world.run(600);
    assert_eq!(world.outcomes(), [Outcome::Failed]);
    let view = world.view();
    assert_eq!(view.revision, Some(RevisionNo(2)), "what was deployed still runs");
    assert_eq!(view.revisions[0].standing, Standing::Bad);
    let put_back = |fact: &Fact| matches!(fact, Fact::StepBegan { undo: true, .. });
    assert!(world.facts.iter().any(put_back));
}

#[test]
fn a_taken_port_is_tried_again_and_never_a_mark_against_the_target() {
    let mut world = World::proven(shop(vec![errors()]));
    world.steps = Box::new(|does| match does {
        Does::Recreate { .. } => failed("port 80 is taken", Fault::World),
        _ => StepOutcome::Done(String::new()),
    });
    world.deploy("web", 2);
    world.run(600);
    assert_eq!(world.outcomes(), [Outcome::Failed]);
    let incident = world.view().incidents.remove(0);
    let recreate = incident.steps.iter().find(|step| step.kind == "recreate").unwrap();
    assert_eq!(recreate.attempts, 4);
    assert_eq!(world.view().revisions[0].standing, Standing::Good);
}

#[test]
fn a_further_target_is_tried_when_the_first_ones_own_containers_fail() {
    let mut world = World::proven(shop(vec![errors()]));
    world.reads =
        Box::new(|world, _| Reading::Value(if world.version("web") == 3 { 0.2 } else { 0.0 }));
    world.deploy("web", 2);
    world.run(2400);
    assert_eq!(world.view().standing, Some(Standing::Good));
    world.steps = Box::new(|does| match does {
        Does::Recreate { image: wanted, .. } if *wanted == image(2) => {
            failed("it exits with 3", Fault::Target)
        }
        _ => StepOutcome::Done(String::new()),
    });
    world.deploy("web", 3);
    world.run(600);
    assert_eq!(world.version("web"), 1);
    assert_eq!(world.outcomes(), [Outcome::Recovered]);
    let standings: Vec<Standing> = world.view().revisions.iter().map(|r| r.standing).collect();
    assert_eq!(standings, [Standing::Good, Standing::Bad, Standing::Bad]);
}

#[test]
fn signals_that_do_not_come_back_end_not_recovered() {
    let mut world = World::proven(shop(vec![errors()]));
    world.deploy("web", 2);
    world.reads = Box::new(|_, _| Reading::Value(0.3));
    world.run(1500);
    assert_eq!(world.outcomes(), [Outcome::NotRecovered]);
    assert_eq!(world.version("web"), 1, "stay is the default");
}

#[test]
fn no_rollback_is_condemned_before_its_signals_could_have_shown_that_they_are_back() {
    // Asked every 15 s, three good samples take longer than the 30 s written.
    let hasty = TriggerSettings { recover_within: secs(30), ..errors() };
    let mut world = World::proven(shop(vec![hasty]));
    world.deploy("web", 2);
    world.run(600);
    assert_eq!(world.outcomes(), [Outcome::Recovered]);
}

#[test]
fn not_recovered_forward_goes_forward_once() {
    let mut settings = shop(vec![errors()]);
    settings.not_recovered = NotRecovered::Forward;
    let mut world = World::proven(settings);
    world.deploy("web", 2);
    world.reads = Box::new(|_, _| Reading::Value(0.3));
    world.run(5000);
    assert_eq!(world.rollbacks().len(), 2);
    assert_eq!(world.version("web"), 2);
    assert_eq!(world.view().revision, Some(RevisionNo(2)));
}

#[test]
fn no_data_after_a_rollback_ends_unverified() {
    let mut world = World::proven(shop(vec![errors()]));
    world.reads =
        Box::new(|world, _| if world.version("web") == 2 { Reading::Value(0.3) } else { empty() });
    world.deploy("web", 2);
    world.run(1500);
    assert_eq!(world.outcomes(), [Outcome::Unverified]);
}

#[test]
fn errors_of_the_old_version_do_not_condemn_the_new() {
    let long = TriggerSettings { looks_back: secs(300), ..errors() };
    let mut world = World::proven(shop(vec![long]));
    // A range of five minutes still shows the old errors for five minutes.
    world.reads = Box::new(|world, _| {
        let young = world.now.since(world.services[0].started) < secs(300);
        Reading::Value(if world.version("web") == 2 || young { 0.2 } else { 0.0 })
    });
    world.deploy("web", 2);
    world.run(1500);
    assert_eq!(world.outcomes(), [Outcome::Recovered]);
}

#[test]
fn a_person_who_deploys_in_the_middle_wins() {
    let mut world = World::proven(shop(vec![errors()]));
    world.prompt = false;
    world.deploy("web", 2);
    world.run(300);
    let (incident, run, _) = world.open.remove(0);
    world.deploy("web", 3);
    world.event(Event::StepEnded { incident, run, outcome: StepOutcome::Done(String::new()) });
    assert_eq!(world.outcomes(), [Outcome::Refused]);
    assert!(world.open.is_empty(), "nothing more is done");
    world.run(200);
    assert_eq!(world.view().revision, Some(RevisionNo(3)));
}

#[test]
fn a_person_who_wins_finds_nothing_of_the_rollback_in_their_way() {
    for went in [StepOutcome::Done(String::new()), failed("it is gone", Fault::World)] {
        let mut world = World::proven(shop(vec![errors()]));
        world.prompt = false;
        world.deploy("web", 2);
        world.run(300);
        let (incident, run, _) = world.open.remove(0);
        world.event(Event::StepEnded { incident, run, outcome: StepOutcome::Done(String::new()) });
        let (incident, run, does) = world.open.remove(0);
        assert!(matches!(does, Does::Recreate { .. }), "{does:?}");
        world.deploy("web", 3);
        world.event(Event::StepEnded { incident, run, outcome: went.clone() });
        let (incident, run, does) = world.open.remove(0);
        assert!(matches!(does, Does::Discard { .. }), "{does:?}");
        world.event(Event::StepEnded { incident, run, outcome: went });
        assert_eq!(world.outcomes(), [Outcome::Refused]);
        assert!(world.open.is_empty(), "nothing more is done");
        assert_eq!(world.version("web"), 3);
    }
}

#[test]
fn a_restart_in_a_rollback_goes_on_with_the_same_step() {
    let mut world = World::new(shop(vec![errors()]));
    world.run(2400);
    world.prompt = false;
    world.deploy("web", 2);
    world.run(300);
    let (incident, run, does) = world.open.remove(0);
    world.restart(20);
    assert!(world.core.awaits(incident, run));
    world.prompt = true;
    world.execute(&does, incident, run);
    world.run(600);
    assert_eq!(world.outcomes(), [Outcome::Recovered]);
    assert_eq!(world.rollbacks().len(), 1);
}

#[test]
fn killed_while_it_verifies_it_judges_anew_whatever_the_checkpoint_says() {
    let mut world = World::new(shop(vec![errors()]));
    world.run(2400);
    world.deploy("web", 2);
    let mut before = world.core.checkpoint();
    while world.rollbacks().is_empty() {
        before = world.core.checkpoint();
        world.run(1);
    }
    assert!(world.outcomes().is_empty(), "it verifies");
    world.restart_from(before, 2);
    world.run(600);
    assert_eq!(world.outcomes(), [Outcome::Recovered]);
}

#[test]
fn an_answer_that_comes_twice_moves_a_rollback_once() {
    let mut world = World::proven(shop(vec![errors()]));
    world.prompt = false;
    world.deploy("web", 2);
    world.run(300);
    let (incident, run, _) = world.open.remove(0);
    let done = || Event::StepEnded { incident, run, outcome: StepOutcome::Done(String::new()) };
    world.event(done());
    let facts = world.facts.len();
    world.event(done());
    assert_eq!(world.facts.len(), facts);
}

#[test]
fn a_restart_is_a_gap_and_a_long_one_clears_what_is_pending() {
    let mut world = World::new(shop(vec![errors()]));
    world.run(2400);
    world.reads = Box::new(|_, _| Reading::Value(0.2));
    world.run(30);
    assert_eq!(world.state("errors"), TriggerState::Pending);
    let since = world.view().services[0].triggers[0].pending_since;
    world.restart(10);
    assert_eq!(world.view().services[0].triggers[0].pending_since, since);
    world.restart(90);
    world.run(15);
    assert!(world.view().services[0].triggers[0].pending_since > since);
}

#[test]
fn a_deployment_of_the_same_again_is_none() {
    let mut world = World::proven(shop(vec![errors()]));
    world.deploy("web", 2);
    world.run(5);
    world.deploy("web", 1);
    world.run(120);
    assert!(world.view().deploying_since.is_none());
    assert_eq!(world.view().revisions.len(), 1);
    assert!(world.facts.iter().any(|fact| matches!(fact, Fact::DeploymentVanished { .. })));
}

#[test]
fn a_project_that_is_taken_down_is_no_revision() {
    let mut world = World::proven(shop(vec![errors()]));
    let kept = std::mem::take(&mut world.services);
    world.reads = Box::new(|_, _| unanswered());
    world.look();
    world.run(3600);
    assert_eq!(world.view().revisions.len(), 1);
    world.services = kept;
    world.look();
    world.run(120);
    assert_eq!(world.view().revisions.len(), 1);
    assert_eq!(world.view().revision, Some(RevisionNo(1)));
}

#[test]
fn all_services_of_the_blamed_deployment_go_back_in_dependency_order() {
    let mut world = World::new(shop(vec![errors()]));
    let mut web = runs("web", 1, at(0) - secs(3600));
    web.depends_on = vec!["zeta"];
    world.services = vec![web, runs("zeta", 1, at(0) - secs(3600)), runs("other", 1, at(0))];
    world.run(2600);
    world.deploy("web", 2);
    world.deploy("zeta", 2);
    world.run(600);
    let rollback = world.rollbacks()[0];
    assert_eq!(rollback.service_names(), "zeta, web");
    assert_eq!((world.version("web"), world.version("zeta")), (1, 1));
}

#[test]
fn a_tag_that_all_who_go_back_share_is_moved_once_for_all_of_them() {
    let mut world = World::new(shop(vec![errors()]));
    let mut worker = runs("worker", 1, at(0) - secs(3600));
    worker.repository = "web";
    world.services.push(worker);
    world.services.push(runs("zeta", 1, at(0) - secs(3600)));
    world.run(2600);
    for name in ["web", "worker", "zeta"] {
        world.deploy(name, 2);
    }
    world.run(600);
    let plan = &world.rollbacks()[0].plan;
    let moved = |steps: &[Step]| -> Vec<String> {
        let users = |step: &Step| match &step.does {
            Does::Retag { service, along, reference, .. } => {
                let along: Vec<&str> = along.iter().map(ServiceName::as_str).collect();
                Some(format!("{reference}: {service} {}", along.join(" ")).trim_end().to_owned())
            }
            _ => None,
        };
        steps.iter().filter_map(users).collect()
    };
    let wanted = ["web:latest: web worker", "zeta:latest: zeta"];
    assert_eq!(
        (moved(&plan.steps), moved(&plan.undo)),
        (wanted.map(String::from).to_vec(), wanted.map(String::from).to_vec())
    );
}

#[test]
fn people_are_told_once_what_a_tag_that_was_left_brings_back() {
    let mut world = World::new(shop(vec![errors()]));
    let mut worker = runs("worker", 1, at(0) - secs(3600));
    worker.repository = "web";
    world.services.push(worker);
    world.run(2600);
    world.steps = Box::new(|does| match does {
        Does::Retag { .. } => {
            StepOutcome::Done("left web:latest: blog was started by it too".into())
        }
        _ => StepOutcome::Done(String::new()),
    });
    world.deploy("web", 2);
    world.deploy("worker", 2);
    world.run(600);
    let todo = world.notices.iter().find_map(|notice| match &notice.news {
        News::Ended { todo, .. } => Some(todo.join("\n")),
        _ => None,
    });
    let bad = image(2).short();
    assert_eq!(
        todo.unwrap(),
        format!(
            "On this host `web:latest` still names the bad image ({bad}): it was left, blog was \
             started by it too. Tag a good one, or the next `docker compose up -d` deploys the \
             bad one again."
        )
    );
}

#[test]
fn scope_service_leaves_the_others_as_they_are() {
    let mut settings = shop(vec![errors()]);
    settings.scope = Scope::Service;
    let mut world = World::new(settings);
    world.services.push(runs("zeta", 1, at(0) - secs(3600)));
    world.run(2600);
    world.deploy("web", 2);
    world.deploy("zeta", 2);
    world.run(600);
    assert_eq!((world.version("web"), world.version("zeta")), (1, 2));
    world.run(600);
    assert!(world.view().deploying_since.is_none(), "what stayed is no new deployment");
}

#[test]
fn what_lives_in_a_services_namespace_is_recreated_after_it() {
    let mut world = World::new(shop(vec![errors()]));
    let mut sidecar = runs("sidecar", 1, at(0) - secs(3600));
    sidecar.joins = vec!["web"];
    world.services.push(sidecar);
    world.run(2600);
    world.deploy("web", 2);
    world.run(600);
    let steps: Vec<String> =
        world.rollbacks()[0].plan.steps.iter().map(|step| step.name.clone()).collect();
    let position = |name: &str| steps.iter().position(|step| step == name).unwrap();
    assert!(position("recreate web") < position("recreate sidecar"));
}

#[test]
fn the_deployment_of_a_blamed_service_is_blamed() {
    let trigger = TriggerSettings { blames: vec![ServiceName::new("auth")], ..errors() };
    let mut world = World::new(shop(vec![trigger]));
    world.services.push(runs("auth", 1, at(0) - secs(3600)));
    world.run(2600);
    world.reads =
        Box::new(|world, _| Reading::Value(if world.version("auth") == 1 { 0.0 } else { 0.2 }));
    world.deploy("auth", 2);
    world.run(600);
    assert_eq!(world.version("auth"), 1);
}

#[test]
fn by_hand_it_goes_back_at_once_whatever_the_guards() {
    let mut settings = shop(vec![errors()]);
    settings.mode = Mode::Observe;
    let mut world = World::proven(settings);
    world.reads = Box::new(|_, _| Reading::Value(0.0));
    world.deploy("web", 2);
    world.run(5);
    let pause = Command::Pause { project: None, lasts: None, reason: String::new() };
    world.command(pause).unwrap();
    world.command(by_hand()).unwrap();
    assert_eq!(world.version("web"), 1);
    world.run(300);
    assert_eq!(world.outcomes(), [Outcome::Recovered]);
}

#[test]
fn a_dry_run_says_the_plan_and_changes_nothing() {
    let mut world = World::proven(shop(vec![errors()]));
    world.reads = Box::new(|_, _| Reading::Value(0.0));
    world.deploy("web", 2);
    world.run(120);
    world.facts.clear();
    let Command::Rollback { project, service, to, reason, .. } = by_hand() else { panic!() };
    let dry = Command::Rollback { project, service, to, reason, dry_run: true };
    let accepted = world.command(dry).unwrap();
    assert!(accepted.incident.unwrap().plan.steps.len() > 3);
    assert!(world.facts.is_empty());
    assert_eq!(world.version("web"), 2);
}

#[test]
fn by_hand_only_a_missing_target_and_a_running_rollback_refuse() {
    let mut world = World::proven(shop(vec![errors()]));
    let refusal = world.command(by_hand()).unwrap_err();
    assert_eq!(refusal.message, "shop has no earlier revision to return to");
    world.prompt = false;
    world.deploy("web", 2);
    world.run(300);
    let refusal = world.command(by_hand()).unwrap_err();
    assert_eq!(refusal.message, "rollback 1 of shop is running");
}

#[test]
fn forward_undoes_the_last_rollback_and_the_person_wins() {
    let mut world = World::proven(shop(vec![errors()]));
    world.deploy("web", 2);
    world.run(400);
    assert_eq!(world.version("web"), 1);
    let forward = Command::Forward { project: ProjectName::new("shop"), service: None };
    world.command(forward).unwrap();
    assert_eq!(world.version("web"), 2);
    world.run(3000);
    assert_eq!(world.version("web"), 2, "it is not taken back from them");
    assert_eq!(world.view().revision, Some(RevisionNo(2)));
    assert_ne!(world.view().standing, Some(Standing::Bad));
}

#[test]
fn a_missing_image_refuses_with_its_words() {
    let mut world = World::proven(shop(vec![errors()]));
    world.deploy("web", 2);
    world.run(30);
    let problem = Some("image web:latest (0101) was removed".to_owned());
    let (project, revision) = (ProjectName::new("shop"), RevisionNo(1));
    for _ in 0..300 {
        world.run(1);
        let (project, problem) = (project.clone(), problem.clone());
        world.event(Event::Restorable { project, revision, problem });
    }
    assert_eq!(world.held(), ["image web:latest (0101) was removed"]);
    assert!(!world.view().services[0].armed);
}

#[test]
fn health_counts_in_grace_and_whatever_was_before() {
    let health = TriggerSettings {
        id: TriggerId::new("health"),
        name: "health".into(),
        signal: Signal::Health,
        condition: Condition::AtLeast(3.0),
        hold: Hold::For(secs(0)),
        grace: secs(0),
        ..errors()
    };
    let mut world = World::proven(shop(vec![health]));
    world.reads =
        Box::new(|world, _| Reading::Value(if world.version("web") == 1 { 0.0 } else { 3.0 }));
    world.deploy("web", 2);
    world.run(80);
    assert_eq!(world.version("web"), 1, "as soon as the deployment has settled");
}

#[test]
fn an_alert_trigger_alerts_once_a_breach() {
    let cpu = TriggerSettings { action: Action::Alert, ..errors() };
    let mut world = World::new(shop(vec![cpu]));
    world.reads = Box::new(|_, _| Reading::Value(0.9));
    world.run(600);
    assert_eq!(world.held(), ["this trigger only alerts"]);
    world.reads = Box::new(|_, _| Reading::Value(0.0));
    world.run(60);
    world.reads = Box::new(|_, _| Reading::Value(0.9));
    world.run(600);
    assert_eq!(world.held().len(), 2);
}

#[test]
fn a_turn_that_was_not_committed_is_decided_anew() {
    let mut world = World::proven(shop(vec![errors()]));
    world.deploy("web", 2);
    world.run(90);
    let mut decided = 0;
    for _ in 0..200 {
        world.now = world.now + secs(15);
        let sample = rollbackd_core::reading::Sample {
            trigger: place(&world, "errors"),
            at: world.now,
            reading: Reading::Value(0.2),
        };
        let mut turn = rollbackd_core::reducer::Turn::default();
        // The turn is dropped: the disk is full.
        world.core.handle(world.now, Event::Sample(sample), &mut turn);
        decided += turn.facts.iter().filter(|f| matches!(f, Fact::RollbackBegan(_))).count();
        if decided > 3 {
            break;
        }
    }
    assert!(decided > 3, "every sample decides again");
    world.run(60);
    assert_eq!(world.rollbacks().len(), 1);
}

//! A deployment that is announced, a rollback that is stopped, and what a job
//! that waits is told.
#![allow(missing_docs, clippy::unwrap_used)]

mod world;

use rollbackd_core::{
    effect::News,
    event::Command,
    fact::Fact,
    guard::Guard,
    incident::Outcome,
    plan::{Does, Fault, StepOutcome},
    reading::Reading,
    revision::Standing,
    settings::{Action, Mode, NotRecovered, TriggerSettings},
    view::{Verdict, WaitsFor},
    words::{IncidentId, ProjectName, RevisionNo, ServiceName},
};
use world::*;

fn begins(world: &mut World, id: &str, limit: u64) -> Result<String, String> {
    let project = ProjectName::new("shop");
    let command = Command::DeployBegins { project, id: id.into(), limit: secs(limit) };
    world.command(command).map(|taken| taken.message).map_err(|refusal| refusal.message)
}

fn ends(world: &mut World, id: &str) -> String {
    let project = ProjectName::new("shop");
    world.command(Command::DeployEnds { project, id: id.into() }).unwrap().message
}

fn abort(world: &mut World, id: u64) -> Result<String, String> {
    let command = Command::Abort { incident: IncidentId(id) };
    world.command(command).map(|taken| taken.message).map_err(|refusal| refusal.message)
}

fn two_services() -> World {
    let mut world = World::of(
        shop(vec![errors()]),
        vec![runs("web", 1, at(0) - secs(3600)), runs("auth", 1, at(0) - secs(3600))],
    );
    world.run(2400);
    world
}

/// A rollback of web and auth of which the first step runs.
fn acting() -> World {
    let mut world = two_services();
    world.prompt = false;
    world.deploy("web", 2);
    world.deploy("auth", 2);
    world.run(300);
    assert_eq!(world.open.len(), 1, "its first step runs");
    world
}

/// Lets the step that runs end as the world says.
fn step(world: &mut World) -> Does {
    let (incident, run, does) = world.open.remove(0);
    world.execute(&does, incident, run);
    does
}

fn to_its_end(world: &mut World) {
    while !world.open.is_empty() {
        step(world);
    }
}

fn reason(world: &World) -> String {
    world.view().incidents.last().unwrap().reason.clone()
}

fn verdict(world: &World) -> (Verdict, Option<WaitsFor>, String) {
    let said = world.view().verdict;
    (said.verdict, said.waits_for, said.reason)
}

#[test]
fn while_a_deployment_is_announced_nothing_is_rolled_back_and_all_is_one_deployment() {
    let mut world = two_services();
    begins(&mut world, "job 1", 2700).unwrap();
    world.deploy("web", 2);
    world.run(600);
    world.deploy("auth", 2);
    world.run(600);
    assert!(world.rollbacks().is_empty() && world.held().is_empty(), "{:?}", world.held());
    assert_eq!(world.view().revision, Some(RevisionNo(1)), "minutes apart, it is one deployment");
    ends(&mut world, "job 1");
    world.run(1);
    world.look();
    world.run(1);
    let view = world.view();
    assert_eq!(view.revision, Some(RevisionNo(2)), "no settling is waited for");
    let changed: Vec<&str> =
        view.revisions[1].revision.changed.iter().map(ServiceName::as_str).collect();
    assert_eq!(changed, ["auth", "web"]);
    assert_eq!(view.announced, None);
    world.run(600);
    assert_eq!(world.outcomes(), [Outcome::Recovered], "and then it is decided");
}

#[test]
fn what_was_pending_counts_as_soon_as_the_announced_deployment_has_ended() {
    let mut world = World::proven(shop(vec![TriggerSettings { grace: secs(0), ..errors() }]));
    begins(&mut world, "job", 2700).unwrap();
    world.deploy("web", 2);
    world.run(20);
    ends(&mut world, "job");
    world.run(1);
    world.look();
    world.run(90);
    assert_eq!(world.rollbacks().len(), 1, "60 s of errors, and no settle beside");
}

#[test]
fn an_announced_deployment_ends_at_its_limit_and_settles_as_any() {
    let mut world = World::proven(shop(vec![errors()]));
    begins(&mut world, "killed", 300).unwrap();
    world.deploy("web", 2);
    world.run(299);
    assert!(world.view().announced.is_some());
    world.run(2);
    let view = world.view();
    assert_eq!((view.announced, view.revision), (None, Some(RevisionNo(2))));
    let over = |fact: &&Fact| matches!(fact, Fact::AnnouncementOver { ran_out: true, .. });
    assert_eq!(world.facts.iter().filter(over).count(), 1);
    assert!(ends(&mut world, "killed").contains("limit"), "its late end is told so");
    world.run(600);
    assert_eq!(world.outcomes(), [Outcome::Recovered]);
}

#[test]
fn a_restart_does_not_forget_an_announced_deployment() {
    let mut world = two_services();
    begins(&mut world, "job", 2700).unwrap();
    world.deploy("web", 2);
    world.run(30);
    world.restart(5);
    assert!(world.view().announced.is_some());
    world.run(600);
    assert!(world.rollbacks().is_empty());
    begins(&mut world, "job", 2700).unwrap();
    ends(&mut world, "job");
    world.restart(5);
    world.run(1);
    assert_eq!(world.view().revision, Some(RevisionNo(2)), "nor that its command has ended");
}

#[test]
fn only_one_deployment_is_announced_at_a_time_and_none_while_a_rollback_runs() {
    let mut world = World::proven(shop(vec![errors()]));
    begins(&mut world, "one", 600).unwrap();
    let refused = begins(&mut world, "two", 600).unwrap_err();
    assert!(refused.contains("another `deploy`"), "{refused}");
    assert!(ends(&mut world, "two").contains("limit"));
    assert!(world.view().announced.is_some(), "the end of one is not another's");
    ends(&mut world, "one");
    world.run(31);
    assert_eq!(world.view().announced, None);
    world.prompt = false;
    world.deploy("web", 2);
    world.run(300);
    let refused = begins(&mut world, "three", 600).unwrap_err();
    assert!(refused.contains("rollback 1"), "{refused}");
}

#[test]
fn a_command_that_changes_nothing_makes_no_revision() {
    let mut world = World::proven(shop(vec![errors()]));
    begins(&mut world, "job", 600).unwrap();
    world.run(40);
    ends(&mut world, "job");
    world.run(31);
    let view = world.view();
    assert_eq!((view.announced, view.revision), (None, Some(RevisionNo(1))));
    assert_eq!(view.verdict.verdict, Verdict::Good);
    let deployed = |fact: &Fact| matches!(fact, Fact::DeploymentVanished { .. });
    assert!(!world.facts.iter().any(deployed));
}

#[test]
fn what_ran_before_the_first_announced_deployment_can_be_returned_to() {
    let mut young = World::of(shop(vec![errors()]), vec![runs("web", 1, at(0))]);
    assert_eq!(young.view().revision, None);
    begins(&mut young, "job", 600).unwrap();
    young.deploy("web", 2);
    young.run(40);
    ends(&mut young, "job");
    young.run(31);
    let view = young.view();
    assert_eq!((view.revision, view.revisions.len()), (Some(RevisionNo(2)), 2));
}

#[test]
fn going_forward_by_itself_waits_for_no_announced_deployment() {
    let mut settings = shop(vec![errors()]);
    settings.not_recovered = NotRecovered::Forward;
    let mut world = World::proven(settings);
    world.reads = Box::new(|_, _| Reading::Value(0.3));
    begins(&mut world, "job", 2700).unwrap();
    world.deploy("web", 2);
    world.run(60);
    world.command(by_hand()).unwrap();
    world.run(1200);
    assert_eq!(world.outcomes(), [Outcome::NotRecovered]);
    assert_eq!(world.rollbacks().len(), 1, "nothing is begun while it is announced");
}

#[test]
fn a_rollback_is_stopped_after_its_present_step_and_says_what_runs() {
    let mut world = acting();
    while !matches!(world.open[0].2, Does::Recreate { .. }) {
        step(&mut world);
    }
    abort(&mut world, 1).unwrap();
    let again = abort(&mut world, 1).unwrap();
    assert!(again.contains("recreate"), "twice is harmless: {again}");
    let asked = |fact: &&Fact| matches!(fact, Fact::AbortAsked { .. });
    assert_eq!(world.facts.iter().filter(asked).count(), 1);
    let first = step(&mut world);
    let Does::Recreate { service, .. } = &first else { panic!("{first:?}") };
    assert!(matches!(world.open[0].2, Does::Discard { .. }), "what was kept aside is removed");
    to_its_end(&mut world);
    assert_eq!(world.outcomes(), [Outcome::Refused]);
    let other = if service.as_str() == "web" { "auth" } else { "web" };
    let reason = reason(&world);
    assert!(
        reason.starts_with(&format!("stopped by a person after recreate {service}")),
        "{reason}"
    );
    assert!(reason.contains(&format!("{service} runs revision 1")), "{reason}");
    assert!(reason.contains(&format!("{other} still runs revision 2")), "{reason}");
    let ended = |n: &&rollbackd_core::effect::Notice| matches!(n.news, News::Ended { .. });
    assert_eq!(world.notices.iter().filter(ended).count(), 1, "its end is told as any");
    let refused = abort(&mut world, 1).unwrap_err();
    assert!(refused.contains("ended refused"), "{refused}");
    assert!(abort(&mut world, 9).unwrap_err().contains("no rollback 9"));
}

#[test]
fn stopped_before_any_container_was_touched_everything_runs_as_before() {
    let mut world = acting();
    assert!(matches!(world.open[0].2, Does::Retag { .. }));
    abort(&mut world, 1).unwrap();
    to_its_end(&mut world);
    assert_eq!(world.outcomes(), [Outcome::Refused]);
    assert_eq!((world.version("web"), world.version("auth")), (2, 2));
    assert!(reason(&world).contains("the tag"), "{}", reason(&world));
}

#[test]
fn stopped_while_it_verifies_it_ends_unverified() {
    let mut world = acting();
    world.prompt = true;
    to_its_end(&mut world);
    assert!(world.outcomes().is_empty(), "it verifies");
    abort(&mut world, 1).unwrap();
    assert_eq!(world.outcomes(), [Outcome::Unverified]);
    let view = world.view();
    assert_eq!((view.revision, view.rollback), (Some(RevisionNo(1)), None));
}

#[test]
fn stopped_in_its_last_step_it_is_as_done_and_unverified() {
    let mut world = acting();
    while !matches!(world.open[0].2, Does::WaitHealthy { .. }) {
        step(&mut world);
    }
    abort(&mut world, 1).unwrap();
    to_its_end(&mut world);
    assert_eq!(world.outcomes(), [Outcome::Unverified], "{}", reason(&world));
    assert_eq!(world.view().revisions[1].standing, Standing::Bad);
}

#[test]
fn stopped_in_a_step_that_fails_what_ran_before_is_put_back() {
    for fault in [Fault::World, Fault::Target] {
        let mut world = acting();
        while !matches!(world.open[0].2, Does::Recreate { .. }) {
            step(&mut world);
        }
        world.steps = Box::new(move |does| match does {
            Does::Recreate { .. } => failed("it could not", fault),
            _ => StepOutcome::Done(String::new()),
        });
        abort(&mut world, 1).unwrap();
        step(&mut world);
        assert!(matches!(world.open[0].2, Does::PutBack { .. }), "it is not tried again");
        world.restart(3);
        to_its_end(&mut world);
        assert_eq!(world.outcomes(), [Outcome::Refused]);
        assert!(reason(&world).contains("what ran before was put back"), "{}", reason(&world));
    }
}

#[test]
fn a_good_deployment_is_waited_for_from_its_first_change_to_its_standing() {
    let mut world = World::proven(shop(vec![errors()]));
    world.reads = Box::new(|_, _| Reading::Value(0.0));
    assert_eq!(verdict(&world).0, Verdict::Good, "what is good already is good at once");
    world.deploy("web", 2);
    assert_eq!(verdict(&world).1, Some(WaitsFor::Deployment));
    world.run(70);
    assert_eq!(verdict(&world).1, Some(WaitsFor::Bake));
    world.run(2000);
    assert_eq!(verdict(&world).0, Verdict::Good);
}

#[test]
fn a_rolled_back_deployment_says_how_that_ended() {
    let mut world = World::proven(shop(vec![errors()]));
    world.deploy("web", 2);
    world.prompt = false;
    world.run(300);
    assert_eq!(verdict(&world).1, Some(WaitsFor::Rollback));
    world.prompt = true;
    to_its_end(&mut world);
    assert_eq!(verdict(&world).1, Some(WaitsFor::Verification));
    world.run(300);
    let said = world.view().verdict;
    assert_eq!(said.verdict, Verdict::RolledBack);
    assert_eq!((said.revision, said.outcome), (Some(RevisionNo(2)), Some(Outcome::Recovered)));
    assert_eq!(world.view().running.verdict, Verdict::Good, "what runs is another matter");
    // Gone forward to again, it is watched anew.
    world.reads = Box::new(|_, _| Reading::Value(0.0));
    world.run(60);
    let project = ProjectName::new("shop");
    world.command(Command::Forward { project, service: None }).unwrap();
    world.run(900);
    assert_eq!(verdict(&world).1, Some(WaitsFor::Bake), "{:?}", verdict(&world));
    world.run(3000);
    assert_eq!(verdict(&world).0, Verdict::Good);
}

#[test]
fn a_breach_that_leads_to_no_rollback_is_a_verdict_that_names_the_guard() {
    let observing = TriggerSettings { action: Action::Alert, ..errors() };
    let quiet = TriggerSettings { id: "latency".into(), name: "latency".into(), ..errors() };
    let mut world = World::proven(shop(vec![observing, quiet]));
    world.reads = Box::new(|world, trigger| {
        let bad = world.version("web") > 1 && trigger.name == "errors";
        Reading::Value(if bad { 0.2 } else { 0.0 })
    });
    world.deploy("web", 2);
    world.run(300);
    let (said, _, why) = verdict(&world);
    assert_eq!(said, Verdict::NotRolledBack);
    assert!(why.contains("errors") && why.contains("only alerts"), "{why}");

    let mut settings = shop(vec![errors()]);
    settings.mode = Mode::Observe;
    let mut world = World::proven(settings);
    world.deploy("web", 2);
    world.run(300);
    let (said, _, why) = verdict(&world);
    assert!(said == Verdict::NotRolledBack && why.contains("observe"), "{why}");

    let mut world = World::proven(shop(vec![errors()]));
    let (project, reason) = (Some(ProjectName::new("shop")), "a fair".to_owned());
    world.command(Command::Pause { project, lasts: None, reason }).unwrap();
    world.deploy("web", 2);
    world.run(300);
    let (said, _, why) = verdict(&world);
    assert!(said == Verdict::NotRolledBack && why.contains("paused (a fair)"), "{why}");
}

#[test]
fn a_breach_of_what_was_not_deployed_is_no_verdict_on_the_deployment() {
    let mut world = two_services();
    let auth = TriggerSettings {
        id: "auth".into(),
        name: "auth".into(),
        service: ServiceName::new("auth"),
        ..errors()
    };
    let settings = shop(vec![errors(), auth]);
    world.reload(rollbackd_core::settings::Settings { projects: vec![settings] });
    world.look();
    world.reads = Box::new(|world, trigger| {
        let bad = world.version("web") > 1 && trigger.name == "auth";
        Reading::Value(if bad { 0.2 } else { 0.0 })
    });
    world.deploy("web", 2);
    world.run(600);
    let alerted = |fact: &Fact| matches!(fact, Fact::Alerted { guard: Guard::NobodyToBlame, .. });
    assert!(world.facts.iter().any(alerted));
    assert_eq!(verdict(&world).1, Some(WaitsFor::Bake));
    world.run(1800);
    assert_eq!(verdict(&world).0, Verdict::Good);
}

#[test]
fn where_nobody_can_tell_the_verdict_says_why() {
    // Nothing watches what was deployed.
    let mut world = two_services();
    world.deploy("auth", 2);
    world.run(70);
    let (said, _, why) = verdict(&world);
    assert!(said == Verdict::Unknown && why.contains("no trigger"), "{why}");
    // No data.
    let mut world = World::proven(shop(vec![errors()]));
    world.reads = Box::new(|_, _| unanswered());
    world.deploy("web", 2);
    world.run(600);
    assert_eq!(verdict(&world).1, Some(WaitsFor::Bake));
    world.run(1800);
    let (said, _, why) = verdict(&world);
    assert!(said == Verdict::Unknown && why.contains("had data for only"), "{why}");
    // Nothing runs at all.
    let world = World::of(shop(vec![errors()]), Vec::new());
    let (said, _, why) = verdict(&world);
    assert!(said == Verdict::Unknown && why.contains("does not run"), "{why}");
}

#[test]
fn the_first_revision_is_waited_for_until_a_bake_of_it_was_observed() {
    let mut world = World::new(shop(vec![errors()]));
    assert_eq!(verdict(&world).1, Some(WaitsFor::Bake));
    world.reads = Box::new(|_, _| unanswered());
    world.run(2400);
    let (said, _, why) = verdict(&world);
    assert!(said == Verdict::Unknown && why.contains("had data for only"), "{why}");
    world.reads = Box::new(|_, _| Reading::Value(0.0));
    world.run(4000);
    assert_eq!(verdict(&world).0, Verdict::Good, "it is watched for another bake");
}

#[test]
fn a_rollback_that_failed_or_was_stopped_leaves_the_deployment_not_rolled_back() {
    let mut world = World::proven(shop(vec![errors()]));
    world.steps = Box::new(|does| match does {
        Does::Recreate { .. } => failed("the disk is full", Fault::World),
        _ => StepOutcome::Done(String::new()),
    });
    world.deploy("web", 2);
    world.run(300);
    let said = world.view().verdict;
    assert_eq!((said.verdict, said.outcome), (Verdict::NotRolledBack, Some(Outcome::Failed)));
    assert!(said.reason.contains("the disk is full"), "{}", said.reason);

    let mut world = acting();
    abort(&mut world, 1).unwrap();
    to_its_end(&mut world);
    world.run(1);
    world.look();
    let said = world.view().verdict;
    assert_eq!((said.verdict, said.outcome), (Verdict::NotRolledBack, Some(Outcome::Refused)));
    assert!(said.reason.contains("stopped by a person"), "{}", said.reason);
}

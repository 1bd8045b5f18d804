//! What the core promises of a rollback to an image: one that ran here is its
//! revision, one that never did is deployed by Compose and becomes a revision of
//! its own.
#![allow(missing_docs)]

mod world;

use rollbackd_core::{
    event::{Command, Goal, WantedImage},
    incident::{Incident, Outcome},
    plan::{Does, Fault, StepOutcome},
    reading::Reading,
    revision::Standing,
    words::{ProjectName, RevisionNo, ServiceName},
};
use world::*;

fn to(service: Option<&str>, version: u8) -> Command {
    let wanted = WantedImage { reference: "shop:wanted".into(), id: Some(image(version)) };
    Command::Rollback {
        project: ProjectName::new("shop"),
        service: service.map(ServiceName::new),
        to: Some(Goal::Image(wanted)),
        reason: String::new(),
        dry_run: false,
    }
}

fn forward() -> Command {
    Command::Forward { project: ProjectName::new("shop"), service: None }
}

/// Revision 1 is good, revision 2 runs, and nothing ever breaches.
fn two_revisions() -> World {
    let mut world = World::proven(shop(vec![errors()]));
    world.reads = Box::new(|_, _| Reading::Value(0.0));
    world.deploy("web", 2);
    world.run(120);
    world
}

fn kinds(incident: &Incident) -> Vec<&str> {
    incident.plan.steps.iter().map(|step| step.does.kind()).collect()
}

#[test]
fn an_image_that_never_ran_here_is_deployed_by_compose_and_is_a_new_revision() {
    let mut world = two_revisions();
    let accepted = world.command(to(Some("web"), 5)).unwrap();
    assert_eq!(accepted.message, "rollback 1 has begun: shop: web to the image shop:wanted");
    let begun = accepted.incident.unwrap();
    assert_eq!(kinds(&begun), ["tell", "compose", "wait-healthy", "verify", "tell"]);
    assert_eq!((begun.from, begun.to), (RevisionNo(2), None));
    world.run(300);
    assert_eq!(world.outcomes(), [Outcome::Recovered]);
    assert_eq!(world.version("web"), 5);
    let view = world.view();
    assert_eq!(view.revision, Some(RevisionNo(3)), "it is at no earlier revision");
    assert_eq!(view.revisions[1].standing, Standing::Bad);
    assert_eq!(view.standing, Some(Standing::Baking), "and is watched like any deployment");
    assert_eq!(view.services[0].target, Some(RevisionNo(1)), "never the one that was left");
}

#[test]
fn an_image_that_ran_here_is_put_back_as_its_revision() {
    let mut world = two_revisions();
    let begun = world.command(to(Some("web"), 1)).unwrap().incident.unwrap();
    assert_eq!(begun.to, Some(RevisionNo(1)));
    assert!(kinds(&begun).contains(&"recreate") && !kinds(&begun).contains(&"compose"));
}

#[test]
fn an_image_is_for_one_service_that_runs_another() {
    let mut world = two_revisions();
    let mut refused = |command| world.command(command).unwrap_err();
    let several = refused(to(None, 5));
    assert_eq!(several.message, "an image is gone back to for one service");
    assert!(several.hint.contains("shop/SERVICE"), "{several:?}");
    assert!(refused(to(Some("web"), 2)).message.starts_with("shop/web already runs the image"));
    assert!(refused(to(Some("db"), 5)).message.starts_with("shop/db has no container"));
}

#[test]
fn where_compose_fails_what_ran_is_made_again_from_its_record() {
    let mut world = two_revisions();
    world.steps = Box::new(|does| match does {
        Does::Compose { .. } => {
            StepOutcome::Failed { why: "it exits with 1".into(), fault: Fault::Target }
        }
        _ => StepOutcome::Done(String::new()),
    });
    world.command(to(Some("web"), 5)).unwrap();
    world.run(300);
    assert_eq!(world.outcomes(), [Outcome::Failed]);
    let view = world.view();
    let ended = &view.incidents[0];
    let ran: Vec<&str> = ended.steps.iter().map(|step| step.kind.as_str()).collect();
    assert_eq!(ran, ["tell", "compose", "retag", "recreate", "discard"]);
    let again = ended.plan.undo.iter().find_map(|step| match &step.does {
        Does::Recreate { image, replaces, .. } => Some((*image, replaces.clone().unwrap().image)),
        _ => None,
    });
    assert_eq!(again, Some((image(2), image(5))), "what ran, in the place of what was tried");
    assert_eq!(world.view().revision, Some(RevisionNo(2)));
    assert_eq!(world.view().revisions[1].standing, Standing::Baking, "nothing was rolled back");
}

#[test]
fn what_lives_in_the_services_namespaces_is_made_again_after_it() {
    let mut world = World::new(shop(vec![errors()]));
    let mut sidecar = runs("sidecar", 1, at(0) - secs(3600));
    sidecar.joins = vec!["web"];
    world.services.push(sidecar);
    world.run(120);
    let begun = world.command(to(Some("web"), 5)).unwrap().incident.unwrap();
    let kinds = kinds(&begun);
    let expected = ["tell", "compose", "recreate", "wait-healthy", "discard", "verify", "tell"];
    assert_eq!(kinds, expected);
}

#[test]
fn forward_undoes_it() {
    let mut world = two_revisions();
    world.command(to(Some("web"), 5)).unwrap();
    world.run(300);
    let begun = world.command(forward()).unwrap().incident.unwrap();
    assert_eq!(begun.to, Some(RevisionNo(2)));
    world.run(300);
    assert_eq!(world.version("web"), 2);
    assert_eq!(world.view().revision, Some(RevisionNo(2)));
}

#[test]
fn forward_does_not_undo_what_a_person_deployed_since() {
    let mut world = two_revisions();
    world.command(to(Some("web"), 5)).unwrap();
    world.run(300);
    world.deploy("web", 6);
    world.run(120);
    let refused = world.command(forward()).unwrap_err();
    assert_eq!(refused.message, "shop was deployed again since rollback 1");
}

#[test]
fn a_breach_after_it_goes_back_to_what_was_good() {
    let mut world = two_revisions();
    world.command(to(Some("web"), 5)).unwrap();
    world.run(300);
    world.reads =
        Box::new(|world, _| Reading::Value(if world.version("web") == 5 { 0.2 } else { 0.0 }));
    world.run(900);
    assert_eq!(world.version("web"), 1);
    assert_eq!(world.outcomes(), [Outcome::Recovered, Outcome::Recovered]);
}

#[test]
fn a_number_alone_is_read_as_a_revision() {
    let old = r#"{"command":"rollback","project":"shop","service":null,"to":2,"reason":"","dry_run":true}"#;
    let Command::Rollback { to, .. } = serde_json::from_str(old).unwrap() else { panic!() };
    assert_eq!(to, Some(Goal::Revision(RevisionNo(2))));
    let image = r#"{"command":"rollback","project":"shop","service":"web","to":{"reference":"shop:previous"},"reason":"","dry_run":true}"#;
    let Command::Rollback { to, .. } = serde_json::from_str(image).unwrap() else { panic!() };
    let wanted = WantedImage { reference: "shop:previous".into(), id: None };
    assert_eq!(to, Some(Goal::Image(wanted)));
}

//! From the core's views to the JSON documents: moments become wall times,
//! durations seconds, and a step of a plan a sentence. Pure but for the clock.

use std::time::Duration;

use jiff::{Timestamp, Unit as Precision};
use rollbackd_core::{
    event::Accepted,
    incident::{Cause, Incident, StepRun},
    moment::Moment,
    plan::{Does, Step},
    settings::{Condition, Hold, Order},
    signal::Unit,
    view::{ProjectView, RevisionView, ServiceView, TriggerView, VerdictView},
    why::{Why, WhyTrigger},
    words::{ImageId, ProjectName, ServiceName},
};

use crate::{
    api::{Snapshot, json},
    host::clock::Clock,
};

/// The whole of `status`.
pub(super) fn status(snapshot: &Snapshot, clock: &Clock) -> json::Status {
    json::Status {
        version: snapshot.version.to_owned(),
        at: wall(clock, snapshot.at),
        mode: snapshot.mode,
        engine: snapshot.engine.as_ref().map(|away| away.why.clone()),
        engine_away_since: snapshot.engine.as_ref().map(|away| wall(clock, away.since)),
        trouble: snapshot.trouble.clone(),
        behind: snapshot.behind.as_secs_f64(),
        projects: snapshot.projects.iter().map(|view| project(view, clock)).collect(),
    }
}

fn project(view: &ProjectView, clock: &Clock) -> json::Project {
    let current = view.revisions.iter().rfind(|seen| Some(seen.revision.number) == view.revision);
    json::Project {
        name: view.name.clone(),
        mode: view.mode,
        revision: view.revision,
        standing: view.standing,
        deployed_at: current.map(|seen| wall(clock, seen.revision.deployed_at)),
        deploying_since: view.deploying_since.map(|at| wall(clock, at)),
        bake: view.bake.map(|(observed, of)| json::Bake {
            observed: observed.as_secs_f64(),
            of: of.as_secs_f64(),
        }),
        paused: view.paused.is_some(),
        paused_until: view.paused.as_ref().and_then(|pause| pause.until).map(|at| wall(clock, at)),
        pause_reason: view.paused.as_ref().map(|pause| pause.reason.clone()),
        announced: view.announced.map(|(since, until)| json::Announced {
            since: wall(clock, since),
            until: wall(clock, until),
        }),
        rollback: view.rollback,
        verdict: verdict(&view.verdict),
        running: verdict(&view.running),
        services: view.services.iter().map(|view| service(view, clock)).collect(),
    }
}

fn verdict(view: &VerdictView) -> json::Verdict {
    let VerdictView { revision, verdict, waits_for, reason, rollback, outcome } = view.clone();
    json::Verdict { revision, verdict, waits_for, reason, rollback, outcome }
}

fn service(view: &ServiceView, clock: &Clock) -> json::Service {
    json::Service {
        name: view.name.clone(),
        image: view.image.clone(),
        image_id: view.image_id,
        since: view.since.map(|at| wall(clock, at)),
        armed: view.armed,
        reasons: view.reasons.clone(),
        target: view.target,
        triggers: view.triggers.iter().map(|view| trigger(view, clock)).collect(),
    }
}

fn trigger(view: &TriggerView, clock: &Clock) -> json::Trigger {
    let narrow = |value: f32| value.clamp(f32::MIN, f32::MAX);
    json::Trigger {
        name: view.name.clone(),
        signal: view.signal.clone(),
        source: view.source.clone(),
        action: view.action,
        state: view.state,
        value: view.value.map(finite),
        threshold: finite(view.condition.threshold()),
        condition: compare(view.condition),
        unit: unit(view.signal.unit()).to_owned(),
        at: view.at.map(|at| wall(clock, at)),
        pending_since: view.pending_since.map(|at| wall(clock, at)),
        reason: view.reason.clone(),
        recent: view.recent.iter().map(|value| value.map(narrow)).collect(),
    }
}

/// Why a service was or was not rolled back.
pub(super) fn why(seen: &Why, clock: &Clock) -> json::why::Why {
    json::why::Why {
        project: seen.project.clone(),
        service: seen.service.clone(),
        at: wall(clock, seen.at),
        recorded: false,
        other_configuration: false,
        revision: seen.revision,
        standing: seen.standing,
        says: seen.says.clone(),
        triggers: seen.triggers.iter().map(|seen| why_trigger(seen, clock)).collect(),
    }
}

fn why_trigger(seen: &WhyTrigger, clock: &Clock) -> json::why::WhyTrigger {
    let guards = seen.checks.iter().map(|check| json::why::WhyGuard {
        name: check.guard,
        passed: check.passed,
        says: check.says.clone(),
    });
    json::why::WhyTrigger {
        trigger: trigger(&seen.view, clock),
        holds_for: seen.view.hold.span().as_secs_f64(),
        share: match seen.view.hold {
            Hold::For(_) => None,
            Hold::Share { share, .. } => Some(share.get()),
        },
        says: seen.says.clone(),
        guards: guards.collect(),
    }
}

/// Every remembered revision of a project, oldest first.
pub(super) fn revisions(view: &ProjectView, clock: &Clock) -> Vec<json::Revision> {
    let all = view.revisions.iter();
    all.map(|seen| revision(&view.name, Some(seen.revision.number) == view.revision, seen, clock))
        .collect()
}

fn revision(
    project: &ProjectName,
    current: bool,
    view: &RevisionView,
    clock: &Clock,
) -> json::Revision {
    let services = view.revision.services.iter().map(|record| json::RevisionService {
        name: record.name.clone(),
        image: record.image.clone(),
        image_id: record.image_id,
    });
    json::Revision {
        project: project.clone(),
        revision: view.revision.number,
        standing: view.standing,
        acquitted: view.acquitted,
        current,
        began_at: wall(clock, view.revision.began_at),
        deployed_at: wall(clock, view.revision.deployed_at),
        services: services.collect(),
        changed: view.revision.changed.clone(),
        restorable: view.problem.is_none(),
        reason: view.problem.clone(),
    }
}

/// What a person is answered when a command was taken.
pub(super) fn accepted(answer: &Accepted, clock: &Clock) -> json::Accepted {
    json::Accepted {
        message: answer.message.clone(),
        incident: answer.incident.as_deref().map(|seen| incident(seen, clock)),
    }
}

/// One incident whole.
pub(super) fn incident(seen: &Incident, clock: &Clock) -> json::Incident {
    let breach = seen.breach();
    let phases = seen.phases();
    let seconds = |took: Option<Duration>| took.map(|took| took.as_secs_f64());
    let changes = seen.services.iter().map(|change| json::Change {
        name: change.name.clone(),
        from_image: change.from_image.clone(),
        from_image_id: change.from_id,
        to_image: change.to_image.clone(),
        to_image_id: change.to_id,
    });
    json::Incident {
        id: seen.id,
        kind: seen.kind,
        project: seen.project.clone(),
        services: seen.services.iter().map(|change| change.name.clone()).collect(),
        changes: changes.collect(),
        from: seen.from,
        to: seen.to,
        cause: cause(&seen.cause).to_owned(),
        trigger: breach.map(|breach| breach.name.clone()),
        service: breach.map(|breach| breach.service.clone()),
        signal: breach.map(|breach| breach.signal.clone()),
        value: breach.and_then(|breach| breach.value).map(finite),
        threshold: breach.map(|breach| finite(breach.condition.threshold())),
        condition: breach.map(|breach| compare(breach.condition)),
        pending_since: breach.map(|breach| wall(clock, breach.pending_since)),
        breached_at: breach.map(|breach| wall(clock, breach.at)),
        joined: seen.joined.iter().map(|breach| breach.name.clone()).collect(),
        began_at: wall(clock, seen.began_at),
        ended_at: seen.ended_at.map(|at| wall(clock, at)),
        outcome: seen.outcome,
        reason: reason(seen),
        steps: seen.steps.iter().map(|run| step(run, clock)).collect(),
        plan: seen.plan.steps.iter().map(planned).collect(),
        phases: json::Phases {
            detect: seconds(phases.detect),
            decide: seconds(phases.decide),
            act: seconds(phases.act),
            verify: seconds(phases.verify),
        },
    }
}

/// The outcome's reason; until there is one, what the person gave.
fn reason(seen: &Incident) -> String {
    match &seen.cause {
        Cause::Person { reason, .. } if seen.reason.is_empty() => reason.clone(),
        _ => seen.reason.clone(),
    }
}

fn cause(cause: &Cause) -> &'static str {
    match cause {
        Cause::Breach(_) => "breach",
        Cause::Person { forward: false, .. } => "person",
        Cause::Person { forward: true, .. } => "forward",
        Cause::NotRecovered { .. } => "not-recovered",
        Cause::KnownBad { .. } => "known-bad",
    }
}

fn step(run: &StepRun, clock: &Clock) -> json::Step {
    json::Step {
        name: run.name.clone(),
        kind: run.kind.clone(),
        began_at: wall(clock, run.began_at),
        ended_at: run.ended_at.map(|at| wall(clock, at)),
        attempts: run.attempts,
        outcome: run.outcome.map(|outcome| match outcome {
            Ok(()) => json::StepEnd::Done,
            Err(_) => json::StepEnd::Failed,
        }),
        fault: run.outcome.and_then(Result::err),
        output: run.output.clone(),
    }
}

fn planned(step: &Step) -> json::PlanStep {
    json::PlanStep {
        name: step.name.clone(),
        kind: step.does.kind().to_owned(),
        does: does(&step.does),
        limit: step.limit.as_secs_f64(),
    }
}

/// What a step does, as exactly as a person wants to read it.
fn does(step: &Does) -> String {
    match step {
        Does::Tell => "people are told".to_owned(),
        Does::Retag { service, along, reference, image } => {
            let users: Vec<ServiceName> = std::iter::once(service).chain(along).cloned().collect();
            format!(
                "{reference} names image {} again, if {} alone uses that tag",
                image.short(),
                list(&users)
            )
        }
        Does::Recreate { service, records, image, order, .. } => {
            recreation(service, records.len(), image, *order)
        }
        Does::Compose { service, reference, image, scale, .. } => {
            let containers = if *scale == 1 { "container" } else { "containers" };
            format!(
                "Compose deploys {scale} {containers} of {service} with {reference}, image {}, \
                 if its files and variables are those that {service} was deployed with",
                image.short()
            )
        }
        Does::WaitHealthy { services } => {
            format!("{} must run, and be healthy where there is a check", list(services))
        }
        Does::Discard { services } => {
            format!("the containers of {} that were kept aside are removed", list(services))
        }
        Does::PutBack { service } => {
            format!("the containers of {service} that were kept aside run again")
        }
        Does::Verify => "the signals must be back, and stay".to_owned(),
    }
}

fn recreation(service: &ServiceName, count: usize, image: &ImageId, order: Order) -> String {
    let containers = if count == 1 { "container" } else { "containers" };
    let order = match order {
        Order::StopFirst => "the old stops, then the new starts",
        Order::StartFirst => "the new is healthy before the old stops",
    };
    format!("{count} {containers} of {service} as recorded, image {}; {order}", image.short())
}

fn list(services: &[ServiceName]) -> String {
    let names: Vec<&str> = services.iter().map(ServiceName::as_str).collect();
    names.join(", ")
}

fn compare(condition: Condition) -> json::Compare {
    match condition {
        Condition::Above(_) => json::Compare::Above,
        Condition::Below(_) => json::Compare::Below,
        Condition::AtLeast(_) => json::Compare::AtLeast,
    }
}

fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Share => "share",
        Unit::Seconds => "seconds",
        Unit::Count => "count",
        Unit::Number => "number",
    }
}

/// The nearest number that JSON can carry.
fn finite(value: f64) -> f64 {
    value.clamp(f64::MIN, f64::MAX)
}

/// A moment for people, to the millisecond: more would only be the jitter
/// between two clocks.
pub(super) fn wall(clock: &Clock, moment: Moment) -> Timestamp {
    let exact = clock.wall_of(moment);
    exact.round(Precision::Millisecond).unwrap_or(exact)
}

//! Snapshots made by hand, for tests of what is made from them: every state a
//! trigger can be in, and a rollback from cause to outcome.

use std::{sync::Arc, time::Duration};

use rollbackd_core::{
    incident::{Breach, Cause, Incident, IncidentKind, Outcome, ServiceChange, StepRun},
    moment::Moment,
    plan::{Does, Plan, Step},
    revision::{Revision, ServiceRecord, Standing},
    settings::{Action, Condition, Hold, Mode, Order},
    signal::Signal,
    view::{
        PauseView, ProjectView, RevisionView, ServiceView, TriggerState, TriggerView, Verdict,
        VerdictView, WaitsFor,
    },
    words::{ImageId, IncidentId, RevisionNo},
};

use crate::{
    api::{Snapshot, json, map},
    host::clock::Clock,
};

/// 2026-11-21 10:43:12 UTC.
pub(crate) const NOW: Moment = Moment::from_nanos(1_795_257_792_000_000_000);

pub(crate) fn clock() -> Clock {
    Clock::manual(NOW)
}

pub(crate) fn before(seconds: f64) -> Moment {
    NOW - Duration::from_secs_f64(seconds)
}

/// An image whose ID begins with these two digits, over and over.
pub(crate) fn image(digits: &str) -> ImageId {
    format!("sha256:{}", digits.repeat(32)).parse().unwrap()
}

fn trigger(name: &str, signal: Signal, state: TriggerState, condition: Condition) -> TriggerView {
    TriggerView {
        name: name.into(),
        signal,
        source: "prom".into(),
        action: Action::Rollback,
        state,
        value: None,
        at: Some(before(8.0)),
        condition,
        hold: Hold::For(Duration::from_secs(60)),
        known_bad: false,
        pending_since: None,
        reason: None,
        recent: Vec::new(),
    }
}

fn recent(values: &[f32]) -> Vec<Option<f32>> {
    values.iter().map(|value| (!value.is_nan()).then_some(*value)).collect()
}

fn backend() -> ServiceView {
    let errors = TriggerView {
        value: Some(0.124),
        pending_since: Some(before(70.0)),
        recent: recent(&[0.0, 0.001, 0.0, 0.002, 0.06, 0.11, 0.124]),
        ..trigger("errors", Signal::ErrorRate, TriggerState::Pending, Condition::Above(0.05))
    };
    let latency = TriggerView {
        value: Some(0.23),
        recent: recent(&[0.2, 0.21, f32::NAN, 0.2, 0.23]),
        ..trigger("slow", Signal::parse("latency_p99"), TriggerState::Ok, Condition::Above(2.0))
    };
    let door = TriggerView {
        value: Some(1.0),
        at: Some(before(95.0)),
        reason: Some("http://127.0.0.1:9090 refused the connection; is the server up?".into()),
        recent: recent(&[1.0, 1.0, f32::NAN]),
        ..trigger("door", Signal::Availability, TriggerState::Blind, Condition::Below(0.99))
    };
    let health = TriggerView {
        value: Some(0.0),
        source: "docker".into(),
        recent: recent(&[0.0; 7]),
        ..trigger("backend health", Signal::Health, TriggerState::Ok, Condition::AtLeast(3.0))
    };
    ServiceView {
        name: "backend".into(),
        image: Some("shop:latest".into()),
        image_id: Some(image("1a")),
        since: Some(before(727.0)),
        armed: true,
        reasons: vec!["door is blind".into()],
        target: Some(RevisionNo(1)),
        triggers: vec![errors, latency, door, health],
    }
}

fn worker() -> ServiceView {
    let health = TriggerView {
        value: Some(f64::INFINITY),
        pending_since: Some(before(3.0)),
        source: "docker".into(),
        recent: recent(&[0.0, 0.0, f32::INFINITY]),
        ..trigger("worker health", Signal::Health, TriggerState::Breached, Condition::AtLeast(3.0))
    };
    let queue = TriggerView {
        value: Some(12.0),
        reason: Some("41s of grace left".into()),
        action: Action::Alert,
        ..trigger(
            "queue",
            Signal::Own("queue".into()),
            TriggerState::Grace,
            Condition::Above(100.0),
        )
    };
    ServiceView {
        name: "worker".into(),
        image: Some("registry.example.com/shop/worker:2026-11-21".into()),
        image_id: Some(image("2b")),
        since: Some(before(3.0)),
        armed: false,
        reasons: vec![
            "no revision to return to: r1 lacks its image (image 3c3c3c3c3c3c was removed)".into(),
        ],
        target: None,
        triggers: vec![health, queue],
    }
}

fn quiet(name: &str, reference: &str) -> ServiceView {
    ServiceView {
        name: name.into(),
        image: Some(reference.into()),
        image_id: Some(image("9f")),
        since: Some(before(190_000.0)),
        armed: false,
        reasons: vec!["no trigger".into()],
        target: None,
        triggers: Vec::new(),
    }
}

fn record(name: &str, reference: &str, digits: &str) -> ServiceRecord {
    ServiceRecord {
        name: name.into(),
        image: reference.into(),
        image_id: image(digits),
        fingerprint: digits.into(),
        containers: vec![digits.into()],
        depends_on: Vec::new(),
        joins: Vec::new(),
        stateful: false,
        publishes: false,
        one_shot: false,
        digests: Vec::new(),
        unattended: false,
    }
}

fn revision(number: u32, ago: f64, backend: &str, changed: &[&str]) -> Revision {
    Revision {
        number: RevisionNo(number),
        began_at: before(ago + 65.0),
        deployed_at: before(ago),
        services: vec![
            record("backend", "shop:latest", backend),
            record("postgres", "postgres:16", "9f"),
        ],
        changed: changed.iter().map(|name| (*name).into()).collect(),
    }
}

fn breach() -> Breach {
    Breach {
        trigger: "errors".into(),
        name: "errors".into(),
        service: "backend".into(),
        signal: Signal::ErrorRate,
        condition: Condition::Above(0.05),
        value: Some(0.124),
        pending_since: before(7271.0),
        at: before(7211.0),
    }
}

fn plan() -> Plan {
    let step = |name: &str, does: Does, limit: u64| Step {
        name: name.into(),
        does,
        limit: Duration::from_secs(limit),
    };
    let recreate = Does::Recreate {
        service: "backend".into(),
        records: vec!["aa".into()],
        image: image("9e"),
        replaces: None,
        order: Order::StopFirst,
        drain: Duration::from_secs(2),
        start_timeout: Duration::from_secs(60),
    };
    let retag = Does::Retag {
        service: "backend".into(),
        along: Vec::new(),
        reference: "shop:latest".into(),
        image: image("9e"),
    };
    Plan {
        steps: vec![
            step("tell", Does::Tell, 10),
            step("retag backend", retag, 30),
            step("recreate backend", recreate, 120),
            step("wait for backend", Does::WaitHealthy { services: vec!["backend".into()] }, 60),
            step("discard", Does::Discard { services: vec!["backend".into()] }, 60),
            step("verify", Does::Verify, 600),
        ],
        undo: vec![step("put back backend", Does::PutBack { service: "backend".into() }, 60)],
    }
}

fn ran(name: &str, kind: &str, from: f64, to: f64, output: &str) -> StepRun {
    StepRun {
        name: name.into(),
        kind: kind.into(),
        began_at: before(from),
        ended_at: Some(before(to)),
        attempts: 1,
        outcome: Some(Ok(())),
        output: output.into(),
    }
}

/// Rollback 7, which recovered two hours ago.
pub(crate) fn core_incident() -> Incident {
    let change = ServiceChange {
        name: "backend".into(),
        from_image: "shop:latest".into(),
        from_id: image("1a"),
        to_image: "shop:latest".into(),
        to_id: image("9e"),
    };
    let mut twice = ran("recreate backend", "recreate", 7210.9, 7209.2, "");
    twice.attempts = 2;
    Incident {
        id: IncidentId(7),
        kind: IncidentKind::Rollback,
        project: "shop".into(),
        services: vec![change],
        from: RevisionNo(2),
        to: Some(RevisionNo(1)),
        cause: Cause::Breach(breach()),
        joined: vec![Breach { name: "slow".into(), ..breach() }],
        began_at: before(7210.995),
        ended_at: Some(before(7145.0)),
        acted: Some((before(7210.99), before(7208.0))),
        outcome: Some(Outcome::Recovered),
        reason: "errors is at 0.2% again".into(),
        steps: vec![
            ran("retag backend", "retag", 7210.99, 7210.95, "left shop:latest: web uses it too"),
            twice,
            ran("wait for backend", "wait-healthy", 7209.2, 7208.0, ""),
            ran("verify", "verify", 7208.0, 7145.0, ""),
        ],
        plan: plan(),
    }
}

fn core_refusal() -> Incident {
    Incident {
        id: IncidentId(8),
        kind: IncidentKind::Refused,
        began_at: before(600.0),
        ended_at: Some(before(600.0)),
        acted: None,
        outcome: Some(Outcome::Refused),
        reason: "cooldown: r2 was rolled back from 8m ago, and 15m must pass".into(),
        joined: Vec::new(),
        steps: Vec::new(),
        ..core_incident()
    }
}

fn waits(revision: Option<RevisionNo>, what: WaitsFor) -> VerdictView {
    VerdictView {
        revision,
        verdict: Verdict::Waits,
        waits_for: Some(what),
        reason: "its bake is being observed".into(),
        rollback: None,
        outcome: None,
    }
}

/// A project whose second revision bakes.
pub(crate) fn shop() -> ProjectView {
    ProjectView {
        name: "shop".into(),
        mode: Mode::Act,
        revision: Some(RevisionNo(2)),
        standing: Some(Standing::Baking),
        deploying_since: None,
        bake: Some((Duration::from_secs(662), Duration::from_secs(1800))),
        paused: None,
        announced: None,
        rollback: None,
        verdict: waits(Some(RevisionNo(2)), WaitsFor::Bake),
        running: waits(Some(RevisionNo(2)), WaitsFor::Bake),
        services: vec![backend(), quiet("postgres", "postgres:16"), worker()],
        revisions: vec![
            RevisionView {
                revision: revision(1, 190_000.0, "9e", &[]),
                standing: Standing::Good,
                acquitted: false,
                problem: None,
            },
            RevisionView {
                revision: revision(2, 662.0, "1a", &["backend"]),
                standing: Standing::Baking,
                acquitted: false,
                problem: Some("image 1a1a1a1a1a1a was removed".into()),
            },
        ],
        incidents: vec![core_incident(), core_refusal()],
    }
}

fn billing() -> ProjectView {
    ProjectView {
        name: "billing".into(),
        mode: Mode::Observe,
        revision: None,
        standing: None,
        deploying_since: Some(before(31.0)),
        bake: None,
        paused: Some(PauseView {
            until: Some(NOW + Duration::from_secs(3420)),
            reason: "database migration".into(),
        }),
        announced: Some((before(40.0), NOW + Duration::from_secs(2660))),
        rollback: Some(IncidentId(9)),
        verdict: waits(None, WaitsFor::Rollback),
        running: waits(None, WaitsFor::Rollback),
        services: vec![quiet("app", "billing:7")],
        revisions: Vec::new(),
        incidents: Vec::new(),
    }
}

/// Two projects, one of them calm.
pub(crate) fn snapshot() -> Snapshot {
    Snapshot {
        at: NOW,
        version: "0.1.0",
        mode: Mode::Act,
        projects: vec![Arc::new(shop()), Arc::new(billing())],
        engine: None,
        trouble: None,
        behind: Duration::ZERO,
    }
}

pub(crate) fn status() -> json::Status {
    map::status(&snapshot(), &clock())
}

pub(crate) fn revisions() -> Vec<json::Revision> {
    map::revisions(&shop(), &clock())
}

pub(crate) fn incident() -> json::Incident {
    map::incident(&core_incident(), &clock())
}

pub(crate) fn refusal() -> json::Incident {
    map::incident(&core_refusal(), &clock())
}

//! `/metrics`: the snapshot as Prometheus reads it. Names and labels are those
//! of `docs/operating.md` and do not change their meaning.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, text},
    metrics::{MetricType, counter::ConstCounter},
    registry::Registry,
};
use rollbackd_core::{
    incident::{Incident, Outcome},
    view::{ProjectView, ServiceView, TriggerState, TriggerView},
    words::{IncidentId, ProjectName},
};

use crate::api::Snapshot;

/// The type of what [`Metrics::render`] gives.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const OUTCOMES: [Outcome; 5] = [
    Outcome::Recovered,
    Outcome::Unverified,
    Outcome::NotRecovered,
    Outcome::Failed,
    Outcome::Refused,
];

const STATES: [TriggerState; 5] = [
    TriggerState::Ok,
    TriggerState::Pending,
    TriggerState::Breached,
    TriggerState::Blind,
    TriggerState::Grace,
];

/// Makes the page, and remembers which incidents it has counted: a snapshot
/// forgets old ones, a counter must not.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    counted: Mutex<BTreeMap<ProjectName, Counted>>,
}

#[derive(Clone, Debug, Default)]
struct Counted {
    ids: BTreeSet<IncidentId>,
    totals: [u64; OUTCOMES.len()],
}

impl Counted {
    fn take(&mut self, incidents: &[Incident]) {
        for (incident, outcome) in incidents.iter().filter_map(|seen| Some((seen, seen.outcome?))) {
            let place = OUTCOMES.iter().position(|known| *known == outcome);
            if let Some(place) = place.filter(|_| self.ids.insert(incident.id)) {
                self.totals[place] += 1;
            }
        }
        // Numbers only grow, so what a snapshot no longer has never comes back.
        if let Some(oldest) = incidents.iter().map(|incident| incident.id).min() {
            self.ids = self.ids.split_off(&oldest);
        }
    }
}

impl Metrics {
    /// The page in the OpenMetrics text format, its lines in a fixed order.
    pub(super) fn render(&self, snapshot: &Arc<Snapshot>) -> Result<String, fmt::Error> {
        let rollbacks = {
            let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
            for view in &snapshot.projects {
                counted.entry(view.name.clone()).or_default().take(&view.incidents);
            }
            counted.iter().map(|(project, counted)| (project.clone(), counted.totals)).collect()
        };
        let mut registry = Registry::with_prefix("rollbackd");
        registry.register_collector(Box::new(Page { snapshot: snapshot.clone(), rollbacks }));
        let mut page = String::new();
        text::encode(&mut page, &registry)?;
        Ok(page)
    }
}

#[derive(Debug)]
struct Page {
    snapshot: Arc<Snapshot>,
    rollbacks: Vec<(ProjectName, [u64; OUTCOMES.len()])>,
}

type Labels<'a> = Vec<(&'static str, &'a str)>;

impl Collector for Page {
    fn encode(&self, mut out: DescriptorEncoder) -> fmt::Result {
        out.encode_descriptor("build", "The running version", None, MetricType::Info)?
            .encode_info(&vec![("version", self.snapshot.version)])?;
        self.daemon(&mut out)?;
        self.projects(&mut out)?;
        self.services(&mut out)?;
        self.rollbacks(&mut out)
    }
}

impl Page {
    fn daemon(&self, out: &mut DescriptorEncoder) -> fmt::Result {
        let up = f64::from(u8::from(self.snapshot.engine.is_none()));
        gauge(out, "engine_up", "1 while the container engine answers", [(vec![], up)])?;
        let writable = f64::from(u8::from(self.snapshot.trouble.is_none()));
        gauge(
            out,
            "state_writable",
            "1 while decisions can be written down",
            [(vec![], writable)],
        )?;
        let behind = self.snapshot.behind.as_secs_f64();
        gauge(out, "behind_seconds", "Age of the oldest sample not yet read", [(vec![], behind)])
    }

    fn projects(&self, out: &mut DescriptorEncoder) -> fmt::Result {
        let each = |value: fn(&ProjectView) -> Option<f64>| {
            let projects = self.snapshot.projects.iter();
            projects
                .filter_map(move |view| Some((vec![("project", view.name.as_str())], value(view)?)))
        };
        let revision = |view: &ProjectView| view.revision.map(|number| f64::from(number.0));
        gauge(out, "revision", "The number of the revision that runs", each(revision))?;
        let paused = |view: &ProjectView| Some(f64::from(u8::from(view.paused.is_some())));
        gauge(out, "paused", "1 while automatic action is held", each(paused))?;
        let running = |view: &ProjectView| Some(f64::from(u8::from(view.rollback.is_some())));
        gauge(out, "rollback_running", "1 while a rollback runs", each(running))?;
        let deploying =
            |view: &ProjectView| Some(f64::from(u8::from(view.deploying_since.is_some())));
        gauge(out, "deploying", "1 while a deployment is under way", each(deploying))?;
        gauge(out, "bake_remaining_seconds", "What is left of the bake", each(bake_remaining))
    }

    fn services(&self, out: &mut DescriptorEncoder) -> fmt::Result {
        let armed = self.each_service().map(|(project, service)| {
            (labels(project, service), f64::from(u8::from(service.armed)))
        });
        gauge(out, "armed", "1 while a service could be rolled back", armed)?;
        let states = self.each_trigger().flat_map(|(labels, trigger)| {
            STATES.map(|state| {
                let mut labels = labels.clone();
                labels.push(("state", state.as_str()));
                (labels, f64::from(u8::from(trigger.state == state)))
            })
        });
        gauge(out, "trigger_state", "1 for the state that a trigger is in", states)?;
        let values = self.each_trigger().filter_map(|(labels, trigger)| {
            // The last value of a blind trigger is old: none is better.
            let value = trigger.value.filter(|_| trigger.state != TriggerState::Blind)?;
            Some((labels, value))
        });
        gauge(out, "trigger_value", "The last value of a trigger's signal", values)?;
        let thresholds =
            self.each_trigger().map(|(labels, trigger)| (labels, trigger.condition.threshold()));
        gauge(out, "trigger_threshold", "What a trigger's value is compared with", thresholds)
    }

    fn rollbacks(&self, out: &mut DescriptorEncoder) -> fmt::Result {
        let help = "Rollbacks that ended, and refusals, by outcome";
        let mut family = out.encode_descriptor("rollbacks", help, None, MetricType::Counter)?;
        for (project, totals) in &self.rollbacks {
            for (outcome, total) in OUTCOMES.iter().zip(totals) {
                let labels = vec![("project", project.as_str()), ("outcome", outcome.as_str())];
                let counter = ConstCounter::new(*total);
                let line = family.encode_family(&labels)?;
                prometheus_client::encoding::EncodeMetric::encode(&counter, line)?;
            }
        }
        Ok(())
    }

    fn each_service(&self) -> impl Iterator<Item = (&ProjectView, &ServiceView)> {
        let projects = self.snapshot.projects.iter();
        projects.flat_map(|view| view.services.iter().map(move |service| (&**view, service)))
    }

    fn each_trigger(&self) -> impl Iterator<Item = (Labels<'_>, &TriggerView)> {
        self.each_service().flat_map(|(project, service)| {
            service.triggers.iter().map(move |trigger| {
                let mut labels = labels(project, service);
                labels.push(("trigger", trigger.name.as_str()));
                (labels, trigger)
            })
        })
    }
}

fn bake_remaining(view: &ProjectView) -> Option<f64> {
    view.bake.map(|(observed, of): (Duration, Duration)| of.saturating_sub(observed).as_secs_f64())
}

fn labels<'a>(project: &'a ProjectView, service: &'a ServiceView) -> Labels<'a> {
    vec![("project", project.name.as_str()), ("service", service.name.as_str())]
}

fn gauge<'a>(
    out: &mut DescriptorEncoder,
    name: &'static str,
    help: &str,
    values: impl IntoIterator<Item = (Labels<'a>, f64)>,
) -> fmt::Result {
    let mut family = out.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in values {
        if labels.is_empty() {
            family.encode_gauge(&value)?;
        } else {
            family.encode_family(&labels)?.encode_gauge(&value)?;
        }
    }
    Ok(())
}

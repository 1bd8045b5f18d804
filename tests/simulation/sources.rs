//! What the sources say, and when it arrives.

use std::collections::BTreeMap;

use rollbackd_core::{
    moment::Moment,
    reading::{Missing, Reading, Sample},
    settings::TriggerSettings,
    signal::Signal,
    words::{TriggerId, TriggerIx},
};

use crate::{
    life::{Comes, Image, Says, Svc},
    rules::secs,
    world::World,
};

/// What a good and a bad image are read as; the threshold is 0.05.
pub const WELL: f64 = 0.01;
pub const ERRS: f64 = 0.3;

/// A sample on its way: lost when the daemon dies.
pub struct OnItsWay {
    pub due: Moment,
    pub trigger: TriggerId,
    pub sample: Sample,
}

/// The daemon's askers.
#[derive(Default)]
pub struct Sources {
    on_their_way: Vec<OnItsWay>,
    /// Held back until the one after it has been sent.
    held: BTreeMap<TriggerId, Sample>,
}

impl Sources {
    /// Asks one trigger's source: what arrives at once, and what is on its way.
    pub fn ask(
        &mut self,
        world: &mut World,
        place: TriggerIx,
        trigger: &TriggerSettings,
        arrived: &mut Vec<(TriggerId, Sample)>,
    ) {
        let svc = Svc::of(&trigger.service);
        let (says, comes) =
            world.sources.get(&svc).copied().unwrap_or((Says::Truth, Comes::OnTime));
        let Some(reading) = read(world, svc, trigger, says) else { return };
        let at = world.now();
        let sample = Sample { trigger: place, at, reading };
        let id = trigger.id.clone();
        match comes {
            Comes::OnTime => arrived.push((id, sample)),
            Comes::Twice => {
                arrived.push((id.clone(), sample.clone()));
                arrived.push((id, sample));
            }
            Comes::Late(seconds) => {
                self.on_their_way.push(OnItsWay { due: at + secs(seconds), trigger: id, sample });
            }
            Comes::OutOfOrder => match self.held.remove(&id) {
                None => drop(self.held.insert(id, sample)),
                Some(older) => {
                    arrived.push((id.clone(), sample));
                    arrived.push((id, older));
                }
            },
        }
    }

    /// What was on its way and arrives now.
    pub fn arrive(&mut self, now: Moment, arrived: &mut Vec<(TriggerId, Sample)>) {
        if self.on_their_way.is_empty() {
            return;
        }
        for one in self.on_their_way.extract_if(.., |one| one.due <= now) {
            arrived.push((one.trigger, one.sample));
        }
    }
}

/// What the source says; `None`: nobody asks.
fn read(world: &mut World, svc: Svc, trigger: &TriggerSettings, says: Says) -> Option<Reading> {
    if trigger.signal == Signal::Health {
        return Some(health(world, svc));
    }
    let value = |value: f64| Some(Reading::Value(value));
    match says {
        Says::Truth => Some(truth(world, svc)),
        Says::AllBad => value(ERRS),
        Says::AllGood => value(WELL),
        Says::Flapping(good, bad) => {
            let turn = world.second() / trigger.every.as_secs() % (good + bad);
            value(if turn < good { WELL } else { ERRS })
        }
        Says::OnThreshold => value(0.05),
        Says::Infinite => value(f64::INFINITY),
        Says::Empty => Some(Reading::Missing(Missing::Empty("there is nothing".into()))),
        Says::Failing => Some(refused()),
        Says::Gone => None,
    }
}

fn refused() -> Reading {
    Reading::Missing(Missing::Failed("nobody answers".into()))
}

fn truth(world: &mut World, svc: Svc) -> Reading {
    let mut running = world.runs_of(svc).iter().filter(|one| one.running && !one.marked).peekable();
    if running.peek().is_none() {
        return refused();
    }
    let errs = running.any(|one| matches!(one.image, Some(Image::Bad(_))));
    Reading::Value(if errs { ERRS } else { WELL })
}

/// The streak of failed checks, as the engine tells it.
fn health(world: &mut World, svc: Svc) -> Reading {
    let all = world.runs_of(svc);
    if all.is_empty() {
        return Reading::Missing(Missing::Empty("it has no container".into()));
    }
    let well = |one: &crate::world::Runs| one.marked || (one.running && one.healthy);
    Reading::Value(if all.iter().all(well) { 0.0 } else { 3.0 })
}

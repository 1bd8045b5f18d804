//! Playing a life: the machine, the daemon on it while it lives, and its
//! deaths.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

use futures_util::FutureExt;
use rollbackd::host::death::{self, Died};
use rollbackd_core::{
    event::{Answer, Command, Event, Goal},
    fact::Fact,
    moment::Moment,
    words::{ProjectName, RevisionNo, ServiceName},
};

use crate::{
    daemon::Daemon,
    judge::{Broken, Given, Judge},
    life::{Change, Image, Life, Move, Rules, Svc},
    rules::{changed, secs},
    world::World,
};

/// How a life is played.
#[derive(Clone, Copy, Default)]
pub struct How {
    /// With its time line.
    pub traced: bool,
    /// It ends with its last move: the quiet day and the main job are left out.
    pub cut: bool,
    /// A promise that a test adds to the judge's own.
    pub given: Option<Given>,
}

/// How a life was.
pub struct Played {
    pub facts: Vec<Fact>,
    pub events: u64,
    pub rollbacks: u64,
    pub broken: Option<Broken>,
    /// How many moves were begun. More than there are: the last day, too.
    pub moves: usize,
    pub timeline: String,
}

/// Plays a life to its end, or to the first promise that is broken.
pub fn play(life: &Life, how: How) -> Played {
    let runtime = runtime();
    let mut machine = Machine::new(life.rules, how.traced);
    machine.judge.given = how.given;
    let whole = async { tokio::task::unconstrained(machine.live(&life.moves, how.cut)).await };
    let lived = catch_unwind(AssertUnwindSafe(|| runtime.block_on(whole)));
    let broken = match lived {
        Ok(result) => result.err(),
        Err(panic) => Some(Broken::panicked(panic.as_ref())),
    };
    Played {
        facts: std::mem::take(&mut machine.judge.facts),
        events: machine.world.events,
        rollbacks: machine.judge.rollbacks,
        broken,
        moves: machine.moves,
        timeline: machine.world.timeline.text(),
    }
}

/// What was decided in each project, in order.
type Decisions = BTreeMap<ProjectName, Vec<String>>;

/// What was decided after a gap in the middle of a life.
pub fn decided_after_a_gap(
    rules: Rules,
    moves: (&[Move], &[Move]),
    away: u64,
    restarts: bool,
) -> (Option<Decisions>, String) {
    let mut machine = Machine::new(rules, true);
    let whole =
        async { tokio::task::unconstrained(machine.live_with_a_gap(moves, away, restarts)).await };
    let facts = runtime().block_on(whole).unwrap_or_else(|broken| panic!("{broken:?}"));
    let decided = |from: usize| {
        let mut decisions = Decisions::new();
        for (n, fact) in machine.judge.facts.iter().enumerate() {
            let project = machine.judge.project_of(fact);
            if let Some(decision) = decision(fact).filter(|_| n >= from) {
                decisions.entry(project).or_default().push(decision);
            }
        }
        decisions
    };
    (facts.map(decided), machine.world.timeline.text())
}

/// What a fact decides, without when, and without what may come later because
/// time that nobody observed does not count: standings, and that a breach is
/// over.
fn decision(fact: &Fact) -> Option<String> {
    Some(match fact {
        Fact::DeploymentEnded { revision, .. } => {
            format!("deployed {} {:?}", revision.number, revision.changed)
        }
        Fact::RollbackBegan(incident) => {
            let (from, to) = (incident.from, incident.to);
            format!("from {from} to {to:?}: {}", incident.service_names())
        }
        Fact::RollbackEnded { outcome, .. } => format!("ended {outcome:?}"),
        Fact::Refused { guard, .. } => format!("refused: {guard:?}"),
        Fact::Paused { .. } => "paused".into(),
        Fact::Resumed { .. } => "resumed".into(),
        _ => return None,
    })
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap()
}

pub struct Machine {
    pub world: World,
    pub judge: Judge,
    pub daemon: Option<Daemon>,
    /// When a daemon that is away comes back.
    back_at: Moment,
    /// At which boundary it dies, and for how long it is away then.
    die_in: Option<(u64, u64)>,
    /// How many moves were begun.
    moves: usize,
}

impl Machine {
    pub fn new(rules: Rules, traced: bool) -> Self {
        let world = World::new(rules, traced);
        let back_at = world.now();
        Self { world, judge: Judge::default(), daemon: None, back_at, die_in: None, moves: 0 }
    }

    async fn live(&mut self, moves: &[Move], cut: bool) -> Result<(), Broken> {
        self.first_day().await?;
        for one in moves {
            self.moves += 1;
            self.make(*one).await?;
        }
        if cut {
            return Ok(());
        }
        self.moves += 1;
        self.last_day().await
    }

    /// A life in whose middle the daemon hears nothing for a while: because it is
    /// restarted from a checkpoint of that moment, or for no reason. `None`: a
    /// step runs just then, which a restart begins again.
    pub async fn live_with_a_gap(
        &mut self,
        (before, after): (&[Move], &[Move]),
        away: u64,
        restarts: bool,
    ) -> Result<Option<usize>, Broken> {
        self.first_day().await?;
        for one in before {
            self.make(*one).await?;
        }
        let facts = self.judge.facts.len();
        let now = self.world.now();
        match &mut self.daemon {
            Some(daemon) if !daemon.acts() => {
                self.world.checkpoint = Some((now, daemon.core.checkpoint()));
                daemon.hears_nothing(now + secs(away));
            }
            _ => return Ok(None),
        }
        if restarts {
            self.die(away);
            self.pass(away - 1).await?;
        } else {
            (1..away).for_each(|_| self.world.elapse(1));
            self.world.touched = None;
        }
        for one in after {
            self.make(*one).await?;
        }
        self.pass(1200).await?;
        Ok(Some(facts))
    }

    /// Everything runs well for a while, so that there is something to lose.
    pub async fn first_day(&mut self) -> Result<(), Broken> {
        for svc in [Svc::Db, Svc::Web, Svc::Auth, Svc::Page] {
            self.world.deploy(svc, Image::Good(0), 1).await;
        }
        self.pass(self.world.rules.bake + 200).await
    }

    /// Makes one move.
    pub async fn make(&mut self, one: Move) -> Result<(), Broken> {
        self.world.timeline.note(self.world.clock.now(), || format!("{one:?}"));
        match one {
            Move::Pass(seconds) => return self.pass(seconds).await,
            Move::Deploy(svc, image, replicas) => self.world.deploy(svc, image, replicas).await,
            Move::DeployBoth(image) => {
                self.world.deploy(Svc::Web, image, 1).await;
                self.world.deploy(Svc::Auth, image, 1).await;
            }
            Move::Pulled(svc, image) => self.world.pulled(svc, image),
            Move::PullerComes(svc) => self.world.puller_comes(svc),
            Move::Puller(every) => self.world.puller = every,
            Move::Crash(svc, code) => self.world.crash(svc, code),
            Move::KilledByHand(svc) => self.world.killed_by_hand(svc).await,
            Move::Down => self.world.down(),
            Move::Up => self.world.up().await,
            Move::PruneImages { all } => {
                self.world.meddle_with_all();
                self.world.model.prune_images(all);
            }
            Move::PruneContainers => {
                self.world.meddle_with_all();
                self.world.model.prune_containers();
            }
            Move::EngineAway(seconds) => return self.engine_away(seconds).await,
            Move::EngineRestarts => {
                self.world.meddle_with_all();
                self.world.model.restart();
            }
            Move::Fail(call, fails) => self.world.fail(call, fails),
            Move::Source(svc, says, comes) => drop(self.world.sources.insert(svc, (says, comes))),
            Move::DiskFull => self.disk(true).await,
            Move::DiskRoomy => self.disk(false).await,
            Move::Pause { lasts } => {
                let (project, reason) = (Some(shop()), "the simulation".to_owned());
                self.command(Command::Pause { project, lasts: lasts.map(secs), reason }).await?;
            }
            Move::Resume => drop(self.command(Command::Resume { project: Some(shop()) }).await?),
            Move::Rollback { service, to, dry_run } => {
                let (service, to) = (service.map(named), to.map(RevisionNo));
                let (project, reason) = (shop(), String::new());
                self.command(Command::Rollback {
                    project,
                    service,
                    to: to.map(Goal::Revision),
                    reason,
                    dry_run,
                })
                .await?;
            }
            Move::Forward(service) => {
                let (project, service) = (shop(), service.map(named));
                self.command(Command::Forward { project, service }).await?;
            }
            Move::Reload(change) => self.reload(change),
            Move::Stop(away) => {
                if let Some(daemon) = &self.daemon {
                    self.world.checkpoint = Some((self.world.now(), daemon.core.checkpoint()));
                }
                self.die(away);
            }
            Move::Kill(away) => self.die(away),
            Move::KillAndLose(away) => {
                self.world.checkpoint = None;
                self.judge.checkpoint_lost();
                self.die(away);
            }
            Move::DieAt(boundary, away) => self.die_in = Some((boundary, away)),
            Move::Suspend(seconds) => self.world.clock.set(self.world.now() + secs(seconds)),
            Move::SetWall(seconds) => self.world.clock.set_wall_ahead(seconds * 1_000_000_000),
        }
        Ok(())
    }

    /// Time passes, second by second.
    pub async fn pass(&mut self, seconds: u64) -> Result<(), Broken> {
        for _ in 0..seconds {
            self.second().await?;
        }
        Ok(())
    }

    async fn second(&mut self) -> Result<(), Broken> {
        if self.daemon.as_ref().is_some_and(Daemon::acts) {
            // A step waits by the runtime's clock.
            tokio::time::advance(secs(1)).await;
        }
        self.world.elapse(1);
        if self.daemon.is_none() {
            if self.back_at > self.world.now() {
                return Ok(());
            }
            let Self { world, judge, .. } = self;
            world.daemon_began = world.now();
            world.timeline.note(world.clock.now(), || "the daemon starts".into());
            self.daemon = Some(Daemon::begin(world, judge).await?);
        }
        let Some(mut daemon) = self.daemon.take() else { return Ok(()) };
        let armed = death::arm(self.die_in.map_or(0, |(boundary, _)| boundary));
        let second = daemon.second(&mut self.world, &mut self.judge);
        let lived = AssertUnwindSafe(second).catch_unwind().await;
        let passed = death::passed().len() as u64;
        drop(armed);
        match lived {
            Ok(result) => {
                self.daemon = Some(daemon);
                if let Some((left, _)) = &mut self.die_in {
                    *left = left.saturating_sub(passed).max(1);
                }
                result
            }
            Err(panic) => {
                let Ok(died) = panic.downcast::<Died>().map_err(|other| resume_unwind(other));
                let away = self.die_in.take().map_or(0, |(_, away)| away);
                self.world
                    .timeline
                    .note(self.world.clock.now(), || format!("it dies at {}", died.0));
                drop(daemon);
                self.die(away);
                Ok(())
            }
        }
    }

    /// The daemon is gone, for so long.
    fn die(&mut self, away: u64) {
        if self.daemon.take().is_some() || self.back_at <= self.world.now() {
            self.back_at = self.world.now() + secs(away);
        }
        self.world.forget();
        self.world.touched = None;
    }

    async fn disk(&mut self, full: bool) {
        self.world.full = full;
        self.world.was_full |= full;
        if let Some(daemon) = &self.daemon {
            daemon.refuse_writes(full).await;
        }
    }

    async fn engine_away(&mut self, seconds: u64) -> Result<(), Broken> {
        self.world.model.unreachable(true);
        self.world.engine_away = true;
        self.engine_says(Some("it is away")).await?;
        self.pass(seconds).await?;
        self.world.model.unreachable(false);
        self.world.engine_away = false;
        self.engine_says(None).await
    }

    async fn engine_says(&mut self, away: Option<&str>) -> Result<(), Broken> {
        let Self { world, judge, daemon: Some(daemon), .. } = self else { return Ok(()) };
        daemon.turn(Event::Engine(away.map(str::to_owned)), world, judge).await?;
        Ok(())
    }

    async fn command(&mut self, command: Command) -> Result<Option<Answer>, Broken> {
        let Self { world, judge, daemon: Some(daemon), .. } = self else { return Ok(None) };
        let answer = daemon.command(command, world, judge).await?;
        world.timeline.note(world.clock.now(), || match &answer {
            Ok(accepted) => format!("  answer: {}", accepted.message),
            Err(refusal) => format!("  refused: {}", refusal.message),
        });
        Ok(Some(answer))
    }

    fn reload(&mut self, change: Change) {
        let before =
            std::mem::replace(&mut self.world.settings, changed(&self.world.rules, change));
        let known = |settings: &rollbackd_core::settings::Settings| {
            let all = settings.projects.iter().flat_map(|project| &project.triggers);
            all.map(|t| (t.id.clone(), t.condition, t.every)).collect::<Vec<_>>()
        };
        let (before, after) = (known(&before), known(&self.world.settings));
        self.world.reloaded = Some(self.world.now());
        for gone in before.iter().filter(|one| !after.contains(one)) {
            // A changed condition starts empty.
            self.world.heard.remove(&gone.0);
        }
        if let Some(daemon) = &mut self.daemon {
            daemon.configure(&self.world);
        }
    }

    /// People leave the machine alone, and all is well again: what was begun
    /// ends, and the main job is still done.
    async fn last_day(&mut self) -> Result<(), Broken> {
        self.world.timeline.note(self.world.clock.now(), || "--- all is well from here".into());
        self.die_in = None;
        self.disk(false).await;
        self.world.clock.set_wall_ahead(0);
        self.world.mend().await;
        self.world.sources.clear();
        self.world.puller = None;
        self.reload(Change::Nothing);
        let away = self.back_at.since(self.world.now()).as_secs();
        self.pass(away + 1).await?;
        self.command(Command::Resume { project: None }).await?;
        // A rollback has the time to come to its end.
        self.pass(1500).await?;
        for svc in [Svc::Db, Svc::Web, Svc::Auth, Svc::Page] {
            self.world.deploy(svc, Image::Good(100), 1).await;
        }
        self.pass(self.world.rules.bake + 700).await?;
        self.judge.all_is_decided()?;
        self.world.deploy(Svc::Web, Image::Bad(100), 1).await;
        self.pass(600).await?;
        self.judge.main_job_done(&mut self.world)
    }
}

fn shop() -> ProjectName {
    ProjectName::new("shop")
}

fn named(svc: Svc) -> ServiceName {
    ServiceName::new(svc.name())
}

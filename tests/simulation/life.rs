//! A life: the rules that a project lives by and a list of moves. Both are
//! data, so that a life is played again without the dice that drew it, can be
//! made shorter, and can be pasted into a test as it was printed.

use rollbackd::config::settings::KeepBy;
use rollbackd_core::settings::{AfterBake, NotRecovered, Order, Scope};

pub use crate::dice::Dice;

/// A life of the machine.
#[derive(Clone, Debug)]
pub struct Life {
    pub rules: Rules,
    pub moves: Vec<Move>,
}

/// What the configuration says of `shop`; all times in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    pub bake: u64,
    pub settle: u64,
    pub cooldown: u64,
    pub max_rollbacks: u32,
    pub max_depth: u32,
    pub scope: Scope,
    pub order: Order,
    pub drain: u64,
    pub not_recovered: NotRecovered,
    pub after_bake: AfterBake,
    pub stateful: bool,
    pub keep_by: KeepBy,
    /// Images are named `web:latest` and move, else each has a tag of its own.
    pub moving_tags: bool,
    /// `blame = "careful"`, else `"always"`.
    pub careful: bool,
    /// The two triggers of `web` that errors make act only together.
    pub group: bool,
    /// A breach is over only below 3 %, for half a minute.
    pub clears_late: bool,
}

/// A service. `Page` is a second project's, `zoo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Svc {
    Web,
    Auth,
    Db,
    Page,
}

/// An image of a service, by what its program does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Image {
    Good(u8),
    /// Runs, and errs.
    Bad(u8),
    /// Ends at once.
    Exits(u8),
    /// Cannot be started at all.
    Broken(u8),
    /// Its health check fails.
    Sick(u8),
    /// Runs well, and has to be killed.
    Stubborn(u8),
}

/// What the source of a service's numbers says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Says {
    /// What is so.
    Truth,
    /// Errors, whatever runs.
    AllBad,
    /// None, whatever runs.
    AllGood,
    /// So many good samples, then so many bad ones.
    Flapping(u64, u64),
    /// The threshold itself.
    OnThreshold,
    /// More than any number.
    Infinite,
    /// There is nothing.
    Empty,
    /// It does not answer.
    Failing,
    /// It is not even asked.
    Gone,
}

/// How its samples arrive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Comes {
    OnTime,
    /// After so many seconds.
    Late(u64),
    Twice,
    /// Every second one after the one that was asked for later.
    OutOfOrder,
}

/// What a call of the engine's fails with, once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fails {
    NoSpace,
    PortTaken,
    Refused,
    NotExecutable,
}

/// What a reload changes; everything else is as at the beginning.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    Nothing,
    ShopRemoved,
    ZooRemoved,
    TriggerRemoved,
    ThresholdRaised,
    AskedOftener,
    Observe,
    BakeShorter,
}

/// One thing that happens to the machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Move {
    /// Time, with everything that goes on in it.
    Pass(u64),
    /// `docker compose up -d`: a service, an image, so many containers.
    Deploy(Svc, Image, u32),
    /// One deployment of `web` and `auth`.
    DeployBoth(Image),
    /// An image is published, and a puller replaces the containers at once.
    Pulled(Svc, Image),
    /// A puller looks after a service, and brings what the registry has.
    PullerComes(Svc),
    /// A puller comes by itself, every so many seconds.
    Puller(Option<u64>),
    /// A container ends by itself.
    Crash(Svc, i64),
    /// A container is killed by a person.
    KilledByHand(Svc),
    Down,
    Up,
    PruneImages {
        all: bool,
    },
    PruneContainers,
    EngineAway(u64),
    EngineRestarts,
    /// The next such call (`docker.start`) fails.
    Fail(&'static str, Fails),
    Source(Svc, Says, Comes),
    DiskFull,
    DiskRoomy,
    Pause {
        lasts: Option<u64>,
    },
    Resume,
    Rollback {
        service: Option<Svc>,
        to: Option<u32>,
        dry_run: bool,
    },
    Forward(Option<Svc>),
    Reload(Change),
    /// The daemon is stopped, with a checkpoint, for so long.
    Stop(u64),
    /// It is killed: its last checkpoint is up to five seconds old.
    Kill(u64),
    /// It is killed and the checkpoint is lost.
    KillAndLose(u64),
    /// It is killed at the n-th durable boundary from now, for so long.
    DieAt(u64, u64),
    /// The machine sleeps.
    Suspend(u64),
    /// The wall clock is set: so many seconds from where the axis is.
    SetWall(i64),
}

impl Life {
    /// The life that this seed draws.
    pub fn drawn(seed: u64, moves: usize) -> Self {
        let mut dice = Dice(seed);
        let rules = Rules::drawn(&mut dice);
        let moves = (0..moves).map(|_| drawn(&mut dice)).collect();
        Self { rules, moves }
    }

    /// As a test can have it, with the names of `Svc`, `Image`, `Says`, `Comes`,
    /// `Fails` and `Change` in scope.
    pub fn pasted(&self) -> String {
        let moves: Vec<String> =
            self.moves.iter().map(|one| format!("        Move::{one:?},")).collect();
        format!(
            "Life {{\n    rules: {},\n    moves: vec![\n{}\n    ],\n}}",
            self.rules.pasted(),
            moves.join("\n")
        )
    }
}

impl Rules {
    fn pasted(&self) -> String {
        // Those of the core's own words that others share.
        let named = |word: &str| match word {
            "scope" => "Scope::",
            "order" => "Order::",
            "not_recovered" => "NotRecovered::",
            "after_bake" => "AfterBake::",
            "keep_by" => "KeepBy::",
            _ => "",
        };
        let printed = format!("{self:#?}").replace('\n', "\n    ");
        let line = |line: &str| match line.trim().split_once(": ") {
            Some((field, _)) => line.replacen(": ", &format!(": {}", named(field)), 1),
            None => line.to_owned(),
        };
        printed.lines().map(line).collect::<Vec<_>>().join("\n")
    }

    fn drawn(dice: &mut Dice) -> Self {
        Self {
            bake: dice.pick(&[300, 900]),
            settle: dice.pick(&[5, 30]),
            cooldown: dice.pick(&[60, 900]),
            max_rollbacks: dice.pick(&[1, 3]),
            max_depth: dice.pick(&[0, 1, 3]),
            scope: dice.pick(&[Scope::Deployment, Scope::Service, Scope::Project]),
            order: dice.pick(&[Order::StopFirst, Order::StopFirst, Order::StartFirst]),
            drain: dice.pick(&[0, 7]),
            not_recovered: dice.pick(&[NotRecovered::Stay, NotRecovered::Forward]),
            after_bake: dice.pick(&[AfterBake::Alert, AfterBake::Alert, AfterBake::Rollback]),
            stateful: dice.one_in(3),
            keep_by: dice.pick(&[KeepBy::Anchor, KeepBy::Tag]),
            moving_tags: dice.one_in(2),
            careful: !dice.one_in(3),
            group: dice.one_in(4),
            clears_late: dice.one_in(3),
        }
    }
}

fn image(dice: &mut Dice) -> Image {
    let n = dice.pick(&[1, 2, 3]);
    match dice.below(12) {
        0..=4 => Image::Good(n),
        5..=8 => Image::Bad(n),
        9 => Image::Stubborn(n),
        10 => dice.pick(&[Image::Exits(n), Image::Broken(n)]),
        _ => Image::Sick(n),
    }
}

fn service(dice: &mut Dice) -> Svc {
    dice.pick(&[Svc::Web, Svc::Web, Svc::Web, Svc::Auth, Svc::Auth, Svc::Db, Svc::Page])
}

/// One move, drawn.
fn drawn(dice: &mut Dice) -> Move {
    match dice.below(40) {
        0..=11 => Move::Pass(dice.pick(&[1, 4, 15, 60, 60, 120, 300, 900])),
        12..=16 => {
            let replicas = dice.pick(&[1, 1, 1, 2, 3]);
            Move::Deploy(service(dice), image(dice), replicas)
        }
        17 => Move::DeployBoth(image(dice)),
        18 => puller(dice),
        19..=21 => source(dice),
        22 | 23 => command(dice),
        24 | 25 => restart(dice),
        26 => Move::Reload(dice.pick(&[
            Change::Nothing,
            Change::Nothing,
            Change::ShopRemoved,
            Change::ZooRemoved,
            Change::TriggerRemoved,
            Change::ThresholdRaised,
            Change::AskedOftener,
            Change::Observe,
            Change::BakeShorter,
        ])),
        27 => Move::Fail(
            dice.pick(&["docker.start", "docker.create", "docker.rename", "docker.stop"]),
            dice.pick(&[Fails::NoSpace, Fails::PortTaken, Fails::Refused, Fails::NotExecutable]),
        ),
        28 => Move::Crash(service(dice), dice.pick(&[0, 1, 137])),
        29 => Move::KilledByHand(service(dice)),
        30 => dice.pick(&[Move::DiskFull, Move::DiskRoomy, Move::DiskRoomy]),
        31 => Move::EngineAway(dice.pick(&[2, 20, 90])),
        32 => Move::EngineRestarts,
        33 => Move::PruneImages { all: dice.one_in(2) },
        34 => dice.pick(&[Move::Down, Move::Up, Move::Up, Move::PruneContainers]),
        35 => Move::Suspend(dice.pick(&[10, 100, 4000])),
        36 => Move::SetWall(dice.pick(&[0, 0, 30, -30, 3600, -3600])),
        _ => Move::Pass(dice.pick(&[15, 60, 120])),
    }
}

fn source(dice: &mut Dice) -> Move {
    let says = match dice.below(14) {
        0..=5 => Says::Truth,
        6 => Says::AllBad,
        7 => Says::AllGood,
        8 => Says::Flapping(dice.pick(&[1, 3]), dice.pick(&[1, 3, 6])),
        9 => Says::OnThreshold,
        10 => Says::Infinite,
        11 => Says::Empty,
        12 => Says::Failing,
        _ => Says::Gone,
    };
    let late = Comes::Late(dice.pick(&[1, 7, 20]));
    let comes = dice.pick(&[
        Comes::OnTime,
        Comes::OnTime,
        Comes::OnTime,
        late,
        Comes::Twice,
        Comes::OutOfOrder,
    ]);
    Move::Source(dice.pick(&[Svc::Web, Svc::Web, Svc::Auth, Svc::Page]), says, comes)
}

fn puller(dice: &mut Dice) -> Move {
    match dice.below(5) {
        0 | 1 => Move::Pulled(service(dice), image(dice)),
        2 => Move::PullerComes(service(dice)),
        3 => Move::Puller(Some(dice.pick(&[300, 900]))),
        _ => Move::Puller(None),
    }
}

fn command(dice: &mut Dice) -> Move {
    match dice.below(7) {
        0 => Move::Pause { lasts: Some(dice.pick(&[60, 300])) },
        1 => Move::Pause { lasts: None },
        2 | 3 => Move::Resume,
        4 => Move::Forward(dice.pick(&[None, None, Some(Svc::Web)])),
        _ => Move::Rollback {
            service: dice.pick(&[None, None, Some(Svc::Web), Some(Svc::Auth)]),
            to: dice.pick(&[None, None, Some(1), Some(2), Some(4)]),
            dry_run: dice.one_in(4),
        },
    }
}

fn restart(dice: &mut Dice) -> Move {
    let away = dice.pick(&[0, 2, 20, 100, 2000]);
    match dice.below(6) {
        0 => Move::Stop(away),
        1 | 2 => Move::Kill(away),
        3 => Move::KillAndLose(away),
        _ => Move::DieAt(1 + dice.below(60), away),
    }
}

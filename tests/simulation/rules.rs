//! From the rules of a life to what the daemon is configured with.

use std::time::Duration;

use rollbackd_core::{
    ratio::Ratio,
    settings::{
        Action, AfterBake, Blame, Clear, Condition, Group, Hold, Mode, NotRecovered, OnBlind,
        Order, ProjectSettings, Scope, Settings, TriggerSettings,
    },
    signal::Signal,
    words::{GroupName, ProjectName, ServiceName, TriggerId},
};

use crate::life::{Change, Rules, Svc};

pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl Svc {
    pub const ALL: [Self; 4] = [Self::Web, Self::Auth, Self::Db, Self::Page];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Auth => "auth",
            Self::Db => "db",
            Self::Page => "page",
        }
    }

    pub const fn project(self) -> &'static str {
        match self {
            Self::Page => "zoo",
            Self::Web | Self::Auth | Self::Db => "shop",
        }
    }

    /// What it is started after.
    pub const fn depends_on(self) -> &'static [&'static str] {
        match self {
            Self::Auth => &["db"],
            Self::Web | Self::Db | Self::Page => &[],
        }
    }

    pub fn of(name: &ServiceName) -> Self {
        Self::ALL.into_iter().find(|svc| svc.name() == name.as_str()).unwrap()
    }
}

/// Errors above 5 % for a minute, asked every 15 s.
fn errors(id: &str, service: Svc) -> TriggerSettings {
    TriggerSettings {
        id: TriggerId::new(id),
        name: id.into(),
        service: ServiceName::new(service.name()),
        signal: Signal::ErrorRate,
        source: "prom".into(),
        measures: "q".into(),
        condition: Condition::Above(0.05),
        hold: Hold::For(secs(60)),
        for_known_bad: secs(20),
        every: secs(15),
        max_gap: secs(45),
        grace: secs(30),
        recover_within: secs(180),
        looks_back: secs(0),
        on_blind: OnBlind::Alert,
        blames: Vec::new(),
        clear: Clear::default(),
        blame: Blame::Always,
        group: None,
        action: Action::Rollback,
    }
}

fn triggers(rules: &Rules) -> Vec<TriggerSettings> {
    let clear = Clear { line: Some(0.03), lasts: secs(30) };
    let clear = if rules.clears_late { clear } else { Clear::default() };
    let blame = if rules.careful { Blame::Careful } else { Blame::Always };
    let group = rules.group.then(|| GroupName::new("front"));
    // With care, `auth` stands for itself.
    let blames = if rules.careful { vec![] } else { vec!["web".into()] };
    let errors = |id, svc| TriggerSettings { clear, blame, ..errors(id, svc) };
    let share = Hold::Share { share: Ratio::new(0.7).unwrap(), within: secs(90) };
    let health = TriggerSettings {
        signal: Signal::Health,
        condition: Condition::AtLeast(3.0),
        hold: Hold::For(secs(0)),
        for_known_bad: secs(0),
        grace: secs(0),
        source: "docker".into(),
        every: secs(5),
        max_gap: secs(15),
        on_blind: OnBlind::Ignore,
        clear: Clear::default(),
        ..errors("web-health", Svc::Web)
    };
    vec![
        TriggerSettings { group: group.clone(), ..errors("web-errors", Svc::Web) },
        TriggerSettings { hold: share, group, ..errors("web-slow", Svc::Web) },
        TriggerSettings { blames, ..errors("auth-errors", Svc::Auth) },
        health,
        TriggerSettings { action: Action::Alert, ..errors("db-cpu", Svc::Db) },
    ]
}

/// The whole configuration.
pub fn settings(rules: &Rules) -> Settings {
    let shop = ProjectSettings {
        name: ProjectName::new("shop"),
        mode: Mode::Act,
        bake: secs(rules.bake),
        after_bake: rules.after_bake,
        settle: secs(rules.settle),
        grace: secs(30),
        scope: rules.scope,
        order: rules.order,
        drain: secs(rules.drain),
        stateful: rules.stateful,
        keep: 3,
        cooldown: secs(rules.cooldown),
        max_rollbacks: rules.max_rollbacks,
        recover_within: secs(180),
        not_recovered: rules.not_recovered,
        max_depth: rules.max_depth,
        start_timeout: secs(20),
        groups: rules
            .group
            .then(|| Group { name: GroupName::new("front"), needs: 2 })
            .into_iter()
            .collect(),
        triggers: triggers(rules),
    };
    let zoo = ProjectSettings {
        name: ProjectName::new("zoo"),
        after_bake: AfterBake::Alert,
        scope: Scope::Deployment,
        order: Order::StopFirst,
        not_recovered: NotRecovered::Stay,
        groups: Vec::new(),
        triggers: vec![errors("page-errors", Svc::Page)],
        ..shop.clone()
    };
    Settings { projects: vec![shop, zoo] }
}

/// The configuration after a reload.
pub fn changed(rules: &Rules, change: Change) -> Settings {
    let mut settings = settings(rules);
    let shop = &mut settings.projects[0];
    match change {
        Change::Nothing => {}
        Change::ShopRemoved => drop(settings.projects.remove(0)),
        Change::ZooRemoved => drop(settings.projects.pop()),
        Change::TriggerRemoved => drop(shop.triggers.remove(0)),
        Change::ThresholdRaised => shop.triggers[0].condition = Condition::Above(0.2),
        Change::AskedOftener => shop.triggers[0].every = secs(5),
        Change::Observe => shop.mode = Mode::Observe,
        Change::BakeShorter => shop.bake = secs(rules.bake / 2),
    }
    settings
}

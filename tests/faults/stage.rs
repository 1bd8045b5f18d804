//! What the tests of this binary stand on: a project whose next version is
//! broken, customers, and words to be waited for.

use serde_json::Value;

use crate::{
    proxy::Proxy,
    support::{
        config::Config,
        daemon::Daemon,
        project::{Project, WEB},
        traffic::Traffic,
    },
};

/// A project that serves v1, customers, and a v2 whose pages fail.
pub struct Broken {
    _traffic: Traffic,
    pub project: Project,
    pub v1: String,
    pub v2: String,
}

impl Broken {
    pub fn new() -> Self {
        Self::with(WEB)
    }

    /// A stop takes five seconds: the signal that asks for it means nothing to
    /// the shop. So there is a middle of a rollback to do something in.
    pub fn slow() -> Self {
        let slow = WEB
            .replace("stop_grace_period: 2s", "stop_grace_period: 5s\n    stop_signal: SIGWINCH");
        Self::with(&slow)
    }

    /// Beside `web` there is `side`, which stays as it is.
    pub fn with_a_side() -> Self {
        Self::with(&format!(
            "{WEB}  side:\n    image: ${{REPOSITORY}}:v1\n    stop_grace_period: 2s\n"
        ))
    }

    fn with(file: &str) -> Self {
        let project = Project::with(file);
        let v1 = project.image("v1", "");
        let v2 = project.image("v2", "SHOP_ERRORS=50%");
        project.deploy("v1");
        Self { _traffic: Traffic::start(project.port).unwrap(), project, v1, v2 }
    }

    pub fn config(&self) -> Config {
        Config::new(&self.project).errors(&self.project)
    }

    /// The engine is reached through this.
    pub fn behind(&self, proxy: &Proxy) -> Config {
        self.config().table(&proxy.table())
    }

    /// One rollback, which put v1 back.
    pub fn assert_recovered(&self, daemon: &Daemon) {
        let rollback = daemon.wait_ended(1);
        assert_eq!(rollback["outcome"], "recovered", "{rollback:#}");
        assert_eq!(self.project.running_image("web"), self.v1);
        let history = daemon.history();
        assert_eq!(history.len(), 1, "one rollback, and nothing else: {history:#?}");
    }
}

/// Waits until the log has this word.
pub fn wait_log(daemon: &Daemon, word: &str) {
    daemon.wait(word, |daemon| daemon.log().contains(word).then_some(()));
}

/// Waits until a service is unarmed for a reason with all these words.
pub fn wait_reason(daemon: &Daemon, words: &[&str]) -> String {
    daemon.wait(words[0], |daemon| {
        let web = daemon.service("web");
        let reasons = web["reasons"].as_array()?.iter().filter_map(Value::as_str);
        let mut told = reasons.filter(|reason| words.iter().all(|word| reason.contains(word)));
        let told = told.next()?.to_owned();
        assert_eq!(web["armed"], false, "{web:#}");
        Some(told)
    })
}

/// Waits until the step that replaces the container runs.
pub fn wait_recreating(daemon: &Daemon) {
    daemon.wait("the step that recreates", |daemon| {
        let history = daemon.history();
        let steps = history.first()?["steps"].as_array()?;
        steps.iter().any(|s| s["kind"] == "recreate" && s["ended_at"].is_null()).then_some(())
    });
}

/// Waits until what a rollback has put aside is being stopped: the middle of a
/// [`Broken::slow`] one.
pub fn wait_swapped(broken: &Broken, daemon: &Daemon) {
    daemon.wait("it was put aside", |_| {
        let all = broken.project.containers("web");
        let aside = |one: &Value| {
            one["Name"].as_str().is_some_and(|name| name.ends_with(".old"))
                && one["State"]["Running"] == true
        };
        (all.len() == 2 && all.iter().any(aside)).then_some(())
    });
}

//! `run`: the daemon, in the foreground, and where its log goes.

use std::io;

use tracing_subscriber::{
    EnvFilter, Layer, Registry, fmt, layer::SubscriberExt, util::SubscriberInitExt,
};

use crate::{
    cli::{
        args::Global,
        exit::{Exit, Failure},
        journal, out,
    },
    daemon::{self, Fatal},
};

/// Two threads are enough: one for the loop, one for whoever asks and answers.
const THREADS: usize = 2;

/// Runs the daemon until it is asked to stop.
pub(super) fn run(global: &Global) -> Result<Exit, Failure> {
    log(global);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build()
        .map_err(|why| {
            let message = format!("the system gives this program no threads: {why}");
            Failure::new(Exit::Failed, "internal", message, "raise its limits")
        })?;
    let ended = runtime.block_on(daemon::run(global.config(), global.socket.clone()));
    ended.map(|()| Exit::Done).map_err(|fatal| match fatal {
        Fatal::Configuration(rejected) => Failure::unusable(&rejected),
        other => Failure::new(Exit::Failed, "failed", other.to_string(), ""),
    })
}

/// The log goes to standard error. The journal dates lines itself, so times are
/// written only where nobody else does. `RUST_LOG` has the last word.
fn log(global: &Global) {
    let colored = out::colored(global.color, &io::stderr());
    let lines = fmt::layer().with_writer(io::stderr).with_ansi(colored).with_target(false);
    let layer: Box<dyn Layer<Registry> + Send + Sync> = match (global.json, journal::reads_errors())
    {
        (true, _) => Box::new(fmt::layer().json().flatten_event(true).with_writer(io::stderr)),
        (false, true) => Box::new(lines.with_ansi(false).event_format(journal::Prioritised::new())),
        (false, false) => Box::new(lines.compact()),
    };
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level(global)));
    // Only a test harness has one already; then that one stays.
    let _ = Registry::default().with(layer.with_filter(filter)).try_init();
}

fn level(global: &Global) -> &'static str {
    match (global.quiet, global.verbose) {
        (true, _) => "warn",
        (false, 0) => "warn,rollbackd=info",
        (false, 1) => "info,rollbackd=debug",
        (false, _) => "debug,rollbackd=trace",
    }
}

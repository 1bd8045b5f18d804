//! How a line is handed to the journal of the machine: its priority before it
//! (sd-daemon(3)), so that `journalctl -p warning` finds it; without a time,
//! because the journal dates lines itself.

use std::{fmt, io};

use rustix::fs::fstat;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{Format, Full, Writer},
    },
    registry::LookupSpan,
};

/// Whether standard error goes to the journal itself. The variable alone does
/// not say so: a terminal's shell may have inherited it.
pub(super) fn reads_errors() -> bool {
    let stream = std::env::var("JOURNAL_STREAM");
    let here = fstat(io::stderr()).map(|file| format!("{}:{}", file.st_dev, file.st_ino));
    matches!((stream, here), (Ok(stream), Ok(here)) if stream == here)
}

/// A line with its priority.
pub(super) struct Prioritised(Format<Full, ()>);

impl Prioritised {
    pub(super) fn new() -> Self {
        Self(Format::default().without_time().with_target(false))
    }
}

impl<S, N> FormatEvent<S, N> for Prioritised
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        write!(writer, "<{}>", priority(*event.metadata().level()))?;
        self.0.format_event(context, writer, event)
    }
}

/// As syslog(3) numbers them.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::{Registry, fmt, layer::SubscriberExt};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn each_line_begins_with_its_priority() {
        let lines = Lines::default();
        let to = lines.clone();
        let layer = fmt::layer()
            .with_ansi(false)
            .event_format(Prioritised::new())
            .with_writer(move || to.clone());
        tracing::subscriber::with_default(Registry::default().with(layer), || {
            tracing::error!(line = 8, "config: a key has no value");
            tracing::info!("daemon.started");
        });
        let said = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        insta::assert_snapshot!(said, @r"
        <3>ERROR config: a key has no value line=8
        <6> INFO daemon.started
        ");
    }
}

//! Where output goes and who reads it: a person at a terminal of some width,
//! or a program that wants JSON. A reader that has gone away is no error.

use std::io::{self, IsTerminal, Write};

use anstream::{AutoStream, ColorChoice, adapter::strip_str};
use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;

use crate::{
    cli::{
        args::{Color, Global},
        exit::{Exit, Failure},
    },
    host::clock::Clock,
};

/// Output as the person asked for it.
#[derive(Debug)]
pub(super) struct Out {
    /// One JSON document instead of text.
    pub(super) json: bool,
    pub(super) quiet: bool,
    color: Color,
    clock: Clock,
}

/// Who reads: their zone, what time it is, and what their terminal can show.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    /// The zone times are shown in.
    pub(super) zone: TimeZone,
    /// What "ago" counts from.
    pub(super) now: Timestamp,
    /// More than ASCII can be shown.
    pub(super) utf8: bool,
    /// Columns.
    pub(super) width: usize,
}

impl Out {
    pub(super) fn new(global: &Global) -> Self {
        Self {
            json: global.json,
            quiet: global.quiet,
            color: global.color,
            clock: Clock::resume(None),
        }
    }

    /// The person at standard output, now.
    pub(super) fn reader(&self) -> Reader {
        Reader {
            zone: TimeZone::system(),
            now: self.clock.wall(),
            utf8: speaks_utf8(),
            // A file or a pipe has no width: nothing is wrapped for it.
            width: terminal().map_or(usize::MAX, |(columns, _)| columns),
        }
    }

    /// Text for a person, coloured or not.
    pub(super) fn text(&self, text: &str) -> Result<(), Failure> {
        if colored(self.color, &io::stdout()) {
            write(text)
        } else {
            write(&strip_str(text).to_string())
        }
    }

    /// A line that tells how it goes on; not for programs, not when quiet.
    pub(super) fn progress(&self, line: &str) -> Result<(), Failure> {
        if self.json || self.quiet { Ok(()) } else { self.text(&format!("{line}\n")) }
    }

    /// A line that the next one replaces; only for a person at a terminal.
    pub(super) fn update(&self, line: &str) -> Result<(), Failure> {
        let Some((columns, _)) = terminal().filter(|_| !self.json && !self.quiet) else {
            return Ok(());
        };
        let line: String = line.chars().take(columns.saturating_sub(1)).collect();
        write(&format!("\r{line}\x1b[K"))
    }

    /// The line that was to be replaced is, by nothing.
    pub(super) fn settle(&self) -> Result<(), Failure> {
        self.update("")
    }

    /// The one document.
    pub(super) fn document(&self, document: &impl Serialize) -> Result<(), Failure> {
        write(&(serialized(document)? + "\n"))
    }

    /// One of many documents, each on a line of its own.
    pub(super) fn line(&self, document: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(document).map_err(|why| not_json(&why))?;
        write(&(text + "\n"))
    }

    /// Empties a terminal before the first [`Out::redraw`].
    pub(super) fn clear(&self) -> Result<(), Failure> {
        if terminal().is_some() { write("\x1b[2J") } else { Ok(()) }
    }

    /// Replaces what was drawn before: one screen at most on a terminal, one
    /// text after the other elsewhere.
    pub(super) fn redraw(&self, text: &str) -> Result<(), Failure> {
        let Some((_, rows)) = terminal() else {
            return self.text(&format!("{text}\n"));
        };
        let colored = colored(self.color, &io::stdout());
        let text = if colored { text.to_owned() } else { strip_str(text).to_string() };
        let (home, to_line_end, to_screen_end) = ("\x1b[H", "\x1b[K\n", "\x1b[J");
        let lines: Vec<&str> = text.lines().collect();
        let fit = rows.saturating_sub(2);
        let mut screen = home.to_owned() + &lines[..lines.len().min(fit)].join(to_line_end);
        screen += to_line_end;
        if lines.len() > fit {
            screen += &format!("... {} more lines", lines.len() - fit);
            screen += to_line_end;
        }
        write(&(screen + to_screen_end))
    }

    /// Tells an error where the person, or the program, looks for it.
    pub(super) fn fail(&self, failure: &Failure) {
        fail(failure, self.json);
    }
}

/// Tells an error: one line on standard error, or the document on standard
/// output. There is nobody left to tell when that fails too.
pub(super) fn fail(failure: &Failure, json: bool) {
    if json {
        let _ = serialized(&failure.document()).and_then(|text| write(&(text + "\n")));
    } else {
        let _ = writeln!(io::stderr(), "{}", failure.line());
    }
}

fn serialized(document: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(document).map_err(|why| not_json(&why))
}

fn not_json(why: &serde_json::Error) -> Failure {
    Failure::new(Exit::Failed, "internal", format!("the result is no JSON: {why}"), "")
}

/// Whether a stream gets colours.
pub(super) fn colored(
    color: Color,
    stream: &(impl anstream::stream::RawStream + IsTerminal),
) -> bool {
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => AutoStream::choice(stream) != ColorChoice::Never,
    }
}

/// `| head` closes the pipe when it has seen enough: that is a success.
fn write(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(why) if why.kind() != io::ErrorKind::BrokenPipe => {
            let message = format!("standard output cannot be written: {why}");
            Err(Failure::new(Exit::Failed, "output", message, ""))
        }
        _ => Ok(()),
    }
}

/// Columns and rows of the terminal at standard output.
fn terminal() -> Option<(usize, usize)> {
    if !io::stdout().is_terminal() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    (size.ws_col > 0 && size.ws_row > 0)
        .then(|| (usize::from(size.ws_col), usize::from(size.ws_row)))
}

/// The first of the variables that is set decides, as in setlocale(3).
fn speaks_utf8() -> bool {
    ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        .is_some_and(|value| {
            let value = value.to_ascii_lowercase();
            value.contains("utf-8") || value.contains("utf8")
        })
}

//! What the demo prints: lines that stay, and below them, on a terminal, a
//! picture that is redrawn in place. Elsewhere the picture is one line every
//! two seconds.

use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

use owo_colors::OwoColorize;

/// How often the picture's one line is printed where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(2);

/// Standard output.
pub(crate) struct Screen {
    began: Instant,
    live: bool,
    drawn: usize,
    last_line: Option<Instant>,
}

impl Screen {
    /// Finds out what standard output is.
    pub(crate) fn new() -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let live = io::stdout().is_terminal() && !dumb;
        Self { began: Instant::now(), live, drawn: 0, last_line: None }
    }

    /// A line that stays, with the time since the demo began.
    pub(crate) fn say(&mut self, text: &str) {
        let at = format!("{:5.1} s", self.began.elapsed().as_secs_f64());
        self.plain(&format!("{}  {text}", at.dimmed()));
    }

    /// A line that stays, as it is.
    pub(crate) fn plain(&mut self, text: &str) {
        self.put(&format!("{text}\n"));
    }

    /// Draws the picture in the place of the one before.
    pub(crate) fn draw(&mut self, picture: &[String], line: &str) {
        if self.live {
            let text: String = picture.iter().map(|line| format!("{line}\n")).collect();
            self.put(&text);
            self.drawn = picture.len();
        } else if self.last_line.is_none_or(|last| last.elapsed() >= LINE_EVERY) {
            self.last_line = Some(Instant::now());
            self.say(line);
        }
    }

    /// Why the demo ends early.
    pub(crate) fn fail(&mut self, why: &str) {
        self.put("");
        anstream::eprintln!("{} {why}", "demo:".red().bold());
    }

    /// Writes over the picture. A reader that has gone away is no reason to
    /// leave what the demo has made.
    fn put(&mut self, text: &str) {
        let mut out = anstream::stdout().lock();
        let over = match self.drawn {
            0 => String::new(),
            lines => format!("\x1b[{lines}A\x1b[J"),
        };
        self.drawn = 0;
        drop(out.write_all(format!("{over}{text}").as_bytes()).and_then(|()| out.flush()));
    }
}

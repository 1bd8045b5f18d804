//! `make demo`: brings a small shop up, lets rollbackd watch it, deploys a
//! version that errs and is slow, and shows what happens until the good version
//! serves again. Everything it makes it removes, also after a failure and after
//! Ctrl-C. Its exit code is 0 only when the good version serves at the end.
#![expect(clippy::disallowed_methods, reason = "a program of its own, outside the daemon's clock")]

mod arguments;
mod daemon;
mod docker;
mod mail;
mod message;
mod report;
mod screen;
mod stage;
mod story;
mod traffic;

use std::{
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use signal_hook::consts::{SIGINT, SIGTERM};

use crate::{arguments::Arguments, screen::Screen};

fn main() -> ExitCode {
    let mut screen = Screen::new();
    let arguments = match Arguments::read(std::env::args_os().skip(1)) {
        Ok(arguments) => arguments,
        Err(why) => {
            screen.fail(&why);
            return ExitCode::from(2);
        }
    };
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        if let Err(why) = signal_hook::flag::register(signal, Arc::clone(&interrupted)) {
            screen.fail(&format!("cannot handle signals: {why}"));
            return ExitCode::FAILURE;
        }
    }
    match story::tell(&arguments, &mut screen, &interrupted) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) if interrupted.load(Ordering::Relaxed) => {
            screen.fail("interrupted");
            ExitCode::from(130)
        }
        Err(why) => {
            screen.fail(&format!("{why:#}"));
            ExitCode::FAILURE
        }
    }
}

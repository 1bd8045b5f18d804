//! The shop: a small HTTP service for the demo and the tests. Good and bad
//! versions are one program; [`behaviour`] reads from the environment which
//! faults it has.
#![expect(clippy::disallowed_methods, reason = "a program of its own, outside the daemon's clock")]
#![expect(clippy::print_stderr, reason = "its log is what `docker logs` shows")]

mod behaviour;
mod http;
mod metrics;
mod serve;

use std::{
    io::Write,
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::{ExitCode, exit},
    sync::Arc,
    thread,
    time::Duration,
};

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};

use crate::{
    behaviour::{Behaviour, Start},
    serve::Shop,
};

fn main() -> ExitCode {
    let behaviour = match Behaviour::from_env(|name| std::env::var(name).ok()) {
        Ok(behaviour) => behaviour,
        Err(why) => return fail(&why),
    };
    if std::env::args().nth(1).as_deref() == Some("healthcheck") {
        return if is_ready(behaviour.port) { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    match run(behaviour) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => fail(&why),
    }
}

fn fail(why: &str) -> ExitCode {
    eprintln!("shop: {why}");
    ExitCode::FAILURE
}

/// Serves until a signal ends the process.
fn run(behaviour: Behaviour) -> Result<(), String> {
    end_on_signals()?;
    match behaviour.start {
        Start::Well => {}
        Start::Exit(code) => exit(code),
        Start::Hang => loop {
            thread::park();
        },
    }
    if let Some(after) = behaviour.exit_after {
        thread::spawn(move || {
            thread::sleep(after);
            eprintln!("shop: exits, as SHOP_EXIT_AFTER says");
            exit(1);
        });
    }
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, behaviour.port))
        .map_err(|why| format!("cannot listen on port {}: {why}", behaviour.port))?;
    eprintln!("shop: version {} listens on port {}", behaviour.version, behaviour.port);
    Arc::new(Shop::new(behaviour)).serve(&listener);
    Ok(())
}

/// As process 1 of a container nothing ends it by default: SIGTERM has to be
/// handled, or every stop waits for the engine's patience to run out.
fn end_on_signals() -> Result<(), String> {
    let mut signals =
        Signals::new([SIGTERM, SIGINT]).map_err(|why| format!("cannot handle signals: {why}"))?;
    thread::spawn(move || {
        if signals.forever().next().is_some() {
            exit(0);
        }
    });
    Ok(())
}

/// Asks the shop in this container whether it is ready: what `HEALTHCHECK`
/// runs, since an image from scratch has no other program.
fn is_ready(port: u16) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream
            .write_all(b"GET /health/ready HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n")?;
        std::io::read_to_string(stream)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200 "))
}

//! Customers: a steady hundred requests a second, however slow the shop
//! answers, and what came of each.

use std::{
    collections::VecDeque,
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Requests a second.
pub(crate) const RATE: u32 = 100;
/// Customers; each asks once in `CUSTOMERS / RATE` seconds, which is how slow
/// an answer may be before the rate suffers.
const CUSTOMERS: u32 = 200;
/// How long a connection may take. A lost SYN is repeated only after a second,
/// which would make a short gap look long.
const CONNECT: Duration = Duration::from_millis(50);
const ANSWER: Duration = Duration::from_millis(1800);
/// Over how long the present is summed up.
const WINDOW: Duration = Duration::from_secs(2);

/// The customers; dropped, they go home.
pub(crate) struct Traffic {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    done: AtomicBool,
    tally: Mutex<Tally>,
}

#[derive(Default)]
struct Tally {
    recent: VecDeque<Request>,
    totals: Totals,
    last_success: Option<Instant>,
}

#[derive(Clone)]
struct Request {
    ended: Instant,
    took: Duration,
    success: bool,
    version: Option<String>,
}

/// All since the last [`Traffic::reset`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    /// Requests sent.
    pub(crate) requests: u32,
    /// Answered with an error.
    pub(crate) errors: u32,
    /// Not answered at all: refused, or too late.
    pub(crate) unanswered: u32,
    /// The longest time between two answers that were none of both.
    pub(crate) longest_gap: Duration,
}

/// The last two seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Now {
    /// Requests a second.
    pub(crate) rate: f64,
    /// The share that failed.
    pub(crate) errors: f64,
    /// 99 % were answered faster, seconds.
    pub(crate) p99: f64,
    /// The version in the newest answer.
    pub(crate) version: Option<String>,
}

impl Traffic {
    /// Sends customers to a port of this machine.
    pub(crate) fn start(port: u16) -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let began = Instant::now();
        for customer in 0..CUSTOMERS {
            let shared = Arc::clone(&shared);
            thread::Builder::new()
                .stack_size(128 * 1024)
                .spawn(move || shop(port, customer, began, &shared))?;
        }
        Ok(Self { shared })
    }

    /// Counts anew from now on.
    pub(crate) fn reset(&self) {
        self.shared.tally().totals = Totals::default();
    }

    /// What has been counted.
    pub(crate) fn totals(&self) -> Totals {
        self.shared.tally().totals
    }

    /// The last two seconds.
    pub(crate) fn now(&self) -> Now {
        let recent: Vec<Request> = self.shared.tally().recent.iter().cloned().collect();
        let recent: Vec<Request> =
            recent.into_iter().filter(|request| request.ended.elapsed() <= WINDOW).collect();
        if recent.is_empty() {
            return Now::default();
        }
        let mut took: Vec<Duration> = recent.iter().map(|request| request.took).collect();
        took.sort_unstable();
        let count = f64::from(u32::try_from(recent.len()).unwrap_or(u32::MAX));
        let failed = recent.iter().filter(|request| !request.success).count();
        Now {
            rate: count / WINDOW.as_secs_f64(),
            errors: f64::from(u32::try_from(failed).unwrap_or(u32::MAX)) / count,
            p99: took[(took.len() * 99).div_ceil(100) - 1].as_secs_f64(),
            version: recent.iter().rev().find_map(|request| request.version.clone()),
        }
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.shared.done.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    fn tally(&self) -> std::sync::MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, request: Request, answered: bool) {
        let mut tally = self.tally();
        tally.totals.requests += 1;
        if request.success {
            let now = request.ended;
            if let Some(last) = tally.last_success {
                let gap = now.saturating_duration_since(last);
                tally.totals.longest_gap = tally.totals.longest_gap.max(gap);
            }
            tally.last_success = Some(now);
        } else if answered {
            tally.totals.errors += 1;
        } else {
            tally.totals.unanswered += 1;
        }
        while tally.recent.front().is_some_and(|request| request.ended.elapsed() > WINDOW) {
            tally.recent.pop_front();
        }
        tally.recent.push_back(request);
    }
}

/// One customer, asking at fixed moments of their own.
fn shop(port: u16, customer: u32, began: Instant, shared: &Shared) {
    let period = Duration::from_secs(1) / RATE * CUSTOMERS;
    let mut next = began + Duration::from_secs(1) / RATE * customer;
    while !shared.done.load(Ordering::Relaxed) {
        thread::sleep(next.saturating_duration_since(Instant::now()));
        next += period;
        let at = Instant::now();
        let answer = ask(port);
        let request = Request {
            ended: Instant::now(),
            took: at.elapsed(),
            success: matches!(answer, Ok((200, _))),
            version: answer.as_ref().ok().and_then(|(_, version)| version.clone()),
        };
        shared.count(request, answer.is_ok());
    }
}

/// Buys something: the status code, and the version that the answer names.
pub(crate) fn ask(port: u16) -> io::Result<(u16, Option<String>)> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, CONNECT)?;
    stream.set_read_timeout(Some(ANSWER))?;
    stream.write_all(b"GET /buy HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(64 * 1024).read_to_string(&mut answer)?;
    let status = answer.get(9..12).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| io::Error::other("an answer without a status"))?;
    let version = answer.split("\"version\":\"").nth(1).and_then(|rest| rest.split('"').next());
    Ok((status, version.map(str::to_owned)))
}

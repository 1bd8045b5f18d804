//! What it costs to watch, and how long it takes to decide.
//!
//! `watching`: the daemon with 4, 100, 1,000 and 10,000 triggers on one metrics
//! page, beside a real Prometheus with as many alerting rules at the same
//! interval over the same page, both at the same time: processor time and
//! memory of each. `deciding`: from the death of a container's process to the
//! decision to roll back, with `failures = 1`.
//!
//! `cargo bench --bench cost` runs both, `-- watching` one of them, and
//! `-- watching 100 10000` only with so many triggers.

#![expect(clippy::disallowed_methods, reason = "a bench measures time itself")]
#![allow(
    clippy::new_without_default,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    dead_code,
    unused_imports,
    missing_docs,
    unreachable_pub,
    reason = "it stands on the tests' support, and fails by panicking as they do"
)]

#[path = "../../tests/support/mod.rs"]
mod support;

mod deciding;
mod page;
mod prometheus;
mod used;
mod watching;

fn main() {
    let words: Vec<String> = std::env::args().collect();
    // Whoever only lists or runs the tests does not want to wait for this.
    if !words.iter().any(|word| word == "--bench") {
        return;
    }
    let chosen = |name: &str| {
        let one = words.iter().any(|word| word == "watching" || word == "deciding");
        !one || words.iter().any(|word| word == name)
    };
    if chosen("watching") {
        let sizes: Vec<usize> = words.iter().filter_map(|word| word.parse().ok()).collect();
        watching::measure(&sizes);
    }
    if chosen("deciding") {
        deciding::measure();
    }
}

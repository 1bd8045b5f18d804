//! What can be watched: one number over time of one service.

use alloc::string::{String, ToString};
use core::fmt;

use serde::{Deserialize, Serialize};

/// One number over time of one service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Signal {
    /// The share of requests that failed, 0 to 1.
    ErrorRate,
    /// A quantile of the time requests took, in seconds.
    Latency(Quantile),
    /// The share of probes that were answered as expected, 0 to 1.
    Availability,
    /// Failures of the service's containers, counted: the larger of the
    /// failing streak of its health check and its bad exits within `for`.
    Health,
    /// Restarts of the service's containers within the window.
    Restarts,
    /// CPU used as a share of what the container may use, 0 to 1.
    Cpu,
    /// Memory used as a share of what the container may use, 0 to 1.
    Memory,
    /// A number of the user's own.
    Own(String),
}

/// A quantile in thousandths: 990 is p99.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Quantile(u16);

impl Quantile {
    /// As a number from 0 to 1.
    #[must_use]
    pub fn get(self) -> f64 {
        f64::from(self.0) / 1000.0
    }
}

/// In which unit a signal's value is shown and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A share from 0 to 1, shown in percent.
    Share,
    /// Seconds.
    Seconds,
    /// A whole number of something.
    Count,
    /// A number whose meaning only the user knows.
    Number,
}

impl Signal {
    /// Reads the contract's spelling. `latency_p50`, `latency_p99` and
    /// `latency_p999` are quantiles; what is no known word is the user's own.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text {
            "error_rate" => Self::ErrorRate,
            "availability" => Self::Availability,
            "health" => Self::Health,
            "restarts" => Self::Restarts,
            "cpu" => Self::Cpu,
            "memory" => Self::Memory,
            _ => match text.strip_prefix("latency_p").and_then(thousandths) {
                Some(quantile) => Self::Latency(Quantile(quantile)),
                None => Self::Own(text.to_string()),
            },
        }
    }

    /// The unit of its values.
    #[must_use]
    pub const fn unit(&self) -> Unit {
        match self {
            Self::ErrorRate | Self::Availability | Self::Cpu | Self::Memory => Unit::Share,
            Self::Latency(_) => Unit::Seconds,
            Self::Health | Self::Restarts => Unit::Count,
            Self::Own(_) => Unit::Number,
        }
    }
}

/// `99` is 990, `999` is 999, `5` is 50: the digits after "0.".
fn thousandths(digits: &str) -> Option<u16> {
    if digits.is_empty() || digits.len() > 3 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let scale = [100, 10, 1][digits.len() - 1];
    let value = digits.parse::<u16>().ok()? * scale;
    (value > 0).then_some(value)
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self {
            Self::ErrorRate => "error_rate",
            Self::Availability => "availability",
            Self::Health => "health",
            Self::Restarts => "restarts",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Own(name) => name,
            Self::Latency(Quantile(q)) if q % 10 == 0 => {
                return f.pad(&alloc::format!("latency_p{:02}", q / 10));
            }
            Self::Latency(Quantile(q)) => return f.pad(&alloc::format!("latency_p{q:03}")),
        };
        f.pad(word)
    }
}

impl From<String> for Signal {
    fn from(text: String) -> Self {
        Self::parse(&text)
    }
}

impl From<Signal> for String {
    fn from(signal: Signal) -> Self {
        signal.to_string()
    }
}

impl Unit {
    /// A value as people read it: `12.4%`, `2.31s`, `3`.
    #[must_use]
    pub fn show(self, value: f64) -> String {
        let trim = |text: String| match text.trim_end_matches('0').trim_end_matches('.') {
            "" | "-" => "0".to_string(),
            kept => kept.to_string(),
        };
        if !value.is_finite() {
            return alloc::format!("{value}");
        }
        match self {
            Self::Share => trim(alloc::format!("{:.2}", value * 100.0)) + "%",
            Self::Seconds if value.abs() < 1.0 => {
                trim(alloc::format!("{:.1}", value * 1000.0)) + "ms"
            }
            Self::Seconds => trim(alloc::format!("{value:.2}")) + "s",
            Self::Count => trim(alloc::format!("{value:.0}.")),
            Self::Number => trim(alloc::format!("{value:.4}")),
        }
    }
}

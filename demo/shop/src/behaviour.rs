//! Which faults this shop has, read from its environment. An image's `ENV`
//! makes it a good or a bad version.

use std::time::Duration;

/// How the shop behaves.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Behaviour {
    /// `SHOP_VERSION`: what its answers say it is.
    pub(crate) version: String,
    /// `SHOP_PORT`: where it listens.
    pub(crate) port: u16,
    /// `SHOP_ERRORS`: the share of its pages that answer 500, 0 to 1.
    pub(crate) errors: f64,
    /// `SHOP_DELAY`: how much longer its pages take.
    pub(crate) delay: Duration,
    /// `SHOP_HEALTH`: whether `/health/ready` says that it is.
    pub(crate) healthy: bool,
    /// `SHOP_START`: what it does instead of serving.
    pub(crate) start: Start,
    /// `SHOP_EXIT_AFTER`: it fails after this long.
    pub(crate) exit_after: Option<Duration>,
}

/// How a start goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// `ok`: it serves.
    Well,
    /// `exit:3`: it ends at once with this code.
    Exit(i32),
    /// `hang`: it runs and never listens.
    Hang,
}

impl Behaviour {
    /// Reads the variables; says which one cannot be read.
    pub(crate) fn from_env(get: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let read = |name: &str, default: &str| get(name).unwrap_or_else(|| default.to_owned());
        let bad = |name: &str, text: &str| format!("{name}={text} cannot be understood");
        let port = read("SHOP_PORT", "8080");
        let errors = read("SHOP_ERRORS", "0");
        let delay = read("SHOP_DELAY", "0ms");
        let health = read("SHOP_HEALTH", "ok");
        let start = read("SHOP_START", "ok");
        Ok(Self {
            version: read("SHOP_VERSION", "dev"),
            port: port.parse().map_err(|_| bad("SHOP_PORT", &port))?,
            errors: share(&errors).ok_or_else(|| bad("SHOP_ERRORS", &errors))?,
            delay: duration(&delay).ok_or_else(|| bad("SHOP_DELAY", &delay))?,
            healthy: match health.as_str() {
                "ok" => true,
                "fail" => false,
                _ => return Err(bad("SHOP_HEALTH", &health)),
            },
            start: start_of(&start).ok_or_else(|| bad("SHOP_START", &start))?,
            exit_after: get("SHOP_EXIT_AFTER")
                .map(|text| duration(&text).ok_or_else(|| bad("SHOP_EXIT_AFTER", &text)))
                .transpose()?,
        })
    }

    /// Whether the `n`th page (the first is 1) is one of those that fail. Not by
    /// chance: of any hundred in a row, the same number fail.
    pub(crate) fn fails(&self, n: u64) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 pages")]
        let due = |n: u64| (n as f64 * self.errors + 1e-9).floor();
        due(n) > due(n - 1)
    }
}

fn share(text: &str) -> Option<f64> {
    let share = match text.strip_suffix('%') {
        Some(percent) => percent.parse::<f64>().ok()? / 100.0,
        None => text.parse().ok()?,
    };
    (0.0..=1.0).contains(&share).then_some(share)
}

fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic())?);
    let number: u64 = number.parse().ok()?;
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        _ => None,
    }
}

fn start_of(text: &str) -> Option<Start> {
    match text {
        "ok" => Some(Start::Well),
        "hang" => Some(Start::Hang),
        _ => text.strip_prefix("exit:")?.parse().ok().map(Start::Exit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &str, text: &str) -> Result<Behaviour, String> {
        Behaviour::from_env(|asked| (asked == name).then(|| text.to_owned()))
    }

    #[test]
    fn a_twelfth_of_a_hundred_pages_fails_evenly() {
        let shop = with("SHOP_ERRORS", "12%").unwrap();
        for begin in [1, 37, 1000] {
            let failed = (begin..begin + 100).filter(|n| shop.fails(*n)).count();
            assert_eq!(failed, 12, "pages {begin} and the 99 after");
        }
    }

    #[test]
    fn all_or_no_pages_fail_at_the_ends() {
        assert!((1..50).all(|n| with("SHOP_ERRORS", "1").unwrap().fails(n)));
        assert!(!(1..50).any(|n| with("SHOP_ERRORS", "0").unwrap().fails(n)));
    }

    #[test]
    fn a_variable_that_cannot_be_read_is_named() {
        for (name, text) in [
            ("SHOP_PORT", "http"),
            ("SHOP_ERRORS", "2"),
            ("SHOP_DELAY", "900"),
            ("SHOP_HEALTH", "good"),
            ("SHOP_START", "exit"),
            ("SHOP_EXIT_AFTER", "soon"),
        ] {
            assert_eq!(with(name, text), Err(format!("{name}={text} cannot be understood")));
        }
    }

    #[test]
    fn faults_are_read_as_written() {
        assert_eq!(with("SHOP_DELAY", "900ms").unwrap().delay, Duration::from_millis(900));
        assert_eq!(with("SHOP_START", "exit:3").unwrap().start, Start::Exit(3));
        assert_eq!(with("SHOP_START", "hang").unwrap().start, Start::Hang);
        assert!(!with("SHOP_HEALTH", "fail").unwrap().healthy);
    }
}

//! Single values: durations, shares, sizes, numbers and words. Each reader
//! says what it wanted instead and shows one that is right.

use std::{
    ops::{Range, RangeInclusive},
    time::Duration,
};

use toml::de::DeValue;

use super::nearest::nearest;

/// A value, its key and its place.
#[derive(Clone)]
pub(super) struct Value<'a> {
    /// The key.
    pub(super) key: &'a str,
    /// The value.
    pub(super) item: &'a DeValue<'a>,
    /// The value's place.
    pub(super) span: Range<usize>,
}

/// Why a value cannot be used.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) message: String,
    pub(super) hint: String,
    /// The value contains a secret: its text is masked.
    pub(super) secret: bool,
    /// Which part of the value it is, where it is not the whole.
    pub(super) part: Option<Range<usize>>,
}

impl Wrong {
    pub(super) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into(), secret: false, part: None }
    }
}

impl<'a> Value<'a> {
    /// What kind of TOML it is: `an integer`.
    pub(super) fn kind(&self) -> &'static str {
        match self.item {
            DeValue::String(_) => "text",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        }
    }

    /// It takes something else than what is there.
    pub(super) fn takes(&self, wanted: &str, hint: impl Into<String>) -> Wrong {
        let key = self.key;
        match self.item {
            DeValue::String(text) if !wanted.starts_with("text") => {
                Wrong::new(format!("`{key}` takes {wanted}, and {} is none", quoted(text)), hint)
            }
            _ => Wrong::new(format!("`{key}` takes {wanted}, not {}", self.kind()), hint),
        }
    }

    /// Is it exactly this text?
    pub(super) fn is_text(&self, text: &str) -> bool {
        self.str() == Some(text)
    }

    /// The text, where it is one.
    pub(super) fn str(&self) -> Option<&'a str> {
        match self.item {
            DeValue::String(text) => Some(text),
            _ => None,
        }
    }

    /// An integer; those beyond 64 bits are none.
    fn integer(&self) -> Option<i64> {
        match self.item {
            DeValue::Integer(digits) => i64::from_str_radix(digits.as_str(), digits.radix()).ok(),
            _ => None,
        }
    }

    /// A number with or without a point.
    fn number(&self) -> Option<f64> {
        match self.item {
            DeValue::Float(float) => float.as_str().parse().ok(),
            #[expect(clippy::cast_precision_loss, reason = "thresholds are not that large")]
            _ => self.integer().map(|integer| integer as f64),
        }
    }
}

/// Text as messages show it: in quotes, and not too much of it.
pub(super) fn quoted(text: &str) -> String {
    let shown: String = text.chars().take(40).flat_map(char::escape_debug).collect();
    if text.chars().count() > 40 { format!("\"{shown}...\"") } else { format!("\"{shown}\"") }
}

/// A duration as people write it.
pub(super) fn shown(duration: Duration) -> String {
    let text = humantime::format_duration(duration).to_string();
    text.replace("days", "d").replace("day", "d").replace(' ', "")
}

/// Text that is not empty, on one line.
pub(super) fn text(example: &'static str) -> impl Fn(&Value<'_>) -> Result<String, Wrong> {
    move |value| {
        let hint = format!("write it in quotes: `{} = \"{example}\"`", value.key);
        let text = value.str().ok_or_else(|| value.takes("text", hint.clone()))?;
        if text.trim().is_empty() {
            return Err(Wrong::new(format!("`{}` is empty", value.key), hint));
        }
        if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
            let message = format!("`{}` contains control characters", value.key);
            return Err(Wrong::new(message, hint));
        }
        Ok(text.to_owned())
    }
}

/// The name of a service: letters, digits, `-`, `_` and `.`.
pub(super) fn service(value: &Value<'_>) -> Result<String, Wrong> {
    let name = text("backend")(value)?;
    if name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
        return Ok(name);
    }
    let message = format!("{} cannot be the name of a service", quoted(&name));
    Err(Wrong::new(
        message,
        format!("write it as in the Compose file: `{} = \"backend\"`", value.key),
    ))
}

/// `true` or `false`.
pub(super) fn boolean(value: &Value<'_>) -> Result<bool, Wrong> {
    match value.item {
        DeValue::Boolean(yes) => Ok(*yes),
        _ => Err(value.takes(
            "true or false",
            format!("write `{} = true` or `false`, without quotes", value.key),
        )),
    }
}

/// One of some words.
pub(super) fn word<'w, T: Copy>(
    words: &'w [(&'static str, T)],
) -> impl Fn(&Value<'_>) -> Result<T, Wrong> + 'w {
    move |value| {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let all = known.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" or ");
        let Some(text) = value.str() else {
            return Err(value.takes(&all, format!("write `{} = \"{}\"`", value.key, known[0])));
        };
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == text) {
            return Ok(*meaning);
        }
        let hint = match nearest(text, known.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("write `{} = \"{}\"`", value.key, known[0]),
        };
        Err(Wrong::new(format!("`{}` takes {all}, not {}", value.key, quoted(text)), hint))
    }
}

/// A duration as humantime reads it, within limits.
pub(super) fn duration(
    example: &'static str,
    limits: RangeInclusive<Duration>,
) -> impl Fn(&Value<'_>) -> Result<Duration, Wrong> {
    move |value| {
        let key = value.key;
        let Some(text) = value.str() else {
            let hint = match value.integer() {
                Some(seconds @ 0..) => {
                    format!(
                        "a duration has a unit and quotes: `{key} = \"{seconds}s\"` or \"{seconds}m\""
                    )
                }
                _ => format!("a duration has a unit and quotes: `{key} = \"{example}\"`"),
            };
            return Err(value.takes("a duration", hint));
        };
        let read = humantime::parse_duration(text.trim()).map_err(|_| {
            let hint = match text.trim().parse::<u64>() {
                Ok(number) => format!("say the unit: `{key} = \"{number}s\"` or \"{number}m\""),
                Err(_) => {
                    format!("write a number and a unit, ms, s, m, h or d: `{key} = \"{example}\"`")
                }
            };
            value.takes("a duration", hint)
        })?;
        let (least, most) = (*limits.start(), *limits.end());
        if read < least {
            let hint = format!("write {} or more: `{key} = \"{example}\"`", shown(least));
            return Err(Wrong::new(format!("`{key}` is too short: {}", quoted(text)), hint));
        }
        if read > most {
            let months =
                if text.contains('M') { " (\"M\" is months, \"m\" is minutes)" } else { "" };
            let hint = format!("write {} or less: `{key} = \"{example}\"`{months}", shown(most));
            return Err(Wrong::new(format!("`{key}` is too long: {}", quoted(text)), hint));
        }
        Ok(read)
    }
}

/// A share, `"5%"` or 0.05, as a number from 0 to 1.
pub(super) fn share(example: &'static str) -> impl Fn(&Value<'_>) -> Result<f64, Wrong> {
    move |value| {
        let key = value.key;
        let hint = || format!("write `{key} = \"{example}\"`");
        if let Some(text) = value.str() {
            let percent =
                text.trim().strip_suffix('%').and_then(|number| finite(number.trim_end()));
            let share = percent
                .map(|percent| percent / 100.0)
                .ok_or_else(|| value.takes("a share", hint()))?;
            return in_share(share).ok_or_else(|| {
                Wrong::new(
                    format!("`{key}` is a share, and {} lies outside 0% to 100%", quoted(text)),
                    hint(),
                )
            });
        }
        let number = value.number().filter(|number| number.is_finite());
        let number = number.ok_or_else(|| value.takes("a share", hint()))?;
        // `1` may be 100 % or 1 %: nobody knows.
        let bare = value.integer().is_some_and(|integer| integer != 0);
        match in_share(number) {
            Some(share) if !bare => Ok(share),
            _ => Err(Wrong::new(
                format!("`{key}` takes a share, and {number} alone is not clear"),
                format!("write `{key} = \"{number}%\"`, or a number from 0.0 to 1.0"),
            )),
        }
    }
}

fn in_share(share: f64) -> Option<f64> {
    (0.0..=1.0).contains(&share).then_some(share)
}

fn finite(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// A latency in seconds: `"2s"` or `"2000ms"`.
pub(super) fn latency(value: &Value<'_>) -> Result<f64, Wrong> {
    let day = Duration::from_secs(24 * 60 * 60);
    let bare = value.number().or_else(|| value.str().and_then(|text| finite(text.trim())));
    let read = match bare {
        None => duration("2s", Duration::ZERO..=day)(value),
        Some(number) => {
            let unit = if number < 100.0 { "s" } else { "ms" };
            let hint = format!("say the unit, in quotes: `{} = \"{number}{unit}\"`", value.key);
            Err(value.takes("a latency", hint))
        }
    };
    read.map(|latency| latency.as_secs_f64())
}

/// A number of the user's own: plain, or written as a share or a latency.
pub(super) fn plain_number(value: &Value<'_>) -> Result<f64, Wrong> {
    let hint = format!(
        "write a number, a share or a duration: `{0} = 100`, `{0} = \"5%\"`, `{0} = \"2s\"`",
        value.key
    );
    let number = match value.str() {
        None => value.number(),
        Some(text) => match text.trim().strip_suffix('%') {
            Some(percent) => finite(percent.trim_end()).map(|percent| percent / 100.0),
            None => humantime::parse_duration(text.trim()).ok().map(|time| time.as_secs_f64()),
        },
    };
    let number = number.ok_or_else(|| value.takes("a number", hint.clone()))?;
    let infinite =
        || Wrong::new(format!("`{}` takes a number that is not {number}", value.key), hint);
    number.is_finite().then_some(number).ok_or_else(infinite)
}

/// A whole number within limits.
pub(super) fn count(limits: RangeInclusive<u64>) -> impl Fn(&Value<'_>) -> Result<u64, Wrong> {
    move |value| {
        let (key, least, most) = (value.key, limits.start(), limits.end());
        let hint = match *most {
            u64::MAX => format!(
                "write a whole number from {least} on, without quotes: `{key} = {}`",
                least.max(&1)
            ),
            most => format!("write a whole number from {least} to {most}, without quotes"),
        };
        let number = value.integer().ok_or_else(|| value.takes("a whole number", hint.clone()))?;
        let inside = u64::try_from(number).ok().filter(|number| limits.contains(number));
        inside.ok_or_else(|| Wrong::new(format!("`{key}` cannot be {number}"), hint))
    }
}

/// A size in bytes: `"512MiB"`.
pub(super) fn size(value: &Value<'_>) -> Result<u64, Wrong> {
    let hint =
        format!("write a number and a unit, MB, MiB, GB or GiB: `{} = \"10GiB\"`", value.key);
    let wrong = || value.takes("a size", hint.clone());
    let text = value.str().ok_or_else(wrong)?.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = finite(&text[..digits]).ok_or_else(wrong)?;
    let unit: u64 = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "b" => 1,
        "kb" => 1000,
        "kib" => 1 << 10,
        "mb" => 1_000_000,
        "mib" => 1 << 20,
        "gb" => 1_000_000_000,
        "gib" => 1 << 30,
        "tb" => 1_000_000_000_000,
        "tib" => 1 << 40,
        _ => return Err(wrong()),
    };
    #[expect(clippy::cast_precision_loss, reason = "a unit is exact as a float")]
    let bytes = number * unit as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked by the range"
    )]
    if (1.0..9e18).contains(&bytes) { Ok(bytes as u64) } else { Err(wrong()) }
}

/// A list of values, or one alone.
pub(super) fn list<T>(
    one: impl Fn(&Value<'_>) -> Result<T, Wrong>,
) -> impl Fn(&Value<'_>) -> Result<Vec<T>, Wrong> {
    move |value| match value.item {
        DeValue::Array(items) => items
            .iter()
            .map(|item| {
                let value = Value { key: value.key, item: item.get_ref(), span: item.span() };
                one(&value)
                    .map_err(|wrong| Wrong { part: wrong.part.or(Some(item.span())), ..wrong })
            })
            .collect(),
        _ => one(value).map(|item| vec![item]),
    }
}

/// A list with something in it.
pub(super) fn some<T>(
    read: impl Fn(&Value<'_>) -> Result<Vec<T>, Wrong>,
    example: &'static str,
) -> impl Fn(&Value<'_>) -> Result<Vec<T>, Wrong> {
    move |value| {
        let list = read(value)?;
        if list.is_empty() {
            let hint = format!("write `{} = {example}`", value.key);
            return Err(Wrong::new(format!("`{}` is an empty list", value.key), hint));
        }
        Ok(list)
    }
}

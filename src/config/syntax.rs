//! What the TOML parser complains about, in our words. One mistake often makes
//! it complain several times: only the first of a line is told, and of what is
//! never closed only where it opens.

use std::ops::Range;

use toml::de::{DeTable, DeValue, Error};

use super::problem::Findings;

/// Tells the complaints.
pub(super) fn tell(errors: &[Error], document: &DeTable<'_>, findings: &Findings<'_>) {
    let text = findings.text();
    let at = |error: &Error| error.span().unwrap_or(0..0);
    let mut unclosed: Vec<(Range<usize>, &Error)> = Vec::new();
    for error in errors.iter().filter(|error| error.message().contains("unclosed")) {
        let mut opened = Vec::new();
        open_values(document, at(error).end, text, &mut opened);
        if let Some(outermost) = opened.into_iter().min_by_key(|range| range.start) {
            unclosed.push((outermost, error));
        }
    }
    unclosed.sort_by_key(|(range, _)| range.start);
    unclosed.dedup_by(|later, first| first.0.end >= later.0.start);
    for (range, error) in &unclosed {
        let what = if error.message().contains("array") { ("list", "]") } else { ("table", "}") };
        let message = format!("this {} is never closed", what.0);
        findings.error(range.start..range.start + 1, message, format!("end it with `{}`", what.1));
    }
    let mut lines: Vec<usize> = Vec::new();
    let mut others: Vec<&Error> = errors.iter().collect();
    others.sort_by_key(|error| at(error).start);
    for error in others {
        let (span, line) = (at(error), findings.line(&at(error)));
        let swallowed =
            unclosed.iter().any(|(range, _)| (range.start..=range.end).contains(&span.start));
        if !swallowed && !lines.contains(&line) {
            lines.push(line);
            let (message, hint) = say(error.message(), text.get(span.clone()).unwrap_or_default());
            findings.error(span, message, hint);
        }
    }
}

/// The inline tables and lists that end exactly here.
fn open_values(table: &DeTable<'_>, end: usize, text: &str, found: &mut Vec<Range<usize>>) {
    for item in table.iter().map(|(_, item)| item) {
        open_value(item, end, text, found);
    }
}

fn open_value(
    item: &toml::Spanned<DeValue<'_>>,
    end: usize,
    text: &str,
    found: &mut Vec<Range<usize>>,
) {
    let span = item.span();
    let opens = text.get(span.clone()).is_some_and(|text| text.starts_with(['{', '[']));
    match item.get_ref() {
        DeValue::Table(inner) => {
            if opens && span.end == end {
                found.push(span);
            }
            open_values(inner, end, text, found);
        }
        DeValue::Array(items) => {
            if opens && span.end == end {
                found.push(span);
            }
            items.iter().for_each(|item| open_value(item, end, text, found));
        }
        _ => {}
    }
}

/// Message and hint for what the parser said about a piece of text.
fn say(said: &str, piece: &str) -> (String, String) {
    let (message, expected) = match said.split_once(", expected ") {
        Some((message, expected)) => (message, Some(expected)),
        None => (said, None),
    };
    let known = [
        (
            "string values must be quoted",
            "text and durations are written in quotes",
            format!("write `\"{}\"`", piece.trim()),
        ),
        ("invalid basic string", "this text is never closed", "end it with `\"`".to_owned()),
        ("invalid literal string", "this text is never closed", "end it with `'`".to_owned()),
        ("duplicate key", "this key is there twice", "keep one of the two".to_owned()),
        ("missing assignment", "a key has no value", "write `key = value`".to_owned()),
        (
            "missing comma between key-value pairs",
            "something is missing between two keys",
            "write each key on a line of its own".to_owned(),
        ),
    ];
    // "invalid basic string" also means a wrong character within it.
    let closing = expected.is_some_and(|expected| matches!(expected, "`\"`" | "`'`"));
    let ours = known.into_iter().find(|(theirs, ..)| {
        message.starts_with(theirs) && (closing || !theirs.starts_with("invalid"))
    });
    if let Some((_, message, hint)) = ours {
        return (message.to_owned(), hint);
    }
    let hint = match expected {
        Some(expected) => format!("the TOML parser expected {expected} here"),
        None => "correct the TOML here".to_owned(),
    };
    (format!("this is no TOML: {message}"), hint)
}

//! What the TOML parser complains about, in our words. One mistake often makes
//! it complain several times: only the first of a line is told, and of what is
//! never closed only where it opens.

use std::ops::Range;

use toml::{
    Spanned,
    de::{DeTable, DeValue, Error},
};

use super::problem::Findings;

/// Tells the complaints.
pub(super) fn tell(errors: &[Error], document: &DeTable<'_>, findings: &Findings<'_>) {
    let text = findings.text();
    let mut inline = Vec::new();
    inline_values(document, text, &mut inline);
    let mut errors: Vec<(Range<usize>, &str)> =
        errors.iter().map(|error| (error.span().unwrap_or(0..0), error.message())).collect();
    errors.sort_by_key(|(span, _)| span.start);
    for (span, said) in errors {
        let around = |value: &&Range<usize>| value.start < span.start && span.start <= value.end;
        let around = inline.iter().filter(around).min_by_key(|value| value.start);
        let (message, hint) = say(said, text.get(span.clone()).unwrap_or_default());
        let Some(value) = around else {
            findings.no_toml(span.clone(), span, message, hint);
            continue;
        };
        // What follows within the same brackets may only follow from this.
        let (what, close) =
            if text[value.clone()].starts_with('{') { ("table", '}') } else { ("list", ']') };
        if text[value.clone()].trim_end().ends_with(close) && !said.starts_with("unclosed") {
            findings.no_toml(span.clone(), span.start..value.end, message, hint);
        } else {
            let (message, hint) =
                (format!("this {what} is never closed"), format!("end it with `{close}`"));
            findings.no_toml(value.start..value.start + 1, value.clone(), message, hint);
        }
    }
}

/// Where the inline tables and lists of a document lie.
fn inline_values(table: &DeTable<'_>, text: &str, found: &mut Vec<Range<usize>>) {
    table.iter().for_each(|(_, item)| inline_value(item, text, found));
}

fn inline_value(item: &Spanned<DeValue<'_>>, text: &str, found: &mut Vec<Range<usize>>) {
    let span = item.span();
    let bracket = text.get(span.clone()).and_then(|text| text.chars().next());
    match item.get_ref() {
        DeValue::Table(inner) => {
            if bracket == Some('{') {
                found.push(span);
            }
            inline_values(inner, text, found);
        }
        DeValue::Array(items) => {
            // The header of an array of tables begins with a bracket as well.
            let of_tables = items.first().is_some_and(|first| first.span() == span);
            if bracket == Some('[') && !of_tables {
                found.push(span);
            }
            items.iter().for_each(|item| inline_value(item, text, found));
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
        ("unclosed", "this header is never closed", "end it with `]`, or `]]`".to_owned()),
        ("key with no value", "a key has no value", "write `key = value`".to_owned()),
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

//! Where the characters of a TOML string's value are written in the file: for
//! what a server says of a place in a query.

use std::ops::Range;

/// The place in the file of the character at byte `at` of `value`, which is
/// what the string written as `literal` holds, without space around it. `None`
/// where the two do not go together.
pub(super) fn place_of(literal: &str, value: &str, at: usize) -> Option<Range<usize>> {
    let (mut text, mut written) = (String::new(), Vec::new());
    for (c, place) in characters(literal)? {
        written.resize(text.len() + c.len_utf8(), place);
        text.push(c);
    }
    let before = text.len() - text.trim_start().len();
    if text.trim() != value || !value.is_char_boundary(at) {
        return None;
    }
    match written.get(before + at) {
        // What is missing at the end is missing before the quote.
        Some(place) if at < value.len() => Some(place.clone()),
        _ => {
            let end = written.get((before + value.len()).checked_sub(1)?)?.end;
            Some(end..end + 1)
        }
    }
}

/// Each character of the value with its place in the literal.
fn characters(literal: &str) -> Option<Vec<(char, Range<usize>)>> {
    let quote = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|q| literal.starts_with(q))?;
    let inner = literal.strip_prefix(quote)?.strip_suffix(quote)?;
    let (several_lines, escapes) = (quote.len() == 3, quote.starts_with('"'));
    let mut at = quote.len();
    let end = at + inner.len();
    if several_lines {
        let first = ["\r\n", "\n"].into_iter().find(|newline| inner.starts_with(newline));
        at += first.map_or(0, str::len);
    }
    let mut found = Vec::new();
    while let Some(c) = literal[at..end].chars().next() {
        let (value, length) = match c {
            '\\' if escapes => escaped(&literal[at..end])?,
            c => (Some(c), c.len_utf8()),
        };
        found.extend(value.map(|value| (value, at..at + length)));
        at += length;
    }
    Some(found)
}

/// What an escape at the beginning of the text stands for, and its length. A
/// backslash at the end of a line stands for nothing, up to the next word.
fn escaped(text: &str) -> Option<(Option<char>, usize)> {
    let simple = match text[1..].chars().next()? {
        'b' => '\u{8}',
        't' => '\t',
        'n' => '\n',
        'f' => '\u{c}',
        'r' => '\r',
        'e' => '\u{1b}',
        '"' => '"',
        '\\' => '\\',
        letter @ ('x' | 'u' | 'U') => {
            let end = 2 + match letter {
                'x' => 2,
                'u' => 4,
                _ => 8,
            };
            let code = u32::from_str_radix(text.get(2..end)?, 16).ok()?;
            return Some((Some(char::from_u32(code)?), end));
        }
        c if c.is_whitespace() => {
            let rest = text[1..].trim_start();
            return Some((None, text.len() - rest.len()));
        }
        _ => return None,
    };
    Some((Some(simple), 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The piece of the literal at which a needle of its value is written.
    #[track_caller]
    fn piece<'l>(literal: &'l str, needle: &str) -> &'l str {
        let document = format!("q = {literal}");
        let read: toml::Table = document.parse().unwrap();
        let value = read["q"].as_str().unwrap().trim();
        let at = value.find(needle).unwrap_or(value.len());
        &literal
            [place_of(literal, value, at).unwrap_or_else(|| panic!("{literal:?} holds {value:?}"))]
    }

    #[test]
    fn a_character_is_found_where_it_is_written() {
        assert_eq!(piece("'sum(ö+x)'", "x"), "x");
        assert_eq!(piece(r#""a{b=\"ü\"} + x""#, "x"), "x");
        assert_eq!(piece(r#""a{b=\"c\"}""#, "\"c"), "\\\"");
        assert_eq!(piece(r#""a \u00fc x""#, "ü"), "\\u00fc");
        assert_eq!(piece("'''\n  sum(\n    x y\n)\n'''", "y"), "y");
        assert_eq!(piece("\"\"\"\n  sum( \\\n    x\n)\"\"\"", "x"), "x");
        assert_eq!(piece("'''\r\nsum(\r\nx)'''", "x"), "x");
    }

    #[test]
    fn what_is_missing_at_the_end_is_missing_before_the_quote() {
        assert_eq!(piece("'sum(x'", "nowhere"), "'");
        assert_eq!(piece("'''\nsum(x\n'''", "nowhere"), "\n");
    }

    #[test]
    fn what_does_not_go_together_has_no_place() {
        assert_eq!(place_of("'a'", "b", 0), None);
        assert_eq!(place_of("a", "a", 0), None);
        assert_eq!(place_of("'ü'", "ü", 1), None);
        assert_eq!(place_of("''", "", 0), None);
    }
}

//! What can be said of a PromQL query from its text alone: how far back it
//! looks, whether its brackets match, and whether it is a ratio that goes empty
//! when all is well. No parser: what is not understood is let through.

use std::{ops::Range, time::Duration};

/// A query with the text of its strings and comments told apart.
pub(super) struct Query<'q> {
    text: &'q str,
    tokens: Vec<Token>,
}

#[derive(Clone, Debug, PartialEq)]
struct Token {
    kind: Kind,
    at: Range<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Word,
    Text,
    Open,
    Close,
    /// `[...]`, whole.
    Span,
    /// `{...}`, whole.
    Matchers,
    Sign,
}

impl<'q> Query<'q> {
    /// Takes a query apart.
    ///
    /// # Errors
    /// What is wrong with its quotes and brackets, in words.
    pub(super) fn read(text: &'q str) -> Result<Self, String> {
        let tokens = tokens(text)?;
        let mut depth = 0_usize;
        for token in &tokens {
            match token.kind {
                Kind::Open => depth += 1,
                Kind::Close => depth = depth.checked_sub(1).ok_or("a `)` closes nothing")?,
                _ => {}
            }
        }
        if depth > 0 {
            return Err("a `(` is never closed".into());
        }
        if tokens.is_empty() {
            return Err("it is empty".into());
        }
        Ok(Self { text, tokens })
    }

    /// How far back one value looks: its ranges, subqueries and offsets, added
    /// up where one is within the other.
    pub(super) fn looks_back(&self) -> Duration {
        // One frame a parenthesis: the longest so far, and that of the operand
        // which a range or an offset would still add to.
        let mut frames = vec![(Duration::ZERO, Duration::ZERO)];
        for (index, token) in self.tokens.iter().enumerate() {
            let text = &self.text[token.at.clone()];
            let nested = frames.len() > 1;
            let Some((longest, operand)) = frames.last_mut() else { break };
            match token.kind {
                Kind::Open => frames.push((Duration::ZERO, Duration::ZERO)),
                Kind::Close if nested => {
                    let inner = frames
                        .pop()
                        .map_or(Duration::ZERO, |(longest, operand)| longest.max(operand));
                    if let Some((longest, operand)) = frames.last_mut() {
                        *longest = (*longest).max(*operand);
                        *operand = inner;
                    }
                }
                Kind::Span => *operand = operand.saturating_add(range(text)),
                Kind::Word if text.eq_ignore_ascii_case("offset") => {
                    let by = self.tokens.get(index + 1).map(|next| &self.text[next.at.clone()]);
                    *operand = operand.saturating_add(by.and_then(duration).unwrap_or_default());
                }
                Kind::Word if duration(text).is_none() => {
                    *longest = (*longest).max(*operand);
                    *operand = Duration::ZERO;
                }
                _ => {}
            }
        }
        frames.into_iter().map(|(longest, operand)| longest.max(operand)).max().unwrap_or_default()
    }

    /// The numerator of a ratio that selects errors and has no `or vector(0)`:
    /// while there are none, it is empty, and so is the ratio.
    pub(super) fn goes_empty(&self) -> Option<&'q str> {
        (0..self.tokens.len()).find_map(|slash| self.empty_numerator(slash))
    }

    fn empty_numerator(&self, slash: usize) -> Option<&'q str> {
        if self.text[self.tokens[slash].at.clone()] != *"/" {
            return None;
        }
        let mut depth = 0_i32;
        let first = self.tokens[..slash].iter().rposition(|token| {
            depth += match token.kind {
                Kind::Close => 1,
                Kind::Open => -1,
                _ => 0,
            };
            depth < 0
        });
        let numerator = &self.tokens[first.map_or(0, |open| open + 1)..slash];
        let filled = self.falls_back(numerator) || self.falls_back(self.after(slash));
        let errors = numerator.iter().any(|token| self.selects_errors(token));
        (errors && !filled)
            .then(|| &self.text[numerator[0].at.start..numerator[numerator.len() - 1].at.end])
    }

    /// What follows a ratio and applies to all of it: not what is within the
    /// denominator's own parentheses.
    fn after(&self, slash: usize) -> &[Token] {
        let mut depth = 0_i32;
        let rest = &self.tokens[slash + 1..];
        let from = rest.iter().position(|token| {
            let here = depth <= 0 && self.text[token.at.clone()].eq_ignore_ascii_case("or");
            depth += match token.kind {
                Kind::Open => 1,
                Kind::Close => -1,
                _ => 0,
            };
            here
        });
        from.map_or(&[], |from| &rest[from..])
    }

    /// `or vector(0)` and everything like it: after an `or` stands something
    /// that is never empty, or what the user thinks is.
    fn falls_back(&self, tokens: &[Token]) -> bool {
        tokens.iter().any(|token| {
            token.kind == Kind::Word && self.text[token.at.clone()].eq_ignore_ascii_case("or")
        })
    }

    fn selects_errors(&self, token: &Token) -> bool {
        let text = self.text[token.at.clone()].to_ascii_lowercase();
        match token.kind {
            Kind::Word => ["error", "fail", "5xx"].iter().any(|word| text.contains(word)),
            Kind::Matchers => matchers_select_errors(&text),
            _ => false,
        }
    }
}

/// Do label matchers like `{code=~"5.."}` pick out what failed? Those that
/// exclude (`!=`, `!~`) do not.
fn matchers_select_errors(matchers: &str) -> bool {
    let words = ["error", "fail", "5..", "5xx", "5[0-9]", "5\\d", "50", "\"5", "'5"];
    let mut rest = matchers;
    while let Some(equals) = rest.find('=') {
        let excludes = rest[..equals].ends_with('!');
        let value = rest[equals + 1..].trim_start();
        let excludes = excludes || value.starts_with("~!");
        let value = value.trim_start_matches('~').trim_start();
        let quote = value.chars().next().unwrap_or('"');
        let length =
            value.get(1..).and_then(|inner| inner.find(quote)).map_or(value.len(), |at| at + 2);
        if !excludes && words.iter().any(|word| value[..length].contains(word)) {
            return true;
        }
        rest = &value[length..];
    }
    false
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let (kind, length) = match first {
            '#' => (None, rest.find('\n').unwrap_or(rest.len())),
            c if c.is_whitespace() => (None, c.len_utf8()),
            '"' | '\'' | '`' => (Some(Kind::Text), string(rest)?),
            '[' => (Some(Kind::Span), enclosed(rest, ']')?),
            '{' => (Some(Kind::Matchers), enclosed(rest, '}')?),
            ']' | '}' => return Err(format!("a `{first}` closes nothing")),
            '(' => (Some(Kind::Open), 1),
            ')' => (Some(Kind::Close), 1),
            c if is_word(c) => {
                (Some(Kind::Word), rest.find(|c: char| !is_word(c)).unwrap_or(rest.len()))
            }
            c => (Some(Kind::Sign), c.len_utf8()),
        };
        if let Some(kind) = kind {
            tokens.push(Token { kind, at: at..at + length });
        }
        at += length;
    }
    Ok(tokens)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | ':' | '.')
}

/// The length of the string at the beginning of the text.
fn string(text: &str) -> Result<usize, String> {
    let quote = text.chars().next().unwrap_or('"');
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote != '`' => escaped = true,
            c if c == quote => return Ok(at + 1),
            _ => {}
        }
    }
    Err(format!("a string that begins with {quote} is never closed"))
}

/// The length of the bracket at the beginning of the text; strings in it may
/// contain brackets.
fn enclosed(text: &str, close: char) -> Result<usize, String> {
    let mut at = 1;
    while let Some(c) = text[at..].chars().next() {
        match c {
            c if c == close => return Ok(at + 1),
            '"' | '\'' | '`' => at += string(&text[at..])?,
            c => at += c.len_utf8(),
        }
    }
    Err(format!("a `{}` is never closed", &text[..1]))
}

/// `[5m]`, or a subquery's `[5m:30s]`: how far back it goes.
fn range(brackets: &str) -> Duration {
    let inner = brackets.trim_start_matches('[').trim_end_matches(']');
    let range = inner.split(':').next().unwrap_or_default();
    duration(range.trim()).unwrap_or_default()
}

/// A PromQL duration: `5m`, `1h30m`, `90` (seconds).
fn duration(text: &str) -> Option<Duration> {
    if text.is_empty() {
        return None;
    }
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let length = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let millis: u64 = match &rest[..length] {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            "y" => 31_536_000_000,
            _ => return None,
        };
        total = total.saturating_add(Duration::from_millis(number.saturating_mul(millis)));
        rest = &rest[length..];
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::Query;

    fn looks_back(query: &str) -> u64 {
        Query::read(query).unwrap().looks_back().as_secs()
    }

    fn goes_empty(query: &str) -> Option<&str> {
        Query::read(query).unwrap().goes_empty()
    }

    #[test]
    fn a_query_looks_back_as_far_as_its_longest_range() {
        assert_eq!(looks_back("up"), 0);
        assert_eq!(looks_back("rate(x[5m])"), 300);
        assert_eq!(looks_back("rate(x[1m]) / rate(y[1h30m])"), 5400);
        assert_eq!(looks_back("sum by (job) (rate(x[5m])) / sum(rate(y[2m]))"), 300);
        assert_eq!(looks_back("max_over_time(rate(x[5m])[30m:1m])"), 2100);
        assert_eq!(looks_back("rate(x[5m] offset 1h)"), 3900);
        assert_eq!(looks_back("rate(x[5m]) - rate(x[5m] offset 1d) > 2"), 86_700);
        assert_eq!(looks_back("rate(x{path=\"/a[9h]\"}[90])"), 90);
        assert_eq!(looks_back("x # [9h]\n + rate({__name__=\"y\"}[2m:])"), 120);
    }

    #[test]
    fn a_ratio_of_errors_without_a_fallback_goes_empty() {
        let ratio = "sum(rate(http_requests_total{job=\"a\",code=~\"5..\"}[1m])) / sum(rate(http_requests_total[1m]))";
        let numerator = "sum(rate(http_requests_total{job=\"a\",code=~\"5..\"}[1m]))";
        assert_eq!(goes_empty(ratio), Some(numerator));
        assert_eq!(goes_empty(&format!("100 * ({ratio})")), Some(numerator));
        assert!(
            goes_empty("rate(http_errors_total[1m]) / rate(http_requests_total[1m])").is_some()
        );
        assert!(goes_empty("sum(x{status='503'}) / (sum(x) or vector(0))").is_some());
        assert!(goes_empty("sum(x{outcome=\"failed\"})/sum(x)").is_some());
    }

    #[test]
    fn a_ratio_that_cannot_go_empty_is_left_alone() {
        for query in [
            "(sum(rate(x{code=~\"5..\"}[1m])) or vector(0)) / sum(rate(x[1m]))",
            "sum(rate(x{code=~\"5..\"}[1m])) / sum(rate(x[1m])) or vector(0)",
            "(sum(x{code=~\"5..\"}) / sum(x)) or vector(0)",
            "sum(rate(x{code!~\"5..\"}[1m])) / sum(rate(x[1m]))",
            "sum(rate(x{path=\"/a/errors\"}[1m]))",
            "rate(latency_seconds_sum[1m]) / rate(latency_seconds_count[1m])",
            "histogram_quantile(0.99, sum by (le) (rate(x_bucket[1m])))",
        ] {
            assert_eq!(goes_empty(query), None, "{query}");
        }
    }

    #[test]
    fn brackets_that_do_not_match_are_told() {
        let told = |query: &str| Query::read(query).map(|_| ()).unwrap_err();
        assert_eq!(told("sum(rate(x[5m])"), "a `(` is never closed");
        assert_eq!(told("sum(x))"), "a `)` closes nothing");
        assert_eq!(told("x{a=\"b}"), "a string that begins with \" is never closed");
        assert_eq!(told("rate(x[5m)"), "a `[` is never closed");
        assert_eq!(told(" # nothing"), "it is empty");
    }
}

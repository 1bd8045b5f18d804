//! The text format of metrics pages (Prometheus's own and OpenMetrics), a pure
//! parser. Lines are looked at one by one, and only those that somebody wants
//! are read in full.

use std::borrow::Cow;

/// A line that says something.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Line<'p> {
    /// `# TYPE name kind`: the metric exists, also when it has no series yet.
    Type {
        /// The metric's name, in OpenMetrics without `_total`.
        name: &'p str,
        /// `counter`, `gauge`, `histogram`, `summary`, ...
        kind: &'p str,
    },
    /// A sample of a series.
    Sample(Raw<'p>),
    /// Not of this format.
    Malformed,
}

/// A sample whose name is known and the rest not yet read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Raw<'p> {
    /// The metric's name.
    pub(super) name: Cow<'p, str>,
    labels: &'p str,
    rest: &'p str,
}

/// Labels with their values, in the page's order.
pub(super) type Labels<'p> = Vec<(Cow<'p, str>, Cow<'p, str>)>;

/// A sample read in full. Its timestamp and exemplar are checked and dropped:
/// a sample counts at the moment the page was asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Series<'p> {
    /// Its labels.
    pub(super) labels: Labels<'p>,
    /// Its value; it may be infinite or NaN.
    pub(super) value: f64,
}

/// Every line of a page that says something, up to `# EOF`.
pub(super) fn lines(page: &str) -> impl Iterator<Item = Line<'_>> {
    page.lines().map(str::trim).take_while(|line| *line != "# EOF").filter_map(line)
}

fn line(text: &str) -> Option<Line<'_>> {
    if let Some(comment) = text.strip_prefix('#') {
        let mut words = comment.split_ascii_whitespace();
        let ("TYPE", name, kind) = (words.next()?, words.next()?, words.next()?) else {
            return None;
        };
        return Some(Line::Type { name, kind });
    }
    if text.is_empty() {
        return None;
    }
    Some(raw(text).map_or(Line::Malformed, Line::Sample))
}

fn raw(text: &str) -> Option<Raw<'_>> {
    let end = text.find(|c: char| !is_name(c)).unwrap_or(text.len());
    let (name, after) = text.split_at(end);
    let after = after.trim_start();
    let (labels, rest) = match after.strip_prefix('{') {
        Some(inside) => inside.split_at(closing(inside)?),
        None => ("", after),
    };
    let rest = rest.strip_prefix('}').unwrap_or(rest).trim_start();
    // Enough to tell a page of this format from another text.
    if !rest.starts_with(|c: char| c.is_ascii_digit() || "+-.NnIi".contains(c)) {
        return None;
    }
    if !name.is_empty() {
        let begins_well = !name.starts_with(|c: char| c.is_ascii_digit());
        return begins_well.then_some(Raw { name: name.into(), labels, rest });
    }
    // Prometheus 3: `{"a name of any letters", label="value"} 1`.
    let (name, after) = quoted(labels.trim_start().strip_prefix('"')?)?;
    let after = after.trim_start();
    let labels = if after.is_empty() { after } else { after.strip_prefix(',')? };
    Some(Raw { name, labels, rest })
}

impl<'p> Raw<'p> {
    /// Reads it in full; `None` when it is malformed.
    pub(super) fn read(&self) -> Option<Series<'p>> {
        let labels = labels(self.labels)?;
        // An exemplar begins after a number sign; its content is not ours.
        let plain = self.rest.split_once(" # ").map_or(self.rest, |(plain, _)| plain);
        let mut words = plain.split_ascii_whitespace();
        let value = number(words.next()?)?;
        if words.next().is_some_and(|stamp| number(stamp).is_none()) || words.next().is_some() {
            return None;
        }
        Some(Series { labels, value })
    }
}

/// Where the brace closes that was opened before `inside`.
fn closing(inside: &str) -> Option<usize> {
    let (mut within, mut escaped) = (false, false);
    for (at, byte) in inside.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if within => escaped = true,
            b'"' => within = !within,
            b'}' if !within => return Some(at),
            _ => {}
        }
    }
    None
}

fn labels(mut text: &str) -> Option<Labels<'_>> {
    let mut found = Vec::new();
    loop {
        text = text.trim_start();
        if text.is_empty() {
            return Some(found);
        }
        let (name, after) = match text.strip_prefix('"') {
            Some(inside) => quoted(inside)?,
            None => {
                let end = text.find(|c: char| !is_name(c)).filter(|&end| end > 0)?;
                (text[..end].into(), &text[end..])
            }
        };
        let value = after.trim_start().strip_prefix('=')?.trim_start().strip_prefix('"')?;
        let (value, after) = quoted(value)?;
        found.push((name, value));
        text = after.trim_start();
        if !text.is_empty() {
            text = text.strip_prefix(',')?;
        }
    }
}

/// A quoted text whose opening quote is taken already, and what follows it.
fn quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let plain = text.find(['"', '\\'])?;
    if text.as_bytes()[plain] == b'"' {
        return Some((text[..plain].into(), &text[plain + 1..]));
    }
    let mut read = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((read.into(), &text[at + 1..])),
            '\\' => match letters.next()?.1 {
                'n' => read.push('\n'),
                escaped @ ('\\' | '"') => read.push(escaped),
                // Anything else stands for itself, as Prometheus reads it.
                other => read.extend(['\\', other]),
            },
            letter => read.push(letter),
        }
    }
    None
}

/// A number as Go writes it: `1`, `1.5e-3`, `+Inf`, `NaN`.
fn number(text: &str) -> Option<f64> {
    // Rust reads all of Go's spellings, and "infinity" with them.
    text.parse().ok()
}

fn is_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_' || letter == ':'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Plain = (String, Vec<(String, String)>, f64);

    fn read(page: &str) -> Vec<Plain> {
        let samples = lines(page).filter_map(|line| match line {
            Line::Sample(raw) => raw.read().map(|series| (raw.name.into_owned(), series)),
            _ => None,
        });
        let owned = |labels: Labels<'_>| {
            labels
                .into_iter()
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect()
        };
        samples.map(|(name, series)| (name, owned(series.labels), series.value)).collect()
    }

    fn one(line: &str) -> Option<Plain> {
        read(line).into_iter().next()
    }

    fn labelled(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_page_of_the_documentation_is_read() {
        let page = r#"
# HELP http_requests_total The total number of HTTP requests.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1395066363000
http_requests_total{method="post",code="400"}    3 1395066363000

# Escaping in label values:
msdos_file_access_time_seconds{path="C:\\DIR\\FILE.TXT",error="Cannot find file:\n\"FILE.TXT\""} 1.458255915e9
# Minimalistic line:
metric_without_timestamp_and_labels 12.47
# A weird metric from before the epoch:
something_weird{problem="division by zero"} +Inf -3982045
"#;
        let post = |code, value| {
            let labels = labelled(&[("method", "post"), ("code", code)]);
            ("http_requests_total".to_owned(), labels, value)
        };
        let path = r"C:\DIR\FILE.TXT";
        let file = labelled(&[("path", path), ("error", "Cannot find file:\n\"FILE.TXT\"")]);
        let weird = labelled(&[("problem", "division by zero")]);
        assert_eq!(
            read(page),
            [
                post("200", 1027.0),
                post("400", 3.0),
                ("msdos_file_access_time_seconds".into(), file, 1.458_255_915e9),
                ("metric_without_timestamp_and_labels".into(), vec![], 12.47),
                ("something_weird".into(), weird, f64::INFINITY),
            ]
        );
        let types: Vec<_> = lines(page).filter(|line| matches!(line, Line::Type { .. })).collect();
        assert_eq!(types, [Line::Type { name: "http_requests_total", kind: "counter" }]);
    }

    #[test]
    fn open_metrics_ends_at_its_end_and_its_exemplars_are_passed_over() {
        let page = "# TYPE rpc histogram\r\n\
            rpc_bucket{le=\"0.1\"} 8 1520879607.789 # {trace_id=\"K # } O\"} 0.043 1520879607.7\r\n\
            rpc_bucket{le=\"+Inf\"} 17 # {trace_id=\"x\"} 9.8\n# EOF\nafter 1\n";
        let bucket = |le, value| ("rpc_bucket".to_owned(), labelled(&[("le", le)]), value);
        assert_eq!(read(page), [bucket("0.1", 8.0), bucket("+Inf", 17.0)]);
    }

    #[test]
    fn odd_but_good_lines_are_read() {
        let b = |labels: &[(&str, &str)], value| Some(("b".to_owned(), labelled(labels), value));
        assert_eq!(one("b 1e3"), b(&[], 1000.0));
        assert_eq!(one("\tb\t-1.5E-3"), b(&[], -0.0015));
        assert_eq!(one("b{} 1"), b(&[], 1.0));
        assert_eq!(one("b { x = \"1\" , y=\"2\", } 1"), b(&[("x", "1"), ("y", "2")], 1.0));
        assert_eq!(one("b{x=\"a } b, c=\\\"d\\\"\"} 2"), b(&[("x", "a } b, c=\"d\"")], 2.0));
        assert_eq!(one("b{x=\"\\d\"} 2"), b(&[("x", "\\d")], 2.0));
        assert_eq!(one("b{x=\"naïve ✓\"} 2"), b(&[("x", "naïve ✓")], 2.0));
        assert_eq!(one("{\"b\",\"a.b\"=\"1\"} 2"), b(&[("a.b", "1")], 2.0));
        assert_eq!(one("{\"b\"} 2"), b(&[], 2.0));
        assert!(one("b NaN").unwrap().2.is_nan());
    }

    #[test]
    fn malformed_lines_are_not_read() {
        for line in [
            "b",
            "b{",
            "b{x} 1",
            "b{x=} 1",
            "b{x=\"1} 1",
            "b{x=\"1\"",
            "b{x=\"1\"y=\"2\"} 1",
            "b one",
            "b 1 noon",
            "b 1 2 3",
            "9b 1",
            "<html>",
            "{} 1",
            "{x=\"1\"} 1",
            "b{=\"1\"} 1",
            "b{\"x\"} 1",
            "{\"b\"x=\"1\"} 1",
        ] {
            assert_eq!(one(line), None, "{line}");
        }
        assert_eq!(lines("<!doctype html>").collect::<Vec<_>>(), [Line::Malformed]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            name in "[a-zA-Z_:][a-zA-Z0-9_:]{0,12}",
            labels in prop::collection::vec(("[a-zA-Z_][a-zA-Z0-9_]{0,8}", "\\PC{0,12}|[\\\\\"\n{},= #]{0,8}"), 0..4),
            value in prop_oneof![prop::num::f64::NORMAL, Just(0.0), Just(f64::INFINITY)],
            stamp in prop::option::of(any::<i64>()),
        ) {
            let escape = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let written: Vec<_> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
            let stamp = stamp.map(|stamp| format!(" {stamp}")).unwrap_or_default();
            let line = format!("{name}{{{}}} {value}{stamp}", written.join(","));
            prop_assert_eq!(one(&line), Some((name, labels, value)));
        }

        #[test]
        fn nothing_makes_it_panic(page in "\\PC{0,80}|[a-c{}\"\\\\=,# \n0-9]{0,80}") {
            for line in lines(&page) {
                if let Line::Sample(raw) = line {
                    let _ = raw.read();
                }
            }
        }
    }
}

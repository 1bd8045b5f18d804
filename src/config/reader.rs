//! Typed walking over a TOML document: every value with its place, unknown keys
//! with the nearest known one. A value that is wrong is told once, here, and is
//! then neither there nor absent.

use std::ops::Range;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    mask,
    nearest::nearest,
    problem::Findings,
    schema::{self, Shape},
    values::{Value, Wrong},
};

/// What a key holds.
#[derive(Clone, Debug)]
pub(super) enum Got<T> {
    /// The key is not there.
    Absent,
    /// It cannot be used, and that was told.
    Wrong,
    /// The value and its place.
    Good(T, Range<usize>),
}

impl<T> Got<T> {
    /// The value, else the default; `None` where it is wrong.
    pub(super) fn or(self, default: T) -> Option<T> {
        self.maybe().map(|value| value.unwrap_or(default))
    }

    /// The value, if it is there; `None` where it is wrong.
    pub(super) fn maybe(self) -> Option<Option<T>> {
        match self {
            Self::Absent => Some(None),
            Self::Wrong => None,
            Self::Good(value, _) => Some(Some(value)),
        }
    }

    /// The place, where there is a usable value.
    pub(super) fn span(&self) -> Option<Range<usize>> {
        match self {
            Self::Good(_, span) => Some(span.clone()),
            Self::Absent | Self::Wrong => None,
        }
    }

    /// Is the key not there?
    pub(super) const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

/// A table of the document.
#[derive(Clone)]
pub(super) struct Table<'a> {
    /// Where problems go.
    pub(super) findings: &'a Findings<'a>,
    /// Its header.
    pub(super) place: Range<usize>,
    /// How it is headed: `[source.prom]`.
    pub(super) title: String,
    table: &'a DeTable<'a>,
    /// The keys that its unknown keys were probably meant to be.
    meant: Vec<&'static str>,
}

impl<'a> Table<'a> {
    /// Opens a table and tells its unknown keys.
    pub(super) fn open(
        findings: &'a Findings<'a>,
        table: &'a DeTable<'a>,
        place: Range<usize>,
        title: impl Into<String>,
        shape: Shape,
    ) -> Self {
        let mut table = Self::silent(findings, table, place, title);
        table.tell_unknown(shape);
        table
    }

    /// Opens a table whose keys are not judged.
    pub(super) fn silent(
        findings: &'a Findings<'a>,
        table: &'a DeTable<'a>,
        place: Range<usize>,
        title: impl Into<String>,
    ) -> Self {
        Self { findings, place, title: title.into(), table, meant: Vec::new() }
    }

    /// Opens a table whose keys are names of the user's own.
    pub(super) fn named(
        &self,
        key: &'static str,
        example: &str,
    ) -> Vec<(&'a str, Range<usize>, Value<'a>)> {
        match self.value(key) {
            None => Vec::new(),
            Some(value) => match value.item {
                DeValue::Table(table) => entries(table),
                _ => {
                    let message = format!("`{key}` takes tables with names, not {}", value.kind());
                    self.findings.error(
                        value.span,
                        message,
                        format!("head each one like this: {example}"),
                    );
                    Vec::new()
                }
            },
        }
    }

    /// The table under a key, with its unknown keys told.
    pub(super) fn table(&self, key: &'static str, shape: Shape) -> Option<Table<'a>> {
        self.table_of(self.value(key)?, shape.title, shape)
    }

    /// A value as a table, with its unknown keys told.
    pub(super) fn table_of(
        &self,
        value: Value<'a>,
        title: impl Into<String>,
        shape: Shape,
    ) -> Option<Table<'a>> {
        let title = title.into();
        if let DeValue::Table(table) = value.item {
            return Some(Self::open(self.findings, table, value.span, title, shape));
        }
        let message = format!("`{}` takes a table, not {}", value.key, value.kind());
        let hint = match title.starts_with('[') {
            true => format!("head it with {title}"),
            false => format!("its keys are {}", listed(shape.keys)),
        };
        self.findings.error(value.span, message, hint);
        None
    }

    /// The tables of an array of tables.
    pub(super) fn tables(&self, key: &'static str, title: &str, shape: Shape) -> Vec<Table<'a>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let DeValue::Array(items) = value.item else {
            let message = format!("`{key}` takes a list of tables, not {}", value.kind());
            self.findings.error(
                value.span,
                message,
                format!("head each one with {title}, in double brackets"),
            );
            return Vec::new();
        };
        let tables = items.iter().filter_map(|item| {
            let value = Value { key, item: item.get_ref(), span: item.span() };
            self.table_of(value, title, shape)
        });
        tables.collect()
    }

    /// A key's value as it is in the document.
    pub(super) fn value(&self, key: &'static str) -> Option<Value<'a>> {
        let item: &Spanned<DeValue<'a>> = self.table.get(key)?;
        Some(Value { key, item: item.get_ref(), span: item.span() })
    }

    /// The place of a key itself.
    pub(super) fn key_place(&self, key: &str) -> Option<Range<usize>> {
        self.table.get_key_value(key).map(|(key, _)| key.span())
    }

    /// A key's value, read.
    pub(super) fn read<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&Value<'a>) -> Result<T, Wrong>,
    ) -> Got<T> {
        let Some(value) = self.value(key) else { return Got::Absent };
        match read(&value) {
            Ok(read) => Got::Good(read, value.span),
            Err(wrong) => {
                let place = wrong.part.unwrap_or(value.span);
                if wrong.secret {
                    self.findings.secret(place.clone());
                }
                self.findings.error(place, wrong.message, wrong.hint);
                Got::Wrong
            }
        }
    }

    /// A key that must be there. The hint shows how it is written.
    pub(super) fn need<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&Value<'a>) -> Result<T, Wrong>,
        hint: &str,
    ) -> Option<T> {
        match self.read(key, read) {
            Got::Absent => {
                self.lacks(key, hint);
                None
            }
            Got::Wrong => None,
            Got::Good(value, _) => Some(value),
        }
    }

    /// Tells that a key is missing, at the table's header; not where it is there
    /// and misspelt, which was told.
    pub(super) fn lacks(&self, key: &str, hint: &str) {
        if self.meant.contains(&key) {
            return;
        }
        self.findings.absent(self.place.clone(), format!("{} has no `{key}`", self.title), hint);
    }

    /// Tells that something of the contract is not built yet.
    pub(super) fn not_built(&self, key: &'static str, what: &str, hint: &str) -> bool {
        let Some(place) = self.key_place(key) else { return false };
        self.findings.error(place, format!("{what} is not built yet"), hint);
        true
    }

    fn tell_unknown(&mut self, shape: Shape) {
        for (key, item) in self.table {
            let name: &str = key.get_ref();
            // What the TOML parser itself has complained about has no name.
            let unreadable = name.is_empty() && self.findings.is_broken();
            if shape.keys.contains(&name) || unreadable {
                continue;
            }
            if mask::is_secret(name) {
                let (message, hint) = secret(name, shape);
                self.findings.secret(item.span());
                self.findings.error(key.span(), message, hint);
                continue;
            }
            let message = format!("`{name}` is no key of {}", self.title);
            let meant = meant(name, shape);
            self.findings.error(key.span(), message, advice(name, meant, shape));
            self.meant.extend(meant);
            if meant.is_some_and(|key| matches!(key, "source" | "project" | "trigger" | "group")) {
                self.findings.overlook();
            }
        }
    }
}

/// A table's entries in the file's order.
pub(super) fn entries<'a>(table: &'a DeTable<'a>) -> Vec<(&'a str, Range<usize>, Value<'a>)> {
    let mut entries: Vec<_> = table
        .iter()
        .map(|(key, item)| {
            let name: &str = key.get_ref();
            (name, key.span(), Value { key: name, item: item.get_ref(), span: item.span() })
        })
        .collect();
    entries.sort_by_key(|(_, place, _)| place.start);
    entries
}

fn secret(name: &str, shape: Shape) -> (String, String) {
    let file = format!("{name}_file");
    let known = |key: &&&str| key.ends_with("_file") && **key != "ca_file";
    let hint = match shape.keys.iter().find(|key| **key == file) {
        Some(key) => format!(
            "write it to a file of its own and name that: `{key} = \"/etc/rollbackd/{name}\"`"
        ),
        None => match shape.keys.iter().find(known) {
            Some(key) => format!("write it to a file of its own and name that with `{key}`"),
            None => format!("{} needs no secret: remove the line", shape.title),
        },
    };
    (format!("`{name}` would be a secret in this file, and secrets are never in it"), hint)
}

/// What an unknown key was probably meant to be.
fn meant(name: &str, shape: Shape) -> Option<&'static str> {
    let lower = name.to_lowercase();
    let alias =
        |(theirs, ours): &&(&str, &'static str)| *theirs == lower && shape.keys.contains(ours);
    let alias = schema::ALIASES.iter().find(alias).map(|(_, ours)| *ours);
    alias.or_else(|| nearest(name, shape.keys.iter().copied()))
}

fn advice(name: &str, meant: Option<&str>, shape: Shape) -> String {
    if let Some(key) = meant {
        return format!("did you mean `{key}`?");
    }
    if let Some(home) = schema::ALL.iter().find(|other| other.keys.contains(&name)) {
        return format!("`{name}` is a key of {}", home.title);
    }
    format!("its keys are {}", listed(shape.keys))
}

/// `a`, `b` and `c`
pub(super) fn listed(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

//! Problems of a configuration: what is wrong, where, and what to do; and how
//! they are drawn for people. Whoever finds one tells the [`Findings`].

use std::{
    cell::{Cell, RefCell},
    fmt,
    ops::Range,
    path::{Path, PathBuf},
};

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use rollbackd_core::words::{ProjectName, TriggerId};
use serde::Serialize;

use super::queries::Queries;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The configuration is unusable.
    Error,
    /// It is usable, and probably not what was meant.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// One problem of a configuration file, with its place. Never contains a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: String,
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// The place as bytes of the file's text.
    #[serde(skip)]
    pub span: Range<usize>,
}

impl Problem {
    /// A problem at a place of a file's text.
    pub(super) fn at(
        file: &Path,
        text: &str,
        severity: Severity,
        span: Range<usize>,
        message: String,
        hint: String,
    ) -> Self {
        let span = within(&span, text);
        let (line, column) = place(text, span.start);
        Self { severity, message, hint, file: file.to_owned(), line, column, span }
    }
}

impl fmt::Display for Problem {
    /// One line: `FILE:LINE:COLUMN: MESSAGE; HINT`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { message, hint, file, line, column, .. } = self;
        write!(f, "{}:{line}:{column}: {message}; {hint}", file.display())
    }
}

/// Draws problems as rustc does: `FILE:LINE:COLUMN`, the text underlined, a
/// hint. `text` is that of [`Loaded`](super::Loaded) or
/// [`Rejected`](super::Rejected), in which secrets are masked.
#[must_use]
pub fn draw(problems: &[Problem], text: &str, color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let drawn = problems.iter().map(|problem| {
        let level = match problem.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let path = problem.file.to_string_lossy();
        let title = level.primary_title(problem.message.as_str());
        let group: Group<'_> = if text.is_empty() {
            let origin = Origin::path(path).line(problem.line).char_column(problem.column);
            title.element(origin)
        } else {
            let place = AnnotationKind::Primary.span(first_line(&problem.span, text));
            title.element(Snippet::source(text).path(path).annotation(place))
        };
        let hint = Level::HELP.message(problem.hint.as_str());
        renderer.render(&[group.element(hint)]) + "\n"
    });
    drawn.collect::<Vec<_>>().join("\n")
}

/// A place that goes over several lines is drawn by its first.
fn first_line(span: &Range<usize>, text: &str) -> Range<usize> {
    let span = within(span, text);
    let line = text[span.clone()].find('\n').map_or(span.end, |length| span.start + length);
    span.start..line
}

/// A range moved into the text and out of the middle of characters.
fn within(span: &Range<usize>, text: &str) -> Range<usize> {
    let start = text.floor_char_boundary(span.start);
    let end = text.ceil_char_boundary(span.end.min(text.len())).max(start);
    start..end
}

/// Everything found wrong with one file while it is read.
pub(super) struct Findings<'a> {
    file: PathBuf,
    text: &'a str,
    /// The text is no TOML: what seems to be absent may only be unreadable.
    broken: Cell<bool>,
    found: RefCell<Vec<Problem>>,
    secrets: RefCell<Vec<Range<usize>>>,
    unreadable: RefCell<Vec<Range<usize>>>,
    queries: RefCell<Queries>,
}

impl<'a> Findings<'a> {
    /// Nothing is found yet.
    pub(super) fn new(file: &Path, text: &'a str, broken: bool) -> Self {
        let (found, secrets, unreadable, queries) = Default::default();
        let (file, broken) = (file.to_owned(), Cell::new(broken));
        Self { file, text, broken, found, secrets, unreadable, queries }
    }

    /// The file's text.
    pub(super) const fn text(&self) -> &'a str {
        self.text
    }

    /// Does not the whole text reach the reader?
    pub(super) fn is_broken(&self) -> bool {
        self.broken.get()
    }

    /// Was nothing found that makes the configuration unusable?
    pub(super) fn is_usable(&self) -> bool {
        self.found.borrow().iter().all(|problem| problem.severity == Severity::Warning)
    }

    /// A whole table is not read because of its misspelt name.
    pub(super) fn overlook(&self) {
        self.broken.set(true);
    }

    /// Something makes the configuration unusable.
    pub(super) fn error(
        &self,
        span: Range<usize>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.push(Severity::Error, span, message.into(), hint.into());
    }

    /// Something is probably not what was meant.
    pub(super) fn warn(
        &self,
        span: Range<usize>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.push(Severity::Warning, span, message.into(), hint.into());
    }

    /// Something is not there. Said only where the whole text could be read.
    pub(super) fn absent(
        &self,
        span: Range<usize>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        if !self.is_broken() {
            self.error(span, message, hint);
        }
    }

    /// A place is no TOML: what else is found in its line, or in `through`, only
    /// follows from that.
    pub(super) fn no_toml(
        &self,
        span: Range<usize>,
        through: Range<usize>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.error(span, message, hint);
        let through = within(&through, self.text);
        let start = self.text[..through.start].rfind('\n').map_or(0, |newline| newline + 1);
        let end =
            self.text[through.end..].find('\n').map_or(self.text.len(), |at| through.end + at);
        self.unreadable.borrow_mut().push(start..end);
    }

    /// What lies here is secret, and is never shown.
    pub(super) fn secret(&self, span: Range<usize>) {
        self.secrets.borrow_mut().push(span);
    }

    /// A trigger's query is written here.
    pub(super) fn query(&self, project: &ProjectName, trigger: &TriggerId, span: Range<usize>) {
        self.queries.borrow_mut().add(project, trigger, span);
    }

    /// Where the queries are written.
    pub(super) fn queries(&self) -> Queries {
        self.queries.borrow().clone()
    }

    /// The line of a place, from 1.
    pub(super) fn line(&self, span: &Range<usize>) -> usize {
        place(self.text, within(span, self.text).start).0
    }

    /// Everything that was found, in the file's order, and where secrets are.
    pub(super) fn into_inner(self) -> (Vec<Problem>, Vec<Range<usize>>) {
        let mut found = self.found.into_inner();
        found.sort_by_key(|problem| (problem.span.start, problem.severity));
        found.dedup();
        (found, self.secrets.into_inner())
    }

    /// Everything that was found.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.into_inner().0
    }

    fn push(&self, severity: Severity, span: Range<usize>, message: String, hint: String) {
        let span = within(&span, self.text);
        if self
            .unreadable
            .borrow()
            .iter()
            .any(|range| (range.start..=range.end).contains(&span.start))
        {
            return;
        }
        let problem = Problem::at(&self.file, self.text, severity, span, message, hint);
        self.found.borrow_mut().push(problem);
    }
}

/// Line and column of a byte, both from 1, the column in characters.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

//! The data of an SVG path, written short: relative to the point before, from
//! places already rounded, so that rounding does not add up.

use std::fmt::Write as _;

use super::scale::N;

/// A path as it grows.
#[derive(Default)]
pub(super) struct Trace {
    d: String,
    /// Where it stands, in tenths.
    at: Option<(f64, f64)>,
    /// It was drawn to, not moved to: the next line needs no letter.
    drawn: bool,
}

impl Trace {
    /// Moves to a point.
    pub(super) fn to(&mut self, x: f64, y: f64) {
        self.go('m', x, y);
        self.drawn = false;
    }

    /// Draws to a point; moves there when it has not begun.
    pub(super) fn line(&mut self, x: f64, y: f64) {
        if self.at.is_none() {
            return self.to(x, y);
        }
        let letter = if self.drawn { ' ' } else { 'l' };
        self.go(letter, x, y);
        self.drawn = true;
    }

    /// Draws a dot.
    pub(super) fn dot(&mut self, x: f64, y: f64) {
        self.to(x, y);
        self.d.push_str("h0");
    }

    /// A shape at a point, which ends where it began.
    pub(super) fn shape(&mut self, x: f64, y: f64, shape: &str) {
        self.to(x, y);
        self.d.push_str(shape);
    }

    /// What was drawn.
    pub(super) fn into_d(self) -> String {
        self.d
    }

    fn go(&mut self, letter: char, x: f64, y: f64) {
        let (x, y) = ((x * 10.0).round(), (y * 10.0).round());
        let (letter, (from_x, from_y)) = self.at.map_or(('M', (0.0, 0.0)), |at| (letter, at));
        let (right, down) =
            (N((x - from_x) / 10.0).to_string(), N((y - from_y) / 10.0).to_string());
        // A minus parts two numbers as well as a space does.
        let needless = letter == ' ' && right.starts_with('-');
        let between = if down.starts_with('-') { "" } else { " " };
        let letter = if needless { String::new() } else { letter.to_string() };
        let _ = write!(self.d, "{letter}{right}{between}{down}");
        self.at = Some((x, y));
    }
}

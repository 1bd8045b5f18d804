//! Where words go, so that none lies on another: an estimate of how wide they
//! are, rows for the marks above, distance for the labels at the side.

/// The height of a row of text.
pub(super) const ROW: f64 = 15.0;

/// About how wide a text is; rather too wide than too narrow.
pub(super) fn width(text: &str) -> f64 {
    let of = |c: char| match c {
        'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' | ' ' => 3.5,
        'f' | 't' | 'r' | 'I' | '(' | ')' | '-' => 4.4,
        'm' | 'w' | 'M' | 'W' | '%' | '@' => 9.8,
        'A'..='Z' | '→' | '×' | '≥' | '−' => 7.8,
        _ => 6.4,
    };
    text.chars().map(of).sum()
}

/// A mark's label: where its line stands, and where its text begins.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Placed {
    /// The line.
    pub(super) x: f64,
    /// The text's left end.
    pub(super) text: f64,
    /// 0 is the lowest row, nearest to the curve.
    pub(super) row: usize,
}

/// Places labels in as few rows as it takes. Each stands to the right of its
/// line; one that would leave the picture is moved left.
///
/// From the last to the first: an earlier mark, whose line comes from above,
/// then crosses nothing in the rows below that begins after it.
pub(super) fn place(marks: &[(f64, &str)], right: f64) -> Vec<Placed> {
    let mut placed: Vec<(usize, Placed, f64)> = Vec::new();
    let mut order: Vec<usize> = (0..marks.len()).collect();
    order.sort_by(|a, b| marks[*b].0.total_cmp(&marks[*a].0).then(b.cmp(a)));
    for index in order {
        let (x, label) = marks[index];
        let wide = width(label);
        let text = (x + 4.0).min(right - wide);
        let over = |other: &(usize, Placed, f64)| {
            let (_, there, end) = other;
            let texts = text < end + 6.0 && there.text < text + wide + 6.0;
            // A line that comes from this row down through a lower text.
            let crosses = x > there.text - 2.0 && x < end + 2.0;
            texts || crosses
        };
        let row =
            placed.iter().filter(|other| over(other)).map(|(_, there, _)| there.row + 1).max();
        placed.push((index, Placed { x, text, row: row.unwrap_or(0) }, text + wide));
    }
    placed.sort_by_key(|(index, ..)| *index);
    placed.into_iter().map(|(_, placed, _)| placed).collect()
}

/// Moves labels apart that stand one below the other, as little as needed;
/// gives each its height in the order it was given.
pub(super) fn apart(wanted: &[f64], top: f64, bottom: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|a, b| wanted[*a].total_cmp(&wanted[*b]));
    let mut places = wanted.to_vec();
    let mut least = top;
    for &index in &order {
        places[index] = places[index].max(least);
        least = places[index] + ROW - 2.0;
    }
    let mut most = bottom;
    for &index in order.iter().rev() {
        places[index] = places[index].min(most);
        most = places[index] - ROW + 2.0;
    }
    places
}

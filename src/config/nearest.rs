//! The word somebody probably meant: the nearest by edit distance.

/// The nearest of the candidates, if any is near enough to have been meant:
/// a third of its letters may differ, and at least one.
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let scored = candidates.into_iter().map(|known| (distance(word, known), known));
    let (distance, known) = scored.min_by_key(|(distance, _)| *distance)?;
    let allowed = (known.chars().count().max(word.chars().count()) / 3).max(1);
    (distance <= allowed).then_some(known)
}

/// How many letters must be put in, taken out, changed or swapped with their
/// neighbour; case and the difference between `-` and `_` do not count.
pub(super) fn distance(left: &str, right: &str) -> usize {
    let letters = |text: &str| -> Vec<char> {
        text.to_lowercase().chars().map(|c| if c == '-' { '_' } else { c }).collect()
    };
    let (left, right) = (letters(left), letters(right));
    let mut rows: Vec<Vec<usize>> = vec![(0..=right.len()).collect()];
    for (i, a) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in right.iter().enumerate() {
            let change = rows[i][j] + usize::from(a != b);
            let mut least = change.min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == right[j - 1] && left[i - 1] == *b {
                least = least.min(rows[i - 1][j - 1] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::{distance, nearest};

    #[test]
    fn a_typing_mistake_finds_its_word() {
        let known = ["service", "signal", "source", "every", "for", "above"];
        assert_eq!(nearest("sevrice", known), Some("service"));
        assert_eq!(nearest("Signals", known), Some("signal"));
        assert_eq!(nearest("fro", known), Some("for"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(distance("max-gap", "max_gap"), 0);
        assert_eq!(distance("", "for"), 3);
    }
}

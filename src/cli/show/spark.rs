//! A row of bars: the last values of a signal, with its threshold always within
//! the picture, so that the height tells how near it is.

use crate::{api::json::Compare, cli::show::style};

const UTF8: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const ASCII: [char; 8] = ['_', '.', '-', '~', '=', '+', '*', '#'];

/// One character a value, right-aligned to `width`; `·` (or a space) where
/// there was none. Values that breach are coloured.
pub(super) fn line(
    recent: &[Option<f32>],
    compare: Compare,
    threshold: f64,
    width: usize,
    utf8: bool,
) -> String {
    let recent = &recent[recent.len().saturating_sub(width)..];
    let (low, high) = range(recent, compare, threshold);
    let (bars, gap) = if utf8 { (UTF8, '·') } else { (ASCII, ' ') };
    let mut line = " ".repeat(width - recent.len());
    for value in recent {
        match value {
            None => line.push(gap),
            Some(value) => {
                let bar = bars[level(f64::from(*value), low, high)].to_string();
                let breaches = breaches(f64::from(*value), compare, threshold);
                line += &if breaches { style::bad(&bar) } else { bar };
            }
        }
    }
    line
}

/// From zero to a little more than the threshold for what must stay low; from
/// a little below the lowest for what must stay high.
fn range(recent: &[Option<f32>], compare: Compare, threshold: f64) -> (f64, f64) {
    let values = || {
        recent
            .iter()
            .flatten()
            .map(|value| f64::from(*value))
            .filter(|v| v.abs() < f64::from(f32::MAX))
    };
    let most = values().fold(threshold, f64::max);
    let least = values().fold(threshold, f64::min);
    match compare {
        Compare::Above | Compare::AtLeast => (least.min(0.0), most),
        Compare::Below => (least - (most - least).max(threshold.abs() * 0.01), most),
    }
}

fn level(value: f64, low: f64, high: f64) -> usize {
    let share = if high > low { ((value - low) / (high - low)).clamp(0.0, 1.0) } else { 0.0 };
    // From 0 to 7: small enough for any integer.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let level = (share * 7.0).round() as usize;
    level
}

fn breaches(value: f64, compare: Compare, threshold: f64) -> bool {
    // A single-precision value next to a double threshold: a hair is no breach.
    let hair = threshold.abs() * 1e-6;
    match compare {
        Compare::Above => value > threshold + hair,
        Compare::Below => value < threshold - hair,
        Compare::AtLeast => value >= threshold - hair,
    }
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;
    use proptest::prelude::*;

    use super::*;

    fn plain(
        recent: &[Option<f32>],
        compare: Compare,
        threshold: f64,
        width: usize,
        utf8: bool,
    ) -> String {
        strip_str(&line(recent, compare, threshold, width, utf8)).to_string()
    }

    #[test]
    fn height_tells_how_near_the_threshold_is() {
        let recent = [Some(0.0), Some(0.01), None, Some(0.025), Some(0.05), Some(0.1)];
        assert_eq!(plain(&recent, Compare::Above, 0.05, 8, true), "  ▁▂·▃▅█");
        assert_eq!(plain(&recent, Compare::Above, 0.05, 8, false), "  _. -=#");
        assert_eq!(plain(&[Some(0.0); 3], Compare::Above, 0.05, 3, true), "▁▁▁");
        let availability = [Some(1.0), Some(1.0), Some(0.97)];
        assert_eq!(plain(&availability, Compare::Below, 0.99, 3, true), "██▅");
    }

    #[test]
    fn only_values_that_breach_are_coloured() {
        let drawn = line(&[Some(0.05), Some(0.06)], Compare::Above, 0.05, 2, true);
        assert_eq!(drawn.matches("\x1b[31m").count(), 1, "{drawn:?}");
    }

    proptest! {
        #[test]
        fn any_values_give_exactly_the_width(
            recent in prop::collection::vec(prop::option::of(any::<f32>()), 0..40),
            threshold in any::<f64>(),
            width in 0usize..30,
        ) {
            for compare in [Compare::Above, Compare::Below, Compare::AtLeast] {
                let drawn = plain(&recent, compare, threshold, width, true);
                prop_assert_eq!(drawn.chars().count(), width);
            }
        }
    }
}

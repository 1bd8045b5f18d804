use std::time::Duration;

use proptest::prelude::*;
use rollbackd_core::{moment::Moment, reading::Missing};

use super::*;

fn at(second: u64) -> Moment {
    Moment::ZERO + Duration::from_secs(1_000 + second)
}

fn plot() -> Plot {
    let dot = |second: u64, value: f64| Dot {
        at: at(second),
        reading: Reading::of(value),
        counts: true,
        joined: true,
    };
    let missing = |second, missing| Dot { reading: Reading::Missing(missing), ..dot(second, 0.0) };
    Plot {
        title: "errors & <more>".into(),
        zero: at(0),
        from: at(0),
        to: at(120),
        panels: vec![Panel {
            label: "error_rate".into(),
            curve: Some(Curve {
                unit: Unit::Share,
                condition: Condition::Above(0.05),
                samples: vec![
                    dot(0, 0.01),
                    dot(30, 0.125),
                    missing(60, Missing::Failed("refused".into())),
                    missing(90, Missing::Empty("nothing".into())),
                    dot(120, f64::INFINITY),
                ],
                lines: vec![Line { value: 0.05, label: "above 5%".into(), tone: Tone::Breached }],
            }),
            strips: vec![Strip {
                label: "state".into(),
                spans: vec![Span { from: at(0), to: at(120), tone: Tone::Ok, word: "ok".into() }],
            }],
        }],
        marks: vec![Mark { at: at(30), label: "fires".into(), tone: Tone::Breached }],
    }
}

#[test]
fn a_plot_says_in_words_what_is_seen_and_escapes_them() {
    let svg = plot().svg();
    assert!(svg.contains("<title>errors &amp; &lt;more&gt;</title>"), "{svg}");
    for word in [">error_rate<", ">above 5%<", ">state<", ">ok<", ">fires<", ">30s<", ">1m 30s<"] {
        assert!(svg.contains(word), "{word} is not in {svg}");
    }
}

#[test]
fn a_sample_that_was_not_answered_breaks_the_curve() {
    let svg = plot().svg();
    let line = svg.lines().find(|line| line.contains("class=\"c\"")).unwrap();
    let drawn = line.split_once(" d=\"").unwrap().1.to_lowercase();
    assert_eq!(drawn.matches('m').count(), 2, "{line}");
    assert_eq!(drawn.matches('l').count(), 1, "{line}");
    assert!(!svg.contains("inf") && !svg.contains("NaN"), "{svg}");
}

#[test]
fn a_plot_of_nothing_is_a_picture_too() {
    let empty = Plot { panels: Vec::new(), marks: Vec::new(), to: at(0), ..plot() };
    let svg = empty.svg();
    assert!(svg.ends_with("</svg>\n") && !svg.contains("NaN"), "{svg}");
}

proptest! {
    #[test]
    fn labels_of_marks_do_not_lie_on_one_another(
        marks in prop::collection::vec((60.0..700.0_f64, "[a-z ]{1,24}"), 0..7),
    ) {
        let wanted: Vec<(f64, &str)> = marks.iter().map(|(x, l)| (*x, l.as_str())).collect();
        let placed = labels::place(&wanted, 748.0);
        let ends = |index: usize| placed[index].text + labels::width(wanted[index].1);
        for a in 0..placed.len() {
            prop_assert!(ends(a) <= 748.0 + 1e-9);
            for b in 0..a {
                let apart = placed[a].row != placed[b].row
                    || ends(a) <= placed[b].text
                    || ends(b) <= placed[a].text;
                prop_assert!(apart, "{placed:?}");
            }
        }
    }

    #[test]
    fn labels_at_the_side_keep_their_distance(wanted in prop::collection::vec(10.0..90.0_f64, 1..5)) {
        let mut places = labels::apart(&wanted, 10.0, 110.0);
        places.sort_by(f64::total_cmp);
        for pair in places.windows(2) {
            prop_assert!(pair[1] - pair[0] >= labels::ROW - 2.0 - 1e-9, "{places:?}");
        }
    }
}

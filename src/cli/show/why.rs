//! `why`: a sentence first, then what each trigger sees, then every guard: what
//! stands in the way before what does not, and what is the same for all triggers
//! once.

use rollbackd_core::{
    guard::Guard,
    view::TriggerState,
    words::{ProjectName, ServiceName},
};

use crate::{
    api::json::why::{Why, WhyTrigger},
    cli::{
        out::Reader,
        show::{
            style,
            words::{clock, pad, short_name, when, wrap},
        },
    },
};

/// The whole text.
pub(in crate::cli) fn why(why: &Why, reader: &Reader) -> String {
    let mut text = head(why, reader);
    for line in wrap(&why.says, reader.width) {
        text += &format!("{}\n", style::strong(&line));
    }
    if why.triggers.is_empty() {
        return text;
    }
    text += "\nTRIGGERS\n";
    text += &triggers(why, reader);
    let rows = rows(why);
    text += if why.triggers.iter().any(|seen| seen.trigger.state == TriggerState::Breached) {
        "\nGUARDS\n"
    } else {
        "\nGUARDS, as a breach would meet them\n"
    };
    text + &guards(&rows, reader)
}

/// `shop/backend at 10:43:12, r2 baking`
fn head(why: &Why, reader: &Reader) -> String {
    let at = if why.recorded { when(why.at, reader) } else { clock(why.at, reader) };
    let mut text = format!("{} at {at}", place(&why.project, &why.service));
    if let Some(revision) = why.revision {
        text += &format!(", r{revision}");
    }
    if let Some(standing) = why.standing {
        text += &format!(" {}", style::standing(standing));
    }
    text += "\n";
    if why.other_configuration {
        let note = "by the configuration of then, which is not that of now";
        text += &format!("{}\n", style::warn(note));
    }
    text
}

fn place(project: &ProjectName, service: &ServiceName) -> String {
    style::strong(&format!("{project}/{service}"))
}

fn triggers(why: &Why, reader: &Reader) -> String {
    /// As wide as the longest state, `breached`.
    const STATE: usize = 8;
    let name = |seen: &WhyTrigger| short_name(&seen.trigger.name, &why.service).to_owned();
    let wide = why.triggers.iter().map(|seen| name(seen).chars().count()).max().unwrap_or(0);
    let row = |seen: &WhyTrigger| {
        let state = seen.trigger.state;
        let head = format!(
            "  {}  {}  ",
            pad(&name(seen), wide),
            style::state(state, &pad(state.as_str(), STATE))
        );
        // The state has a column of its own.
        let says = ["blind: ", "in grace: "].iter().find_map(|word| seen.says.strip_prefix(word));
        hang(&head, 2 + wide + 2 + STATE + 2, says.unwrap_or(&seen.says), reader)
    };
    why.triggers.iter().map(row).collect()
}

/// One thing that was found: by a guard, for some of the triggers.
struct Row<'a> {
    guard: Guard,
    passed: bool,
    says: &'a str,
    /// Those of the triggers that it is about; empty: all.
    about: Vec<String>,
    /// It decides for one of them: the first that does not pass.
    decides: bool,
    /// How much it matters: what breaches first.
    rank: (bool, usize, usize),
}

fn rows(why: &Why) -> Vec<Row<'_>> {
    let mut rows: Vec<Row<'_>> = Vec::new();
    for (number, seen) in why.triggers.iter().enumerate() {
        let name = short_name(&seen.trigger.name, &why.service);
        let calm = seen.trigger.state != TriggerState::Breached;
        let decides = seen.guards.iter().position(|guard| !guard.passed);
        for (place, guard) in seen.guards.iter().enumerate() {
            let same = rows.iter_mut().find(|row| {
                (row.guard, row.passed, row.says) == (guard.name, guard.passed, &guard.says)
            });
            let (decides, rank) = (decides == Some(place), (calm, number, place));
            match same {
                Some(row) => {
                    row.about.push(name.to_owned());
                    row.decides |= decides;
                    row.rank = row.rank.min(rank);
                }
                None => rows.push(Row {
                    guard: guard.name,
                    passed: guard.passed,
                    says: &guard.says,
                    about: vec![name.to_owned()],
                    decides,
                    rank,
                }),
            }
        }
    }
    for row in &mut rows {
        if row.about.len() == why.triggers.len() {
            row.about.clear();
        }
    }
    let asked = |guard| Guard::ALL.iter().position(|known| *known == guard);
    rows.sort_by_key(|row| match row.passed {
        false => (false, row.rank, None),
        true => (true, (false, 0, 0), asked(row.guard)),
    });
    rows
}

fn guards(rows: &[Row<'_>], reader: &Reader) -> String {
    let asks = rows.iter().map(|row| row.guard.asks().chars().count()).max().unwrap_or(0);
    let row = |row: &Row<'_>| {
        let mark = match (row.passed, reader.utf8) {
            (true, true) => "✓",
            (false, true) => "✗",
            (true, false) => "ok",
            (false, false) => "no",
        };
        let head = format!("  {mark}  {}  ", pad(row.guard.asks(), asks));
        let says = match &row.about[..] {
            [] => row.says.to_owned(),
            about => format!("{}: {}", about.join(", "), row.says),
        };
        let colored = |line: &str| match (row.passed, row.decides) {
            (true, _) => style::quiet(line),
            (false, true) => style::strong(line),
            (false, false) => line.to_owned(),
        };
        let lines = hang(&head, head.chars().count(), &says, reader);
        lines.lines().map(|line| colored(line) + "\n").collect::<String>()
    };
    rows.iter().map(row).collect()
}

/// Text after a head that is so wide, its further lines below its first.
fn hang(head: &str, wide: usize, text: &str, reader: &Reader) -> String {
    let lines = wrap(text, reader.width.saturating_sub(wide).max(20));
    format!("{head}{}\n", lines.join(&format!("\n{}", " ".repeat(wide))))
}

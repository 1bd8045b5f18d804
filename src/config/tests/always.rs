//! What must hold for every text whatsoever.

use proptest::prelude::*;

use super::{REFERENCE, drawn, problems, read};
use crate::config::Severity;

/// Places and masks hold; drawing does not fail.
fn holds(text: &str) -> Result<(), TestCaseError> {
    let (problems, shown) = match read(text) {
        Ok(loaded) => {
            prop_assert!(
                loaded.warnings.iter().all(|problem| problem.severity == Severity::Warning)
            );
            (loaded.warnings, loaded.text)
        }
        Err(rejected) => {
            prop_assert!(
                rejected.problems.iter().any(|problem| problem.severity == Severity::Error)
            );
            (rejected.problems, rejected.text)
        }
    };
    prop_assert_eq!(shown.len(), text.len());
    for problem in &problems {
        prop_assert!(text.get(problem.span.clone()).is_some(), "{:?} in {:?}", problem, text);
        let before = &text[..problem.span.start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        prop_assert_eq!(problem.line, before.matches('\n').count() + 1);
        prop_assert_eq!(problem.column, before[line_start..].chars().count() + 1);
        prop_assert!(!problem.message.is_empty() && !problem.hint.is_empty());
    }
    let picture = drawn(&problems, &shown);
    prop_assert_eq!(picture.is_empty(), problems.is_empty());
    Ok(())
}

/// A place in the reference, between two characters.
fn place() -> impl Strategy<Value = usize> {
    (0..REFERENCE.len()).prop_map(|at| REFERENCE.floor_char_boundary(at))
}

/// The reference with every commented line live, so that all keys are read.
fn everything_live() -> String {
    REFERENCE
        .lines()
        .map(|line| line.strip_prefix("# ").unwrap_or(line).to_owned() + "\n")
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_without_a_panic(text in any::<String>()) {
        holds(&text)?;
    }

    #[test]
    fn anything_that_looks_like_toml_is_read_without_a_panic(
        text in r#"([a-z_.\[\]"'{}=,# 0-9%-]{0,12}\n?(project|source|trigger|for|above|query|password)?){0,30}"#,
    ) {
        holds(&text)?;
    }

    #[test]
    fn a_reference_with_a_piece_torn_out_is_read_without_a_panic(from in place(), to in place()) {
        let (from, to) = (from.min(to), from.max(to));
        holds(&format!("{}{}", &REFERENCE[..from], &REFERENCE[to..]))?;
    }

    #[test]
    fn a_reference_with_something_put_in_is_read_without_a_panic(
        at in place(),
        piece in prop_oneof![any::<String>(), r#"[\[\]{}"'=,#\n -]{1,3}"#.prop_map(|s| s)],
    ) {
        holds(&format!("{}{piece}{}", &REFERENCE[..at], &REFERENCE[at..]))?;
    }

    #[test]
    fn any_value_of_any_key_is_read_without_a_panic(
        line in 0_usize..400,
        value in r#"("[ -~]{0,12}"|-?[0-9]{1,25}|[0-9.eE+-]{1,9}|true|\[\]|\[[0-9"a, ]{0,9}\]|\{ *\}|inf|nan|1979-05-27)"#,
    ) {
        let live = everything_live();
        let mut lines: Vec<String> = live.lines().map(str::to_owned).collect();
        let at = line % lines.len();
        if let Some((key, _)) = lines[at].clone().split_once('=') {
            lines[at] = format!("{key}= {value}");
        }
        holds(&lines.join("\n"))?;
    }

    #[test]
    fn a_password_is_never_shown(
        key in "(smtp_|db\\.)?(password|token|secret|bearer_token)",
        secret in "[a-zA-Z0-9]{8,20}",
        quote in "[\"']",
        broken in any::<bool>(),
    ) {
        let end = if broken { String::new() } else { quote.clone() };
        let text = format!("{REFERENCE}\n[email]\n{key} = {quote}hunter{secret}{end}\nserver = \"smtp://u:hunter{secret}@h\"\n");
        let shown = match read(&text) {
            Ok(loaded) => format!("{loaded:?}"),
            Err(rejected) => format!("{rejected:?} {rejected} {}", drawn(&rejected.problems, &rejected.text)),
        };
        prop_assert!(!shown.contains("hunter"), "{}", shown);
    }

    #[test]
    fn each_of_several_independent_mistakes_is_reported_once(picked in proptest::sample::subsequence(MISTAKES.to_vec(), 0..MISTAKES.len())) {
        let mut text = REFERENCE.to_owned();
        for (right, wrong) in &picked {
            prop_assert!(text.contains(right), "the reference lacks {}", right);
            text = text.replacen(right, wrong, 1);
        }
        let found = problems(&text);
        prop_assert_eq!(found.len(), picked.len(), "{:#?}", found);
    }
}

/// Pieces of the reference, and each with one mistake.
const MISTAKES: [(&str, &str); 24] = [
    ("# state_dir =", "stat_dir ="),
    ("# mode = \"act\"\n\n# ---", "mode = \"watch\"\n\n# ---"),
    ("# listen = \"127.0.0.1:9180\"", "listen = \"localhost\""),
    ("# host = \"unix:///var/run/docker.sock\"", "host = \"/var/run/docker.sock\""),
    ("server = \"smtp://127.0.0.1:25\"", "server = \"127.0.0.1:25\""),
    ("from = \"rollbackd@example.com\"", "from = \"rollbackd\""),
    ("to   = [\"ops@example.com\"]", "to   = []"),
    ("url  = \"http://127.0.0.1:9090\"", "url  = \"127.0.0.1:9090\""),
    ("# timeout = \"10s\"", "timeout = 10"),
    ("port    = 3000", "port    = 300000"),
    ("# error_status = \"5..\"", "error_status = \"5\\\\d+\""),
    ("# expect = [200]", "expect = [20]"),
    ("# engine = \"compose\"", "engine = \"swarm\""),
    ("# bake = \"30m\"", "bake = \"30\""),
    ("# scope = \"deployment\"", "scope = \"all\""),
    ("# keep = 3", "keep = 0"),
    ("# keep_max = \"10GiB\"", "keep_max = \"10 gigs\""),
    ("# restore_files =", "restore_files ="),
    ("name    = \"errors\"", "nmae    = \"errors\""),
    ("above   = \"2s\"", "above   = 2"),
    ("below   = \"99%\"", "below   = \"990%\""),
    ("failures = 3", "failures = \"3\""),
    ("above   = \"10%\"\nfor     = \"1m\"", "above   = \"10%\"\nfor     = \"20s\""),
    ("signal  = \"cpu\"", "signal  = \"cpus\""),
];

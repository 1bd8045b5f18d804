//! What is kept of a command's output: its beginning and its end, without what
//! is secret.

use std::collections::VecDeque;

/// How many bytes of the beginning are kept, and how many of the end.
const HALF: usize = 128 * 1024;
/// Shorter texts are not masked: they are in every other word.
const SHORTEST: usize = 4;

/// The beginning and the end of what was printed.
#[derive(Debug, Default)]
pub(super) struct Kept {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    /// How many bytes between them are gone.
    lost: u64,
}

impl Kept {
    /// Takes what was printed next.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let room = HALF - self.head.len().min(HALF);
        let (first, rest) = bytes.split_at(room.min(bytes.len()));
        self.head.extend(first);
        self.tail.extend(rest);
        let over = self.tail.len().saturating_sub(HALF);
        self.tail.drain(..over);
        self.lost += over as u64;
    }

    /// As text, with every one of these replaced.
    pub(super) fn text(&self, secrets: &[String]) -> String {
        let mut secrets: Vec<&str> =
            secrets.iter().map(String::as_str).filter(|text| text.len() >= SHORTEST).collect();
        // One that contains another goes first.
        secrets.sort_by_key(|text| std::cmp::Reverse(text.len()));
        let mut whole = self.head.clone();
        if self.lost == 0 {
            whole.extend(&self.tail);
            return masked(&whole, &secrets);
        }
        // Half a secret at a cut would not be recognised.
        let longest = secrets.first().map_or(0, |text| text.len());
        whole.truncate(whole.len().saturating_sub(longest));
        let tail: Vec<u8> = self.tail.iter().skip(longest).copied().collect();
        let lost = self.lost + 2 * longest as u64;
        format!(
            "{}\n[{lost} bytes left out]\n{}",
            masked(&whole, &secrets),
            masked(&tail, &secrets)
        )
    }
}

fn masked(bytes: &[u8], secrets: &[&str]) -> String {
    let text = String::from_utf8_lossy(bytes).into_owned();
    secrets.iter().fold(text, |text, secret| text.replace(secret, "***"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_and_the_end_of_a_flood_are_kept() {
        let mut kept = Kept::default();
        kept.push(b"first\n");
        for _ in 0..1000 {
            kept.push(&[b'x'; 1000]);
        }
        kept.push(b"\nlast");
        let text = kept.text(&[]);
        assert!(text.starts_with("first\nxxx") && text.ends_with("xxx\nlast"), "{}", text.len());
        assert!(text.contains("bytes left out"));
        assert!(text.len() < 2 * HALF + 100);
    }

    #[test]
    fn no_part_of_a_secret_is_left_at_a_cut_or_elsewhere() {
        let secret = "hunter2-hunter2".to_owned();
        for shift in 0..16 {
            let mut kept = Kept::default();
            kept.push(&vec![b' '; shift]);
            for _ in 0..40_000 {
                kept.push(secret.as_bytes());
            }
            let text = kept.text(&["hunter2".to_owned(), secret.clone(), "or".to_owned()]);
            // What is left of one that a cut has gone through is dropped with it.
            assert!(!text.contains("hunter2-"), "shift {shift}");
            assert!(!text.contains("hunter2"), "shift {shift}");
        }
    }
}

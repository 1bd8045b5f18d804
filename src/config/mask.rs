//! Hides secrets that somebody wrote into the file all the same, so that no
//! drawing of a problem shows them. What is hidden keeps its length: every
//! place in the text stays where it was.

use std::ops::Range;

/// Words at the end of a key whose value is a secret.
const SECRET: [&str; 8] =
    ["password", "passwd", "passphrase", "token", "secret", "api_key", "apikey", "credential"];

/// The text with what lies in `known`, and everything else that looks like a
/// secret, replaced by as many asterisks.
pub(super) fn mask(text: &str, known: &[Range<usize>]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for range in known.iter().cloned().chain(values(text)).chain(logins(text)) {
        let end = range.end.min(bytes.len());
        let start = range.start.min(end);
        for byte in bytes[start..end].iter_mut().filter(|byte| **byte != b'\n') {
            *byte = b'*';
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| "*".repeat(text.len()))
}

/// Does a key of this name hold a secret?
pub(super) fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    SECRET.iter().any(|word| key.ends_with(word))
}

/// Values of keys that end with a secret's word: `password = "..."`. Found in
/// the text itself, because a file that is no TOML is drawn as well.
fn values(text: &str) -> Vec<Range<usize>> {
    let lower = text.to_ascii_lowercase();
    let found = SECRET.iter().flat_map(|word| {
        lower.match_indices(word).filter_map(|(at, _)| value_after(text, at + word.len()))
    });
    found.collect()
}

/// The value that is assigned right after a key's end.
fn value_after(text: &str, key_end: usize) -> Option<Range<usize>> {
    let rest = text.get(key_end..)?;
    let rest = rest.strip_prefix(['"', '\'']).unwrap_or(rest).trim_start_matches([' ', '\t']);
    let value = rest.strip_prefix('=')?.trim_start_matches([' ', '\t']);
    let start = text.len() - value.len();
    let long = ["\"\"\"", "'''"].into_iter().find(|quote| value.starts_with(quote));
    let length = match (long, value.chars().next()) {
        (Some(quote), _) => value[3..].find(quote).map_or(value.len(), |at| at + 6),
        (None, Some(quote @ ('"' | '\''))) => {
            let line = value.find('\n').unwrap_or(value.len());
            value[1..line].rfind(quote).map_or(line, |at| at + 2)
        }
        _ => value.find('\n').unwrap_or(value.len()),
    };
    Some(start..start + length)
}

/// Passwords in addresses: what lies between `://USER:` and `@`.
fn logins(text: &str) -> Vec<Range<usize>> {
    let found = text.match_indices("://").filter_map(|(at, _)| {
        let start = at + 3;
        let rest = &text[start..];
        let rest = &rest
            [..rest.find(|c: char| c.is_whitespace() || "\"'".contains(c)).unwrap_or(rest.len())];
        let at = rest.rfind('@')?;
        let colon = rest[..at].find(':')?;
        Some(start + colon + 1..start + at)
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::mask;

    #[test]
    fn a_password_in_the_file_is_never_shown() {
        let shown = |text: &str| {
            let masked = mask(text, &[]);
            assert_eq!(masked.len(), text.len());
            assert!(!masked.contains("hunter"), "{masked}");
            masked
        };
        shown("password = \"hunter2\"\n");
        shown("email.password='hunter2'");
        shown("smtp_password =  \"hunter2");
        shown("\"password\" = hunter2\n");
        shown("x = { user = \"a\", bearer_token = \"hunter2\" }");
        shown("token = \"\"\"\nhunter2\nhunter3\n\"\"\"\n");
        shown("server = \"smtp://ops:hunter2@mail.example.com:25\"");
        shown("server = \"smtp://ops@example.com:hunter@2@mail.example.com\"");
        shown("password = \"hünter hunter2\"");
    }

    #[test]
    fn what_is_no_secret_stays() {
        for text in [
            "password_file = \"/etc/x\"\n",
            "url = \"http://127.0.0.1:9090\"\nfrom = \"a@example.com\"",
            "server = \"smtp://ops@mail.example.com:25\"",
            "query = '''sum(rate(token_total[5m]))'''",
        ] {
            assert_eq!(mask(text, &[]), text);
        }
    }
}

//! A mail as a person reads it: its subject and its plain text, with the
//! encodings undone that mail travels in.

/// A mail that has arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// Its subject.
    pub(crate) subject: String,
    /// Its plain text.
    pub(crate) text: String,
}

impl Message {
    /// Reads a whole mail. What it does not understand it leaves as it is.
    pub(crate) fn parse(mail: &[u8]) -> Self {
        let mail = String::from_utf8_lossy(mail).replace("\r\n", "\n");
        let (headers, _) = split(&mail);
        let subject = words(&header(headers, "subject").unwrap_or_default());
        Self { subject, text: plain(&mail).unwrap_or_default().trim_end().to_owned() }
    }
}

/// A part's headers and body.
fn split(part: &str) -> (&str, &str) {
    part.split_once("\n\n").unwrap_or((part, ""))
}

/// A header's value, unfolded.
fn header(headers: &str, name: &str) -> Option<String> {
    let unfolded = headers.replace("\n ", " ").replace("\n\t", " ");
    unfolded.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}

/// The first plain text of a part or of the parts within it.
fn plain(part: &str) -> Option<String> {
    let (headers, body) = split(part);
    let kind = header(headers, "content-type").unwrap_or_else(|| "text/plain".to_owned());
    if kind.starts_with("multipart/") {
        let boundary = kind.split("boundary=").nth(1)?.split(';').next()?.trim().trim_matches('"');
        let delimiter = format!("--{boundary}");
        return body.split(&delimiter).skip(1).find_map(|part| plain(part.trim_start()));
    }
    if !kind.starts_with("text/plain") {
        return None;
    }
    let encoding = header(headers, "content-transfer-encoding").unwrap_or_default();
    let bytes = match encoding.to_ascii_lowercase().as_str() {
        "quoted-printable" => quoted(body.as_bytes(), false),
        "base64" => base64(body.as_bytes()),
        _ => body.as_bytes().to_vec(),
    };
    Some(String::from_utf8_lossy(&bytes).replace("\r\n", "\n"))
}

/// A header with its encoded words (`=?utf-8?b?...?=`) decoded.
fn words(value: &str) -> String {
    let (mut read, mut rest, mut after_word) = (String::new(), value, false);
    while let Some(at) = rest.find("=?") {
        let pieces: Vec<&str> = rest[at + 2..].splitn(4, '?').collect();
        let [_, encoding, text, after] = pieces[..] else { break };
        let Some(after) = after.strip_prefix('=') else { break };
        // White space between two encoded words only separates them.
        if !(after_word && rest[..at].trim().is_empty()) {
            read.push_str(&rest[..at]);
        }
        let bytes = match encoding {
            "b" | "B" => base64(text.as_bytes()),
            _ => quoted(text.as_bytes(), true),
        };
        read.push_str(&String::from_utf8_lossy(&bytes));
        (rest, after_word) = (after, true);
    }
    read + rest
}

/// Quoted-printable; in headers an underscore is a space.
fn quoted(text: &[u8], in_header: bool) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match (byte, after) {
            (b'=', [b'\n', after @ ..]) => rest = after,
            (b'=', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    bytes.push(high << 4 | low);
                    rest = after;
                }
                _ => bytes.push(b'='),
            },
            (b'_', _) if in_header => bytes.push(b' '),
            _ => bytes.push(*byte),
        }
    }
    bytes
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

fn base64(text: &[u8]) -> Vec<u8> {
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for byte in text {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => continue,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).expect("eight bits are a byte"));
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folded_encoded_subject_and_the_plain_part_are_read() {
        let mail = b"Subject: shop/web: =?utf-8?b?cm9sbGVkIGJhY2sg4oaS?=\r\n =?utf-8?q?_recovered_=E2=9C=93?=\r\n\
            Content-Type: multipart/alternative; boundary=\"xyz\"\r\n\r\n\
            --xyz\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
            12=2E5=25 of a line that is =\r\nsoft-broken\r\n\r\n--xyz\r\nContent-Type: text/html\r\n\r\n<p>no</p>\r\n--xyz--\r\n";
        let message = Message::parse(mail);
        assert_eq!(message.subject, "shop/web: rolled back → recovered ✓");
        assert_eq!(message.text, "12.5% of a line that is soft-broken");
    }

    #[test]
    fn a_mail_without_parts_is_its_own_text() {
        let message = Message::parse(
            b"Subject: plain\r\nContent-Transfer-Encoding: base64\r\n\r\nd2hhdCBoYXBw\r\nZW5lZA==\r\n",
        );
        assert_eq!(message, Message { subject: "plain".into(), text: "what happened".into() });
    }
}

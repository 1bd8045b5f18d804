//! As much of HTTP/1.1 as the shop speaks: requests read whole, answers with a
//! length, connections kept. Limits on everything that comes from outside.

use std::io::{self, BufRead, Read, Write};

/// The longest head of a request that is read.
const HEAD_LIMIT: u64 = 16 * 1024;
/// The longest body that is read (and thrown away).
const BODY_LIMIT: u64 = 1024 * 1024;

/// A request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// `GET`
    pub(crate) method: String,
    /// The path, without a query.
    pub(crate) path: String,
    /// Another request may follow on the connection.
    pub(crate) keep: bool,
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The status code.
    pub(crate) status: u16,
    /// The media type of the body.
    pub(crate) kind: &'static str,
    /// The body.
    pub(crate) body: String,
}

/// Reads one request; `None` when the client is done.
pub(crate) fn read(from: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut head = from.by_ref().take(HEAD_LIMIT);
    let mut line = String::new();
    if head.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_ascii_whitespace();
    let (Some(method), Some(target), Some(version)) = (words.next(), words.next(), words.next())
    else {
        return Err(malformed("the request line is not `METHOD TARGET VERSION`"));
    };
    let path = target.split('?').next().unwrap_or(target);
    let mut request =
        Request { method: method.to_owned(), path: path.to_owned(), keep: version == "HTTP/1.1" };
    let mut length = 0;
    loop {
        let mut line = String::new();
        if head.read_line(&mut line)? == 0 {
            return Err(malformed("the head is cut off or too long"));
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        if name.eq_ignore_ascii_case("connection") {
            request.keep = !value.trim().eq_ignore_ascii_case("close");
        } else if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().map_err(|_| malformed("the length is no number"))?;
        }
    }
    if length > BODY_LIMIT {
        return Err(malformed("the body is too long"));
    }
    io::copy(&mut from.by_ref().take(length), &mut io::sink())?;
    Ok(Some(request))
}

fn malformed(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

impl Answer {
    /// Writes it in one piece.
    pub(crate) fn write(&self, to: &mut impl Write, keep: bool) -> io::Result<()> {
        let Self { status, kind, body } = self;
        let reason = match status {
            200 => "OK",
            404 => "Not Found",
            503 => "Service Unavailable",
            _ => "Internal Server Error",
        };
        let connection = if keep { "keep-alive" } else { "close" };
        let length = body.len();
        to.write_all(
            format!(
                "HTTP/1.1 {status} {reason}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\
                 Connection: {connection}\r\n\r\n{body}"
            )
            .as_bytes(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_requests_on_one_connection_are_read_one_after_the_other() {
        let mut bytes = &b"POST /buy?item=3 HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc\
                           GET / HTTP/1.1\r\nConnection: close\r\n\r\n"[..];
        let first = read(&mut bytes).unwrap().unwrap();
        assert_eq!(
            (first.method.as_str(), first.path.as_str(), first.keep),
            ("POST", "/buy", true)
        );
        let second = read(&mut bytes).unwrap().unwrap();
        assert_eq!((second.path.as_str(), second.keep), ("/", false));
        assert_eq!(read(&mut bytes).unwrap(), None);
    }

    #[test]
    fn nonsense_and_endless_heads_are_errors() {
        let endless = format!("GET / HTTP/1.1\r\nx: {}", "y".repeat(40_000));
        for text in ["hello\r\n\r\n", "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", &endless] {
            assert!(read(&mut text.as_bytes()).is_err(), "{text:.40}");
        }
    }
}

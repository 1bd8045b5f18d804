//! Values that name a place: paths, URLs, sockets and mailboxes. A URL is never
//! repeated in a message: it is where people put passwords.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use url::Url;

use super::values::{Value, Wrong, text};

/// A path; a relative one is relative to `dir`.
pub(super) fn path<'d>(
    example: &'static str,
    dir: &'d Path,
) -> impl Fn(&Value<'_>) -> Result<PathBuf, Wrong> + 'd {
    move |value| text(example)(value).map(|path| dir.join(path))
}

/// An address that HTTP can be spoken with. Its login is no part of it.
pub(super) fn url(example: &'static str) -> impl Fn(&Value<'_>) -> Result<Url, Wrong> {
    move |value| {
        let key = value.key;
        let hint = format!("write `{key} = \"{example}\"`");
        let text = value.str().ok_or_else(|| value.takes("a URL", hint.clone()))?;
        // What it says is not repeated: it may contain a secret.
        let none = |why: &str| Wrong::new(format!("`{key}` is no usable URL: {why}"), hint.clone());
        let url = Url::parse(text.trim()).map_err(|error| match error {
            url::ParseError::RelativeUrlWithoutBase => {
                none("it does not begin with http:// or https://")
            }
            other => none(&other.to_string()),
        })?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(none("it does not begin with http:// or https://"));
        }
        if url.password().is_some() || !url.username().is_empty() {
            return Err(Wrong {
                message: format!("`{key}` contains a login, and secrets are never in this file"),
                hint: "take it out of the URL and write `user = \"NAME\"` and `password_file = \"FILE\"`".into(),
                secret: true,
                part: None,
            });
        }
        Ok(url)
    }
}

/// An IP address and a port.
pub(super) fn socket_address(value: &Value<'_>) -> Result<SocketAddr, Wrong> {
    let hint = format!("write an IP address and a port: `{} = \"127.0.0.1:9180\"`", value.key);
    let text = value.str().ok_or_else(|| value.takes("an address with a port", hint.clone()))?;
    text.trim().parse().map_err(|_| value.takes("an IP address with a port", hint))
}

/// A mailbox: `ops@example.com`, or with a name before it.
pub(super) fn mailbox(value: &Value<'_>) -> Result<String, Wrong> {
    let hint =
        format!("write `{} = \"ops@example.com\"` or `\"Ops <ops@example.com>\"`", value.key);
    let text = value.str().ok_or_else(|| value.takes("a mail address", hint.clone()))?;
    let parsed = text.trim().parse::<lettre::message::Mailbox>();
    parsed.map(|mailbox| mailbox.to_string()).map_err(|_| value.takes("a mail address", hint))
}

//! `[email]`: the server by a URL, its password by reference, the mailboxes.

use std::path::Path;

use super::{
    addresses,
    reader::Table,
    settings::{Email, MailSecurity, Secret},
    values::{self, Value, Wrong},
};

/// The systemd credential that holds the password where no file is written.
const CREDENTIAL: &str = "smtp-password";
const EXAMPLE: &str = "smtp+starttls://ops@mail.example.com";

/// Reads the table.
pub(super) fn read(table: &Table<'_>, dir: &Path) -> Option<Email> {
    let server = table.read("server", server);
    let place = server.span();
    if server.is_absent() {
        table.lacks("server", "write `server = \"smtp://127.0.0.1:25\"`");
    }
    let password =
        table.read("password_file", addresses::path("/etc/rollbackd/smtp-password", dir));
    let password_place = password.span();
    let from = table.need("from", addresses::mailbox, "write `from = \"rollbackd@example.com\"`");
    let to = values::some(values::list(addresses::mailbox), "[\"ops@example.com\"]");
    let to = table.need("to", to, "write `to = [\"ops@example.com\"]`");
    let ca_file = table.read("ca_file", addresses::path("/etc/rollbackd/ca.pem", dir)).maybe();
    let (server, file) = (server.maybe()??, password.maybe()?);
    match (&server.user, password_place) {
        (None, Some(place)) => {
            let hint = format!("write the user before the host: `server = \"{EXAMPLE}\"`");
            table.findings.error(place, "`password_file` is of no use without a user", hint);
        }
        (Some(_), _) if server.security == MailSecurity::Plain && !is_local(&server.host) => {
            let hint = "use `smtp+starttls://` or `smtps://`";
            let message = "the password would go over the network for everybody to read";
            table.findings.warn(place.unwrap_or_default(), message, hint);
        }
        _ => {}
    }
    // Without a file it is the credential of that name, which systemd hands to
    // the service; whoever reads it looks there when the file is missing.
    let password =
        server.user.as_ref().map(|_| Secret { file: file.unwrap_or_else(|| dir.join(CREDENTIAL)) });
    Some(Email {
        host: server.host,
        port: server.port,
        security: server.security,
        user: server.user,
        password,
        from: from?,
        to: to?,
        ca_file: ca_file?,
    })
}

struct Server {
    host: String,
    port: u16,
    security: MailSecurity,
    user: Option<String>,
}

/// `smtp://`, `smtp+starttls://` or `smtps://`, `USER@`, the host, `:PORT`.
fn server(value: &Value<'_>) -> Result<Server, Wrong> {
    let hint = format!("write `server = \"smtp://127.0.0.1:25\"` or `\"{EXAMPLE}\"`");
    let text = values::text("smtp://127.0.0.1:25")(value)?;
    let schemes = [
        ("smtp://", MailSecurity::Plain, 25),
        ("smtp+starttls://", MailSecurity::StartTls, 587),
        ("smtps://", MailSecurity::Tls, 465),
    ];
    let none =
        |why: &str| Wrong::new(format!("`server` is no usable mail server: {why}"), hint.clone());
    let found = schemes.into_iter().find_map(|(scheme, security, port)| {
        text.trim().strip_prefix(scheme).map(|rest| (rest.trim_end_matches('/'), security, port))
    });
    let Some((rest, security, default_port)) = found else {
        return Err(none("it does not begin with smtp://, smtp+starttls:// or smtps://"));
    };
    let (user, address) = match rest.rsplit_once('@') {
        Some((user, address)) => (Some(user), address),
        None => (None, rest),
    };
    if user.is_some_and(|user| user.contains(':')) {
        return Err(Wrong {
            message: "`server` contains a password, and secrets are never in this file".into(),
            hint: "take it out and write it to a file: `password_file = \"/etc/rollbackd/smtp-password\"`".into(),
            secret: true,
            part: None,
        });
    }
    if user == Some("") {
        return Err(none("there is no user before the @"));
    }
    let (host, port) = host_and_port(address, default_port).map_err(none)?;
    let user = user.map(|user| user.replace("%40", "@"));
    Ok(Server { host, port, security, user })
}

fn host_and_port(address: &str, default: u16) -> Result<(String, u16), &'static str> {
    let after_v6 = address.rfind(']').map_or(0, |bracket| bracket + 1);
    let (host, port) = match address[after_v6..].split_once(':') {
        Some((rest, port)) => {
            let port: u16 = port.parse().map_err(|_| "its port is no number from 1 to 65535")?;
            (&address[..after_v6 + rest.len()], port)
        }
        None => (address, default),
    };
    if port == 0 {
        return Err("its port is no number from 1 to 65535");
    }
    let parsed = url::Host::parse(host).map_err(|_| "its host is no name and no address")?;
    let host = match parsed {
        url::Host::Domain(name) => name,
        url::Host::Ipv4(address) => address.to_string(),
        url::Host::Ipv6(address) => address.to_string(),
    };
    Ok((host, port))
}

fn is_local(host: &str) -> bool {
    let address = host.parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

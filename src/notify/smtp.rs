//! One connection to a mail server: opened, protected and logged in, then used
//! for one letter after another. Each refusal is an error by its cause, so that
//! the outbox knows whether to try again.

use std::{error::Error, io, path::PathBuf, time::Duration};

use lettre::{
    Address,
    transport::smtp::{
        Error as SmtpError,
        authentication::{Credentials, Mechanism},
        client::{AsyncSmtpConnection, TlsParameters},
        commands::{Data, Mail, Rcpt},
        extension::{ClientId, Extension, MailParameter},
        response::Response,
    },
};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::timeout;

use super::wording::clip;
use crate::{config::settings::MailSecurity, host::secret::SecretError};

/// Why a mail could not be sent. Each is a sentence with its remedy; none holds
/// a secret.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The configuration names a mailbox that is none.
    #[error("`email.{key}`: {text:?} is no mailbox ({why}); write it as `ops@example.com`")]
    Mailbox {
        /// The key, `from` or `to`.
        key: &'static str,
        /// What it says.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// The password cannot be had.
    #[error(transparent)]
    Password(#[from] SecretError),
    /// The certificate authority cannot be read.
    #[error("`email.ca_file`: {} cannot be used ({why}); it must hold PEM certificates", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Nobody answers, or not as a mail server does.
    #[error(
        "the mail server {server} cannot be reached: {why}; check `email.server` and that it runs"
    )]
    Unreachable {
        /// The server.
        server: String,
        /// What the system or the server said.
        why: String,
    },
    /// STARTTLS is wanted and not offered.
    #[error(
        "the mail server {server} offers no STARTTLS; write smtps:// if it speaks TLS from the first byte, or smtp:// where the way to it is safe"
    )]
    NoStartTls {
        /// The server.
        server: String,
    },
    /// TLS failed.
    #[error(
        "TLS with the mail server {server} failed: {why}; give its authority as `email.ca_file`, and check that `email.server` names the right port and scheme"
    )]
    Tls {
        /// The server.
        server: String,
        /// What went wrong.
        why: String,
    },
    /// It does not let anybody log in here.
    #[error(
        "the mail server {server} offers no login that rollbackd knows; leave out the user, or use smtp+starttls:// or smtps://"
    )]
    NoLogin {
        /// The server.
        server: String,
    },
    /// It does not let this user log in.
    #[error(
        "the mail server {server} does not let {user} log in: {why}; check the user in `email.server` and `email.password_file`"
    )]
    Login {
        /// The server.
        server: String,
        /// Who.
        user: String,
        /// What the server said.
        why: String,
    },
    /// It takes no mail from this sender.
    #[error(
        "the mail server {server} takes no mail from {from}: {why}; check `email.from`, and whether the server wants a login"
    )]
    Sender {
        /// The server.
        server: String,
        /// The sender.
        from: String,
        /// What the server said.
        why: String,
    },
    /// It takes no mail for this recipient, or not this mail.
    #[error("the mail server {server} refused the mail to {recipient}: {why}{}", remedy(*.forever))]
    Refused {
        /// The server.
        server: String,
        /// The recipient.
        recipient: String,
        /// What the server said.
        why: String,
        /// It said that it will not change its mind.
        forever: bool,
    },
    /// The connection broke half-way; nobody knows whether the mail arrived.
    #[error("the connection to the mail server {server} broke: {why}; it is tried again")]
    Lost {
        /// The server.
        server: String,
        /// What the system said.
        why: String,
    },
    /// The mail cannot be put together.
    #[error("the mail to {recipient} cannot be written: {why}; check its address in `email.to`")]
    Unwritable {
        /// The recipient.
        recipient: String,
        /// Why.
        why: String,
    },
}

/// What an error means for the letters that wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// No letter can be sent now.
    Nobody,
    /// This letter cannot be sent now.
    Later,
    /// This letter cannot be sent.
    Never,
}

impl MailError {
    pub(super) const fn meaning(&self) -> Meaning {
        match self {
            Self::Refused { forever: true, .. } | Self::Unwritable { .. } => Meaning::Never,
            Self::Refused { forever: false, .. } | Self::Lost { .. } => Meaning::Later,
            _ => Meaning::Nobody,
        }
    }
}

fn remedy(forever: bool) -> &'static str {
    if forever { "; check the address in `email.to`" } else { "; it is tried again" }
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// From the first packet until logged in.
    pub(super) connect: Duration,
    /// One letter, until the server has taken it.
    pub(super) send: Duration,
}

/// Where and how to connect.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) security: MailSecurity,
    pub(super) limits: Limits,
}

/// An open connection, ready for a letter.
pub(super) struct Connection<'a> {
    server: &'a Server,
    smtp: AsyncSmtpConnection,
}

impl Server {
    /// Opens a connection, protects it and logs in.
    pub(super) async fn connect(
        &self,
        tls: Option<TlsParameters>,
        login: Option<(&str, SecretString)>,
    ) -> Result<Connection<'_>, MailError> {
        let limit = self.limits.connect;
        match timeout(limit, self.open(tls, login)).await {
            Ok(opened) => opened,
            Err(_) => {
                let why = format!("no answer within {}s", limit.as_secs_f64());
                Err(MailError::Unreachable { server: self.to_string(), why })
            }
        }
    }

    async fn open(
        &self,
        tls: Option<TlsParameters>,
        login: Option<(&str, SecretString)>,
    ) -> Result<Connection<'_>, MailError> {
        let server = || self.to_string();
        let hello = ClientId::default();
        let (first, then) = match self.security {
            MailSecurity::Plain => (None, None),
            MailSecurity::Tls => (tls, None),
            MailSecurity::StartTls => (None, tls),
        };
        let place = (self.host.as_str(), self.port);
        let mut smtp = AsyncSmtpConnection::connect_tokio1(place, None, &hello, first, None)
            .await
            .map_err(|error| self.unreachable(&error))?;
        if let Some(tls) = then {
            if !smtp.can_starttls() {
                smtp.abort().await;
                return Err(MailError::NoStartTls { server: server() });
            }
            smtp.starttls(tls, &hello).await.map_err(|error| self.unreachable(&error))?;
        }
        if let Some((user, password)) = login {
            let mechanisms = [Mechanism::Plain, Mechanism::Login];
            if smtp.server_info().get_auth_mechanism(&mechanisms).is_none() {
                smtp.abort().await;
                return Err(MailError::NoLogin { server: server() });
            }
            let credentials =
                Credentials::new(user.to_owned(), password.expose_secret().to_owned());
            if let Err(error) = smtp.auth(&mechanisms, &credentials).await {
                smtp.abort().await;
                let why = said(&error);
                return Err(MailError::Login { server: server(), user: user.to_owned(), why });
            }
        }
        Ok(Connection { server: self, smtp })
    }

    fn unreachable(&self, error: &SmtpError) -> MailError {
        let (server, why) = (self.to_string(), said(error));
        if error.is_tls() || speaks_of_tls(error) {
            MailError::Tls { server, why }
        } else {
            MailError::Unreachable { server, why }
        }
    }
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl Connection<'_> {
    /// Sends one mail to one recipient; gives the server's answer.
    pub(super) async fn send(
        &mut self,
        from: &Address,
        to: &Address,
        mail: &[u8],
    ) -> Result<String, MailError> {
        let limit = self.server.limits.send;
        match timeout(limit, self.transact(from, to, mail)).await {
            Ok(sent) => sent,
            Err(_) => Err(MailError::Lost {
                server: self.server.to_string(),
                why: format!("the mail to {to} was not taken within {}s", limit.as_secs_f64()),
            }),
        }
    }

    async fn transact(
        &mut self,
        from: &Address,
        to: &Address,
        mail: &[u8],
    ) -> Result<String, MailError> {
        let refused = |server: &Server, why: String, forever| MailError::Refused {
            server: server.to_string(),
            recipient: to.to_string(),
            why,
            forever,
        };
        let mut options = Vec::new();
        let (from_text, to_text): (&str, &str) = (from.as_ref(), to.as_ref());
        if !(from_text.is_ascii() && to_text.is_ascii()) {
            if !self.smtp.server_info().supports_feature(Extension::SmtpUtfEight) {
                let why = "it does not know addresses with other letters than a to z".into();
                return Err(refused(self.server, why, true));
            }
            options.push(MailParameter::SmtpUtfEight);
        }
        let opening = Mail::new(Some(from.clone()), options);
        if let Err(error) = self.smtp.command(opening).await {
            return Err(self.broken(&error).unwrap_or_else(|| MailError::Sender {
                server: self.server.to_string(),
                from: from.to_string(),
                why: said(&error),
            }));
        }
        let rest = async {
            self.smtp.command(Rcpt::new(to.clone(), vec![])).await?;
            self.smtp.command(Data).await?;
            self.smtp.message(mail).await
        };
        match rest.await {
            Ok(answer) => Ok(answered(&answer)),
            Err(error) => Err(self
                .broken(&error)
                .unwrap_or_else(|| refused(self.server, said(&error), is_final(&error)))),
        }
    }

    /// What is no answer of the server is a connection that broke.
    fn broken(&self, error: &SmtpError) -> Option<MailError> {
        let answered = error.is_permanent() || error.is_transient();
        let leaving = error.status().is_some_and(|code| code.to_string() == "421");
        (!answered || leaving)
            .then(|| MailError::Lost { server: self.server.to_string(), why: said(error) })
    }

    /// Takes leave; a server that does not answer is left standing.
    pub(super) async fn quit(mut self) {
        let _ = timeout(Duration::from_secs(2), self.smtp.abort()).await;
    }
}

/// 5xx, except 530: "log in first" is a matter of the configuration.
fn is_final(error: &SmtpError) -> bool {
    error.is_permanent() && error.status().is_some_and(|code| code.to_string() != "530")
}

/// What the server or the system said, without the library's words around it.
fn said(error: &SmtpError) -> String {
    let why = causes(error).last().map_or_else(|| error.to_string(), ToString::to_string);
    match error.status() {
        Some(code) => clip(&format!("{code} {why}")),
        None => clip(&why),
    }
}

fn causes(error: &SmtpError) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |&cause| cause.source())
}

fn answered(response: &Response) -> String {
    let lines: Vec<&str> = response.message().collect();
    clip(&format!("{} {}", response.code(), lines.join(" ")))
}

/// rustls's errors arrive wrapped in those of IO.
fn speaks_of_tls(error: &SmtpError) -> bool {
    causes(error).any(|cause| {
        let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause.is::<rustls::Error>()
            || inner.is_some_and(<dyn Error + Send + Sync>::is::<rustls::Error>)
    })
}

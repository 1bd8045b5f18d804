//! Mail: a letter as a MIME message with an identity that does not change, and
//! the one who sends it. One envelope a recipient, so that one who is refused
//! keeps nobody else from being told.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use lettre::{
    Message as Mime,
    message::{
        Mailbox, MultiPart,
        header::{Header, HeaderName, HeaderValue},
    },
    transport::smtp::client::{Certificate, CertificateStore, TlsParameters},
};
use sha2::{Digest, Sha256};

pub use super::smtp::MailError;
use super::smtp::{Connection, Limits, Server};
use crate::{
    config::settings::{Email, MailSecurity, Secret},
    host::secret,
    store::Letter,
};

/// Sends mail as `[email]` says.
#[derive(Debug)]
pub struct Mailer {
    server: Server,
    user: Option<String>,
    password: Option<Secret>,
    ca_file: Option<PathBuf>,
    from: Mailbox,
    recipients: Vec<String>,
}

/// What makes a mail the same one when it is sent again.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    /// What asked for it: unique within the state directory.
    pub(super) of: String,
    /// The state directory's own random name.
    pub(super) store: String,
    /// When it was written.
    pub(super) at: Timestamp,
}

impl Mailer {
    /// Takes the configuration; reaches out to nobody.
    ///
    /// # Errors
    ///
    /// [`MailError::Mailbox`].
    pub fn new(email: &Email) -> Result<Self, MailError> {
        let from = mailbox("from", &email.from)?;
        let recipients = email.to.iter().map(|to| mailbox("to", to).map(|_| to.clone()));
        // A URL writes an IPv6 address in brackets; a resolver does not.
        let host = email.host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let limits = Limits { connect: Duration::from_secs(20), send: Duration::from_secs(60) };
        Ok(Self {
            server: Server { host, port: email.port, security: email.security, limits },
            user: email.user.clone(),
            password: email.password.clone(),
            ca_file: email.ca_file.clone(),
            from,
            recipients: recipients.collect::<Result<_, _>>()?,
        })
    }

    /// With other time limits than 20 s to connect and 60 s for a mail.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn with_limits(mut self, connect: Duration, send: Duration) -> Self {
        self.server.limits = Limits { connect, send };
        self
    }

    /// The mailboxes that are told.
    #[must_use]
    pub fn recipients(&self) -> &[String] {
        &self.recipients
    }

    /// Connects and logs in without sending anything; says what that showed.
    ///
    /// # Errors
    ///
    /// Why no mail could be sent now.
    pub async fn check(&self) -> Result<String, MailError> {
        self.connect().await?.quit().await;
        let protected = match self.server.security {
            MailSecurity::Plain => "no TLS",
            MailSecurity::StartTls => "STARTTLS",
            MailSecurity::Tls => "TLS",
        };
        let login = match &self.user {
            Some(user) => format!("logged in as {user}"),
            None => "no login".to_owned(),
        };
        Ok(format!("{} answers; {protected}, {login}", self.server))
    }

    /// Opens a connection and logs in.
    pub(super) async fn connect(&self) -> Result<Connection<'_>, MailError> {
        let login = match (&self.user, &self.password) {
            (Some(user), Some(password)) => {
                Some((user.as_str(), secret::read(&password.file).await?))
            }
            _ => None,
        };
        let tls = self.tls().await?;
        self.server.connect(tls, login).await
    }

    /// Trusts the machine's authorities, or the one that is given and no other.
    /// Read for each connection, so that a renewed one needs no restart.
    async fn tls(&self) -> Result<Option<TlsParameters>, MailError> {
        if self.server.security == MailSecurity::Plain {
            return Ok(None);
        }
        let mut builder = TlsParameters::builder(self.server.host.clone());
        if let Some(path) = &self.ca_file {
            let authority = authority(path).await?;
            builder =
                builder.certificate_store(CertificateStore::None).add_root_certificate(authority);
        }
        let built = builder.build_rustls().map_err(|error| MailError::Tls {
            server: self.server.to_string(),
            why: error.to_string(),
        });
        built.map(Some)
    }

    /// Sends one letter over a connection; gives the server's answer.
    pub(super) async fn send(
        &self,
        connection: &mut Connection<'_>,
        letter: &Letter,
        identity: &Identity,
    ) -> Result<String, MailError> {
        let to = mailbox("to", &letter.recipient)?;
        let address = to.email.clone();
        let mail = self.compose(letter, to, identity)?;
        connection.send(&self.from.email, &address, &mail).await
    }

    /// The letter as a MIME message.
    fn compose(
        &self,
        letter: &Letter,
        to: Mailbox,
        identity: &Identity,
    ) -> Result<Vec<u8>, MailError> {
        let domain = self.from.email.domain();
        let Identity { of, store, at } = identity;
        let recipient = short_hash(to.email.as_ref());
        let mut mime = Mime::builder()
            .from(self.from.clone())
            .to(to)
            .subject(&letter.subject)
            .date((*at).into())
            .message_id(Some(format!("<{of}.{recipient}.{store}@{domain}>")))
            .header(AutoSubmitted);
        if let Some(thread) = &letter.thread {
            // The root need not exist: mail programs gather what names it.
            let root = format!("<{thread}.{store}@{domain}>");
            mime = mime.references(root.clone()).in_reply_to(root);
        }
        let body = MultiPart::alternative_plain_html(letter.text.clone(), letter.html.clone());
        let mime = mime.multipart(body).map_err(|error| MailError::Unwritable {
            recipient: letter.recipient.clone(),
            why: error.to_string(),
        })?;
        Ok(mime.formatted())
    }
}

async fn authority(path: &Path) -> Result<Certificate, MailError> {
    let wrong = |why: String| MailError::Authority { path: path.to_owned(), why };
    let pem = tokio::fs::read(path).await.map_err(|error| wrong(error.to_string()))?;
    if !String::from_utf8_lossy(&pem).contains("-----BEGIN CERTIFICATE-----") {
        return Err(wrong("there is no certificate in it".to_owned()));
    }
    Certificate::from_pem(&pem).map_err(|error| wrong(error.to_string()))
}

fn mailbox(key: &'static str, text: &str) -> Result<Mailbox, MailError> {
    text.parse().map_err(|error: lettre::address::AddressError| MailError::Mailbox {
        key,
        text: text.to_owned(),
        why: error.to_string(),
    })
}

/// Enough of a hash to tell recipients apart without naming them.
fn short_hash(text: &str) -> String {
    let digest = Sha256::digest(text.to_lowercase());
    digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// RFC 3834: nobody's holiday answers this.
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

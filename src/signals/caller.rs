//! Whom a source's requests trust and what they show to be let in: secrets are
//! read for each request, so that one that was changed is used at once.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::OnceCell, time::Instant};
use url::Url;

use crate::{
    config::settings::HttpAuth,
    host::{
        http::{Answer, Auth, Body, Connections, Http, HttpError, Request, Trust},
        secret::{self, SecretError},
    },
};

/// What was used up is no longer, when it was not for this long.
const OVER: Duration = Duration::from_secs(60);

/// Asks one source over HTTP.
pub(super) struct Caller {
    auth: HttpAuth,
    connections: Connections,
    http: OnceCell<Http>,
    /// When a request could last not be made for want of something of our own.
    exhausted: Mutex<Option<Instant>>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    /// The server's doing, or the network's.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// A secret cannot be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

impl CallError {
    /// It was not the server that failed: the request could not be made.
    pub(super) fn is_ours(&self) -> bool {
        matches!(
            self,
            Self::Secret(_)
                | Self::Http(
                    HttpError::Authority { .. } | HttpError::Tls(_) | HttpError::Exhausted { .. }
                )
        )
    }
}

impl Caller {
    pub(super) fn new(auth: HttpAuth, connections: Connections) -> Self {
        Self { auth, connections, http: OnceCell::new(), exhausted: Mutex::default() }
    }

    /// Sends a request with what lets it in.
    pub(super) async fn send(&self, url: &Url, request: Request) -> Result<Answer, CallError> {
        let trust = self.auth.ca_file.clone().map_or(Trust::Platform, Trust::Authority);
        let made = || async { Http::new(url, &trust, self.connections) };
        // What could not be made is tried again at the next request.
        let http = self.http.get_or_try_init(made).await?;
        let answer = http.send(request.auth(self.secrets().await?)).await;
        self.note(&answer);
        Ok(answer?)
    }

    /// Without file descriptors nobody can ask for the status either, so the
    /// log tells it, once for each time that it begins.
    fn note(&self, answer: &Result<Answer, HttpError>) {
        let Err(error @ HttpError::Exhausted { .. }) = answer else { return };
        let mut last = self.exhausted.lock().unwrap_or_else(PoisonError::into_inner);
        if last.replace(Instant::now()).is_none_or(|last| last.elapsed() > OVER) {
            tracing::error!(%error, "signals.source.unasked");
        }
    }

    /// A plain GET.
    pub(super) async fn get(
        &self,
        url: &Url,
        limit: Duration,
        body: Body,
    ) -> Result<Answer, CallError> {
        self.send(url, Request::get(url.clone(), limit, body)).await
    }

    async fn secrets(&self) -> Result<Auth, SecretError> {
        Ok(match (&self.auth.bearer_token, &self.auth.basic) {
            (Some(token), _) => Auth::Bearer(secret::read(&token.file).await?),
            (None, Some((user, password))) => {
                Auth::Basic(user.clone(), secret::read(&password.file).await?)
            }
            (None, None) => Auth::None,
        })
    }
}

/// Text of another program, fit to be put into a sentence of ours: one line
/// without control characters, and not longer than `most` characters.
pub(super) fn clip(text: &str, most: usize) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let line: String = text.chars().take(most * 4).map(plain).collect();
    let words: Vec<_> = line.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// A list for a sentence: the first `most` of them, each in quotes.
pub(super) fn quoted<'a>(all: impl IntoIterator<Item = &'a str>, most: usize) -> String {
    let mut all = all.into_iter();
    let mut named: Vec<_> = all.by_ref().take(most).map(|one| format!("`{one}`")).collect();
    match all.count() {
        0 => {}
        more => named.push(format!("{more} more")),
    }
    named.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_others_becomes_one_short_plain_line() {
        assert_eq!(clip("a\n\tb\u{1b}[31m  c", 100), "a b [31m c");
        assert_eq!(clip("äöüäöü", 3), "äöü…");
        assert_eq!(clip("abc", 3), "abc");
    }

    #[test]
    fn a_long_list_says_how_many_more() {
        assert_eq!(quoted(["a", "b"], 3), "`a`, `b`");
        assert_eq!(quoted(["a", "b", "c", "d", "e"], 3), "`a`, `b`, `c`, 2 more");
    }
}

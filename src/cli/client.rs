//! Talking to the daemon over its socket, with a limit on every wait and on
//! every answer, and telling precisely why it cannot be reached.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, StatusCode, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use rollbackd_core::{
    event::{Command, Goal},
    words::{IncidentId, ProjectName, ServiceName},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{net::UnixStream, time::timeout};

use crate::{
    api::json::{
        Accepted, ChannelReport, ErrorDocument, Incident, Looked, Revision, Status, why::Why,
    },
    cli::exit::{Exit, Failure},
};

/// Looking is answered from memory.
const LOOK_WITHIN: Duration = Duration::from_secs(10);

/// A little longer than the daemon itself waits for its loop.
const COMMAND_WITHIN: Duration = Duration::from_secs(35);

/// A little longer than the daemon waits for the engine.
const LOOK_NOW_WITHIN: Duration = Duration::from_secs(65);

/// The same for an image, which may be pulled first.
const IMAGE_WITHIN: Duration = Duration::from_secs(665);

/// A little longer than the daemon waits for the mail server.
const TEST_WITHIN: Duration = Duration::from_secs(95);

/// No answer is larger, not even a long history.
const ANSWER: usize = 64 * 1024 * 1024;

/// The way to the daemon.
#[derive(Clone, Debug)]
pub(super) struct Client {
    socket: PathBuf,
}

impl Client {
    pub(super) fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    pub(super) async fn status(&self) -> Result<Status, Failure> {
        self.get("/v1/status").await
    }

    /// Why, as of now or of a past moment. Names are escaped: they are what a
    /// person has typed.
    pub(super) async fn why(
        &self,
        project: &ProjectName,
        service: &ServiceName,
        at: Option<Timestamp>,
    ) -> Result<Why, Failure> {
        let mut address =
            url::Url::parse("http://rollbackd/v1/why").map_err(|why| self.odd(&why))?;
        if let Ok(mut path) = address.path_segments_mut() {
            path.push(project.as_str()).push(service.as_str());
        }
        if let Some(at) = at {
            address.query_pairs_mut().append_pair("at", &at.to_string());
        }
        // The past is made again before it is told.
        let within = if at.is_some() { COMMAND_WITHIN } else { LOOK_WITHIN };
        let address = &address[url::Position::BeforePath..];
        self.ask(Method::GET, address, None::<&()>, within).await
    }

    pub(super) async fn revisions(
        &self,
        project: Option<&ProjectName>,
    ) -> Result<Vec<Revision>, Failure> {
        match project {
            None => self.get("/v1/revisions").await,
            Some(name) => self.get(&with_project("/v1/revisions", name)).await,
        }
    }

    pub(super) async fn history(&self) -> Result<Vec<Incident>, Failure> {
        self.get("/v1/history").await
    }

    pub(super) async fn incident(&self, id: IncidentId) -> Result<Incident, Failure> {
        self.get(&format!("/v1/history/{id}")).await
    }

    pub(super) async fn command(&self, command: &Command) -> Result<Accepted, Failure> {
        let within = match command {
            Command::Rollback { to: Some(Goal::Image(_)), .. } => IMAGE_WITHIN,
            _ => COMMAND_WITHIN,
        };
        self.ask(Method::POST, "/v1/command", Some(command), within).await
    }

    /// Has the daemon look at a project now; returns when it has.
    pub(super) async fn look(&self, project: &ProjectName) -> Result<(), Failure> {
        let path = with_project("/v1/look", project);
        let looked: Looked = self.ask(Method::POST, &path, None::<&()>, LOOK_NOW_WITHIN).await?;
        debug_assert!(looked.projects.contains(project));
        Ok(())
    }

    pub(super) async fn test_notify(&self) -> Result<Vec<ChannelReport>, Failure> {
        self.ask(Method::POST, "/v1/test-notify", None::<&()>, TEST_WITHIN).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.ask(Method::GET, path, None::<&()>, LOOK_WITHIN).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
        within: Duration,
    ) -> Result<T, Failure> {
        let body = body.map(serde_json::to_vec).transpose().map_err(|why| self.odd(&why))?;
        let asked = timeout(within, self.exchange(method, path, body.unwrap_or_default()));
        let (status, answer) = asked.await.map_err(|_| {
            let socket = self.socket.display();
            let message = format!("the daemon at {socket} did not answer within {within:?}");
            let hint = "see `systemctl status rollbackd` and `journalctl -u rollbackd`";
            Failure::new(Exit::Unreachable, "unreachable", message, hint)
        })??;
        if status.is_success() {
            return serde_json::from_slice(&answer).map_err(|why| self.odd(&why));
        }
        match serde_json::from_slice::<ErrorDocument>(&answer) {
            Ok(document) => Err(Failure::answered(document.error)),
            Err(_) => Err(self.odd(&status)),
        }
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<(StatusCode, Bytes), Failure> {
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|why| unreachable(&self.socket, &why))?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|why| self.broken(&why))?;
        // Ends with the exchange; what it ends with is told by `sender`.
        let connection = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "rollbackd")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|why| self.broken(&why))?;
        let answer = sender.send_request(request).await.map_err(|why| self.broken(&why))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER).collect().await;
        let body = body.map_err(|why| self.broken(&why))?.to_bytes();
        connection.abort();
        Ok((status, body))
    }

    fn broken(&self, why: &dyn std::fmt::Display) -> Failure {
        let message = format!("the daemon at {} broke off: {why}", self.socket.display());
        let hint = "see `systemctl status rollbackd` and `journalctl -u rollbackd`";
        Failure::new(Exit::Unreachable, "unreachable", message, hint)
    }

    fn odd(&self, why: &dyn std::fmt::Display) -> Failure {
        let socket = self.socket.display();
        let message = format!("what answers at {socket} does not speak as this rollbackd: {why}");
        let hint = "restart the daemon after an upgrade: `systemctl restart rollbackd`";
        Failure::new(Exit::Failed, "odd_answer", message, hint)
    }
}

/// An address with the name of a project.
fn with_project(path: &str, name: &ProjectName) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    format!("{path}?{}", query.append_pair("project", name.as_str()).finish())
}

/// Why there is no connection, by what the system said.
fn unreachable(socket: &Path, why: &io::Error) -> Failure {
    let path = socket.display();
    let (message, hint) = match why.kind() {
        io::ErrorKind::NotFound => (
            format!("no daemon runs: there is no socket {path}"),
            "start it with `systemctl start rollbackd`, or give its socket with `--socket`".into(),
        ),
        io::ErrorKind::ConnectionRefused => (
            format!("no daemon answers at {path}: it has died or is just starting"),
            "see `systemctl status rollbackd`".into(),
        ),
        io::ErrorKind::PermissionDenied => {
            (format!("you may not open {path}"), permission_hint(socket))
        }
        _ => (
            format!("the daemon at {path} cannot be reached: {why}"),
            "see `systemctl status rollbackd`".into(),
        ),
    };
    Failure::new(Exit::Unreachable, "unreachable", message, hint)
}

/// Who may open it: the socket's group, or the directory's when that is what
/// keeps people out.
fn permission_hint(socket: &Path) -> String {
    let owner = fs::metadata(socket)
        .or_else(|_| fs::metadata(socket.parent().unwrap_or(Path::new("/"))))
        .ok();
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    match owner.and_then(|file| group_name(&groups, file.gid())) {
        Some(group) => format!(
            "ask as root, or join its group: `sudo usermod -aG {group} $USER` and log in again"
        ),
        None => "ask as root: `sudo rollbackd ...`".to_owned(),
    }
}

/// The name of a group in the format of group(5). Root's own is nobody's to join.
fn group_name(groups: &str, gid: u32) -> Option<String> {
    let wanted = gid.to_string();
    groups
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            Some((fields.next()?, fields.nth(1)?))
        })
        .find(|(name, id)| *id == wanted && *name != "root")
        .map(|(name, _)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_that_may_open_the_socket_is_named() {
        let groups = "root:x:0:\ndocker:x:998:ann\n# odd\nrollbackd:x:997:\n";
        assert_eq!(group_name(groups, 997).as_deref(), Some("rollbackd"));
        assert_eq!(group_name(groups, 0), None, "nobody joins root's group");
        assert_eq!(group_name(groups, 5), None);
    }

    #[test]
    fn why_the_daemon_cannot_be_reached_is_told_with_its_remedy() {
        let line = |kind: io::ErrorKind| {
            let failure = unreachable(Path::new("/nowhere/r.sock"), &kind.into());
            assert_eq!(failure.exit, Exit::Unreachable);
            failure.line()
        };
        insta::assert_snapshot!(line(io::ErrorKind::NotFound), @"rollbackd: no daemon runs: there is no socket /nowhere/r.sock; start it with `systemctl start rollbackd`, or give its socket with `--socket`");
        insta::assert_snapshot!(line(io::ErrorKind::ConnectionRefused), @"rollbackd: no daemon answers at /nowhere/r.sock: it has died or is just starting; see `systemctl status rollbackd`");
        insta::assert_snapshot!(line(io::ErrorKind::PermissionDenied), @"rollbackd: you may not open /nowhere/r.sock; ask as root: `sudo rollbackd ...`");
    }
}

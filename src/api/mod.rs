//! Who asks, and who looks: HTTP on the Unix socket (may act) and on TCP (may
//! only look). Every answer is made from the last [`Snapshot`] or by handing a
//! command to the loop; nothing is decided here.

use std::{sync::Arc, time::Duration};

use rollbackd_core::{
    event::{Answer, Command, Refusal},
    moment::Moment,
    settings::Mode,
    view::ProjectView,
    words::ProjectName,
};
use tokio::sync::{mpsc, oneshot, watch};

use crate::{api::json::ChannelReport, host::clock::Clock};

pub mod bind;
mod health;
pub mod json;
mod map;
mod metrics;
mod page;
mod routes;
#[cfg(test)]
pub(crate) mod samples;
pub mod serve;

/// Everything that readers see, as of one moment. The loop makes a new one
/// after each decision and at least every five seconds; one older than
/// `health::STUCK_AFTER` is read as a loop that hangs.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// When it was made.
    pub at: Moment,
    /// This program's version.
    pub version: &'static str,
    /// The mode that projects have unless they say otherwise.
    pub mode: Mode,
    /// Every project, in the configuration's order.
    pub projects: Vec<Arc<ProjectView>>,
    /// The engine does not answer.
    pub engine: Option<EngineAway>,
    /// Something that keeps every project unarmed: "state cannot be written: ...".
    pub trouble: Option<String>,
    /// How long the oldest thing the loop has not yet read has been waiting.
    pub behind: Duration,
}

/// Since when and why the engine does not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineAway {
    /// Since when.
    pub since: Moment,
    /// What it, or its socket, said last.
    pub why: String,
}

/// A command on its way to the loop, and where its answer goes.
pub type Asked = (Command, oneshot::Sender<Answer>);

/// A project to be looked at now. Answered when what was seen has been taken and
/// every reader sees it.
pub type AskedLook = (ProjectName, oneshot::Sender<Result<(), Refusal>>);

/// Where the answer to `test-notify` goes.
pub type TestNotify = oneshot::Sender<Vec<ChannelReport>>;

/// What the listeners share: the way to the loop, and what can be seen of it.
/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Doors {
    /// The last snapshot.
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
    /// Commands to the loop. Bounded; when it is full, the person is told to
    /// ask again.
    pub commands: mpsc::Sender<Asked>,
    /// Requests to look at a project now. Bounded likewise.
    pub looks: mpsc::Sender<AskedLook>,
    /// Requests for a test message through every channel. Bounded likewise.
    pub test_notify: mpsc::Sender<TestNotify>,
    /// For wall times and for the snapshot's age.
    pub clock: Clock,
}

/// Why the daemon cannot listen. Each is a sentence with its remedy.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// A daemon answers there already.
    #[error("another daemon answers on {path}; stop it first, or set another `api.socket`")]
    AnotherDaemon {
        /// The socket.
        path: String,
    },
    /// Something that is no socket is in the way.
    #[error(
        "{path} is there and is not a socket; move it away, or set another path as `api.socket`"
    )]
    NotASocket {
        /// The path.
        path: String,
    },
    /// The socket is another user's.
    #[error("{path} belongs to another user and may not be opened; remove it, or run as its owner")]
    NotOurs {
        /// The path.
        path: String,
    },
    /// The socket cannot be made there.
    #[error("the socket {path} cannot be made: {why}; check `api.socket` and its directory")]
    Socket {
        /// The path.
        path: String,
        /// What the system said.
        why: std::io::Error,
    },
    /// The TCP address cannot be listened on.
    #[error("cannot listen on {address}: {why}; change `api.listen`, or leave it out")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// What the system said.
        why: std::io::Error,
    },
}

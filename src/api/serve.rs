//! Accepting connections and answering them, with limits on everything: how
//! many at once, how long a request's head may take, how long a stop waits.

use std::{pin::pin, sync::Arc, time::Duration};

use axum::{Router, serve::Listener};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::Semaphore,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::api::{Doors, bind::Socket, routes};

/// Connections at once on one listener; a further one waits in the kernel's
/// queue. A hundred dashboards fit, an open-socket leak does not take the
/// daemon's file descriptors.
const CONNECTIONS: usize = 128;

/// How long the head of a request may take to arrive, also on a connection
/// that is kept open.
const HEAD_WITHIN: Duration = Duration::from_secs(15);

/// How long a stop waits for answers that are under way.
const STOP_WITHIN: Duration = Duration::from_secs(3);

/// Answers on the Unix socket, where commands are taken, until `shutdown`.
/// Removes the socket's file at the end.
pub async fn serve_socket(socket: Socket, doors: Doors, shutdown: CancellationToken) {
    let Socket { listener, file: _file } = socket;
    serve(listener, routes::acts(doors), shutdown).await;
}

/// Answers on the TCP address, where one may only look, until `shutdown`.
pub async fn serve_tcp(listener: TcpListener, doors: Doors, shutdown: CancellationToken) {
    serve(listener, routes::looks(doors), shutdown).await;
}

/// `Listener` itself waits a second after a failed `accept`, as when there are
/// no file descriptors left.
async fn serve(mut listener: impl Listener, router: Router, shutdown: CancellationToken) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let connections = TaskTracker::new();
    loop {
        let next = async {
            let place = places.clone().acquire_owned().await;
            (place, listener.accept().await.0)
        };
        let (place, stream) = tokio::select! {
            () = shutdown.cancelled() => break,
            next = next => next,
        };
        let (router, shutdown) = (router.clone(), shutdown.clone());
        connections.spawn(async move {
            answer(stream, router, shutdown).await;
            drop(place);
        });
    }
    connections.close();
    // Whoever still reads after that is cut off with the process.
    let _ = timeout(STOP_WITHIN, connections.wait()).await;
}

/// Answers requests on one connection until it is closed; when the daemon
/// stops, until the one under way is answered.
async fn answer<S>(stream: S, router: Router, shutdown: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(name: "api.connection.ended", %error, "a connection ended badly");
    }
}

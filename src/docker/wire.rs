//! The wire to the engine: one connection a request, over a Unix socket or
//! TCP, with the API version that was agreed on in its path and a bound on
//! every body. It knows no call.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::{
    Request, Response, Uri,
    body::{Body, Bytes, Incoming},
    client::conn::http1,
    header::{HOST, HeaderValue},
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};

use super::error::DockerError;
use crate::host::limits::exhausted;

/// Largest answer that is read, in bytes: the inspect document of a container
/// is some 10 KiB, a list of a thousand containers some 3 MiB.
const LARGEST: usize = 32 << 20;

/// Where the versions of the engine and its API are.
pub(super) const VERSIONS: &str = "/version";

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Where the engine is, and what version of its API is spoken.
#[derive(Debug)]
pub(super) struct Wire {
    /// As the configuration wrote it, for messages.
    pub(super) host: String,
    address: Address,
    /// The minor number of the API's version 1; 0 until it is agreed on.
    minor: AtomicU32,
}

#[derive(Debug)]
enum Address {
    Unix(PathBuf),
    Tcp(String),
}

impl Wire {
    /// Reads the address; does not talk yet.
    pub(super) fn new(host: &str) -> Result<Arc<Self>, DockerError> {
        let bad = || DockerError::BadHost(host.to_owned());
        let address = match host.split_once("://").ok_or_else(bad)? {
            ("unix", path) if path.starts_with('/') => Address::Unix(PathBuf::from(path)),
            ("tcp" | "http", authority) => {
                let authority = authority.trim_end_matches('/');
                let port = authority.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
                if !matches!(port, Some(Ok(_))) || authority.contains('/') {
                    return Err(bad());
                }
                Address::Tcp(authority.to_owned())
            }
            _ => return Err(bad()),
        };
        Ok(Arc::new(Self { host: host.to_owned(), address, minor: AtomicU32::new(0) }))
    }

    /// The agreed minor number of the API's version 1.
    pub(super) fn minor(&self) -> Option<u32> {
        Some(self.minor.load(Ordering::Relaxed)).filter(|minor| *minor != 0)
    }

    /// Speaks this version from now on.
    pub(super) fn speak(&self, minor: u32) {
        self.minor.store(minor, Ordering::Relaxed);
    }

    /// Sends one request on a connection of its own, and gives the head of the
    /// answer. The connection lives as long as the answer's body.
    pub(super) async fn send<B>(&self, mut request: Request<B>) -> Result<Response<Incoming>, Error>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Error>,
    {
        *request.uri_mut() = self.versioned(request.uri())?;
        match &self.address {
            Address::Unix(path) => {
                request.headers_mut().insert(HOST, HeaderValue::from_static("docker"));
                exchange(UnixStream::connect(path).await?, request).await
            }
            Address::Tcp(authority) => {
                request.headers_mut().insert(HOST, HeaderValue::from_str(authority)?);
                exchange(TcpStream::connect(authority).await?, request).await
            }
        }
    }

    /// The path and query alone, with the version in front, except where the
    /// versions themselves are asked for.
    fn versioned(&self, uri: &Uri) -> Result<Uri, Error> {
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        match self.minor() {
            Some(minor) if path != VERSIONS => Ok(format!("/v1.{minor}{path}").parse()?),
            _ => Ok(path.parse()?),
        }
    }

    /// What an error of the wire means.
    pub(super) fn unreachable(&self, error: &(dyn std::error::Error + 'static)) -> DockerError {
        let error_of_io = sources(error).find_map(|error| error.downcast_ref::<io::Error>());
        if let Some((what, remedy)) = error_of_io.and_then(exhausted) {
            let why = format!("rollbackd itself has {what} left to ask it; {remedy}");
            return DockerError::Unreachable { host: self.host.clone(), why };
        }
        let why = match error_of_io.map(io::Error::kind) {
            Some(io::ErrorKind::NotFound) => "its socket does not exist; is Docker running?".into(),
            Some(io::ErrorKind::ConnectionRefused) => {
                "nothing listens there; is Docker running?".into()
            }
            Some(io::ErrorKind::PermissionDenied) => {
                "this user may not open its socket; run as root or in the group `docker`".into()
            }
            _ => sources(error).last().unwrap_or(error).to_string(),
        };
        DockerError::Unreachable { host: self.host.clone(), why }
    }

    /// The whole body of an answer, within the bound.
    pub(super) async fn whole(
        &self,
        call: &'static str,
        body: Incoming,
    ) -> Result<Bytes, DockerError> {
        match Limited::new(body, LARGEST).collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => {
                let why = format!("it is longer than {} MiB", LARGEST >> 20);
                Err(DockerError::Unreadable { call, why })
            }
            Err(error) => Err(self.unreachable(&*error)),
        }
    }
}

async fn exchange<S, B>(stream: S, request: Request<B>) -> Result<Response<Incoming>, Error>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Error>,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Ends by itself when the answer's body has been read or dropped, and its
    // error, if any, reaches whoever reads the answer.
    tokio::spawn(connection);
    Ok(sender.send_request(request).await?)
}

fn sources<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_socket_or_a_host_with_a_port() {
        for good in ["unix:///var/run/docker.sock", "tcp://127.0.0.1:2375", "tcp://[::1]:2375/"] {
            assert!(Wire::new(good).is_ok(), "{good}");
        }
        for bad in ["", "/var/run/docker.sock", "unix://docker.sock", "tcp://host", "ssh://a:1"] {
            assert_eq!(Wire::new(bad).err(), Some(DockerError::BadHost(bad.to_owned())));
        }
    }

    #[test]
    fn the_agreed_version_goes_into_every_path() {
        let wire = Wire::new("unix:///var/run/docker.sock").unwrap();
        let uri = "http://docker/containers/json?all=1".parse().unwrap();
        assert_eq!(wire.versioned(&uri).unwrap(), "/containers/json?all=1");
        wire.speak(44);
        assert_eq!(wire.versioned(&uri).unwrap(), "/v1.44/containers/json?all=1");
        assert_eq!(wire.versioned(&VERSIONS.parse().unwrap()).unwrap(), VERSIONS);
    }
}

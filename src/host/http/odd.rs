//! A tiny real server for tests, which answers as no good server would.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use url::Url;

/// How a connection is answered.
#[derive(Clone)]
pub(crate) enum Give {
    /// These bytes, then the connection is closed.
    Bytes(Vec<u8>),
    /// A good head, then bytes for ever.
    Endless,
    /// Nothing, for ever.
    Silence,
}

impl Give {
    /// A whole answer with a body.
    pub(crate) fn answer(status: u16, body: &str) -> Self {
        Self::headed(status, "", body)
    }

    /// A whole answer with one more line in its head.
    pub(crate) fn headed(status: u16, line: &str, body: &str) -> Self {
        let (length, line) =
            (body.len(), if line.is_empty() { "" } else { &format!("{line}\r\n") });
        let head = format!("HTTP/1.1 {status} Odd\r\ncontent-length: {length}\r\n{line}");
        Self::Bytes(format!("{head}connection: close\r\n\r\n{body}").into_bytes())
    }

    /// A head that promises more than comes.
    pub(crate) fn cut_off(body: &str) -> Self {
        let length = body.len() + 100;
        Self::Bytes(
            format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes(),
        )
    }
}

/// The server; it ends when it is dropped.
pub(crate) struct Server {
    /// Where it is.
    pub(crate) url: Url,
    heard: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Answers every request by what `give` makes of it.
    pub(crate) async fn start(give: impl Fn(&str) -> Give + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let (give, heard) = (Arc::new(give), Arc::new(Mutex::new(Vec::new())));
        let all = Arc::clone(&heard);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (give, heard) = (Arc::clone(&give), Arc::clone(&all));
                tokio::spawn(async move { serve(stream, &*give, &heard).await });
            }
        });
        Self { url, heard, task }
    }

    /// Answers always the same.
    pub(crate) async fn always(give: Give) -> Self {
        Self::start(move |_| give.clone()).await
    }

    /// The requests so far: head and body of each.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A URL that nobody listens at.
pub(crate) async fn nobody() -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap()
}

async fn serve(
    mut stream: TcpStream,
    give: &(dyn Fn(&str) -> Give + Sync),
    heard: &Mutex<Vec<String>>,
) {
    let request = hear(&mut stream).await;
    heard.lock().unwrap().push(request.clone());
    match give(&request) {
        Give::Bytes(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
        }
        Give::Endless => {
            let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
            let _ = stream.write_all(head).await;
            let chunk = format!("4000\r\n{}\r\n", "round and round\n".repeat(1024));
            while stream.write_all(chunk.as_bytes()).await.is_ok() {}
        }
        Give::Silence => std::future::pending().await,
    }
}

async fn hear(stream: &mut TcpStream) -> String {
    let mut heard = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&heard).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.to_ascii_lowercase().lines().find_map(|line| {
                line.strip_prefix("content-length:")?.trim().parse::<usize>().ok()
            });
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return text,
            Ok(read) => heard.extend_from_slice(&piece[..read]),
        }
    }
}

//! The shop at work: a thread for each connection, up to a bound, and the four
//! pages it has.

use std::{
    io::{self, BufReader},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    behaviour::Behaviour,
    http::{self, Answer, Request},
    metrics::Metrics,
};

/// Connections served at a time; one more is told 503 and closed.
const CONNECTIONS: usize = 512;
/// How long a kept connection may be silent.
const IDLE: Duration = Duration::from_secs(30);

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The shop.
pub(crate) struct Shop {
    behaviour: Behaviour,
    metrics: Metrics,
    pages: AtomicU64,
    connections: AtomicUsize,
}

impl Shop {
    /// A shop that has not served anybody.
    pub(crate) fn new(behaviour: Behaviour) -> Self {
        Self {
            behaviour,
            metrics: Metrics::new(),
            pages: AtomicU64::new(0),
            connections: AtomicUsize::new(0),
        }
    }

    /// Serves whoever connects, for as long as the process lives.
    pub(crate) fn serve(self: &Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else {
                // Out of file descriptors, say: those at work give some back.
                thread::sleep(Duration::from_millis(10));
                continue;
            };
            if self.connections.fetch_add(1, Ordering::Relaxed) >= CONNECTIONS {
                let busy =
                    Answer { status: 503, kind: TEXT, body: "too many connections\n".into() };
                drop(busy.write(&mut stream, false));
                self.connections.fetch_sub(1, Ordering::Relaxed);
                continue;
            }
            let shop = Arc::clone(self);
            thread::spawn(move || {
                // A client that went away or spoke nonsense ends its connection only.
                drop(shop.converse(&stream));
                shop.connections.fetch_sub(1, Ordering::Relaxed);
            });
        }
    }

    fn converse(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(IDLE))?;
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream);
        let mut writer = stream;
        while let Some(request) = http::read(&mut reader)? {
            self.answer(&request).write(&mut writer, request.keep)?;
            if !request.keep {
                break;
            }
        }
        Ok(())
    }

    /// The answer to one request; pages are counted, health and metrics are not.
    pub(crate) fn answer(&self, request: &Request) -> Answer {
        let version = &self.behaviour.version;
        match request.path.as_str() {
            "/" | "/buy" => self.page(request),
            "/health/ready" if self.behaviour.healthy => Answer {
                status: 200,
                kind: JSON,
                body: format!("{{\"ready\":true,\"version\":\"{version}\"}}\n"),
            },
            "/health/ready" => Answer {
                status: 503,
                kind: JSON,
                body: format!("{{\"ready\":false,\"version\":\"{version}\"}}\n"),
            },
            "/metrics" => Answer { status: 200, kind: TEXT, body: self.metrics.page() },
            _ => Answer { status: 404, kind: JSON, body: "{\"error\":\"no such page\"}\n".into() },
        }
    }

    fn page(&self, request: &Request) -> Answer {
        let began = Instant::now();
        let n = self.pages.fetch_add(1, Ordering::Relaxed) + 1;
        if !self.behaviour.delay.is_zero() {
            thread::sleep(self.behaviour.delay);
        }
        let version = &self.behaviour.version;
        let (status, body) = if self.behaviour.fails(n) {
            (500, format!("{{\"error\":\"the shop is broken\",\"version\":\"{version}\"}}\n"))
        } else {
            let page = &request.path;
            (200, format!("{{\"page\":\"{page}\",\"version\":\"{version}\",\"served\":{n}}}\n"))
        };
        self.metrics.count(status, label(&request.method), began.elapsed());
        Answer { status, kind: JSON, body }
    }
}

/// The method as a label: what clients invent must not grow the page.
fn label(method: &str) -> &'static str {
    match method {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        _ => "OTHER",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(shop: &Shop, path: &str) -> Answer {
        shop.answer(&Request { method: "GET".into(), path: path.into(), keep: true })
    }

    fn shop(name: &'static str, value: &'static str) -> Shop {
        let read = |asked: &str| (asked == name).then(|| value.to_owned());
        Shop::new(Behaviour::from_env(read).unwrap())
    }

    #[test]
    fn a_page_names_its_version_and_is_counted() {
        let shop = shop("SHOP_VERSION", "v1");
        assert!(get(&shop, "/buy").body.contains("\"version\":\"v1\""));
        assert_eq!(get(&shop, "/health/ready").status, 200);
        let page = get(&shop, "/metrics").body;
        assert!(page.contains("http_requests_total{code=\"200\",method=\"GET\"} 1\n"), "{page}");
    }

    #[test]
    fn a_shop_that_is_ill_says_so_and_still_sells() {
        let shop = shop("SHOP_HEALTH", "fail");
        assert_eq!(get(&shop, "/health/ready").status, 503);
        assert_eq!(get(&shop, "/").status, 200);
    }

    #[test]
    fn a_broken_shop_answers_500() {
        assert_eq!(get(&shop("SHOP_ERRORS", "100%"), "/").status, 500);
    }
}

//! A real Prometheus server that scrapes the shop once a second.

use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::{Running, free_port, wait::until};

/// A server; dropped, it is gone with its data.
pub struct Prometheus {
    /// Its base URL.
    pub url: String,
    _process: Running,
    _directory: TempDir,
}

impl Prometheus {
    /// Starts one that scrapes a port of this machine as the job `shop`.
    pub fn start(scraped: u16) -> Self {
        let directory = TempDir::with_prefix("rbtest-prometheus-").unwrap();
        let port = free_port();
        let file = directory.path().join("prometheus.yml");
        let config = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 900ms}}\nscrape_configs:\n\
             - job_name: shop\n  static_configs: [{{targets: ['127.0.0.1:{scraped}']}}]\n"
        );
        std::fs::write(&file, config).unwrap();
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("prometheus is there: sh tests/bring-tools.sh");
        let url = format!("http://127.0.0.1:{port}");
        let server = Self { url, _process: Running(process), _directory: directory };
        until("Prometheus is ready", || ready(port));
        server
    }
}

fn ready(port: u16) -> Option<()> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.write_all(b"GET /-/ready HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.contains(" 200 ").then_some(())
}

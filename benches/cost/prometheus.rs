//! A real Prometheus with alerting rules.

use std::{
    fmt::Write as _,
    fs,
    process::{Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;

use crate::{
    support::{Running, free_port, wait::until},
    watching::Question,
};

/// Rules of a group are evaluated one after the other, groups beside one
/// another.
const GROUP: usize = 100;

/// A server; dropped, it is gone with its data.
pub(crate) struct Prometheus {
    /// Its base URL.
    pub(crate) url: String,
    process: Running,
    _directory: TempDir,
}

impl Prometheus {
    /// Starts one that reads a page of this machine and evaluates these.
    pub(crate) fn start(page: u16, every: Duration, questions: &[Question]) -> Self {
        let directory = TempDir::with_prefix("rbtest-prometheus-").unwrap();
        let port = free_port();
        let (path, every) = (directory.path(), every.as_secs());
        fs::write(
            path.join("prometheus.yml"),
            format!(
                "global: {{scrape_interval: {every}s, evaluation_interval: {every}s, scrape_timeout: 900ms}}\n\
                 rule_files: [rules.yml]\nscrape_configs:\n- job_name: app\n  static_configs: \
                 [{{targets: ['127.0.0.1:{page}']}}]\n"
            ),
        )
        .unwrap();
        fs::write(path.join("rules.yml"), rules(questions)).unwrap();
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", path.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", path.join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("prometheus is there: sh tests/bring-tools.sh");
        let url = format!("http://127.0.0.1:{port}");
        let server = Self { url, process: Running(process), _directory: directory };
        until("Prometheus is ready", || server.page("-/ready"));
        server
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.0.id()
    }

    /// How often a group of rules was not evaluated because it was late.
    pub(crate) fn missed(&self) -> f64 {
        let metrics = self.page("metrics").unwrap_or_default();
        let name = "prometheus_rule_group_iterations_missed_total";
        let lines = metrics.lines().filter(|line| line.starts_with(name));
        lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }

    fn page(&self, path: &str) -> Option<String> {
        use std::io::{Read, Write};
        let authority = self.url.strip_prefix("http://")?;
        let mut stream = std::net::TcpStream::connect(authority).ok()?;
        write!(stream, "GET /{path} HTTP/1.0\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.contains(" 200 ").then_some(answer)
    }
}

fn rules(questions: &[Question]) -> String {
    let mut rules = String::from("groups:\n");
    for (number, group) in questions.chunks(GROUP).enumerate() {
        writeln!(rules, "- name: g{number}\n  rules:").unwrap();
        for question in group {
            let Question { name, above, hold, .. } = question;
            let query = question.query();
            writeln!(
                rules,
                "  - {{alert: {name}, expr: '{query} > {above}', for: {}s}}",
                hold.as_secs()
            )
            .unwrap();
        }
    }
    rules
}

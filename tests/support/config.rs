//! The daemon's configuration for a test: the usual one, only faster, and what
//! the test is about.

use super::{engine::host, mail::MailSink, project::Project};

/// A configuration in the making.
pub struct Config {
    head: String,
    project: String,
    rest: String,
}

impl Config {
    /// A project with times of seconds and no trigger but the implicit ones.
    pub fn new(project: &Project) -> Self {
        Self {
            head: "state_dir = \"state\"\n[api]\nsocket = \"rollbackd.sock\"\n".into(),
            project: format!(
                "[project.{}]\nbake = \"30s\"\nsettle = \"1s\"\ngrace = \"1s\"\n\
                 recover_within = \"30s\"\n",
                project.name
            ),
            rest: String::new(),
        }
    }

    /// Mails go there.
    pub fn mail(mut self, sink: &MailSink) -> Self {
        self.head += &format!(
            "[email]\nserver = \"smtp://127.0.0.1:{}\"\nfrom = \"rollbackd@test.invalid\"\n\
             to = [\"ops@test.invalid\"]\n",
            sink.port
        );
        self
    }

    /// Tables before the project's: sources, `[docker]`.
    pub fn table(mut self, text: &str) -> Self {
        self.head += text;
        self.head.push('\n');
        self
    }

    /// Keys of the project.
    pub fn key(mut self, text: &str) -> Self {
        self.project += text;
        self.project.push('\n');
        self
    }

    /// Another bake than the 30 seconds of tests.
    pub fn bake(self, lasts: &str) -> Self {
        self.instead("bake = \"30s\"", &format!("bake = \"{lasts}\""))
    }

    /// Another value for a key that [`Config::new`] has written.
    pub fn instead(mut self, usual: &str, key: &str) -> Self {
        assert!(self.project.contains(usual), "{usual} is not in {}", self.project);
        self.project = self.project.replace(usual, key);
        self
    }

    /// A trigger on `web` with these keys.
    pub fn trigger(mut self, project: &Project, keys: &str) -> Self {
        self.rest += &format!("[[project.{}.trigger]]\nservice = \"web\"\n{keys}\n", project.name);
        self
    }

    /// Tables after the project's.
    #[allow(dead_code, reason = "each binary uses what it needs")]
    pub fn after(mut self, text: &str) -> Self {
        self.rest += text;
        self
    }

    /// Errors over 5 % for 4 seconds, from `web`'s own metrics page.
    pub fn errors(self, project: &Project) -> Self {
        self.table("[source.page]\nkind = \"scrape\"\nservice = \"web\"\nport = 8080\n").trigger(
            project,
            "signal = \"error_rate\"\nsource = \"page\"\nabove = \"5%\"\nfor = \"4s\"\n\
             window = \"2s\"\nevery = \"1s\"\n",
        )
    }

    /// Health: two failures within 20 seconds, or a start that takes longer
    /// than 4 seconds.
    pub fn health(self, project: &Project) -> Self {
        self.key("start_timeout = \"4s\"")
            .trigger(project, "signal = \"health\"\nfailures = 2\nfor = \"20s\"\nevery = \"1s\"\n")
    }

    /// The file's text.
    pub fn text(&self) -> String {
        let docker = match self.head.contains("[docker]") {
            true => String::new(),
            false => format!("[docker]\nhost = \"{}\"\n", host()),
        };
        format!("{}\n{docker}\n{}\n{}", self.head, self.project, self.rest)
    }
}

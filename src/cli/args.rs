//! The arguments, as the contract has them. Commands that are not built yet
//! are not shown.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use rollbackd_core::{
    event::{Goal, WantedImage},
    words::{IncidentId, ProjectName, RevisionNo, ServiceName},
};

use crate::cli::at::At;

/// Watches a Docker Compose project after each deployment and puts the previous
/// images back when its numbers break.
#[derive(Debug, Parser)]
#[command(name = "rollbackd", version, max_term_width = 100, disable_help_subcommand = true)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// Taken before and after the command.
#[derive(Debug, Args)]
pub(super) struct Global {
    /// The configuration [default: /etc/rollbackd/rollbackd.toml]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "ROLLBACKD_CONFIG",
        hide_env_values = true
    )]
    pub(super) config: Option<PathBuf>,
    /// The daemon's socket; else what the configuration says
    #[arg(long, global = true, value_name = "PATH")]
    pub(super) socket: Option<PathBuf>,
    /// Results and errors as one JSON document
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Say more; twice: even more
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(super) verbose: u8,
    /// Say only what was asked for
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(super) quiet: bool,
    /// Colours
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(super) color: Color,
}

impl Global {
    /// The configuration: the one that was named, else the usual one.
    pub(super) fn config(&self) -> &Path {
        self.config.as_deref().unwrap_or(Path::new("/etc/rollbackd/rollbackd.toml"))
    }
}

/// What the exit codes of `wait` and `deploy` mean.
const VERDICTS: &str = "\
Exit codes: 0 good; 1 breached and not rolled back, or COMMAND failed; 3 the daemon cannot be \
reached; 4 refused, or nobody can tell; 5 rolled back, and not recovered or unverified; \
6 rolled back and recovered; 7 time ran out";

/// When output has colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// The daemon, in the foreground
    Run,
    /// Every problem of the configuration, each with its place and a hint
    Check {
        /// Also ask each source, the engine, Compose and the mail server once
        #[arg(long)]
        live: bool,
    },
    /// What runs, since when, whether it is armed, and each signal against its threshold
    Status {
        /// Draw it again every second
        #[arg(long, conflicts_with = "check")]
        watch: bool,
        /// Exit with 4 when a watched service is unarmed
        #[arg(long)]
        check: bool,
    },
    /// Why it did or did not act: each trigger and each guard, with its values
    Why {
        /// The service
        #[arg(value_name = "PROJECT/SERVICE")]
        target: Target,
        /// A past moment: "03:12", "10m" (ago) or "2026-11-21T03:12:00Z"
        #[arg(long, value_name = "TIME")]
        at: Option<At>,
    },
    /// What can be returned to, and what each deployment changed
    Revisions {
        /// One project; else all
        project: Option<ProjectArgument>,
    },
    /// Rollbacks and refusals; with an ID one whole
    History {
        /// The ID, as `history` lists it
        #[arg(value_parser = incident)]
        id: Option<IncidentId>,
    },
    /// Go back by hand
    Rollback(Rollback),
    /// Undo the last rollback, and clear the bad mark
    Forward {
        /// The project, or one service of it
        #[arg(value_name = "PROJECT[/SERVICE]")]
        target: Target,
        #[command(flatten)]
        acting: Acting,
    },
    /// Stop a running rollback after its present step, and say what state that leaves
    Abort {
        /// The ID, as `history` lists it
        #[arg(value_parser = incident)]
        id: IncidentId,
    },
    /// Run a command that deploys, then wait as `wait` does
    #[command(after_help = VERDICTS)]
    Deploy {
        /// The project that it deploys
        project: ProjectArgument,
        /// How long the whole may take; the command itself is never ended
        #[arg(long, value_name = "TIME", default_value = "45m", value_parser = some_time)]
        timeout: Duration,
        /// The command and its arguments, after `--`
        #[arg(last = true, required = true, value_name = "COMMAND")]
        command: Vec<OsString>,
    },
    /// Wait until the newest deployment is known to be good, or is not
    #[command(after_help = VERDICTS)]
    Wait {
        /// The project
        project: ProjectArgument,
        /// How long
        #[arg(long, value_name = "TIME", default_value = "45m", value_parser = some_time)]
        timeout: Duration,
    },
    /// Hold automatic action; alerts go on
    Pause {
        /// One project; else all
        project: Option<ProjectArgument>,
        /// For how long, as "1h 30m"; else until `resume`
        #[arg(long = "for", value_name = "TIME", value_parser = some_time)]
        lasts: Option<Duration>,
        /// Why, for `status`
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        reason: String,
    },
    /// Let automatic action go on
    Resume {
        /// One project; else all
        project: Option<ProjectArgument>,
    },
    /// Send a test message through every channel, and report each
    TestNotify,
    /// What a shell completes after `rollbackd`, for packages
    Completions {
        /// The shell
        shell: Shell,
    },
    /// The manual, for packages
    Man {
        /// Write every page there; else the first is printed
        #[arg(value_name = "DIRECTORY")]
        directory: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(super) struct Rollback {
    /// The project, or one service of it
    #[arg(value_name = "PROJECT[/SERVICE]")]
    pub(super) target: Target,
    /// The revision, as `revisions` lists it, or an image for one service; else the last good revision
    #[arg(long, value_name = "REV|IMAGE", value_parser = goal)]
    pub(super) to: Option<Goal>,
    /// Why, for the history
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(super) reason: String,
    /// Only print the exact steps
    #[arg(long)]
    pub(super) dry_run: bool,
    #[command(flatten)]
    pub(super) acting: Acting,
}

/// What every command that changes what runs takes.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Acting {
    /// Do not ask
    #[arg(long, short = 'y')]
    pub(super) yes: bool,
    /// Return when it has begun; else when it has ended
    #[arg(long)]
    pub(super) no_wait: bool,
}

/// `PROJECT` or `PROJECT/SERVICE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) project: ProjectName,
    pub(super) service: Option<ServiceName>,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (project, service) = match text.split_once('/') {
            Some((project, service)) => (project, Some(service)),
            None => (text, None),
        };
        if project.is_empty() || service.is_some_and(|name| name.is_empty() || name.contains('/')) {
            return Err("a target is a project, or a project and a service: shop/backend".into());
        }
        Ok(Self { project: project.into(), service: service.map(ServiceName::from) })
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.service {
            Some(service) => write!(f, "{}/{service}", self.project),
            None => write!(f, "{}", self.project),
        }
    }
}

/// A project's name; a service is not meant here.
#[derive(Clone, Debug)]
pub(super) struct ProjectArgument(pub(super) ProjectName);

impl FromStr for ProjectArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.contains('/') {
            return Err("this is about a whole project: give its name alone".into());
        }
        Ok(Self(text.into()))
    }
}

/// `2` or `r2`; anything else that can be one is an image.
fn goal(text: &str) -> Result<Goal, String> {
    let digits = text.strip_prefix('r').unwrap_or(text);
    if let Some(number) = digits.parse().ok().filter(|number| *number > 0) {
        return Ok(Goal::Revision(RevisionNo(number)));
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
    let starts = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !starts || !text.chars().all(fits) || digits.bytes().all(|byte| byte == b'0') {
        return Err(
            "a revision is a number as `rollbackd revisions` lists it (2 or r2), an image \
             is written as `shop:previous`, `shop@sha256:...` or `sha256:...`"
                .into(),
        );
    }
    Ok(Goal::Image(WantedImage { reference: text.to_owned(), id: None }))
}

/// As people write it; a pause of nothing would hold nothing and still be told.
/// Nobody waits for no time either.
fn some_time(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(lasts) if lasts.is_zero() => Err("that is no time: write 30m or 1h, say".into()),
        read => read.map_err(|why| why.to_string()),
    }
}

/// `7` or `#7`.
fn incident(text: &str) -> Result<IncidentId, String> {
    match text.strip_prefix('#').unwrap_or(text).parse() {
        Ok(number) if number > 0 => Ok(IncidentId(number)),
        _ => Err("an ID is a number as `rollbackd history` lists it: 7".into()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(words: &str) -> Arguments {
        Arguments::try_parse_from(words.split(' ')).unwrap()
    }

    #[test]
    fn the_arguments_are_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn global_flags_are_taken_before_and_after_the_command() {
        for words in [
            "rollbackd --json -v --socket /s --config /c --color never status",
            "rollbackd status --json -v --socket /s --config /c --color never",
            "rollbackd --json status -v --socket /s --color never --config /c",
        ] {
            let Global { config, socket, json, verbose, color, .. } = parse(words).global;
            assert_eq!(
                (config, socket),
                (Some(PathBuf::from("/c")), Some(PathBuf::from("/s"))),
                "{words}"
            );
            assert_eq!((json, verbose, color), (true, 1, Color::Never), "{words}");
        }
    }

    #[test]
    fn a_target_is_a_project_or_one_of_its_services() {
        assert_eq!("shop".parse(), Ok(Target { project: "shop".into(), service: None }));
        let backend = Target { project: "shop".into(), service: Some("backend".into()) };
        assert_eq!("shop/backend".parse(), Ok(backend.clone()));
        assert_eq!(backend.to_string(), "shop/backend");
        for wrong in ["", "/", "/backend", "shop/", "shop/backend/1"] {
            wrong.parse::<Target>().unwrap_err();
        }
    }

    #[test]
    fn a_revision_may_be_written_as_it_is_shown() {
        assert_eq!(goal("2"), Ok(Goal::Revision(RevisionNo(2))));
        assert_eq!(goal("r2"), Ok(Goal::Revision(RevisionNo(2))));
        for wrong in ["0", "r0", "-1", ""] {
            goal(wrong).unwrap_err();
        }
    }

    #[test]
    fn what_is_no_revision_is_an_image() {
        for image in ["shop:previous", "127.0.0.1:5000/team/shop:1.2", "shop", "rr2", "sha256:0a"] {
            let wanted = WantedImage { reference: image.to_owned(), id: None };
            assert_eq!(goal(image), Ok(Goal::Image(wanted)), "{image}");
        }
        for wrong in ["shop previous", "-shop", "$(shop)", "shop;ls"] {
            goal(wrong).unwrap_err();
        }
    }

    #[test]
    fn quiet_and_verbose_exclude_each_other() {
        let error = Arguments::try_parse_from(["rollbackd", "-q", "-v", "status"]).unwrap_err();
        assert_eq!(error.kind(), clap::error::ErrorKind::ArgumentConflict);
    }

    #[test]
    fn a_pause_takes_its_length_as_people_write_it() {
        let Command::Pause { lasts, .. } =
            Arguments::try_parse_from(["rollbackd", "pause", "--for", "1h 30m"]).unwrap().command
        else {
            panic!("not a pause");
        };
        assert_eq!(lasts, Some(Duration::from_secs(5400)));
    }

    #[test]
    fn a_pause_of_no_time_is_refused() {
        let pause = ["rollbackd", "pause", "--for", "0s"];
        let error = Arguments::try_parse_from(pause).unwrap_err().to_string();
        assert!(error.contains("that is no time"), "{error}");
    }

    #[test]
    fn commands_of_later_are_not_shown() {
        let mut names: Vec<_> = Arguments::command()
            .get_subcommands()
            .map(|command| command.get_name().to_owned())
            .collect();
        names.sort();
        let built = "abort check completions deploy forward history man pause resume revisions \
                     rollback run status test-notify wait why";
        assert_eq!(names.join(" "), built);
    }
}

//! What the words of the file mean: defaults, and what a trigger takes from its
//! project.

use std::{path::PathBuf, time::Duration};

use rollbackd_core::{
    settings::{
        Action, AfterBake, Blame, Clear, Condition, Hold, Mode, NotRecovered, OnBlind, Order, Scope,
    },
    signal::Signal,
};

use super::{EMAIL, loaded, only, read, usable, with_project, with_trigger};
use crate::config::{
    self,
    settings::{
        Ask, ComposeCommand, ComposeFiles, Config, KeepBy, MailSecurity, Page, Secret, Source,
        Watch,
    },
};

const MINUTE: Duration = Duration::from_secs(60);

/// Twenty lines are enough to be safe.
const SMALL: &str = r#"
[email]
server = "smtp://127.0.0.1:25"
from = "rollbackd@example.com"
to = ["ops@example.com"]

[source.page]
kind = "scrape"
service = "backend"
port = 3000

[project.shop]

[[project.shop.trigger]]
service = "backend"
signal = "error_rate"
source = "page"
above = "5%"
for = "5m"
"#;

fn watches(config: &Config, service: &str) -> Vec<Watch> {
    let all = config.projects[0].watches.iter();
    all.filter(|watch| watch.trigger.service.as_str() == service).cloned().collect()
}

/// The written trigger of [`with_trigger`].
fn trigger(lines: &str) -> Watch {
    watches(&loaded(&with_trigger(lines)).config, "backend").remove(0)
}

#[test]
fn what_is_left_out_is_as_the_contract_says() {
    let config = loaded(SMALL).config;
    assert_eq!(config.path, PathBuf::from("/etc/rollbackd/rollbackd.toml"));
    assert_eq!(config.state_dir, PathBuf::from("/var/lib/rollbackd"));
    assert_eq!(config.api.socket, PathBuf::from("/run/rollbackd/rollbackd.sock"));
    assert_eq!(config.api.listen, None);
    assert_eq!(config.docker.host, "unix:///var/run/docker.sock");
    assert_eq!(config.docker.compose, ComposeCommand::Auto);
    let project = &config.projects[0];
    assert_eq!((project.keep_by, project.keep_max), (KeepBy::Anchor, 10 * 1024 * 1024 * 1024));
    assert_eq!(project.files, ComposeFiles::default());
    let settings = &project.settings;
    assert_eq!(settings.name.as_str(), "shop");
    assert_eq!((settings.mode, settings.after_bake), (Mode::Act, AfterBake::Alert));
    assert_eq!((settings.scope, settings.order), (Scope::Deployment, Order::StopFirst));
    assert_eq!((settings.bake, settings.settle, settings.grace), (MINUTE * 30, MINUTE, MINUTE));
    assert_eq!((settings.start_timeout, settings.drain), (MINUTE, Duration::from_secs(2)));
    assert_eq!((settings.cooldown, settings.recover_within), (MINUTE * 15, MINUTE * 10));
    assert_eq!((settings.keep, settings.max_rollbacks, settings.max_depth), (3, 3, 1));
    assert_eq!((settings.not_recovered, settings.stateful), (NotRecovered::Stay, false));
    let trigger = &project.watches[0].trigger;
    assert_eq!(
        (trigger.every, trigger.max_gap),
        (Duration::from_secs(15), Duration::from_secs(45))
    );
    assert_eq!((trigger.on_blind, trigger.action), (OnBlind::Ignore, Action::Rollback));
    assert_eq!(trigger.name, "backend error_rate");
    assert_eq!((trigger.clear, trigger.blame), (Clear::default(), Blame::Careful));
    assert_eq!((&trigger.group, trigger.for_known_bad), (&None, Duration::from_secs(100)));
    assert_eq!(settings.groups, []);
    let window = Duration::from_secs(100);
    let ask = Ask::Scrape { source: "page".into(), window, min_requests: 20 };
    assert_eq!(project.watches[0].ask, ask);
    assert_eq!(trigger.looks_back, window);
}

#[test]
fn every_service_with_a_trigger_is_watched_by_its_health() {
    let config = loaded(SMALL).config;
    let health = &config.projects[0].watches[1];
    assert_eq!(health.trigger.signal, Signal::Health);
    assert_eq!(health.trigger.condition, Condition::AtLeast(3.0));
    assert_eq!(health.trigger.hold, Hold::For(Duration::ZERO));
    assert_eq!(health.trigger.grace, Duration::ZERO);
    assert_eq!(health.trigger.source, "docker");
    assert_eq!(health.ask, Ask::Container { window: MINUTE * 5 });
    let written = trigger("signal = \"health\"");
    assert_eq!(written.trigger.id, health.trigger.id);
    assert_eq!(written, *health);
    let failures = trigger("signal = \"health\"\nfailures = 5\nfor = \"2m\"");
    assert_eq!(failures.trigger.condition, Condition::AtLeast(5.0));
    assert_eq!(failures.ask, Ask::Container { window: MINUTE * 2 });
}

#[test]
fn health_is_turned_off_for_a_project_or_a_service() {
    let signals = |text: &str| -> Vec<String> {
        let config = loaded(text).config;
        let watches = config.projects[0].watches.iter();
        watches.map(|watch| format!("{} {}", watch.trigger.service, watch.trigger.signal)).collect()
    };
    let off = SMALL.replace("[project.shop]", "[project.shop]\nhealth = false");
    assert_eq!(signals(&off), ["backend error_rate"]);
    let service = format!("{SMALL}[project.shop.service.backend]\nhealth = false\n");
    assert_eq!(signals(&service), ["backend error_rate"]);
    let on = format!("{off}[project.shop.service.backend]\nhealth = true\n");
    assert_eq!(signals(&on), ["backend error_rate", "backend health"]);
}

#[test]
fn a_trigger_may_say_otherwise_than_its_project() {
    let project = "grace = \"5s\"\nmin_requests = 7\nmax_gap = \"40s\"\nrecover_within = \"3m\"\non_blind = \"alert\"\nblames = [\"auth\"]\nblame = \"always\"\n";
    let trigger = "[[project.shop.trigger]]\nservice = \"backend\"\nsignal = \"error_rate\"\nsource = \"page\"\nabove = 0.05\nfor = \"2m\"\n";
    let own = "grace = \"6s\"\nmin_requests = 8\nmax_gap = \"0s\"\nrecover_within = \"4m\"\non_blind = \"breach\"\nblames = []\nblame = \"careful\"\n";
    let of = |text: String| {
        let Watch { trigger, ask } = watches(&loaded(&text).config, "backend").remove(0);
        let Ask::Scrape { min_requests, .. } = ask else { panic!("{ask:?}") };
        let blames: Vec<String> = trigger.blames.iter().map(ToString::to_string).collect();
        (
            trigger.grace.as_secs(),
            min_requests,
            trigger.max_gap.as_secs(),
            trigger.recover_within.as_secs(),
            trigger.on_blind,
            blames,
            trigger.blame,
        )
    };
    let text = SMALL.replace("[project.shop]\n", &format!("[project.shop]\n{project}"));
    assert_eq!(of(text), (5, 7, 40, 180, OnBlind::Alert, vec!["auth".to_owned()], Blame::Always));
    let base = &SMALL[..SMALL.find("[[project").unwrap()];
    let text = format!("{base}{project}{trigger}{own}");
    assert_eq!(of(text), (6, 8, 0, 240, OnBlind::Breach, vec![], Blame::Careful));
}

#[test]
fn a_projects_mode_is_the_files_unless_it_says_otherwise() {
    let mode = |text: String| loaded(&text).config.projects[0].settings.mode;
    assert_eq!(mode(format!("mode = \"observe\"\n{SMALL}")), Mode::Observe);
    let own = SMALL.replace("[project.shop]\n", "[project.shop]\nmode = \"act\"\n");
    assert_eq!(mode(format!("mode = \"observe\"\n{own}")), Mode::Act);
}

#[test]
fn a_share_of_samples_takes_the_place_of_all_of_them() {
    let watch = trigger(
        "signal = \"latency_p99\"\nsource = \"page\"\nabove = \"1500ms\"\nfor = \"3m\"\nshare = \"80%\"",
    );
    assert_eq!(watch.trigger.condition, Condition::Above(1.5));
    let Hold::Share { share, within } = watch.trigger.hold else {
        panic!("{:?}", watch.trigger.hold)
    };
    assert_eq!((share.get(), within), (0.8, MINUTE * 3));
}

#[test]
fn a_window_left_out_is_a_third_of_for_and_at_least_twice_every() {
    let window = |lines: &str| match trigger(&format!(
        "signal = \"error_rate\"\nsource = \"page\"\nabove = \"5%\"\n{lines}"
    ))
    .ask
    {
        Ask::Scrape { window, .. } => window.as_secs(),
        ask => panic!("{ask:?}"),
    };
    assert_eq!(window("for = \"5m\""), 100);
    assert_eq!(window("for = \"1m\""), 30);
    assert_eq!(window("for = \"0s\""), 30);
    assert_eq!(window("for = \"1m\"\nwindow = \"30s\""), 30);
    assert_eq!(window("for = \"0s\"\nwindow = \"5m\""), 300);
}

#[test]
fn a_probes_requests_have_no_minimum_unless_it_is_written() {
    let least = |lines: &str| {
        let text = with_trigger(&format!(
            "signal = \"error_rate\"\nsource = \"door\"\nabove = \"5%\"\nfor = \"3m\"\n{lines}"
        ));
        match watches(&loaded(&text).config, "backend").remove(0).ask {
            Ask::Probe { min_requests, .. } => min_requests,
            ask => panic!("{ask:?}"),
        }
    };
    assert_eq!(least(""), 0);
    assert_eq!(least("min_requests = 4"), 4);
}

#[test]
fn a_query_is_waited_for_as_long_as_it_looks_back() {
    let watch = trigger(
        "signal = \"queue\"\nsource = \"prom\"\nquery = \"max_over_time(queue[10m])\"\nabove = 100\nfor = \"1m\"\naction = \"rollback\"",
    );
    assert_eq!(watch.trigger.looks_back, MINUTE * 10);
    assert_eq!(watch.trigger.signal, Signal::Own("queue".into()));
    assert_eq!(
        watch.ask,
        Ask::Prometheus { source: "prom".into(), query: "max_over_time(queue[10m])".into() }
    );
}

#[test]
fn the_engine_is_the_source_of_what_only_it_knows() {
    let watch = trigger("signal = \"cpu\"\nabove = \"80%\"\nfor = \"5m\"\naction = \"alert\"");
    assert_eq!(watch.trigger.source, "docker");
    assert_eq!(watch.ask, Ask::Container { window: Duration::from_secs(100) });
    let restarts = trigger(
        "signal = \"restarts\"\nabove = 3\nfor = \"0s\"\nwindow = \"10m\"\naction = \"rollback\"",
    );
    assert_eq!(restarts.ask, Ask::Container { window: MINUTE * 10 });
    let queried = trigger(
        "signal = \"memory\"\nsource = \"prom\"\nquery = \"mem\"\nabove = \"80%\"\nfor = \"5m\"\naction = \"alert\"",
    );
    assert_eq!(queried.trigger.source, "prom");
}

#[test]
fn an_identity_lasts_while_a_trigger_measures_the_same() {
    let of = |lines: &str| {
        trigger(&format!("signal = \"error_rate\"\nsource = \"page\"\n{lines}")).trigger
    };
    let (five, ten) = (of("above = \"5%\"\nfor = \"5m\""), of("above = \"10%\"\nfor = \"5m\""));
    assert_eq!((&five.id, &five.measures), (&ten.id, &ten.measures));
    let longer = of("above = \"5%\"\nfor = \"10m\"");
    assert_eq!(five.id, longer.id);
    assert_ne!(five.measures, longer.measures, "its window is another");
    let named = of("name = \"errors\"\nabove = \"5%\"\nfor = \"5m\"");
    assert_eq!(named.id.as_str(), "errors");
    assert_eq!(named.name, "errors");
}

#[test]
fn a_named_trigger_that_turns_to_another_service_measures_something_else() {
    let of = |service: &str| {
        let text = format!(
            "{EMAIL}[[project.shop.trigger]]\nname = \"load\"\nservice = \"{service}\"\nsignal = \"cpu\"\n\
             above = \"80%\"\nfor = \"5m\"\naction = \"alert\"\n"
        );
        loaded(&text).config.projects[0].watches[0].trigger.clone()
    };
    let (web, api) = (of("web"), of("api"));
    assert_eq!(web.id, api.id);
    assert_ne!(web.measures, api.measures, "its window starts empty");
}

#[test]
fn projects_keep_the_files_order() {
    let text = "[project.zoo]\nmode = \"observe\"\n[project.app]\nmode = \"observe\"\n";
    let names: Vec<String> = usable(text)
        .config
        .projects
        .iter()
        .map(|project| project.settings.name.to_string())
        .collect();
    assert_eq!(names, ["zoo", "app"]);
}

#[test]
fn a_mail_server_is_written_as_a_url() {
    let mail = |server: &str, more: &str| {
        let text = SMALL
            .replace("server = \"smtp://127.0.0.1:25\"", &format!("server = \"{server}\"\n{more}"));
        usable(&text).config.email.unwrap()
    };
    let of = |server: &str| {
        let mail = mail(server, "");
        (mail.host, mail.port, mail.security, mail.user)
    };
    let user = |name: &str| Some(name.to_owned());
    assert_eq!(
        of("smtp://mail.example.com"),
        ("mail.example.com".into(), 25, MailSecurity::Plain, None)
    );
    assert_eq!(of("smtp+starttls://ops@h"), ("h".into(), 587, MailSecurity::StartTls, user("ops")));
    assert_eq!(
        of("smtps://ops@a.example@h:99/"),
        ("h".into(), 99, MailSecurity::Tls, user("ops@a.example"))
    );
    assert_eq!(of("smtp://[::1]:2525"), ("::1".into(), 2525, MailSecurity::Plain, None));
    let secret = |path: &str| Some(Secret { file: path.into() });
    assert_eq!(mail("smtps://h", "").password, None);
    assert_eq!(mail("smtps://ops@h", "").password, secret("/etc/rollbackd/smtp-password"));
    assert_eq!(
        mail("smtps://ops@h", "password_file = \"pw\"").password,
        secret("/etc/rollbackd/pw")
    );
    assert_eq!(mail("smtps://ops@h", "password_file = \"/run/pw\"").password, secret("/run/pw"));
}

#[test]
fn relative_paths_are_relative_to_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rollbackd.toml");
    let text = format!(
        "state_dir = \"state\"\n[api]\nsocket = \"s.sock\"\n[docker]\ncompose = \"./bin/compose --x\"\n{SMALL}"
    );
    std::fs::write(&path, text).unwrap();
    let config = config::load(&path).unwrap().config;
    assert_eq!(config.state_dir, dir.path().join("state"));
    assert_eq!(config.api.socket, dir.path().join("s.sock"));
    let program = dir.path().join("./bin/compose").to_string_lossy().into_owned();
    assert_eq!(config.docker.compose, ComposeCommand::Words(vec![program, "--x".into()]));
}

#[test]
fn a_source_says_whom_it_trusts_and_how_it_is_asked() {
    let text = with_project("").replace(
        "url = \"http://127.0.0.1:9090\"",
        "url = \"https://prom.example.com/base\"\nuser = \"ops\"\npassword_file = \"pw\"\nca_file = \"ca.pem\"\ntimeout = \"3s\"",
    );
    let config = loaded(&text).config;
    let Source::Prometheus(prom) = &config.sources["prom"] else { panic!() };
    assert_eq!(prom.url.as_str(), "https://prom.example.com/base");
    assert_eq!(prom.auth.basic, Some(("ops".into(), Secret { file: "/etc/rollbackd/pw".into() })));
    assert_eq!(prom.auth.ca_file, Some("/etc/rollbackd/ca.pem".into()));
    assert_eq!(prom.timeout, Duration::from_secs(3));
    let Source::Scrape(page) = &config.sources["page"] else { panic!() };
    let containers =
        Page::Containers { service: "backend".into(), port: 3000, path: "/metrics".into() };
    assert_eq!((&page.page, page.error_status.as_str()), (&containers, "5.."));
    assert_eq!(page.timeout, Duration::from_secs(5));
    let Source::Probe(door) = &config.sources["door"] else { panic!() };
    assert_eq!((door.expect.as_slice(), door.timeout), ([200].as_slice(), Duration::from_secs(2)));
}

#[test]
fn a_file_that_cannot_be_read_is_one_problem_in_line_1() {
    let dir = tempfile::tempdir().unwrap();
    let said = |path: &std::path::Path| {
        let rejected = config::load(path).unwrap_err();
        assert_eq!(rejected.problems.len(), 1);
        assert_eq!((rejected.problems[0].line, rejected.problems[0].column), (1, 1));
        rejected.to_string().replace(&*dir.path().to_string_lossy(), "DIR")
    };
    let binary = dir.path().join("binary");
    std::fs::write(&binary, b"a\n\xff").unwrap();
    let pipe = dir.path().join("pipe");
    let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, mode, 0).unwrap();
    let all = [dir.path(), &dir.path().join("none"), &binary, &pipe, "/dev/zero".as_ref()];
    insta::assert_snapshot!(all.map(said).join("\n"), @r##"
    DIR:1:1: the configuration cannot be read: this is a directory; name the file in it: --config DIRECTORY/rollbackd.toml
    DIR/none:1:1: the configuration cannot be read: there is no such file; name one with --config or $ROLLBACKD_CONFIG; the commented reference is config/rollbackd.toml
    DIR/binary:1:1: the configuration is no UTF-8 text: see line 2; save it as UTF-8
    DIR/pipe:1:1: the configuration cannot be read: this is a pipe or a device, and no file; write it to a file, and name that: it is read again at each reload
    /dev/zero:1:1: the configuration cannot be read: this is a pipe or a device, and no file; write it to a file, and name that: it is read again at each reload
    "##);
}

#[test]
fn a_byte_order_mark_and_carriage_returns_do_no_harm() {
    let text = format!("\u{feff}{}", SMALL.replace('\n', "\r\n"));
    assert_eq!(read(&text).unwrap().config, loaded(SMALL).config);
    let said = only(&text.replace("above", "abvoe"));
    assert!(said.starts_with("error 18:1 `abvoe` is no key"), "{said}");
}

#[test]
fn a_projects_own_directory_is_relative_to_the_file_and_its_files_to_that() {
    let said = with_project(
        "dir = \"shop\"\nfiles = [\"compose.yml\", \"/etc/more.yml\"]\n\
         env_files = \"production.env\"\nprofiles = [\"a\", \"b.c\"]",
    );
    let config = usable(&said).config;
    let files = &config.projects[0].files;
    let at = files.dir.as_ref().unwrap();
    assert!(at.is_absolute() && at.ends_with("shop"), "{at:?}");
    assert_eq!(files.files, [PathBuf::from("compose.yml"), PathBuf::from("/etc/more.yml")]);
    assert_eq!(files.env_files, [PathBuf::from("production.env")]);
    assert_eq!(files.profiles, ["a", "b.c"]);
    let said = only(&with_project("profiles = [\"a b\"]"));
    assert!(said.contains("names of profiles"), "{said}");
}

use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const WINDOW: Duration = Duration::from_secs(300);
const PATIENCE: Duration = Duration::from_secs(60);
/// When the ledger begins, in seconds since 1970.
const BEGAN: u64 = 1_800_000_000;

fn at(second: u64) -> Moment {
    Moment::ZERO + SECOND * u32::try_from(BEGAN + second).unwrap()
}

/// A container of the service `web`; times are seconds after the beginning.
#[derive(Clone)]
struct Made {
    document: Value,
}

fn stamp(second: i64) -> String {
    Timestamp::from_second(BEGAN as i64 + second).unwrap().to_string()
}

fn web(id: &str, status: &str, code: i64) -> Made {
    let document = json!({
        "Id": id, "Name": format!("/shop-{id}"), "Image": "", "Created": stamp(-1000),
        "Config": { "Labels": {
            "com.docker.compose.project": "shop", "com.docker.compose.service": "web",
            "com.docker.compose.oneoff": "False",
        } },
        "HostConfig": { "RestartPolicy": { "Name": "on-failure" } },
        "State": {
            "Status": status, "Running": status == "running", "ExitCode": code,
            "StartedAt": stamp(-999), "FinishedAt": "0001-01-01T00:00:00Z",
            "Restarting": status == "restarting",
        },
    });
    Made { document }
}

impl Made {
    fn with(mut self, pointer: &str, value: impl Into<Value>) -> Self {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let parent = match parent {
            "" => &mut self.document,
            parent => self.document.pointer_mut(parent).unwrap(),
        };
        parent[name] = value.into();
        self
    }

    fn unhealthy(self, streak: u32) -> Self {
        self.with("/State/Health", json!({ "Status": "unhealthy", "FailingStreak": streak }))
    }

    fn policy(self, name: &str) -> Self {
        self.with("/HostConfig/RestartPolicy/Name", name)
    }

    fn ended(self, second: i64) -> Self {
        self.with("/State/FinishedAt", stamp(second))
    }
}

struct Story {
    ledger: Ledger,
    now: u64,
}

impl Story {
    fn new() -> Self {
        Self { ledger: Ledger::new(WINDOW, at(0)), now: 0 }
    }

    /// The project as it is found at a second.
    fn look(&mut self, second: u64, containers: &[Made]) -> &mut Self {
        self.now = second;
        let moment = |time: Timestamp| Moment::from_nanos(time.as_nanosecond() as u64);
        let read: Vec<_> =
            containers.iter().map(|c| Container::read(c.document.clone()).unwrap()).collect();
        let looks: Vec<_> = read
            .iter()
            .map(|container| Look {
                container,
                created: container.created.map(moment),
                started: container.started.map(moment),
                finished: container.finished.map(moment),
            })
            .collect();
        self.ledger.look(at(second), &looks);
        self
    }

    fn hear(&mut self, second: u64, id: &str, what: What) -> &mut Self {
        self.now = second;
        self.ledger.hear(&ContainerEvent {
            at: at(second),
            id: ContainerId::new(id),
            name: format!("shop-{id}"),
            project: Some("shop".into()),
            service: Some("web".into()),
            one_off: false,
            what,
        });
        self
    }

    fn health(&self) -> f64 {
        self.health_at(self.now)
    }

    fn health_at(&self, second: u64) -> f64 {
        match self.ledger.health(&"web".into(), at(second), WINDOW, PATIENCE) {
            Reading::Value(value) => value,
            Reading::Missing(why) => panic!("{why}"),
        }
    }

    fn restarts(&self) -> f64 {
        match self.ledger.restarted(&"web".into(), at(self.now), WINDOW) {
            Reading::Value(value) => value,
            Reading::Missing(why) => panic!("{why}"),
        }
    }

    fn described(&self) -> String {
        self.ledger.describe(&"web".into(), at(self.now), PATIENCE)
    }
}

fn db() -> Made {
    web("db", "running", 0).with("/Config/Labels/com.docker.compose.service", "db")
}

#[test]
fn the_failing_streak_of_an_unhealthy_container_is_the_value() {
    let mut story = Story::new();
    story.look(1, &[web("a", "running", 0).unhealthy(4), web("b", "running", 0).unhealthy(3)]);
    assert_eq!(story.health(), 4.0);
    insta::assert_snapshot!(story.described(), @"shop-a runs, unhealthy 4 times; shop-b runs, unhealthy 3 times");
    // A streak before the engine calls it unhealthy is not yet a failure.
    let starting = json!({ "Status": "healthy", "FailingStreak": 2 });
    story.look(2, &[web("a", "running", 0).with("/State/Health", starting)]);
    assert_eq!(story.health(), 0.0);
}

#[test]
fn what_is_told_in_an_unknown_word_is_missing_and_not_well() {
    let read = |story: &Story| story.ledger.health(&"web".into(), at(2), WINDOW, PATIENCE);
    let odd = || web("a", "running", 0).with("/State/Health", json!({ "Status": "odd" }));
    let mut story = Story::new();
    story.look(1, &[odd(), web("b", "running", 0)]);
    assert!(matches!(read(&story), Reading::Missing(_)), "{:?}", read(&story));
    // What is known to be bad stays bad.
    story.look(2, &[odd(), web("b", "running", 0).unhealthy(4)]);
    assert_eq!(read(&story), Reading::Value(4.0));
    let mut story = Story::new();
    story.look(1, &[web("a", "frozen", 0)]);
    assert!(matches!(read(&story), Reading::Missing(_)), "{:?}", read(&story));
    // One that is being removed says nothing of the other.
    story.look(2, &[web("a", "removing", 0), web("b", "running", 0)]);
    assert_eq!(read(&story), Reading::Value(0.0));
}

#[test]
fn bad_exits_are_counted_within_the_window() {
    let mut story = Story::new();
    story.look(1, &[web("a", "running", 0)]);
    for second in [10, 20, 30] {
        story.hear(second, "a", What::Die(1)).hear(second + 1, "a", What::Start);
    }
    assert_eq!(story.health(), 3.0);
    assert_eq!(story.health_at(315), 2.0);
    assert_eq!(story.health_at(400), 0.0);
    assert_eq!(
        Story::new().look(1, &[web("a", "running", 0)]).hear(2, "a", What::Die(0)).health(),
        0.0
    );
}

#[test]
fn what_somebody_asked_for_is_no_failure() {
    let mut story = Story::new();
    story.look(1, &[web("a", "running", 0)]);
    // `docker compose stop`, an app that exits with 1 on SIGTERM.
    story.hear(10, "a", What::Kill).hear(12, "a", What::Die(1)).hear(12, "a", What::Stop);
    assert_eq!(story.health(), 0.0);
    assert_eq!(story.health_at(1000), 0.0);
    story.look(900, &[web("a", "exited", 1).policy("no").ended(12)]);
    assert_eq!(story.health(), 0.0);
    // The stop told before the exit, as newer engines do.
    let mut story = Story::new();
    story.look(1, &[web("a", "running", 0)]);
    story.hear(10, "a", What::Kill).hear(70, "a", What::Stop).hear(70, "a", What::Die(1));
    assert_eq!(story.health(), 0.0);
    // Long after: a slow stop that ends in the signal's own code.
    let mut story = Story::new();
    story.look(1, &[web("a", "running", 0)]);
    story.hear(10, "a", What::Kill).hear(130, "a", What::Die(143));
    assert_eq!(story.health(), 0.0);
}

#[test]
fn a_crash_long_after_a_signal_is_a_failure() {
    let mut story = Story::new();
    story.look(1, &[web("a", "running", 0)]);
    // `docker kill -s HUP` reloads it; minutes later it crashes.
    story.hear(10, "a", What::Kill).hear(200, "a", What::Die(1));
    assert_eq!(story.health(), 1.0);
    // And after a restart by hand what was asked for is over.
    let mut story = Story::new();
    story.look(1, &[web("a", "running", 0)]);
    story.hear(10, "a", What::Kill).hear(11, "a", What::Die(143)).hear(12, "a", What::Start);
    story.hear(15, "a", What::Die(1));
    assert_eq!(story.health(), 1.0);
}

#[test]
fn a_kill_for_memory_counts_once_however_it_is_told() {
    let stories: [&[(u64, What)]; 4] = [
        &[(10, What::OutOfMemory), (10, What::Die(137))],
        &[(10, What::OutOfMemory), (10, What::OutOfMemory), (11, What::Die(137))],
        &[(10, What::Die(137)), (10, What::OutOfMemory)],
        &[(10, What::Die(137))],
    ];
    for told in stories {
        let mut story = Story::new();
        story.look(1, &[web("a", "running", 0)]);
        for &(second, what) in told {
            story.hear(second, "a", what);
        }
        assert_eq!(story.health(), 1.0, "{told:?}");
        let found = web("a", "exited", 137).with("/State/OOMKilled", true).ended(10);
        assert_eq!(story.look(12, &[found]).health(), 1.0, "{told:?}");
    }
}

#[test]
fn an_exit_that_no_event_told_of_is_found_by_looking_and_once() {
    let mut story = Story::new();
    story.look(100, &[web("a", "restarting", 1).policy("always").ended(95)]);
    assert_eq!(story.health(), 1.0);
    story.look(115, &[web("a", "restarting", 1).policy("always").ended(95)]);
    assert_eq!(story.health(), 1.0);
    story.look(130, &[web("a", "restarting", 1).policy("always").ended(125)]);
    assert_eq!(story.health(), 2.0);
    // One that was heard is not found again.
    story.hear(140, "a", What::Die(1));
    story.look(145, &[web("a", "restarting", 1).policy("always").ended(140)]);
    assert_eq!(story.health(), 3.0);
}

#[test]
fn from_looking_alone_a_signals_code_is_read_as_asked_for() {
    for code in [137, 143, 130] {
        let mut story = Story::new();
        story.look(100, &[web("a", "exited", code).ended(10)]);
        assert_eq!(story.health(), 0.0, "{code}");
        let killed = web("b", "exited", code).with("/State/OOMKilled", true).ended(90);
        assert_eq!(Story::new().look(100, &[killed]).health(), 1.0, "{code}");
    }
}

#[test]
fn a_container_that_never_leaves_created_has_never_started() {
    // A wrong entrypoint: no start, no die, exit code 127.
    let stuck = web("a", "created", 127).with("/Created", stamp(10)).policy("always");
    let mut story = Story::new();
    story.look(1, &[web("old", "running", 0)]);
    story.hear(10, "a", What::Create).hear(11, "old", What::Kill).hear(11, "old", What::Die(143));
    story.hear(11, "old", What::Destroy).look(20, std::slice::from_ref(&stuck));
    assert_eq!(story.health(), 0.0);
    story.look(70, std::slice::from_ref(&stuck));
    assert_eq!(story.health(), 0.0);
    story.look(72, &[stuck]);
    assert_eq!(story.health(), f64::INFINITY);
    insta::assert_snapshot!(story.described(), @"shop-a was created and not started for longer than 1m");
}

#[test]
fn a_replacement_that_waits_for_the_old_one_to_stop_is_not_late() {
    let new = web("new", "created", 0).with("/Created", stamp(10));
    let mut story = Story::new();
    story.look(1, &[web("old", "running", 0)]);
    story.hear(10, "new", What::Create).hear(11, "old", What::Kill);
    story.look(100, &[web("old", "running", 0), new.clone()]);
    assert_eq!(story.health(), 0.0);
    story.hear(131, "old", What::Die(137)).hear(131, "old", What::Destroy);
    assert_eq!(story.look(140, std::slice::from_ref(&new)).health(), 0.0);
    assert_eq!(story.look(192, &[new]).health(), f64::INFINITY);
}

#[test]
fn a_container_that_ended_badly_and_stays_so_has_never_started() {
    let mut story = Story::new();
    story.look(1, &[web("a", "running", 0).policy("no")]);
    story.hear(10, "a", What::Die(1));
    assert_eq!(story.health(), 1.0);
    story.look(71, &[web("a", "exited", 1).policy("no").ended(10)]);
    assert_eq!(story.health(), f64::INFINITY);
    insta::assert_snapshot!(story.described(), @"shop-a ended with code 1 for longer than 1m");
}

#[test]
fn one_shot_services_and_services_that_a_person_stopped_are_well() {
    let done = web("a", "exited", 0).policy("no").ended(-500);
    assert_eq!(Story::new().look(100, &[done]).health(), 0.0);
    // It would have been restarted, had nobody stopped it.
    let stopped = web("a", "exited", 1).policy("unless-stopped").ended(-500);
    assert_eq!(Story::new().look(400, &[stopped]).health(), 0.0);
    let broken = web("a", "exited", 127).policy("unless-stopped").ended(-500);
    assert_eq!(Story::new().look(400, &[broken]).health(), f64::INFINITY);
}

#[test]
fn a_service_without_a_container_has_never_started_after_a_while() {
    let mut story = Story::new();
    story.look(1, &[web("a", "running", 0), db()]);
    story.hear(100, "a", What::Kill).hear(100, "a", What::Die(143)).hear(100, "a", What::Destroy);
    assert_eq!(story.look(150, &[db()]).health(), 0.0);
    assert_eq!(story.look(161, &[db()]).health(), f64::INFINITY);
    insta::assert_snapshot!(story.described(), @"the service has had no container for 1m");
    // One that was there at the last look and is not at this.
    let mut story = Story::new();
    story.look(1, &[web("a", "running", 0), db()]).look(200, &[db()]);
    assert_eq!(story.health(), 0.0);
    assert_eq!(story.look(261, &[db()]).health(), f64::INFINITY);
    // One that never was there.
    let mut story = Story::new();
    assert_eq!(story.look(59, &[db()]).health(), 0.0);
    assert_eq!(story.look(61, &[db()]).health(), f64::INFINITY);
}

#[test]
fn a_project_that_is_not_there_is_missing_and_no_failure() {
    let mut story = Story::new();
    let reading =
        |story: &Story, second| story.ledger.health(&"web".into(), at(second), WINDOW, PATIENCE);
    assert!(matches!(reading(&story, 0), Reading::Missing(Missing::Failed(_))));
    story.look(1, &[]);
    assert!(matches!(reading(&story, 500), Reading::Missing(Missing::Empty(_))));
}

#[test]
fn exits_of_containers_that_are_gone_do_not_condemn_their_successors() {
    let mut story = Story::new();
    story.look(1, &[web("a", "running", 0)]);
    for second in [10, 20, 30] {
        story.hear(second, "a", What::Die(1)).hear(second + 1, "a", What::Start);
    }
    story.hear(40, "b", What::Create).hear(41, "a", What::Kill).hear(41, "a", What::Die(143));
    story.hear(41, "a", What::Destroy).hear(42, "b", What::Start);
    assert_eq!(story.health(), 0.0);
    assert_eq!(story.look(43, &[web("b", "running", 0)]).health(), 0.0);
}

#[test]
fn one_off_containers_and_other_services_do_not_count() {
    let mut story = Story::new();
    let run = web("run", "exited", 1).with("/Config/Labels/com.docker.compose.oneoff", "True");
    let other =
        web("db", "exited", 1).with("/Config/Labels/com.docker.compose.service", "db").ended(-200);
    story.look(100, &[web("a", "running", 0), run.ended(-100), other]);
    assert_eq!(story.health(), 0.0);
}

#[test]
fn restarts_are_those_of_the_policy_within_the_window() {
    let mut story = Story::new();
    let count = |restarts: u64| web("a", "running", 0).with("/RestartCount", restarts);
    // Five from before the daemon began.
    assert_eq!(story.look(1, &[count(5)]).restarts(), 0.0);
    assert_eq!(story.look(20, &[count(7)]).restarts(), 2.0);
    assert_eq!(story.look(100, &[count(8)]).restarts(), 3.0);
    // Started by hand: the engine counts anew.
    assert_eq!(story.look(200, &[count(1)]).restarts(), 4.0);
    assert_eq!(story.look(401, &[count(1)]).restarts(), 1.0);
    // A new container that was restarted before it was looked at.
    let new = web("b", "running", 0).with("/RestartCount", 2).with("/Created", stamp(402));
    assert_eq!(story.look(410, &[new]).restarts(), 2.0);
}

#[test]
fn nothing_is_kept_beyond_the_window() {
    let mut story = Story::new();
    story.look(1, &[web("a", "running", 0)]);
    for second in 1..10_000 {
        story.hear(second, "a", What::Die(1)).hear(second, "a", What::Start);
    }
    assert!(story.ledger.failures.len() <= 302, "{}", story.ledger.failures.len());
    for number in 0..1000 {
        story.hear(10_000, &format!("c{number}"), What::Create);
        story.hear(10_000, &format!("c{number}"), What::Destroy);
    }
    assert_eq!(story.ledger.known.len(), 1);
}

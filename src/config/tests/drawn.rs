//! What people see of their mistakes.

use super::{drawn, problems, read};

fn picture(text: &str) -> String {
    let rejected = read(text).unwrap_err();
    drawn(&rejected.problems, &rejected.text)
}

#[test]
fn a_typing_mistake_is_drawn_with_the_key_that_was_meant() {
    insta::assert_snapshot!(picture("[project.shop]\ncooldwon = \"15m\"\nhealth = true\n"), @r##"
    warning: the project `shop` has no trigger: nothing is watched, nothing goes back
     --> /etc/rollbackd/rollbackd.toml:1:1
      |
    1 | [project.shop]
      | ^^^^^^^^^^^^^^
      |
      = help: add one: [[project.shop.trigger]]

    error: `cooldwon` is no key of [project.shop]
     --> /etc/rollbackd/rollbackd.toml:2:1
      |
    2 | cooldwon = "15m"
      | ^^^^^^^^
      |
      = help: did you mean `cooldown`?
    "##);
}

#[test]
fn a_wrong_unit_is_drawn_with_one_that_is_right() {
    insta::assert_snapshot!(picture("[project.shop]\nbake = 30\nkeep_max = \"10 gigs\"\n[[project.shop.trigger]]\nservice = \"b\"\nsignal = \"latency_p99\"\nsource = \"page\"\nabove = \"2000\"\nfor = \"3 minuets\"\n[source.page]\nkind = \"scrape\"\nurl = \"http://h/metrics\"\n"), @r##"
    error: `bake` takes a duration, not an integer
     --> /etc/rollbackd/rollbackd.toml:2:8
      |
    2 | bake = 30
      |        ^^
      |
      = help: a duration has a unit and quotes: `bake = "30s"` or "30m"

    error: `keep_max` takes a size, and "10 gigs" is none
     --> /etc/rollbackd/rollbackd.toml:3:12
      |
    3 | keep_max = "10 gigs"
      |            ^^^^^^^^^
      |
      = help: write a number and a unit, MB, MiB, GB or GiB: `keep_max = "10GiB"`

    error: `above` takes a latency, and "2000" is none
     --> /etc/rollbackd/rollbackd.toml:8:9
      |
    8 | above = "2000"
      |         ^^^^^^
      |
      = help: say the unit, in quotes: `above = "2000ms"`

    error: `for` takes a duration, and "3 minuets" is none
     --> /etc/rollbackd/rollbackd.toml:9:7
      |
    9 | for = "3 minuets"
      |       ^^^^^^^^^^^
      |
      = help: write a number and a unit, ms, s, m, h or d: `for = "5m"`
    "##);
}

#[test]
fn many_mistakes_are_drawn_at_once() {
    insta::assert_snapshot!(picture("\
mode = observe
[email]
server = \"smtp://ops:hunter2@mail.example.com\"
from = \"rollbackd@example.com\"
password = \"hunter2\"
[api]
listen = \"0.0.0.0\"
[source.prom]
kind = \"prometheus\"
url = \"127.0.0.1:9090\"
[source.door]
kind = \"prob\"
[project.shop]
trigger = []
"), @r##"
    error: text and durations are written in quotes
     --> /etc/rollbackd/rollbackd.toml:1:8
      |
    1 | mode = observe
      |        ^^^^^^^
      |
      = help: write `"observe"`

    error: `server` contains a password, and secrets are never in this file
     --> /etc/rollbackd/rollbackd.toml:3:10
      |
    3 | server = *************************************
      |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: take it out and write it to a file: `password_file = "/etc/rollbackd/smtp-password"`

    error: `password` would be a secret in this file, and secrets are never in it
     --> /etc/rollbackd/rollbackd.toml:5:1
      |
    5 | password = *********
      | ^^^^^^^^
      |
      = help: write it to a file of its own and name that: `password_file = "/etc/rollbackd/password"`

    error: `listen` takes an IP address with a port, and "0.0.0.0" is none
     --> /etc/rollbackd/rollbackd.toml:7:10
      |
    7 | listen = "0.0.0.0"
      |          ^^^^^^^^^
      |
      = help: write an IP address and a port: `listen = "127.0.0.1:9180"`

    error: `url` is no usable URL: it does not begin with http:// or https://
      --> /etc/rollbackd/rollbackd.toml:10:7
       |
    10 | url = "127.0.0.1:9090"
       |       ^^^^^^^^^^^^^^^^
       |
       = help: write `url = "http://127.0.0.1:9090"`

    error: `kind` takes "prometheus" or "scrape" or "probe", not "prob"
      --> /etc/rollbackd/rollbackd.toml:12:8
       |
    12 | kind = "prob"
       |        ^^^^^^
       |
       = help: did you mean "probe"?
    "##);
}

#[test]
fn what_is_no_toml_is_said_in_plain_words() {
    insta::assert_snapshot!(picture("\
mode = \"act
[project.shop]
bake = 30m
bake = \"30m\"
restore_files = [\".env\",
[[project.shop.trigger]]
service = \"b\"
"), @r##"
    error: this text is never closed
     --> /etc/rollbackd/rollbackd.toml:1:12
      |
    1 | mode = "act
      |            ^
      |
      = help: end it with `"`

    error: text and durations are written in quotes
     --> /etc/rollbackd/rollbackd.toml:3:8
      |
    3 | bake = 30m
      |        ^^^
      |
      = help: write `"30m"`

    error: this key is there twice
     --> /etc/rollbackd/rollbackd.toml:4:1
      |
    4 | bake = "30m"
      | ^^^^
      |
      = help: keep one of the two

    error: this list is never closed
     --> /etc/rollbackd/rollbackd.toml:5:17
      |
    5 | restore_files = [".env",
      |                 ^
      |
      = help: end it with `]`
    "##);
}

#[test]
fn a_missing_key_points_at_its_tables_header() {
    insta::assert_snapshot!(picture("[source.door]\nkind = \"probe\"\n[project.shop]\n[[project.shop.trigger]]\nsignal = \"availability\"\nsource = \"door\"\n"), @r##"
    error: [source.door] has no `url`
     --> /etc/rollbackd/rollbackd.toml:1:1
      |
    1 | [source.door]
      | ^^^^^^^^^^^^^
      |
      = help: write `url = "http://127.0.0.1:3000/health"`

    error: [[project.shop.trigger]] has no `service`
     --> /etc/rollbackd/rollbackd.toml:4:1
      |
    4 | [[project.shop.trigger]]
      | ^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: say whose signal it is: `service = "backend"`

    error: [[project.shop.trigger]] has no `for`
     --> /etc/rollbackd/rollbackd.toml:4:1
      |
    4 | [[project.shop.trigger]]
      | ^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: say for how long: `for = "5m"`, or `"0s"` to fire at the first sample

    error: [[project.shop.trigger]] has no `below`
     --> /etc/rollbackd/rollbackd.toml:4:1
      |
    4 | [[project.shop.trigger]]
      | ^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: say when it is bad: `below = "99%"`
    "##);
}

#[test]
fn a_chats_url_is_not_drawn() {
    let drawn = picture("[webhook.chat]\nurl = \"ftp://hooks.example.com/T0/hunter2\"\n");
    assert!(drawn.contains("is no usable URL") && !drawn.contains("hunter2"), "{drawn}");
}

#[test]
fn columns_are_characters_and_not_bytes() {
    let found = problems(
        "x = { \"ü\" = 1, \"ä\" = 2 }\n[project.shop]\n[api]\nsocket = \"/run/übel\" # ü\nlisten = 'ü'\n",
    );
    let places: Vec<_> = found.iter().map(|problem| (problem.line, problem.column)).collect();
    assert_eq!(places, [(1, 1), (2, 1), (5, 10)]);
}

#[test]
fn colour_is_only_drawn_when_asked_for() {
    let text = "x = 1\n";
    let found = problems(text);
    assert!(!crate::config::draw(&found, text, false).contains('\u{1b}'));
    assert!(crate::config::draw(&found, text, true).contains('\u{1b}'));
}

#[test]
fn in_a_list_the_wrong_item_is_underlined() {
    let text = "[email]\nserver = \"smtp://mail\"\nfrom = \"a@example.com\"\nto = [\"Ä <ä@example.com>\", \"nobody\"]\n[project.shop]\n";
    let told = picture(text);
    let told: Vec<&str> = told.lines().take(7).collect();
    insta::assert_snapshot!(told.join("\n"), @r##"
    error: `to` takes a mail address, and "nobody" is none
     --> /etc/rollbackd/rollbackd.toml:4:28
      |
    4 | to = ["Ä <ä@example.com>", "nobody"]
      |                            ^^^^^^^^
      |
      = help: write `to = "ops@example.com"` or `"Ops <ops@example.com>"`
    "##);
}

#[test]
fn a_header_and_a_key_that_are_cut_off_are_told_in_plain_words() {
    insta::assert_snapshot!(picture("[docker\n[api]\nlisten\n"), @r##"
    error: this header is never closed
     --> /etc/rollbackd/rollbackd.toml:1:8
      |
    1 | [docker
      |        ^
      |
      = help: end it with `]`, or `]]`

    error: a key has no value
     --> /etc/rollbackd/rollbackd.toml:3:7
      |
    3 | listen
      |       ^
      |
      = help: write `key = value`
    "##);
}

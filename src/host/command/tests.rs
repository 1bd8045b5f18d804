#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test, a broken promise is a panic")]

use std::{fs, time::Duration};

use tokio::time::{Instant, timeout};

use super::*;

const SOON: Duration = Duration::from_secs(20);

fn shell(script: &str, limit: Duration) -> Command {
    Command::new(["/bin/sh", "-c", script].map(str::to_owned).to_vec(), limit)
}

async fn run(command: Command) -> Result<Ended, CommandError> {
    let held = command.hold("test")?;
    timeout(SOON, held.run()).await.expect("it comes to an end")
}

/// Is the process gone, or dead and only not yet taken leave of?
fn is_gone(id: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", id.trim())).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['Z', 'X']))
}

async fn wait_gone(id: &str) {
    let end = Instant::now() + SOON;
    while !is_gone(id) {
        assert!(Instant::now() < end, "process {id} is still there");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What a file says once it says a whole line.
async fn line_of(path: &Path) -> String {
    let end = Instant::now() + SOON;
    loop {
        match fs::read_to_string(path) {
            Ok(text) if text.ends_with('\n') => return text.trim().to_owned(),
            _ => assert!(Instant::now() < end, "{} says nothing", path.display()),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn what_it_prints_and_how_it_ends_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let script = "pwd; echo \"$GREETING\" >&2; cat; exit 3";
    let command = shell(script, SOON).dir(folder.path()).variable("GREETING", "good day");
    let ended = run(command).await.unwrap();
    let here = folder.path().canonicalize().unwrap();
    assert_eq!(ended.out.trim(), here.to_str().unwrap());
    assert_eq!((ended.err.as_str(), ended.ok), ("good day\n", false));
    assert_eq!(ended.how, "exit code 3");
    let killed = run(shell("kill -9 $$", SOON)).await.unwrap();
    assert_eq!((killed.ok, killed.how.as_str()), (false, "signal 9"));
}

#[tokio::test]
async fn secrets_are_masked_on_both_pipes() {
    let command = shell("echo pw=hunter22; echo hunter22 >&2", SOON);
    let ended = run(command.secrets(vec!["hunter22".to_owned()])).await.unwrap();
    assert_eq!((ended.out.as_str(), ended.err.as_str()), ("pw=***\n", "***\n"));
}

#[tokio::test]
async fn a_flood_of_output_neither_stops_it_nor_fills_the_memory() {
    let script = "head -c 30000000 /dev/zero | tr '\\0' x; echo; echo the end";
    let ended = run(shell(script, SOON)).await.unwrap();
    assert!(ended.ok, "{ended:?}");
    assert!(ended.out.len() < 300_000, "{}", ended.out.len());
    assert!(ended.out.ends_with("\nthe end\n"));
}

#[tokio::test]
async fn what_hangs_is_ended_with_all_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("child");
    let script = format!("sleep 600 & echo $! > {}; echo waiting >&2; wait", file.display());
    let late = run(shell(&script, Duration::from_millis(500))).await.unwrap_err();
    assert!(matches!(&late, CommandError::Late { .. }), "{late}");
    assert!(late.to_string().ends_with("its last words: waiting"), "{late}");
    assert!(is_gone(&fs::read_to_string(file).unwrap()));
}

#[tokio::test]
async fn what_ignores_being_asked_to_end_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("child");
    // The grandchild ignores it too.
    let script = format!(
        "trap '' TERM; (trap '' TERM; while :; do sleep 1; done) & echo $! > {}; \
         while :; do sleep 1; done",
        file.display()
    );
    let command = shell(&script, Duration::from_millis(500)).grace(Duration::from_millis(300));
    let late = run(command).await.unwrap_err();
    assert!(matches!(late, CommandError::Late { .. }), "{late}");
    assert!(is_gone(&fs::read_to_string(file).unwrap()));
}

#[tokio::test]
async fn what_a_command_left_running_is_ended_when_it_ends() {
    let ended = run(shell("sleep 600 & echo $!", SOON)).await.unwrap();
    assert!(ended.ok);
    assert!(is_gone(&ended.out), "a process that holds the pipe holds up nobody");
}

#[tokio::test]
async fn one_that_left_the_group_and_holds_the_pipe_is_not_waited_for() {
    let began = Instant::now();
    let ended = run(shell("setsid sleep 30 & echo $!", SOON)).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let id: i32 = ended.out.trim().parse().unwrap();
    let sleeper = rustix::process::Pid::from_raw(id).unwrap();
    let _ = rustix::process::kill_process(sleeper, rustix::process::Signal::KILL);
}

#[tokio::test]
async fn dropped_in_the_middle_all_of_it_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("child");
    let script = format!("sleep 600 & echo $! > {}; wait", file.display());
    let held = shell(&script, SOON).hold("test").unwrap();
    let leader = held.group().id.to_string();
    let running = tokio::spawn(held.run());
    let child = line_of(&file).await;
    running.abort();
    wait_gone(&child).await;
    wait_gone(&leader).await;
}

#[tokio::test]
async fn held_and_dropped_it_has_done_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("done");
    let held = shell(&format!("touch {}", file.display()), SOON).hold("test").unwrap();
    let leader = held.group().id.to_string();
    assert!(!is_gone(&leader));
    drop(held);
    wait_gone(&leader).await;
    assert!(!file.exists());
}

#[tokio::test]
async fn whoever_holds_it_and_dies_leaves_nothing_running() {
    // The pipe that would tell it to go closes with its holder.
    let mut held = shell("sleep 600", SOON).hold("test").unwrap();
    drop(held.go.take());
    let status = timeout(SOON, held.child.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(125));
}

#[tokio::test]
async fn a_group_of_an_earlier_run_is_found_and_ended() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("child");
    let script = format!("sleep 600 & echo $! > {}; wait", file.display());
    let held = shell(&script, SOON).hold("the-mark").unwrap();
    let group = held.group().clone();
    let running = tokio::spawn(held.run());
    let child = line_of(&file).await;
    assert!(group.end(SOON).await, "there was something to end");
    assert!(is_gone(&child));
    assert!(!running.await.unwrap().unwrap().ok);
    assert!(!group.end(SOON).await, "and now there is nothing");
}

#[tokio::test]
async fn a_number_that_somebody_else_has_by_now_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("runs");
    let script = format!("echo yes > {}; sleep 600", file.display());
    let held = shell(&script, SOON).hold("theirs").unwrap();
    let theirs = held.group().clone();
    let leader = theirs.id.to_string();
    let running = tokio::spawn(held.run());
    line_of(&file).await;
    let earlier = Group { started: theirs.started - 1, ..theirs.clone() };
    let other_boot = Group { boot: "another".to_owned(), ..theirs.clone() };
    for ours in [earlier, other_boot] {
        assert!(!ours.end(Duration::ZERO).await, "{ours:?}");
        assert!(!is_gone(&leader));
    }
    theirs.end(SOON).await;
    assert!(!running.await.unwrap().unwrap().ok);
}

#[tokio::test]
async fn what_a_dead_leader_left_is_ours_only_with_the_mark() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("child");
    let script = format!("sleep 600 & echo $! > {}; wait", file.display());
    let mut held = shell(&script, SOON).hold("the-mark").unwrap();
    held.go.take().unwrap().write_all(b"go\n").await.unwrap();
    let child = line_of(&file).await;
    let group = held.group().clone();
    held.child.kill().await.unwrap();
    let stranger = Group { mark: "another".to_owned(), ..group.clone() };
    assert!(!stranger.end(Duration::ZERO).await);
    assert!(!is_gone(&child));
    assert!(group.end(SOON).await);
    assert!(is_gone(&child));
}

#[tokio::test]
async fn a_program_that_is_not_there_is_told_as_the_shell_tells_it() {
    let ended = run(Command::new(vec!["/nowhere/compose".to_owned()], SOON)).await.unwrap();
    assert_eq!((ended.ok, ended.how.as_str()), (false, "exit code 127"));
    assert!(ended.err.contains("not found"), "{}", ended.err);
    let nowhere = shell("true", SOON).dir(Path::new("/nowhere"));
    let refused = run(nowhere).await.unwrap_err().to_string();
    assert!(refused.starts_with("`/bin/sh -c` cannot be run: No such file"), "{refused}");
    assert!(matches!(run(Command::new(Vec::new(), SOON)).await, Err(CommandError::Nothing)));
}

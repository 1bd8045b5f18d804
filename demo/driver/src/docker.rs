//! The engine and Compose, by their commands, as a person would type them.

use std::{
    ffi::OsStr,
    io::Write,
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

/// How Compose is called here.
#[derive(Clone, Debug)]
pub(crate) struct Compose {
    words: Vec<&'static str>,
}

impl Compose {
    /// v2 (`docker compose`), else v1 (`docker-compose`).
    pub(crate) fn find() -> Result<Self> {
        for words in [vec!["docker", "compose"], vec!["docker-compose"]] {
            if output(&words, &["version"]).is_ok() {
                return Ok(Self { words });
            }
        }
        bail!(
            "Docker Compose does not answer: install it, see https://docs.docker.com/compose/install/"
        )
    }

    /// What a person types: `docker compose`.
    pub(crate) fn typed(&self) -> String {
        self.words.join(" ")
    }

    /// Runs it in a project's directory.
    pub(crate) fn run(&self, directory: &Path, arguments: &[&str]) -> Result<String> {
        let mut command = command(&self.words, arguments);
        command.current_dir(directory);
        finish(command, &[])
    }
}

/// Runs `docker` and gives what it printed.
pub(crate) fn docker(arguments: &[&str]) -> Result<String> {
    output(&["docker"], arguments)
}

/// Makes an image of one static program, and gives its ID. By `docker import`:
/// that needs no builder.
pub(crate) fn image(program: &Path, tag: &str, environment: &str) -> Result<String> {
    let bytes = std::fs::read(program).with_context(|| format!("reading {}", program.display()))?;
    let mut changes = vec!["import".to_owned()];
    for change in [
        r#"ENTRYPOINT ["/shop"]"#,
        &format!("ENV {environment}"),
        "EXPOSE 8080",
        r#"HEALTHCHECK --interval=1s --timeout=2s --retries=3 CMD ["/shop","healthcheck"]"#,
    ] {
        changes.extend(["--change".to_owned(), change.to_owned()]);
    }
    changes.extend(["-".to_owned(), tag.to_owned()]);
    let id = finish(command(&["docker"], &changes), &tar("shop", &bytes))?;
    Ok(id.trim().to_owned())
}

/// A tar archive of one executable file.
fn tar(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut header = [0_u8; 512];
    let mut put =
        |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000755\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{:011o}\0", bytes.len()));
    put(136, "00000000000\0");
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\u{0}00");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut archive = header.to_vec();
    archive.extend_from_slice(bytes);
    archive.resize(archive.len().next_multiple_of(512) + 1024, 0);
    archive
}

fn output(program: &[&str], arguments: &[&str]) -> Result<String> {
    finish(command(program, arguments), &[])
}

/// In a process group of its own: Ctrl-C on the terminal is for the demo alone,
/// which then ends what it started, in order.
fn command(program: &[&str], arguments: &[impl AsRef<OsStr>]) -> Command {
    let mut command = Command::new(program[0]);
    command.args(&program[1..]).args(arguments).process_group(0);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn finish(mut command: Command, input: &[u8]) -> Result<String> {
    let typed = format!("{command:?}").replace('"', "");
    command.stdin(if input.is_empty() { Stdio::null() } else { Stdio::piped() });
    let mut child = command.spawn().with_context(|| format!("starting `{typed}`"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input).with_context(|| format!("writing to `{typed}`"))?;
    }
    let output = child.wait_with_output().with_context(|| format!("waiting for `{typed}`"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{typed}` failed ({}): {}", output.status, said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tar_itself_lists_and_unpacks_the_archive() {
        let mut command = command(&["tar"], &["-xOvf", "-"]);
        command.stderr(Stdio::inherit());
        assert_eq!(finish(command, &tar("shop", b"hello")).unwrap(), "hello");
    }

    #[test]
    fn a_command_that_fails_tells_what_it_said() {
        let why = output(&["sh"], &["-c", "echo broken >&2; exit 3"]).unwrap_err();
        assert!(format!("{why}").contains("broken"), "{why}");
    }
}

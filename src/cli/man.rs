//! `man`: the manual, made of the same words as `--help`. One page is printed;
//! with a directory all are written there, one for each command.

use std::{fs, io, path::Path};

use clap::CommandFactory;
use clap_mangen::Man;

use crate::cli::{
    args::Arguments,
    exit::{Exit, Failure},
    out::Out,
};

/// What the first page says besides, in the manual's own language.
const MORE: &str = r#".SH "EXIT STATUS"
.TP
0
done; of a rollback that was waited for: recovered
.TP
1
failed
.TP
2
wrong usage
.TP
3
the daemon cannot be reached
.TP
4
refused by a guard; \fBstatus \-\-check\fR: something is unarmed
.TP
5
rolled back, and not recovered or unverified
.TP
78
the configuration is unusable
.SH FILES
.TP
/etc/rollbackd/rollbackd.toml
the configuration
.TP
/run/rollbackd/rollbackd.sock
the daemon's socket: who may open it may act
.TP
/var/lib/rollbackd
what must last
"#;

/// Prints the first page, or writes all of them.
pub(super) fn man(directory: Option<&Path>, out: &Out) -> Result<Exit, Failure> {
    match directory {
        Some(directory) => write(directory).map_err(|why| {
            let message = format!("the pages cannot be written to {}: {why}", directory.display());
            Failure::new(Exit::Failed, "failed", message, "name a directory that can be written")
        })?,
        None => out.text(&page())?,
    }
    Ok(Exit::Done)
}

fn write(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    clap_mangen::generate_to(Arguments::command(), directory)?;
    fs::write(directory.join("rollbackd.1"), page())
}

fn page() -> String {
    let mut page = Vec::new();
    // A vector takes everything.
    let _ = Man::new(Arguments::command()).render(&mut page);
    String::from_utf8_lossy(&page).into_owned() + MORE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_page_names_every_command_and_the_files() {
        let page = page();
        for command in Arguments::command().get_subcommands() {
            let name = command.get_name().replace('-', "\\-");
            assert!(page.contains(&format!("rollbackd\\-{name}(1)")), "{name}: {page}");
        }
        assert!(page.contains("/run/rollbackd/rollbackd.sock"), "{page}");
    }

    #[test]
    fn each_command_has_a_page() {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path()).unwrap();
        let status = fs::read_to_string(directory.path().join("rollbackd-status.1")).unwrap();
        assert!(status.contains("Exit with 4"), "{status}");
        let pages = fs::read_dir(directory.path()).unwrap().count();
        assert_eq!(pages, 1 + Arguments::command().get_subcommands().count());
    }
}

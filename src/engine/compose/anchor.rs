//! The program of an anchor: a container that runs, does nothing and so keeps
//! its image from every prune. It must run in any image, also one that is
//! empty, so it is a whole static ELF file of its own, written by hand here and
//! bind-mounted into the container.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// Where the program is put in the anchor's container.
pub(super) const INSIDE: &str = "/rollbackd-anchor";

/// Where a file is mapped, and where its code begins after the two headers.
const BASE: u64 = 0x40_0000;
const HEADERS: u64 = 64 + 56;

/// Waits for a signal, for ever. As a container's first process it hears none
/// but SIGKILL.
///
/// ```text
/// b8 22 00 00 00   mov eax, 34    ; pause
/// 0f 05            syscall
/// eb f7            jmp -9
/// ```
const X86_64: Machine =
    Machine { number: 62, code: &[0xb8, 0x22, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7] };

/// The same; this architecture has no `pause`, so it polls nothing without a
/// limit: `ppoll(NULL, 0, NULL, NULL, 0)`.
///
/// ```text
/// d2800000   mov x0, #0     ; and x1 to x4
/// d2800928   mov x8, #73    ; ppoll
/// d4000001   svc #0
/// 17fffff9   b -7
/// ```
const AARCH64: Machine = Machine {
    number: 183,
    code: &[
        0x00, 0x00, 0x80, 0xd2, 0x01, 0x00, 0x80, 0xd2, 0x02, 0x00, 0x80, 0xd2, 0x03, 0x00, 0x80,
        0xd2, 0x04, 0x00, 0x80, 0xd2, 0x28, 0x09, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4, 0xf9, 0xff,
        0xff, 0x17,
    ],
};

/// An architecture: its number in ELF, and the loop.
struct Machine {
    number: u16,
    code: &'static [u8],
}

impl Machine {
    /// This machine's; `None` where no anchor was written for it.
    const fn of_host() -> Option<Self> {
        if cfg!(target_arch = "x86_64") {
            Some(X86_64)
        } else if cfg!(target_arch = "aarch64") {
            Some(AARCH64)
        } else {
            None
        }
    }

    /// The file: one header, one segment that maps all of it, the code.
    fn elf(&self) -> Vec<u8> {
        let mut file = Vec::with_capacity(usize::from(HEADERS as u8) + self.code.len());
        let length = HEADERS + self.code.len() as u64;
        // 64 bits, little-endian, version 1, System V.
        file.extend(b"\x7fELF\x02\x01\x01");
        file.resize(16, 0);
        file.extend(2u16.to_le_bytes()); // an executable
        file.extend(self.number.to_le_bytes());
        file.extend(1u32.to_le_bytes()); // version
        file.extend((BASE + HEADERS).to_le_bytes()); // entry
        file.extend(64u64.to_le_bytes()); // where the segment's header is
        file.extend(0u64.to_le_bytes()); // no sections
        file.extend(0u32.to_le_bytes()); // flags
        for half in [64u16, 56, 1, 0, 0, 0] {
            file.extend(half.to_le_bytes()); // sizes and counts of headers
        }
        file.extend(1u32.to_le_bytes()); // load
        file.extend(5u32.to_le_bytes()); // read and execute
        // Offset, address twice, size twice, alignment (pages of 64 KiB).
        for word in [0, BASE, BASE, length, length, 0x1_0000] {
            file.extend(word.to_le_bytes());
        }
        file.extend(self.code);
        file
    }
}

/// Sees to it that the program is in the state directory, readable and
/// executable for all and writable for nobody. Gives its path.
///
/// # Errors
///
/// When it cannot be written, or this machine's architecture has none.
pub(super) fn install(state_dir: &Path) -> io::Result<PathBuf> {
    let machine = Machine::of_host().ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::Unsupported,
            "anchors are made for x86_64 and aarch64 only; use `keep_by = \"tag\"`",
        )
    })?;
    let (program, path) = (machine.elf(), state_dir.join("anchor"));
    let whole = fs::read(&path).is_ok_and(|found| found == program);
    let mode = fs::metadata(&path).map(|found| found.permissions().mode() & 0o7777);
    if whole && mode.is_ok_and(|mode| mode == 0o555) {
        return Ok(path);
    }
    // Renamed into place, so that running anchors keep the file they have.
    let fresh = state_dir.join("anchor.new");
    let _ = fs::remove_file(&fresh);
    fs::write(&fresh, program)?;
    fs::set_permissions(&fresh, fs::Permissions::from_mode(0o555))?;
    fs::rename(&fresh, &path)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use std::{
        os::unix::process::ExitStatusExt,
        process::{Command, Stdio},
    };

    use super::*;

    /// As `/proc/PID/stat` tells it: the state after the name in brackets.
    fn state(process: u32) -> Option<char> {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.chars().next()
    }

    #[test]
    fn the_anchor_really_runs_and_sleeps() {
        let dir = tempfile::tempdir().unwrap();
        let path = install(dir.path()).unwrap();
        let mut anchor = Command::new(&path).stdin(Stdio::null()).spawn().unwrap();
        // Right after the start it may still be loading.
        while state(anchor.id()) == Some('R') {
            std::thread::yield_now();
        }
        assert_eq!(state(anchor.id()), Some('S'), "it waits in the kernel");
        assert_eq!(anchor.try_wait().unwrap(), None);
        anchor.kill().unwrap();
        assert_eq!(anchor.wait().unwrap().signal(), Some(9));
    }

    #[test]
    fn it_is_written_once_and_mended_when_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let path = install(dir.path()).unwrap();
        let first = fs::metadata(&path).unwrap().modified().unwrap();
        install(dir.path()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), first);
        fs::remove_file(&path).unwrap();
        fs::write(&path, "damaged").unwrap();
        install(dir.path()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o555);
        assert!(fs::read(&path).unwrap().starts_with(b"\x7fELF"));
    }

    #[test]
    fn the_other_architectures_loop_ends_where_it_begins() {
        let code = AARCH64.code;
        let word = |at: usize| u32::from_le_bytes(code[at..at + 4].try_into().unwrap());
        let last = code.len() - 4;
        let back = (word(last) << 6) as i32 >> 6;
        assert_eq!(word(last) >> 26, 0b00_0101, "it is an unconditional branch");
        assert_eq!(last as i32 + back * 4, 0);
        assert_eq!(word(20), 0xd280_0000 | 73 << 5 | 8, "ppoll's number goes to x8");
    }
}

//! What this process itself may run out of. Whoever is asked is not to blame for
//! that: a service must not be judged by it.

use std::io;

use rustix::io::Errno;

/// What is used up, as `no file descriptor`, and what to do about it; `None`
/// for an error that has another cause.
#[must_use]
pub fn exhausted(error: &io::Error) -> Option<(&'static str, &'static str)> {
    let errno = Errno::from_io_error(error)?;
    Some(match errno {
        Errno::MFILE => {
            ("no file descriptor", "raise `LimitNOFILE` of its service (`ulimit -n` in a shell)")
        }
        Errno::NFILE => ("no file descriptor of this machine", "raise `fs.file-max` by sysctl"),
        Errno::NOMEM | Errno::NOBUFS => ("no memory of the kernel's", "free some on this machine"),
        Errno::ADDRNOTAVAIL => {
            ("no local port", "widen `net.ipv4.ip_local_port_range` by sysctl, or ask less often")
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_runs_out_of_is_told_from_what_others_do() {
        let of = |errno: Errno| exhausted(&errno.into()).map(|(what, _)| what);
        assert_eq!(of(Errno::MFILE), Some("no file descriptor"));
        assert_eq!(of(Errno::NFILE), Some("no file descriptor of this machine"));
        for others in [Errno::CONNREFUSED, Errno::NOENT, Errno::TIMEDOUT, Errno::HOSTUNREACH] {
            assert_eq!(of(others), None, "{others:?}");
        }
    }
}

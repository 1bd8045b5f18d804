//! For tests: a disk that is full for some writes in a row and then no longer.

/// Which writes fail.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    writes: u64,
    from: u64,
    to: u64,
}

impl Refusals {
    /// So many writes fail, the first of them the `n`-th from now on.
    pub(super) const fn set(&mut self, n: u64, times: u64) {
        *self = Self { writes: 0, from: n, to: n + times };
    }

    /// One more write: does it fail?
    pub(super) const fn next(&mut self) -> bool {
        self.writes += 1;
        self.from <= self.writes && self.writes < self.to
    }

    /// The writes since it was set, those that failed as well.
    pub(super) const fn writes(&self) -> u64 {
        self.writes
    }
}

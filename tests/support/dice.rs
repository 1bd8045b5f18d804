//! Chance that can be repeated: SplitMix64, whose seed is the whole of it.
#![allow(dead_code, reason = "each test uses what it needs")]

/// Dice; the same seed rolls the same.
pub struct Dice(pub u64);

impl Dice {
    /// Any number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to one less than `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.roll() % n
    }

    /// Once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        let n = u64::try_from(all.len()).unwrap();
        all[usize::try_from(self.below(n)).unwrap()]
    }

    /// From 0 to 1, without 1.
    pub fn share(&mut self) -> f64 {
        const STEPS: u32 = 1 << 30;
        f64::from(u32::try_from(self.below(u64::from(STEPS))).unwrap()) / f64::from(STEPS)
    }
}

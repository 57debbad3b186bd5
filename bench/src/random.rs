//! Numbers that look random, and are the same every time (splitmix64).

/// A sequence.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `end`, which is small.
    pub fn below(&mut self, end: usize) -> usize {
        // Less than `end`, and so a usize.
        usize::try_from(self.next() % end as u64).unwrap_or_default()
    }

    /// Both ends included.
    pub fn between(&mut self, least: usize, most: usize) -> usize {
        least + self.below(most - least + 1)
    }

    /// From 0 to 1.
    pub fn unit(&mut self) -> f64 {
        f64::from(u32::try_from(self.next() >> 32).unwrap_or_default()) / f64::from(u32::MAX)
    }

    pub fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    /// A vector of length 1.
    pub fn direction(&mut self, dimensions: usize) -> Vec<f32> {
        let numbers: Vec<f64> = (0..dimensions).map(|_| self.unit() - 0.5).collect();
        let length = numbers.iter().map(|it| it * it).sum::<f64>().sqrt();
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a vector has no more digits"
        )]
        numbers.iter().map(|it| (it / length) as f32).collect()
    }
}

//! Random numbers for simulated cameras: a small generator, Gaussian samples, a table of noise.
//!
//! Everything follows from a seed: the same seed gives the same numbers in the same build. Not
//! for secrets, and not for statistics beyond a picture that looks right.

use std::f64::consts::TAU;

/// The SplitMix64 generator: 64 bits of state, a period of 2^64.
#[derive(Debug, Clone)]
pub(super) struct SplitMix {
    state: u64,
}

impl SplitMix {
    pub(super) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    pub(super) fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to, but not including, 1.
    pub(super) fn uniform(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// Two independent samples of mean 0 and standard deviation 1 (Box and Muller).
    pub(super) fn gaussian_pair(&mut self) -> (f64, f64) {
        // One minus: the logarithm needs a number above 0.
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        let (sine, cosine) = (TAU * self.uniform()).sin_cos();
        (radius * cosine, radius * sine)
    }
}

/// Gaussian samples made once and read from a random place for each stretch of pixels.
///
/// Stretches overlap, so two rows may share noise with some shift; the eye and a tracker do not
/// mind, and it costs next to nothing a pixel.
#[derive(Debug, Clone)]
pub(super) struct NoiseTable {
    samples: Vec<f32>,
}

impl NoiseTable {
    /// The longest stretch that [`stretch`](Self::stretch) gives.
    pub(super) const LONGEST_STRETCH: usize = 1024;
    const SAMPLES: usize = 1 << 16;

    pub(super) fn new(random: &mut SplitMix) -> Self {
        let pairs = (0..Self::SAMPLES / 2).map(|_| random.gaussian_pair());
        let samples = pairs.flat_map(|(first, second)| [first as f32, second as f32]).collect();
        Self { samples }
    }

    /// [`LONGEST_STRETCH`](Self::LONGEST_STRETCH) samples from a random place.
    pub(super) fn stretch(&self, random: &mut SplitMix) -> &[f32] {
        let places = (Self::SAMPLES - Self::LONGEST_STRETCH) as u64;
        let start = (random.next_u64() % places) as usize;
        &self.samples[start..start + Self::LONGEST_STRETCH]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_gives_the_published_numbers() {
        let mut random = SplitMix::new(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| random.next_u64()).collect();
        let published = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(first, published);
    }

    #[test]
    fn gaussian_samples_have_mean_zero_and_deviation_one() {
        let table = NoiseTable::new(&mut SplitMix::new(1));
        let count = table.samples.len() as f32;
        let mean = table.samples.iter().sum::<f32>() / count;
        let variance = table.samples.iter().map(|sample| sample * sample).sum::<f32>() / count;
        assert!(mean.abs() < 0.02, "mean {mean}");
        assert!((variance - 1.0).abs() < 0.03, "variance {variance}");
    }
}

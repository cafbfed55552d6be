//! As fast as memory can be filled: one process, one buffer that stays as near to the processor as it fits, nobody who
//! looks.

use std::hint::black_box;
use std::time::{Duration, Instant};

use harness::payload::{expected_sum, shade, sum_of};
use harness::{Contestant, Setup};

pub(crate) struct Fill {
    buffer: Vec<u8>,
}

impl Contestant for Fill {
    fn start(setup: &Setup) -> Self {
        // Written once, so that no page is touched for the first time when it counts.
        Self { buffer: vec![1; setup.frame_bytes] }
    }

    fn hand_off(&mut self, _frames: u64) -> Vec<u64> {
        Vec::new()
    }

    fn stream(&mut self, frames: u64) -> Duration {
        let begun = Instant::now();
        for frame in 0..frames {
            black_box(&mut self.buffer).fill(shade(frame));
        }
        let elapsed = begun.elapsed();
        if let Some(last) = frames.checked_sub(1) {
            let expected = expected_sum(last, self.buffer.len());
            assert_eq!(sum_of(&self.buffer), expected, "the sum of the last frame");
        }
        elapsed
    }

    fn end(self) {}
}

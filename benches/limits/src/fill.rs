//! As fast as memory can be filled: one process, four buffers in turn, nobody who looks.

use std::hint::black_box;
use std::time::{Duration, Instant};

use harness::contestant::FRAMES_IN_FLIGHT;
use harness::payload::{expected_sum, shade, sum_of};
use harness::{Contestant, Setup};

pub(crate) struct Fill {
    buffers: Vec<Vec<u8>>,
}

impl Contestant for Fill {
    fn start(setup: &Setup) -> Self {
        // Written once, so that no page is touched for the first time when it counts.
        Self { buffers: vec![vec![1; setup.frame_bytes]; FRAMES_IN_FLIGHT] }
    }

    fn hand_off(&mut self, _frames: u64) -> Vec<u64> {
        Vec::new()
    }

    fn stream(&mut self, frames: u64) -> Duration {
        let begun = Instant::now();
        for frame in 0..frames {
            let buffer = &mut self.buffers[frame as usize % FRAMES_IN_FLIGHT];
            black_box(&mut *buffer).fill(shade(frame));
        }
        let elapsed = begun.elapsed();
        if let Some(last) = frames.checked_sub(1) {
            let buffer = &self.buffers[last as usize % FRAMES_IN_FLIGHT];
            assert_eq!(sum_of(buffer), expected_sum(last, buffer.len()), "the sum of the last frame");
        }
        elapsed
    }

    fn end(self) {}
}

//! labrig as a contestant.

use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use harness::payload::{self, expected_sum};
use harness::{Contestant, Setup};
use labrig::shm::monotonic_ns;
use labrig::{Refusal, Rig, Scope};

use crate::managers::{Ask, Datum, Desk, Exchange, Expect, FramesSeen, HowMany, Produce, Tell};
use crate::rigs;

/// Longer than anything here takes: who waits that long waits for ever.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many frames one report tells of at most, so that it fits an envelope.
const MOST_FRAMES: u64 = 4096;
/// How long an asker is busy at most for one command, so that nobody takes it for stuck.
const LONGEST_LOT: Duration = Duration::from_millis(500);
const MOST_ASKED: u64 = 4096;

/// A running rig.
pub(crate) struct Labrig {
    scope: Scope,
    seen: Receiver<FramesSeen>,
    frame_bytes: usize,
    /// How many frames there have been.
    published: u64,
    rig: Rig,
}

impl Contestant for Labrig {
    fn start(setup: &Setup) -> Self {
        let (seen, receiver) = channel();
        let builder = Rig::builder(rigs::topology(setup)).scope(|_| Ok(Desk { seen }));
        let rig = builder.launch().unwrap_or_else(|error| panic!("the rig does not start: {error}"));
        Self { scope: rig.scope(), seen: receiver, frame_bytes: setup.frame_bytes, published: 0, rig }
    }

    fn exchange(&mut self, command: payload::Exchange) -> payload::Exchange {
        let pending = self.scope.request(Exchange::from(command)).expect("the manager takes commands");
        pending.wait(PATIENCE).expect("the manager answers").into()
    }

    fn exchange_with_all(&mut self, command: &payload::Exchange) -> Vec<payload::Exchange> {
        let pending = self.scope.broadcast(Tell::from(command.clone())).expect("the managers take commands");
        let report = pending.wait(PATIENCE).expect("every manager answers");
        let answers = report.outcomes.into_iter();
        answers.map(|one| one.outcome.expect("every manager answers").into()).collect()
    }

    fn exchange_between(&mut self, count: u64, gap: Option<Duration>) -> Vec<u64> {
        let gap_us = gap.map_or(0, |gap| gap.as_micros() as u64);
        let most = MOST_ASKED.min(LONGEST_LOT.as_micros() as u64 / (gap_us + 50));
        let mut each_ns = Vec::new();
        while (each_ns.len() as u64) < count {
            let first = each_ns.len() as u64;
            let asked = Ask { first, count: most.min(count - first), gap_us };
            let pending = self.scope.request(asked).expect("the asker takes commands");
            each_ns.extend(pending.wait(PATIENCE).expect("the asker answers"));
        }
        each_ns
    }

    fn send(&mut self, datum: &payload::Datum) {
        while let Err(refusal) = self.scope.send(Datum::from(*datum)) {
            yield_if_busy(&refusal);
        }
    }

    fn how_many(&mut self) -> u64 {
        let pending = loop {
            match self.scope.request(HowMany {}) {
                Ok(pending) => break pending,
                Err(refusal) => yield_if_busy(&refusal),
            }
        };
        pending.wait(PATIENCE).expect("the manager answers")
    }

    fn hand_off(&mut self, frames: u64) -> Vec<u64> {
        self.lots(frames, true).into_iter().flat_map(|(_, seen)| seen.done_after_ns).collect()
    }

    fn stream(&mut self, frames: u64) -> Duration {
        let lots = self.lots(frames, false).into_iter();
        let elapsed = lots.map(|(begun_ns, seen)| seen.last_done_ns.saturating_sub(begun_ns)).sum();
        Duration::from_nanos(elapsed)
    }

    fn end(self) {
        let summary = self.rig.shutdown();
        assert!(summary.is_clean && !summary.has_losses(), "the rig did not end well: {summary:#?}");
    }
}

impl Labrig {
    /// Runs frames through the ring in lots, checks every sum, and gives when each lot was begun and what was
    /// seen of it.
    fn lots(&mut self, frames: u64, one_by_one: bool) -> Vec<(u64, FramesSeen)> {
        let mut left = frames;
        let mut lots = Vec::new();
        while left > 0 {
            let frames = u32::try_from(left.min(MOST_FRAMES)).expect("a lot is small");
            left -= u64::from(frames);
            let pending = self.scope.request(Expect { frames, one_by_one }).expect("the sink takes commands");
            pending.wait(PATIENCE).expect("the sink answers");
            let begun_ns = monotonic_ns();
            self.scope.send(Produce { frames, one_by_one }).expect("the source takes commands");
            let seen = self.seen.recv_timeout(PATIENCE).expect("all frames are seen");
            self.check(&seen, frames);
            lots.push((begun_ns, seen));
        }
        lots
    }

    fn check(&mut self, seen: &FramesSeen, frames: u32) {
        assert_eq!(seen.sums.len(), frames as usize, "every frame is seen once");
        for (index, sum) in &seen.sums {
            let expected = (self.published, expected_sum(self.published, self.frame_bytes));
            assert_eq!((*index, *sum), expected, "the number and sum of a frame");
            self.published += 1;
        }
    }
}

/// Who is told `Busy` offers the processor and tries again.
fn yield_if_busy(refusal: &Refusal) {
    assert!(matches!(refusal, Refusal::Busy { .. }), "{refusal}");
    thread::yield_now();
}

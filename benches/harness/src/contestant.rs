//! What a contestant is: something that starts children and does works with them.

use std::time::Duration;

use serde::Serialize;

use crate::payload::{Datum, Exchange};
use crate::placement::Placement;
use crate::work::Work;

/// Who a contestant is, as it says itself.
#[derive(Debug, Clone, Copy)]
pub struct About {
    /// Its name.
    pub peer: &'static str,
    /// `limit`, `hand` or `rust`.
    pub kind: &'static str,
    /// What it can do.
    pub works: &'static [Work],
    /// How it is set up.
    pub notes: &'static str,
    /// How often a frame's bytes are copied on their way.
    pub copies: &'static str,
}

impl About {
    /// What `list` prints.
    pub fn line(&self) -> String {
        #[derive(Serialize)]
        struct Line {
            peer: &'static str,
            kind: &'static str,
            works: Vec<String>,
            notes: &'static str,
        }
        let works = self.works.iter().map(Work::to_string).collect();
        let line = Line { peer: self.peer, kind: self.kind, works, notes: self.notes };
        serde_json::to_string(&line).expect("texts can be written as JSON")
    }
}

/// What is to be started.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    /// What it is for.
    pub work: Work,
    /// How many children.
    pub children: usize,
    /// Where the children run; the coordinator is in its place already.
    pub placement: Placement,
    /// How large frames are, in [`Work::W4`].
    pub frame_bytes: usize,
}

/// How many frames are in flight at most when their rate is measured.
pub const FRAMES_IN_FLIGHT: usize = 4;

/// A running contestant. What it is asked for is what it has said it can do.
pub trait Contestant: Sized {
    /// Starts the children. They are ready when they answer, not when this returns.
    fn start(setup: &Setup) -> Self;

    /// W1: a command to the first child, answered.
    fn exchange(&mut self, _command: Exchange) -> Exchange {
        not_done("exchange")
    }

    /// W3, and the ping of W5 and W6: the command to all children, and the answers of all.
    fn exchange_with_all(&mut self, _command: &Exchange) -> Vec<Exchange> {
        not_done("exchange with all")
    }

    /// W1M: that many commands from one child to another; how long each took, in nanoseconds.
    fn exchange_between(&mut self, _count: u64, _gap: Option<Duration>) -> Vec<u64> {
        not_done("exchange between children")
    }

    /// W2: a one-way command to the first child. It may wait for room, and it may go out later.
    fn send(&mut self, _datum: &Datum) {
        not_done("send")
    }

    /// W2: how many one-way commands have come since this was last asked; all that were sent go before.
    fn how_many(&mut self) -> u64 {
        not_done("count")
    }

    /// W4, one frame in flight: from the end of filling until the consumer was done, in nanoseconds. It has
    /// checked every sum.
    fn hand_off(&mut self, _frames: u64) -> Vec<u64> {
        not_done("hand frames off")
    }

    /// W4, [`FRAMES_IN_FLIGHT`]: how long it took to fill and look at all. It has checked every sum.
    fn stream(&mut self, _frames: u64) -> Duration {
        not_done("stream frames")
    }

    /// Ends and reaps all children, and demands that they ended well.
    fn end(self);
}

fn not_done(what: &str) -> ! {
    panic!("this contestant cannot {what}, though its list says so");
}

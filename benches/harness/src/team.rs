//! A contestant on bare channels: children that block in a read, decode, answer.
//!
//! No routing, correlation, deadline, queue or crash handling: the coordinator reads one child at a time. Frames lie
//! in memory that both sides have mapped, and the channel carries a slot's number.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::contestant::{Contestant, FRAMES_IN_FLIGHT, Setup};
use crate::memory::Shared;
use crate::payload::{Datum, Exchange, expected_sum, shade, sum_of};
use crate::spawn;
use crate::work::Work;

/// What a child is told.
#[derive(Serialize, Deserialize, Debug, Clone)]
pub enum Message {
    /// To be answered.
    Exchange(Exchange),
    /// To be counted.
    Datum(Datum),
    /// To be answered with the count.
    HowMany,
    /// A frame of that number is to be looked at.
    Frame {
        /// Where it lies.
        slot: u32,
        /// How long it is.
        bytes: u32,
    },
}

/// What a child answers.
#[derive(Serialize, Deserialize, Debug, Clone)]
pub enum Answer {
    /// To a command.
    Exchange(Exchange),
    /// How many one-way commands have come since the last time.
    Count(u64),
    /// What was seen of a frame, and when it was done.
    Seen(Seen),
}

/// What was seen of a frame.
#[derive(Serialize, Deserialize, Debug, Clone, Copy)]
pub struct Seen {
    /// The sum of a byte of each page.
    pub sum: u64,
    /// When, by the clock of the machine.
    pub done_ns: u64,
}

/// The coordinator's end of a channel. Dropping it lets the child's reads end.
pub trait Near: Sized {
    /// Names the role of its children.
    const ROLE: &'static str;

    /// A channel, and what its child finds as its standard input.
    fn open() -> (Self, OwnedFd);

    /// Says something; one-way commands may go out later.
    fn write(&mut self, message: &Message);

    /// Waits for an answer. What was written goes out before.
    fn read(&mut self) -> Answer;

    /// Whether frames lie in memory of the channel's own, and [`hand_over`](Self::hand_over) is used.
    const OWN_FRAMES: bool = false;

    /// Fills a frame in such memory, hands it over, and gives the moment in between.
    fn hand_over(&mut self, _frame: u64, _bytes: usize) -> u64 {
        panic!("this channel has no memory for frames of its own");
    }
}

/// The child's end of a channel.
pub trait Far: Sized {
    /// The channel that is this process's standard input.
    fn inherited() -> Self;

    /// The next message; none at the end.
    fn read(&mut self) -> Option<Message>;

    /// Answers.
    fn write(&mut self, answer: &Answer);

    /// The sum of the frame that the last message brought, if frames lie in memory of the channel's own.
    fn sum(&mut self) -> Option<u64> {
        None
    }
}

/// The coordinator and its children.
pub struct Team<N: Near> {
    members: Vec<(N, Child)>,
    /// The memory of frames, where there are any and the channel has none.
    pool: Option<Shared>,
    frame_bytes: usize,
}

impl<N: Near> Team<N> {
    fn member(&mut self) -> &mut N {
        &mut self.members[0].0
    }

    /// Fills the slot of a frame, hands it over, and gives the moment in between.
    fn hand_over(&mut self, frame: u64) -> u64 {
        let bytes = self.frame_bytes;
        let Some(pool) = &mut self.pool else { return self.member().hand_over(frame, bytes) };
        let slot = frame as usize % FRAMES_IN_FLIGHT;
        pool.write(slot * bytes, bytes).fill(shade(frame));
        let filled_ns = now_ns();
        self.member().write(&Message::Frame { slot: slot as u32, bytes: bytes as u32 });
        filled_ns
    }

    /// Waits for what was seen of a frame, and checks it.
    fn seen(&mut self, frame: u64) -> Seen {
        let bytes = self.frame_bytes;
        match self.member().read() {
            Answer::Seen(seen) => {
                assert_eq!(seen.sum, expected_sum(frame, bytes), "the sum of frame {frame}");
                seen
            }
            other => panic!("{other:?} is no answer to a frame"),
        }
    }
}

impl<N: Near> Contestant for Team<N> {
    fn start(setup: &Setup) -> Self {
        let is_pooled = setup.work == Work::W4 && !N::OWN_FRAMES;
        let (pool, file) = is_pooled.then(|| Shared::create(setup.frame_bytes * FRAMES_IN_FLIGHT)).unzip();
        let start = |_| {
            let (near, far) = N::open();
            let file =
                file.as_ref().map(|file: &OwnedFd| file.try_clone().expect("a descriptor can be copied"));
            (near, spawn::child(N::ROLE, setup, far, file))
        };
        let members = (0..setup.children).map(start).collect();
        Self { members, pool, frame_bytes: setup.frame_bytes }
    }

    fn exchange(&mut self, command: Exchange) -> Exchange {
        let member = self.member();
        member.write(&Message::Exchange(command));
        answer_of(member)
    }

    fn exchange_with_all(&mut self, command: &Exchange) -> Vec<Exchange> {
        let message = Message::Exchange(command.clone());
        self.members.iter_mut().for_each(|(near, _)| near.write(&message));
        self.members.iter_mut().map(|(near, _)| answer_of(near)).collect()
    }

    fn send(&mut self, datum: &Datum) {
        self.member().write(&Message::Datum(*datum));
    }

    fn how_many(&mut self) -> u64 {
        let member = self.member();
        member.write(&Message::HowMany);
        match member.read() {
            Answer::Count(count) => count,
            other => panic!("{other:?} is no count"),
        }
    }

    fn hand_off(&mut self, frames: u64) -> Vec<u64> {
        let one = |frame| {
            let filled_ns = self.hand_over(frame);
            self.seen(frame).done_ns.saturating_sub(filled_ns)
        };
        (0..frames).map(one).collect()
    }

    fn stream(&mut self, frames: u64) -> Duration {
        let begun = Instant::now();
        let mut in_flight = VecDeque::new();
        for frame in 0..frames {
            if in_flight.len() == FRAMES_IN_FLIGHT {
                let oldest = in_flight.pop_front().expect("it is not empty");
                self.seen(oldest);
            }
            self.hand_over(frame);
            in_flight.push_back(frame);
        }
        for oldest in in_flight {
            self.seen(oldest);
        }
        begun.elapsed()
    }

    fn end(self) {
        let (channels, children): (Vec<_>, Vec<_>) = self.members.into_iter().unzip();
        drop(channels);
        children.into_iter().for_each(spawn::reap);
    }
}

fn answer_of(near: &mut impl Near) -> Exchange {
    match near.read() {
        Answer::Exchange(answer) => answer,
        other => panic!("{other:?} is no answer to a command"),
    }
}

/// A child's life: answers until its channel ends.
pub fn serve(mut far: impl Far) {
    let mut frames = None;
    let mut received = 0;
    while let Some(message) = far.read() {
        match message {
            Message::Exchange(command) => far.write(&Answer::Exchange(command.answered())),
            Message::Datum(_) => received += 1,
            Message::HowMany => far.write(&Answer::Count(std::mem::take(&mut received))),
            Message::Frame { slot, bytes } => {
                let sum = far.sum().unwrap_or_else(|| {
                    let memory = frames.get_or_insert_with(|| Shared::of(&std::io::stdout().as_fd()));
                    sum_of(memory.read(slot as usize * bytes as usize, bytes as usize))
                });
                far.write(&Answer::Seen(Seen { sum, done_ns: now_ns() }));
            }
        }
    }
}

/// The clock by which processes compare moments.
pub fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

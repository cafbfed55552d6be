//! From a manager's line to the router, in whichever thread looks: the main loop, or one that waits for an answer.

use std::time::{Duration, Instant};

use super::answers::Answers;
use super::core::{Core, CoreState, Request};
use super::peers::Looker;
use super::router::{Caller, Moment, Router};
use crate::transport::PipeError;
use crate::wire::control::{self, ManagerWord};
use crate::wire::{Envelope, EnvelopeError, Kind};

/// What a look at a manager's line has come to.
pub(super) enum Came {
    /// Everything is routed that was there, or that it may say now.
    All,
    /// As much as was wanted is routed; there may be more.
    Turn,
    /// A word for the main loop; there may be more.
    Word(ManagerWord),
    /// Nothing more can come.
    Broken(Broken),
}

/// Why nothing more can come from a manager.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// The line has ended, or says what no line says.
    #[error("{0}")]
    Line(#[from] PipeError),
    /// What came is no envelope.
    #[error("{0}")]
    Envelope(#[from] EnvelopeError),
}

impl Broken {
    /// Whether it is the ordinary end.
    pub(super) fn is_end(&self) -> bool {
        matches!(self, Self::Line(PipeError::Closed))
    }
}

/// What of a line is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// All of it.
    Line,
    /// Its lane alone, where no words are.
    Lane,
}

impl Core {
    /// Routes what a manager has sent, until there is a word for the main loop, nothing more, or `left` is used up.
    pub(super) fn route_from(&self, index: usize, buffer: &mut [u8], left: &mut usize, way: Way) -> Came {
        let mut answers = Answers::default();
        let mut state = self.lock();
        let before = *left;
        let came = self.route_all(&mut state, index, buffer, left, way, &mut answers);
        if *left < before && std::mem::take(&mut state.peers[index].is_hoped_for) {
            state.requests.push(Request::Lives(index));
            self.wake.ring();
        }
        self.arm(&mut state);
        drop(state);
        answers.hand_over();
        came
    }

    fn route_all(
        &self,
        state: &mut CoreState,
        index: usize,
        buffer: &mut [u8],
        left: &mut usize,
        way: Way,
        answers: &mut Answers,
    ) -> Came {
        let Some(line) = state.peers[index].line.clone() else { return Came::All };
        let is_alone = state.peers[index].looker == Looker::Nobody;
        if is_alone {
            line.wake_up();
        }
        loop {
            if state.peers[index].throttled_until.is_some() {
                return Came::All;
            }
            if *left == 0 {
                return Came::Turn;
            }
            let received = match way {
                Way::Line => line.receive(buffer),
                Way::Lane => line.receive_record(buffer),
            };
            let mut packet = match received {
                Ok(packet) => packet,
                // Whoever looks does so before it sleeps.
                Err(PipeError::NotReady) if !is_alone || line.fall_asleep() => return Came::All,
                // A record has come meanwhile; or, for who takes nothing else, after a packet.
                Err(PipeError::NotReady) if way == Way::Lane => return Came::Turn,
                Err(PipeError::NotReady) => {
                    // Counted, so that nobody is held up by one who only says that something has come.
                    *left -= 1;
                    self.throttle(state, index, 1);
                    line.wake_up();
                    continue;
                }
                Err(error) => return Came::Broken(error.into()),
            };
            *left -= 1;
            self.throttle(state, index, packet.length);
            if packet.length == 0 {
                // It was called, perhaps because there is room again.
                self.flush(state, index, &Moment::now());
                continue;
            }
            state.peers[index].is_lively = true;
            let taken = Envelope::receive(&buffer[..packet.length], &mut packet.descriptors)
                .and_then(|envelope| self.take_envelope(state, index, &envelope));
            match taken {
                Ok(None) => self.perform_for(state, answers, &Moment::now()),
                Ok(Some(word)) => return Came::Word(word),
                Err(error) => return Came::Broken(error.into()),
            }
        }
    }

    /// Routes one envelope; gives back a word that is the main loop's.
    fn take_envelope(
        &self,
        state: &mut CoreState,
        index: usize,
        envelope: &Envelope<'_>,
    ) -> Result<Option<ManagerWord>, EnvelopeError> {
        let Envelope { header, payload } = envelope;
        match header.kind {
            Kind::Control => return Ok(hear_of_call(&mut state.router, index, control::open(payload)?)),
            Kind::Done | Kind::Ended => state.router.answered(index, header, payload)?,
            Kind::Progress | Kind::Opened | Kind::Chunk => state.router.told(index, header, payload)?,
            Kind::Report => return Err(EnvelopeError::Payload { reason: "managers make no reports".into() }),
            _ => self.submit_from(state, index, header, payload),
        }
        Ok(None)
    }

    /// Leaves a line unread for a while when too much comes out of it.
    fn throttle(&self, state: &mut CoreState, index: usize, bytes: usize) {
        let now = Moment::now();
        let peer = &mut state.peers[index];
        let Some(wait) = peer.bucket.as_mut().and_then(|bucket| bucket.take(bytes, &now)) else { return };
        let until = now.get() + wait;
        peer.leave_unread(until, &self.poller);
        state.throttles[index] += 1;
        self.arm_for(state, Some(until));
    }
}

/// What a manager says of a call that it made; gives back what it says of anything else. In order with its commands
/// and answers: who waits for whom is known before what follows from it.
fn hear_of_call(router: &mut Router, index: usize, word: ManagerWord) -> Option<ManagerWord> {
    let generation = router.station(index).generation;
    let caller = |correlation| Caller::Manager { index, generation, correlation };
    match word {
        ManagerWord::Abandon { correlation } => router.abandon(caller(correlation)),
        ManagerWord::Cancel { correlation } => router.cancel(caller(correlation)),
        ManagerWord::Wait { correlation } => router.begin_wait(caller(correlation)),
        ManagerWord::WaitEnded { correlation } => router.end_wait(caller(correlation)),
        ManagerWord::Grant { correlation, chunks } => router.grant(caller(correlation), chunks),
        ManagerWord::SetExpiry { correlation, time_left_us } => {
            let after = |left| Instant::now().checked_add(Duration::from_micros(left));
            router.set_expiry(caller(correlation), time_left_us.and_then(after));
        }
        word => return Some(word),
    }
    None
}

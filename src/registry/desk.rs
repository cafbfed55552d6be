//! What a thread that runs handlers is at, and what becomes of a command there.
//!
//! The same in every manager and in the scope: a command that was cancelled before does not run; a panic is
//! a failure of that call alone; one that gave up because it was cancelled ends as cancelled, whatever error
//! it gave up with; a stream in its reply is sent after it, by a thread of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::handler::HandlerEnd;
use super::late::LateAnswers;
use super::panics;
use super::streaming::OutgoingStreams;
use super::vitals::Vitals;
use crate::remote::Cancellations;
use crate::remote::{ChunkSource, collect_outgoing};
use crate::wire::{self, Failure, FailureKind, Header, Kind, NotDone, Parcel};

/// See the module's words.
#[derive(Default)]
pub(crate) struct Desk {
    work: Arc<Cancellations>,
    streams: Arc<OutgoingStreams>,
    late: Arc<LateAnswers>,
    vitals: Arc<Vitals>,
    withholds_traces: AtomicBool,
}

/// How a command ended at its handler.
pub(crate) struct Finished {
    /// What went wrong is rare, and large.
    pub(crate) end: Result<Parcel, Box<NotDone>>,
    /// What is to be streamed after the reply.
    pub(crate) stream: Option<Box<dyn ChunkSource>>,
    /// Whether the answer comes later, from elsewhere.
    pub(crate) is_put_off: bool,
    /// How long the handler ran.
    pub(crate) took: Duration,
}

impl Desk {
    /// From now on failures do not say where they happened.
    pub(crate) fn withhold_traces(&self) {
        self.withholds_traces.store(true, Ordering::Relaxed);
    }

    pub(crate) fn work(&self) -> &Arc<Cancellations> {
        &self.work
    }

    pub(crate) fn streams(&self) -> &Arc<OutgoingStreams> {
        &self.streams
    }

    pub(crate) fn late(&self) -> &Arc<LateAnswers> {
        &self.late
    }

    pub(crate) fn vitals(&self) -> &Arc<Vitals> {
        &self.vitals
    }

    /// Cancels a call: the one that runs, one that is still to come, or one whose answer is still streamed.
    pub(crate) fn cancel(&self, call: u64) {
        if !self.work.cancel(call) && !self.late.cancel(call) {
            self.streams.cancel(call);
        }
    }

    /// The process ends: everything is to give up.
    pub(crate) fn cancel_all(&self) {
        self.work.cancel_all();
        self.streams.cancel_all();
    }

    /// Runs the handler of a command that begins now, unless that was cancelled. `heed` hears of cancellations that are on their
    /// way: before the handler, so that it does not run in vain, and after it, so that what it gave up for is no
    /// failure of its own.
    pub(crate) fn run(
        &self,
        asked: &Header,
        begun: Instant,
        heed: impl Fn(),
        handle: impl FnOnce() -> HandlerEnd,
    ) -> Finished {
        heed();
        if !self.work.begin(asked.call()) {
            self.work.finish();
            return Finished::without_running(NotDone::Cancelled);
        }
        // Nobody is told what a one-way command gives, nor how long it took.
        let ((end, stream), took) = match asked.kind {
            Kind::Send => ((panics::catch(handle), None), Duration::ZERO),
            _ => (collect_outgoing(|| panics::catch(handle)), begun.elapsed()),
        };
        heed();
        let was_cancelled = self.work.finish();
        let is_put_off = self.late.handler_ended(end.is_err(), was_cancelled);
        let end = end.map_err(|failure| Box::new(self.not_done(*failure, was_cancelled)));
        Finished { end, stream, is_put_off, took }
    }

    fn not_done(&self, mut failure: Failure, was_cancelled: bool) -> NotDone {
        if was_cancelled && !matches!(failure.kind, FailureKind::Panic | FailureKind::Malformed) {
            log::info!("a cancelled command ended with: {failure}");
            return NotDone::Cancelled;
        }
        if self.withholds_traces.load(Ordering::Relaxed) {
            failure.location = None;
            failure.backtrace = None;
        }
        NotDone::Failed(failure)
    }
}

impl Finished {
    /// A command that ends before its handler.
    pub(crate) fn without_running(why: NotDone) -> Self {
        Self { end: Err(Box::new(why)), stream: None, is_put_off: false, took: Duration::ZERO }
    }

    /// The answer, and the stream that is to follow it.
    pub(crate) fn answer(self, asked: &Header) -> (Header, Vec<u8>, Option<Box<dyn ChunkSource>>) {
        let (kind, Parcel { bytes, attached }) = wire::answer(self.end.map_err(|why| *why));
        let stream = self.stream.filter(|_| kind == Kind::Done);
        let header = Header {
            codec: asked.codec,
            generation: asked.generation,
            correlation: asked.correlation,
            time_left_us: u64::try_from(self.took.as_micros()).unwrap_or(u64::MAX),
            attached,
            ..Header::new(if stream.is_some() { Kind::Opened } else { kind })
        };
        (header, bytes, stream)
    }
}

//! Answers that come later than their handlers end: from whichever thread has them.
//!
//! A call that is put off is answered once: by what its handler left behind, or because it was cancelled. A handler
//! that fails after it has put its answer off is answered by its failure.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use serde::Serialize;

use super::deeds::DeedLeft;
use super::streaming::SendChunk;
use crate::remote::Scope;
use crate::wire::{
    self, CodecId, Command, Failure, Generation, Header, Kind, NotDone, Parcel, Progress, Schema, codec,
};

/// The calls of a process whose handlers have ended, or will end, without an answer.
#[derive(Default)]
pub(crate) struct LateAnswers {
    state: Mutex<State>,
    /// Whether the handler that runs has put its answer off: most never do, and take no lock. Said while it runs, and
    /// asked when it has ended.
    has_put_off: AtomicBool,
}

#[derive(Default)]
struct State {
    send: Option<SendChunk>,
    open: HashMap<u64, Asked>,
    /// The call of the handler that runs, when that has put its answer off.
    put_off: Option<u64>,
    /// Whether whoever was to answer that has given up already.
    is_given_up: bool,
    /// The process ends: what is open ends with it.
    ends: bool,
}

/// How a call wants to be answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) call: u64,
    pub(crate) codec: CodecId,
    pub(crate) generation: Generation,
    pub(crate) begun: Instant,
}

impl LateAnswers {
    /// From now on answers go out by that.
    pub(crate) fn send_by(&self, send: SendChunk) {
        self.state.lock().send = Some(send);
    }

    /// The handler that runs puts its answer off.
    pub(crate) fn put_off(&self, asked: Asked) {
        let mut state = self.state.lock();
        state.open.insert(asked.call, asked);
        (state.put_off, state.is_given_up) = (Some(asked.call), false);
        self.has_put_off.store(true, Ordering::Relaxed);
    }

    /// A handler has ended; says whether it has put its answer off. What has failed is answered now.
    pub(crate) fn handler_ended(&self, has_failed: bool, was_cancelled: bool) -> bool {
        if !self.has_put_off.load(Ordering::Relaxed) {
            return false;
        }
        self.has_put_off.store(false, Ordering::Relaxed);
        let mut state = self.state.lock();
        let Some(call) = state.put_off.take() else { return false };
        if has_failed {
            // Nobody has answered yet, or the failure comes too late to be told.
            return state.open.remove(&call).is_none();
        }
        let is_given_up = state.is_given_up;
        drop(state);
        match (was_cancelled, is_given_up) {
            (true, _) => drop(self.cancel(call)),
            (false, true) => self.give_up(call),
            (false, false) => {}
        }
        true
    }

    /// Ends a call as cancelled, if it is open here.
    pub(crate) fn cancel(&self, call: u64) -> bool {
        self.answer(call, Err(NotDone::Cancelled))
    }

    /// The process ends: what is dropped unanswered from now on ends with it.
    pub(crate) fn end(&self) {
        self.state.lock().ends = true;
    }

    /// Nobody will answer. While its handler runs, that may still fail the call by its own error.
    fn give_up(&self, call: u64) {
        let mut state = self.state.lock();
        if state.ends {
            return;
        }
        if state.put_off == Some(call) {
            state.is_given_up = true;
            return;
        }
        drop(state);
        let why = Failure::text("whoever was to answer later has given up");
        self.answer(call, Err(NotDone::Failed(why)));
    }

    fn is_open(&self, call: u64) -> bool {
        self.state.lock().open.contains_key(&call)
    }

    fn codec_of(&self, call: u64) -> Option<CodecId> {
        self.state.lock().open.get(&call).map(|asked| asked.codec)
    }

    /// Answers a call, unless that was done before; says whether it was open.
    fn answer(&self, call: u64, end: Result<Parcel, NotDone>) -> bool {
        let mut state = self.state.lock();
        let Some(asked) = state.open.remove(&call) else { return false };
        let send = state.send.clone();
        drop(state);
        let (kind, Parcel { bytes, attached }) = wire::answer(end);
        let took_us = u64::try_from(asked.begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        let Asked { codec, generation, .. } = asked;
        let header = Header {
            codec,
            generation,
            correlation: call,
            time_left_us: took_us,
            attached,
            ..Header::new(kind)
        };
        if let Some(send) = send {
            send(&header, &bytes);
        }
        true
    }
}

/// The answer of a call that its handler has put off: see [`Context::answer_later`](super::Context::answer_later).
///
/// Dropping it fails the call, unless the process is about to end: then the call ends with it.
pub struct LateAnswer<C: Command> {
    late: Arc<LateAnswers>,
    base: Scope,
    /// 0 for a command that nobody waits for.
    call: u64,
    /// What its manager's journal is to know as done.
    deed: Option<DeedLeft>,
    command: PhantomData<fn() -> C>,
}

impl<C: Command> LateAnswer<C> {
    pub(super) fn new(late: Arc<LateAnswers>, base: Scope, call: u64, deed: Option<DeedLeft>) -> Self {
        Self { late, base, call, deed, command: PhantomData }
    }

    /// Answers. A call that has been cancelled meanwhile is answered already.
    pub fn done(self, reply: &C::Reply) {
        if let Some(deed) = &self.deed {
            deed.finish();
        }
        let Some(codec) = self.late.codec_of(self.call) else { return };
        let written =
            codec::pack(reply, codec).map_err(|error| NotDone::Failed(Failure::text(error.to_string())));
        self.late.answer(self.call, written);
    }

    /// Fails the call with an error that crosses whole.
    pub fn fail<E: Error + Serialize + Schema>(self, error: &E) {
        self.late.answer(self.call, Err(NotDone::Failed(Failure::typed(error, error.to_string()))));
    }

    /// Tells the caller how far it is; see [`Context::progress`](super::Context::progress).
    pub fn progress(&self, done: f64, total: f64, note: &str) {
        if self.call != 0 {
            self.base.report_progress(self.call, Progress { done, total, note: note.to_owned() });
        }
    }

    /// Whether nobody waits for it any more.
    pub fn is_over(&self) -> bool {
        !self.late.is_open(self.call)
    }
}

impl<C: Command> Drop for LateAnswer<C> {
    fn drop(&mut self) {
        self.late.give_up(self.call);
    }
}

impl<C: Command> fmt::Debug for LateAnswer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LateAnswer").field("call", &self.call).finish_non_exhaustive()
    }
}

/// How the handler of a command with that header is answered, when somebody waits for it.
pub(crate) fn asked_by(header: &Header, begun: Instant) -> Option<Asked> {
    let Header { correlation: call, codec, generation, .. } = *header;
    (header.kind == Kind::Request).then_some(Asked { call, codec, generation, begun })
}

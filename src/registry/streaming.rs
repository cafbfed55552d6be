//! Streams that answer calls, on their way out.
//!
//! A thread for each stream takes items from their source and sends them in chunks, as many as its reader
//! has asked for; then it sleeps. It ends with its source, or when the call is cancelled.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::panics;
use crate::remote::{ChunkSource, WINDOW};
use crate::wire::{self, Failure, Header, Kind, NotDone, Parcel};

/// The streams that a process sends, by the number of the call that each answers.
#[derive(Default)]
pub(crate) struct OutgoingStreams {
    open: Mutex<HashMap<u64, Arc<Credit>>>,
    closed: Condvar,
}

/// How much of a stream may be sent.
struct Credit {
    state: Mutex<CreditState>,
    changed: Condvar,
}

struct CreditState {
    chunks: u32,
    is_cancelled: bool,
}

/// Sends an envelope of a stream.
pub(crate) type SendChunk = Arc<dyn Fn(&Header, &[u8]) + Send + Sync>;

impl OutgoingStreams {
    /// Sends the answer of a call, and begins to send the stream that follows it.
    ///
    /// Whoever hears the answer may cancel the stream at once, so it is known here before.
    pub(crate) fn open(
        self: &Arc<Self>,
        answer: &Header,
        payload: &[u8],
        source: Box<dyn ChunkSource>,
        send: SendChunk,
    ) {
        let state = CreditState { chunks: WINDOW, is_cancelled: false };
        let credit = Arc::new(Credit { state: Mutex::new(state), changed: Condvar::new() });
        let id = answer.correlation;
        self.open.lock().insert(id, Arc::clone(&credit));
        send(answer, payload);
        let header = Header { generation: answer.generation, correlation: id, ..Header::new(Kind::Chunk) };
        let streams = Arc::clone(self);
        let run = {
            let (send, header) = (Arc::clone(&send), header.clone());
            move || {
                let end = pump(source, &credit, &|chunk: Parcel| {
                    send(&Header { attached: chunk.attached, ..header.clone() }, &chunk.bytes);
                });
                finish(&*send, &header, end);
                streams.close(id);
            }
        };
        if let Err(error) = thread::Builder::new().name("labrig-stream".to_owned()).spawn(run) {
            let why = format!("no thread can be started for the stream: {error}");
            finish(&*send, &header, Err(NotDone::Failed(Failure::text(why))));
            self.close(id);
        }
    }

    /// The reader of a stream takes so many chunks more.
    pub(crate) fn grant(&self, call: u64, chunks: u32) {
        self.change(call, |state| state.chunks = state.chunks.saturating_add(chunks));
    }

    /// Nobody reads a stream any more.
    pub(crate) fn cancel(&self, call: u64) {
        self.change(call, |state| state.is_cancelled = true);
    }

    /// Nobody reads any stream any more.
    pub(crate) fn cancel_all(&self) {
        for credit in self.open.lock().values() {
            credit.change(|state| state.is_cancelled = true);
        }
    }

    /// Waits until all streams have ended, for at most `patience`.
    pub(crate) fn settle(&self, patience: Duration) {
        let until = Instant::now() + patience;
        let mut open = self.open.lock();
        while !open.is_empty() && !self.closed.wait_until(&mut open, until).timed_out() {}
    }

    /// Whether any stream is being sent.
    pub(crate) fn is_any_open(&self) -> bool {
        !self.open.lock().is_empty()
    }

    fn change(&self, call: u64, change: impl FnOnce(&mut CreditState)) {
        if let Some(credit) = self.open.lock().get(&call) {
            credit.change(change);
        }
    }

    fn close(&self, call: u64) {
        self.open.lock().remove(&call);
        self.closed.notify_all();
    }
}

impl Credit {
    fn change(&self, change: impl FnOnce(&mut CreditState)) {
        change(&mut self.state.lock());
        self.changed.notify_all();
    }

    /// Waits until another chunk may be sent; false when none ever may.
    fn take(&self) -> bool {
        let mut state = self.state.lock();
        while state.chunks == 0 && !state.is_cancelled {
            self.changed.wait(&mut state);
        }
        state.chunks = state.chunks.saturating_sub(1);
        !state.is_cancelled
    }
}

fn pump(mut source: Box<dyn ChunkSource>, credit: &Credit, send: &dyn Fn(Parcel)) -> Result<(), NotDone> {
    loop {
        if !credit.take() {
            return Err(NotDone::Cancelled);
        }
        match panics::catch(|| source.next_chunk().transpose()).map_err(NotDone::Failed)? {
            Some(chunk) => send(chunk),
            None => return Ok(()),
        }
    }
}

fn finish(send: &dyn Fn(&Header, &[u8]), header: &Header, end: Result<(), NotDone>) {
    let (kind, payload) = wire::answer(end.map(|()| Parcel::default()));
    send(&Header { kind, ..header.clone() }, &payload);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam_channel::unbounded;

    /// Items without end, each in a chunk of its own.
    struct Endless;

    impl ChunkSource for Endless {
        fn next_chunk(&mut self) -> Option<Result<Parcel, Failure>> {
            Some(Ok(vec![1].into()))
        }
    }

    #[test]
    fn a_stream_that_is_cancelled_as_soon_as_its_answer_is_heard_ends() {
        let streams = Arc::new(OutgoingStreams::default());
        let (sent, heard) = unbounded();
        let send: SendChunk = {
            let streams = Arc::clone(&streams);
            Arc::new(move |header, _| {
                if header.kind == Kind::Opened {
                    streams.cancel(header.correlation);
                }
                sent.send(header.kind).expect("the test listens");
            })
        };
        let answer = Header { correlation: 7, ..Header::new(Kind::Opened) };
        streams.open(&answer, &[], Box::new(Endless), send);
        // A hang would be the mistake; nothing here takes a second.
        streams.settle(Duration::from_secs(30));
        assert!(!streams.is_any_open());
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), [Kind::Opened, Kind::Ended]);
    }
}

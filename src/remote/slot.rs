//! The place where the news of one call come in: how far it is, how it ended, and what it streams.
//!
//! It is answered exactly once; whoever waits, polls or has left a callback is told then. A call that is
//! answered by a stream goes on: chunks come in, and the stream ends once.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use super::callbacks;
use crate::wire::{BroadcastOutcome, Ending, Generation, Hops, NotDone, Parcel, Progress, Refusal};

/// What a call is answered with.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// A command that one manager, or the scope, handled.
    One {
        /// How it ended; for a stream, that it was opened.
        ending: Ending,
        /// Who ended it; empty when it never got to anyone.
        by: Arc<str>,
        /// Which life of it.
        generation: Generation,
        /// The calls that led there, outermost first.
        chain: Hops,
    },
    /// A broadcast.
    Many(Vec<BroadcastOutcome>),
}

/// What is done with an answer by those who do not wait for it.
pub type Callback = Box<dyn FnOnce(&Answer) + Send>;

/// How a thread of labrig's own is told that there are news. It may be called under any lock: it only leaves word
/// and rings.
pub type Notify = Box<dyn Fn() + Send>;

/// What a thread waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Need {
    /// The answer.
    Answer,
    /// The next chunk of the stream, or its end.
    Chunk,
}

/// Something out of a stream.
#[derive(Debug, Clone, PartialEq)]
pub enum StreamNews {
    /// Some items.
    Chunk(Parcel),
    /// The stream has ended: whole, or for a reason.
    End(Result<(), NotDone>),
}

/// Where an answer is put and found.
#[derive(Default)]
pub struct Slot {
    state: Mutex<State>,
    changed: Condvar,
    /// The turn of a handler that had been cancelled when it asked; 0 when none had.
    outlasts: AtomicU64,
}

#[derive(Default)]
struct State {
    answer: Option<Arc<Answer>>,
    progress: Option<Progress>,
    chunks: VecDeque<Parcel>,
    stream_end: Option<Result<(), NotDone>>,
    waker: Option<Waker>,
    /// Whoever sleeps elsewhere until the answer comes.
    sleeper: Option<Waker>,
    callbacks: Vec<Callback>,
    notify: Option<Notify>,
}

impl Slot {
    /// A slot of which that is told: of each word of progress, and of the answer.
    pub fn notifying(notify: Notify) -> Self {
        let slot = Self::default();
        slot.state.lock().notify = Some(notify);
        slot
    }

    /// Puts the answer in, and tells everyone who wants to know. A second answer is given back: a call is
    /// answered once. No lock may be held: wakers are code of others.
    ///
    /// # Errors
    /// The answer, when there was one before.
    pub fn fill(&self, answer: Answer) -> Result<(), Answer> {
        let mut state = self.state.lock();
        if state.answer.is_some() {
            return Err(answer);
        }
        let answer = Arc::new(answer);
        state.answer = Some(Arc::clone(&answer));
        let wakers = [state.waker.take(), state.sleeper.take()];
        let callbacks = std::mem::take(&mut state.callbacks);
        if let Some(notify) = state.notify.take() {
            notify();
        }
        drop(state);
        self.changed.notify_all();
        for waker in wakers.into_iter().flatten() {
            callbacks::guarded("a waker", || waker.wake());
        }
        for callback in callbacks {
            let answer = Arc::clone(&answer);
            callbacks::run_later(Box::new(move || callback(&answer)));
        }
        Ok(())
    }

    /// Notes how far the command has come. After the answer it does not matter any more.
    pub fn report(&self, progress: Progress) {
        let mut state = self.state.lock();
        if state.answer.is_none() {
            state.progress = Some(progress);
            if let Some(notify) = &state.notify {
                notify();
            }
        }
    }

    /// Puts more of a stream in.
    pub fn push(&self, news: StreamNews) {
        let mut state = self.state.lock();
        match news {
            StreamNews::Chunk(_) if state.stream_end.is_some() => {}
            StreamNews::Chunk(chunk) => state.chunks.push_back(chunk),
            StreamNews::End(end) => {
                state.stream_end.get_or_insert(end);
            }
        }
        drop(state);
        self.changed.notify_all();
    }

    /// The answer, if it is there. It stays.
    pub fn answer(&self) -> Option<Arc<Answer>> {
        self.state.lock().answer.clone()
    }

    /// Why it was refused, when it was.
    pub fn refusal(&self) -> Option<Refusal> {
        match self.state.lock().answer.as_deref() {
            Some(Answer::One { ending: Ending::NotDone(NotDone::Refused(refusal)), .. }) => {
                Some(refusal.clone())
            }
            _ => None,
        }
    }

    /// The newest word on how far the command has come.
    pub fn progress(&self) -> Option<Progress> {
        self.state.lock().progress.clone()
    }

    /// Takes the oldest chunk of the stream, and after the last one its end.
    pub fn take_news(&self) -> Option<StreamNews> {
        let mut state = self.state.lock();
        let chunk = state.chunks.pop_front().map(StreamNews::Chunk);
        chunk.or_else(|| state.stream_end.clone().map(StreamNews::End))
    }

    /// Whether what is needed is there.
    pub fn has(&self, need: Need) -> bool {
        self.state.lock().has(need)
    }

    /// Sleeps until what is needed is there, the sleeper is [disturbed](Self::disturb) and `is_to_stop`, or
    /// `until` has passed; says whether what is needed is there.
    pub fn wait_until(&self, need: Need, until: Instant, is_to_stop: &dyn Fn() -> bool) -> bool {
        let mut state = self.state.lock();
        while !state.has(need) && !is_to_stop() {
            if self.changed.wait_until(&mut state, until).timed_out() {
                break;
            }
        }
        state.has(need)
    }

    /// Wakes a sleeper for another reason than news.
    pub fn disturb(&self) {
        drop(self.state.lock());
        self.changed.notify_all();
    }

    /// It is asked for by a handler that has been cancelled, in that turn of its.
    pub fn outlast(&self, turn: u64) {
        self.outlasts.store(turn, Ordering::Relaxed);
    }

    /// Whether it may be waited for in that turn, though its handler has been cancelled.
    pub fn outlasts(&self, turn: u64) -> bool {
        self.outlasts.load(Ordering::Relaxed) == turn
    }

    /// Has the task woken when the answer comes; gives the answer instead when it is there.
    pub fn poll(&self, waker: &Waker) -> Option<Arc<Answer>> {
        let mut state = self.state.lock();
        if state.answer.is_none() {
            state.waker = Some(waker.clone());
        }
        state.answer.clone()
    }

    /// Has a thread woken that sleeps elsewhere until the answer comes; says whether it is there.
    pub fn wake(&self, sleeper: &Waker) -> bool {
        let mut state = self.state.lock();
        if state.answer.is_none() {
            state.sleeper = Some(sleeper.clone());
        }
        state.answer.is_some()
    }

    /// Has the callback run when the answer comes, on the thread for callbacks; gives it back with the answer
    /// when that is there.
    pub fn on_answer(&self, callback: Callback) -> Option<(Callback, Arc<Answer>)> {
        let mut state = self.state.lock();
        match state.answer.clone() {
            Some(answer) => Some((callback, answer)),
            None => {
                state.callbacks.push(callback);
                None
            }
        }
    }
}

impl State {
    fn has(&self, need: Need) -> bool {
        match need {
            Need::Answer => self.answer.is_some(),
            Need::Chunk => !self.chunks.is_empty() || self.stream_end.is_some(),
        }
    }
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slot").field("answer", &self.state.lock().answer).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(byte: u8) -> Answer {
        Answer::One {
            ending: Ending::Done(vec![byte].into()),
            by: "motor".into(),
            generation: Generation(1),
            chain: Hops::new(),
        }
    }

    #[test]
    fn a_slot_is_answered_once_and_keeps_the_answer() {
        let slot = Slot::default();
        assert!(slot.answer().is_none() && !slot.has(Need::Answer));
        assert!(slot.fill(answer(1)).is_ok());
        assert_eq!(slot.fill(answer(2)), Err(answer(2)));
        assert_eq!(slot.answer().as_deref(), Some(&answer(1)));
        assert_eq!(slot.answer().as_deref(), Some(&answer(1)));
    }

    #[test]
    fn callbacks_get_the_answer_once_whenever_they_come() {
        let (slot, (told, heard)) = (Slot::default(), crossbeam_channel::unbounded());
        let callback = |told: &crossbeam_channel::Sender<Answer>| -> Callback {
            let told = told.clone();
            Box::new(move |answer| told.send(answer.clone()).expect("the test listens"))
        };
        assert!(slot.on_answer(callback(&told)).is_none());
        slot.fill(answer(1)).expect("the first answer");
        let (late, whole) = slot.on_answer(callback(&told)).expect("it is answered");
        late(&whole);
        drop(told);
        assert_eq!(heard.iter().collect::<Vec<_>>(), [answer(1), answer(1)]);
    }

    #[test]
    fn a_stream_is_read_to_its_end_which_stays() {
        let slot = Slot::default();
        slot.push(StreamNews::Chunk(vec![1].into()));
        slot.push(StreamNews::End(Ok(())));
        slot.push(StreamNews::Chunk(vec![2].into()));
        slot.push(StreamNews::End(Err(NotDone::Lost)));
        let news: Vec<_> = std::iter::from_fn(|| slot.take_news()).take(3).collect();
        assert_eq!(
            news,
            [StreamNews::Chunk(vec![1].into()), StreamNews::End(Ok(())), StreamNews::End(Ok(()))]
        );
    }
}

//! The right to read the stream that answers a call. Nobody can read it twice, so that is given once, to who
//! reads the answer first; and when nobody is left who could, the stream is ended.
//!
//! A value is read without knowledge of the call that it answers, so the claim lies in a place of the thread
//! while an answer is read.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::call_error::CallFacts;
use super::port::Port;
use super::slot::{Answer, Slot};
use crate::wire::Ending;

/// See the module's words.
pub(super) struct Claim {
    pub(super) port: Arc<dyn Port>,
    pub(super) slot: Arc<Slot>,
    /// The call that is answered, by its number.
    pub(super) call: u64,
    is_taken: AtomicBool,
}

/// A claim within reach of whoever reads the answer, and whose answer that is.
struct Incoming {
    claim: Arc<Claim>,
    facts: CallFacts,
}

thread_local! {
    static INCOMING: RefCell<Option<Incoming>> = const { RefCell::new(None) };
}

impl Claim {
    pub(super) fn new(port: Arc<dyn Port>, slot: Arc<Slot>, call: u64) -> Arc<Self> {
        Arc::new(Self { port, slot, call, is_taken: AtomicBool::new(false) })
    }

    /// Reads the answer, with the claim within reach.
    pub(super) fn while_reading<X>(self: &Arc<Self>, facts: CallFacts, read: impl FnOnce() -> X) -> X {
        let incoming = Incoming { claim: Arc::clone(self), facts };
        let _before = Restored(INCOMING.replace(Some(incoming)));
        read()
    }
}

/// Puts back what was in place before, also when whoever reads panics.
struct Restored(Option<Incoming>);

impl Drop for Restored {
    fn drop(&mut self) {
        drop(INCOMING.replace(self.0.take()));
    }
}

/// Takes the claim to the stream of the answer that is being read.
pub(super) fn take() -> Result<(Arc<Claim>, CallFacts), &'static str> {
    INCOMING.with_borrow(|incoming| {
        let Incoming { claim, facts } =
            incoming.as_ref().ok_or("a reply stream can only be read from the reply to a request")?;
        match claim.is_taken.swap(true, Ordering::Relaxed) {
            true => Err("the stream of this reply has its one reader already"),
            false => Ok((Arc::clone(claim), facts.clone())),
        }
    })
}

impl Drop for Claim {
    /// A stream that nobody can read any more is ended, as soon as it has begun. Its handler is not disturbed.
    fn drop(&mut self) {
        if *self.is_taken.get_mut() {
            return;
        }
        let (port, call) = (Arc::clone(&self.port), self.call);
        let end = move |answer: &Answer| {
            if matches!(answer, Answer::One { ending: Ending::Done(_), .. }) {
                port.cancel(call);
                port.abandon(call);
            }
        };
        match self.slot.on_answer(Box::new(end)) {
            Some((end, answer)) => end(&answer),
            None => self.port.attend(self.call),
        }
    }
}

//! The streams that a manager reads, and the handlers that look at their frames.

use std::os::fd::BorrowedFd;

use super::dispatch::note_tick;
use crate::registry::{Context, Instance, panics};
use crate::shm::{ReadMode, Reader};

/// One stream and the frame handlers bound to it.
struct Input {
    stream: String,
    names: Vec<String>,
    reader: Reader,
    handlers: Vec<(usize, &'static str)>,
}

/// All streams that a manager reads. They are looked at in turn, one frame at a time.
#[derive(Default)]
pub(super) struct Inputs {
    inputs: Vec<Input>,
    next: usize,
}

impl Inputs {
    /// Takes a stream on; a stream that was read before is replaced, as its producer has begun a new life.
    pub(super) fn attach(&mut self, stream: String, names: Vec<String>, reader: Reader) {
        self.inputs.retain(|input| input.stream != stream);
        self.inputs.push(Input { stream, names, reader, handlers: Vec::new() });
    }

    /// Finds the frame handlers of each input.
    pub(super) fn bind(&mut self, instance: &dyn Instance) {
        for input in &mut self.inputs {
            let bound = instance.inputs().into_iter().enumerate();
            let bound = bound.filter(|(_, (_, name))| input.names.iter().any(|known| known == name));
            input.handlers = bound.map(|(index, (method, _))| (index, method)).collect();
        }
    }

    /// Looks at one frame, if there is one.
    pub(super) fn look(&mut self, instance: &mut dyn Instance, context: &mut Context) -> bool {
        for _ in 0..self.inputs.len() {
            self.next = (self.next + 1) % self.inputs.len();
            if self.inputs[self.next].look(instance, context) {
                return true;
            }
        }
        false
    }

    /// Announces a sleep to every producer; false when there is news already.
    pub(super) fn prepare_to_wait(&mut self) -> bool {
        let ready = self
            .inputs
            .iter_mut()
            .all(|input| input.reader.ending().is_some() || input.reader.prepare_to_wait());
        if !ready {
            self.finish_wait();
        }
        ready
    }

    /// What to poll between [`prepare_to_wait`](Self::prepare_to_wait) and [`finish_wait`](Self::finish_wait).
    pub(super) fn doorbells(&self) -> Vec<BorrowedFd<'_>> {
        let open = self.inputs.iter().filter(|input| input.reader.ending().is_none());
        open.map(|input| input.reader.doorbell()).collect()
    }

    /// Ends the sleep.
    pub(super) fn finish_wait(&mut self) {
        self.inputs.iter_mut().for_each(|input| input.reader.finish_wait());
    }

    /// Whether every stream that waits for this manager has ended and been seen to its last frame.
    pub(super) fn is_drained(&self) -> bool {
        let mut lossless = self.inputs.iter().filter(|input| input.reader.mode() == ReadMode::Lossless);
        lossless.all(|input| input.reader.is_ended_and_drained())
    }
}

impl Input {
    fn look(&mut self, instance: &mut dyn Instance, context: &mut Context) -> bool {
        let Some(frame) = self.reader.next() else { return false };
        for (index, method) in &self.handlers {
            note_tick(method, panics::catch(|| instance.look(*index, &frame, context)));
        }
        true
    }
}

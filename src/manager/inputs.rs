//! The streams that a manager reads, and the handlers that look at their frames.

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;

use super::steps::Steps;
use crate::registry::{Context, Instance, Step};
use crate::shm::{ReadMode, Reader};

/// One stream and the frame handlers bound to it.
struct Input {
    stream: String,
    names: Vec<String>,
    reader: Reader,
    /// What its producer's next lives publish, while what the one before has left is still looked at.
    next: VecDeque<Reader>,
    handlers: Vec<(usize, &'static str)>,
}

/// All streams that a manager reads. They are looked at in turn, one frame at a time.
#[derive(Default)]
pub(super) struct Inputs {
    inputs: Vec<Input>,
    next: usize,
}

impl Inputs {
    /// Takes a stream on. One that was read before goes on with the new reader, as its producer has begun a new life:
    /// at once when only the newest frame counts, else when what is left of the old life has been seen.
    pub(super) fn attach(&mut self, stream: String, names: Vec<String>, reader: Reader) {
        match self.inputs.iter_mut().find(|input| input.stream == stream) {
            Some(input) => input.go_on_with(names, reader),
            None => {
                let (next, handlers) = (VecDeque::new(), Vec::new());
                self.inputs.push(Input { stream, names, reader, next, handlers });
            }
        }
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
    pub(super) fn look(
        &mut self,
        instance: &mut dyn Instance,
        context: &mut Context,
        steps: &mut Steps,
    ) -> bool {
        for _ in 0..self.inputs.len() {
            self.next = (self.next + 1) % self.inputs.len();
            if self.inputs[self.next].look(instance, context, steps) {
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
        lossless.all(|input| input.next.is_empty() && input.reader.is_ended_and_drained())
    }
}

impl Input {
    fn go_on_with(&mut self, names: Vec<String>, reader: Reader) {
        self.names = names;
        self.next.push_back(reader);
        self.leave_what_is_seen();
    }

    /// Goes on to the producer's next life, when there is nothing more to be seen of this one.
    fn leave_what_is_seen(&mut self) {
        while self.reader.mode() == ReadMode::Latest || !self.reader.has_news() {
            let Some(next) = self.next.pop_front() else { return };
            self.reader = next;
        }
    }

    fn look(&mut self, instance: &mut dyn Instance, context: &mut Context, steps: &mut Steps) -> bool {
        self.leave_what_is_seen();
        let Some(frame) = self.reader.next() else { return false };
        for (index, method) in &self.handlers {
            steps.run(Step::Frame(*index), method, || instance.look(*index, &frame, context));
        }
        true
    }
}

#[cfg(test)]
mod tests;

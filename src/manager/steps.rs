//! What a worker does besides commands: each step is said on the status page, its panic is caught, and one that
//! escalates is noted.

use std::sync::Arc;

use super::link::Link;
use crate::registry::{Step, panics};
use crate::wire::control::ManagerWord;
use crate::wire::{Failure, FailureKind};

/// See the module's words.
pub(super) struct Steps {
    link: Arc<Link>,
    escalates: bool,
    panic: Option<String>,
}

impl Steps {
    /// Whether the process is to be started again when a handler panics is the config's.
    pub(super) fn new(link: &Arc<Link>) -> Self {
        let escalates = link.configure.get().is_some_and(|configure| configure.restarts_on_panic);
        Self { link: Arc::clone(link), escalates, panic: None }
    }

    /// Runs a method of the manager that answers nobody.
    pub(super) fn run(&mut self, step: Step, method: &str, run: impl FnOnce() -> Result<(), Failure>) {
        if let Err(failure) = self.mark(step, || panics::catch(run)) {
            log::warn!("`{method}` failed: {failure}");
            self.note_failure(method, &failure);
        }
    }

    /// Does something that is said on the status page.
    pub(super) fn mark<T>(&self, step: Step, run: impl FnOnce() -> T) -> T {
        let vitals = self.link.desk().vitals();
        // Whoever is frozen is not waited for: the safe state must not hang on it.
        vitals.begin_step(step, || self.link.try_tell(&ManagerWord::Busy).is_ok());
        let done = run();
        vitals.finish_step();
        done
    }

    /// What became of a handler: a panic escalates when the config says so.
    pub(super) fn note_failure(&mut self, who: &str, failure: &Failure) {
        if self.escalates && failure.kind == FailureKind::Panic && self.panic.is_none() {
            self.panic = Some(format!("`{who}` {failure}"));
        }
    }

    /// Why the process is to be started again, if it is.
    pub(super) fn panic(&self) -> Option<&str> {
        self.panic.as_deref()
    }
}

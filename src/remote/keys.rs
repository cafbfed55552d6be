//! The keys of what a step of a procedure issues, in the order in which it issues it.
//!
//! What is counted is each command whose type is `#[command(journaled)]`, called, requested, sent or broadcast, whatever
//! becomes of it, and each key that the step asks for. No other command takes a key, and a scope of nobody's step has none.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::wire::{Attached, IdempotencyKey};

/// See the module's words.
#[derive(Debug)]
pub struct StepKeys {
    procedure: String,
    mark: u64,
    step: AtomicU64,
    next: AtomicU32,
}

impl StepKeys {
    /// Those of a procedure that is before its begin.
    pub fn new(procedure: String, mark: u64) -> Self {
        Self { procedure, mark, step: AtomicU64::new(0), next: AtomicU32::new(0) }
    }

    /// Another step begins, or the same one again: it counts from 0.
    pub fn enter(&self, step: u64) {
        self.step.store(step, Ordering::Relaxed);
        self.next.store(0, Ordering::Relaxed);
    }

    /// The step.
    pub fn step(&self) -> u64 {
        self.step.load(Ordering::Relaxed)
    }

    /// The next key.
    pub fn take(&self) -> IdempotencyKey {
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        IdempotencyKey { procedure: self.procedure.clone(), mark: self.mark, step: self.step(), index }
    }
}

/// What travels beside a command, its key among it.
pub(super) fn beside(
    attached: Option<Box<Attached>>,
    key: Option<Box<IdempotencyKey>>,
) -> Option<Box<Attached>> {
    if key.is_none() {
        return attached;
    }
    let mut attached = attached.unwrap_or_default();
    attached.key = key;
    Some(attached)
}

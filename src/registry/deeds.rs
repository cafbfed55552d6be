//! Deeds: commands that a step of a procedure has asked for by a key, and what their manager knows of them.

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::context::Context;
use super::handler::{HandlerEnd, Incoming};
use super::journal::{Deed, Journal};
use crate::macros::Schema;
use crate::remote::{ForgetDeeds, MOST_MARKS, Scope, WhichHaveEnded};
use crate::wire::{Failure, Header, IdempotencyKey};

/// What a manager knew of a command before it was given it now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// It was never begun here; or it has no key, by which it could be known.
    New,
    /// It was begun, and nobody knows how far it came: its process has ended, or its handler has failed.
    Started,
    /// It was done: its handler has returned without an error.
    Done,
}

/// Why a command with a key did not begin: its manager cannot write down that it does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize, Schema)]
#[non_exhaustive]
pub enum DeedError {
    /// The journal cannot be read or written. The handler did not run.
    #[error(
        "the journal of deeds `{file}` cannot be kept, and nothing is begun that it does not know of: {reason}"
    )]
    NotKept {
        /// The file.
        file: String,
        /// What the system said.
        reason: String,
    },
    /// Something else has written into it. It was not changed, and the handler did not run.
    #[error("the journal of deeds `{file}` is damaged in line {line}: what was done cannot be known from it")]
    Damaged {
        /// The file.
        file: String,
        /// Which line.
        line: u64,
    },
}

impl DeedError {
    pub(super) fn of_io(path: &std::path::Path, source: &std::io::Error) -> Self {
        Self::NotKept { file: path.display().to_string(), reason: source.to_string() }
    }

    pub(super) fn damaged(path: &std::path::Path, line: usize) -> Self {
        Self::Damaged { file: path.display().to_string(), line: line as u64 }
    }

    fn failure(&self) -> Failure {
        Failure::typed(self, self.to_string())
    }
}

/// The journal of a process, opened when it is first needed.
#[derive(Debug)]
pub(super) struct Deeds {
    /// Nothing outside any rig.
    path: Option<PathBuf>,
    journal: Mutex<Option<Journal>>,
}

impl Deeds {
    /// The journal of a manager, in the rig's folder for what is kept from run to run.
    pub(super) fn of(manager: &str, state_dir: &std::path::Path) -> Arc<Self> {
        let is_kept = !state_dir.as_os_str().is_empty();
        let path = is_kept.then(|| state_dir.join("deeds").join(format!("{manager}.journal")));
        Arc::new(Self { path, journal: Mutex::new(None) })
    }

    fn with<T>(&self, ask: impl FnOnce(&mut Journal) -> Result<T, DeedError>) -> Result<T, DeedError> {
        let mut journal = self.journal.lock();
        let open = || self.path.as_deref().map_or_else(|| Ok(Journal::unkept()), Journal::open);
        match &mut *journal {
            Some(journal) => ask(journal),
            unopened => ask(unopened.insert(open()?)),
        }
    }

    /// The marks of the procedures of which keys are kept. A file that there is not yet is not made for that.
    fn marks(&self) -> Result<Vec<u64>, DeedError> {
        let is_there = self.journal.lock().is_some() || self.path.as_ref().is_some_and(|path| path.exists());
        if !is_there {
            return Ok(Vec::new());
        }
        self.with(|journal| Ok(journal.marks().into_iter().take(MOST_MARKS).collect()))
    }

    fn forget(&self, ended: &[u64]) -> Result<(), DeedError> {
        if self.marks()?.is_empty() { Ok(()) } else { self.with(|journal| journal.forget(ended)) }
    }

    /// Asks the runners of procedures which of them have ended, and forgets what they were known for.
    fn settle(self: &Arc<Self>, marks: Vec<u64>, scope: &Scope) {
        // Where nobody runs procedures nobody knows: the keys are kept.
        let Ok(asked) = scope.broadcast(WhichHaveEnded { marks }) else { return };
        let deeds = Arc::clone(self);
        asked.on_complete(move |report| {
            let outcomes = report.into_iter().flat_map(|report| report.outcomes);
            let ended: Vec<_> = outcomes.filter_map(|runner| runner.outcome.ok()).flatten().collect();
            if let Err(error) = deeds.forget(&ended) {
                log::error!("keys of procedures that have ended are kept: {error}");
            }
        });
    }
}

/// The command at hand, when it is known by a key.
#[derive(Debug)]
pub(super) struct AtHand {
    deed: Deed,
    seen: Seen,
    /// It is done when that is said, not when its handler returns.
    is_put_off: bool,
}

/// A command whose answer comes later: it is done when that is given.
#[derive(Debug)]
pub(super) struct DeedLeft {
    deeds: Arc<Deeds>,
    deed: Deed,
}

impl DeedLeft {
    pub(super) fn finish(&self) {
        finish(&self.deeds, &self.deed);
    }
}

/// Whoever is told that it is done is told the truth: after a crash it counts as started.
fn finish(deeds: &Deeds, deed: &Deed) {
    if let Err(error) = deeds.with(|journal| journal.finish(deed)) {
        log::error!("`{}` was done, and is known as started only: {error}", deed.key);
    }
}

impl Context {
    /// What this manager knew of the command at hand before it was given it now, in this run of the rig or any before
    /// it. A step of a procedure that is run again after a crash issues the same commands by the same keys
    /// ([`StepContext::key`](crate::procedure::StepContext::key)); a command that is `#[command(journaled)]` is written down in
    /// its manager's journal before its handler begins, and marked as done when that has returned without an error.
    ///
    /// ```
    /// use labrig::prelude::*;
    ///
    /// /// Gives one dose.
    /// #[derive(Command, Serialize, Deserialize, Schema)]
    /// #[command(journaled)]
    /// struct GiveDose {}
    ///
    /// struct Pump;
    ///
    /// impl Pump {
    ///     fn give_dose(&mut self, _: GiveDose, context: &mut Context) -> Result<(), std::io::Error> {
    ///         match context.seen_before() {
    ///             Seen::Done => return Ok(()),
    ///             Seen::Started => { /* only the pump can tell whether the dose was given */ }
    ///             Seen::New => {}
    ///         }
    ///         // The pump is run.
    ///         Ok(())
    ///     }
    /// }
    /// ```
    ///
    /// **What is guaranteed**, whatever is killed, power failures included as far as the disk keeps what it has synced:
    /// - [`New`](Seen::New) is said once for a key and a command in a manager, and nothing of the handler runs before that
    ///   is on the disk. A journal that cannot be written fails the command by a [`DeedError`], and the handler does not run.
    /// - [`Done`](Seen::Done) is said only when the handler has returned `Ok` before, or, where it had put its answer off, when
    ///   [`LateAnswer::done`](super::LateAnswer::done) was called. It is on the disk before the answer leaves, or else the
    ///   log says that it is not.
    /// - Procedures are told apart by a random number, not by their ids: no other store of procedures ever makes a command
    ///   look as if it had been seen.
    /// - Keys are kept until their procedure has ended, and then forgotten by themselves: at once, or, when the manager or
    ///   the runner was away then, as soon as both are there.
    ///
    /// **What is not**:
    /// - Whether a deed that has [`Started`](Seen::Started) came to its end, or began at all: the process may have ended
    ///   anywhere between the two lines. Nor after an error or a panic, which may come before the device has moved or after
    ///   it: they leave it as started. No journal can know that; ask the device.
    /// - That another manager knows of it. Each has its own journal, each instance of a pool too.
    /// - That the command at hand is the same to the letter: what is compared is its type and the key. A step that issues
    ///   other commands when it is run again, because it goes by the clock or by what it has read meanwhile, gives its keys to
    ///   others.
    /// - Anything for a command without a key: one that is not journaled, or that no step of a procedure has issued. It is
    ///   always new, and costs nothing. So are commands that a handler issues in turn, and what a step sends from other
    ///   threads.
    ///
    /// Each of the two lines is a write that is synced, some milliseconds on most disks. The journal is
    /// `deeds/<manager>.journal` in the rig's state folder; outside any rig nothing is kept. Keys of a store of procedures
    /// that was taken away stay there, since it might come back; who knows that it will not may delete the file between two
    /// runs.
    pub fn seen_before(&self) -> Seen {
        self.at_hand.as_ref().map_or(Seen::New, |at_hand| at_hand.seen)
    }

    /// The key of the command at hand, to be passed on to a device that can tell by itself what it was asked for before;
    /// nothing for a command without one.
    pub fn key(&self) -> Option<&IdempotencyKey> {
        self.at_hand.as_ref().map(|at_hand| &at_hand.deed.key)
    }

    /// Runs the handler of a command, which the journal knows of if its type says so and it has a key.
    pub(crate) fn in_the_journal(
        &mut self,
        asked: &Header,
        is_journaled: bool,
        handle: impl FnOnce(&mut Self) -> HandlerEnd,
    ) -> HandlerEnd {
        let key = asked.attached.as_ref().and_then(|attached| attached.key.as_deref());
        let Some(key) = key.filter(|_| is_journaled) else { return handle(self) };
        let deed = Deed { key: key.clone(), command: asked.command };
        let seen = self.deeds.with(|journal| journal.begin(&deed)).map_err(|error| error.failure())?;
        self.at_hand = Some(AtHand { deed, seen, is_put_off: false });
        let end = handle(self);
        if let (Ok(_), Some(AtHand { deed, is_put_off: false, .. })) = (&end, &self.at_hand) {
            finish(&self.deeds, deed);
        }
        end
    }

    /// The command at hand is done when its answer is given.
    pub(super) fn put_off_deed(&mut self) -> Option<DeedLeft> {
        let at_hand = self.at_hand.as_mut()?;
        at_hand.is_put_off = true;
        Some(DeedLeft { deeds: Arc::clone(&self.deeds), deed: at_hand.deed.clone() })
    }

    /// Forgets the keys of procedures that have ended, and says of which there still are some.
    pub(crate) fn forget_deeds(&self, incoming: Incoming<'_>) -> HandlerEnd {
        let asked = incoming.command::<ForgetDeeds>()?;
        let kept = self.deeds.forget(&asked.ended).and_then(|()| self.deeds.marks());
        incoming.reply::<ForgetDeeds>(&kept.map_err(|error| error.failure())?)
    }

    /// Procedures may have ended while this manager was away: once the rig has started, those who run them are asked.
    pub(crate) fn settle_deeds(&self) {
        let marks = match self.deeds.marks() {
            Ok(marks) if marks.is_empty() => return,
            Ok(marks) => marks,
            Err(error) => return log::error!("{error}"),
        };
        let (deeds, scope) = (Arc::clone(&self.deeds), self.scope());
        if let Err(error) = self.when_started(move || deeds.settle(marks, &scope)) {
            log::error!("keys of procedures that have ended are kept: no thread can be started: {error}");
        }
    }
}

//! What happens in a rig, told to whoever watches it; when nobody does, nothing is made, kept or counted.
//!
//! Any thread tells, under whichever lock: an event is stamped and numbered, put into a bounded list, and the
//! watcher's thread is rung. What does not fit is counted, so that nobody takes the list for the whole.

use std::mem;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::core::Core;
use super::main_loop::MainLoop;
use super::report::state_text;
use super::router::TracedEnding;
use crate::shm::monotonic_ns;
use crate::wire::{SafeEntry, Undelivered};

/// How many events wait for the thread that tells them.
const MOST_WAITING: usize = 4096;

/// Something that has happened.
#[derive(Debug, Clone)]
pub(crate) enum RigEvent {
    /// A manager's state has changed.
    State { manager: usize, generation: u32, from: &'static str, to: &'static str },
    /// A manager's process has ended without having been told to.
    Death { manager: usize, generation: u32, pid: u32, how: String, at: String, last_lines: Vec<String> },
    /// A manager has entered its safe state.
    Safe { manager: usize, generation: u32, entry: SafeEntry },
    /// Something went wrong; at no manager in particular when there is none.
    Fault { manager: Option<usize>, text: String },
    /// Something that was to be kept is lost.
    Loss { manager: String, what: String, detail: String },
    /// A call has ended.
    Ending(Box<TracedEnding>),
    /// A one-way command that was accepted does not run.
    Undelivered { sender: String, news: Undelivered },
    /// The rig has begun to quit.
    Quit { reason: String },
    /// The rig has ended.
    Ended { is_clean: bool, reason: String },
}

/// An event with its place in time.
#[derive(Debug, Clone)]
pub(crate) struct Stamped {
    /// One more than that of the event before.
    pub(crate) number: u64,
    /// When, by the clock that all processes of the machine share.
    pub(crate) at_ns: u64,
    pub(crate) event: RigEvent,
}

/// See the module's words.
#[derive(Default)]
pub(crate) struct Events {
    is_watched: AtomicBool,
    are_endings_watched: AtomicBool,
    /// How often somebody began to watch.
    watches: AtomicU64,
    list: Mutex<List>,
    /// Rung when the first event waits.
    ring: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

#[derive(Default)]
struct List {
    next: u64,
    waiting: Vec<Stamped>,
    dropped: u64,
}

impl Events {
    /// Whom to ring; said once.
    pub(crate) fn rings(&self, ring: Box<dyn Fn() + Send + Sync>) {
        // The socket is the only one that watches, and there is one socket.
        drop(self.ring.set(ring));
    }

    /// Whether anybody watches.
    pub(crate) fn is_watched(&self) -> bool {
        self.is_watched.load(Ordering::Relaxed)
    }

    /// Whether anybody watches how calls end.
    pub(crate) fn are_endings_watched(&self) -> bool {
        self.are_endings_watched.load(Ordering::Relaxed)
    }

    /// Notes whether anybody watches, and whether endings too.
    fn set_watched(&self, is_watched: bool, with_endings: bool) {
        self.are_endings_watched.store(with_endings, Ordering::Relaxed);
        if is_watched && !self.is_watched() {
            self.watches.fetch_add(1, Ordering::Relaxed);
        }
        self.is_watched.store(is_watched, Ordering::Relaxed);
    }

    fn tell(&self, event: RigEvent) {
        let mut list = self.list.lock();
        let number = list.next;
        list.next += 1;
        if list.waiting.len() >= MOST_WAITING {
            list.dropped += 1;
            return;
        }
        list.waiting.push(Stamped { number, at_ns: monotonic_ns(), event });
        let is_first = list.waiting.len() == 1;
        drop(list);
        if is_first && let Some(ring) = self.ring.get() {
            ring();
        }
    }

    /// The number of the next event.
    pub(crate) fn next_number(&self) -> u64 {
        self.list.lock().next
    }

    /// What has happened since, and how much of it did not fit.
    pub(crate) fn take(&self) -> (Vec<Stamped>, u64) {
        let mut list = self.list.lock();
        (mem::take(&mut list.waiting), mem::take(&mut list.dropped))
    }
}

impl Core {
    /// Tells those who watch; the event is made only when there are any.
    pub(crate) fn tell_event(&self, event: impl FnOnce() -> RigEvent) {
        if self.events.is_watched() {
            self.events.tell(event());
        }
    }

    /// Somebody begins to watch, or nobody does any longer.
    pub(super) fn watch(&self, is_watched: bool, with_endings: bool) {
        self.events.set_watched(is_watched, with_endings);
        self.lock().router.set_tracing(self.blueprint.traces || with_endings);
        // So that the main loop knows the states from which changes are told.
        self.wake.ring();
    }
}

/// The states that were told last.
#[derive(Debug, Default)]
pub(super) struct Told {
    watch: u64,
    states: Vec<&'static str>,
}

impl MainLoop {
    /// When somebody has begun to watch: from here on changes are told.
    pub(super) fn begin_telling(&mut self) {
        if !self.core.events.is_watched() {
            return;
        }
        let watch = self.core.events.watches.load(Ordering::Relaxed);
        if self.told.watch != watch {
            let states = self.processes.iter().map(|process| state_text(process, false)).collect();
            self.told = Told { watch, states };
        }
    }

    /// Tells which managers' states have changed. That one is busy is told by how its calls end.
    pub(super) fn tell_states(&mut self) {
        let events = &self.core.events;
        if !events.is_watched() || self.told.watch != events.watches.load(Ordering::Relaxed) {
            return;
        }
        for (index, told) in self.told.states.iter_mut().enumerate() {
            let (from, to) = (*told, state_text(&self.processes[index], false));
            if from != to {
                *told = to;
                let generation = self.processes[index].generation;
                self.core.tell_event(|| RigEvent::State { manager: index, generation, from, to });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    fn quit() -> RigEvent {
        RigEvent::Quit { reason: "enough".to_owned() }
    }

    #[test]
    fn events_are_numbered_and_what_does_not_fit_is_counted() {
        let events = Events::default();
        (0..MOST_WAITING + 3).for_each(|_| events.tell(quit()));
        let (told, dropped) = events.take();
        assert!(told.iter().enumerate().all(|(at, event)| event.number == at as u64));
        assert_eq!((told.len(), dropped), (MOST_WAITING, 3));
        assert_eq!(events.next_number(), MOST_WAITING as u64 + 3);
        assert!(events.take().0.is_empty());
    }

    #[test]
    fn whoever_tells_rings_once_for_all_that_wait() {
        let (events, rung) = (Events::default(), Arc::new(AtomicUsize::new(0)));
        let bell = Arc::clone(&rung);
        events.rings(Box::new(move || {
            bell.fetch_add(1, Ordering::Relaxed);
        }));
        (0..5).for_each(|_| events.tell(quit()));
        assert_eq!(rung.load(Ordering::Relaxed), 1);
        events.take();
        events.tell(quit());
        assert_eq!(rung.load(Ordering::Relaxed), 2);
    }
}

//! Which processor a thread runs on: the largest of all effects on a round trip.

use std::io;
use std::sync::OnceLock;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Where the two sides of a work run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Placement {
    /// Both on one processor.
    Same,
    /// Each on one of its own.
    Split,
    /// Wherever the scheduler puts them.
    Free,
}

impl Placement {
    /// The placement that the environment asks for by `PEERS_PIN`: `none`, `same` or `split`.
    pub fn asked_for() -> Self {
        let asked = std::env::var("PEERS_PIN").unwrap_or_else(|_| "none".to_owned());
        let placement = [Self::Free, Self::Same, Self::Split].into_iter().find(|one| one.pin() == asked);
        let placement =
            placement.unwrap_or_else(|| panic!("PEERS_PIN is `{asked}`, not none, same or split"));
        assert!(placement.is_possible(), "PEERS_PIN is `split`, but this program may use one processor only");
        placement
    }

    /// Its name in the environment and in reports.
    pub fn pin(self) -> &'static str {
        if self == Self::Free { "none" } else { self.word() }
    }

    /// The word for it in a benchmark's name.
    pub fn word(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Split => "split",
            Self::Free => "free",
        }
    }

    /// Whether this machine has the processors for it.
    pub fn is_possible(self) -> bool {
        self != Self::Split || processors().len() > 1
    }

    /// The processor for the side that asks.
    pub fn near(self) -> Option<u32> {
        if self == Self::Free { None } else { processors().first().copied() }
    }

    /// The processor for the side that answers.
    pub fn far(self) -> Option<u32> {
        match self {
            Self::Same => self.near(),
            Self::Split => processors().get(1).copied(),
            Self::Free => None,
        }
    }

    /// Keeps this thread, and the threads and processes that it starts, where the asking side belongs.
    pub fn take(self) -> Place {
        let before = sched_getaffinity(None).ok();
        if let Some(cpu) = self.near() {
            stay_on(cpu).expect("a processor that this thread may use can be chosen");
        }
        Place { before }
    }
}

/// Gives this thread all its processors back when it is dropped.
pub struct Place {
    before: Option<CpuSet>,
}

impl Place {
    /// Gives the thread that asks all its processors back: one that was started in this place.
    pub fn leave(&self) {
        if let Some(before) = &self.before {
            sched_setaffinity(None, before).expect("what was allowed before is still allowed");
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave();
    }
}

/// The processors that this program may use; asked before any thread is kept on one.
fn processors() -> &'static [u32] {
    static PROCESSORS: OnceLock<Vec<u32>> = OnceLock::new();
    PROCESSORS.get_or_init(allowed)
}

fn allowed() -> Vec<u32> {
    let allowed = sched_getaffinity(None).unwrap_or_else(|_| CpuSet::new());
    let numbers = 0..u32::try_from(CpuSet::MAX_CPU).unwrap_or(u32::MAX);
    numbers.filter(|cpu| allowed.is_set(*cpu as usize)).collect()
}

/// Keeps this thread on one processor.
///
/// # Errors
/// The system's, when there is no such processor.
pub fn stay_on(cpu: u32) -> io::Result<()> {
    let mut one = CpuSet::new();
    one.set(cpu as usize);
    Ok(sched_setaffinity(None, &one)?)
}

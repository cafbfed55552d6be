//! Counters: numbers that a process adds to, from any of its threads, and that others read.
//!
//! ```text
//! | 0 | 0 | counter 0 | counter 1 | … |
//! ```
//!
//! Each is an atomic word of its own. No lock crosses a process boundary, nothing can be torn, and nothing is lost by
//! whoever dies; two counters that are read one after the other may be a moment apart.

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::shared::{SharedObject, SharedPlace, detached, is_of};
use crate::wire::{Column, SharedKind, SharedLayout, SharedSpec, Signals, TypeSchema};

/// Where the counters begin: behind what other objects use to tell news.
const FIRST: usize = 2;

pub(super) fn words_for(counters: usize) -> Option<usize> {
    counters.checked_add(FIRST)
}

/// Counts, in a struct of `u64` whose fields are the counters. There is one for each that a kind declares; any process of
/// the rig reads them by [`Scope::counters`](crate::Scope::counters).
///
/// ```
/// use labrig::prelude::*;
///
/// #[derive(Signals, Schema, Clone, Copy)]
/// struct Counts {
///     frames: u64,
///     retries: u64,
/// }
///
/// struct Grabber {
///     frames: Counter,
/// }
///
/// impl Manager for Grabber {
///     type Config = ();
///     fn setup((): (), context: &mut Context) -> Result<Self, SetupError> {
///         let counts: Counters<Counts> = context.share("counts")?;
///         Ok(Self { frames: counts.counter("frames").ok_or("there is no such counter")? })
///     }
/// }
///
/// #[manager(kind = "grabber", shares(counts = Counters::<Counts>::declare()))]
/// impl Grabber {
///     #[every(milliseconds = 10)]
///     fn grab(&mut self) {
///         self.frames.add(1);
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Counters<C> {
    place: Arc<SharedPlace>,
    counts: PhantomData<fn() -> C>,
}

/// One of them: cheap to clone, and usable from any thread of its process.
#[derive(Debug, Clone)]
pub struct Counter {
    place: Arc<SharedPlace>,
    at: usize,
}

impl<C: Signals> Counters<C> {
    /// What a kind declares that shares such counters.
    #[must_use]
    pub fn declare() -> SharedSpec {
        SharedSpec::declare::<C>(SharedKind::Counters, 1)
    }

    /// The counter of that name; nothing when there is none.
    #[must_use]
    pub fn counter(&self, name: &str) -> Option<Counter> {
        let at = TypeSchema::known::<C>().fields().iter().position(|field| field.name == name)?;
        Some(Counter { place: Arc::clone(&self.place), at: FIRST + at })
    }

    /// Where they lie.
    #[must_use]
    pub fn place(&self) -> &SharedPlace {
        &self.place
    }
}

impl<C: Signals> SharedObject for Counters<C> {
    const DETACHED: SharedLayout = detached(SharedKind::Counters, C::WORDS, 0, 1);

    fn is_declared_by(layout: &SharedLayout, item: u64, _: u64) -> bool {
        layout.kind == SharedKind::Counters && layout.item_words == C::WORDS as u64 && is_of::<C>(item)
    }

    fn begin(place: SharedPlace) -> Self {
        Self { place: Arc::new(place), counts: PhantomData }
    }
}

impl Counter {
    /// Adds so much. It wraps around at 2^64.
    #[inline]
    pub fn add(&self, more: u64) {
        self.place.words()[self.at].fetch_add(more, Ordering::Relaxed);
    }

    /// How much it is.
    #[inline]
    #[must_use]
    pub fn get(&self) -> u64 {
        self.place.words()[self.at].load(Ordering::Relaxed)
    }
}

impl SharedPlace {
    /// What each of these counters is at.
    #[must_use]
    pub fn read_counters(&self, columns: &[Column]) -> Vec<u64> {
        let words = self.words().get(FIRST..).unwrap_or_default();
        words.iter().take(columns.len()).map(|word| word.load(Ordering::Relaxed)).collect()
    }
}

//! Objects that a manager shares: what they have in common.
//!
//! An object is a region of its manager's [`SignalPage`](super::SignalPage), so that it is made, sealed, handed out,
//! ended and superseded with it, and shares its bells. One process writes it, by mapped memory that no other can map
//! writably; whoever reads copies first and looks then whether what was copied is of one piece. Nobody waits for
//! anybody, and a writer that dies between any two steps leaves what was there before.
//!
//! The protocols are written over [`Word`](super::latch::Word), for the sake of models; each stands in a file of its
//! own, with the type that writes it: [`rows`](super::rows), [`value`](super::value), [`table`](super::table),
//! [`dataset`](super::dataset), [`counters`](super::counters).

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::latch::latest;
use super::signal_page::{SignalPage, set_words};
use super::{counters, dataset, rows, table};
use crate::wire::{MAX_SHARED_WORDS, Schema, SharedKind, SharedLayout, TypeSchema};

/// How many words an object takes; more than any memory has, when it is larger than [`MAX_SHARED_WORDS`].
#[must_use]
pub fn region_words(layout: &SharedLayout) -> usize {
    let SharedLayout { kind, item_words, key_words, capacity } = *layout;
    let sizes = [item_words, key_words, capacity].map(|size| usize::try_from(size).unwrap_or(usize::MAX));
    let [item, key, capacity] = sizes;
    let words = match kind {
        SharedKind::Rows => rows::words_for(item, capacity),
        SharedKind::Value => Some(set_words(capacity.div_ceil(size_of::<u64>()).saturating_add(1))),
        SharedKind::Table => table::words_for(item, key, capacity),
        SharedKind::Dataset => dataset::words_for(item, capacity),
        SharedKind::Counters => counters::words_for(item),
    };
    words.filter(|words| *words as u64 <= MAX_SHARED_WORDS).unwrap_or(usize::MAX)
}

/// Where an object lies, for whoever writes it or reads it.
#[derive(Debug, Clone)]
pub struct SharedPlace {
    page: Arc<SignalPage>,
    region: usize,
    layout: SharedLayout,
}

impl SharedPlace {
    /// An object on a page, which has that region for it.
    #[must_use]
    pub fn new(page: Arc<SignalPage>, region: usize, layout: SharedLayout) -> Self {
        Self { page, region, layout }
    }

    /// An object in the memory of this process alone; nothing when no memory could hold it.
    #[must_use]
    pub fn local(layout: SharedLayout) -> Option<Self> {
        let page = SignalPage::local(&[region_words(&layout)])?;
        Some(Self { page: Arc::new(page), region: 0, layout })
    }

    /// The page that it lies on.
    #[must_use]
    pub fn page(&self) -> &Arc<SignalPage> {
        &self.page
    }

    /// Its place among the regions of the page.
    #[must_use]
    pub fn region(&self) -> usize {
        self.region
    }

    /// Its sizes.
    #[must_use]
    pub fn layout(&self) -> &SharedLayout {
        &self.layout
    }

    /// Another number whenever there is something new.
    #[must_use]
    pub fn news(&self) -> u64 {
        latest(self.words())
    }

    #[inline]
    pub(super) fn words(&self) -> &[AtomicU64] {
        self.page.region(self.region)
    }

    /// Wakes whoever waits for something new.
    #[inline]
    pub(super) fn ring(&self) {
        self.page.ring(self.region);
    }
}

/// A type that writes an object.
#[diagnostic::on_unimplemented(
    message = "`{Self}` writes no shared object",
    note = "there are `RowRing`, `LatestValue`, `VersionedTable`, `AppendDataset` and `Counters`"
)]
pub trait SharedObject: Sized {
    /// Its sizes where there is no declaration: outside any rig, where nobody reads it.
    const DETACHED: SharedLayout;

    /// Whether an object of these sizes, whose rows and keys are of types with these fingerprints, is one of these.
    fn is_declared_by(layout: &SharedLayout, item: u64, key: u64) -> bool;

    /// Begins to write it, in memory where nobody has written before.
    fn begin(place: SharedPlace) -> Self;
}

/// The sizes of what is not declared: items of so many words.
pub(super) const fn detached(
    kind: SharedKind,
    item_words: usize,
    key_words: usize,
    capacity: u64,
) -> SharedLayout {
    SharedLayout { kind, item_words: item_words as u64, key_words: key_words as u64, capacity }
}

/// Whether a fingerprint is that of a type.
pub(super) fn is_of<T: Schema + 'static>(fingerprint: u64) -> bool {
    TypeSchema::known::<T>().fingerprint() == fingerprint
}

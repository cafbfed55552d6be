//! Who has a handle to which value: counted by the envelopes in which handles come and go.
//!
//! A process holds a value as often as it was given a handle to it, until it has given as many back, or is gone. An
//! envelope on its way through the coordinator holds what it carries, however it ends: by its passage. When nobody
//! holds a value any longer, its owner is told, with the number of the envelopes that have brought a handle to it from
//! there: those that are on their way just then are more.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use foldhash::fast::RandomState;
use parking_lot::{Mutex, MutexGuard};

use crate::wire::HandleId;
use crate::wire::attached::Handle;

/// Of how many values of a process holders are counted: more than any config allows. A process that makes up more is not
/// believed.
const MOST_VALUES: usize = 2 * 1_048_576;

/// See the module's words. Clones are the same.
#[derive(Clone, Default)]
pub struct Holders(Arc<Shared>);

#[derive(Default)]
struct Shared {
    ledger: Mutex<Ledger>,
    has_news: AtomicBool,
}

#[derive(Default)]
struct Ledger {
    values: HashMap<HandleId, Held, RandomState>,
    /// How many values of each process others hold, and how many of others it holds, by its place.
    counts: BTreeMap<u16, ValueCounts>,
    news: Vec<HolderNews>,
}

#[derive(Default)]
struct Held {
    /// How many times its owner has sent it.
    seen: u64,
    /// How many times it is on its way.
    passing: u64,
    /// How often each process, by its place, was given it and has not given it back.
    by: BTreeMap<u16, u64>,
}

/// How many values a process has that others hold, and how many of others it holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct ValueCounts {
    /// Of its own.
    pub owned: usize,
    /// Of others.
    pub held: usize,
}

/// What a value's owner is to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HolderNews {
    /// Nobody has a handle to the value any longer, of all that have come from its owner in so many envelopes.
    Unheld {
        /// Which.
        value: HandleId,
        /// In how many envelopes.
        seen: u64,
    },
    /// A process has its first handle to a value that wants to know, or no longer has one.
    Holder {
        /// Which value.
        value: HandleId,
        /// The place of the process.
        holder: u16,
        /// Whether it has one.
        is_connected: bool,
    },
}

/// Holds the values whose handles an envelope carries, as long as it is there.
struct Passage {
    holders: Holders,
    values: Vec<HandleId>,
}

impl Holders {
    /// An envelope has come from a process: from now on what it carries is on its way, until the last copy of the envelope
    /// is gone. A handle that the process was never given is none.
    pub fn enter(&self, from: u16, handles: &mut [Handle]) {
        if handles.is_empty() {
            return;
        }
        let mut values = Vec::with_capacity(handles.len());
        let mut ledger = self.lock();
        values.extend(handles.iter().map(|it| it.id.value()).filter(|value| ledger.enter(from, *value)));
        drop(ledger);
        let passage: Arc<dyn Any + Send + Sync> = Arc::new(Passage { holders: self.clone(), values });
        for handle in handles {
            handle.keeper = Some(Arc::clone(&passage));
        }
    }

    /// An envelope with these handles goes to a process, which holds their values from now on.
    pub fn deliver(&self, to: u16, handles: &[Handle]) {
        let mut ledger = self.lock();
        for handle in handles {
            ledger.deliver(to, handle.id.value());
        }
    }

    /// A process gives values back, each as often as it says.
    pub fn release(&self, from: u16, released: &[(HandleId, u64)]) {
        let mut ledger = self.lock();
        for (value, count) in released {
            ledger.release(from, value.value(), *count);
        }
    }

    /// A process is gone: its values, and whatever it held.
    pub fn gone(&self, place: u16) {
        let mut ledger = self.lock();
        let mut own: Vec<_> = ledger.values.keys().filter(|value| value.owner == place).copied().collect();
        own.sort_unstable();
        own.into_iter().for_each(|value| ledger.forget(value));
        let is_held = |(_, held): &(&HandleId, &Held)| held.by.contains_key(&place);
        let mut held: Vec<_> = ledger.values.iter().filter(is_held).map(|(value, _)| *value).collect();
        // Owners are told in an order that is the same each time.
        held.sort_unstable();
        held.into_iter().for_each(|value| ledger.release(place, value, u64::MAX));
    }

    /// Whether a process has a handle to a value; its owner always has.
    pub fn holds(&self, place: u16, value: HandleId) -> bool {
        let (value, ledger) = (value.value(), self.lock());
        value.owner == place || ledger.values.get(&value).is_some_and(|held| held.by.contains_key(&place))
    }

    /// How many values a process has that others hold, and how many of others it holds.
    pub fn counts(&self, place: u16) -> ValueCounts {
        self.lock().counts.get(&place).copied().unwrap_or_default()
    }

    /// Whether there is anything that owners are to know.
    #[inline]
    pub fn has_news(&self) -> bool {
        self.0.has_news.load(Ordering::Relaxed)
    }

    fn lock(&self) -> Locked<'_> {
        Locked { has_news: &self.0.has_news, ledger: self.0.ledger.lock() }
    }

    /// What owners are to know, in order.
    pub fn take_news(&self) -> Vec<HolderNews> {
        let mut ledger = self.lock();
        std::mem::take(&mut ledger.news)
    }

    /// Whether nothing is held, and nothing on its way.
    pub fn is_empty(&self) -> bool {
        self.lock().values.is_empty()
    }
}

/// The ledger, in somebody's hands; whether there are news is said when it is put down.
struct Locked<'a> {
    has_news: &'a AtomicBool,
    ledger: MutexGuard<'a, Ledger>,
}

impl Deref for Locked<'_> {
    type Target = Ledger;

    fn deref(&self) -> &Ledger {
        &self.ledger
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut Ledger {
        &mut self.ledger
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        self.has_news.store(!self.ledger.news.is_empty(), Ordering::Relaxed);
    }
}

impl Ledger {
    fn enter(&mut self, from: u16, value: HandleId) -> bool {
        if value.owner == from {
            let is_new = !self.values.contains_key(&value);
            if is_new && self.counts.get(&from).is_some_and(|counts| counts.owned >= MOST_VALUES) {
                return false;
            }
            let held = self.values.entry(value).or_default();
            held.seen += 1;
            held.passing += 1;
            self.counts.entry(from).or_default().owned += usize::from(is_new);
            return true;
        }
        let held = self.values.get_mut(&value).filter(|held| held.by.contains_key(&from));
        held.map(|held| held.passing += 1).is_some()
    }

    fn deliver(&mut self, to: u16, value: HandleId) {
        // What comes home is its owner's again, and nobody counts that.
        let Some(held) = self.values.get_mut(&value).filter(|_| value.owner != to) else { return };
        let count = held.by.entry(to).or_insert(0);
        *count += 1;
        if *count == 1 {
            self.counts.entry(to).or_default().held += 1;
            self.tell_holder(value, to, true);
        }
    }

    fn release(&mut self, from: u16, value: HandleId, count: u64) {
        let Some(held) = self.values.get_mut(&value) else { return };
        let Some(left) = held.by.get_mut(&from) else { return };
        *left = left.saturating_sub(count);
        if *left > 0 {
            return;
        }
        held.by.remove(&from);
        self.counts.entry(from).or_default().held -= 1;
        self.tell_holder(value, from, false);
        self.tell_if_unheld(value);
    }

    fn leave(&mut self, value: HandleId) {
        if let Some(held) = self.values.get_mut(&value) {
            held.passing -= 1;
            self.tell_if_unheld(value);
        }
    }

    fn tell_holder(&mut self, value: HandleId, holder: u16, is_connected: bool) {
        if value.is_watched() {
            self.news.push(HolderNews::Holder { value, holder, is_connected });
        }
    }

    fn tell_if_unheld(&mut self, value: HandleId) {
        let Some(Held { seen, passing: 0, by }) = self.values.get(&value) else { return };
        if by.is_empty() {
            self.news.push(HolderNews::Unheld { value, seen: *seen });
            self.remove(value);
        }
    }

    /// The value is gone with its owner.
    fn forget(&mut self, value: HandleId) {
        let Some(held) = self.remove(value) else { return };
        for place in held.by.into_keys() {
            self.counts.entry(place).or_default().held -= 1;
        }
        self.news.retain(|news| match news {
            HolderNews::Unheld { value: of, .. } | HolderNews::Holder { value: of, .. } => *of != value,
        });
    }

    fn remove(&mut self, value: HandleId) -> Option<Held> {
        let held = self.values.remove(&value)?;
        self.counts.entry(value.owner).or_default().owned -= 1;
        Some(held)
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        let mut ledger = self.holders.lock();
        for value in &self.values {
            ledger.leave(*value);
        }
    }
}

impl fmt::Debug for Holders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Holders").field(&self.lock().values.len()).finish()
    }
}

impl fmt::Debug for Passage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Passage").field(&self.values).finish()
    }
}

#[cfg(test)]
mod tests;

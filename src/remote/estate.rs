//! What a process has of remote values: its own, which others may hold, and those of others that it holds.
//!
//! A value of its own stays as long as this process, any other, or any envelope has a handle to it. What others have is
//! counted by the coordinator: it says when nobody has one any longer, and how many envelopes with the handle it has seen
//! leave this process, so that one that is on its way just then is not forgotten. In the same way this process counts
//! what has arrived, and gives that number back when its last clone is dropped.
//!
//! Nothing is sent here, and no value dropped: what is to be done is collected, and whoever settles is woken.

use std::any::Any;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use foldhash::fast::RandomState;
use parking_lot::Mutex;

use super::port::Port;
use super::remote_ref::{KeepError, RemoteValue};
use crate::wire::attached::Attached;
use crate::wire::{Generation, HandleId};

/// How many values a process keeps for others when its config does not say otherwise.
pub const MAX_REMOTE_VALUES: u32 = 65_536;

/// A value, whatever its type.
pub type AnyValue = Box<dyn Any + Send>;

/// See the module's words.
#[derive(Default)]
pub struct Estate {
    home: OnceLock<Home>,
    state: Mutex<State>,
    has_releases: AtomicBool,
    has_discarded: AtomicBool,
}

/// Where an estate is.
pub struct Home {
    /// The place of the process in the rig's list of managers.
    pub place: u16,
    /// Which life of it.
    pub generation: Generation,
    /// How many values it keeps.
    pub limit: u32,
    /// The way from here into the rig.
    pub port: Weak<dyn Port>,
    /// Wakes whoever settles. It may be called under any lock.
    pub wake: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct State {
    own: HashMap<u64, Own, RandomState>,
    /// The last key that was given.
    last_key: u64,
    held: HashMap<HandleId, Weak<Held>, RandomState>,
    releases: Vec<(HandleId, u64)>,
    discarded: Vec<AnyValue>,
}

/// A value of this process.
struct Own {
    id: HandleId,
    /// None while a method of it runs.
    value: Option<AnyValue>,
    type_name: &'static str,
    /// How many envelopes with a handle to it have left this process of which the coordinator has not said that nobody
    /// holds it any longer.
    sent: u64,
}

/// What all clones of a handle in this process have in common: as long as it is there, the value is.
pub struct Held {
    pub(super) id: HandleId,
    pub(super) estate: Arc<Estate>,
    /// How many envelopes with it have arrived here.
    arrivals: AtomicU64,
}

/// A value of this process, taken out while one of its methods runs, or its owner uses it. It goes back by itself.
pub struct Lent {
    value: Option<AnyValue>,
    key: u64,
    estate: Arc<Estate>,
}

/// Why a value cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotLent {
    /// It is not there, or not any more.
    Gone,
    /// It is in use already.
    InUse,
}

impl Estate {
    /// Says where it is, once.
    pub fn settle_at(&self, home: Home) {
        if self.home.set(home).is_err() {
            log::warn!("an estate was settled twice; the first time holds");
        }
    }

    pub(super) fn port(&self) -> Option<Arc<dyn Port>> {
        self.home.get()?.port.upgrade()
    }

    /// Whether the value is one of this process.
    fn is_own(&self, id: HandleId) -> bool {
        self.home.get().is_some_and(|home| home.place == id.owner && home.generation == id.generation)
    }

    /// Keeps a value for whoever gets a handle to it.
    pub(super) fn keep<T: RemoteValue>(self: &Arc<Self>, value: T) -> Result<Arc<Held>, KeepError> {
        let home = self.home.get().ok_or(KeepError::NoRig)?;
        let mut state = self.state.lock();
        if state.own.len() >= home.limit as usize {
            let (type_name, count) = state.most();
            drop(state);
            return Err(KeepError::TooMany { limit: home.limit, most: type_name.to_owned(), count });
        }
        state.last_key += 1;
        let key = state.last_key;
        let id = HandleId { owner: home.place, generation: home.generation, key };
        let id = if T::has_hooks() { id.watched() } else { id };
        state.own.insert(key, Own { id, value: Some(Box::new(value)), type_name: T::NAME, sent: 0 });
        Ok(self.hold(&mut state, id, 0))
    }

    /// The one thing that keeps a value alive here, for a handle that has arrived so often.
    fn hold(self: &Arc<Self>, state: &mut State, id: HandleId, arrivals: u64) -> Arc<Held> {
        if let Some(held) = state.held.get(&id).and_then(Weak::upgrade) {
            held.arrivals.fetch_add(arrivals, Ordering::Relaxed);
            return held;
        }
        let held = Held { id, estate: Arc::clone(self), arrivals: AtomicU64::new(arrivals) };
        let held = Arc::new(held);
        state.held.insert(id, Arc::downgrade(&held));
        held
    }

    /// An envelope has arrived: from now on what keeps its values alive lies beside their handles.
    pub fn arrived(self: &Arc<Self>, attached: Option<&mut Attached>) {
        let Some(attached) = attached.filter(|attached| !attached.handles.is_empty()) else { return };
        let mut replaced = Vec::new();
        let mut state = self.state.lock();
        for handle in &mut attached.handles {
            let held: Arc<dyn Any + Send + Sync> = self.hold(&mut state, handle.id.value(), 1);
            replaced.extend(handle.keeper.replace(held));
        }
        drop(state);
        drop(replaced);
    }

    /// An envelope is about to leave.
    pub fn leaving(&self, attached: Option<&Attached>) {
        self.count_sent(attached, |own| own.sent += 1);
    }

    /// It has not left after all.
    pub fn stayed(&self, attached: Option<&Attached>) {
        self.count_sent(attached, |own| own.sent -= 1);
    }

    fn count_sent(&self, attached: Option<&Attached>, count: impl Fn(&mut Own)) {
        let Some(attached) = attached.filter(|attached| !attached.handles.is_empty()) else { return };
        let mut state = self.state.lock();
        for handle in attached.handles.iter().filter(|handle| self.is_own(handle.id)) {
            state.own.get_mut(&handle.id.number()).into_iter().for_each(&count);
        }
    }

    /// The coordinator has seen so many envelopes with a handle to a value of this process leave it, and nobody has one
    /// any longer.
    pub fn unheld(&self, key: u64, seen: u64) {
        let mut state = self.state.lock();
        let Some(own) = state.own.get_mut(&key) else { return };
        own.sent = own.sent.saturating_sub(seen);
        self.discard_if_unreachable(&mut state, key);
    }

    fn discard_if_unreachable(&self, state: &mut State, key: u64) {
        let Some(Own { id, sent: 0, value: Some(_), .. }) = state.own.get(&key) else { return };
        if state.held.get(id).is_some_and(|held| held.strong_count() > 0) {
            return;
        }
        let own = state.own.remove(&key);
        state.discarded.extend(own.and_then(|own| own.value));
        self.tell(&self.has_discarded);
    }

    /// The last clone of a handle in this process is gone.
    fn dropped(&self, id: HandleId, arrivals: u64) {
        let mut state = self.state.lock();
        if state.held.get(&id).is_some_and(|held| held.strong_count() == 0) {
            state.held.remove(&id);
        }
        if self.is_own(id) {
            self.discard_if_unreachable(&mut state, id.number());
        } else if arrivals > 0 {
            state.releases.push((id, arrivals));
            self.tell(&self.has_releases);
        }
    }

    fn tell(&self, news: &AtomicBool) {
        if !news.swap(true, Ordering::AcqRel)
            && let Some(home) = self.home.get()
        {
            (home.wake)();
        }
    }

    /// Whether values of others are held here no longer.
    #[inline]
    pub fn has_releases(&self) -> bool {
        self.has_releases.load(Ordering::Acquire)
    }

    /// Whether nobody can reach values of its own any more.
    #[inline]
    pub fn has_discarded(&self) -> bool {
        self.has_discarded.load(Ordering::Acquire)
    }

    /// Values of others that are held here no longer, with the number of envelopes in which each came: what the
    /// coordinator is to be told.
    pub fn take_releases(&self) -> Vec<(HandleId, u64)> {
        let mut state = self.state.lock();
        self.has_releases.store(false, Ordering::Release);
        std::mem::take(&mut state.releases)
    }

    /// Values of its own that nobody can reach any more: to be dropped outside of handlers, where their methods ran.
    pub fn take_discarded(&self) -> Vec<AnyValue> {
        let mut state = self.state.lock();
        self.has_discarded.store(false, Ordering::Release);
        std::mem::take(&mut state.discarded)
    }

    /// The process ends: all its values, whoever holds them.
    pub fn take_all(&self) -> Vec<AnyValue> {
        let mut state = self.state.lock();
        let mut own: Vec<_> = state.own.drain().collect();
        own.sort_unstable_by_key(|(key, _)| *key);
        own.into_iter().filter_map(|(_, own)| own.value).collect()
    }

    /// Takes a value of this process out, to use it.
    ///
    /// # Errors
    /// [`NotLent`]: it is not there, or in use.
    pub fn lend(self: &Arc<Self>, id: HandleId) -> Result<Lent, NotLent> {
        if !self.is_own(id) {
            return Err(NotLent::Gone);
        }
        let key = id.number();
        let mut state = self.state.lock();
        let own = state.own.get_mut(&key).ok_or(NotLent::Gone)?;
        let value = own.value.take().ok_or(NotLent::InUse)?;
        Ok(Lent { value: Some(value), key, estate: Arc::clone(self) })
    }

    /// The value of that key, when this process has it.
    pub fn own(&self, key: u64) -> Option<HandleId> {
        self.state.lock().own.get(&key).map(|own| own.id)
    }

    /// How many values this process has for others.
    pub fn count(&self) -> usize {
        self.state.lock().own.len()
    }
}

impl State {
    /// The type with the most values, and how many.
    fn most(&self) -> (&'static str, usize) {
        let mut counts: HashMap<&'static str, usize> = HashMap::new();
        for own in self.own.values() {
            *counts.entry(own.type_name).or_default() += 1;
        }
        counts.into_iter().max_by_key(|(name, count)| (*count, *name)).unwrap_or(("nothing", 0))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.estate.dropped(self.id, *self.arrivals.get_mut());
    }
}

impl Lent {
    /// The value.
    pub fn value(&mut self) -> &mut (dyn Any + Send) {
        &mut **self.value.as_mut().expect("it goes back when this is dropped, and not before")
    }

    /// The value, to look at.
    pub fn look(&self) -> &(dyn Any + Send) {
        &**self.value.as_ref().expect("it goes back when this is dropped, and not before")
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut state = self.estate.state.lock();
        if let Some(own) = state.own.get_mut(&self.key) {
            own.value = self.value.take();
            self.estate.discard_if_unreachable(&mut state, self.key);
        }
    }
}

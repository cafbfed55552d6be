//! Signals as they are read: from any thread of any process of the rig, without a lock or a system call.
//!
//! A reader is found by name once; from then on it reads shared memory. Each life of a manager has a page of its own:
//! a reader stays with the last value of a life that has ended, marked as stale, until the next life has published.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::call_error::CallError;
use super::orders::{OpenSignals, SignalsOpened};
use super::port::Port;
use super::scope::Scope;
use crate::shm::{
    Roused, SignalPage, SignalPageError, Snapshot, Standing, TakeError, WaitError, monotonic_ns,
    region_words, set_words,
};
use crate::wire::{Field, Node, Placed, SharedSpec, SignalValue, TypeSchema};

/// A value that was read, and what is known of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading<T> {
    /// The value, as its manager published it last.
    pub value: T,
    /// When it was published, in ns of the clock that all processes of the machine share
    /// ([`monotonic_ns`]).
    pub at_ns: u64,
    /// The how many-th publication of its set it is of, in that life of its manager: 1, 2, 3 …
    pub sequence: u64,
    /// Which life of its manager published it.
    pub generation: u32,
    /// Whether that life has ended: nothing newer comes from it.
    pub is_stale: bool,
}

impl<T> Reading<T> {
    /// How long ago it was published.
    pub fn age(&self) -> Duration {
        Duration::from_nanos(monotonic_ns().saturating_sub(self.at_ns))
    }
}

/// Why a signal cannot be read or waited for.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SignalError {
    /// No manager of that name publishes signals.
    #[error("no manager `{manager}` publishes signals; these do: {known:?}")]
    UnknownManager {
        /// The name asked for.
        manager: String,
        /// Those that publish.
        known: Vec<String>,
    },
    /// The manager has no such signal. A signal is called `manager.signal`.
    #[error("no signal is called `{signal}`; known there: {known:?}")]
    Unknown {
        /// The name asked for.
        signal: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// The signal is of another type.
    #[error("`{signal}` is {found}, expected {expected}")]
    WrongType {
        /// Which signal, or whose set.
        signal: String,
        /// Its type.
        found: String,
        /// The type that was asked for.
        expected: String,
    },
    /// Its manager has published nothing yet, or is absent.
    #[error("`{signal}` was not published yet")]
    NotPublished {
        /// Which signal.
        signal: String,
    },
    /// What lies in shared memory is no value of its type, or is never at rest: its publisher is broken.
    #[error("`{signal}` cannot be read: {source}")]
    Unreadable {
        /// Which signal.
        signal: String,
        /// What was found.
        source: TakeError,
    },
    /// The manager that publishes it has ended, so that nothing comes to be waited for. It can be read, and
    /// waited for again when its manager is back.
    #[error("`{signal}` was waited for, and life {generation} of its manager has ended")]
    Ended {
        /// Which signal.
        signal: String,
        /// Which life has ended.
        generation: u32,
    },
    /// What was waited for has not come in time.
    #[error("`{signal}` was not as expected within {after:?}")]
    NotInTime {
        /// Which signal.
        signal: String,
        /// How long was waited.
        after: Duration,
    },
    /// The handler that waited was cancelled: it is to leave its device well and return.
    #[error("cancelled while it waited for `{signal}`")]
    Cancelled {
        /// Which signal.
        signal: String,
    },
    /// The coordinator could not be asked for it.
    #[error("the signals of `{manager}` could not be asked for: {source}")]
    NotAsked {
        /// Whose signals.
        manager: String,
        /// Why not.
        source: Box<CallError>,
    },
    /// What the coordinator gave cannot be used.
    #[error(transparent)]
    Page(#[from] SignalPageError),
    /// The system does not let it wait.
    #[error(transparent)]
    Wait(#[from] WaitError),
    /// There is no rig to ask.
    #[error("there is no rig whose signals could be read")]
    Closed,
}

/// How many words each region of a page takes, for these sets of signals and, behind them, these objects.
pub fn region_sizes(sets: &[TypeSchema], shares: &[SharedSpec]) -> Vec<usize> {
    let of_sets = sets.iter().map(|set| set_words(set.signal_words().unwrap_or(0)));
    // What has no size is refused before anything starts.
    let of_shares = shares.iter().map(|it| it.layout().map_or(0, |layout| region_words(&layout)));
    of_sets.chain(of_shares).collect()
}

/// The signals and shared objects of one manager, as one process knows them.
#[derive(Debug)]
pub struct SignalSource {
    manager: String,
    sets: Vec<TypeSchema>,
    shares: Vec<SharedSpec>,
    newest: Mutex<Option<Arc<SignalPage>>>,
}

impl SignalSource {
    /// What a manager publishes and shares; there is no page of it yet.
    pub fn new(manager: String, sets: Vec<TypeSchema>, shares: Vec<SharedSpec>) -> Self {
        Self { manager, sets, shares, newest: Mutex::default() }
    }

    /// Whose signals they are.
    pub fn manager(&self) -> &str {
        &self.manager
    }

    /// Its sets of signals.
    pub fn sets(&self) -> &[TypeSchema] {
        &self.sets
    }

    /// The objects that it shares.
    pub fn shares(&self) -> &[SharedSpec] {
        &self.shares
    }

    /// How many words each region of a page takes.
    pub fn sizes(&self) -> Vec<usize> {
        region_sizes(&self.sets, &self.shares)
    }

    /// The page of the newest life that is known here.
    pub fn newest(&self) -> Option<Arc<SignalPage>> {
        self.newest.lock().clone()
    }

    /// A newer life has a page. One that is older than what is known is passed over.
    pub fn renew(&self, page: Arc<SignalPage>) {
        let mut newest = self.newest.lock();
        if newest.as_ref().is_none_or(|known| known.generation() < page.generation()) {
            *newest = Some(page);
        }
    }

    /// The names of all its signals, with the manager's.
    pub fn names(&self) -> Vec<String> {
        let signals = self.sets.iter().flat_map(TypeSchema::signals);
        signals.map(|signal| format!("{}.{}", self.manager, signal.field.name)).collect()
    }

    fn find(&self, signal: &str) -> Option<(usize, Placed<'_>)> {
        let sets = self.sets.iter().enumerate();
        let mut all = sets.flat_map(|(set, schema)| schema.signals().into_iter().map(move |it| (set, it)));
        all.find(|(_, placed)| placed.field.name == signal)
    }
}

/// What a scope's way into the rig can do about signals. Where nothing is published there is nothing to do.
pub trait SignalPort {
    /// The signals of a manager, as far as they are known here; nothing when they are to be asked for.
    ///
    /// # Errors
    /// [`SignalError`] when it is known that it publishes none.
    fn signals_of(&self, manager: &str) -> Result<Option<Arc<SignalSource>>, SignalError> {
        let _ = manager;
        Err(SignalError::Closed)
    }

    /// Whether the coordinator is to be asked for signals and for the pages of new lives.
    fn is_to_ask_for_signals(&self) -> bool {
        false
    }

    /// Takes on what the coordinator has answered.
    ///
    /// # Errors
    /// [`SignalError`] when that manager publishes none, or its page cannot be mapped.
    fn adopt_signals(&self, manager: &str, opened: SignalsOpened) -> Result<Arc<SignalSource>, SignalError> {
        let (manager, known) = (manager.to_owned(), opened.publishers);
        Err(SignalError::UnknownManager { manager, known })
    }

    /// Runs a sleep at a page on this thread, giving it what says that it is to end.
    fn sleep_at(&self, page: &Arc<SignalPage>, sleep: &mut dyn FnMut(&dyn Fn() -> bool)) {
        let _ = page;
        sleep(&|| false);
    }
}

/// The signals of a manager, asked for where they are not known.
pub(super) fn source_of(port: &Arc<dyn Port>, manager: &str) -> Result<Arc<SignalSource>, SignalError> {
    match port.signals_of(manager)? {
        Some(source) => Ok(source),
        None => ask_for(port, manager),
    }
}

/// Asks the coordinator for the signals of a manager, and for the page of its newest life.
pub(super) fn ask_for(port: &Arc<dyn Port>, manager: &str) -> Result<Arc<SignalSource>, SignalError> {
    let not_asked = |source| SignalError::NotAsked { manager: manager.to_owned(), source: Box::new(source) };
    let asked = Scope::new(Arc::clone(port)).call(OpenSignals { manager: manager.to_owned() });
    port.adopt_signals(manager, asked.map_err(not_asked)?)
}

/// Where a signal lies, and what is known of it.
pub(super) struct Part {
    pub(super) schema: TypeSchema,
    pub(super) field: Field,
    pub(super) first: usize,
    pub(super) words: usize,
}

/// Reads one signal, or a set of them, whichever life of its manager publishes it. Cheap to clone; each thread has
/// its own.
///
/// ```no_run
/// # use std::time::Duration;
/// # use labrig::prelude::*;
/// # fn example(scope: &Scope) -> Result<(), labrig::SignalError> {
/// let mut height = scope.signal::<f64>("motor.height_um")?;
/// let reading = height.read()?;
/// println!("{:.1} µm, {:?} ago", reading.value, reading.age());
/// height.wait_until(|height_um| *height_um > 10.0, Duration::from_secs(5))?;
/// # Ok(())
/// # }
/// ```
pub struct SignalReader<T> {
    port: Arc<dyn Port>,
    source: Arc<SignalSource>,
    name: String,
    set: usize,
    first: usize,
    page: Option<Arc<SignalPage>>,
    /// The last publication of that page that was read.
    seen: u64,
    value: std::marker::PhantomData<fn() -> T>,
}

impl<T> Clone for SignalReader<T> {
    fn clone(&self) -> Self {
        Self {
            port: Arc::clone(&self.port),
            source: Arc::clone(&self.source),
            name: self.name.clone(),
            page: self.page.clone(),
            ..*self
        }
    }
}

impl<T: SignalValue> SignalReader<T> {
    /// The reader of the signal `manager.signal`.
    pub(super) fn of_signal(port: &Arc<dyn Port>, name: &str) -> Result<Self, SignalError> {
        let check = |set: &TypeSchema, node: &Node| check_type::<T>(name, set, node);
        Self::of_part(port, name, check).map(|(reader, _)| reader)
    }

    /// The same with where it lies, once its type was found to be right.
    pub(super) fn of_part(
        port: &Arc<dyn Port>,
        name: &str,
        check: impl Fn(&TypeSchema, &Node) -> Result<(), SignalError>,
    ) -> Result<(Self, Part), SignalError> {
        // Names of managers may have dots, those of signals have none.
        let Some((manager, signal)) = name.rsplit_once('.') else {
            return Err(SignalError::Unknown { signal: name.to_owned(), known: Vec::new() });
        };
        let source = source_of(port, manager)?;
        let unknown = || SignalError::Unknown { signal: name.to_owned(), known: source.names() };
        let (set, placed) = source.find(signal).ok_or_else(unknown)?;
        check(&source.sets[set], &placed.field.node)?;
        let Placed { field, first, words } = placed;
        let part = Part { schema: source.sets[set].clone(), field: field.clone(), first, words };
        Ok((Self::new(port, &source, name, (set, first)), part))
    }

    /// The reader of a manager's set of the type `T`.
    pub(super) fn of_set(port: &Arc<dyn Port>, manager: &str) -> Result<Self, SignalError> {
        let source = source_of(port, manager)?;
        let wanted = TypeSchema::known::<T>();
        let set = source.sets.iter().position(|set| set.root == wanted.root);
        let Some(set) = set else {
            let found = source.sets.iter().map(|set| set.root.describe()).collect::<Vec<_>>().join(", ");
            let (signal, expected) = (manager.to_owned(), wanted.root.describe());
            return Err(SignalError::WrongType { signal, found, expected });
        };
        check_type::<T>(manager, &source.sets[set], &wanted.root)?;
        Ok(Self::new(port, &source, manager, (set, 0)))
    }

    fn new(
        port: &Arc<dyn Port>,
        source: &Arc<SignalSource>,
        name: &str,
        (set, first): (usize, usize),
    ) -> Self {
        let (port, source) = (Arc::clone(port), Arc::clone(source));
        let (name, value) = (name.to_owned(), std::marker::PhantomData);
        Self { port, page: source.newest(), source, name, set, first, seen: 0, value }
    }

    /// What is read: `manager.signal`, or the manager's name for a set.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The latest value. Takes some nanoseconds; once after each restart of its manager it takes a look for the new
    /// life's page, which in another manager's process is a question to the coordinator.
    ///
    /// # Errors
    /// - [`SignalError::NotPublished`]: there is no value yet.
    /// - [`SignalError::Unreadable`]: its publisher is broken.
    #[inline]
    pub fn read(&mut self) -> Result<Reading<T>, SignalError> {
        let mut standing = standing_of(&self.page);
        if standing == Standing::Superseded {
            self.look_for_newer();
            standing = standing_of(&self.page);
        }
        let Some(page) = &self.page else { return Err(self.unread(TakeError::NotPublished)) };
        match page.take::<T>(self.set, self.first) {
            Ok(Snapshot { value, at_ns, number }) => {
                self.seen = number;
                let (generation, is_stale) = (page.generation(), standing != Standing::Open);
                Ok(Reading { value, at_ns, sequence: number, generation, is_stale })
            }
            Err(error) => Err(self.unread(error)),
        }
    }

    /// Sleeps until the value is as wanted, for at most `patience`; what is there already counts. Nobody polls: the
    /// publisher wakes whoever sleeps. In a handler the time does not count for its watchdog.
    ///
    /// # Errors
    /// - [`SignalError::NotInTime`]: it was never seen as wanted. A value that was there for a moment, between two
    ///   publications, may have been missed.
    /// - [`SignalError::Ended`]: its manager has ended; its last value is not what was waited for.
    /// - [`SignalError::Cancelled`]: the handler that waits is to give up.
    /// - Those of [`read`](Self::read).
    pub fn wait_until(
        &mut self,
        is_as_wanted: impl Fn(&T) -> bool,
        patience: Duration,
    ) -> Result<Reading<T>, SignalError> {
        self.wait(|reading| is_as_wanted(&reading.value), patience)
    }

    /// Sleeps until there is a publication newer than the last that this reader has given, for at most `patience`.
    ///
    /// # Errors
    /// Those of [`wait_until`](Self::wait_until).
    pub fn wait_for_next(&mut self, patience: Duration) -> Result<Reading<T>, SignalError> {
        let seen = (self.page.as_ref().map(|page| page.generation()), self.seen);
        self.wait(|reading| (Some(reading.generation), reading.sequence) != seen, patience)
    }

    fn wait(
        &mut self,
        is_it: impl Fn(&Reading<T>) -> bool,
        patience: Duration,
    ) -> Result<Reading<T>, SignalError> {
        let until = Instant::now().checked_add(patience);
        let mut life = None;
        loop {
            let seen = match self.read() {
                // Also when the next life is there already: what was waited for was to come from this one.
                Ok(reading)
                    if reading.is_stale || reading.generation != *life.get_or_insert(reading.generation) =>
                {
                    let (signal, generation) = (self.name.clone(), life.unwrap_or(reading.generation));
                    return Err(SignalError::Ended { signal, generation });
                }
                Ok(reading) if is_it(&reading) => return Ok(reading),
                Ok(reading) => reading.sequence,
                Err(SignalError::NotPublished { .. }) => 0,
                Err(error) => return Err(error),
            };
            self.sleep(seen, until, patience)?;
        }
    }

    fn sleep(&self, seen: u64, until: Option<Instant>, after: Duration) -> Result<(), SignalError> {
        let signal = || self.name.clone();
        let page = self.page.as_ref().ok_or_else(|| SignalError::NotPublished { signal: signal() })?;
        let mut roused = Ok(Roused::Stopped);
        self.port.sleep_at(page, &mut |is_to_stop| roused = page.wait(self.set, seen, until, is_to_stop));
        match roused? {
            Roused::News => Ok(()),
            Roused::Ended if seen > 0 => Ok(()),
            Roused::Ended => Err(SignalError::Ended { signal: signal(), generation: page.generation() }),
            Roused::Stopped => Err(SignalError::Cancelled { signal: signal() }),
            Roused::TimedOut => Err(SignalError::NotInTime { signal: signal(), after }),
        }
    }

    /// Goes over to the newest life, once that has published something.
    #[cold]
    fn look_for_newer(&mut self) {
        if standing_of(&self.source.newest()) == Standing::Superseded && self.port.is_to_ask_for_signals() {
            // What cannot be asked for stays as it is: the last value, marked as stale.
            if let Err(error) = ask_for(&self.port, self.source.manager()) {
                log::debug!("{error}");
            }
        }
        let newest = self.source.newest();
        let known = self.page.as_ref().map(|page| page.generation());
        if let Some(newest) = newest
            && Some(newest.generation()) != known
            && (known.is_none() || newest.count(self.set) > 0)
        {
            self.page = Some(newest);
            self.seen = 0;
        }
    }

    /// Takes words of the set, as they are, from the page that was read last.
    pub(super) fn take_words(&self, first: usize, count: usize) -> Result<Snapshot<Vec<u64>>, SignalError> {
        let page = self.page.as_ref().ok_or_else(|| self.unread(TakeError::NotPublished))?;
        page.take_words(self.set, first, count).map_err(|error| self.unread(error))
    }

    #[cold]
    pub(super) fn unread(&self, error: TakeError) -> SignalError {
        let signal = self.name.clone();
        match error {
            TakeError::NotPublished => SignalError::NotPublished { signal },
            source => SignalError::Unreadable { signal, source },
        }
    }
}

/// What is to be expected of a page; one that there is not is no better than one of an earlier life.
#[inline]
pub(super) fn standing_of(page: &Option<Arc<SignalPage>>) -> Standing {
    page.as_ref().map_or(Standing::Superseded, |page| page.standing())
}

/// Whether a part of a set is of the type `T`, by path, fields and their order.
fn check_type<T: SignalValue>(name: &str, set: &TypeSchema, node: &Node) -> Result<(), SignalError> {
    let wanted = TypeSchema::known::<T>();
    let there = wanted.definitions.keys().filter_map(|path| set.definitions.get_key_value(path));
    let there = there.map(|(path, definition)| (path.clone(), definition.clone())).collect();
    let part = TypeSchema { root: node.clone(), definitions: there, guarded: false };
    if part.fingerprint() == wanted.fingerprint() {
        return Ok(());
    }
    let (found, expected) = (node.describe(), wanted.root.describe());
    let expected = if found == expected { format!("{expected} with other fields") } else { expected };
    Err(SignalError::WrongType { signal: name.to_owned(), found, expected })
}

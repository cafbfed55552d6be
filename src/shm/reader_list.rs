//! Who reads a ring, as its producer sees it.
//!
//! The list is shared between the thread that loans frames and whoever adds readers; its lock is held for a glance at
//! each cursor and never while anybody waits. Readers that are gone fall out of it by themselves.

use super::cursor::{CursorMap, CursorOpenError, CursorState, ReadMode};
use super::event::Doorbell;
use super::pinning::holds;
use super::ring::minimum_slots;
use super::ring_map::RingMap;
use parking_lot::Mutex;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};

/// Names a reader towards its producer; never used twice in the life of a producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReaderId(u64);

/// Why a reader was not taken on. Its descriptors are closed again; the others are unaffected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddReaderError {
    /// Its cursor is not usable.
    #[error(transparent)]
    Cursor(#[from] CursorOpenError),
    /// With one more reader, those of the latest frame could hold the producer back.
    #[error("a ring of {slots} slots has room for {limit} readers; one more needs a slot more")]
    NoRoom {
        /// How many slots the ring has.
        slots: u32,
        /// How many readers it can have.
        limit: u32,
    },
    /// The reader was taken on before.
    #[error("the reader has joined the ring before")]
    AlreadyJoined,
    /// The reader left, or was declared dead, before it could be taken on.
    #[error("the reader is gone")]
    Gone,
}

/// One reader.
#[derive(Debug)]
pub(super) struct Seat {
    id: ReaderId,
    cursor: CursorMap,
    bell: Doorbell,
    /// The last of the reader's sleeps that was ended: one ring per sleep is enough.
    rung: u64,
}

impl Seat {
    /// From which mark on this reader still needs every frame.
    fn needs_from(&self) -> u64 {
        match self.cursor.mode() {
            // Acquire: the reader is done with the pixels below before they are overwritten.
            ReadMode::Lossless => self.cursor.place().position.load(Ordering::Acquire).saturating_add(1),
            ReadMode::Latest => u64::MAX,
        }
    }

    /// Whether this reader holds the frame with this mark, alone or in a stack.
    fn pins(&self, mark: u64) -> bool {
        holds(&self.cursor.place().pin, mark)
    }

    fn is_gone(&self) -> bool {
        self.cursor.state() == CursorState::Gone
    }

    /// Wakes the reader if it sleeps. Call it after a full fence.
    fn wake(&mut self) {
        let sleep = self.cursor.place().waiting.load(Ordering::Relaxed);
        if sleep != 0 && sleep != self.rung {
            self.rung = sleep;
            self.bell.ring();
        }
    }
}

/// The readers at one moment, under the lock.
pub(super) struct Seats<'a>(&'a mut Vec<Seat>);

impl Seats<'_> {
    /// From which mark on some lossless reader needs every frame.
    pub(super) fn needed_from(&self) -> u64 {
        self.0.iter().map(Seat::needs_from).min().unwrap_or(u64::MAX)
    }

    /// Whether somebody holds the frame with this mark.
    pub(super) fn is_pinned(&self, mark: u64) -> bool {
        self.0.iter().any(|seat| seat.pins(mark))
    }

    /// Wakes every reader that sleeps. Call it after a full fence.
    pub(super) fn wake_sleepers(&mut self) {
        self.0.iter_mut().for_each(Seat::wake);
    }

    /// Rings for every reader, asleep or not.
    pub(super) fn ring_all(&self) {
        self.0.iter().for_each(|seat| seat.bell.ring());
    }
}

/// Adds and removes the readers of a ring, from any thread, also while another one waits in a loan.
#[derive(Debug, Clone)]
pub struct ReaderList {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    ring: Arc<RingMap>,
    space: Arc<Doorbell>,
    seats: Mutex<Vec<Seat>>,
    next_id: AtomicU64,
}

impl ReaderList {
    pub(super) fn new(ring: Arc<RingMap>, space: Arc<Doorbell>) -> Self {
        let seats = Mutex::new(Vec::new());
        Self { shared: Arc::new(Shared { ring, space, seats, next_id: AtomicU64::new(0) }) }
    }

    /// Takes a reader on: it sees everything that is published from now on. `data` is the bell it sleeps on.
    ///
    /// # Errors
    /// - [`AddReaderError::NoRoom`]: the ring was made for fewer readers.
    /// - [`AddReaderError::Cursor`], [`AddReaderError::AlreadyJoined`]: a wrong descriptor was handed over.
    /// - [`AddReaderError::Gone`]: the reader has left in the meantime.
    pub fn add(&self, cursor: OwnedFd, data: Doorbell) -> Result<ReaderId, AddReaderError> {
        self.seat(CursorMap::open(cursor, self.shared.ring.ring_id())?, data)
    }

    /// Drops a reader; the producer reuses whatever it held. Readers that have left or were marked gone need no
    /// removal. Call it only for a reader that is *dead*: a living one would see its frame overwritten.
    pub fn remove(&self, id: ReaderId) {
        let mut seats = self.shared.seats.lock();
        seats.iter().filter(|seat| seat.id == id).for_each(|seat| seat.cursor.mark_gone());
        seats.retain(|seat| seat.id != id);
        drop(seats);
        self.shared.space.ring();
    }

    /// How many readers there are that have not left.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shared.seats.lock().iter().filter(|seat| !seat.is_gone()).count()
    }

    /// Lets `look` at the readers, without those that are gone, while nobody can join or be removed.
    pub(super) fn with<T>(&self, look: impl FnOnce(Seats<'_>) -> T) -> T {
        let mut seats = self.shared.seats.lock();
        seats.retain(|seat| !seat.is_gone());
        look(Seats(&mut seats))
    }

    pub(super) fn seat(&self, cursor: CursorMap, bell: Doorbell) -> Result<ReaderId, AddReaderError> {
        let slots = self.shared.ring.geometry().slots;
        let limit = slots - minimum_slots(0);
        let mut seats = self.shared.seats.lock();
        seats.retain(|seat| !seat.is_gone());
        if seats.len() >= limit as usize {
            return Err(AddReaderError::NoRoom { slots, limit });
        }
        join(&cursor, self.shared.ring.head())?;
        let id = ReaderId(self.shared.next_id.fetch_add(1, Ordering::Relaxed));
        seats.push(Seat { id, cursor, bell, rung: 0 });
        Ok(id)
    }
}

/// Tells the reader where it starts. The caller holds the lock, so nothing is published or loaned meanwhile.
fn join(cursor: &CursorMap, head: u64) -> Result<(), AddReaderError> {
    let (new, joined) = (CursorState::New.code(), CursorState::Joined.code());
    let place = cursor.place();
    if cursor.state() != CursorState::New {
        return Err(refusal(cursor));
    }
    cursor.about().start.store(head, Ordering::Relaxed);
    place.position.store(head, Ordering::Relaxed);
    // Release: the reader that sees itself joined sees where it starts, and every slot that was taken before as taken.
    match place.state.compare_exchange(new, joined, Ordering::AcqRel, Ordering::Relaxed) {
        Ok(_) => Ok(()),
        Err(_) => Err(refusal(cursor)),
    }
}

fn refusal(cursor: &CursorMap) -> AddReaderError {
    match cursor.state() {
        CursorState::Gone => AddReaderError::Gone,
        CursorState::New | CursorState::Joined => AddReaderError::AlreadyJoined,
    }
}

/// What everybody does between changing a word and looking at another process's flag, so that of two that do it at the
/// same time at least one sees the other.
pub(super) fn see_each_other() {
    fence(Ordering::SeqCst);
}

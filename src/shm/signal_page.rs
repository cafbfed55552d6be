//! The page that a manager publishes its signals and shares its data on, for one life of the manager.
//!
//! ```text
//! values  | about (128 B) | how it ended (128 B) | region 0, 1, 2 … each on cache lines of its own |
//! bells   | for each region: whether somebody sleeps, and a word to sleep on |
//! ```
//!
//! A region is the latch of a set of signals ([`set_words`]), or an object that is shared
//! ([`region_words`](super::region_words)). The second word of each, in whatever form, is another one whenever
//! there is something new.
//!
//! The coordinator creates both, and marks the end; the publisher maps the values writably before they are sealed
//! against further writers, readers map them for reading. The bells are writable by all: whoever lies there can delay
//! or cause the waking of others, and nothing else. How values lie in a latch is told by [`latch`](super::latch), how
//! objects lie by the files that are named after them.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use super::latch::{self, Snapshot, TakeError, latch_words};
use super::mapping::Mapping;
use super::segment::{PAGE_BYTES, Segment, SegmentCreateError, SegmentOpenError, SegmentSealError};
use crate::wire::SignalValue;

/// `labrigSI` as a number: the first word of a page of signals.
const SIGNALS_MAGIC: u64 = u64::from_le_bytes(*b"labrigSI");
/// Raised with every change of this layout.
const SIGNALS_VERSION: u64 = 2;

/// How many words there are on what processors fetch at once.
const LINE: usize = 16;
const MAGIC: usize = 0;
const VERSION: usize = 1;
const GENERATION: usize = 2;
const WORDS: usize = 3;
/// Whether anything is still to come: the number of a [`Standing`].
const STANDING: usize = LINE;
const FIRST_REGION: usize = 2 * LINE;

/// Why a page of signals was not accepted. Its descriptors are closed again; nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignalPageError {
    /// A descriptor is no usable segment.
    #[error("page of signals: {0}")]
    Segment(#[from] SegmentOpenError),
    /// The segment holds something else; the wrong descriptor was handed over.
    #[error("the segment is no page of signals: it starts with {found:#x}")]
    NotAPage {
        /// Its first eight bytes.
        found: u64,
    },
    /// The page was made by another version of labrig.
    #[error("the page of signals has layout version {found}, expected {expected}")]
    OtherVersion {
        /// The page's version.
        found: u64,
        /// What this program knows.
        expected: u64,
    },
    /// The page is for other signals or objects than were declared.
    #[error("the page of signals has {found} words, expected {expected}")]
    OtherSets {
        /// How many words it says it has.
        found: u64,
        /// How many the declared ones take.
        expected: u64,
    },
}

/// What is to be expected of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// More may be published.
    Open,
    /// Its publisher has ended: nothing more comes.
    Ended,
    /// A next life of its publisher has a page of its own.
    Superseded,
}

/// How many words the region of a set of so many words takes; more than any memory has, when it is too large.
#[must_use]
pub fn set_words(values: usize) -> usize {
    latch_words::<AtomicU64>(values).unwrap_or(usize::MAX)
}

/// Where each region lies: first word and number of words.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Places {
    regions: Box<[(usize, usize)]>,
    words: usize,
}

impl Places {
    /// The places of regions of so many words each; nothing when no memory could hold them.
    fn of(sizes: &[usize]) -> Option<Self> {
        let mut words = FIRST_REGION;
        let place = |count: &usize| {
            let start = words;
            words = start.checked_add(*count)?.checked_next_multiple_of(LINE)?;
            Some((start, *count))
        };
        let regions = sizes.iter().map(place).collect::<Option<_>>()?;
        words.checked_mul(size_of::<u64>()).is_some().then_some(Self { regions, words })
    }

    fn value_bytes(&self) -> usize {
        self.words * size_of::<u64>()
    }

    /// At least a page, so that a rig without regions has something to map too.
    fn bell_bytes(&self) -> usize {
        (self.regions.len().max(1) * size_of::<[AtomicU32; 2]>()).next_multiple_of(PAGE_BYTES)
    }
}

/// Words of 64 bits, shared with other processes or within this one.
#[derive(Debug)]
enum Values {
    Shared(Mapping),
    Local(Box<[AtomicU64]>),
}

/// Two words of 32 bits for each region: whether somebody sleeps, and what is slept on.
#[derive(Debug)]
enum Bells {
    Shared(Mapping),
    Local(Box<[AtomicU32]>),
}

/// A page of signals as one process sees it.
#[derive(Debug)]
pub struct SignalPage {
    values: Values,
    bells: Bells,
    places: Places,
    generation: u32,
}

impl SignalPage {
    /// Maps for reading what another process publishes, in regions of so many words each.
    ///
    /// # Errors
    /// [`SignalPageError`] when a descriptor is not what was promised; among others when the publisher has not mapped
    /// it yet, so that it is not sealed.
    pub fn open(values: OwnedFd, bells: OwnedFd, sizes: &[usize]) -> Result<Self, SignalPageError> {
        let places = places(sizes)?;
        let values = Segment::open(values, places.value_bytes() as u64)?.map_read_only()?;
        Self::over(Values::Shared(values), bells, places)
    }

    fn over(values: Values, bells: OwnedFd, places: Places) -> Result<Self, SignalPageError> {
        let (_, bells) = Segment::open_shared(bells, places.bell_bytes())?;
        let mut page = Self { values, bells: Bells::Shared(bells), places, generation: 0 };
        let word = |at: usize| page.words(at, 1)[0].load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        let (found, version, count) = (word(MAGIC), word(VERSION), word(WORDS));
        if found != SIGNALS_MAGIC {
            return Err(SignalPageError::NotAPage { found });
        }
        if version != SIGNALS_VERSION {
            return Err(SignalPageError::OtherVersion { found: version, expected: SIGNALS_VERSION });
        }
        if count != page.places.words as u64 {
            return Err(SignalPageError::OtherSets { found: count, expected: page.places.words as u64 });
        }
        page.generation = u32::try_from(word(GENERATION)).unwrap_or(u32::MAX);
        Ok(page)
    }

    /// A page in the memory of this process alone, for regions of so many words each.
    pub(super) fn local(sizes: &[usize]) -> Option<Self> {
        let places = Places::of(sizes)?;
        let values = Values::Local((0..places.words).map(|_| AtomicU64::new(0)).collect());
        let bells = Bells::Local((0..2 * sizes.len()).map(|_| AtomicU32::new(0)).collect());
        let page = Self { values, bells, places, generation: 1 };
        page.describe();
        Some(page)
    }

    /// Writes about itself what others look at when they map it.
    fn describe(&self) {
        let words = self.words(0, LINE);
        words[VERSION].store(SIGNALS_VERSION, Ordering::Relaxed);
        words[GENERATION].store(u64::from(self.generation), Ordering::Relaxed);
        words[WORDS].store(self.places.words as u64, Ordering::Relaxed);
        words[MAGIC].store(SIGNALS_MAGIC, Ordering::Release);
    }

    /// Which life of its publisher it belongs to.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// What is to be expected of it, as the coordinator says.
    #[must_use]
    #[inline]
    pub fn standing(&self) -> Standing {
        match self.words(STANDING, 1)[0].load(Ordering::Relaxed) {
            0 => Standing::Open,
            1 => Standing::Ended,
            _ => Standing::Superseded,
        }
    }

    fn set_standing(&self, standing: Standing) {
        self.words(STANDING, 1)[0].store(standing as u64, Ordering::Release);
    }

    /// How often that set was published; of an object, what changes whenever there is something new.
    #[must_use]
    pub fn count(&self, set: usize) -> u64 {
        latch::latest(self.region(set))
    }

    /// Takes the latest value that begins at the `first`-th word of a set.
    ///
    /// # Errors
    /// [`TakeError`] when there is none.
    #[inline]
    pub fn take<V: SignalValue>(&self, set: usize, first: usize) -> Result<Snapshot<V>, TakeError> {
        latch::take(self.region(set), first)
    }

    /// Takes `count` words of a set, from the `first`-th on, all of one publication.
    ///
    /// # Errors
    /// [`TakeError`] when there are none.
    pub fn take_words(
        &self,
        set: usize,
        first: usize,
        count: usize,
    ) -> Result<Snapshot<Vec<u64>>, TakeError> {
        latch::take_words(self.region(set), first, count)
    }

    /// The words of a region.
    #[inline]
    pub(super) fn region(&self, region: usize) -> &[AtomicU64] {
        let (start, count) = self.places.regions[region];
        self.words(start, count)
    }

    #[inline]
    fn words(&self, start: usize, count: usize) -> &[AtomicU64] {
        match &self.values {
            Values::Shared(memory) => memory.views(start * size_of::<u64>(), count),
            Values::Local(words) => &words[start..start + count],
        }
    }

    /// Whether somebody sleeps until something new is in that region, and the word that is slept on.
    #[inline]
    pub(super) fn bell(&self, set: usize) -> &[AtomicU32] {
        let bells = match &self.bells {
            Bells::Shared(memory) => memory.views(0, 2 * self.places.regions.len()),
            Bells::Local(bells) => bells,
        };
        &bells[2 * set..2 * set + 2]
    }

    pub(super) fn regions(&self) -> usize {
        self.places.regions.len()
    }
}

fn places(sizes: &[usize]) -> Result<Places, SignalPageError> {
    let expected = usize::MAX as u64;
    Places::of(sizes).ok_or(SignalPageError::OtherSets { found: 0, expected })
}

/// The memory of a page, in the hands of the coordinator, which marks its end.
#[derive(Debug)]
pub struct SignalMemory {
    values: Segment,
    bells: Segment,
    page: Arc<SignalPage>,
}

impl SignalMemory {
    /// Creates the page of one life of a manager, for regions of so many words each.
    ///
    /// # Errors
    /// [`SegmentCreateError`]: the system refused the memory; `E2BIG`, when no memory could be so large.
    pub fn create(generation: u32, sizes: &[usize]) -> Result<Self, SegmentCreateError> {
        let name = "labrig-signals";
        let refused = |bytes: u64, call, errno| SegmentCreateError::Refused {
            name: name.to_owned(),
            bytes,
            call,
            errno,
        };
        let places =
            Places::of(sizes).ok_or_else(|| refused(u64::MAX, "ftruncate", rustix::io::Errno::TOOBIG))?;
        let values = Segment::create(name, places.value_bytes() as u64)?;
        // This mapping outlives the seal against new writers: the coordinator keeps it to mark the end.
        let memory = values
            .map_writable(places.value_bytes())
            .map_err(|_| refused(places.value_bytes() as u64, "mmap", rustix::io::Errno::NOMEM))?;
        let (bells, bell_memory) = Segment::create_shared("labrig-signal-bells", places.bell_bytes())?;
        let (shared, bell_memory) = (Values::Shared(memory), Bells::Shared(bell_memory));
        let page = SignalPage { values: shared, bells: bell_memory, places, generation };
        page.describe();
        Ok(Self { values, bells, page: Arc::new(page) })
    }

    /// The descriptors to hand to the publisher, and to readers once [`seal`](Self::seal) was called: values, bells.
    #[must_use]
    pub fn fds(&self) -> [BorrowedFd<'_>; 2] {
        [self.values.fd(), self.bells.fd()]
    }

    /// The page as this process reads it.
    #[must_use]
    pub fn page(&self) -> &Arc<SignalPage> {
        &self.page
    }

    /// Closes the values to further writers. Call it when the publisher has mapped them.
    ///
    /// # Errors
    /// [`SegmentSealError`]: somebody else has sealed it for good.
    pub fn seal(&self) -> Result<(), SegmentSealError> {
        self.values.seal_future_writes()
    }

    /// The publisher has ended: its last values stay, and whoever waits for news is woken.
    pub fn mark_ended(&self) {
        self.page.set_standing(Standing::Ended);
        fence(Ordering::SeqCst);
        self.page.rouse();
    }

    /// The publisher's next life has a page of its own: whoever waits for it looks there.
    pub fn mark_superseded(&self) {
        self.page.set_standing(Standing::Superseded);
        fence(Ordering::SeqCst);
        self.page.rouse();
    }
}

/// The publisher's side of a page.
#[derive(Debug)]
pub struct SignalWriter(Arc<SignalPage>);

impl SignalWriter {
    /// Maps a page for publishing, before it is sealed against writers.
    ///
    /// # Errors
    /// [`SignalPageError`] when a descriptor is not what was promised.
    pub fn open(values: OwnedFd, bells: OwnedFd, sizes: &[usize]) -> Result<Self, SignalPageError> {
        let places = places(sizes)?;
        let bytes = places.value_bytes();
        let values = Segment::open(values, bytes as u64)?.map_writable(bytes)?;
        SignalPage::over(Values::Shared(values), bells, places).map(Arc::new).map(Self)
    }

    /// A page that no other process sees; nothing when no memory could hold it.
    #[must_use]
    pub fn local(sizes: &[usize]) -> Option<Self> {
        SignalPage::local(sizes).map(Arc::new).map(Self)
    }

    /// The page as this process reads it.
    #[must_use]
    pub fn page(&self) -> &Arc<SignalPage> {
        &self.0
    }

    /// The writer of one set; one at a time may use it.
    ///
    /// # Panics
    /// When there is no such set.
    #[must_use]
    pub fn set(&self, set: usize) -> SetWriter {
        let last = self.0.count(set);
        SetWriter { page: Arc::clone(&self.0), set, last }
    }
}

/// Publishes one set.
#[derive(Debug)]
pub struct SetWriter {
    page: Arc<SignalPage>,
    set: usize,
    /// The number of the last publication. Not read from memory again: what others write there counts for nothing.
    last: u64,
}

impl SetWriter {
    /// Publishes a set of which the time is known, in nanoseconds of [`super::monotonic_ns`]. No system call, unless
    /// somebody sleeps.
    #[inline]
    pub fn put<V: SignalValue>(&mut self, value: &V, at_ns: u64) {
        self.last += 1;
        latch::put(self.page.region(self.set), self.last, at_ns, value);
        self.page.ring(self.set);
    }
}

//! The latest value of a type that has no fixed size.
//!
//! It is the [`latch`](super::latch) of a set of signals whose words are a length and so many bytes, by postcard. What is
//! read was written in one piece; a length that is larger than the room there is is no value.

use std::marker::PhantomData;

use serde::Serialize;

use super::clock::monotonic_ns;
use super::latch::{Snapshot, TakeError, Word, put_by, take_by};
use super::shared::{SharedObject, SharedPlace, detached, is_of};
use crate::wire::{EncodeError, Schema, SharedKind, SharedLayout, SharedSpec, codec};

/// How many bytes a word holds.
const BYTES: usize = size_of::<u64>();

/// Publishes these bytes as number `number`; there is room for them.
pub(super) fn put_bytes<W: Word>(words: &[W], number: u64, at_ns: u64, bytes: &[u8]) {
    put_by(words, number, at_ns, |cells| {
        cells[0].set(bytes.len() as u64);
        for (cell, part) in cells[1..].iter().zip(bytes.chunks(BYTES)) {
            let mut word = [0; BYTES];
            word[..part.len()].copy_from_slice(part);
            cell.set(u64::from_le_bytes(word));
        }
    });
}

/// The bytes that were published last.
pub(super) fn take_bytes<W: Word>(words: &[W]) -> Result<Snapshot<Vec<u8>>, TakeError> {
    take_by(words, |slot| {
        let (length, cells) = slot[1..].split_first()?;
        let length = usize::try_from(length.get()).ok().filter(|length| *length <= cells.len() * BYTES)?;
        let words = cells[..length.div_ceil(BYTES)].iter();
        let mut bytes: Vec<u8> = words.flat_map(|word| word.get().to_le_bytes()).collect();
        bytes.truncate(length);
        Some(bytes)
    })
}

/// Publishes the latest value of any type that can be sent: texts, lists, choices with content. There is one for each that
/// a kind declares; any process of the rig reads it by [`Scope::latest_value`](crate::Scope::latest_value). For plain
/// numbers [`Signals`](crate::Signals) are faster.
///
/// ```
/// use labrig::prelude::*;
///
/// #[derive(Serialize, Deserialize, Schema, Debug, Clone)]
/// struct Calibration {
///     made_by: String,
///     factors: Vec<f64>,
/// }
///
/// struct Stage {
///     calibration: LatestValue<Calibration>,
/// }
///
/// impl Manager for Stage {
///     type Config = ();
///     fn setup((): (), context: &mut Context) -> Result<Self, SetupError> {
///         let mut calibration: LatestValue<Calibration> = context.share("calibration")?;
///         calibration.publish(&Calibration { made_by: "hand".to_owned(), factors: vec![1.0, 2.0] })?;
///         Ok(Self { calibration })
///     }
/// }
///
/// #[manager(kind = "stage", shares(calibration = LatestValue::<Calibration>::declare(4096)))]
/// impl Stage {
///     #[every(milliseconds = 1000)]
///     fn forget(&mut self) -> Result<(), ValueError> {
///         self.calibration.publish(&Calibration { made_by: "nobody".to_owned(), factors: Vec::new() })
///     }
/// }
/// ```
#[derive(Debug)]
pub struct LatestValue<T> {
    place: SharedPlace,
    last: u64,
    value: PhantomData<fn(T)>,
}

/// Why a value was not published; the one before stays.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// It is larger than what was declared.
    #[error("the value takes {bytes} bytes, and {room} are declared for it")]
    TooLarge {
        /// How many bytes it takes.
        bytes: usize,
        /// How many there is room for.
        room: usize,
    },
    /// It cannot be written as bytes.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

impl<T: Schema + Serialize> LatestValue<T> {
    /// What a kind declares that shares such a value, of at most so many bytes.
    #[must_use]
    pub fn declare(bytes: u64) -> SharedSpec {
        SharedSpec::declare::<T>(SharedKind::Value, bytes)
    }

    /// Publishes a value, as of now. Readers see the whole of it at once, and it blocks nobody.
    ///
    /// # Errors
    /// [`ValueError`], when it does not fit.
    pub fn publish(&mut self, value: &T) -> Result<(), ValueError> {
        let bytes = codec::to_postcard(value)?;
        let room = usize::try_from(self.place.layout().capacity).unwrap_or(usize::MAX);
        if bytes.len() > room {
            return Err(ValueError::TooLarge { bytes: bytes.len(), room });
        }
        self.last += 1;
        put_bytes(self.place.words(), self.last, monotonic_ns(), &bytes);
        self.place.ring();
        Ok(())
    }

    /// Where it lies.
    #[must_use]
    pub fn place(&self) -> &SharedPlace {
        &self.place
    }
}

impl<T: Schema + Serialize + 'static> SharedObject for LatestValue<T> {
    const DETACHED: SharedLayout = detached(SharedKind::Value, 0, 0, 1 << 16);

    fn is_declared_by(layout: &SharedLayout, item: u64, _: u64) -> bool {
        layout.kind == SharedKind::Value && is_of::<T>(item)
    }

    fn begin(place: SharedPlace) -> Self {
        Self { place, last: 0, value: PhantomData }
    }
}

impl SharedPlace {
    /// The bytes of the latest value.
    ///
    /// # Errors
    /// [`TakeError`] when there is none.
    pub fn take_bytes(&self) -> Result<Snapshot<Vec<u8>>, TakeError> {
        take_bytes(self.words())
    }
}

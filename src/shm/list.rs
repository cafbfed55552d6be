//! Lists of numbers that travel without being copied.

use std::borrow::Cow;
use std::fmt;
use std::ops::{Bound, Deref, DerefMut, RangeBounds};
use std::sync::{Arc, OnceLock};

use serde::de::Error as _;
use serde::ser::{Error as _, SerializeStruct};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::bytes::{ByteLoan, SharedBytes};
use super::element::Element;
use super::segment::SegmentCreateError;
use crate::wire::attached::{attach_buffer, offered_buffer};
use crate::wire::codec::because;
use crate::wire::{Field, Node, Schema, SchemaBuilder, Shape};

/// From this size on, in bytes, values travel in shared memory; smaller ones among the bytes of their envelope.
pub(super) const LEAST_SHARED: usize = 16 * 1024;

/// Memory for a list of numbers, filled in place and then shared: the way without any copy.
///
/// ```
/// # use labrig::payload::Loan;
/// let mut loan = Loan::<f32>::new(1_000_000)?;
/// for (number, value) in loan.iter_mut().enumerate() {
///     *value = number as f32;
/// }
/// let shared = loan.share();
/// assert_eq!(shared[7], 7.0);
/// # Ok::<(), labrig::shm::SegmentCreateError>(())
/// ```
#[derive(Debug)]
pub struct Loan<T> {
    memory: ByteLoan,
    count: usize,
    values: std::marker::PhantomData<T>,
}

impl<T: Element> Loan<T> {
    /// Memory for so many numbers, all zero when it is fresh and left over from other values when it is not.
    ///
    /// # Errors
    /// [`SegmentCreateError`], when there is no memory or no descriptor left.
    pub fn new(count: usize) -> Result<Self, SegmentCreateError> {
        let bytes = count.saturating_mul(size_of::<T>());
        Ok(Self { memory: ByteLoan::new(bytes)?, count, values: std::marker::PhantomData })
    }

    /// From now on nobody writes there.
    pub fn share(self) -> Shared<T> {
        let place = Place::Shared(self.memory.share());
        Shared { place, start: 0, count: self.count }
    }
}

impl<T: Element> Deref for Loan<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        let start = self.memory.start().cast::<T>().cast_const();
        // SAFETY: the memory has `count` values of `T`, for which any bytes are good, and begins on a page. It is this
        // loan's alone: nobody else has the block, and it is lent for writing only through the loan.
        unsafe { std::slice::from_raw_parts(start, self.count) }
    }
}

impl<T: Element> DerefMut for Loan<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        let start = self.memory.start().cast::<T>();
        // SAFETY: as for reading; and the loan is borrowed for this alone.
        unsafe { std::slice::from_raw_parts_mut(start, self.count) }
    }
}

/// A list of numbers for commands and replies. It is never changed, and cheap to clone.
///
/// A small one travels among the bytes of its envelope, a large one (16 KiB and more) as shared memory: whoever gets
/// it reads it where the sender wrote it. One that is made of a `Vec` is copied once, when it travels; one out of a
/// [`Loan`] never. In JSON it is `{"data": [1, 2, 3]}`.
///
/// ```
/// use labrig::payload::Shared;
///
/// let heights = Shared::from(vec![0.5, 1.5, 2.5]);
/// assert_eq!(heights.part(1..).to_vec(), [1.5, 2.5]);
/// ```
#[derive(Clone)]
pub struct Shared<T> {
    place: Place<T>,
    /// In values.
    start: usize,
    count: usize,
}

/// Where the values are.
#[derive(Clone)]
enum Place<T> {
    Here(Arc<Here<T>>),
    Shared(SharedBytes),
    /// The same, with others beside it: it travels there however small it is.
    Packed(SharedBytes),
}

/// A list in this process's own memory, and its copy in shared memory once it has travelled.
struct Here<T> {
    values: Vec<T>,
    copy: OnceLock<SharedBytes>,
}

/// A part of a buffer that travels beside a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, labrig::Schema)]
pub struct Piece {
    /// Which of the buffers.
    place: u32,
    /// Where it begins there, in bytes.
    offset: u64,
    /// How many values it has.
    count: u64,
}

impl<T: Element> Shared<T> {
    /// A list of so many numbers, built in place in shared memory.
    ///
    /// # Errors
    /// As [`Loan::new`].
    pub fn build(count: usize, fill: impl FnOnce(&mut [T])) -> Result<Self, SegmentCreateError> {
        let mut loan = Loan::new(count)?;
        fill(&mut loan);
        Ok(loan.share())
    }

    /// A part of it, which keeps the whole; nothing is copied. Out of its bounds there is nothing.
    pub fn part(&self, range: impl RangeBounds<usize>) -> Self {
        let begin = match range.start_bound() {
            Bound::Included(at) => *at,
            Bound::Excluded(at) => at.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(at) => at.saturating_add(1),
            Bound::Excluded(at) => *at,
            Bound::Unbounded => self.count,
        };
        let end = end.min(self.count);
        let begin = begin.min(end);
        Self { start: self.start + begin, count: end - begin, ..self.clone() }
    }

    /// The same bytes as numbers of another type; nothing when they are no whole number of them. Nothing is copied if
    /// it lies in shared memory.
    pub fn read_as<U: Element>(&self) -> Option<Shared<U>> {
        let (bytes, size) = (size_of_val(&**self), size_of::<U>());
        let start = self.start * size_of::<T>();
        if !bytes.is_multiple_of(size) || !start.is_multiple_of(size) {
            return None;
        }
        let (start, count) = (start / size, bytes / size);
        let place = match &self.place {
            Place::Shared(memory) | Place::Packed(memory) => Place::Shared(memory.clone()),
            Place::Here(here) => Place::Shared(here.shared().ok()?),
        };
        Some(Shared { place, start, count })
    }

    /// The list that begins at that byte of a packing.
    pub(crate) fn in_packing(packing: &Shared<u8>, start: usize, count: usize) -> Self {
        match &packing.place {
            Place::Shared(memory) | Place::Packed(memory) if count > 0 => {
                Self { place: Place::Packed(memory.clone()), start: start / size_of::<T>(), count }
            }
            _ => Self::default(),
        }
    }

    /// Whether it lies in shared memory already, so that it travels without a copy.
    pub fn is_in_shared_memory(&self) -> bool {
        !matches!(self.place, Place::Here(_))
    }

    /// As it travels: the values themselves, or a piece of a buffer.
    pub(crate) fn to_wire(&self, is_for_people: bool) -> Result<(&[T], Option<Piece>), &'static str> {
        let is_packed = matches!(self.place, Place::Packed(_));
        if is_for_people || !is_packed && size_of_val(&**self) < LEAST_SHARED {
            return Ok((self, None));
        }
        let (memory, start) = match &self.place {
            Place::Shared(memory) | Place::Packed(memory) => (memory.clone(), self.start),
            Place::Here(here) => (here.shared()?, self.start),
        };
        let buffer = memory.buffer().map_err(|_| "no descriptor is left for a shared buffer")?;
        let offset = (start * size_of::<T>()) as u64;
        Ok((&[], Some(Piece { place: attach_buffer(buffer)?, offset, count: self.count as u64 })))
    }

    /// As it came. Nothing of it is believed.
    pub(crate) fn from_wire(values: Vec<T>, piece: Option<Piece>) -> Result<Self, Cow<'static, str>> {
        let Some(piece) = piece else { return Ok(values.into()) };
        if !values.is_empty() {
            return Err("a list has its values twice: in itself and in a shared buffer".into());
        }
        let size = size_of::<T>();
        let whole = |number: u64| usize::try_from(number).ok();
        let fits = |(offset, count): (usize, usize)| {
            let end = count.checked_mul(size)?.checked_add(offset)?;
            (offset.is_multiple_of(size) && count > 0).then_some((offset / size, count, end))
        };
        let (start, count, end) = whole(piece.offset)
            .zip(whole(piece.count))
            .and_then(fits)
            .ok_or("a part of a shared buffer is named that no buffer can have")?;
        let memory = SharedBytes::open(offered_buffer(piece.place)?, end)
            .map_err(|error| format!("a shared buffer is refused: {error}"))?;
        Ok(Self { place: Place::Shared(memory), start, count })
    }
}

impl<T: Element> Here<T> {
    fn shared(&self) -> Result<SharedBytes, &'static str> {
        if let Some(copy) = self.copy.get() {
            return Ok(copy.clone());
        }
        let loan = Loan::new(self.values.len());
        let mut loan = loan.map_err(|error| {
            log::error!("a value cannot be sent: {error}");
            "no memory is left for a shared buffer"
        })?;
        loan.copy_from_slice(&self.values);
        Ok(self.copy.get_or_init(|| loan.memory.share()).clone())
    }
}

impl<T: Element> Deref for Shared<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match &self.place {
            Place::Here(here) => &here.values[self.start..self.start + self.count],
            Place::Shared(memory) | Place::Packed(memory) => {
                let end = (self.start + self.count) * size_of::<T>();
                assert!(end <= memory.len(), "a list leaves its memory");
                // SAFETY: the range was just proved to lie in the memory, which begins on a page, so that it is aligned.
                // Any bytes are values of `T`. They are mapped as long as `memory` is, and nobody writes them: the block
                // is used again only when no process has it any more.
                unsafe { std::slice::from_raw_parts(memory.start().cast::<T>().add(self.start), self.count) }
            }
        }
    }
}

impl<T> From<Vec<T>> for Shared<T> {
    fn from(values: Vec<T>) -> Self {
        let count = values.len();
        let place = Place::Here(Arc::new(Here { values, copy: OnceLock::new() }));
        Self { place, start: 0, count }
    }
}

impl<T: Clone> From<&[T]> for Shared<T> {
    fn from(values: &[T]) -> Self {
        values.to_vec().into()
    }
}

impl<T> FromIterator<T> for Shared<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        values.into_iter().collect::<Vec<_>>().into()
    }
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Vec::new().into()
    }
}

impl<T: Element> PartialEq for Shared<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Element + fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST: usize = 8;
        let mut shown = f.debug_list();
        shown.entries(self.iter().take(MOST));
        if self.len() > MOST { shown.finish_non_exhaustive() } else { shown.finish() }
    }
}

/// A list as it is read.
#[derive(Deserialize)]
#[serde(bound = "T: serde::de::DeserializeOwned")]
struct Wire<T> {
    data: Vec<T>,
    #[serde(default)]
    buffer: Option<Piece>,
}

impl<T: Element> Serialize for Shared<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let is_for_people = serializer.is_human_readable();
        let (data, buffer) = self.to_wire(is_for_people).map_err(|why| S::Error::custom(because(why)))?;
        let mut shared = serializer.serialize_struct("Shared", 2 - usize::from(is_for_people))?;
        shared.serialize_field("data", data)?;
        if !is_for_people {
            shared.serialize_field("buffer", &buffer)?;
        }
        shared.end()
    }
}

impl<'de, T: Element> Deserialize<'de> for Shared<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Wire { data, buffer } = Wire::deserialize(deserializer)?;
        Self::from_wire(data, buffer).map_err(|why| D::Error::custom(because(why)))
    }
}

#[diagnostic::do_not_recommend]
impl<T: Element> Schema for Shared<T> {
    fn schema(builder: &mut SchemaBuilder) -> Node {
        let path = format!("labrig::Shared<{}>", T::NAME);
        builder.named(&path, "A list of numbers, in shared memory when it is large.", |builder| {
            Shape::Struct(fields::<T>(builder).into())
        })
    }
}

/// The fields by which a list travels, in their order.
pub(crate) fn fields<T: Element>(builder: &mut SchemaBuilder) -> [Field; 2] {
    let field = |name: &str, doc: &str, node, optional| Field {
        name: name.into(),
        node,
        doc: doc.into(),
        unit: None,
        min: None,
        max: None,
        optional,
        default: None,
    };
    [
        field("data", "The values.", Node::List(Box::new(T::schema(builder))), false),
        field(
            "buffer",
            "Where they are instead, between processes.",
            Node::Option(Box::new(Piece::schema(builder))),
            true,
        ),
    ]
}

#[cfg(test)]
mod tests;

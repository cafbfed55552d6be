//! The producer's side of a stream that answers a call: a reply is written, and what is to follow it is set
//! aside; later its items are drawn and packed into chunks, as many as the reader has room for.
//!
//! A stream stands in a reply as an empty list. A value's serialisation knows nothing of the call that it
//! answers, so the place where the source is put is the thread's, and is open only while a reply is written.

use std::cell::RefCell;
use std::mem;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::wire::{CodecId, Failure, MAX_PAYLOAD_BYTES, Parcel, codec};

/// How many chunks a producer may send before the reader has taken any.
pub const WINDOW: u32 = 16;

/// A chunk that has so many bytes is closed.
const FULL_BYTES: usize = 16 * 1024;
/// So many items too.
const FULL_ITEMS: usize = 256;
/// A chunk that has been in the making for so long is closed with what it has.
const FULL_AFTER: Duration = Duration::from_millis(1);
/// Room for the count at a chunk's front.
const COUNT_BYTES: usize = 2;

/// What follows a reply, chunk by chunk.
pub trait ChunkSource: Send {
    /// Draws the next items: a list of them by postcard, never an empty one. An item with which something travels is alone. Nothing at the end; after an error
    /// too, which ends the stream. It runs the handler's own iterator, which may take its time, and may panic.
    fn next_chunk(&mut self) -> Option<Result<Parcel, Failure>>;
}

enum Place {
    /// No reply is being written.
    Shut,
    Open,
    Filled(Box<dyn ChunkSource>),
}

thread_local! {
    static OUTGOING: RefCell<Place> = const { RefCell::new(Place::Shut) };
}

/// Puts back what was in place before, also when whoever writes panics.
struct Reopened(Place);

impl Drop for Reopened {
    fn drop(&mut self) {
        let before = mem::replace(&mut self.0, Place::Shut);
        drop(OUTGOING.replace(before));
    }
}

/// Writes a reply, and gives what is to follow it when it holds a stream.
pub fn collect_outgoing<X>(write: impl FnOnce() -> X) -> (X, Option<Box<dyn ChunkSource>>) {
    let _before = Reopened(OUTGOING.replace(Place::Open));
    let written = write();
    match OUTGOING.replace(Place::Shut) {
        Place::Filled(source) => (written, Some(source)),
        Place::Shut | Place::Open => (written, None),
    }
}

/// Sets aside what is to follow the reply that is being written.
pub(super) fn put_outgoing(source: Box<dyn ChunkSource>) -> Result<(), &'static str> {
    OUTGOING.with_borrow_mut(|place| match place {
        Place::Shut => Err("a reply stream can only be sent in the reply to a request"),
        Place::Filled(_) => Err("a reply can hold one reply stream"),
        Place::Open => {
            *place = Place::Filled(source);
            Ok(())
        }
    })
}

/// Items as a handler gives them.
pub(super) type Items<T> = Box<dyn Iterator<Item = T> + Send>;

/// Packs items into chunks.
pub(super) struct Chunks<T> {
    items: Items<T>,
    /// Drawn, but too large for the chunk before.
    held_back: Option<Result<Parcel, Failure>>,
    is_over: bool,
}

impl<T: Serialize> Chunks<T> {
    pub(super) fn new(items: Items<T>) -> Self {
        Self { items, held_back: None, is_over: false }
    }

    /// The next item's bytes.
    fn draw(&mut self) -> Option<Result<Parcel, Failure>> {
        if let Some(held_back) = self.held_back.take() {
            return Some(held_back);
        }
        if self.is_over {
            return None;
        }
        let item = self.items.next();
        self.is_over = item.is_none();
        Some(write(&item?))
    }
}

fn write<T: Serialize>(item: &T) -> Result<Parcel, Failure> {
    let item = codec::pack(item, CodecId::Postcard).map_err(|error| Failure::text(error.to_string()))?;
    let (size, limit) = (item.len(), MAX_PAYLOAD_BYTES - COUNT_BYTES);
    match size <= limit {
        true => Ok(item),
        false => Err(Failure::text(format!("an item of {size} bytes exceeds the limit of {limit}"))),
    }
}

impl<T: Serialize> ChunkSource for Chunks<T> {
    fn next_chunk(&mut self) -> Option<Result<Parcel, Failure>> {
        // From here on, not from the first item: a slow iterator's items are not held back for one another.
        let began = Instant::now();
        let (mut count, mut bytes) = (0, Vec::new());
        while count == 0 || (count < FULL_ITEMS && bytes.len() < FULL_BYTES && began.elapsed() < FULL_AFTER) {
            match self.draw() {
                Some(Ok(Parcel { bytes, attached })) if count == 0 && attached.is_some() => {
                    return Some(Ok(Parcel { bytes: seal(1, &bytes), attached }));
                }
                Some(Ok(Parcel { bytes: item, attached: None }))
                    if COUNT_BYTES + bytes.len() + item.len() <= MAX_PAYLOAD_BYTES =>
                {
                    bytes.extend(item);
                    count += 1;
                }
                Some(Err(why)) if count == 0 => {
                    self.is_over = true;
                    return Some(Err(why));
                }
                later => {
                    self.held_back = later;
                    break;
                }
            }
        }
        (count > 0).then(|| Ok(seal(count, &bytes).into()))
    }
}

/// The bytes of a list of so many items.
fn seal(count: usize, items: &[u8]) -> Vec<u8> {
    let mut chunk = codec::to_postcard(&count).expect("a number can be written");
    chunk.extend(items);
    chunk
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Schema, TypeSchema};

    fn chunks_of<T: Serialize>(items: impl Iterator<Item = T> + Send + 'static) -> Chunks<T> {
        Chunks::new(Box::new(items))
    }

    /// How many items each chunk has, up to the end or an error.
    fn check_chunks<T>(items: impl Iterator<Item = T> + Send + 'static, expected: &[Result<usize, &str>])
    where
        T: Serialize + serde::de::DeserializeOwned + Schema,
    {
        let mut source = chunks_of(items);
        let mut found = Vec::new();
        while let Some(chunk) = source.next_chunk() {
            found.push(chunk.map(|bytes| {
                assert!(bytes.len() <= MAX_PAYLOAD_BYTES, "{} bytes", bytes.len());
                let items = codec::from_postcard::<Vec<T>>(&bytes, &TypeSchema::of::<Vec<T>>());
                items.expect("a list of items").len()
            }));
        }
        let found: Vec<_> = found.iter().map(|it| it.as_ref().map_err(|it| it.text.as_str())).collect();
        let expected: Vec<_> = expected.iter().map(|it| it.as_ref().map_err(|text| *text)).collect();
        assert_eq!(found, expected);
        assert!(source.next_chunk().is_none());
    }

    /// An item of so many bytes, its length included.
    fn item(bytes: usize) -> Vec<u8> {
        vec![7; bytes - if bytes > 16_384 { 3 } else { 2 }]
    }

    #[test]
    fn an_item_that_no_envelope_holds_ends_the_stream() {
        const MOST: usize = MAX_PAYLOAD_BYTES - COUNT_BYTES;
        check_chunks(std::iter::empty::<u8>(), &[]);
        check_chunks([item(MOST), item(MOST)].into_iter(), &[Ok(1), Ok(1)]);
        let too_large = [item(500), item(MOST + 1), item(500)];
        check_chunks(
            too_large.into_iter(),
            &[Ok(1), Err("an item of 130047 bytes exceeds the limit of 130046")],
        );
    }

    #[test]
    fn an_item_that_cannot_be_written_ends_the_stream() {
        /// Refuses to be written.
        #[derive(crate::Schema, serde::Deserialize)]
        struct Shy {}
        impl Serialize for Shy {
            fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                Err(serde::ser::Error::custom(codec::because("it is shy")))
            }
        }
        check_chunks([Shy {}, Shy {}].into_iter(), &[Err("cannot encode: it is shy")]);
    }

    #[test]
    fn a_chunk_is_closed_when_it_has_enough() {
        // How many fit is a matter of time too; that they are never too many is not.
        let mut many = chunks_of(0..100_000_u32);
        let mut large = chunks_of(std::iter::repeat_n(item(10_000), 100));
        for (source, most_bytes) in
            [(&mut many as &mut dyn ChunkSource, 2 + 3 * 256), (&mut large, 1 + 2 * 10_000)]
        {
            while let Some(chunk) = source.next_chunk() {
                let bytes = chunk.expect("a chunk").len();
                assert!(bytes <= most_bytes, "{bytes} bytes");
            }
        }
    }

    #[test]
    fn the_items_of_a_slow_iterator_come_one_by_one() {
        let slow = (0..3_u8).inspect(|_| std::thread::sleep(2 * FULL_AFTER));
        check_chunks(slow, &[Ok(1), Ok(1), Ok(1)]);
    }

    #[test]
    fn a_place_is_open_only_while_a_reply_is_written() {
        let source = || Box::new(chunks_of(0..3_u8)) as Box<dyn ChunkSource>;
        assert!(put_outgoing(source()).is_err());
        let (inner, outer) = collect_outgoing(|| {
            let (put, inner) = collect_outgoing(|| (put_outgoing(source()), put_outgoing(source())));
            assert!(put.0.is_ok() && put.1.is_err_and(|why| why.contains("one reply stream")));
            inner
        });
        assert!(inner.is_some() && outer.is_none());
        assert!(put_outgoing(source()).is_err_and(|why| why.contains("the reply to a request")));
    }
}

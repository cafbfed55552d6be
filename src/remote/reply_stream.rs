//! Replies of many items that come in one after the other, while the caller is at the first ones.
//!
//! A handler returns an iterator; the caller gets one. Between the two there are never more than a few chunks
//! of items: a caller that reads slowly makes the handler's iterator wait.

use std::fmt;
use std::iter::FusedIterator;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;
use std::vec;

use parking_lot::Mutex;
use serde::de::{self, DeserializeOwned, SeqAccess, Visitor};
use serde::ser::{self, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::call_error::{CallError, CallFacts};
use super::chunks::{Chunks, Items, put_outgoing};
use super::claim::{self, Claim};
use super::port::{Wait, Waited};
use super::slot::{Need, StreamNews};
use super::waiting::moment_after;
use crate::wire::codec::because;
use crate::wire::{CodecId, DecodeError, Node, Parcel, Schema, SchemaBuilder, Shape, TypeSchema, codec};

/// What the paths of these types begin with.
const PATH: &str = "labrig::ReplyStream<";

/// A reply, or a part of one, whose items come in one after the other.
///
/// ```no_run
/// use std::time::Duration;
///
/// use labrig::prelude::*;
///
/// #[derive(Serialize, Deserialize, Schema)]
/// struct Row {
///     height_um: f64,
///     brightness: f64,
/// }
///
/// /// Measures row by row.
/// #[derive(Command, Serialize, Deserialize, Schema)]
/// #[command(reply = ReplyStream<Row>)]
/// struct Scan {
///     rows: u32,
/// }
///
/// # struct Scanner;
/// # impl Manager for Scanner {
/// #     type Config = ();
/// #     fn setup(_: (), _: &mut Context) -> Result<Self, SetupError> {
/// #         Ok(Self)
/// #     }
/// # }
/// #[manager(kind = "scanner")]
/// impl Scanner {
///     #[ipc_command]
///     fn scan(&mut self, command: Scan) -> ReplyStream<Row> {
///         let measure = |row| Row { height_um: 0.5 * f64::from(row), brightness: 0.0 };
///         ReplyStream::new((0..command.rows).map(measure))
///     }
/// }
///
/// fn brightest(scope: &Scope) -> Result<f64, CallError> {
///     let rows = scope.request(Scan { rows: 100_000 })?.wait(Duration::from_secs(5))?;
///     let mut brightest = 0.0;
///     for row in rows {
///         brightest = row?.brightness.max(brightest);
///     }
///     Ok(brightest)
/// }
/// ```
///
/// The handler has ended when the stream begins: its iterator is drawn from later, so it owns what it needs.
/// A stream that fails half-way gives the error as its last item. Dropping it before its end takes the rest of
/// it back. A reply can hold one stream, and that one can be read once: asking a pending reply for it a second
/// time is an error. Reports of broadcasts hold none.
pub struct ReplyStream<T> {
    side: Side<T>,
}

enum Side<T> {
    /// At its handler, until the reply is written.
    Source(Mutex<Option<Items<T>>>),
    /// At its caller.
    Reader(Reader<T>),
}

impl<T> ReplyStream<T> {
    /// A reply that gives the items of an iterator, which is drawn from as the caller reads.
    pub fn new<I: Iterator<Item = T> + Send + 'static>(items: I) -> Self {
        Self { side: Side::Source(Mutex::new(Some(Box::new(items)))) }
    }

    /// At the caller: waits for each next item for at most so long, instead of the rig's default deadline. An
    /// item that takes longer is a [`CallError::NoAnswerYet`], after which the next one may be asked for.
    pub fn with_patience(mut self, patience: Duration) -> Self {
        if let Side::Reader(reader) = &mut self.side {
            reader.patience = patience;
        }
        self
    }
}

impl<T> Iterator for ReplyStream<T> {
    type Item = Result<T, CallError>;

    /// Waits for the next item. After an error that ends the stream there is none.
    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.side {
            Side::Source(place) => {
                let item = place.get_mut().as_mut()?.next();
                if item.is_none() {
                    *place.get_mut() = None;
                }
                item.map(Ok)
            }
            Side::Reader(reader) => reader.next(),
        }
    }
}

impl<T> FusedIterator for ReplyStream<T> {}

impl<T> fmt::Debug for ReplyStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("ReplyStream");
        if let Side::Reader(reader) = &self.side {
            shown.field("facts", &reader.facts).field("is_over", &reader.is_over);
        }
        shown.finish_non_exhaustive()
    }
}

/// The caller's end of a stream.
struct Reader<T> {
    claim: Arc<Claim>,
    facts: CallFacts,
    patience: Duration,
    read: fn(&Parcel) -> Result<Vec<T>, DecodeError>,
    /// Of the newest chunk.
    items: vec::IntoIter<T>,
    is_over: bool,
}

impl<T> Reader<T> {
    fn next(&mut self) -> Option<Result<T, CallError>> {
        loop {
            if let Some(item) = self.items.next() {
                return Some(Ok(item));
            }
            if self.is_over {
                return None;
            }
            if let Err(why) = self.go_on() {
                return Some(Err(why));
            }
        }
    }

    /// Takes what comes next: a chunk, or the end.
    fn go_on(&mut self) -> Result<(), CallError> {
        match self.news()? {
            StreamNews::Chunk(chunk) => {
                self.claim.port.grant(self.claim.call, 1);
                self.items = (self.read)(&chunk).map_err(|source| self.unreadable(source))?.into_iter();
                Ok(())
            }
            StreamNews::End(end) => {
                self.is_over = true;
                end.map_err(|why| CallError::from_ending(why, self.facts.clone()))
            }
        }
    }

    fn news(&mut self) -> Result<StreamNews, CallError> {
        let Claim { port, slot, call, .. } = &*self.claim;
        if let Some(news) = slot.take_news() {
            return Ok(news);
        }
        let until = moment_after(self.patience);
        let waited = port.wait(Wait { call: *call, slot, need: Need::Chunk, until, is_announced: false });
        slot.take_news().ok_or_else(|| self.nothing(waited))
    }

    fn nothing(&mut self, waited: Waited) -> CallError {
        let facts = self.facts.clone();
        match waited {
            Waited::Over => CallError::NoAnswerYet { facts, patience: self.patience },
            Waited::Cancelled => {
                self.give_up();
                CallError::Cancelled(facts)
            }
        }
    }

    fn unreadable(&mut self, source: DecodeError) -> CallError {
        self.give_up();
        CallError::UnreadableAnswer { facts: self.facts.clone(), source: Box::new(source) }
    }

    fn give_up(&mut self) {
        self.is_over = true;
        self.claim.port.cancel(self.claim.call);
        self.claim.port.abandon(self.claim.call);
    }
}

impl<T> Drop for Reader<T> {
    fn drop(&mut self) {
        if !self.is_over {
            self.give_up();
        }
    }
}

impl<T: Serialize + 'static> Serialize for ReplyStream<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fail = |reason| ser::Error::custom(because(reason));
        let Side::Source(items) = &self.side else {
            return Err(fail("a reply stream that was received is no reply: make one of its items"));
        };
        let items = items.lock().take().ok_or_else(|| fail("a reply stream is sent once"))?;
        put_outgoing(Box::new(Chunks::new(items))).map_err(fail)?;
        serializer.serialize_seq(Some(0))?.end()
    }
}

impl<'de, T: DeserializeOwned + Schema + 'static> Deserialize<'de> for ReplyStream<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Nothing)?;
        let (claim, facts) = claim::take().map_err(|reason| de::Error::custom(because(reason)))?;
        let patience = claim.port.default_deadline();
        let (read, items) = (read_items::<T> as _, Vec::new().into_iter());
        Ok(Self { side: Side::Reader(Reader { claim, facts, patience, read, items, is_over: false }) })
    }
}

fn read_items<T: DeserializeOwned + Schema + 'static>(chunk: &Parcel) -> Result<Vec<T>, DecodeError> {
    let schema = TypeSchema::known::<Vec<T>>();
    codec::unpack(chunk, chunk.attached.as_deref(), CodecId::Postcard, schema)
}

/// The empty list that a stream is in a reply.
struct Nothing;

impl<'de> Visitor<'de> for Nothing {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the empty list that announces a stream")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        match list.next_element::<()>()? {
            None => Ok(()),
            Some(()) => Err(de::Error::custom(because("the list that announces a stream is not empty"))),
        }
    }
}

#[diagnostic::do_not_recommend]
impl<T: Schema> Schema for ReplyStream<T> {
    fn schema(builder: &mut SchemaBuilder) -> Node {
        let item = T::schema(builder);
        let path = format!("{PATH}{}>", item.identity());
        builder.named(&path, "Items that come in one after the other.", |_| {
            Shape::Newtype(Node::List(item.into()))
        })
    }
}

/// Whether a reply of that type is followed by a stream.
pub fn holds_stream(reply: &TypeSchema) -> bool {
    let mut from_there = reply.definitions.range::<str, _>((Bound::Included(PATH), Bound::Unbounded));
    from_there.next().is_some_and(|(path, _)| path.starts_with(PATH))
}

//! `streamer`: answers by streams, good or bad, and knows how much of them was drawn.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use labrig::prelude::*;

use crate::commands::TestError;

/// Streams the numbers from 0.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = ReplyStream<Item>)]
pub struct Stream {
    /// How many.
    pub count: u64,
    /// How many bytes each carries.
    pub bytes: u32,
    /// At which number the stream panics, if at any.
    pub panics_at: Option<u64>,
}

/// The same out of a handler of the coordinator.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(scope, reply = ReplyStream<Item>)]
pub struct ScopeStreams {
    /// How many.
    pub count: u64,
}

/// The same, asked of everyone; which no stream can answer.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(broadcast, reply = ReplyStream<Item>)]
pub struct StreamTogether {}

/// Reads the stream of another manager to its end; replies the sum of its numbers.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = u64)]
pub struct SumUp {
    /// Whose.
    pub whose: String,
    /// How many.
    pub count: u64,
}

/// Asks how many items have been drawn in all, and how many streams are drawn from.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = Drawn)]
pub struct HowMuch {}

/// What became of a manager's streams.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
pub struct Drawn {
    /// Items in all.
    pub items: u64,
    /// Streams that have not ended.
    pub open: u64,
}

/// One item.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
pub struct Item {
    /// Its number.
    pub number: u64,
    /// Something to carry.
    pub load: Vec<u8>,
}

#[derive(Default)]
struct Count {
    items: AtomicU64,
    open: AtomicU64,
}

/// Items that are counted as they are drawn; a stream is open until it is dropped.
struct Numbers {
    next: u64,
    asked: Stream,
    count: Arc<Count>,
}

impl Numbers {
    fn new(asked: Stream, count: &Arc<Count>) -> Self {
        count.open.fetch_add(1, Ordering::Relaxed);
        Self { next: 0, asked, count: Arc::clone(count) }
    }
}

impl Iterator for Numbers {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        let number = self.next;
        assert_ne!(Some(number), self.asked.panics_at, "the detector ran dry");
        (number < self.asked.count).then(|| {
            self.next += 1;
            self.count.items.fetch_add(1, Ordering::Relaxed);
            Item { number, load: vec![7; self.asked.bytes as usize] }
        })
    }
}

impl Drop for Numbers {
    fn drop(&mut self) {
        self.count.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// See the module's words.
#[derive(Default)]
pub struct Streamer(Arc<Count>);

impl Manager for Streamer {
    type Config = ();

    fn setup(_: (), _: &mut Context) -> Result<Self, SetupError> {
        Ok(Self::default())
    }
}

#[manager(kind = "streamer")]
impl Streamer {
    #[ipc_command]
    fn stream(&mut self, command: Stream) -> ReplyStream<Item> {
        ReplyStream::new(Numbers::new(command, &self.0))
    }

    #[ipc_command]
    fn stream_together(&mut self, _command: StreamTogether) -> ReplyStream<Item> {
        ReplyStream::new(Numbers::new(Stream { count: 3, bytes: 0, panics_at: None }, &self.0))
    }

    #[ipc_command]
    fn how_much(&mut self, _command: HowMuch) -> Drawn {
        Drawn { items: self.0.items.load(Ordering::Relaxed), open: self.0.open.load(Ordering::Relaxed) }
    }

    #[ipc_command]
    fn sum_up(&mut self, command: SumUp, context: &mut Context) -> Result<u64, TestError> {
        let no_answer = |error: &dyn ToString| TestError::NoAnswer { why: error.to_string() };
        let asked = Stream { count: command.count, bytes: 0, panics_at: None };
        let items = context.to(&command.whose).call(asked).map_err(|error| no_answer(&error))?;
        items.map(|item| Ok(item.map_err(|error| no_answer(&error))?.number)).sum()
    }
}

/// A scope that streams.
#[derive(Default)]
pub struct Archive;

#[scope]
impl Archive {
    #[ipc_command]
    fn stream(&mut self, command: ScopeStreams) -> ReplyStream<Item> {
        ReplyStream::new((0..command.count).map(|number| Item { number, load: Vec::new() }))
    }
}

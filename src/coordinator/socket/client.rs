//! One connection: what has come in, what is to go out, and how much of either may wait.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use serde_json::{Value, json};

use super::following::Following;
use super::watching::Watch;
use crate::wire::message;
use crate::wire::{Inbox, Problem};

/// How much may wait for a client before events are dropped for it, in bytes.
const ROOM_FOR_EVENTS: usize = 256 << 10;
/// How much may wait for a client before its connection ends: that much it was to be answered, and did not read.
const ROOM_FOR_ANSWERS: usize = 4 << 20;

/// See the module's words.
#[derive(Debug)]
pub(super) struct Client {
    stream: UnixStream,
    pub(super) inbox: Inbox,
    output: VecDeque<u8>,
    /// Whether the poller is to tell of room to write.
    pub(super) waits_for_room: bool,
    pub(super) watch: Option<Watch>,
    pub(super) following: Option<Following>,
    /// How many of its calls are under way.
    pub(super) calls: usize,
}

/// What became of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Line {
    /// It goes on.
    Open,
    /// It has ended, or is to end.
    Over,
}

impl Client {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            inbox: Inbox::default(),
            output: VecDeque::new(),
            waits_for_room: false,
            watch: None,
            following: None,
            calls: 0,
        }
    }

    /// Takes in what has come, as much as the buffer holds.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Line {
        match self.stream.read(buffer) {
            Ok(0) => Line::Over,
            Ok(count) => {
                self.inbox.push(&buffer[..count]);
                Line::Open
            }
            Err(error) if is_later(&error) => Line::Open,
            Err(_) => Line::Over,
        }
    }

    /// Has something go out; it is written by [`flush`](Self::flush).
    fn queue(&mut self, id: Option<u64>, message: &Value) {
        let sealed = message::seal(message).or_else(|error| {
            let problem = Problem::new("too-long", error.to_string());
            message::seal(&json!({ "id": id, "error": problem }))
        });
        self.output.extend(sealed.expect("a problem's own text is short"));
    }

    /// Says first who this is.
    pub(super) fn greet(&mut self, greeting: &Value) {
        self.queue(None, greeting);
    }

    /// Answers a request.
    pub(super) fn answer(&mut self, id: u64, answer: Result<Value, Problem>) {
        let message = match answer {
            Ok(value) => json!({ "id": id, "ok": value }),
            Err(problem) => json!({ "id": id, "error": problem }),
        };
        self.queue(Some(id), &message);
    }

    /// Answers what was no request; there may be no id to answer to.
    pub(super) fn complain(&mut self, id: Option<u64>, problem: &Problem) {
        self.queue(id, &json!({ "id": id, "error": problem }));
    }

    /// Tells something on the way to an answer; says whether there was room for it.
    pub(super) fn tell(&mut self, id: u64, event: &Value) -> bool {
        let has_room = self.output.len() < ROOM_FOR_EVENTS;
        if has_room {
            self.tell_anyway(id, event);
        }
        has_room
    }

    /// Tells something of which no more comes before it has gone out.
    pub(super) fn tell_anyway(&mut self, id: u64, event: &Value) {
        self.queue(Some(id), &json!({ "id": id, "event": event }));
    }

    /// Writes what there is room for.
    pub(super) fn flush(&mut self) -> Line {
        while !self.output.is_empty() {
            match self.stream.write(self.output.as_slices().0) {
                Ok(0) => return Line::Over,
                Ok(count) => drop(self.output.drain(..count)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_later(&error) => break,
                Err(_) => return Line::Over,
            }
        }
        if self.output.len() > ROOM_FOR_ANSWERS { Line::Over } else { Line::Open }
    }

    /// Whether everything has gone out.
    pub(super) fn is_flushed(&self) -> bool {
        self.output.is_empty()
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

//! The line between the coordinator and one manager: a pipe and, beside it, lanes in shared memory.
//!
//! Envelopes that are small and carry no descriptors go by the lane, which costs no system call while the other side is
//! awake; everything else, and what the lane has no room for, goes by the pipe. What is sent arrives in one order,
//! whichever way it takes: each record says how many packets went before it. Whoever sleeps waits for its pipe, and is
//! called there by a packet of one byte.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use parking_lot::Mutex;

use super::pipe::{Packet, Pipe, PipeError};
use crate::shm::{LaneError, LanePutter, LaneTaker, Lookout, MAX_RECORD_BYTES, Put, Taken};

/// The packet that calls whoever sleeps: something is in its lane.
const CALL: &[u8] = &[0];

/// One end of a line.
#[derive(Debug)]
pub struct Line {
    pipe: Pipe,
    out: Mutex<Out>,
    into: Mutex<Into>,
    lookout: OnceLock<Lookout>,
    /// How many packets were received by the pipe, without the one that is held back.
    received: AtomicU32,
    is_shut: AtomicBool,
    /// Whether the other side slept when something was last put into its lane.
    has_called: AtomicBool,
}

#[derive(Debug, Default)]
struct Out {
    lane: Option<LanePutter>,
    /// How many packets have gone by the pipe.
    sent: u32,
}

#[derive(Debug, Default)]
struct Into {
    lane: Option<LaneTaker>,
    /// What came by the pipe and waits for records that were put before it.
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    bytes: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

impl Line {
    /// A line that is no more than its pipe.
    pub fn new(pipe: Pipe) -> Self {
        let (out, into) = (Mutex::default(), Mutex::default());
        Self {
            pipe,
            out,
            into,
            lookout: OnceLock::new(),
            received: AtomicU32::new(0),
            is_shut: AtomicBool::new(false),
            has_called: AtomicBool::new(false),
        }
    }

    /// Adds the lanes beside the pipe; once. This side counts as asleep at first.
    pub fn widen(&self, (putter, taker): (LanePutter, LaneTaker)) {
        let lookout = taker.lookout();
        let mut out = self.out.lock();
        putter.note_beside(out.sent);
        out.lane = Some(putter);
        self.into.lock().lane = Some(taker);
        if self.lookout.set(lookout).is_err() {
            log::error!("a line was given lanes twice");
        }
    }

    /// Sends an envelope, or says at once that there is no room.
    ///
    /// # Errors
    /// [`PipeError::NotReady`] when the line is full, [`PipeError::Closed`] when nobody will read it.
    pub fn send(&self, bytes: &[u8]) -> Result<(), PipeError> {
        let mut out = self.out.lock();
        if bytes.len() <= MAX_RECORD_BYTES {
            let sent = out.sent;
            match out.lane.as_mut().map(|lane| lane.put(bytes, sent)) {
                Some(Put::Seen) => return Ok(self.has_called.store(false, Ordering::Relaxed)),
                Some(Put::Unseen) => {
                    self.has_called.store(true, Ordering::Relaxed);
                    return out.call(&self.pipe);
                }
                Some(Put::Full) | None => {}
            }
        }
        out.send(&self.pipe, bytes, &[])
    }

    /// Sends an envelope with descriptors, or says at once that there is no room.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_with(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<(), PipeError> {
        self.out.lock().send(&self.pipe, bytes, descriptors)
    }

    /// Takes the next envelope if one is there. One without bytes is none: this side was called.
    ///
    /// # Errors
    /// [`PipeError::NotReady`] when there is none, [`PipeError::Closed`] at the end, [`PipeError::Oversized`] when it
    /// does not fit, [`PipeError::Lane`] when the other side is not to be believed any more.
    pub fn receive(&self, buffer: &mut [u8]) -> Result<Packet, PipeError> {
        let mut into = self.into.lock();
        let taken = self.take(&mut into, buffer)?;
        if let Taken::Record(length) = taken {
            return Ok(record(length));
        }
        if let Some(held) = into.held.take() {
            buffer[..held.bytes.len()].copy_from_slice(&held.bytes);
            self.count();
            return Ok(Packet { length: held.bytes.len(), descriptors: held.descriptors });
        }
        match self.pipe.receive(buffer) {
            Ok(packet) if buffer[..packet.length] == *CALL => {
                self.count();
                Ok(record(0))
            }
            // Records that were put before the packet was sent are there by now, and may not have been before.
            Ok(packet) if self.has_records() => {
                let bytes = buffer[..packet.length].to_vec();
                into.held = Some(Held { bytes, descriptors: packet.descriptors });
                drop(into);
                self.receive(buffer)
            }
            Ok(packet) => {
                self.count();
                Ok(packet)
            }
            // Before a record is put, the packets before it are in the pipe.
            Err(PipeError::NotReady) if taken == Taken::Later => Err(PipeError::Lane(LaneError::NoPackets)),
            // What it put last is there by now.
            Err(PipeError::Closed) => match self.take(&mut into, buffer)? {
                Taken::Record(length) => Ok(record(length)),
                _ => Err(PipeError::Closed),
            },
            Err(error) => Err(error),
        }
    }

    /// A packet has been received, with everything that was put before it.
    fn count(&self) {
        self.received.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes the next envelope if one is known to be there, without asking the system. Without lanes nothing is known.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    pub fn receive_known(&self, buffer: &mut [u8]) -> Result<Packet, PipeError> {
        match self.lookout.get() {
            Some(_) if !self.has_news() => Err(PipeError::NotReady),
            _ => self.receive(buffer),
        }
    }

    /// Takes the next envelope out of the lane, if it is there and nothing in the pipe goes before it.
    ///
    /// # Errors
    /// [`PipeError::NotReady`], and [`PipeError::Lane`] when the other side is not to be believed any more.
    pub fn receive_record(&self, buffer: &mut [u8]) -> Result<Packet, PipeError> {
        match self.take(&mut self.into.lock(), buffer)? {
            Taken::Record(length) => Ok(record(length)),
            _ => Err(PipeError::NotReady),
        }
    }

    fn take(&self, into: &mut Into, buffer: &mut [u8]) -> Result<Taken, PipeError> {
        let Some(lane) = &mut into.lane else { return Ok(Taken::Nothing) };
        lane.take(buffer, self.received.load(Ordering::Relaxed)).map_err(PipeError::Lane)
    }

    /// Where to look for news without taking any; none for a line that is no more than its pipe.
    pub fn lookout(&self) -> Option<&Lookout> {
        self.lookout.get()
    }

    /// Ends the line for both sides, whoever still holds this one, and wakes who sleeps on its lane.
    pub fn shut(&self) {
        self.is_shut.store(true, Ordering::SeqCst);
        self.pipe.shut();
        self.lookout.get().into_iter().for_each(Lookout::rouse);
    }

    /// Whether the other side slept, and was called, when something was last put into its lane.
    pub fn has_called(&self) -> bool {
        self.has_called.load(Ordering::Relaxed)
    }

    /// Whether it was shut here.
    pub fn is_shut(&self) -> bool {
        self.is_shut.load(Ordering::SeqCst)
    }

    /// Whether something is known to have come, by the lane or beside it.
    pub fn has_news(&self) -> bool {
        let received = self.received.load(Ordering::Relaxed);
        self.lookout.get().is_some_and(|lane| lane.has_records() || lane.has_packets(received))
    }

    /// Whether something is in the lane.
    pub fn has_records(&self) -> bool {
        self.lookout.get().is_some_and(Lookout::has_records)
    }

    /// From now on this side is to be called through the pipe; says whether it may sleep there, because nothing is
    /// left that its pipe does not tell of.
    pub fn fall_asleep(&self) -> bool {
        let Some(lane) = self.lookout.get() else { return true };
        lane.fall_asleep();
        !lane.has_records() && self.into.lock().held.is_none()
    }

    /// From now on this side looks by itself, or will before it sleeps.
    pub fn wake_up(&self) {
        if let Some(lane) = self.lookout.get() {
            lane.begin_looking();
        }
    }
}

fn record(length: usize) -> Packet {
    Packet { length, descriptors: Vec::new() }
}

impl AsFd for Line {
    /// What becomes readable when this side is called, and at the end.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

impl Out {
    fn send(&mut self, pipe: &Pipe, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<(), PipeError> {
        pipe.send_with(bytes, descriptors)?;
        self.sent = self.sent.wrapping_add(1);
        if let Some(lane) = &self.lane {
            lane.note_beside(self.sent);
        }
        Ok(())
    }

    /// Calls whoever sleeps. A pipe without room is not empty, and so the other side is awake, or will be.
    fn call(&mut self, pipe: &Pipe) -> Result<(), PipeError> {
        match self.send(pipe, CALL, &[]) {
            Err(PipeError::NotReady) => Ok(()),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests;

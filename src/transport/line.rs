//! The line between the coordinator and one manager: a pipe and, beside it, lanes in shared memory.
//!
//! Envelopes that are small and carry no descriptors go by the lane, which costs no system call while the other side is
//! awake; everything else goes by the pipe, and so does what the lane has no room for, unless this side keeps it back. What is sent arrives in one order,
//! whichever way it takes: each record says how many packets went before it. Whoever sleeps waits for its pipe, and is
//! called there by a packet of one byte.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard};
use smallvec::SmallVec;

use super::pipe::{Packet, Pipe, PipeError};
use crate::shm::{LaneError, LanePutter, LaneTaker, Lookout, MAX_RECORD_BYTES, Put, Taken};
use crate::wire::Buffer;

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
    /// Whether what has no room in the lane is kept back, instead of going by the pipe.
    keeps_back: AtomicBool,
    /// How far its lane had been emptied when the other side was last told so.
    told_of_room_at: AtomicU64,
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
            keeps_back: AtomicBool::new(false),
            told_of_room_at: AtomicU64::new(u64::MAX),
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

    /// From now on this side keeps back what has no room in its lane ([`PipeError::NoRoom`]): whoever sends a great deal
    /// is as fast as the other side takes it, not as the system passes packets on.
    pub fn keep_back(&self) {
        self.keeps_back.store(true, Ordering::Relaxed);
    }

    /// Sends an envelope, or says at once that there is no room.
    ///
    /// # Errors
    /// [`PipeError::NotReady`] when the pipe is full, [`PipeError::NoRoom`] when the lane is and this side keeps back,
    /// [`PipeError::Closed`] when nobody will read it.
    pub fn send(&self, bytes: &[u8]) -> Result<(), PipeError> {
        let mut sending = self.begin_sending();
        sending.send(bytes)?;
        sending.finish()
    }

    /// Sends an envelope with the buffers that travel beside it; see `Sending::send_beside`.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_beside(&self, bytes: &[u8], buffers: &[Buffer]) -> Result<(), PipeError> {
        let mut sending = self.begin_sending();
        sending.send_beside(bytes, buffers)?;
        sending.finish()
    }

    /// Sends several envelopes one right after the other, of which the other side is told once.
    pub fn begin_sending(&self) -> Sending<'_> {
        Sending { line: self, out: self.out.lock(), has_written: false }
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
        self.begin_receiving().receive(buffer)
    }

    /// Takes several envelopes, one right after the other.
    pub fn begin_receiving(&self) -> Receiving<'_> {
        Receiving { line: self, into: self.into.lock() }
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
        self.begin_receiving().receive_known(buffer)
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

    /// Tells the other side, once, that its lane is empty, when it waits for that.
    fn tell_of_room(&self, lane: &Lookout) {
        let Some(at) = lane.awaited_at() else { return };
        if self.told_of_room_at.swap(at, Ordering::Relaxed) != at
            && let Err(error) = self.out.lock().call(&self.pipe)
        {
            log::debug!("the other side was not told that there is room: {error}");
        }
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
        self.tell_of_room(lane);
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

/// Several envelopes that are taken; see [`Line::begin_receiving`].
pub struct Receiving<'a> {
    line: &'a Line,
    into: MutexGuard<'a, Into>,
}

impl Receiving<'_> {
    /// As [`Line::receive`].
    ///
    /// # Errors
    /// As there.
    pub fn receive(&mut self, buffer: &mut [u8]) -> Result<Packet, PipeError> {
        loop {
            let taken = self.line.take(&mut self.into, buffer)?;
            if let Taken::Record(length) = taken {
                return Ok(record(length));
            }
            if let Some(held) = self.into.held.take() {
                buffer[..held.bytes.len()].copy_from_slice(&held.bytes);
                self.line.count();
                return Ok(Packet { length: held.bytes.len(), descriptors: held.descriptors });
            }
            match self.line.pipe.receive(buffer) {
                Ok(packet) if buffer[..packet.length] == *CALL => {
                    self.line.count();
                    return Ok(record(0));
                }
                // Records that were put before the packet was sent are there by now, and may not have been before.
                Ok(packet) if self.line.has_records() => {
                    let bytes = buffer[..packet.length].to_vec();
                    self.into.held = Some(Held { bytes, descriptors: packet.descriptors });
                }
                Ok(packet) => {
                    self.line.count();
                    return Ok(packet);
                }
                // Before a record is put, the packets before it are in the pipe.
                Err(PipeError::NotReady) if taken == Taken::Later => {
                    return Err(PipeError::Lane(LaneError::NoPackets));
                }
                // What it put last is there by now.
                Err(PipeError::Closed) => {
                    return match self.line.take(&mut self.into, buffer)? {
                        Taken::Record(length) => Ok(record(length)),
                        _ => Err(PipeError::Closed),
                    };
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// As [`Line::receive_known`].
    ///
    /// # Errors
    /// As there.
    pub fn receive_known(&mut self, buffer: &mut [u8]) -> Result<Packet, PipeError> {
        match self.line.lookout.get() {
            Some(lane) if !self.knows_more() && !self.line.has_news() => {
                self.line.tell_of_room(lane);
                Err(PipeError::NotReady)
            }
            _ => self.receive(buffer),
        }
    }

    /// Whether something is in the lane.
    pub fn has_records(&self) -> bool {
        self.knows_more() || self.line.has_records()
    }

    /// Whether more was in the lane at the last look: another would take the memory that the other side writes to out of the
    /// hands of its processor, for each envelope.
    pub fn knows_more(&self) -> bool {
        self.into.lane.as_ref().is_some_and(LaneTaker::knows_more)
    }
}

/// Several envelopes on their way; see [`Line::begin_sending`].
pub struct Sending<'a> {
    line: &'a Line,
    out: MutexGuard<'a, Out>,
    has_written: bool,
}

impl Sending<'_> {
    /// Sends one more.
    ///
    /// # Errors
    /// As [`Line::send`].
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), PipeError> {
        if bytes.len() <= MAX_RECORD_BYTES && self.out.lane.is_some() {
            if self.write(bytes) {
                return Ok(());
            }
            // The taker is to see what there is before it can make room.
            self.publish()?;
            if self.line.keeps_back.load(Ordering::Relaxed) {
                let has_room = self.out.lane.as_mut().is_some_and(|lane| lane.wait_for_room(bytes.len()));
                return if has_room && self.write(bytes) { Ok(()) } else { Err(PipeError::NoRoom) };
            }
        }
        self.publish()?;
        self.out.send(&self.line.pipe, bytes, &[])
    }

    /// Sends one more with the buffers that travel beside it: by the pipe, where descriptors can go, in order with what
    /// goes by the lane.
    ///
    /// # Errors
    /// As [`Line::send`].
    pub fn send_beside(&mut self, bytes: &[u8], buffers: &[Buffer]) -> Result<(), PipeError> {
        if buffers.is_empty() {
            return self.send(bytes);
        }
        self.publish()?;
        let descriptors: SmallVec<[BorrowedFd<'_>; 4]> = buffers.iter().map(Buffer::as_fd).collect();
        self.out.send(&self.line.pipe, bytes, &descriptors)
    }

    /// The other side is told.
    ///
    /// # Errors
    /// [`PipeError::Closed`] when nobody will read them.
    pub fn finish(mut self) -> Result<(), PipeError> {
        self.publish()
    }

    fn write(&mut self, bytes: &[u8]) -> bool {
        let sent = self.out.sent;
        let has_room = self.out.lane.as_mut().is_some_and(|lane| lane.write(bytes, sent));
        self.has_written |= has_room;
        has_room
    }

    fn publish(&mut self) -> Result<(), PipeError> {
        if !std::mem::take(&mut self.has_written) {
            return Ok(());
        }
        let is_unseen = self.out.lane.as_ref().is_some_and(|lane| lane.publish() == Put::Unseen);
        if is_unseen { self.out.call(&self.line.pipe) } else { Ok(()) }
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.publish() {
            log::debug!("the other side was not called: {error}");
        }
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

//! The pipe: a pair of sequenced-packet sockets without a name in the file system.
//!
//! A packet arrives whole with its descriptors, or not at all. Sequenced packets were chosen over a
//! stream because descriptors stay with their envelope and nothing can tear.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, Shutdown, SocketFlags, SocketType, recvmsg, sendmsg, shutdown,
    socketpair,
};

use crate::shm::LaneError;

/// The most descriptors one packet carries.
pub const MAX_DESCRIPTORS: usize = 16;

/// One end of a duplex pipe.
#[derive(Debug)]
pub struct Pipe {
    socket: OwnedFd,
}

/// A packet that arrived; its bytes are in the buffer that was given.
#[derive(Debug)]
pub struct Packet {
    /// How many bytes.
    pub length: usize,
    /// The descriptors that came with them.
    pub descriptors: Vec<OwnedFd>,
}

/// Why nothing was sent or received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PipeError {
    /// Nothing to read, or no room to write, right now.
    #[error("the pipe is not ready")]
    NotReady,
    /// What is small has no room beside the pipe; the other side says when there is.
    #[error("there is no room in the lane")]
    NoRoom,
    /// The other end is closed.
    #[error("the other end of the pipe is closed")]
    Closed,
    /// The packet was larger than the buffer; what arrived is not believed.
    #[error("the packet exceeds {limit} bytes")]
    Oversized {
        /// The buffer's size.
        limit: usize,
    },
    /// What lies beside the pipe is not to be believed any more.
    #[error("{0}")]
    Lane(LaneError),
    /// The system refused.
    #[error("the pipe failed: {0}")]
    System(Errno),
}

impl From<Errno> for PipeError {
    fn from(error: Errno) -> Self {
        match error {
            // Too many descriptors are under way: there is room for them when the other side has taken some.
            Errno::AGAIN | Errno::NOBUFS | Errno::TOOMANYREFS => Self::NotReady,
            Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN => Self::Closed,
            other => Self::System(other),
        }
    }
}

impl Pipe {
    /// A connected pair.
    ///
    /// # Errors
    /// [`PipeError::System`] when no descriptors are left.
    pub fn pair() -> Result<(Self, Self), PipeError> {
        let (left, right) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Self { socket: left }, Self { socket: right }))
    }

    /// Takes a socket that was inherited.
    pub fn from_socket(socket: OwnedFd) -> Self {
        Self { socket }
    }

    /// Gives the socket away.
    pub fn into_socket(self) -> OwnedFd {
        self.socket
    }

    /// Ends the pipe for both sides, though this one is still held; what is in it can still be read.
    pub fn shut(&self) {
        if let Err(errno) = shutdown(&self.socket, Shutdown::Both) {
            log::debug!("a pipe had ended before it was shut: {errno}");
        }
    }

    /// Sends a packet, or says at once that there is no room.
    ///
    /// # Errors
    /// [`PipeError::NotReady`] when the pipe is full, [`PipeError::Closed`] when nobody will read it.
    pub fn send(&self, bytes: &[u8]) -> Result<(), PipeError> {
        self.send_with(bytes, &[])
    }

    /// Sends a packet with descriptors, or says at once that there is no room.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_with(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<(), PipeError> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(PipeError::System(Errno::MSGSIZE));
        }
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        retry(|| sendmsg(&self.socket, &[IoSlice::new(bytes)], &mut control, flags))?;
        Ok(())
    }

    /// Takes the next packet if one is there.
    ///
    /// # Errors
    /// [`PipeError::NotReady`] when there is none, [`PipeError::Closed`] at the end,
    /// [`PipeError::Oversized`] when it does not fit.
    pub fn receive(&self, buffer: &mut [u8]) -> Result<Packet, PipeError> {
        self.take(buffer, RecvFlags::DONTWAIT)
    }

    /// Waits for the next packet.
    ///
    /// # Errors
    /// [`PipeError::Closed`] at the end, [`PipeError::Oversized`] when it does not fit.
    pub fn receive_waiting(&self, buffer: &mut [u8]) -> Result<Packet, PipeError> {
        self.take(buffer, RecvFlags::empty())
    }

    fn take(&self, buffer: &mut [u8], flags: RecvFlags) -> Result<Packet, PipeError> {
        let limit = buffer.len();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = flags | RecvFlags::CMSG_CLOEXEC;
        let mut receive = || recvmsg(&self.socket, &mut [IoSliceMut::new(buffer)], &mut control, flags);
        // A peer that closed with packets of ours unread resets the connection; its own last packets are
        // still there, behind that error, which is told once.
        let message = match retry(&mut receive) {
            Err(Errno::CONNRESET) => retry(&mut receive)?,
            other => other?,
        };
        let descriptors = received(&mut control);
        if message.flags.contains(ReturnFlags::TRUNC) {
            return Err(PipeError::Oversized { limit });
        }
        match message.bytes {
            0 => Err(PipeError::Closed),
            length => Ok(Packet { length, descriptors }),
        }
    }
}

impl AsFd for Pipe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn received(control: &mut RecvAncillaryBuffer<'_>) -> Vec<OwnedFd> {
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    descriptors
}

fn retry<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_packet_keeps_its_bounds_and_its_descriptors() {
        let (left, right) = Pipe::pair().expect("a pair");
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(b"x").expect("a byte written");
        left.send(b"one").expect("room");
        left.send_with(b"three", &[file.as_fd()]).expect("room");
        let mut buffer = [0; 16];
        let first = right.receive(&mut buffer).expect("the first packet");
        assert_eq!((&buffer[..first.length], first.descriptors.len()), (&b"one"[..], 0));
        let second = right.receive(&mut buffer).expect("the second packet");
        assert_eq!((&buffer[..second.length], second.descriptors.len()), (&b"three"[..], 1));
        assert_eq!(right.receive(&mut buffer).expect_err("nothing is left"), PipeError::NotReady);
    }

    #[test]
    fn the_last_words_of_a_peer_that_did_not_listen_are_heard() {
        let (left, right) = Pipe::pair().expect("a pair");
        left.send(b"unread").expect("room");
        right.send(b"last words").expect("room");
        drop(right);
        let mut buffer = [0; 16];
        let last = left.receive(&mut buffer).expect("the last words");
        assert_eq!(&buffer[..last.length], b"last words");
        assert_eq!(left.receive(&mut buffer).expect_err("the end"), PipeError::Closed);
    }

    #[test]
    fn a_full_pipe_answers_at_once() {
        let (left, _right) = Pipe::pair().expect("a pair");
        let sent = (0..1_000_000).take_while(|_| left.send(&[0; 64]).is_ok()).count();
        assert!((10..100_000).contains(&sent), "{sent} packets fitted");
        assert_eq!(left.send(&[0; 64]), Err(PipeError::NotReady));
    }

    #[test]
    fn an_oversized_packet_and_the_end_are_told_apart() {
        let (left, right) = Pipe::pair().expect("a pair");
        left.send(&[7; 64]).expect("room");
        drop(left);
        let mut small = [0; 16];
        assert_eq!(right.receive(&mut small).expect_err("too large"), PipeError::Oversized { limit: 16 });
        assert_eq!(right.receive(&mut small).expect_err("the end"), PipeError::Closed);
    }
}

//! The plainest real thing: a bare pair of sequenced-packet sockets, one message per system call, blocking.

use std::io::stdin;
use std::os::fd::{AsFd, OwnedFd};

use harness::team::{Answer, Far, Message, Near};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Longer than any message.
const MOST_BYTES: usize = 4096;

/// Either end of the pair.
pub(crate) struct Socket {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

impl Socket {
    fn new(socket: OwnedFd) -> Self {
        Self { socket, buffer: vec![0; MOST_BYTES] }
    }

    fn say(&self, value: &impl Serialize) {
        let bytes = postcard::to_extend(value, Vec::new()).expect("these values can be encoded");
        let sent = send(&self.socket, &bytes, SendFlags::NOSIGNAL).expect("the other side reads");
        assert_eq!(sent, bytes.len(), "a packet goes whole");
    }

    /// The next value; none at the end.
    fn hear<T: DeserializeOwned>(&mut self) -> Option<T> {
        let (length, _) =
            recv(&self.socket, &mut *self.buffer, RecvFlags::empty()).expect("a socket can be read");
        (length > 0)
            .then(|| postcard::from_bytes(&self.buffer[..length]).expect("what was sent can be decoded"))
    }
}

impl Near for Socket {
    const ROLE: &'static str = "hand-seqpacket";

    fn open() -> (Self, OwnedFd) {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .expect("a socket pair can be made");
        (Self::new(ours), theirs)
    }

    fn write(&mut self, message: &Message) {
        self.say(message);
    }

    fn read(&mut self) -> Answer {
        self.hear().expect("a child answers what it was asked")
    }
}

impl Far for Socket {
    fn inherited() -> Self {
        Self::new(stdin().as_fd().try_clone_to_owned().expect("a descriptor can be copied"))
    }

    fn read(&mut self) -> Option<Message> {
        self.hear()
    }

    fn write(&mut self, answer: &Answer) {
        self.say(answer);
    }
}

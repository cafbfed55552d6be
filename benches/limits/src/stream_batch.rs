//! A stream socket with a buffer in front of it: one-way commands go out 32 KiB at a time, or before an answer
//! is awaited.

use std::io::{BufReader, BufWriter, ErrorKind, Read, Write, stdin};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use harness::team::{Answer, Far, Message, Near};
use serde::Serialize;
use serde::de::DeserializeOwned;

const BUFFER_BYTES: usize = 32 << 10;

/// Either end of the pair. A message is its length in two bytes, and itself.
pub(crate) struct Stream {
    reader: BufReader<UnixStream>,
    writer: BufWriter<UnixStream>,
    message: Vec<u8>,
}

impl Stream {
    fn new(stream: UnixStream) -> Self {
        let copy = stream.try_clone().expect("a descriptor can be copied");
        Self {
            reader: BufReader::with_capacity(BUFFER_BYTES, copy),
            writer: BufWriter::with_capacity(BUFFER_BYTES, stream),
            message: Vec::with_capacity(BUFFER_BYTES),
        }
    }

    fn say(&mut self, value: &impl Serialize) {
        self.message.clear();
        self.message =
            postcard::to_extend(value, std::mem::take(&mut self.message)).expect("it can be encoded");
        let length = u16::try_from(self.message.len()).expect("messages are small");
        self.writer.write_all(&length.to_le_bytes()).expect("the other side reads");
        self.writer.write_all(&self.message).expect("the other side reads");
    }

    fn flush(&mut self) {
        self.writer.flush().expect("the other side reads");
    }

    /// The next value; none at the end.
    fn hear<T: DeserializeOwned>(&mut self) -> Option<T> {
        let mut length = [0; 2];
        match self.reader.read_exact(&mut length) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return None,
            end => end.expect("a socket can be read"),
        }
        self.message.resize(usize::from(u16::from_le_bytes(length)), 0);
        self.reader.read_exact(&mut self.message).expect("a message is whole");
        Some(postcard::from_bytes(&self.message).expect("what was sent can be decoded"))
    }
}

impl Near for Stream {
    const ROLE: &'static str = "hand-stream-batch";

    fn open() -> (Self, OwnedFd) {
        let (ours, theirs) = UnixStream::pair().expect("a socket pair can be made");
        (Self::new(ours), theirs.into())
    }

    fn write(&mut self, message: &Message) {
        self.say(message);
    }

    fn read(&mut self) -> Answer {
        self.flush();
        self.hear().expect("a child answers what it was asked")
    }
}

impl Far for Stream {
    fn inherited() -> Self {
        let stdin = stdin().as_fd().try_clone_to_owned().expect("a descriptor can be copied");
        Self::new(stdin.into())
    }

    fn read(&mut self) -> Option<Message> {
        self.hear()
    }

    fn write(&mut self, answer: &Answer) {
        self.say(answer);
        self.flush();
    }
}

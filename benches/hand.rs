//! The plainest real thing, for comparison: postcard over a bare pair of sequenced-packet sockets.
//!
//! A child process blocks in `recv`, decodes, answers. No routing, correlation, deadline, queue, log or crash
//! handling: a floor, not a product.

use std::env;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, ExitCode};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair};
use serde::{Deserialize, Serialize};

use crate::managers::{Datum, Exchange};
use crate::placement::{self, Placement};

/// Tells a child what it is, and on which processor to stay.
const CHILD_VARIABLE: &str = "LABRIG_BENCH_CHILD";

#[derive(Serialize, Deserialize)]
enum Message {
    Exchange(Exchange),
    Datum(Datum),
    HowMany,
}

/// A hand-written child and the socket to it. Dropping it ends and reaps the child.
pub(crate) struct Hand {
    socket: Option<OwnedFd>,
    child: Child,
    buffer: Vec<u8>,
}

impl Hand {
    /// Starts a child at the far side of a placement.
    pub(crate) fn start(placement: Placement) -> Self {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .expect("a socket pair can be made");
        let cpu = placement.far().map_or_else(String::new, |cpu| cpu.to_string());
        let mut command = Command::new("/proc/self/exe");
        let child = command.env(CHILD_VARIABLE, cpu).stdin(theirs).spawn().expect("this program runs again");
        Self { socket: Some(ours), child, buffer: vec![0; 4096] }
    }

    /// One command, answered.
    pub(crate) fn exchange(&mut self, id: u64) -> Exchange {
        self.ask(id);
        self.answer()
    }

    /// Sends a command; the answer is taken later.
    pub(crate) fn ask(&self, id: u64) {
        self.write(&Message::Exchange(Exchange::new(id)));
    }

    /// Takes an answer.
    pub(crate) fn answer<T: serde::de::DeserializeOwned>(&mut self) -> T {
        let socket = self.socket.as_ref().expect("the socket is open until the drop");
        read(socket, &mut self.buffer).expect("a child answers what it was asked")
    }

    /// Sends a one-way command; blocks while the socket is full.
    pub(crate) fn send(&self, id: u64) {
        self.write(&Message::Datum(Datum::new(id)));
    }

    /// How many one-way commands have come since this was last asked.
    pub(crate) fn how_many(&mut self) -> u64 {
        self.write(&Message::HowMany);
        self.answer()
    }

    fn write(&self, message: &Message) {
        let socket = self.socket.as_ref().expect("the socket is open until the drop");
        write(socket, message).expect("a child reads until its socket ends");
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        self.socket = None;
        let end = self.child.wait().expect("a child can be waited for");
        assert!(end.success() || std::thread::panicking(), "a hand-written child ended with {end}");
    }
}

/// Plays the child to its end if this process was started as one.
pub(crate) fn play_child() -> Option<ExitCode> {
    let cpu = env::var(CHILD_VARIABLE).ok()?;
    if let Ok(cpu) = cpu.parse() {
        placement::stay_on(cpu).expect("the processor was there a moment ago");
    }
    let socket = std::io::stdin();
    let mut buffer = vec![0; 4096];
    let mut received = 0_u64;
    while let Some(message) = read(&socket, &mut buffer) {
        let written = match message {
            Message::Exchange(command) => write(&socket, &command.answered()),
            Message::HowMany => write(&socket, &std::mem::take(&mut received)),
            Message::Datum(_) => {
                received += 1;
                Ok(())
            }
        };
        if written.is_err() {
            return Some(ExitCode::FAILURE);
        }
    }
    Some(ExitCode::SUCCESS)
}

fn write(socket: impl AsFd, value: &impl Serialize) -> rustix::io::Result<()> {
    let bytes = postcard::to_extend(value, Vec::new()).expect("these values can be encoded");
    send(socket, &bytes, SendFlags::NOSIGNAL).map(drop)
}

/// The next value; none at the end.
fn read<T: serde::de::DeserializeOwned>(socket: impl AsFd, buffer: &mut [u8]) -> Option<T> {
    let (length, _) = recv(socket, &mut *buffer, RecvFlags::empty()).ok()?;
    (length > 0).then(|| postcard::from_bytes(&buffer[..length]).expect("what was sent can be decoded"))
}

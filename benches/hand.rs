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

/// Tells a child to hold so many MB of memory, and to do nothing.
const HOLD_VARIABLE: &str = "LABRIG_BENCH_HOLD";

/// A hand-written child that does nothing but live, with as many threads as a manager has.
pub(crate) struct Idler {
    socket: OwnedFd,
    child: Child,
}

impl Idler {
    /// Starts one that has written to so many MB of memory of its own.
    pub(crate) fn start(memory_mb: u64) -> Self {
        let (socket, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .expect("a socket pair can be made");
        let mut command = Command::new("/proc/self/exe");
        let command = command.env(HOLD_VARIABLE, memory_mb.to_string()).stdin(theirs);
        let child = command.spawn().expect("this program runs again");
        recv(&socket, &mut [0; 1], RecvFlags::empty()).expect("it says that it is ready");
        Self { socket, child }
    }

    /// Kills it; returns when its end of the socket has been closed by the system.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it lives");
        let end = recv(&self.socket, &mut [0; 1], RecvFlags::empty()).expect("an end");
        assert_eq!(end.0, 0, "it says nothing more");
    }
}

impl Drop for Idler {
    fn drop(&mut self) {
        self.child.wait().expect("it was killed");
    }
}

fn play_idler(memory_mb: usize) -> ExitCode {
    // As a manager has one that follows the link, and one that does nothing.
    (0..2).for_each(|_| drop(std::thread::spawn(std::thread::park)));
    let memory = vec![1_u8; memory_mb << 20];
    let socket = std::io::stdin();
    send(&socket, &[1], SendFlags::NOSIGNAL).expect("somebody listens");
    let end = recv(&socket, &mut [0; 1], RecvFlags::empty());
    drop(memory);
    if end.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Plays the child to its end if this process was started as one.
pub(crate) fn play_child() -> Option<ExitCode> {
    if let Some(memory_mb) = env::var(HOLD_VARIABLE).ok().and_then(|memory_mb| memory_mb.parse().ok()) {
        return Some(play_idler(memory_mb));
    }
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

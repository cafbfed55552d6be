//! A process at the other end of a line: this very test program, started again with the one test that plays parts.

use super::*;
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::{pread, pwrite};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};

/// The variable that tells the other process its part.
const PART_VARIABLE: &str = "LABRIG_LINE_PART";

/// What the other process does until the line ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Sends messages, one after the other.
    Send,
    /// The same, and notes how many it has sent.
    SendAndNote,
    /// Receives messages, and notes how many.
    Receive,
}

const PARTS: [(&str, Part); 3] =
    [("send", Part::Send), ("send and note", Part::SendAndNote), ("receive", Part::Receive)];

/// A number that outlives who writes it.
#[derive(Debug)]
struct Notes(OwnedFd);

impl Notes {
    fn write(&self, number: u64) {
        assert_eq!(pwrite(&self.0, &number.to_le_bytes(), 0), Ok(8), "memory can be written to");
    }

    fn read(&self) -> u64 {
        let mut bytes = [0; 8];
        assert_eq!(pread(&self.0, &mut bytes, 0), Ok(8), "something was noted");
        u64::from_le_bytes(bytes)
    }
}

/// The other process, and this end of the line to it.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) line: Line,
    child: Child,
    pid: Pid,
    notes: Notes,
}

impl Peer {
    pub(super) fn start(part: Part) -> Self {
        let (ours, theirs) = Pipe::pair().expect("a pair");
        let lanes = LanePair::create().expect("memory");
        let notes = Notes(memfd_create("labrig-test", MemfdFlags::CLOEXEC).expect("memory"));
        notes.write(0);
        ours.send_with(b"all there is", &[lanes.fd(), notes.0.as_fd()]).expect("room");
        let line = Line::new(ours);
        line.widen(lanes.of_coordinator());
        let child = start_process(part, theirs);
        let pid = Pid::from_child(&child);
        Self { line, child, pid, notes }
    }

    /// How many messages it has sent or received by its own account.
    pub(super) fn noted(&self) -> u64 {
        self.notes.read()
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).expect("nobody has waited for it yet");
    }

    /// Kills it without any warning.
    pub(super) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Stops it wherever it is.
    pub(super) fn stop(&self) {
        self.signal(Signal::STOP);
        waitid(WaitId::Pid(self.pid), WaitIdOptions::STOPPED).expect("it is a child of this process");
    }

    pub(super) fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    /// Waits for its end.
    pub(super) fn end(&mut self) -> ExitStatus {
        self.child.wait().expect("it is a child of this process")
    }

    /// Waits for its end, which was that it was killed, and not that it found a mistake before.
    pub(super) fn check_killed(&mut self) {
        assert_eq!(self.end().signal(), Some(Signal::KILL.as_raw()));
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It has ended already, unless a test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start_process(part: Part, pipe: Pipe) -> Child {
    // The names of tests do not begin with the name of the crate.
    let module = module_path!().split_once("::").map_or("", |(_, module)| module);
    let name = PARTS.iter().find(|(_, other)| *other == part).map_or("", |(name, _)| name);
    Command::new(std::env::current_exe().expect("this program has a path"))
        .args([&format!("{module}::another_process_plays_its_part"), "--exact", "--test-threads=1"])
        .env(PART_VARIABLE, name)
        .stdin(Stdio::from(pipe.into_socket()))
        .stdout(Stdio::null())
        .spawn()
        .expect("this program can be started again")
}

#[test]
fn another_process_plays_its_part() {
    // In an ordinary run of the tests nobody asks for a part.
    let Ok(name) = std::env::var(PART_VARIABLE) else { return };
    let part = PARTS.iter().find(|(other, _)| *other == name).expect("a part").1;
    let pipe = std::io::stdin().as_fd().try_clone_to_owned().expect("the pipe is the standard input");
    let pipe = Pipe::from_socket(pipe);
    // Gone before it was told anything: the test is over.
    let Ok(packet) = pipe.receive_waiting(&mut [0; 64]) else { return };
    let [lanes, notes] = packet.descriptors.try_into().expect("lanes and notes");
    let line = Line::new(pipe);
    line.widen(LanePair::map(lanes).expect("lanes").of_manager());
    let notes = Notes(notes);
    match part {
        Part::Send => send_for_ever(&line, |_| {}),
        Part::SendAndNote => send_for_ever(&line, |count| notes.write(count)),
        Part::Receive => receive_to_the_end(&line, &notes),
    }
}

fn send_for_ever(line: &Line, note: impl Fn(u64)) {
    let mut number = 0;
    while send_in_the_end(line, &message(number)).is_ok() {
        number += 1;
        note(number);
    }
}

fn receive_to_the_end(line: &Line, notes: &Notes) {
    let note = |count| {
        notes.write(count);
        false
    };
    let (_, end) = receive_asleep(line, 0, sleep, note);
    assert_eq!(end, Some(PipeError::Closed));
}

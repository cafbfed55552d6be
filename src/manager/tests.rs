//! A manager whose coordinator is played by hand: worker and link thread are real, the pipe ends in the test.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::net::sockopt::set_socket_send_buffer_size;
use serde::{Deserialize, Serialize};

use super::cancels::Cancels;
use super::dispatch::Dispatch;
use super::inbox::Inbox;
use super::link::Link;
use super::link_thread::LinkThread;
use super::listening::wait_for;
use super::safety::Safety;
use super::setup::{Streams, context_of};
use super::signals::Signals;
use super::worker::Worker;
use crate::registry::{Context, Emergency, HandlerEnd, Incoming, Instance, SettingsDescription};
use crate::shm::{Doorbell, Frame, StatusPage, Urgent};
use crate::transport::Pipe;
use crate::wire::control::{self, Configure, CoordinatorWord, ManagerWord};
use crate::wire::{
    Command, CommandSpec, Envelope, Failure, Header, Kind, MAX_ENVELOPE_BYTES, NotDone, Parcel, SafeEntry,
    SafeReason, codec,
};

mod alive;
mod ends;
mod leases;
mod stops;
mod stuck;

/// Long enough for anything that happens at all; so long, too, that nobody ends the tests' process by force.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a handler does.
#[derive(crate::Schema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq)]
enum Act {
    /// Returns at once.
    Return,
    /// Sleeps until it is cancelled, and fails.
    Rest,
    /// Heeds nothing until the test says so.
    Hang,
    Panic,
    /// Asks for an hour.
    Extend,
    /// Asks for an hour, says how far it is, and waits for a call that nobody answers.
    Wait,
}

/// Harmless.
#[derive(crate::Command, crate::Schema, Serialize, Deserialize, Debug, Clone)]
struct Do {
    act: Act,
}

/// Leaves the safe state.
#[derive(crate::Command, crate::Schema, Serialize, Deserialize, Debug, Clone)]
#[command(hazardous)]
struct Move {
    act: Act,
}

/// What a handler saw of itself.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Seen {
    Began {
        act: Act,
        is_safe: bool,
    },
    /// How long it may take now, in ns.
    Allowed(Option<u64>),
    Ticked,
    Safe(SafeReason),
    Emergency(SafeReason),
}

/// How a manager is to be.
#[derive(Clone, Copy, Default)]
pub(super) struct Kindness {
    has_handle: bool,
    /// How often entering the safe state panics.
    safe_panics: u32,
    handle_panics: bool,
    /// What its timer does, if it has one.
    timer: Option<Act>,
    restarts_on_panic: bool,
    watchdog_ms: u64,
    /// Whether there is room for a few answers only that nobody has read.
    is_narrow: bool,
}

/// What a manager says.
#[derive(Debug, PartialEq)]
enum Heard {
    Word(ManagerWord),
    Done(u64),
    NotDone(u64, NotDone),
}

/// The coordinator's side of it, and the test's.
struct Played {
    pipe: Pipe,
    page: Arc<StatusPage>,
    urgent: Doorbell,
    terminate: UnixStream,
    seen: Receiver<Seen>,
    release: Sender<()>,
    ended: Receiver<()>,
}

/// The manager itself.
struct Puppet {
    like: Kindness,
    page: Arc<StatusPage>,
    seen: Sender<Seen>,
    released: Receiver<()>,
}

impl Puppet {
    fn act(&mut self, act: Act, context: &Context) -> Result<(), Failure> {
        self.say(Seen::Began { act, is_safe: self.page.is_safe() });
        match act {
            Act::Return => {}
            Act::Rest => context.sleep(PATIENCE).map_err(|error| Failure::text(error.to_string()))?,
            Act::Hang => self.released.recv_timeout(PATIENCE).expect("the test lets it go on"),
            Act::Panic => panic!("the driver has a mistake"),
            Act::Extend => context.extend(PATIENCE),
            Act::Wait => {
                context.extend(PATIENCE);
                context.progress(1.0, 2.0, "half");
                let called = context.call(Do { act: Act::Return });
                called.map_err(|error| Failure::text(error.to_string()))?;
            }
        }
        self.say(Seen::Allowed(self.page.activity().allowance_ns));
        Ok(())
    }

    fn say(&self, seen: Seen) {
        // A test that has seen enough does not listen any more.
        let _ = self.seen.send(seen);
    }
}

impl Instance for Puppet {
    fn commands(&self) -> Vec<&'static CommandSpec> {
        vec![Do::spec(), Move::spec()]
    }

    fn handle(&mut self, index: usize, incoming: Incoming<'_>, context: &mut Context) -> HandlerEnd {
        let act = match index {
            0 => incoming.command::<Do>()?.act,
            _ => incoming.command::<Move>()?.act,
        };
        Ok(self.act(act, context).map(|()| Parcel::default())?)
    }

    fn timers(&self) -> Vec<(&'static str, Duration)> {
        self.like.timer.iter().map(|_| ("tick", Duration::from_millis(1))).collect()
    }

    fn tick(&mut self, _: usize, context: &mut Context) -> Result<(), Failure> {
        self.say(Seen::Ticked);
        self.act(self.like.timer.expect("it has a timer"), context)
    }

    fn inputs(&self) -> Vec<(&'static str, &'static str)> {
        Vec::new()
    }

    fn look(&mut self, _: usize, _: &Frame<'_>, _: &mut Context) -> Result<(), Failure> {
        Ok(())
    }

    fn self_checks(&self) -> Vec<&'static str> {
        Vec::new()
    }

    fn self_check(&mut self, _: usize, _: &mut Context) -> Result<(), Failure> {
        Ok(())
    }

    fn settings(&self) -> Option<SettingsDescription> {
        None
    }

    fn apply_settings(&mut self, _: &[u8], _: &mut Context) -> Result<(), Failure> {
        Ok(())
    }

    fn enter_safe_state(&mut self, reason: SafeReason) {
        if let Some(left) = self.like.safe_panics.checked_sub(1) {
            self.like.safe_panics = left;
            panic!("the shutter does not answer");
        }
        self.say(Seen::Safe(reason));
    }
}

/// Plays the coordinator of a manager that has been set up.
fn play(like: Kindness) -> Played {
    let (pipe, theirs) = Pipe::pair().expect("a pair");
    if like.is_narrow {
        narrow(&theirs);
    }
    let page = Arc::new(StatusPage::create(1).expect("memory can be had"));
    let mapped = StatusPage::map(page.fd().try_clone_to_owned().expect("a descriptor")).expect("a page");
    let urgent = Doorbell::create().expect("a bell");
    let their_urgent = urgent.try_clone().expect("a bell");
    let (terminate, terminated) = UnixStream::pair().expect("a pair");
    let (orphaning, orphaned) = UnixStream::pair().expect("a pair");
    let _others = [&terminate, &orphaning].map(|end| end.try_clone().expect("a descriptor can be doubled"));
    let ((saying, seen), (release, released), (ending, ended)) = (channel(), channel(), channel());
    let (ready, is_ready) = channel();
    let puppet = Puppet { like, page: Arc::clone(&page), seen: saying, released };
    thread::spawn(move || {
        let signals = Signals { terminate: terminated, orphaned, _others };
        let worker = worker(theirs, Arc::new(mapped), their_urgent, signals, puppet);
        ready.send(()).expect("the test waits for it");
        worker.run();
        // Nobody may wait for the end.
        let _ = ending.send(());
    });
    is_ready.recv_timeout(PATIENCE).expect("it is set up");
    Played { pipe, page, urgent, terminate, seen, release, ended }
}

/// Leaves as little room on that side as the system lets one leave.
fn narrow(pipe: &Pipe) {
    set_socket_send_buffer_size(pipe, 1).expect("a socket has room that can be set");
}

fn worker(pipe: Pipe, page: Arc<StatusPage>, urgent: Doorbell, signals: Signals, puppet: Puppet) -> Worker {
    let bell = || Doorbell::create().expect("a bell");
    let link = Arc::new(Link::new(pipe, [bell(), bell()]));
    let configure = configure(puppet.like);
    link.introduce(configure.clone());
    link.desk().vitals().attach(Arc::clone(&page), configure.watchdog_ms);
    let cancels = Arc::new(Cancels::new(Arc::clone(&page), Arc::clone(link.desk())));
    let emergency = Arc::new(Emergency::default());
    let safety = Arc::new(Safety::new(&link, &page, Arc::clone(&cancels), &emergency, PATIENCE));
    let thread = LinkThread {
        link: Arc::clone(&link),
        urgent,
        page: Arc::clone(&page),
        safety: Arc::clone(&safety),
        grace: 60 * PATIENCE,
        signals,
    };
    thread.start().expect("a thread can be had");
    let streams = Streams::default();
    let context = context_of(&configure, &link, &streams, emergency);
    if puppet.like.has_handle {
        let (seen, panics) = (puppet.seen.clone(), puppet.like.handle_panics);
        context.on_emergency(move |reason| {
            assert!(!panics, "the relay does not answer");
            // A test that has seen enough does not listen any more.
            let _ = seen.send(Seen::Emergency(reason));
        });
    }
    page.set_safe(true);
    let dispatch = Dispatch::new(Arc::clone(&link), page, cancels, Arc::clone(&safety), 0, &puppet, None);
    Worker::new(link, Box::new(puppet), context, dispatch, streams, safety, Inbox::new())
}

pub(super) fn configure(like: Kindness) -> Configure {
    Configure {
        version: env!("CARGO_PKG_VERSION").into(),
        agreed: Vec::new(),
        rig: "bench".to_owned(),
        manager: "puppet".to_owned(),
        kind: "puppet".to_owned(),
        generation: 1,
        index: 0,
        roster: vec!["puppet".to_owned()],
        commands: Vec::new(),
        config_json: String::new(),
        run_dir: String::new(),
        state_dir: String::new(),
        default_deadline_ms: 60_000,
        safe_deadline_ms: 60_000,
        log_level: 1,
        sends_traces: true,
        watchdog_ms: like.watchdog_ms,
        lease_ms: 250,
        restarts_on_panic: like.restarts_on_panic,
        max_remote_values: 65_536,
    }
}

impl Played {
    fn ask<C: Command + Serialize>(&self, call: u64, command: &C) {
        self.put::<C>(Kind::Request, call, command);
    }

    fn send<C: Command + Serialize>(&self, command: &C) {
        self.put::<C>(Kind::Send, 0, command);
    }

    fn put<C: Command + Serialize>(&self, kind: Kind, call: u64, command: &C) {
        let payload = codec::to_postcard(command).expect("plain values");
        let header = Header { command: C::spec().id, correlation: call, ..Header::new(kind) };
        self.pipe.send(&header.seal(&payload)).expect("the pipe has room");
    }

    fn say(&self, word: &CoordinatorWord) {
        self.pipe.send(&control::seal(word)).expect("the pipe has room");
    }

    /// Orders the safe state, after so many commands were put into the pipe.
    fn order(&self, reason: SafeReason, barrier: u64) {
        self.page.set_argument(0, barrier);
        self.page.set_argument(1, reason.code());
        self.page.raise(Urgent::SAFE);
        self.urgent.ring();
    }

    fn quit(&self) {
        self.page.raise(Urgent::QUIT);
        self.urgent.ring();
        self.say(&CoordinatorWord::Quit);
    }

    /// Lets a handler that hangs return.
    fn release(&self) {
        self.release.send(()).expect("somebody hangs");
    }

    /// The next thing that it says.
    fn hear(&self) -> Heard {
        let mut buffer = vec![0; MAX_ENVELOPE_BYTES + 1];
        wait_for(
            &mut [PollFd::from_borrowed_fd(self.pipe.as_fd(), PollFlags::IN)],
            Some(Instant::now() + PATIENCE),
        );
        let packet = self.pipe.receive(&mut buffer).expect("it says something in time");
        let envelope = Envelope::open(&buffer[..packet.length]).expect("it says what can be read");
        let call = envelope.header.correlation;
        match envelope.header.kind {
            Kind::Control => Heard::Word(control::open(envelope.payload).expect("a word")),
            Kind::Done => Heard::Done(call),
            Kind::Ended => {
                let why = codec::from_postcard(envelope.payload, crate::wire::TypeSchema::known::<NotDone>());
                Heard::NotDone(call, why.expect("a reason"))
            }
            kind => panic!("an envelope of kind {kind:?} came"),
        }
    }

    /// What it has to say is that it is safe.
    fn hear_safe(&self) -> SafeEntry {
        match self.hear() {
            Heard::Word(ManagerWord::Safe(entry)) => {
                assert!(self.page.is_safe() || entry.taken < self.page.activity().taken);
                entry
            }
            other => panic!("it said {other:?} and not that it is safe"),
        }
    }

    fn see(&self) -> Seen {
        self.seen.recv_timeout(PATIENCE).expect("something happens in time")
    }

    /// What has happened and was not looked at.
    fn see_rest(&self) -> Vec<Seen> {
        self.seen.try_iter().collect()
    }

    fn has_ended(&self) {
        self.ended.recv_timeout(PATIENCE).expect("it ends in time");
    }
}

/// A handler begins, in the safe state or out of it.
fn began(act: Act, is_safe: bool) -> Seen {
    Seen::Began { act, is_safe }
}

/// It has returned, and was allowed to take as long as it liked.
const RETURNED: Seen = Seen::Allowed(None);

//! The router alone, for callgrind to count: what it does with a command and its answer as managers grow.
//!
//! The whole coordinator cannot be counted: callgrind does not know all system calls that it makes, and a thread that
//! looks for a while before it sleeps does so as often as time allows.

use std::collections::HashMap;
use std::time::Instant;

use labrig::coordinator::router::{Caller, Gauge, Life, Moment, Route, Router, Station};
use labrig::remote::scope::Ping;
use labrig::wire::{Command, CommandId, DeliveryKind, Envelope, Header, Kind, ManagerName, Overflow, Target};

use crate::alone::Alone;

const COMMAND: CommandId = CommandId(1);
const DEPTH: u32 = 1024;

/// Every manager has taken and done everything that it was sent.
struct Done(Vec<u64>);

impl Gauge for Done {
    fn taken(&self, index: usize) -> u64 {
        self.0[index]
    }

    fn done(&self, index: usize) -> u64 {
        self.0[index]
    }
}

/// A router with managers, the last of which is asked and answers.
pub(crate) struct Circuit {
    router: Router,
    done: Done,
    asked: Header,
    now: Moment,
    last: usize,
    passed: u64,
}

impl Circuit {
    pub(crate) fn new(managers: usize) -> Self {
        let last = managers - 1;
        let target = Target::Named(name(last));
        Self {
            router: router(managers),
            done: Done(vec![0; managers]),
            asked: Header { command: COMMAND, target, ..Header::new(Kind::Request) },
            now: Moment::at(Instant::now()),
            last,
            passed: 0,
        }
    }

    /// Passes a command to the last manager and its answer back.
    pub(crate) fn pass(&mut self) {
        let Self { router, done, asked, now, last, passed } = self;
        *passed += 1;
        let caller = Caller::Local(*passed);
        router.submit(caller, asked, &[7; 32], now, done).expect("the router accepts a command");
        let queued = router.next_for(*last, now).expect("it is queued for the last manager");
        let sent = Envelope::open(queued).expect("the router queues envelopes").header;
        router.sent(*last, done);
        done.0[*last] += 1;
        let Header { codec, generation, correlation, .. } = sent;
        let answer = Header { codec, generation, correlation, ..Header::new(Kind::Done) };
        router.answered(*last, &answer, &[7; 32]).expect("an answer can be read");
        router.take_effects();
    }
}

/// Passes so many commands.
pub(crate) fn run(alone: &Alone) {
    let mut circuit = Circuit::new(alone.children);
    (0..alone.n).for_each(|_| circuit.pass());
    assert_eq!(circuit.router.in_flight().0, 0, "every command is answered");
}

fn name(index: usize) -> String {
    format!("manager_{index}")
}

/// So many managers that all serve the same command, and are ready.
fn router(managers: usize) -> Router {
    let named = |name: &str| Station::new(ManagerName::new(name).expect("a valid name"), DEPTH);
    let stations: Vec<_> = (0..managers).map(|index| named(&name(index))).collect();
    let route = Route {
        name: "Exchange".to_owned(),
        delivery: DeliveryKind::Direct,
        overflow: Overflow::Refuse,
        idempotent: false,
        hazardous: false,
        stations: (0..managers).collect(),
    };
    let mut router = Router::new(stations, named("scope"), HashMap::from([(COMMAND, route)]), Ping::spec());
    (0..=managers).for_each(|index| router.set_life(index, Life::Ready));
    router
}

//! Values among processes that pass handles on, drop them, and die, in thousands of made-up histories: none is dropped while
//! anybody can reach it, and each is when nobody can.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, Weak};

use super::{HolderNews, Holders};
use crate::coordinator::core::Core;
use crate::remote::estate::Home;
use crate::remote::{Estate, Port, RemoteRef};
use crate::wire::attached::{self, Attached};
use crate::wire::{Generation, HandleId, TypeSchema, codec};

/// Values that were dropped, each by its number.
type Dropped = Arc<Mutex<Vec<u32>>>;

struct Probe {
    number: u32,
    dropped: Dropped,
}

#[labrig::remote]
impl Probe {
    fn number(&self) -> u32 {
        self.number
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.dropped.lock().expect("no test panics here").push(self.number);
    }
}

/// Something on its way between a process and the coordinator.
enum Sent {
    Envelope { to: u16, bytes: Vec<u8>, attached: Attached },
    Released(Vec<(HandleId, u64)>),
    Unheld { key: u64, seen: u64 },
}

struct Process {
    estate: Arc<Estate>,
    generation: u32,
    /// Handles that its code has, each with the number of its value.
    live: Vec<RemoteRef<Probe>>,
    outbox: VecDeque<Sent>,
    /// At the coordinator, on its way to it.
    queue: VecDeque<Sent>,
    inbox: VecDeque<Sent>,
}

struct World {
    holders: Holders,
    processes: Vec<Process>,
    dropped: Dropped,
    /// The number of each value, by its id.
    numbers: BTreeMap<HandleId, u32>,
    seen_dropped: usize,
    seed: u64,
}

fn estate(place: u16, generation: u32) -> Arc<Estate> {
    let (estate, nobody): (Arc<Estate>, Weak<Core>) = (Arc::default(), Weak::new());
    let (generation, port, wake) = (Generation(generation), nobody as Weak<dyn Port>, Box::new(|| {}));
    estate.settle_at(Home { place, generation, limit: 1000, port, wake });
    estate
}

fn born(place: u16, generation: u32) -> Process {
    let (outbox, queue, inbox) = (VecDeque::new(), VecDeque::new(), VecDeque::new());
    Process { estate: estate(place, generation), generation, live: Vec::new(), outbox, queue, inbox }
}

/// What of an envelope crosses a pipe.
fn crossing(attached: &Attached) -> Attached {
    Attached { handles: attached.handles.iter().map(|it| it.id.into()).collect(), ..Attached::default() }
}

impl World {
    fn new(seed: u64) -> Self {
        let processes = (0..4).map(|place| born(place, 1)).collect();
        let (holders, dropped) = (Holders::default(), Dropped::default());
        Self { holders, processes, dropped, numbers: BTreeMap::new(), seen_dropped: 0, seed }
    }

    fn below(&mut self, most: usize) -> usize {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 33) as usize % most
    }

    fn step(&mut self) {
        let at = self.below(self.processes.len());
        match self.below(100) {
            0..10 => self.make(at),
            10..30 => self.send(at),
            30..45 => self.drop_one(at),
            45..60 => self.settle(at),
            60..75 => self.route(at),
            75..87 => self.deliver(at),
            87..99 => self.take(at),
            _ => self.kill(at),
        }
        self.tell_owners();
        self.check();
    }

    fn make(&mut self, at: usize) {
        let number = self.numbers.len() as u32;
        let probe = Probe { number, dropped: Arc::clone(&self.dropped) };
        let made = RemoteRef::keep(&self.processes[at].estate, probe).expect("there is room");
        self.numbers.insert(made.id().value(), number);
        self.processes[at].live.push(made);
    }

    fn send(&mut self, at: usize) {
        let count = self.processes[at].live.len();
        if count == 0 {
            return;
        }
        let (first, second, to) = (self.below(count), self.below(count), self.below(4) as u16);
        let process = &mut self.processes[at];
        let sent = vec![process.live[first].clone(), process.live[second].read_only()];
        let (bytes, attached) = attached::gathering(|| codec::to_postcard(&sent).expect("it is written"));
        let attached = *attached.expect("two handles");
        process.estate.leaving(Some(&attached));
        process.outbox.push_back(Sent::Envelope { to, bytes, attached: crossing(&attached) });
    }

    fn drop_one(&mut self, at: usize) {
        let count = self.processes[at].live.len();
        if count > 0 {
            let which = self.below(count);
            drop(self.processes[at].live.swap_remove(which));
        }
    }

    fn settle(&mut self, at: usize) {
        let process = &mut self.processes[at];
        let released = process.estate.take_releases();
        if !released.is_empty() {
            process.outbox.push_back(Sent::Released(released));
        }
        drop(process.estate.take_discarded());
    }

    /// The coordinator takes something out of a process's pipe.
    fn route(&mut self, from: usize) {
        match self.processes[from].outbox.pop_front() {
            Some(Sent::Envelope { to, bytes, mut attached }) => {
                self.holders.enter(from as u16, &mut attached.handles);
                // One of them is refused, or taken back, or expires.
                if self.below(5) > 0 {
                    let sent = Sent::Envelope { to, bytes, attached };
                    self.processes[usize::from(to)].queue.push_back(sent);
                }
            }
            Some(Sent::Released(values)) => self.holders.release(from as u16, &values),
            Some(Sent::Unheld { .. }) => unreachable!("only the coordinator says so"),
            None => {}
        }
    }

    /// The coordinator puts something into a process's pipe.
    fn deliver(&mut self, to: usize) {
        let Some(sent) = self.processes[to].queue.pop_front() else { return };
        let sent = match sent {
            Sent::Envelope { to, bytes, attached } => {
                self.holders.deliver(to, &attached.handles);
                Sent::Envelope { to, bytes, attached: crossing(&attached) }
            }
            other => other,
        };
        self.processes[to].inbox.push_back(sent);
    }

    fn take(&mut self, at: usize) {
        let unread = self.below(4) == 0;
        let process = &mut self.processes[at];
        match process.inbox.pop_front() {
            Some(Sent::Envelope { bytes, mut attached, .. }) => {
                process.estate.arrived(Some(&mut attached));
                if unread {
                    return;
                }
                let schema = TypeSchema::known::<Vec<RemoteRef<Probe>>>();
                let read = || codec::from_postcard::<Vec<RemoteRef<Probe>>>(&bytes, schema);
                process.live.extend(attached::offering(Some(&attached), read).expect("it is read"));
            }
            Some(Sent::Unheld { key, seen }) => process.estate.unheld(key, seen),
            Some(Sent::Released(_)) => unreachable!("only processes say so"),
            None => {}
        }
    }

    fn kill(&mut self, at: usize) {
        let generation = self.processes[at].generation + 1;
        let before = std::mem::replace(&mut self.processes[at], born(at as u16, generation));
        self.holders.gone(at as u16);
        drop(before);
        // What was dropped with the process was not dropped by mistake.
        self.seen_dropped = self.dropped.lock().expect("no test panics here").len();
    }

    fn tell_owners(&mut self) {
        for news in self.holders.take_news() {
            let HolderNews::Unheld { value, seen } = news else { continue };
            let owner = &mut self.processes[usize::from(value.owner)];
            if owner.generation == value.generation.0 {
                owner.queue.push_back(Sent::Unheld { key: value.number(), seen });
            }
        }
    }

    /// Nobody can reach what has been dropped.
    fn check(&mut self) {
        let dropped = self.dropped.lock().expect("no test panics here")[self.seen_dropped..].to_vec();
        self.seen_dropped += dropped.len();
        for number in dropped {
            let is_it = |id: HandleId| self.numbers.get(&id.value()) == Some(&number);
            let on_the_way = |sent: &Sent| match sent {
                Sent::Envelope { attached, .. } => attached.handles.iter().any(|handle| is_it(handle.id)),
                _ => false,
            };
            for process in &self.processes {
                assert!(!process.live.iter().any(|live| is_it(live.id())), "value {number} is held");
                let pipes = process.outbox.iter().chain(&process.queue).chain(&process.inbox);
                assert!(!pipes.into_iter().any(on_the_way), "value {number} is on its way");
            }
        }
    }

    /// Everybody lets go of everything, and all that is on its way arrives.
    fn settle_all(&mut self) {
        for _ in 0..3 {
            for at in 0..self.processes.len() {
                self.processes[at].live.clear();
                self.settle(at);
            }
            for at in (0..self.processes.len()).cycle().take(20_000) {
                self.route(at);
                self.deliver(at);
                self.take(at);
                self.processes[at].live.clear();
                self.settle(at);
                self.tell_owners();
            }
        }
    }
}

fn check_history(seed: u64, steps: usize) {
    let mut world = World::new(seed);
    (0..steps).for_each(|_| world.step());
    world.settle_all();
    assert!(world.holders.is_empty(), "seed {seed}: {:?}", world.holders);
    let dropped = world.dropped.lock().expect("no test panics here").len();
    let left: usize = world.processes.iter().map(|process| process.estate.count()).sum();
    assert_eq!((dropped, left), (world.numbers.len(), 0), "seed {seed}");
    for place in 0..4 {
        assert_eq!(world.holders.counts(place), super::ValueCounts::default(), "seed {seed}");
    }
}

#[test]
fn no_value_is_dropped_while_anybody_can_reach_it_and_each_when_nobody_can() {
    for seed in 0..200 {
        check_history(seed, 400);
    }
}

#[test]
fn a_process_that_gives_back_what_it_never_had_takes_it_from_nobody() {
    let holders = Holders::default();
    let value = HandleId { owner: 0, generation: Generation(1), key: 1 };
    let mut handles = vec![value.into()];
    holders.enter(0, &mut handles);
    holders.deliver(1, &handles);
    drop(handles);
    holders.release(2, &[(value, 1)]);
    holders.release(0, &[(value, u64::MAX)]);
    assert!(holders.holds(1, value) && !holders.holds(2, value));
    assert_eq!(holders.take_news(), []);
    // Nor can it pass on what it does not have.
    let mut forged = vec![value.into()];
    holders.enter(2, &mut forged);
    holders.release(1, &[(value, 1)]);
    assert_eq!(holders.take_news(), [HolderNews::Unheld { value, seen: 1 }]);
    holders.deliver(2, &forged);
    assert!(!holders.holds(2, value));
}

#[test]
fn a_value_that_wants_to_know_hears_of_each_process_once() {
    let holders = Holders::default();
    let value = HandleId { owner: 0, generation: Generation(1), key: 1 }.watched();
    let mut handles = vec![value.into(), value.read_only().into()];
    holders.enter(0, &mut handles);
    holders.deliver(1, &handles);
    drop(handles);
    holders.release(1, &[(value, 1)]);
    let told = |is_connected| HolderNews::Holder { value, holder: 1, is_connected };
    assert_eq!(holders.take_news(), [told(true)]);
    holders.release(1, &[(value, 1)]);
    assert_eq!(holders.take_news(), [told(false), HolderNews::Unheld { value, seen: 2 }]);
    assert!(holders.is_empty());
}

//! The coordinator's part of a test: it owns a ring, starts the actors, and hands out the descriptors.

use super::super::{CursorCounts, CursorMemory, Doorbell, ReadMode, RingMemory};
use super::actor::{Actor, Place};
use super::roles::{Role, Script, Seen};
use super::{WATCHDOG, bell};
use std::os::fd::AsFd;
use std::time::Instant;

/// The coordinator's part: it owns the ring and hands it out.
pub(super) struct Stage {
    pub(super) place: Place,
    pub(super) ring: RingMemory,
    pub(super) space: Doorbell,
    pub(super) producer: Actor,
}

/// A reader on stage, with what the coordinator keeps of it.
pub(super) struct Guest {
    pub(super) actor: Actor,
    pub(super) cursor: CursorMemory,
    pub(super) data: Doorbell,
}

impl Stage {
    /// A sealed ring whose producer has mapped it and waits for `go`.
    pub(super) fn open(place: Place, slots: u32, script: Script) -> Self {
        let ring = RingMemory::create(slots, u64::from(script.bytes)).expect("memory can be had");
        let (space, producer) = (bell(), Actor::start(place, Role::Producer(script)));
        producer.say("ring", &[ring.fd(), space.as_fd()]);
        producer.expect("mapped");
        ring.seal().expect("nobody has sealed it before");
        Self { place, ring, space, producer }
    }

    /// A reader that has joined.
    pub(super) fn invite(&self, mode: ReadMode, role: Role) -> Guest {
        let cursor = CursorMemory::create(&self.ring, mode).expect("memory can be had");
        let (data, actor) = (bell(), Actor::start(self.place, role));
        self.producer.say("reader", &[cursor.fd(), data.as_fd()]);
        self.producer.expect("added");
        actor.say("reader", &[self.ring.fd(), cursor.fd(), data.as_fd(), self.space.as_fd()]);
        actor.expect("mapped");
        Guest { actor, cursor, data }
    }

    pub(super) fn go(&self) {
        self.producer.say("go", &[]);
    }

    /// Waits until the ring has counted what the caller asks for.
    pub(super) fn watch(&self, what: &str, is_true: impl Fn(&RingMemory) -> bool) {
        let began = Instant::now();
        while !is_true(&self.ring) {
            assert!(began.elapsed() < WATCHDOG, "watchdog: {what}: {:?}", self.ring.counts());
            std::thread::yield_now();
        }
    }
}

impl Guest {
    pub(super) fn report(&self) -> (Seen, CursorCounts) {
        (Seen::from_text(&self.actor.hear()), self.cursor.counts())
    }
}

//! A thread that waits for an answer takes it out of the lane itself: no other thread has to be woken first.
//!
//! It looks for a moment, offering its processor to whoever is to answer, and then sleeps where the manager wakes it.
//! One thread at a time does so for a manager; the others are told by it, or by the main loop.

use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Instant;

use super::core::{Core, Request};
use super::router::Caller;
use super::routing::{Came, Way};
use crate::remote::{Need, Slot};
use crate::shm::{Lookout, MAX_RECORD_BYTES, look_for_a_moment};
use crate::transport::Line;

/// How many envelopes are routed under one lock.
const TURN: usize = 16;

/// A manager's lane, as the thread that takes from it has it.
struct Driver<'a> {
    core: &'a Core,
    index: usize,
    line: Arc<Line>,
}

/// Wakes the thread that sleeps on a lane when its answer comes another way.
struct Alarm(Arc<Line>);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.0.lookout().into_iter().for_each(Lookout::rouse);
    }
}

impl Core {
    /// Waits for the answer of a call of this process, and takes it out of its manager's lane where it can.
    pub(super) fn wait_for_answer(&self, call: u64, slot: &Slot, until: Instant) {
        if let Some(driver) = self.driver_for(call)
            && driver.wait(slot, until)
        {
            return;
        }
        slot.wait_until(Need::Answer, until, &|| false);
    }

    /// The lane of the manager that is to answer, unless there is none or another thread has it.
    fn driver_for(&self, call: u64) -> Option<Driver<'_>> {
        let mut state = self.lock();
        let index = state.router.station_of(Caller::Local(call))?;
        let peer = state.peers.get_mut(index).filter(|peer| !peer.has_driver)?;
        let line = peer.line.clone().filter(|line| line.lookout().is_some())?;
        peer.has_driver = true;
        line.wake_up();
        Some(Driver { core: self, index, line })
    }
}

impl Driver<'_> {
    /// Says whether the wait is over; if not, somebody else is to take the answer.
    fn wait(&self, slot: &Slot, until: Instant) -> bool {
        let Some(lookout) = self.line.lookout() else { return false };
        let is_there = || slot.has(Need::Answer);
        let mut buffer = [0; MAX_RECORD_BYTES];
        loop {
            if is_there() {
                return true;
            }
            if self.line.is_shut() {
                return false;
            }
            if lookout.has_records() {
                if !self.route(&mut buffer) {
                    return false;
                }
                continue;
            }
            if look_for_a_moment(|| is_there() || lookout.has_records()) {
                continue;
            }
            let now = Instant::now();
            if now >= until {
                return true;
            }
            lookout.lie_down();
            // Asked for after lying down: whoever answers or shuts the line from now on wakes this thread.
            let is_answered = slot.wake(&Waker::from(Arc::new(Alarm(Arc::clone(&self.line)))));
            if !is_answered && !self.line.is_shut() && !lookout.has_records() {
                lookout.doze(until - now);
            }
            lookout.begin_looking();
        }
    }

    /// Routes what is in the lane; says whether it could.
    fn route(&self, buffer: &mut [u8]) -> bool {
        let mut left = TURN;
        let came = self.core.route_from(self.index, buffer, &mut left, Way::Lane);
        match came {
            // With nothing taken, something goes before it that is the main loop's: a packet, or a throttle.
            Came::All | Came::Turn => left < TURN,
            Came::Word(_) | Came::Broken(_) => {
                self.core.ask(Request::HearOut(self.index));
                false
            }
        }
    }
}

impl Drop for Driver<'_> {
    fn drop(&mut self) {
        let mut state = self.core.lock();
        let peer = &mut state.peers[self.index];
        // Its next life has a line of its own.
        if peer.line.as_ref().is_some_and(|line| Arc::ptr_eq(line, &self.line)) {
            peer.has_driver = false;
            if !self.line.fall_asleep() {
                drop(state);
                self.core.ask(Request::HearOut(self.index));
            }
        }
    }
}

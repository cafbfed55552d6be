//! A thread that waits for an answer takes it out of the lane itself: no other thread has to be woken first.
//!
//! It looks for a moment, offering its processor to whoever is to answer, and then sleeps where the manager wakes it. With
//! several managers to answer there is no such place: then the main loop takes over. What it routes meanwhile may be a call
//! from one manager to another; then it looks at the lane of that one too, for as long as it does not sleep. One thread at
//! a time looks at a lane; the others are told by it, or by the main loop.

use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Instant;

use smallvec::SmallVec;

use super::core::{Core, Request};
use super::looking::Lane;
use super::peers::Looker;
use super::router::Caller;
use super::routing::{Came, Way};
use crate::remote::{Need, Slot};
use crate::shm::{Lookout, MAX_RECORD_BYTES, look_for_a_moment};
use crate::transport::Line;

/// How many envelopes are routed under one lock.
const TURN: usize = 16;

/// Managers' lanes, as the thread that takes from them has them.
struct Driver<'a> {
    core: &'a Core,
    lanes: SmallVec<[Lane; 1]>,
    /// How many of them are of managers that are to answer: the first.
    own: usize,
}

/// Wakes the thread that sleeps on a lane when its answer comes another way.
struct Alarm(Arc<Line>);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.0.lookout().into_iter().for_each(Lookout::rouse);
    }
}

impl Core {
    /// Waits for the answer of a call of this process, and takes it out of its managers' lanes where it can.
    pub(super) fn wait_for_answer(&self, call: u64, slot: &Slot, until: Instant) {
        if let Some(mut driver) = self.driver_for(call)
            && driver.wait(slot, until)
        {
            return;
        }
        slot.wait_until(Need::Answer, until, &|| false);
    }

    /// The lanes of the managers that are to answer, unless there are none or other threads have them.
    fn driver_for(&self, call: u64) -> Option<Driver<'_>> {
        let mut state = self.lock();
        let stations = state.router.stations_of(Caller::Local(call));
        let lane = |index: usize| Some((index, state.peers.get_mut(index)?.look_as(Looker::Caller)?));
        let lanes: SmallVec<_> = stations.into_iter().filter_map(lane).collect();
        // A driver that is dropped takes the lock.
        drop(state);
        if lanes.is_empty() { None } else { Some(Driver { core: self, own: lanes.len(), lanes }) }
    }
}

impl Driver<'_> {
    /// Says whether the wait is over; if not, somebody else is to take the answer.
    fn wait(&mut self, slot: &Slot, until: Instant) -> bool {
        let is_there = || slot.has(Need::Answer);
        let mut buffer = [0; MAX_RECORD_BYTES];
        loop {
            if is_there() {
                return true;
            }
            if self.lanes.iter().any(|(_, line)| line.is_shut()) {
                return false;
            }
            if self.has_news() {
                if !self.route_all(&mut buffer) {
                    return false;
                }
                if !is_there() {
                    if Instant::now() >= until {
                        return true;
                    }
                    self.core.look_at_lively_lanes(Looker::Caller, &mut self.lanes);
                }
                continue;
            }
            if look_for_a_moment(|| is_there() || self.has_news()) {
                continue;
            }
            self.let_go_of_others();
            let [(_, line)] = self.lanes.as_slice() else { return false };
            if Instant::now() >= until {
                return true;
            }
            doze(line, slot, until);
        }
    }

    fn has_news(&self) -> bool {
        self.lanes.iter().any(|(_, line)| line.has_records())
    }

    /// Nobody looks at the lanes any more of managers that are not to answer.
    fn let_go_of_others(&mut self) {
        while self.lanes.len() > self.own {
            let lane = self.lanes.pop().expect("there are more than its own");
            self.let_go_of(&lane);
        }
    }

    fn let_go_of(&self, lane: &Lane) {
        if self.core.cease_to_look(Looker::Caller, lane) {
            self.core.ask(Request::HearOut(lane.0));
        }
    }

    /// Routes what is in the lanes; says whether it could.
    fn route_all(&mut self, buffer: &mut [u8]) -> bool {
        let mut next = 0;
        while let Some(lane) = self.lanes.get(next) {
            match self.route(lane, buffer) {
                // Who has much to say is not to delay an answer that is not its own.
                Routed::Turn | Routed::Blocked if next >= self.own => {
                    let lane = self.lanes.swap_remove(next);
                    self.let_go_of(&lane);
                }
                Routed::Blocked => return false,
                Routed::Turn | Routed::All => next += 1,
            }
        }
        true
    }

    /// Routes what is in a lane.
    fn route(&self, (index, line): &Lane, buffer: &mut [u8]) -> Routed {
        if !line.has_records() {
            return Routed::All;
        }
        let mut left = TURN;
        match self.core.route_from(*index, buffer, &mut left, Way::Lane) {
            Came::Turn if left == 0 => Routed::Turn,
            Came::All | Came::Turn if left < TURN => Routed::All,
            // With nothing taken, something goes before it that is the main loop's: a packet, or a throttle.
            Came::All | Came::Turn => Routed::Blocked,
            Came::Word(_) | Came::Broken(_) => {
                self.core.ask(Request::HearOut(*index));
                Routed::Blocked
            }
        }
    }
}

/// How far a lane was routed.
enum Routed {
    /// All that was there.
    All,
    /// As much as one gets at once; there may be more.
    Turn,
    /// The main loop has to look at its line first.
    Blocked,
}

/// Sleeps where the manager wakes whoever waits for what it says.
fn doze(line: &Arc<Line>, slot: &Slot, until: Instant) {
    let Some(lookout) = line.lookout() else { return };
    lookout.lie_down();
    // Asked for after lying down: whoever answers or shuts the line from now on wakes this thread.
    let is_answered = slot.wake(&Waker::from(Arc::new(Alarm(Arc::clone(line)))));
    if !is_answered && !line.is_shut() && !lookout.has_records() {
        lookout.doze(until.saturating_duration_since(Instant::now()));
    }
    lookout.begin_looking();
}

impl Drop for Driver<'_> {
    fn drop(&mut self) {
        self.own = 0;
        self.let_go_of_others();
    }
}

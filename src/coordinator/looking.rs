//! The main loop looks at lanes for a moment before it sleeps: what follows soon on something costs no system call.
//!
//! It looks at those lanes by which something has just gone, either way, unless a thread that waits for an answer has them.
//! What wakes it otherwise waits no longer than a turn.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::core::Core;
use super::listening::TURN;
use super::main_loop::MainLoop;
use super::peers::Looker;
use crate::shm::look_for_a_moment;
use crate::transport::Line;

/// How long the loop stays with lanes before it looks at everything else.
const LONGEST_TURN: Duration = Duration::from_micros(200);

/// A manager's lane that somebody looks at.
pub(super) type Lane = (usize, Arc<Line>);

impl Core {
    /// The lanes by which something has gone since this was asked last, and at which nobody looks who has the better
    /// right to.
    pub(super) fn look_at_lively_lanes(&self, looker: Looker, lanes: &mut impl Extend<Lane>) {
        let mut state = self.lock();
        for (index, peer) in state.peers.iter_mut().enumerate() {
            if std::mem::take(&mut peer.is_lively) {
                lanes.extend(peer.look_as(looker).map(|line| (index, line)));
            }
        }
    }

    /// From now on nobody looks at that lane, unless another has taken it over; says whether something has come meanwhile.
    pub(super) fn cease_to_look(&self, looker: Looker, (index, line): &Lane) -> bool {
        let mut state = self.lock();
        let peer = &mut state.peers[*index];
        // Its next life has a line of its own.
        let is_its = peer.line.as_ref().is_some_and(|its| Arc::ptr_eq(its, line));
        if !is_its || peer.looker != looker {
            return false;
        }
        peer.looker = Looker::Nobody;
        !line.fall_asleep()
    }
}

impl MainLoop {
    /// Takes what comes out of lanes within moments; says whether the loop is not to sleep now.
    pub(super) fn look_at_lanes(&mut self) -> bool {
        self.core.look_at_lively_lanes(Looker::MainLoop, &mut self.lanes);
        if self.lanes.is_empty() {
            return false;
        }
        let until = Instant::now() + LONGEST_TURN;
        let mut has_come = false;
        while look_for_a_moment(|| self.lanes.iter().any(|(_, line)| line.has_records())) {
            has_come = true;
            self.take_from_lanes();
            if Instant::now() >= until {
                return true;
            }
        }
        let lanes = std::mem::take(&mut self.lanes);
        lanes.iter().for_each(|lane| self.lay_down(lane));
        has_come || !self.unheard.is_empty()
    }

    fn take_from_lanes(&mut self) {
        for (index, line) in std::mem::take(&mut self.lanes) {
            // What cannot be taken now, because it came too fast or is not to be believed, is not looked at for ever.
            match line.has_records() && self.read_line(index, TURN) == 0 {
                true => self.lay_down(&(index, line)),
                false => self.lanes.push((index, line)),
            }
        }
    }

    fn lay_down(&mut self, lane: &Lane) {
        if self.core.cease_to_look(Looker::MainLoop, lane) {
            self.unheard.push(lane.0);
        }
    }
}

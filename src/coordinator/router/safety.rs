//! What moves or emits: refused where it may not, and told of where a safe state ends with it.

use super::{Effect, Router, UndeliveredReason};
use crate::wire::{NotDone, Refusal};

impl Router {
    /// From now on the station refuses every command that moves or emits something, or takes them again. What
    /// is queued of that kind is refused too; what is in its pipe is its own to refuse.
    pub fn set_inactive(&mut self, index: usize, is_inactive: bool) {
        self.stations[index].is_inactive = is_inactive;
        if is_inactive {
            self.refuse_hazards(index);
        }
        self.tend_pool_of(index);
    }

    /// Refuses what is queued for an inactive station that moves or emits something.
    pub(super) fn refuse_hazards(&mut self, index: usize) {
        let manager = self.stations[index].name.clone();
        for queued in self.stations[index].take_hazards() {
            self.end_queued(index, &queued, |command| {
                let refusal = Refusal::Inactive { manager: manager.clone(), command };
                (NotDone::Refused(refusal.clone()), UndeliveredReason::Refused(refusal))
            });
        }
    }

    /// Whether the station refuses every command that moves or emits something.
    pub fn is_inactive(&self, index: usize) -> bool {
        self.stations[index].is_inactive
    }

    /// Something hazardous is queued for a station. The scope has no safe state to leave.
    pub(super) fn leaves_safe_state(&mut self, index: usize) {
        let is_scope = index == self.scope_index();
        let station = &mut self.stations[index];
        if std::mem::take(&mut station.is_safe) && !is_scope {
            self.effects.push(Effect::LeavesSafeState(index));
        }
    }

    /// The station says that it is in its safe state, and has taken so many commands. It counts as safe, unless
    /// something hazardous is on its way to it; says whether it does.
    pub fn now_safe(&mut self, index: usize, taken: u64) -> bool {
        let station = &mut self.stations[index];
        station.is_safe = !station.has_hazards_ahead(taken);
        station.is_safe
    }
}

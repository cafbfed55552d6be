//! Safe states: who is in one, and the leases of those that are not.
//!
//! A lease vouches for the coordinator while a manager is out of its safe state: a coordinator that is frozen
//! does not renew it. None is renewed for managers that are safe and have nothing hazardous before them.

use std::time::Instant;

use log::Level;

use super::core::CoreState;
use super::events::RigEvent;
use super::main_loop::MainLoop;
use super::status::SafeStatus;
use crate::supervisor::{Because, Rung};
use crate::wire::{SafeEntry, SafeReason};

impl MainLoop {
    /// A manager has entered its safe state.
    pub(super) fn note_safe(&mut self, index: usize, entry: &SafeEntry) {
        let now = Instant::now();
        let (name, ms) = (self.name(index), entry.took_us as f64 / 1e3);
        let by = if entry.by_emergency_handle { ", by its emergency handle" } else { "" };
        let text = format!("is in its safe state after {ms:.1} ms{by}: {}", entry.reason);
        self.log.line(&name, Level::Warn, &text);
        let process = &mut self.processes[index];
        process.safe_at = Some(now);
        process.safe_stop = entry.stop;
        process.history.safe_entry = Some(SafeStatus {
            reason: entry.reason.to_string(),
            took_us: entry.took_us,
            by_emergency_handle: entry.by_emergency_handle,
            at_s: self.begun_at.elapsed().as_secs_f64(),
        });
        self.tell_safe(index, entry.clone());
        if self.processes[index].history.supervisor.hopes() == Some(Because::NotSafe) {
            self.has_recovered(index);
        }
        let mut state = self.core.lock();
        if state.router.now_safe(index, entry.taken) {
            state.peers[index].end_lease();
        }
        drop(state);
        self.note_stopped(index, now);
        self.answer_stops();
    }

    /// A manager could not enter its safe state: it has tried, so the next thing to try is to end it. One that ends
    /// anyway is dealt with when it has.
    pub(super) fn note_not_safe(&mut self, index: usize, reason: SafeReason, why: &str) {
        let name = self.name(index);
        self.log.line(&name, Level::Error, &format!("could not enter its safe state ({reason}): {why}"));
        let text = format!("could not enter its safe state: {why}");
        self.core.tell_event(|| RigEvent::Fault { manager: Some(index), text });
        if !reason.is_end() {
            self.hangs(index, Because::NotSafe, Rung::Terminate);
        }
    }

    /// Renews every lease whose time has come, unless its manager needs none any more.
    pub(super) fn renew_leases(&mut self, now: Instant) {
        let mut state = self.core.lock();
        let CoreState { router, peers, pages, .. } = &mut *state;
        for (index, peer) in peers.iter_mut().enumerate() {
            if peer.renew_at.is_none_or(|at| at > now) {
                continue;
            }
            let page = pages.0[index].as_ref();
            let is_idle_and_safe = page.is_some_and(|page| {
                let activity = page.activity();
                // In this order: a command is taken before the safe state is left for it.
                activity.busy_since_ns.is_none() && page.is_safe() && router.now_safe(index, activity.taken)
            });
            if is_idle_and_safe {
                peer.end_lease();
            } else {
                peer.lease(self.core.blueprint.managers[index].supervision.lease, now);
            }
        }
    }
}

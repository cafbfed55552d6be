//! What the loop tells of the rig: while it runs, and when it has ended.

use std::time::Instant;

use super::core::CoreState;
use super::events::RigEvent;
use super::guarding::Guarding;
use super::launch_error::LaunchError;
use super::main_loop::MainLoop;
use super::process::{Phase, Process};
use super::signals::SignalLives;
use super::status::{ManagerStatus, RigStatus};
use super::summary::{Death, ManagerEnd, ManagerSummary, RunSummary};
use log::Level;

impl MainLoop {
    pub(super) fn status(&self) -> RigStatus {
        let state = self.core.lock();
        let name_of = |index: usize| self.name(index);
        RigStatus {
            rig: self.core.blueprint.rig.clone(),
            uptime_s: self.begun_at.elapsed().as_secs_f64(),
            managers: (0..self.processes.len()).map(|index| self.manager_status(index, &state)).collect(),
            streams: self.streams.iter().map(|stream| stream.status(&name_of)).collect(),
            totals: state.router.totals(),
            in_flight: state.router.in_flight().0,
        }
    }

    pub(super) fn manager_status(&self, index: usize, state: &CoreState) -> ManagerStatus {
        let process = &self.processes[index];
        let activity = process.page.as_ref().map(|page| page.activity());
        let taken = activity.map_or(0, |activity| activity.taken);
        let is_busy = activity.is_some_and(|activity| activity.busy_since_ns.is_some());
        let until = process.ended_at.unwrap_or_else(Instant::now);
        ManagerStatus {
            name: self.name(index),
            kind: self.plan(index).kind.clone(),
            state: state_text(process, is_busy),
            pid: process.child.as_ref().map_or(0, |child| child.pid),
            generation: process.generation,
            uptime_s: process.started_at.map_or(0.0, |started| (until - started).as_secs_f64()),
            queued: state.router.station(index).waiting(taken),
            taken,
            throttles: state.throttles[index],
            displaced: state.router.displaced(index),
            values: state.router.values(index),
            restarts: process.generation - 1,
            last_death: process.history.deaths.last().cloned(),
            is_inactive: process.history.is_inactive,
            last_safe_entry: process.history.safe_entry.clone(),
            fault: process.fault.clone(),
        }
    }

    /// The end of the loop: what is said of the run, and the guardian, to be let go once nothing is left at all.
    pub(super) fn finish(mut self) -> (RunSummary, Option<Guarding>) {
        self.core.close();
        // Of a manager that was given up too: nothing comes from it that anybody could wait for.
        self.signal_lives.iter().for_each(SignalLives::ended);
        self.write_notes();
        self.write_trace(true);
        let summary = self.summary();
        self.core
            .tell_event(|| RigEvent::Ended { is_clean: summary.is_clean, reason: summary.reason.clone() });
        if let Some(error) = self.failure.take() {
            self.launched(Err(error));
        }
        let reason = self.quit.as_ref().map(|quit| quit.reason.clone()).unwrap_or_default();
        self.launched(Err(LaunchError::Interrupted { reason }));
        self.log.note(
            Level::Info,
            if summary.is_clean { "the run ended cleanly" } else { "the run did not end cleanly" },
        );
        self.log.flush();
        (summary, self.guarding)
    }

    pub(super) fn summary(&self) -> RunSummary {
        let state = self.core.lock();
        let name_of = |index: usize| self.name(index);
        let managers: Vec<_> = (0..self.processes.len()).map(|index| self.manager_summary(index)).collect();
        RunSummary {
            rig: self.core.blueprint.rig.clone(),
            run_dir: self.core.blueprint.run_dir.clone(),
            duration_s: self.begun_at.elapsed().as_secs_f64(),
            reason: self.quit.as_ref().map(|quit| quit.reason.clone()).unwrap_or_default(),
            is_clean: self.faults.is_empty() && managers.iter().all(|manager| manager.end.is_in_order()),
            managers,
            faults: self.faults.clone(),
            streams: self.streams.iter().map(|stream| stream.status(&name_of)).collect(),
            deaths: self.deaths(),
            losses: self.losses.clone(),
            totals: state.router.totals(),
            in_flight_high_water: state.router.in_flight().1,
        }
    }

    /// All of them, in their order.
    fn deaths(&self) -> Vec<Death> {
        let each = self.processes.iter().flat_map(|process| &process.history.deaths);
        let mut deaths: Vec<_> = each.cloned().collect();
        deaths.sort_by(|one, other| one.at_s.total_cmp(&other.at_s));
        deaths
    }

    pub(super) fn manager_summary(&self, index: usize) -> ManagerSummary {
        let process = &self.processes[index];
        let end = match (&process.fault, process.safe_state, process.ended_well()) {
            (Some(why), _, _) if process.is_absent => ManagerEnd::Absent { why: why.clone() },
            (_, Some(safe), true) => ManagerEnd::Clean { safe_state_us: safe.as_micros() as u64 },
            (Some(why), _, _) => ManagerEnd::Failed { why: why.clone() },
            (None, _, _) if process.child.is_none() => ManagerEnd::NotStarted,
            (None, _, _) => ManagerEnd::Failed { why: "it did not say that it is safe".to_owned() },
        };
        ManagerSummary {
            name: self.name(index),
            kind: self.plan(index).kind.clone(),
            generation: process.generation,
            taken: process.history.taken_before + process.taken(),
            end,
        }
    }
}

pub(super) fn state_text(process: &Process, is_busy: bool) -> &'static str {
    match process.phase {
        _ if process.is_absent => "absent",
        Phase::Waiting => "waiting",
        _ if process.is_alive() && (process.is_frozen || process.history.supervisor.is_stuck()) => "stuck",
        Phase::Starting | Phase::SettingUp | Phase::Preparing(_) if process.generation > 1 => "restarting",
        Phase::Starting | Phase::SettingUp | Phase::Preparing(_) => "starting",
        Phase::Prepared | Phase::Running if is_busy => "busy",
        Phase::Prepared | Phase::Running if process.history.is_inactive => "inactive",
        Phase::Prepared | Phase::Running if process.is_stopped() => "safe",
        Phase::Prepared | Phase::Running => "ready",
        Phase::Stopping => "stopping",
        Phase::Down => "restarting",
        Phase::Ended if process.fault.is_some() => "failed",
        Phase::Ended => "stopped",
    }
}

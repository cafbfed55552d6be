//! The watchdog: who hangs is seen from the status pages, and stopped processes are seen by their signal.
//!
//! A page is looked at only while its manager has something to do: from when it is sent something, says that it is busy,
//! or starts, until it has done all that it was sent, or, where it begins steps by itself, until none was begun for a
//! whole period. So an idle rig wakes nobody.

use std::io::{ErrorKind, Read};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use log::Level;
use rustix::process::{Pid, WaitId, WaitIdOptions, WaitIdStatus, waitid};
use signal_hook::SigId;
use signal_hook::consts::SIGCHLD;

use super::main_loop::MainLoop;
use super::process::Phase;
use crate::shm::monotonic_ns;
use crate::supervisor::{Because, Look, Rung, Verdict};

/// After how long one that was found stuck and has answered is looked at: its page says so after its answer.
const SOON: Duration = Duration::from_millis(2);

/// Tells of children that were stopped or continued, or have ended.
pub(super) struct ChildSignals {
    pub(super) told: UnixStream,
    id: SigId,
}

impl ChildSignals {
    pub(super) fn catch() -> std::io::Result<Self> {
        let (told, write) = UnixStream::pair()?;
        told.set_nonblocking(true)?;
        let id = signal_hook::low_level::pipe::register(SIGCHLD, write)?;
        Ok(Self { told, id })
    }
}

impl Drop for ChildSignals {
    fn drop(&mut self) {
        signal_hook::low_level::unregister(self.id);
    }
}

/// How much later than it wanted to a process may wake that has not stood still itself.
const OVERSLEEP: Duration = Duration::from_millis(100);

impl MainLoop {
    /// This process itself may have stood still, as one that was stopped and is continued. Since when is not known; those
    /// that start are not late because of that.
    pub(super) fn make_up_for_standstill(&mut self, asleep_since: Instant, patience: Option<Duration>) {
        let asleep = asleep_since.elapsed();
        if patience.is_none_or(|patience| asleep < patience.saturating_add(OVERSLEEP)) {
            return;
        }
        for process in self.processes.iter_mut().filter(|process| process.is_starting()) {
            process.started_at = process.started_at.map(|at| at + asleep);
        }
    }

    /// Begins to look at a manager's page, if it is not looked at already.
    pub(super) fn watch(&mut self, index: usize) {
        self.processes[index].said_busy_at = Some(Instant::now());
        self.core.lock().peers[index].begin_watch(Instant::now());
    }

    /// A manager that was found stuck has said something: it may be about to go on.
    pub(super) fn look_again_soon(&mut self, index: usize) {
        self.look_for_recovery(index);
        if self.processes[index].history.supervisor.hopes().is_some() {
            let peer = &mut self.core.lock().peers[index];
            let soon = Instant::now() + SOON;
            peer.look_at = peer.look_at.map(|at| at.min(soon));
        }
    }

    /// Looks at every page whose time has come; and at all of them when this loop has woken by itself, as whoever is
    /// at rest need not be looked at again.
    pub(super) fn look_at_pages(&mut self, now: Instant) {
        let is_time = self.sleeps_until.is_some_and(|at| at <= now);
        let state = self.core.lock();
        let is_due = |index: &usize| {
            let peer = &state.peers[*index];
            // Having said that it is busy, it relies on being watched for a whole period.
            let said = self.processes[*index].said_busy_at.zip(peer.period).map(|(at, period)| at + period);
            let is_time = is_time && said.is_none_or(|until| until <= now);
            peer.look_at.is_some_and(|at| at <= now || is_time)
        };
        let due: Vec<_> = (0..state.peers.len()).filter(is_due).collect();
        drop(state);
        due.into_iter().for_each(|index| self.look_at(index, now));
    }

    fn look_at(&mut self, index: usize, now: Instant) {
        self.look_for_recovery(index);
        let process = &mut self.processes[index];
        let (Some(page), Some(watch)) = (&process.page, &mut process.watch) else { return };
        let is_on_its_way = !matches!(process.phase, Phase::Running | Phase::Prepared);
        let mut state = self.core.lock();
        let sent = state.router.station(index).sent();
        let look = || Look { activity: page.activity(), sent, now_ns: monotonic_ns() };
        let first = look();
        let verdict = watch.judge(&first);
        let peer = &mut state.peers[index];
        match verdict {
            Verdict::Quiet if !is_on_its_way => {
                peer.look_at = None;
                page.set_watched(false);
                // Whatever began meanwhile may have found that it is watched, and says nothing.
                if look().activity != first.activity {
                    peer.begin_watch(now);
                }
            }
            Verdict::FineUntil(at) => {
                // Never at once again: what changes all the time is looked at in a while.
                let wait =
                    Duration::from_nanos(at.saturating_sub(first.now_ns)).max(Duration::from_millis(1));
                peer.look_at = Some(now + wait);
            }
            Verdict::Quiet | Verdict::Stuck(_) => peer.look_at = peer.period.map(|period| now + period),
        }
        drop(state);
        // How long a start may take is said by the start deadline, and an end by the quit deadline.
        if let Verdict::Stuck(because) = verdict
            && !is_on_its_way
        {
            self.hangs(index, because, Rung::Cancel);
        }
    }

    /// Children were stopped or continued, or have ended; ends are seen elsewhere, and reaped there.
    pub(super) fn heed_children(&mut self) {
        let mut bytes = [0; 256];
        loop {
            let read = self.child_signals.told.read(&mut bytes);
            match read {
                Ok(read) if read == bytes.len() => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                _ => break,
            }
        }
        for index in 0..self.processes.len() {
            let child = self.processes[index].child.as_ref().filter(|_| self.processes[index].is_alive());
            let Some(pid) = child.and_then(|child| Pid::from_raw(child.pid.cast_signed())) else { continue };
            let options = WaitIdOptions::STOPPED | WaitIdOptions::CONTINUED | WaitIdOptions::NOHANG;
            match waitid(WaitId::Pid(pid), options) {
                Ok(Some(status)) => self.heed_stop(index, &status),
                Ok(None) => {}
                Err(error) => log::debug!("`{}` cannot be asked for stops: {error}", self.name(index)),
            }
        }
    }

    fn heed_stop(&mut self, index: usize, status: &WaitIdStatus) {
        let name = self.name(index);
        let process = &mut self.processes[index];
        process.is_frozen = status.stopped();
        if status.continued() {
            self.log.line(&name, Level::Warn, "its process goes on");
            process.history.supervisor.thawed();
            if process.history.supervisor.hopes() == Some(Because::Frozen) {
                self.has_recovered(index);
            }
        } else if status.stopped() {
            let signal = status.stopping_signal().and_then(signal_hook::low_level::signal_name);
            let signal = signal.unwrap_or("a signal");
            self.log.line(&name, Level::Error, &format!("its process is stopped by {signal}"));
            if let Some(patience) = self.core.blueprint.managers[index].supervision.watchdog {
                self.processes[index].history.supervisor.frozen(patience, Instant::now());
            }
        }
    }
}

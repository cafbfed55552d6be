//! What managers say, as the main loop hears it: each has its turn, and words are heeded.

use std::time::{Duration, Instant};

use log::Level;

use super::core::CoreState;
use super::events::RigEvent;
use super::launch_error::LaunchError;
use super::main_loop::MainLoop;
use super::peers::Peer;
use super::process::Phase;
use super::router::Moment;
use super::routing::{Broken, Came, Way};
use crate::transport::Ready;
use crate::wire::control::ManagerWord;
use crate::wire::{EnvelopeError, SafeEntry, SafeReason};

/// How many envelopes are taken from one line before the others have their turn.
pub(super) const TURN: usize = 64;
/// How long a line stays unread that has had its turn, has more, and keeps others from this processor: several times as
/// long as a turn takes.
const GIVING_WAY: Duration = Duration::from_micros(500);
/// An offer of the processor that takes longer has been accepted.
const ACCEPTED: Duration = Duration::from_micros(1);
/// How long a manager whose pipe has ended may take to end itself, beyond the time its safe state may take.
const AFTER_PIPE_END: Duration = Duration::from_secs(1);

impl MainLoop {
    pub(super) fn serve_pipe(&mut self, index: usize, ready: Ready) {
        if ready.writable {
            if self.owes_streams {
                self.connect_streams();
                self.pass_barrier();
            }
            self.pay_signals();
            let mut state = self.core.lock();
            let CoreState { router, peers, pages, .. } = &mut *state;
            peers[index].fill(index, router, pages, &self.core.poller, &Moment::now());
        }
        if ready.readable {
            self.read_line(index, TURN);
        }
    }

    /// Takes what a manager has sent, until there is nothing more or it has had its turn; says how much that was.
    pub(super) fn read_line(&mut self, index: usize, most: usize) -> usize {
        let mut left = most;
        let mut buffer = std::mem::take(&mut self.buffer);
        let before = left;
        loop {
            match self.core.route_from(index, &mut buffer, &mut left, Way::Line) {
                Came::Word(word) => self.hear(index, word),
                Came::Broken(broken) => {
                    if let Broken::Envelope(EnvelopeError::Version { found }) = broken {
                        self.refuse_protocol(index, found);
                    }
                    self.cut_off(index, &broken.to_string(), broken.is_end());
                    break;
                }
                Came::All => break,
                Came::Turn => {
                    // Its pipe says by itself that it has more, its lane does not.
                    match is_processor_wanted() {
                        true => self.give_way(index),
                        false => self.unheard.push(index),
                    }
                    break;
                }
            }
        }
        self.buffer = buffer;
        if left < before && self.processes[index].history.supervisor.hopes().is_some() {
            self.look_again_soon(index);
        }
        before - left
    }

    /// Leaves a line unread for a while for the sake of others.
    fn give_way(&self, index: usize) {
        let until = Instant::now() + GIVING_WAY;
        self.core.lock().peers[index].leave_unread(until, &self.core.poller);
    }

    /// Goes on with those who had more to say when their turn was over.
    pub(super) fn hear_out(&mut self) {
        for index in std::mem::take(&mut self.unheard) {
            self.read_line(index, TURN);
        }
    }

    pub(super) fn hear(&mut self, index: usize, word: ManagerWord) {
        match word {
            ManagerWord::Hello { version } => {
                let step = self.hello(index, &version);
                self.check(step);
            }
            ManagerWord::Differs { command, theirs } => {
                let step = self.differs(index, command, theirs);
                self.check(step);
            }
            ManagerWord::Mapped { stream } => {
                let step = self.mapped(index, &stream);
                self.check(step);
                self.pass_barrier();
            }
            ManagerWord::SignalsMapped => {
                let step = self.signals_mapped(index);
                self.check(step);
            }
            ManagerWord::Ready => {
                let step = self.ready(index);
                self.check(step);
            }
            ManagerWord::SetupFailed(failure) => {
                self.processes[index].blame(format!("could not be set up: {failure}"));
                self.fail(LaunchError::SetupFailed { manager: self.name(index), failure: Box::new(failure) });
            }
            ManagerWord::Log { level, target, message } => self.note(index, level, &target, &message),
            ManagerWord::LogsDropped(count) => {
                let name = self.name(index);
                self.log.line(
                    &name,
                    Level::Warn,
                    &format!("{count} log records were dropped: its pipe was full"),
                );
            }
            ManagerWord::Quit { reason } => {
                let who = self.name(index);
                if !self.core.blueprint.heeds_managers {
                    return self.log.line(
                        &who,
                        Level::Info,
                        "asked to quit, which waits until it is checked",
                    );
                }
                self.begin_quit(&if reason.is_empty() { format!("`{who}` asked for it") } else { reason });
            }
            ManagerWord::Stopped { safe_state_us } => {
                self.processes[index].safe_state = Some(Duration::from_micros(safe_state_us));
                let taken = self.processes[index].page.as_ref().map_or(0, |page| page.activity().taken);
                let reason = SafeReason::Quit;
                let stop = self.processes[index].safe_stop;
                let entry =
                    SafeEntry { reason, took_us: safe_state_us, taken, by_emergency_handle: false, stop };
                self.tell_safe(index, entry);
            }
            ManagerWord::Lost { what, detail } => {
                let name = self.name(index);
                self.note_loss(&name, &what, &detail);
            }
            ManagerWord::CancelsTaken => self.core.lock().peers[index].cancels_taken(),
            ManagerWord::Safe(entry) => self.note_safe(index, &entry),
            ManagerWord::NotSafe { reason, why } => self.note_not_safe(index, reason, &why),
            ManagerWord::Busy => self.watch(index),
            ManagerWord::NotRun { ordinal, command, sender } => {
                self.core.with_router(|router| router.not_run(index, ordinal, command, sender));
            }
            ManagerWord::GivesUp { why } => self.processes[index].blame(format!("gives up: {why}")),
            // What it says of its calls is the router's, which has heard it.
            ManagerWord::Abandon { .. }
            | ManagerWord::Cancel { .. }
            | ManagerWord::Wait { .. }
            | ManagerWord::WaitEnded { .. }
            | ManagerWord::Grant { .. }
            | ManagerWord::Released { .. }
            | ManagerWord::SetExpiry { .. } => {}
        }
    }

    /// Those who watch are told that a manager is in its safe state.
    pub(super) fn tell_safe(&self, index: usize, entry: SafeEntry) {
        self.core.tell_event(|| RigEvent::Safe {
            manager: index,
            generation: self.processes[index].generation,
            entry,
        });
    }

    pub(super) fn note(&mut self, index: usize, level: u8, target: &str, message: &str) {
        let level = match level {
            1 => Level::Error,
            2 => Level::Warn,
            3 => Level::Info,
            4 => Level::Debug,
            _ => Level::Trace,
        };
        let Some(dropped) = self.processes[index].records.admits(level, Instant::now()) else { return };
        let name = self.name(index);
        if dropped > 0 {
            self.log.line(&name, Level::Warn, &too_fast(dropped, "log records"));
        }
        let text =
            if target.starts_with("labrig") { message.to_owned() } else { format!("[{target}] {message}") };
        self.processes[index].keep_line(&text);
        self.log.line(&name, level, &text);
    }

    pub(super) fn resume_throttled(&mut self, now: Instant) {
        let mut state = self.core.lock();
        for (index, peer) in state.peers.iter_mut().enumerate() {
            if peer.throttled_until.is_some_and(|until| until <= now) {
                peer.throttled_until = None;
                peer.watch(&self.core.poller);
                self.unheard.push(index);
            }
        }
    }

    /// A manager's pipe has ended, or says what no envelope says: nothing more is taken from it or given to it.
    pub(super) fn cut_off(&mut self, index: usize, why: &str, is_end: bool) {
        let name = self.name(index);
        if !is_end {
            self.log.line(&name, Level::Error, &format!("its connection is ended: {why}"));
            let text = format!("its connection is ended: {why}");
            self.core.tell_event(|| RigEvent::Fault { manager: Some(index), text });
            self.processes[index].blame(format!("its connection was ended: {why}"));
        }
        self.disconnect(index);
        // One that was told to end and has said that it does is given the time that it was told: it has done its part,
        // and may wait for a processor.
        let process = &self.processes[index];
        if process.phase != Phase::Stopping || process.safe_state.is_none() {
            self.processes[index].kill_at =
                Some(Instant::now() + self.plan(index).safe_deadline + AFTER_PIPE_END);
        }
    }

    /// Ends every call that this manager was to answer, and closes its pipe.
    pub(super) fn disconnect(&mut self, index: usize) {
        let returns = self.may_return(index);
        let mut state = self.core.lock();
        let Some(line) = state.peers[index].line.take() else { return };
        if let Err(errno) = self.core.poller.remove(&*line) {
            log::error!("a pipe cannot be taken from the poller: {errno}");
        }
        // A thread that waits for an answer may hold it for a moment more: the manager is to see its end now.
        line.shut();
        state.peers[index] = Peer::default();
        let CoreState { router, pages, .. } = &mut *state;
        router.gone(index, pages, returns);
        let answers = self.core.perform(&mut state);
        drop(state);
        answers.hand_over();
    }
}

/// Offers the processor; says whether somebody has taken it. A manager that says more than can be routed at once must not
/// have this processor for whole time slices, while others on it wait for their answers.
fn is_processor_wanted() -> bool {
    let offered_at = Instant::now();
    std::thread::yield_now();
    offered_at.elapsed() > ACCEPTED
}

/// How it is told that a manager was not heard out.
pub(super) fn too_fast(dropped: u64, what: &str) -> String {
    format!("{dropped} {what} were dropped: they came too fast")
}

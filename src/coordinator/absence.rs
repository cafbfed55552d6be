//! Optional managers that are not there: what is left of them ends, and the rig starts without them.
//!
//! Only a manager's own failure during the start-up makes it absent, and only when the config calls it
//! optional. Once the rig has begun, an optional manager fails as any other does. One that is absent is looked for
//! again when somebody orders its restart: then it joins the rig, or is absent as before.

use std::time::Instant;

use log::Level;
use rustix::process::Signal;

use super::core::CoreState;
use super::launch_error::LaunchError;
use super::main_loop::MainLoop;
use super::process::Phase;
use super::shutdown::AFTER_TERMINATE;

/// How much of the reason goes into each refusal, in characters: a failure may be longer than an envelope.
const LONGEST_REASON: usize = 300;

impl MainLoop {
    /// The optional manager whose own failure this is; none once the rig has begun.
    pub(super) fn optional_culprit(&self, error: &LaunchError) -> Option<usize> {
        self.launched.as_ref()?;
        let name = error.culprit()?;
        let managers = &self.core.blueprint.managers;
        let index = managers.iter().position(|manager| manager.name.as_str() == name)?;
        managers[index].is_optional.then_some(index)
    }

    /// An optional manager is absent: whoever asks it is refused, nobody waits for it, and the start goes on.
    pub(super) fn leave_out(&mut self, index: usize, error: &LaunchError) {
        if self.quit.is_some() || self.processes[index].is_absent {
            return;
        }
        let process = &mut self.processes[index];
        process.is_absent = true;
        // What was seen first is the reason: an ended connection, say, rather than the death that came of it.
        let why = process.fault.get_or_insert_with(|| error.reason().replace('\n', "; ")).clone();
        let name = self.name(index);
        let does = if self.launched.is_some() { "starts" } else { "goes on" };
        self.log.line(&name, Level::Warn, &format!("is optional, and the rig {does} without it: {why}"));
        self.streams.iter_mut().for_each(|stream| stream.leave_out(index));
        let mut state = self.core.lock();
        let CoreState { router, pages, .. } = &mut *state;
        router.leave_out(index, shortened(&why), pages);
        let answers = self.core.perform(&mut state);
        drop(state);
        answers.hand_over();
        self.order_failed(index, &why);
        self.end_what_is_left(index);
        self.start_those_that_may();
        self.pass_barrier();
    }

    /// Somebody asks for a manager that is absent: it is tried once more, as soon as nothing is left of the last try.
    pub(super) fn try_again(&mut self, index: usize) {
        if !self.processes[index].is_alive() {
            self.revive(index);
        }
    }

    /// Nothing is left of an absent manager: if somebody asks for it, it is tried once more.
    pub(super) fn try_again_if_asked(&mut self, index: usize) {
        if self.quit.is_none() && self.processes[index].history.orders.ask_for_restart() {
            self.revive(index);
        }
    }

    /// Terminates an absent manager that still runs, and sees to it that it is killed when that is not enough.
    fn end_what_is_left(&mut self, index: usize) {
        let kill_at = Instant::now() + self.plan(index).safe_deadline + AFTER_TERMINATE;
        let process = &mut self.processes[index];
        if !process.is_alive() {
            process.phase = Phase::Ended;
            return;
        }
        process.phase = Phase::Stopping;
        process.kill_at = Some(kill_at);
        self.signal(index, Signal::TERM);
    }
}

fn shortened(why: &str) -> String {
    match why.char_indices().nth(LONGEST_REASON) {
        Some((end, _)) => format!("{}…", &why[..end]),
        None => why.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_fits_a_refusal_however_long_it_is() {
        assert_eq!(shortened("no device"), "no device");
        let long = "µ".repeat(LONGEST_REASON);
        assert_eq!(shortened(&long), long);
        assert_eq!(shortened(&format!("{long}x")), format!("{long}…"));
    }
}

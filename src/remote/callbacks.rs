//! Code of others that is run when something has happened: outside every lock, and never on a thread that
//! the rig needs.
//!
//! One thread for all callbacks of a process, started by the first of them: a callback that blocks holds up
//! other callbacks, not the rig. They run in the order in which what they wait for has happened.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::thread::{self, ThreadId};
use std::time::Duration;

use crossbeam_channel::{Sender, bounded, unbounded};

/// Something to be run once.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// The thread, once there was something to run; none when it could not be started.
static RUNNER: OnceLock<Option<Runner>> = OnceLock::new();

struct Runner {
    jobs: Sender<Job>,
    thread: ThreadId,
}

/// Runs a job on the thread for callbacks.
pub(crate) fn run_later(job: Job) {
    let unsent = match RUNNER.get_or_init(start) {
        Some(runner) => runner.jobs.send(job).map_err(|error| error.0),
        None => Err(job),
    };
    if let Err(job) = unsent {
        guarded("a callback", job);
    }
}

/// Runs code of others; its panic is logged, and touches nothing else.
pub(crate) fn guarded(what: &str, run: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(run)).is_err() {
        log::error!("{what} has panicked; nothing else is affected");
    }
}

/// Waits until all callbacks that are due so far have run, for at most `patience`; says whether they have. A
/// callback that asks is not waited for.
pub(crate) fn settle(patience: Duration) -> bool {
    let Some(Some(runner)) = RUNNER.get() else { return true };
    if runner.thread == thread::current().id() {
        return true;
    }
    let (done, settled) = bounded(1);
    run_later(Box::new(move || {
        // Whoever asked may wait no longer.
        let _ = done.send(());
    }));
    settled.recv_timeout(patience).is_ok()
}

fn start() -> Option<Runner> {
    let (jobs, queue) = unbounded::<Job>();
    let run = move || queue.iter().for_each(|job| guarded("a callback", job));
    match thread::Builder::new().name("labrig-callbacks".to_owned()).spawn(run) {
        Ok(handle) => Some(Runner { jobs, thread: handle.thread().id() }),
        Err(error) => {
            log::error!("callbacks run where they are due, for their thread cannot be started: {error}");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callback_that_panics_stops_no_other() {
        let (told, heard) = unbounded();
        run_later(Box::new(|| panic!("a callback gave up")));
        run_later(Box::new(move || told.send(7).expect("the test listens")));
        assert_eq!(heard.recv(), Ok(7));
    }

    #[test]
    fn callbacks_are_waited_for_and_one_that_asks_is_not() {
        let (told, heard) = unbounded();
        run_later(Box::new(move || told.send(settle(Duration::MAX)).expect("the test listens")));
        assert!(settle(Duration::from_secs(30)));
        assert_eq!(heard.try_recv(), Ok(true));
    }
}

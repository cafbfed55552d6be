//! Floor 4: the life of a manager inside its own process.
//!
//! Three threads: the *worker* (the process's main thread) runs every handler, timer and frame handler and
//! reads the pipe itself while it has nothing else to do, so that a command crosses no thread; the *link
//! thread* sleeps until the pipe hangs up, an urgent word is rung, a lease lapses or a signal says to end; while
//! the worker is busy it also hears what callbacks, tasks and streams wait for; the *witness* does nothing, and tells by
//! its end that the process is ending.

mod cancels;
mod dispatch;
mod filing;
mod inbox;
mod inputs;
mod lease;
mod link;
mod link_port;
mod link_thread;
mod listening;
mod logging;
mod safety;
mod setup;
mod signal_pages;
mod signals;
mod steps;
mod values;
mod witness;
mod worker;

#[cfg(test)]
mod tests;

use std::process::ExitCode;

use crate::transport::Pipe;

/// Runs this process as a manager of the coordinator at the other end of `pipe`, until it is told to end.
pub fn run(pipe: Pipe) -> ExitCode {
    match setup::set_up(pipe) {
        Ok(worker) => worker.run(),
        Err(setup::SetupFailed) => ExitCode::FAILURE,
    }
}

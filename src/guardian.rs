//! Floor 4: the guardian, a tiny process that sees to a rig whose coordinator was killed.
//!
//! Each rig has one. While the coordinator lives, the guardian sleeps and takes notes: which managers there are, how
//! long each may take to become safe, what is to be run when one does not, what is to be removed. When the coordinator
//! is gone without a word, it gives every manager its time, kills those that remain with everything that they have
//! started, runs the `safe_program` of each that did not become safe, removes what would be left behind, and ends. It
//! never touches a rig that quits in good order.
//!
//! It opens no device, runs no code of a manager, believes nothing but records of fixed layout, and heeds no signal
//! that asks it to end. It needs no more than the manager's program that it is: one thread, some small lists.

mod aftermath;
mod last_log;
mod notes;
mod records;
mod ward;

pub use records::{Begin, Record, RecordError, SafeCommand, Watch};

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::transport::Pipe;

/// Guards the rig of the coordinator at the other end of `pipe`, until that lets it go or is gone.
pub fn run(pipe: Pipe) -> ExitCode {
    outlive_signals();
    match notes::take(&pipe) {
        // Nobody speaks to it any more, and nobody is to: what managers it starts must not hold the pipe either.
        notes::Ended::Killed(notes) => {
            drop(pipe);
            aftermath::see_to(notes)
        }
        notes::Ended::Released(notes) => notes.put_away(None),
    }
    ExitCode::SUCCESS
}

/// A handler that does nothing, rather than ignoring them: programs that are started here do not inherit that.
fn outlive_signals() {
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        // What cannot be caught ends it, which the coordinator sees.
        let _ = signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)));
    }
}

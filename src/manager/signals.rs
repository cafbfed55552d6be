//! The signals that a manager's process heeds, as something to read.

use std::os::unix::net::UnixStream;

use rustix::process::{Signal, set_parent_process_death_signal};
use signal_hook::consts::{SIGHUP, SIGTERM};

/// Signals as something to read.
pub(super) struct Signals {
    /// Somebody wants this process to end.
    pub(super) terminate: UnixStream,
    /// The thread that started this process has ended, and with it the coordinator.
    pub(super) orphaned: UnixStream,
    /// Their other ends: a library that takes a signal for itself lets go of ours, which is no signal.
    pub(super) _others: [UnixStream; 2],
}

/// Makes signals readable. A second notice of the coordinator's death, besides the end of the pipe, comes
/// the same way: the signal is one that can be caught, so that the safe state is still entered.
pub(super) fn catch_signals() -> std::io::Result<Signals> {
    let (terminate, for_term) = UnixStream::pair()?;
    signal_hook::low_level::pipe::register(SIGTERM, for_term.try_clone()?)?;
    let (orphaned, for_hup) = UnixStream::pair()?;
    signal_hook::low_level::pipe::register(SIGHUP, for_hup.try_clone()?)?;
    // A coordinator that died before this line is noticed by the end of its pipe.
    set_parent_process_death_signal(Some(Signal::HUP))?;
    Ok(Signals { terminate, orphaned, _others: [for_term, for_hup] })
}

//! A running rig, in the hands of whoever launched it.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::builder::RigBuilder;
use super::core::Core;
use super::launch_error::LaunchError;
use super::socket::RigSocket;
use super::state_folder::StateFolder;
use super::status::RigStatus;
use super::summary::RunSummary;
use crate::config::Topology;
use crate::remote::{Port, Scope, callbacks};

/// How long the main loop may take to answer a question about the rig; it never blocks, so it needs far less.
const STATUS_PATIENCE: Duration = Duration::from_secs(2);

/// How long a handler of the scope that did not heed the quit deadline may go on after the rig has ended.
const SCOPE_PATIENCE: Duration = Duration::from_secs(1);

/// How long the callbacks of calls that have ended may take after the rig has ended.
const CALLBACKS_PATIENCE: Duration = Duration::from_secs(1);

/// A rig that runs. It is launched once and ends once; dropping it ends it too.
///
/// ```no_run
/// use labrig::Rig;
/// use labrig::config::Topology;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let topology = Topology::from_file("config/microscope.toml")?.program("target/release/labrig");
/// let rig = Rig::launch(topology)?;
/// println!("{} managers", rig.status().map_or(0, |status| status.managers.len()));
/// let summary = rig.shutdown();
/// assert!(summary.is_clean);
/// # Ok(())
/// # }
/// ```
pub struct Rig {
    parts: Option<Parts>,
    scope: Scope,
    core: Arc<Core>,
}

/// What a rig is made of while it runs.
pub(super) struct Parts {
    pub(super) main: JoinHandle<RunSummary>,
    pub(super) scope_thread: JoinHandle<()>,
    pub(super) scope_ended: Receiver<()>,
    pub(super) ended: Receiver<()>,
    pub(super) socket: RigSocket,
    pub(super) state_folder: StateFolder,
    /// Kept to its end when nobody named a folder for this run.
    pub(super) temporary: Option<tempfile::TempDir>,
}

impl Rig {
    /// Proves and starts a rig; returns when every manager is ready.
    ///
    /// # Errors
    /// [`LaunchError::Refused`] with every fault of the proof; any other [`LaunchError`] when the start
    /// failed. Nothing is left running then.
    pub fn launch(topology: Topology) -> Result<Self, LaunchError> {
        Self::builder(topology).launch()
    }

    /// A rig to be launched, with more to be said about it first.
    pub fn builder(topology: Topology) -> RigBuilder {
        RigBuilder::new(topology)
    }

    pub(super) fn running(core: Arc<Core>, parts: Parts) -> Self {
        let port: Arc<Core> = Arc::clone(&core);
        Self { parts: Some(parts), scope: Scope::new(port), core }
    }

    /// The handle from which commands are sent; clone it for other threads.
    pub fn scope(&self) -> Scope {
        self.scope.clone()
    }

    /// How the rig is doing; none when it has ended.
    pub fn status(&self) -> Option<RigStatus> {
        self.core.ask_status().recv_timeout(STATUS_PATIENCE).ok()
    }

    /// The run's folder.
    pub fn run_dir(&self) -> &Path {
        &self.core.blueprint.run_dir
    }

    /// The socket at which the rig is asked and told from other programs while it runs.
    pub fn socket(&self) -> &Path {
        &self.core.blueprint.socket
    }

    /// Waits until the rig ends by itself, for at most `patience`, and says whether it has.
    pub fn wait(&self, patience: Option<Duration>) -> bool {
        let Some(parts) = &self.parts else { return true };
        // Nothing is ever sent: the channel's end is the news.
        match patience {
            None => parts.ended.recv().is_err(),
            Some(patience) => parts.ended.recv_timeout(patience) == Err(RecvTimeoutError::Disconnected),
        }
    }

    /// Ends the rig in good order and says how it went. Every call that is still open ends.
    pub fn shutdown(mut self) -> RunSummary {
        self.core.quit("asked by the program");
        let parts = self.parts.take().expect("a rig has its parts until it is shut down or dropped");
        parts.end()
    }
}

impl Parts {
    pub(super) fn end(self) -> RunSummary {
        let summary = self.main.join().expect("the main loop does not panic");
        match self.scope_ended.recv_timeout(SCOPE_PATIENCE) {
            Err(RecvTimeoutError::Timeout) => {
                log::error!("a handler of the scope has not returned; its thread is left behind")
            }
            _ if self.scope_thread.join().is_err() => log::error!("the scope's thread has panicked"),
            _ => {}
        }
        if !callbacks::settle(CALLBACKS_PATIENCE) {
            log::warn!("callbacks have not returned; they are left behind");
        }
        drop(self.socket);
        drop(self.state_folder);
        drop(self.temporary);
        summary
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Some(parts) = self.parts.take() {
            self.core.quit("the rig was dropped");
            drop(parts.end());
        }
    }
}

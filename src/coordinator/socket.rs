//! The rig's socket: by which it is asked and told from other programs while it runs.
//!
//! One thread of the coordinator, `labrig-socket`, one wait for all connections. It sends commands as any other
//! thread of this process does, and never waits for an answer: whoever fills a call's slot leaves word in a mailbox
//! and rings. A client can be slow, malicious or killed: what it may keep waiting here is bounded, its events are
//! dropped and counted, its connection ends when even its answers do not go out, and nothing of that reaches the
//! router. `docs/PROTOCOL.md` says what is spoken.

mod answers;
mod calls;
mod client;
mod commands;
mod following;
mod mailbox;
pub(crate) mod place;
mod rows;
mod server;
mod watching;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use super::core::Core;
use super::launch_error::LaunchError;
pub(crate) use commands::{Catalogue, MakeCatalogue};
use mailbox::Mailbox;
use place::Place;
use server::Server;

/// The rig's socket, and the thread that serves it. Dropping it ends both.
#[derive(Debug)]
pub(super) struct RigSocket {
    mailbox: Arc<Mailbox>,
    thread: Option<JoinHandle<()>>,
}

impl RigSocket {
    /// Listens at `path`, and serves whoever comes.
    ///
    /// # Errors
    /// [`LaunchError::Socket`] when the socket cannot be made, and what the system refuses else.
    pub(super) fn open(core: Arc<Core>, path: &Path, catalogue: MakeCatalogue) -> Result<Self, LaunchError> {
        let place = Place::take(path)?;
        let mailbox = Arc::new(Mailbox::new()?);
        let system = |errno: rustix::io::Errno| LaunchError::System(io::Error::from(errno));
        let server = Server::new(core, place, catalogue, Arc::clone(&mailbox)).map_err(system)?;
        let thread = thread::Builder::new().name("labrig-socket".to_owned()).spawn(move || server.run());
        Ok(Self { mailbox, thread: Some(thread.map_err(LaunchError::System)?) })
    }
}

impl Drop for RigSocket {
    /// What has been told goes out as far as it can, then the socket goes.
    fn drop(&mut self) {
        self.mailbox.end();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("the socket's thread has panicked");
        }
    }
}

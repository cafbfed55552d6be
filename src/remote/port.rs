//! What stands behind a scope: the router itself in the coordinator, the pipe in a manager.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::slot::Slot;
use super::stream::{StreamError, StreamParts};
use crate::shm::ReadMode;
use crate::wire::{CommandSpec, Header, Refusal};

/// A command on its way out.
#[derive(Debug)]
pub struct Outgoing {
    /// The envelope's header; the port chooses the correlation.
    pub header: Header,
    /// What is known of the command.
    pub spec: &'static CommandSpec,
    /// The encoded command.
    pub payload: Vec<u8>,
    /// Where the answer goes; none for one-way sends.
    pub slot: Option<Arc<Slot>>,
}

/// The way from a scope into the rig.
pub trait Port: Send + Sync {
    /// Offers a command. Returns at once, with the number under which it can be abandoned.
    ///
    /// # Errors
    /// [`Refusal`], when it is known here and now that the command will not run.
    fn submit(&self, outgoing: Outgoing) -> Result<u64, Refusal>;

    /// Waits until the slot is filled or `until` has passed.
    fn wait(&self, slot: &Slot, until: Instant);

    /// Nobody waits for this call any longer: its entry is freed, its answer counted and discarded.
    fn abandon(&self, correlation: u64);

    /// Asks the rig to quit, once.
    fn quit(&self, reason: &str);

    /// Something that was to be kept is lost: it is counted by `what` and told in the run's summary.
    fn report_loss(&self, what: &str, detail: &str);

    /// Whether the rig has a stream of that name that can be read from here.
    ///
    /// # Errors
    /// [`StreamError`], when it cannot.
    fn find_stream(&self, stream: &str) -> Result<(), StreamError>;

    /// Makes another reader of a stream known to its producer.
    ///
    /// # Errors
    /// [`StreamError`], when the stream cannot be read from here.
    fn open_stream(&self, stream: &str, mode: ReadMode) -> Result<StreamParts, StreamError>;

    /// How long a call may take that does not say otherwise.
    fn default_deadline(&self) -> Duration;

    /// The name of a place in a chain of calls.
    fn name_of(&self, who: u16) -> String;
}

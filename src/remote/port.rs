//! What stands behind a scope: the router itself in the coordinator, the pipe in a manager.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::estate::Estate;
use super::signal::SignalPort;
use super::slot::{Need, Slot};
use super::stream::{StreamError, StreamParts};
use crate::shm::ReadMode;
use crate::wire::{CommandSpec, Header, Hop, Progress, Refusal, Undelivered};

/// A command on its way out.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// The envelope's header; the port chooses the correlation.
    pub header: Header,
    /// What is known of the command.
    pub spec: &'static CommandSpec,
    /// The encoded command.
    pub payload: &'a [u8],
    /// Where the news come in; none for one-way sends.
    pub slot: Option<Arc<Slot>>,
}

/// A thread that is about to sleep until there are news of a call.
#[derive(Debug, Clone, Copy)]
pub struct Wait<'a> {
    /// The call, by the number that `submit` gave.
    pub call: u64,
    /// Where its news come in.
    pub slot: &'a Arc<Slot>,
    /// Which are waited for.
    pub need: Need,
    /// Until when.
    pub until: Instant,
    /// Whether the command itself said that its sender waits.
    pub is_announced: bool,
}

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    /// What was needed is there, or its time has passed.
    Over,
    /// The handler that waited is to give up.
    Cancelled,
}

/// Told of one-way commands that were accepted and do not run.
pub type OnUndelivered = Arc<dyn Fn(&Undelivered) + Send + Sync>;

/// The way from a scope into the rig. Calls are named by the number that [`submit`](Self::submit) gave; a call
/// that has ended is named in vain, which is no error.
pub trait Port: SignalPort + Send + Sync {
    /// Offers a command. Returns at once.
    ///
    /// # Errors
    /// [`Refusal`], when it is known here and now that the command will not run.
    fn submit(&self, outgoing: Outgoing<'_>) -> Result<u64, Refusal>;

    /// Sleeps until there is what is waited for, or it is too late. On a thread that runs handlers, the rig is
    /// told of it, and answers with a refusal when it would be for ever.
    fn wait(&self, wait: Wait<'_>) -> Waited;

    /// Somebody wants to be told of the answer without sleeping here for it.
    fn attend(&self, call: u64);

    /// Takes a call back. It still ends once: cancelled, or as its handler ends it.
    fn cancel(&self, call: u64);

    /// From now on the call expires in that time; without one, never.
    fn set_expiry(&self, call: u64, time_left: Option<Duration>);

    /// Nobody waits for this call any longer: its entry is freed, its answer counted and discarded.
    fn abandon(&self, call: u64);

    /// The stream that answers this call has been read so far: that many chunks more are wanted.
    fn grant(&self, call: u64, chunks: u32);

    /// Tells the caller of the command that is being handled, by the number in its envelope, how far it is.
    fn report_progress(&self, call: u64, progress: Progress);

    /// From now on that is told of one-way commands of this process that were accepted and do not run; in the
    /// coordinator, of those of all processes.
    fn on_undelivered(&self, callback: OnUndelivered);

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

    /// What this process has of values, its own and those of others.
    fn estate(&self) -> &Arc<Estate>;

    /// How long a call may take that does not say otherwise.
    fn default_deadline(&self) -> Duration;

    /// A place in a chain of calls in words: `motor: MoveTo`; without a command, nothing was being handled there.
    fn name_of(&self, hop: Hop) -> String;
}

//! Floor 2: calls in flight and replies awaited.
//!
//! A [`Scope`] is the handle from which commands are sent, in the coordinator's process and in every
//! manager; what differs between the two is the [`Port`] behind it.

pub mod addressed;
pub mod any_signal;
#[cfg(feature = "procedures")]
mod by_spec;
pub mod call_error;
pub(crate) mod callbacks;
pub mod cancellations;
mod chain;
pub mod chunks;
mod claim;
mod deadlines;
pub mod deeds;
pub mod estate;
pub mod in_flight;
pub mod keys;
pub mod orders;
pub mod pending_broadcast;
pub mod pending_reply;
pub mod port;
pub mod remote_ref;
pub mod reply_stream;
pub mod report;
pub mod scope;
pub mod self_check;
pub mod settings;
pub mod shared;
pub mod signal;
pub mod slot;
pub mod stream;
pub mod tasks;
#[cfg(test)]
mod tests;
mod waiting;

pub use addressed::Addressed;
pub use any_signal::AnySignal;
pub use call_error::{CallError, CallErrorKind, CallFacts, RemoteError};
pub use cancellations::{Cancellations, Cancelled};
pub use chunks::{ChunkSource, WINDOW, collect_outgoing};
pub use deeds::{ForgetDeeds, MOST_MARKS, WhichHaveEnded, is_about_deeds};
pub use estate::{Estate, MAX_REMOTE_VALUES};
pub use in_flight::InFlight;
pub use keys::StepKeys;
pub use orders::{
    Arm, Armed, CheckScript, OpenSignals, Restart, Restarted, ScriptChecked, SignalsOpened, StopAll,
    StopOutcome, StopReport,
};
pub use pending_broadcast::PendingBroadcast;
pub use pending_reply::PendingReply;
pub use port::{OnUndelivered, Outgoing, Port, Wait, Waited};
pub use remote_ref::{KeepError, Remote, RemoteHandle, RemoteRef, RemoteValue};
pub use reply_stream::ReplyStream;
pub use report::{BroadcastReport, ManagerOutcome};
pub use scope::Scope;
pub use self_check::SelfCheck;
pub use settings::{
    ChangeSettings, ReadSettings, SettingsError, SettingsInForce, SettingsRefusal, SettingsSignals,
    SettingsTold,
};
pub use shared::{
    CounterReader, DatasetReader, Records, Row, RowBatch, RowReader, SharedError, Stopper, TableReader,
    TableRow, TableSnapshot, ValueReader,
};
pub use signal::{Reading, SignalError, SignalPort, SignalReader, SignalSource, region_sizes};
pub use slot::{Answer, Need, Notify, Slot, StreamNews};
pub use stream::{FrameStream, StreamError, StreamParts};
pub use tasks::{
    Declination, Declined, InDoubt, OfferTask, PlaceTask, Placement, Taken, Task, TaskAnswer, TaskError, Whom,
};

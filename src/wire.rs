//! Floor 0: what crosses a process boundary.
//!
//! Commands and their schemas, the envelope in which they travel, the words that coordinator and
//! manager exchange about themselves, and how a handler's failure looks to a far caller. Nothing here
//! does I/O; everything here can be tested on bytes alone.

pub mod attached;
pub mod codec;
pub mod command;
pub mod control;
pub mod ending;
pub mod envelope;
pub mod failure;
pub mod glob;
mod handle;
pub mod idempotency;
pub mod ids;
pub mod inspect;
pub mod message;
pub mod refusal;
pub mod request;
pub mod safe;
pub mod schema;
mod schema_std;
pub mod settings;
pub mod shared;
pub mod signal;

pub use attached::{Attached, Buffer, Handle, HandleId, Parcel};
pub use codec::{CodecId, DecodeError, EncodeError};
pub use command::{
    Audience, Broadcast, Command, CommandSpec, Delivery, DeliveryKind, Direct, OfValue, OneHandler, Overflow,
    ScopeLevel,
};
pub use ending::{BroadcastOutcome, Ending, NotDone, Progress, Undelivered, UndeliveredReason, answer};
pub use envelope::{
    Envelope, EnvelopeError, Header, Hop, Hops, Kind, MAX_ENVELOPE_BYTES, MAX_PAYLOAD_BYTES, Target,
};
pub use failure::{Failure, FailureKind};
pub use glob::{Filter, Glob};
pub use idempotency::IdempotencyKey;
pub use ids::{CommandId, Generation, ManagerName, NameError, Site};
pub use message::{Inbox, MAX_MESSAGE_BYTES, MESSAGE_PROTOCOL, MessageError};
pub use refusal::Refusal;
pub use request::{EventKind, Ordered, Problem, Request, read_request, write_request};
pub use safe::{SafeEntry, SafeReason};
pub use schema::{Definition, Field, Node, Schema, SchemaBuilder, Shape, TypeSchema, Variant};
pub use settings::Settings;
pub use shared::{Column, MAX_SHARED_WORDS, SharedKind, SharedLayout, SharedSpec};
pub use signal::{MAX_SIGNAL_VALUES, Placed, SignalValue, Signals};

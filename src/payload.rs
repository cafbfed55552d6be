//! Floor 2: values that are large, for commands and replies.
//!
//! Lists, arrays, tables and camera images that travel in shared memory instead of through a pipe, and payloads whose
//! codec is only known by its name. All of them are values like any other: a command has them as fields. What is small
//! travels among the bytes of its envelope. Nothing is compressed: memory that both sides have costs nothing to pass on.
//!
//! Promises: at most one copy at the sender (none out of a [`Loan`]) and none at the receiver; what comes is not believed:
//! shapes, lengths, sizes and seals are checked before anything is mapped or made, and reading runs no code of the
//! sender's.

mod array;
mod codecs;
mod frame_copy;
#[cfg(feature = "ndarray")]
mod nd;
mod strided;
mod table;

pub use array::{Array, Order, ShapeError};
pub use codecs::{ByType, Codec, CodecError, CodecRegistry, Payload};
pub use frame_copy::FrameCopy;
pub use strided::ArrayView;
pub use table::{Column, Table, TableError, Values};

pub use crate::shm::{Complex, Element, Loan, Shared};

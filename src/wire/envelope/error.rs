//! Why bytes are not an envelope.

use super::{MAX_BUFFERS, MAX_CHAIN, MAX_ENVELOPE_BYTES, MAX_HANDLES, PROTOCOL_VERSION};

/// Why bytes are not an envelope. The peer that sent them is not believed any further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// The bytes end within the header.
    #[error("torn envelope: {bytes} bytes end within the header")]
    Torn {
        /// How many bytes there were.
        bytes: usize,
    },
    /// The packet is larger than any envelope.
    #[error("oversized envelope: more than {MAX_ENVELOPE_BYTES} bytes")]
    Oversized,
    /// Another layout.
    #[error("envelope of protocol version {found}, expected {PROTOCOL_VERSION}")]
    Version {
        /// The version found.
        found: u8,
    },
    /// No such kind.
    #[error("malformed envelope: no kind has number {found}")]
    Kind {
        /// The number found.
        found: u8,
    },
    /// No such codec.
    #[error("malformed envelope: no codec has number {found}, known are postcard (0) and json (1)")]
    Codec {
        /// The number found.
        found: u8,
    },
    /// The chain of calls is longer than allowed.
    #[error("nested too deep: a chain of {found} calls, {MAX_CHAIN} is the limit")]
    TooDeep {
        /// The length found.
        found: u8,
    },
    /// More travels beside the payload than one envelope carries.
    #[error(
        "malformed envelope: {handles} handles and {buffers} buffers, {MAX_HANDLES} and {MAX_BUFFERS} are the limits"
    )]
    TooMuchAttached {
        /// How many handles are announced.
        handles: u8,
        /// How many buffers are announced.
        buffers: u8,
    },
    /// Other descriptors came with the packet than its header says.
    #[error("malformed envelope: {announced} buffers are announced, {found} came")]
    Buffers {
        /// How many the header says.
        announced: u8,
        /// How many came.
        found: usize,
    },
    /// The target's name, or that of a key's procedure, is not text.
    #[error("malformed envelope: a name is not text")]
    Name,
    /// A control or answer payload that is not what its kind says.
    #[error("malformed payload: {reason}")]
    Payload {
        /// What the codec said.
        reason: String,
    },
}

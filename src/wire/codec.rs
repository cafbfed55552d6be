//! Payload codecs and their guards.
//!
//! Postcard trusts its input more than a coordinator may: it accepts trailing bytes, follows nesting
//! as deep as the bytes say and lets a claimed length reserve memory. [`from_postcard`] therefore walks
//! the bytes along the type's schema first, wherever the type has lists, maps or recursion, and demands
//! that every byte is used.

use std::borrow::Cow;
use std::cell::Cell;

use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::attached::{self, Attached, Parcel};
use super::inspect;
use super::schema::TypeSchema;

/// How deep values may nest.
pub const MAX_DEPTH: usize = 64;

/// Room for most values without growing.
const FIRST_ROOM: usize = 64;
/// How much memory a thread keeps for writing values, in bytes.
const MOST_LENT: usize = 64 * 1024;

/// Which codec wrote a payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum CodecId {
    /// Between Rust parties: compact and positional.
    Postcard,
    /// From terminals and scripts: fields by name.
    Json,
}

impl CodecId {
    /// The number in an envelope's header.
    pub fn number(self) -> u8 {
        match self {
            Self::Postcard => 0,
            Self::Json => 1,
        }
    }

    /// The codec of that number.
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Postcard),
            1 => Some(Self::Json),
            _ => None,
        }
    }
}

/// Why a value could not be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot encode: {reason}")]
pub struct EncodeError {
    /// What the codec said.
    pub reason: String,
}

/// Why bytes are not a value of the expected type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end too early, or hold a value that the type does not have.
    #[error("bytes are not a `{expected}`: {reason}")]
    Malformed {
        /// The type that was expected.
        expected: String,
        /// What the codec said.
        reason: String,
    },
    /// Bytes are left over after the value.
    #[error("{left} bytes left over after a `{expected}`")]
    Trailing {
        /// The type that was expected.
        expected: String,
        /// How many.
        left: usize,
    },
    /// A length claims more elements than bytes could hold.
    #[error("a list in a `{expected}` claims {claimed} elements with {left} bytes left")]
    ClaimedTooMuch {
        /// The type that was expected.
        expected: String,
        /// The claimed count.
        claimed: u64,
        /// The bytes that are left.
        left: usize,
    },
    /// Values nest too deep.
    #[error("a `{expected}` nests deeper than {MAX_DEPTH}")]
    TooDeep {
        /// The type that was expected.
        expected: String,
    },
}

thread_local! {
    /// Why a value's own serialisation has failed last.
    static REASON: Cell<Option<Cow<'static, str>>> = const { Cell::new(None) };
    /// Memory for values that are written and not kept.
    static LENT: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Notes why a value refuses to be written or read, for `custom` errors: postcard keeps no words of them.
pub(crate) fn because(reason: impl Into<Cow<'static, str>>) -> Cow<'static, str> {
    let reason = reason.into();
    REASON.set(Some(reason.clone()));
    reason
}

/// What postcard has to say, or the value itself.
fn in_words(error: &postcard::Error) -> String {
    REASON.take().map_or_else(|| error.to_string(), Cow::into_owned)
}

/// What JSON has to say, which keeps the value's own words.
fn in_own_words(error: &serde_json::Error) -> String {
    REASON.take();
    error.to_string()
}

/// Writes a value by postcard.
///
/// # Errors
/// [`EncodeError`] when the value's own serialisation fails.
pub fn to_postcard<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, EncodeError> {
    // Of a value without size nothing is written.
    let mut bytes = Vec::with_capacity(if size_of_val(value) == 0 { 0 } else { FIRST_ROOM });
    write_postcard(value, &mut bytes)?;
    Ok(bytes)
}

/// Writes a value by postcard and lends its bytes, whose memory is this thread's and used again, with what is to travel
/// beside them.
pub(crate) fn lend_postcard<T: Serialize + ?Sized, X>(
    value: &T,
    read: impl FnOnce(Result<&[u8], EncodeError>, Option<Box<Attached>>) -> X,
) -> X {
    // Nothing is left there while a value is written that writes others.
    let mut bytes = LENT.take();
    bytes.clear();
    let (written, attached) = attached::gathering(|| write_postcard(value, &mut bytes));
    let outcome = read(written.map(|()| bytes.as_slice()), attached);
    if bytes.capacity() <= MOST_LENT {
        LENT.set(bytes);
    }
    outcome
}

fn write_postcard<T: Serialize + ?Sized>(value: &T, bytes: &mut Vec<u8>) -> Result<(), EncodeError> {
    let written = postcard::serialize_with_flavor(value, Appended(bytes));
    written.map_err(|error| EncodeError { reason: in_words(&error) })
}

/// Where postcard writes to: behind what is there.
struct Appended<'a>(&'a mut Vec<u8>);

impl Flavor for Appended<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// Reads a value that postcard wrote. All bytes are used, depth is bounded, and memory is only reserved
/// for what the bytes can hold.
///
/// # Errors
/// [`DecodeError`], naming the type that was expected.
pub fn from_postcard<T: DeserializeOwned>(bytes: &[u8], schema: &TypeSchema) -> Result<T, DecodeError> {
    if schema.guarded {
        inspect::guard(bytes, schema)?;
    }
    let expected = || schema.root.describe();
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, left)) => Err(DecodeError::Trailing { expected: expected(), left: left.len() }),
        Err(error) => Err(DecodeError::Malformed { expected: expected(), reason: in_words(&error) }),
    }
}

/// Writes a value as JSON.
///
/// # Errors
/// [`EncodeError`] when the value's own serialisation fails.
pub fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, EncodeError> {
    serde_json::to_vec(value).map_err(|error| EncodeError { reason: in_own_words(&error) })
}

/// Reads a value from JSON. Nesting is bounded by the reader, and nothing may follow the value.
///
/// # Errors
/// [`DecodeError::Malformed`], naming the type that was expected.
pub fn from_json<T: DeserializeOwned>(bytes: &[u8], schema: &TypeSchema) -> Result<T, DecodeError> {
    serde_json::from_slice(bytes).map_err(|error| DecodeError::Malformed {
        expected: schema.root.describe(),
        reason: in_own_words(&error),
    })
}

/// Writes a value by the codec named, with what is to travel beside it.
///
/// # Errors
/// [`EncodeError`] when the value's own serialisation fails.
pub fn pack<T: Serialize + ?Sized>(value: &T, codec: CodecId) -> Result<Parcel, EncodeError> {
    let (bytes, attached) = attached::gathering(|| encode(value, codec));
    Ok(Parcel { bytes: bytes?, attached })
}

/// Reads a value by the codec named, with what came beside it.
///
/// # Errors
/// [`DecodeError`], naming the type that was expected.
pub fn unpack<T: DeserializeOwned>(
    bytes: &[u8],
    attached: Option<&Attached>,
    codec: CodecId,
    schema: &TypeSchema,
) -> Result<T, DecodeError> {
    attached::offering(attached, || decode(bytes, codec, schema))
}

/// Writes a value by the codec named.
///
/// # Errors
/// [`EncodeError`] when the value's own serialisation fails.
pub fn encode<T: Serialize + ?Sized>(value: &T, codec: CodecId) -> Result<Vec<u8>, EncodeError> {
    match codec {
        CodecId::Postcard => to_postcard(value),
        CodecId::Json => to_json(value),
    }
}

/// Reads a value by the codec named.
///
/// # Errors
/// [`DecodeError`], naming the type that was expected.
pub fn decode<T: DeserializeOwned>(
    bytes: &[u8],
    codec: CodecId,
    schema: &TypeSchema,
) -> Result<T, DecodeError> {
    match codec {
        CodecId::Postcard => from_postcard(bytes, schema),
        CodecId::Json => from_json(bytes, schema),
    }
}

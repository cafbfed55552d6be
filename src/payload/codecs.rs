//! Values whose type is only known by name where they are read: payloads, and the codecs that write and read them.
//!
//! Most commands need none of this: their types say what they hold. It is for those that carry anything, such as what a
//! recorder files or a script looks at. A codec is found by its name, which travels with the payload; it never looks into what
//! was not written by itself, and runs no code that came along.

use std::any::{Any, TypeId, type_name};
use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::array::Array;
use super::frame_copy::FrameCopy;
use super::table::Table;
use crate::shm::{Complex, Element, Shared};
use crate::wire::{CodecId, Parcel, Schema, TypeSchema, codec};

/// A value with the name of the codec that wrote it; what is large in it travels in shared memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, labrig::Schema)]
pub struct Payload {
    /// Which codec.
    pub codec: String,
    /// What it wrote, and the buffers that go with it.
    pub body: Parcel,
}

/// Why a value was not written or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// No codec has that name.
    #[error("no codec is called `{name}`; known are {known:?}")]
    Unknown {
        /// The name.
        name: String,
        /// Those that there are, in order.
        known: Vec<String>,
    },
    /// A codec has that name already.
    #[error("two codecs are called `{name}`")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// The codec, or none of those that were asked, writes values of that type.
    #[error("a `{type_name}` is written by none of the codecs {asked:?}")]
    NotWritten {
        /// The type.
        type_name: String,
        /// Those that were asked.
        asked: Vec<String>,
    },
    /// What was read is a value of another type.
    #[error("the codec `{codec}` has read something else than a `{expected}`")]
    OtherType {
        /// Which codec.
        codec: String,
        /// The type that was expected.
        expected: String,
    },
    /// What was written, or is to be read, is not what the codec knows.
    #[error("the codec `{codec}`: {reason}")]
    Failed {
        /// Which codec.
        codec: String,
        /// What it says.
        reason: String,
    },
}

impl CodecError {
    /// The codec of that name says why it cannot.
    pub fn failed(codec: &str, reason: impl fmt::Display) -> Self {
        Self::Failed { codec: codec.to_owned(), reason: reason.to_string() }
    }
}

/// Writes and reads values of some types, by its name.
pub trait Codec: Send + Sync {
    /// Its name.
    fn name(&self) -> &str;

    /// Writes a value, when it is of a type that it knows.
    ///
    /// # Errors
    /// [`CodecError`], when a value of such a type cannot be written.
    fn encode(&self, value: &dyn Any) -> Option<Result<Parcel, CodecError>>;

    /// Reads what it has written, or somebody says that it has: nothing of it is to be believed.
    ///
    /// # Errors
    /// [`CodecError`], when it is no value that it knows.
    fn decode(&self, body: &Parcel) -> Result<Box<dyn Any + Send>, CodecError>;
}

/// Codecs by their names, in the order in which they are asked to write a value: `postcard`, `json`, `bytes`, `ndarray`,
/// `table`, `frame`, and behind them whatever is added.
///
/// ```
/// use labrig::payload::{Array, CodecRegistry};
///
/// let codecs = CodecRegistry::new();
/// let image = Array::new([2, 2], vec![1.0_f32, 2.0, 3.0, 4.0])?;
/// let payload = codecs.encode(&image)?;
/// assert_eq!(payload.codec, "ndarray");
/// assert_eq!(codecs.decode::<Array<f32>>(&payload)?, image);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct CodecRegistry {
    codecs: Vec<Box<dyn Codec>>,
}

impl Default for CodecRegistry {
    fn default() -> Self {
        let codecs: Vec<Box<dyn Codec>> = vec![
            Box::new(ByType::new("postcard", CodecId::Postcard)),
            Box::new(ByType::new("json", CodecId::Json)),
            Box::new(ByType::new("bytes", CodecId::Postcard).knowing::<Shared<u8>>().knowing::<Vec<u8>>()),
            Box::new(arrays()),
            Box::new(ByType::new("table", CodecId::Postcard).knowing::<Table>()),
            Box::new(ByType::new("frame", CodecId::Postcard).knowing::<FrameCopy>()),
        ];
        Self { codecs }
    }
}

impl CodecRegistry {
    /// labrig's own codecs. `postcard` and `json` know no type yet: see [`with`](Self::with).
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a codec behind those that there are.
    ///
    /// # Errors
    /// [`CodecError::Duplicate`], when one of that name is there; it stays.
    pub fn register(&mut self, codec: impl Codec + 'static) -> Result<(), CodecError> {
        if self.names().any(|name| name == codec.name()) {
            return Err(CodecError::Duplicate { name: codec.name().to_owned() });
        }
        self.codecs.push(Box::new(codec));
        Ok(())
    }

    /// The registry whose `postcard` and `json` are these, which know the types that values may have.
    ///
    /// ```
    /// use labrig::payload::{ByType, CodecRegistry};
    /// use labrig::prelude::*;
    ///
    /// #[derive(Serialize, Deserialize, Schema, Debug, PartialEq)]
    /// struct Spot {
    ///     x: f64,
    ///     y: f64,
    /// }
    ///
    /// let codecs = CodecRegistry::new().with(ByType::postcard().knowing::<Spot>());
    /// let payload = codecs.encode(&Spot { x: 1.0, y: 2.0 })?;
    /// assert_eq!(codecs.decode::<Spot>(&payload)?.y, 2.0);
    /// # Ok::<(), labrig::payload::CodecError>(())
    /// ```
    pub fn with(mut self, codec: ByType) -> Self {
        match self.codecs.iter_mut().find(|other| other.name() == codec.name) {
            Some(other) => *other = Box::new(codec),
            None => self.codecs.push(Box::new(codec)),
        }
        self
    }

    /// The names of the codecs, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.codecs.iter().map(|codec| codec.name())
    }

    /// Writes a value by the first codec that knows its type.
    ///
    /// # Errors
    /// [`CodecError::NotWritten`] when none does, or what the codec says.
    pub fn encode<T: Any>(&self, value: &T) -> Result<Payload, CodecError> {
        let written = self.codecs.iter().find_map(|codec| Some((codec.name(), codec.encode(value)?)));
        let (name, body) = written.ok_or_else(|| self.not_written::<T>(self.owned_names()))?;
        Ok(Payload { codec: name.to_owned(), body: body? })
    }

    /// Writes a value by the codec of that name.
    ///
    /// # Errors
    /// [`CodecError::Unknown`], [`CodecError::NotWritten`], or what the codec says.
    pub fn encode_by<T: Any>(&self, name: &str, value: &T) -> Result<Payload, CodecError> {
        let written = self.find(name)?.encode(value);
        let body = written.ok_or_else(|| self.not_written::<T>(vec![name.to_owned()]))??;
        Ok(Payload { codec: name.to_owned(), body })
    }

    /// Reads a value of that type by the codec that the payload names.
    ///
    /// # Errors
    /// [`CodecError::Unknown`], [`CodecError::OtherType`], or what the codec says.
    pub fn decode<T: Any>(&self, payload: &Payload) -> Result<T, CodecError> {
        let value = self.decode_any(payload)?.downcast::<T>();
        value.map(|value| *value).map_err(|_| {
            let expected = type_name::<T>().to_owned();
            CodecError::OtherType { codec: payload.codec.clone(), expected }
        })
    }

    /// Reads a value, whatever its type is.
    ///
    /// # Errors
    /// [`CodecError::Unknown`], or what the codec says.
    pub fn decode_any(&self, payload: &Payload) -> Result<Box<dyn Any + Send>, CodecError> {
        self.find(&payload.codec)?.decode(&payload.body)
    }

    fn find(&self, name: &str) -> Result<&dyn Codec, CodecError> {
        let found = self.codecs.iter().find(|codec| codec.name() == name);
        let unknown = || CodecError::Unknown { name: name.to_owned(), known: self.owned_names() };
        found.map(|codec| &**codec).ok_or_else(unknown)
    }

    fn owned_names(&self) -> Vec<String> {
        self.names().map(str::to_owned).collect()
    }

    fn not_written<T>(&self, asked: Vec<String>) -> CodecError {
        CodecError::NotWritten { type_name: type_name::<T>().to_owned(), asked }
    }
}

impl fmt::Debug for CodecRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

/// A codec of values whose types it was told of; which one it is stands before the value, by its fingerprint.
pub struct ByType {
    name: &'static str,
    by: CodecId,
    types: Vec<KnownType>,
}

type Write = fn(&dyn Any, CodecId) -> Option<Result<Parcel, codec::EncodeError>>;
type Read = fn(&Parcel, CodecId) -> Result<Box<dyn Any + Send>, codec::DecodeError>;

struct KnownType {
    id: TypeId,
    fingerprint: u64,
    write: Write,
    read: Read,
}

impl ByType {
    fn new(name: &'static str, by: CodecId) -> Self {
        Self { name, by, types: Vec::new() }
    }

    /// The codec `postcard`: compact, for Rust parties.
    pub fn postcard() -> Self {
        Self::new("postcard", CodecId::Postcard)
    }

    /// The codec `json`: fields by name, and everything among the bytes.
    pub fn json() -> Self {
        Self::new("json", CodecId::Json)
    }

    /// The codec that knows this type too.
    pub fn knowing<T: Serialize + DeserializeOwned + Schema + Any + Send>(mut self) -> Self {
        let (id, fingerprint) = (TypeId::of::<T>(), TypeSchema::known::<T>().fingerprint());
        let write: Write = |value, by| Some(codec::pack(value.downcast_ref::<T>()?, by));
        let read: Read = |body, by| {
            let attached = body.attached.as_deref();
            codec::unpack::<T>(body, attached, by, TypeSchema::known::<T>()).map(|value| Box::new(value) as _)
        };
        self.types.push(KnownType { id, fingerprint, write, read });
        self
    }
}

impl Codec for ByType {
    fn name(&self) -> &str {
        self.name
    }

    fn encode(&self, value: &dyn Any) -> Option<Result<Parcel, CodecError>> {
        let known = self.types.iter().find(|known| known.id == value.type_id())?;
        let written = (known.write)(value, self.by)?.map(|mut body| {
            body.bytes.splice(..0, known.fingerprint.to_le_bytes());
            body
        });
        Some(written.map_err(|error| CodecError::failed(self.name, error)))
    }

    fn decode(&self, body: &Parcel) -> Result<Box<dyn Any + Send>, CodecError> {
        let (fingerprint, bytes) = body.split_first_chunk::<8>().ok_or_else(|| {
            CodecError::failed(self.name, "the payload ends within the fingerprint of its type")
        })?;
        let fingerprint = u64::from_le_bytes(*fingerprint);
        let known = self.types.iter().find(|known| known.fingerprint == fingerprint);
        let unknown = || {
            let reason = format!("no type with the fingerprint {fingerprint:016x} is known");
            CodecError::failed(self.name, reason)
        };
        let body = Parcel { bytes: bytes.to_vec(), attached: body.attached.clone() };
        (known.ok_or_else(unknown)?.read)(&body, self.by)
            .map_err(|error| CodecError::failed(self.name, error))
    }
}

fn arrays() -> ByType {
    fn array<T: Element>(codec: ByType) -> ByType {
        codec.knowing::<Array<T>>()
    }
    let codec = ByType::new("ndarray", CodecId::Postcard);
    let codec = array::<u64>(array::<u32>(array::<u16>(array::<u8>(codec))));
    let codec = array::<i64>(array::<i32>(array::<i16>(array::<i8>(codec))));
    array::<Complex<f64>>(array::<Complex<f32>>(array::<f64>(array::<f32>(codec))))
}

#[cfg(test)]
mod tests;

//! What travels beside a payload: handles to far values, buffers in shared memory, and the key of a command.
//!
//! A value's serialisation knows nothing of the envelope that it goes into. So the place where it leaves what is to
//! travel beside its bytes is the thread's, and is open only while a command, a reply or an item of a stream is written;
//! in the same way what came beside one is within reach only while that is read. Anywhere else (a log, a config, a
//! file) such a value refuses to be written or read.

use std::cell::RefCell;
use std::fmt;
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::thread::LocalKey;

use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Error as _, Serialize, Serializer};

use super::codec::because;
pub use super::handle::Handle;
use super::idempotency::IdempotencyKey;
use super::ids::Generation;
use super::schema::{Node, Schema, SchemaBuilder};

/// How many handles one envelope carries.
pub const MAX_HANDLES: usize = 64;

/// How many buffers one envelope carries.
pub const MAX_BUFFERS: usize = 16;

/// A value in some process of the rig, of which there is never another with the same id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct HandleId {
    /// The place of the process that has it in the rig's list of managers; [`Hop::SCOPE`](super::Hop::SCOPE) for the
    /// coordinator's.
    pub owner: u16,
    /// Which life of it.
    pub generation: Generation,
    /// Its key there, which is never used again.
    pub key: u64,
}

/// Shared memory on its way, by its descriptor. Whoever maps it looks first at what it is; two are the same when they
/// came as one.
#[derive(Clone, Debug)]
pub struct Buffer(Arc<OwnedFd>);

impl Buffer {
    /// The memory behind a descriptor.
    pub fn new(descriptor: OwnedFd) -> Self {
        Self(Arc::new(descriptor))
    }
}

impl AsFd for Buffer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl PartialEq for Buffer {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Buffer {}

/// What travels beside the payload of one envelope, each by its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attached {
    /// Handles to far values.
    pub handles: Vec<Handle>,
    /// Shared memory.
    pub buffers: Vec<Buffer>,
    /// The key of a command that is journaled, when a step of a procedure has issued it.
    pub key: Option<Box<IdempotencyKey>>,
}

impl Attached {
    /// The same, or nothing when it is empty: what most envelopes carry costs no memory.
    pub fn boxed(self) -> Option<Box<Self>> {
        let is_empty = self.handles.is_empty() && self.buffers.is_empty() && self.key.is_none();
        (!is_empty).then(|| Box::new(self))
    }
}

/// Bytes and what travels beside them: a payload, or a whole envelope.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Parcel {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// What travels beside them.
    pub attached: Option<Box<Attached>>,
}

impl Parcel {
    /// The buffers among what travels beside the bytes.
    pub fn buffers(&self) -> &[Buffer] {
        self.attached.as_ref().map_or(&[], |attached| &attached.buffers)
    }
}

impl From<Vec<u8>> for Parcel {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, attached: None }
    }
}

impl Deref for Parcel {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for Parcel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_list();
        shown.entries(&self.bytes);
        self.attached.iter().for_each(|attached| {
            shown.entry(attached);
        });
        shown.finish()
    }
}

/// A parcel in another: what travels beside it travels beside the whole.
impl Serialize for Parcel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Attached { handles, buffers, .. } = self.attached.as_deref().unwrap_or(&NOTHING);
        let handles: Result<Vec<u32>, _> =
            handles.iter().map(|handle| attach_handle(handle.clone())).collect();
        let buffers: Result<Vec<u32>, _> =
            buffers.iter().map(|buffer| attach_buffer(buffer.clone())).collect();
        let fail = |why| S::Error::custom(because(why));
        (&self.bytes, handles.map_err(fail)?, buffers.map_err(fail)?).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Parcel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (bytes, handles, buffers) = <(Vec<u8>, Vec<u32>, Vec<u32>)>::deserialize(deserializer)?;
        let handles: Result<_, _> = handles.into_iter().map(offered_handle).collect();
        let buffers: Result<_, _> = buffers.into_iter().map(offered_buffer).collect();
        let fail = |why| D::Error::custom(because(why));
        let attached =
            Attached { handles: handles.map_err(fail)?, buffers: buffers.map_err(fail)?, key: None };
        Ok(Self { bytes, attached: attached.boxed() })
    }
}

#[diagnostic::do_not_recommend]
impl Schema for Parcel {
    fn schema(builder: &mut SchemaBuilder) -> Node {
        <(Vec<u8>, Vec<u32>, Vec<u32>)>::schema(builder)
    }
}

static NOTHING: Attached = Attached { handles: Vec::new(), buffers: Vec::new(), key: None };

/// What travels beside a value, where that is being written or read; most often nothing does, which costs no memory.
type Place = Option<Option<Box<Attached>>>;

thread_local! {
    /// What is to travel beside the value that is being written; none while none is.
    static GATHERED: RefCell<Place> = const { RefCell::new(None) };
    /// What came beside the value that is being read; none while none is.
    static OFFERED: RefCell<Place> = const { RefCell::new(None) };
}

/// Puts back what was in place before, also when whoever writes or reads panics.
struct Before(&'static LocalKey<RefCell<Place>>, Place);

impl Drop for Before {
    fn drop(&mut self) {
        drop(self.0.replace(self.1.take()));
    }
}

/// Writes a value, and gives what is to travel beside its bytes.
pub fn gathering<X>(write: impl FnOnce() -> X) -> (X, Option<Box<Attached>>) {
    let _before = Before(&GATHERED, GATHERED.replace(Some(None)));
    let written = write();
    (written, GATHERED.take().flatten())
}

/// Reads a value, with what came beside its bytes within reach.
pub fn offering<X>(attached: Option<&Attached>, read: impl FnOnce() -> X) -> X {
    let _before = Before(&OFFERED, OFFERED.replace(Some(attached.cloned().map(Box::new))));
    read()
}

/// Lets a handle travel beside the value that is being written, and says at which place.
///
/// # Errors
/// Why that is not possible, in words.
pub fn attach_handle(handle: impl Into<Handle>) -> Result<u32, &'static str> {
    GATHERED.with_borrow_mut(|gathered| {
        let gathered = gathered
            .as_mut()
            .ok_or("a handle can only travel in a command, its reply or a reply stream")?
            .get_or_insert_default();
        attach(&mut gathered.handles, handle.into(), MAX_HANDLES, "one envelope carries at most 64 handles")
    })
}

/// Lets a buffer travel beside the value that is being written, and says at which place. One that is there already
/// travels once.
///
/// # Errors
/// Why that is not possible, in words.
pub fn attach_buffer(buffer: Buffer) -> Result<u32, &'static str> {
    GATHERED.with_borrow_mut(|gathered| {
        let gathered = gathered
            .as_mut()
            .ok_or("a shared buffer can only travel in a command, its reply or a reply stream")?
            .get_or_insert_default();
        if let Some(at) = gathered.buffers.iter().position(|other| *other == buffer) {
            return Ok(at as u32);
        }
        attach(&mut gathered.buffers, buffer, MAX_BUFFERS, "one envelope carries at most 16 shared buffers")
    })
}

fn attach<T>(list: &mut Vec<T>, item: T, most: usize, why: &'static str) -> Result<u32, &'static str> {
    let at = list.len();
    if at >= most {
        return Err(why);
    }
    list.push(item);
    Ok(at as u32)
}

/// The handle at that place beside the value that is being read.
///
/// # Errors
/// Why there is none, in words.
pub fn offered_handle(at: u32) -> Result<Handle, &'static str> {
    OFFERED.with_borrow(|offered| {
        let offered = offered
            .as_ref()
            .ok_or("a handle can only be read from a command, its reply or a reply stream")?;
        let offered = offered.as_deref().unwrap_or(&NOTHING);
        offered.handles.get(at as usize).cloned().ok_or("a handle is named that did not come with it")
    })
}

/// The buffer at that place beside the value that is being read.
///
/// # Errors
/// Why there is none, in words.
pub fn offered_buffer(at: u32) -> Result<Buffer, &'static str> {
    OFFERED.with_borrow(|offered| {
        let offered = offered
            .as_ref()
            .ok_or("a shared buffer can only be read from a command, its reply or a reply stream")?;
        let offered = offered.as_deref().unwrap_or(&NOTHING);
        offered.buffers.get(at as usize).cloned().ok_or("a shared buffer is named that did not come with it")
    })
}

#[cfg(test)]
mod tests;

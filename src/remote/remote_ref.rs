//! Handles to values that stay where they are: their methods run there.

use std::any::Any;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::call_error::CallError;
use super::estate::{Estate, Held};
use super::pending_reply::PendingReply;
use super::scope::Scope;
use crate::wire::attached::{self, Handle};
use crate::wire::codec::because;
use crate::wire::schema::short_path;
use crate::wire::{Command, CommandId, HandleId, Hop, Node, OfValue, Refusal, Schema, SchemaBuilder, Shape};

/// A type whose values can be used from other processes: write `#[remote]` on the block with the methods that may be.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no methods that can be called from elsewhere",
    label = "this type cannot be had by a handle",
    note = "write `#[remote]` above `impl {Self} {{ … }}`, the block with the methods that may be called"
)]
pub trait RemoteValue: Send + Sized + 'static {
    /// Its methods as a far caller sees them.
    type Proxy: RemoteProxy;
    /// The type's name.
    const NAME: &'static str;
    /// The type's path.
    const PATH: &'static str;
    /// A number over its path and its methods.
    fn fingerprint() -> u64;
    /// Whether a value wants to know who holds it.
    fn has_hooks() -> bool;
}

/// The methods of a far value, as `#[remote]` writes them.
pub trait RemoteProxy: Send + Sync + 'static {
    /// The methods of that value.
    fn over(handle: RemoteHandle) -> Self;
    /// Which value.
    fn handle(&self) -> &RemoteHandle;
}

/// A method of a value, as a command of its arguments.
pub trait RemoteCommand: Command<Delivery = OfValue> {
    /// Whether it changes the value.
    const WRITES: bool;
}

/// The fingerprint of a type with these methods.
pub fn fingerprint_of(path: &str, methods: &[CommandId]) -> u64 {
    let bytes = path.bytes().chain(methods.iter().flat_map(|method| method.0.to_le_bytes()));
    // FNV-1a, as for schemas.
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// A value that is to stay in this process, on its way out of a handler: the caller gets a handle to it.
///
/// A handler returns it, alone or in a `Result`, where its command declares `#[command(reply = RemoteRef<T>)]`.
#[derive(Debug)]
pub struct Remote<T>(pub(crate) T);

impl<T: RemoteValue> Remote<T> {
    /// Leaves the value here for whoever gets the handle.
    pub fn new(value: T) -> Self {
        Self(value)
    }
}

/// Why a value cannot be kept for others.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize, labrig::Schema)]
#[non_exhaustive]
pub enum KeepError {
    /// Handles to so many values of this process are held already that something must be leaking: of the type named
    /// there are most. The config's `max_remote_values` is the limit.
    #[error("{limit} remote values are held already, {count} of them of the type `{most}`")]
    TooMany {
        /// How many may be.
        limit: u32,
        /// The type with the most values.
        most: String,
        /// How many of it there are.
        count: usize,
    },
    /// There is no rig here in which anybody could use it.
    #[error("there is no rig here in which a value could be used by others")]
    NoRig,
}

/// A handle to a value that may be in another process, whose methods are called as if it were here.
///
/// Each of them is visibly remote: it returns a `Result` with [`CallError`], and has a twin, `start_…`, that does not wait.
/// Handles are cheap to clone, travel in any command, reply or error, and are equal when they mean the same value. The value
/// is dropped when nobody has a handle to it any longer, wherever that was. After a restart of the process that had it,
/// its methods end as refused with [`Refusal::StaleHandle`].
///
/// ```no_run
/// use std::time::Duration;
///
/// use labrig::prelude::*;
///
/// pub struct LookupTable {
///     heights: Vec<f64>,
/// }
///
/// #[remote]
/// impl LookupTable {
///     /// The height at that brightness.
///     fn height(&self, brightness: f64) -> Option<f64> {
///         self.heights.get(brightness as usize).copied()
///     }
///
///     /// Adds a height. Handles that are read-only refuse it.
///     #[remote(write)]
///     fn append(&mut self, height: f64) {
///         self.heights.push(height);
///     }
/// }
///
/// /// Loads a table, which stays where it was loaded.
/// #[derive(Command, Serialize, Deserialize, Schema)]
/// #[command(reply = RemoteRef<LookupTable>)]
/// struct LoadTable {}
///
/// # struct Tracker;
/// # impl Manager for Tracker {
/// #     type Config = ();
/// #     fn setup(_: (), _: &mut Context) -> Result<Self, SetupError> {
/// #         Ok(Self)
/// #     }
/// # }
/// #[manager(kind = "tracking")]
/// impl Tracker {
///     #[ipc_command]
///     fn load_table(&mut self, _: LoadTable) -> Remote<LookupTable> {
///         Remote::new(LookupTable { heights: vec![0.0, 0.5] })
///     }
/// }
///
/// fn example(scope: &Scope) -> Result<(), CallError> {
///     let table = scope.call(LoadTable {})?;
///     table.append(1.5)?;
///     let pending = table.start_height(2.0)?;
///     assert_eq!(pending.wait(Duration::from_secs(5))?, Some(1.5));
///     Ok(())
/// }
/// ```
pub struct RemoteRef<T: RemoteValue> {
    proxy: T::Proxy,
}

/// Which value a handle means, and what may be done with it: what the methods of a proxy are called through.
#[derive(Clone)]
pub struct RemoteHandle {
    held: Arc<Held>,
    is_read_only: bool,
    type_name: &'static str,
}

impl RemoteHandle {
    fn new<T: RemoteValue>(held: Arc<Held>, is_read_only: bool) -> Self {
        Self { held, is_read_only, type_name: T::NAME }
    }

    /// Calls a method, and waits for its answer for as long as it may take.
    ///
    /// # Errors
    /// Any [`CallError`].
    pub fn call<C: RemoteCommand>(&self, method: C) -> Result<C::Reply, CallError> {
        self.check::<C>()?;
        self.scope()?.call_method(self, &method)
    }

    /// Calls a method without waiting for it.
    ///
    /// # Errors
    /// [`Refusal`], when it is known at once that it will not run.
    pub fn start<C: RemoteCommand>(&self, method: C) -> Result<PendingReply<C::Reply>, Refusal> {
        self.check::<C>()?;
        self.scope()?.request_method(self, &method)
    }

    fn check<C: RemoteCommand>(&self) -> Result<(), Refusal> {
        match self.is_read_only && C::WRITES {
            true => {
                Err(Refusal::ReadOnlyHandle { handle: self.to_string(), command: C::spec().name.clone() })
            }
            false => Ok(()),
        }
    }

    fn scope(&self) -> Result<Scope, Refusal> {
        self.held.estate.port().map(Scope::of_this_thread).ok_or(Refusal::Closed)
    }

    pub(super) fn id(&self) -> HandleId {
        if self.is_read_only { self.held.id.read_only() } else { self.held.id }
    }

    /// The handle on its way, with what keeps its value alive here.
    pub(super) fn passing(&self) -> Handle {
        let keeper: Arc<dyn Any + Send + Sync> = self.held.clone();
        Handle { id: self.id(), keeper: Some(keeper) }
    }

    /// Who has the value.
    fn owner(&self) -> String {
        let hop = Hop { who: self.held.id.owner, command: CommandId(0) };
        self.held.estate.port().map_or_else(|| hop.in_words(None, None), |port| port.name_of(hop))
    }
}

/// How a handle prints: what it is of, who has that, in which life, and its number there.
pub(crate) fn in_words(type_name: &str, owner: &str, id: HandleId) -> String {
    format!("{type_name}@{owner}#{}:{}", id.generation, id.number())
}

impl fmt::Display for RemoteHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&in_words(self.type_name, &self.owner(), self.held.id))
    }
}

impl<T: RemoteValue> RemoteRef<T> {
    /// The handle to a value that stays here.
    pub(crate) fn keep(estate: &Arc<Estate>, value: T) -> Result<Self, KeepError> {
        Ok(Self::over(RemoteHandle::new::<T>(estate.keep(value)?, false)))
    }

    fn over(handle: RemoteHandle) -> Self {
        Self { proxy: T::Proxy::over(handle) }
    }

    fn handle(&self) -> &RemoteHandle {
        self.proxy.handle()
    }

    /// Which value it means.
    pub(crate) fn id(&self) -> HandleId {
        self.handle().id()
    }

    /// The same handle without the methods that change the value: here, and wherever it is passed on to.
    pub fn read_only(&self) -> Self {
        Self::over(RemoteHandle { is_read_only: true, ..self.handle().clone() })
    }

    /// Whether it is without the methods that change the value.
    pub fn is_read_only(&self) -> bool {
        self.handle().is_read_only
    }

    /// The name of the manager that has the value; `scope` for the coordinator's process.
    pub fn owner(&self) -> String {
        self.handle().owner()
    }
}

impl<T: RemoteValue> Deref for RemoteRef<T> {
    type Target = T::Proxy;

    fn deref(&self) -> &T::Proxy {
        &self.proxy
    }
}

impl<T: RemoteValue> Clone for RemoteRef<T> {
    fn clone(&self) -> Self {
        Self::over(self.handle().clone())
    }
}

impl<T: RemoteValue> PartialEq for RemoteRef<T> {
    fn eq(&self, other: &Self) -> bool {
        self.handle().held.id == other.handle().held.id
    }
}

impl<T: RemoteValue> Eq for RemoteRef<T> {}

impl<T: RemoteValue> Hash for RemoteRef<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.handle().held.id.hash(state);
    }
}

impl<T: RemoteValue> fmt::Display for RemoteRef<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.handle(), f)
    }
}

impl<T: RemoteValue> fmt::Debug for RemoteRef<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.handle(), f)
    }
}

/// A handle among the bytes of a payload: its place among those that travel beside it, and what it is of.
#[derive(Serialize, Deserialize, labrig::Schema)]
struct Written {
    handle: u32,
    path: String,
    fingerprint: u64,
}

impl<T: RemoteValue> Serialize for RemoteRef<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let handle = attached::attach_handle(self.handle().passing());
        let handle = handle.map_err(|why| S::Error::custom(because(why)))?;
        Written { handle, path: T::PATH.to_owned(), fingerprint: T::fingerprint() }.serialize(serializer)
    }
}

impl<'de, T: RemoteValue> Deserialize<'de> for RemoteRef<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Written::deserialize(deserializer)?;
        check_type::<T>(&written).map_err(|why| D::Error::custom(because(why)))?;
        let handle = attached::offered_handle(written.handle);
        let Handle { id, keeper } = handle.map_err(|why| D::Error::custom(because(why)))?;
        let held = keeper.and_then(|keeper| keeper.downcast::<Held>().ok());
        let nobody = "a handle came to a process that holds none";
        let held = held.ok_or_else(|| D::Error::custom(because(nobody)))?;
        Ok(Self::over(RemoteHandle::new::<T>(held, id.is_read_only())))
    }
}

fn check_type<T: RemoteValue>(written: &Written) -> Result<(), String> {
    let (found, expected) = (&written.path, T::PATH);
    if found != expected {
        // Of two types with one name the paths tell which is which.
        let (short, wanted) = (short_path(found), T::NAME);
        return Err(match short == wanted {
            true => format!("the handle is one of a `{found}`, not of a `{expected}`"),
            false => format!("the handle is one of a `{short}`, not of a `{wanted}`"),
        });
    }
    match written.fingerprint == T::fingerprint() {
        true => Ok(()),
        false => {
            Err(format!("the handle is one of a `{found}` with other methods than `{expected}` has here"))
        }
    }
}

#[diagnostic::do_not_recommend]
impl<T: RemoteValue> Schema for RemoteRef<T> {
    fn schema(builder: &mut SchemaBuilder) -> Node {
        let path = format!("labrig::RemoteRef<{}>", T::PATH);
        let doc = "A handle to a value that stays where it is.";
        builder.named(&path, doc, |builder| Shape::Newtype(Written::schema(builder)))
    }
}

//! The methods of values that others have handles to, as `#[remote]` describes them, and how one is run.

use std::any::Any;
use std::collections::HashMap;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, OnceLock};

use super::context::Context;
use super::handler::{HandlerEnd, Incoming};
use super::panics;
use crate::remote::estate::{AnyValue, Estate, Lent, NotLent};
use crate::remote::remote_ref::{RemoteValue, in_words};
use crate::wire::control::CoordinatorWord;
use crate::wire::{CommandId, CommandSpec, Failure, HandleId, Header, NotDone, Refusal};

/// One method of a `#[remote]` block.
pub struct RemoteMethod {
    /// The command of its arguments.
    pub command: fn() -> &'static CommandSpec,
    /// The method's name.
    pub method: &'static str,
    /// Its source file.
    pub file: &'static str,
    /// Its line there.
    pub line: u32,
    /// Whether it changes the value.
    pub writes: bool,
    /// Reads the arguments, calls the method, writes the reply.
    pub invoke: fn(&mut (dyn Any + Send), Incoming<'_>, &mut Context) -> HandlerEnd,
}

/// What `#[remote]` adds to a type whose values others have handles to.
pub trait ServesRemote: RemoteValue {
    /// The source file of the block.
    const FILE: &'static str;
    /// The block's line there.
    const LINE: u32;
    /// The methods that may be called.
    fn methods() -> Vec<RemoteMethod>;
    /// Somebody has the first handle to the value, or no longer any.
    fn held(value: &mut Self, holder: &str, is_connected: bool);
}

/// A type of values that is linked into this program.
pub struct RemoteRegistration {
    /// The type's name.
    pub name: &'static str,
    /// Its methods.
    pub methods: fn() -> Vec<RemoteMethod>,
    /// Tells a value of it who holds it; says whether it is one.
    pub held: fn(&mut (dyn Any + Send), &str, bool) -> bool,
}

inventory::collect!(RemoteRegistration);

impl RemoteRegistration {
    /// The registration of `T`.
    pub const fn of<T: ServesRemote>() -> Self {
        Self {
            name: T::NAME,
            methods: T::methods,
            held: |value, holder, is_connected| match value.downcast_mut::<T>() {
                Some(value) => {
                    T::held(value, holder, is_connected);
                    true
                }
                None => false,
            },
        }
    }
}

/// The value as what it is. Its handle says so too, and is checked where it is read.
///
/// # Errors
/// A [`Failure`], should it be something else.
pub fn value_as<T: RemoteValue>(value: &mut (dyn Any + Send)) -> Result<&mut T, Failure> {
    let wrong = || Failure::malformed(format!("the handle is not one of a `{}`", T::NAME));
    value.downcast_mut().ok_or_else(wrong)
}

/// The methods that this program can run, with the names of their types.
fn methods() -> &'static HashMap<CommandId, (&'static str, RemoteMethod)> {
    static METHODS: OnceLock<HashMap<CommandId, (&'static str, RemoteMethod)>> = OnceLock::new();
    METHODS.get_or_init(|| {
        let of_all = inventory::iter::<RemoteRegistration>();
        let named = of_all.flat_map(|of| (of.methods)().into_iter().map(move |method| (of.name, method)));
        named.map(|(name, method)| ((method.command)().id, (name, method))).collect()
    })
}

/// The specs of all methods that this program knows.
pub fn specs() -> Vec<CommandSpec> {
    let mut specs: Vec<_> = methods().values().map(|(_, method)| (method.command)().clone()).collect();
    specs.sort_by(|a, b| (&a.path, a.id).cmp(&(&b.path, b.id)));
    specs
}

/// What a command turns out to be: a method of a value of this process, which is taken out for it.
pub(crate) struct Invocation {
    method: &'static RemoteMethod,
    value: Lent,
}

impl Invocation {
    /// What the command asks for, when it is a method that this program knows: the value is that of the last handle
    /// beside it.
    pub(crate) fn find(asked: &Header, estate: &Arc<Estate>, owner: &str) -> Option<Result<Self, NotDone>> {
        let (type_name, method) = methods().get(&asked.command)?;
        let handle = asked.attached.as_ref()?.handles.last()?.id;
        let (handle, command) = (handle, || (method.command)().name.clone());
        let in_words = || in_words(type_name, owner, handle);
        if handle.is_read_only() && method.writes {
            let refusal = Refusal::ReadOnlyHandle { handle: in_words(), command: command() };
            return Some(Err(NotDone::Refused(refusal)));
        }
        Some(match estate.lend(handle) {
            Ok(value) => Ok(Self { method, value }),
            Err(NotLent::Gone) => {
                Err(NotDone::Refused(Refusal::StaleHandle { handle: in_words(), command: command() }))
            }
            Err(NotLent::InUse) => Err(NotDone::Failed(Failure::text(format!("{} is in use", in_words())))),
        })
    }

    /// Runs the method.
    pub(crate) fn run(&mut self, incoming: Incoming<'_>, context: &mut Context) -> HandlerEnd {
        (self.method.invoke)(self.value.value(), incoming, context)
    }
}

/// Tells a value of this process who holds it.
fn tell_holder(estate: &Arc<Estate>, value: HandleId, holder: &str, is_connected: bool) {
    let Ok(mut lent) = estate.lend(value) else { return };
    let told = panics::catch(|| {
        let told =
            inventory::iter::<RemoteRegistration>().any(|of| (of.held)(lent.value(), holder, is_connected));
        told.then_some(()).ok_or_else(|| Failure::text("it is of no type that is known here"))
    });
    if let Err(failure) = told {
        log::error!("a remote value was not told of its holder `{holder}`: {failure}");
    }
}

/// Heeds what the coordinator says of values of this process; gives back what it says of anything else.
pub(crate) fn heed(estate: &Arc<Estate>, word: CoordinatorWord) -> Option<CoordinatorWord> {
    match word {
        CoordinatorWord::Unheld { values } => {
            values.into_iter().for_each(|(key, seen)| estate.unheld(key, seen));
        }
        CoordinatorWord::Holder { key, holder, is_connected } => {
            if let Some(value) = estate.own(key) {
                tell_holder(estate, value, &holder, is_connected);
            }
        }
        word => return Some(word),
    }
    None
}

/// Drops the values of this process that nobody can reach any more, if there are any.
#[inline]
pub(crate) fn drop_unreachable(estate: &Estate) {
    if estate.has_discarded() {
        drop_all(estate.take_discarded());
    }
}

/// Drops values that nobody can reach any more. Their own code runs, and may fail without harm to others.
pub(crate) fn drop_all(values: Vec<AnyValue>) {
    for value in values {
        let dropped: Result<(), Failure> = panics::catch(|| {
            drop(value);
            Ok(())
        });
        if let Err(failure) = dropped {
            log::error!("a remote value could not be dropped: {failure}");
        }
    }
}

/// The original of a value that this process has, as long as it is used. Its methods cannot be called from elsewhere
/// meanwhile.
pub struct Resolved<T> {
    lent: Lent,
    of: PhantomData<fn() -> T>,
}

/// Why a handle does not lead to a value of this process.
#[derive(
    Debug, Clone, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize, labrig::Schema,
)]
#[non_exhaustive]
pub enum ResolveError {
    /// The value is in another process, or was in an earlier life of this one.
    #[error("`{handle}` is not a value of this process")]
    NotHere {
        /// The handle, as it prints.
        handle: String,
    },
    /// The value is in use further out: by one of its methods, or resolved before and not let go.
    #[error("`{handle}` is in use")]
    InUse {
        /// The handle, as it prints.
        handle: String,
    },
}

impl<T: RemoteValue> Resolved<T> {
    pub(crate) fn of(
        estate: &Arc<Estate>,
        id: HandleId,
        name: impl Fn() -> String,
    ) -> Result<Self, ResolveError> {
        let lent = estate.lend(id).map_err(|why| match why {
            NotLent::Gone => ResolveError::NotHere { handle: name() },
            NotLent::InUse => ResolveError::InUse { handle: name() },
        })?;
        match lent.look().is::<T>() {
            true => Ok(Self { lent, of: PhantomData }),
            false => Err(ResolveError::NotHere { handle: name() }),
        }
    }
}

impl<T: RemoteValue> Deref for Resolved<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.lent.look().downcast_ref().expect("its type was looked at when it was resolved")
    }
}

impl<T: RemoteValue> DerefMut for Resolved<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.lent.value().downcast_mut().expect("its type was looked at when it was resolved")
    }
}

//! Publishing signals and sharing objects: the manager's side.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::shm::{SetWriter, SharedObject, SharedPlace, SignalWriter, monotonic_ns, set_words};
use crate::wire::control::{PublishedObject, PublishedSet};
use crate::wire::{Signals, TypeSchema};

/// Publishes a set of signals. There is one for each set, in the manager that declares it.
///
/// ```
/// use labrig::prelude::*;
///
/// #[derive(Signals, Schema, Clone, Copy)]
/// struct MotorSignals {
///     #[schema(unit = "um")]
///     height_um: f64,
///     is_moving: bool,
/// }
///
/// struct Motor {
///     signals: Publisher<MotorSignals>,
/// }
///
/// impl Motor {
///     fn has_moved_to(&mut self, height_um: f64) {
///         self.signals.update(|now| now.height_um = height_um);
///     }
/// }
/// ```
pub struct Publisher<S> {
    writer: SetWriter,
    last: S,
}

impl<S: Signals> Publisher<S> {
    /// Publishes the set, as of now. Readers see the whole of it at once. It blocks nobody and makes no system call
    /// unless somebody waits for a change.
    #[inline]
    pub fn publish(&mut self, set: S) {
        self.publish_at(set, monotonic_ns());
    }

    /// As [`publish`](Self::publish), of values whose time is known, such as that of the frame that they are about:
    /// in ns of [`monotonic_ns`].
    #[inline]
    pub fn publish_at(&mut self, set: S, at_ns: u64) {
        self.last = set;
        self.writer.put(&set, at_ns);
    }

    /// Changes some signals and publishes the whole set, as of now.
    #[inline]
    pub fn update(&mut self, change: impl FnOnce(&mut S)) {
        let mut set = self.last;
        change(&mut set);
        self.publish(set);
    }

    /// The set as it was published last.
    pub fn last(&self) -> &S {
        &self.last
    }
}

impl<S: fmt::Debug> fmt::Debug for Publisher<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("last", &self.last).finish_non_exhaustive()
    }
}

/// Why a manager cannot publish a set of signals.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The kind does not say that it publishes it.
    #[error(
        "this manager does not publish `{set}`; its kind declares {known:?}: `#[manager(…, signals({set}))]`"
    )]
    NotDeclared {
        /// The set's type.
        set: String,
        /// The sets that it publishes.
        known: Vec<String>,
    },
    /// Its publisher was asked for before; a set has one.
    #[error("the publisher of `{set}` is in use already")]
    Taken {
        /// The set's type.
        set: String,
    },
    /// Only managers publish signals.
    #[error("the scope publishes no signals")]
    NotAManager,
}

/// Why a manager cannot share an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShareError {
    /// The kind declares none of that name.
    #[error(
        "this manager shares no `{name}`; its kind declares {known:?}: `#[manager(…, shares({name} = …))]`"
    )]
    NotDeclared {
        /// The name.
        name: String,
        /// The names that it declares.
        known: Vec<String>,
    },
    /// The kind declares it as something else.
    #[error("`{name}` is declared as another `{declared}` than is asked for, or as one of other fields")]
    OtherType {
        /// The name.
        name: String,
        /// What writes the object as it is declared.
        declared: &'static str,
    },
    /// It was asked for before; an object has one writer.
    #[error("the writer of `{name}` is in use already")]
    Taken {
        /// The name.
        name: String,
    },
    /// Its memory was refused.
    #[error("`{name}` is larger than any memory")]
    TooLarge {
        /// The name.
        name: String,
    },
    /// Only managers share objects.
    #[error("the scope shares nothing")]
    NotAManager,
}

/// What a process may publish.
#[derive(Default)]
pub(crate) enum Publications {
    /// Nothing, in the coordinator.
    #[default]
    None,
    /// Anything, outside any rig, where nobody reads it.
    Detached,
    /// These sets, on this page.
    Given(Mutex<Given>),
}

pub(crate) struct Given {
    page: Option<SignalWriter>,
    sets: Vec<PublishedSet>,
    objects: Vec<PublishedObject>,
    /// The sets, and behind them the objects.
    taken: Vec<bool>,
}

impl Publications {
    /// A manager's sets and objects. Without a page there are none.
    pub(crate) fn given(
        page: Option<SignalWriter>,
        sets: Vec<PublishedSet>,
        objects: Vec<PublishedObject>,
    ) -> Self {
        let taken = vec![false; sets.len() + objects.len()];
        Self::Given(Mutex::new(Given { page, sets, objects, taken }))
    }

    /// The writer of an object.
    pub(crate) fn share<S: SharedObject>(&self, name: &str) -> Result<S, ShareError> {
        match self {
            Self::None => Err(ShareError::NotAManager),
            Self::Detached => {
                let place = SharedPlace::local(S::DETACHED);
                place.map(S::begin).ok_or_else(|| ShareError::TooLarge { name: name.to_owned() })
            }
            Self::Given(given) => given.lock().share(name),
        }
    }

    /// The publisher of a set, which begins with publishing `first`.
    pub(crate) fn open<S: Signals>(&self, first: S) -> Result<Publisher<S>, PublishError> {
        let schema = TypeSchema::known::<S>();
        let set = || schema.root.describe();
        let writer = match self {
            Self::None => return Err(PublishError::NotAManager),
            Self::Detached => SignalWriter::local(&[set_words(S::WORDS)]).map(|page| page.set(0)),
            Self::Given(given) => given.lock().take(schema, S::WORDS)?,
        };
        let not_declared = || PublishError::NotDeclared { set: set(), known: Vec::new() };
        let mut publisher = Publisher { writer: writer.ok_or_else(not_declared)?, last: first };
        publisher.publish(first);
        Ok(publisher)
    }
}

impl Given {
    fn share<S: SharedObject>(&mut self, name: &str) -> Result<S, ShareError> {
        let owned = || name.to_owned();
        let Some(index) = self.objects.iter().position(|object| object.name == name) else {
            let known = self.objects.iter().map(|object| object.name.clone()).collect();
            return Err(ShareError::NotDeclared { name: owned(), known });
        };
        let PublishedObject { item, key, layout, .. } = &self.objects[index];
        if !S::is_declared_by(layout, *item, *key) {
            return Err(ShareError::OtherType { name: owned(), declared: layout.kind.name() });
        }
        let region = self.sets.len() + index;
        if std::mem::replace(&mut self.taken[region], true) {
            return Err(ShareError::Taken { name: owned() });
        }
        let page = self.page.as_ref().ok_or_else(|| ShareError::TooLarge { name: owned() })?;
        Ok(S::begin(SharedPlace::new(Arc::clone(page.page()), region, *layout)))
    }

    /// A type whose own words are not those of its schema was written by hand, and wrongly.
    fn take(&mut self, schema: &TypeSchema, words: usize) -> Result<Option<SetWriter>, PublishError> {
        let (path, fingerprint) = (schema.root.identity(), schema.fingerprint());
        let is_it = |set: &PublishedSet| {
            set.path == path && set.fingerprint == fingerprint && set.words == words as u64
        };
        let set = || schema.root.describe();
        let Some(index) = self.sets.iter().position(is_it) else {
            let known = self.sets.iter().map(|set| set.path.clone()).collect();
            return Err(PublishError::NotDeclared { set: set(), known });
        };
        if std::mem::replace(&mut self.taken[index], true) {
            return Err(PublishError::Taken { set: set() });
        }
        Ok(self.page.as_ref().map(|page| page.set(index)))
    }
}

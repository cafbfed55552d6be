//! Shared objects as they are read: from any thread of any process of the rig, without a lock.
//!
//! A reader is found by name once, `manager.object`; from then on it reads shared memory. Each life of a manager has
//! memory of its own: a reader sees the end of one life before it goes over to the next, and whatever it hands out says of
//! which life it is. What is read is copied before it is believed.

mod counters;
mod dataset;
mod rows;
mod table;
mod value;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

pub use counters::CounterReader;
pub use dataset::{DatasetReader, Records};
pub use rows::{Row, RowBatch, RowReader};
pub use table::{TableReader, TableRow, TableSnapshot};
pub use value::ValueReader;

use super::port::Port;
use super::signal::{SignalError, SignalSource, ask_for, source_of, standing_of};
use crate::shm::{Roused, SharedPlace, SignalPage, Standing, TakeError, WaitError};
use crate::wire::{Schema, SharedKind, SharedSpec, TypeSchema};

/// Why a shared object cannot be read or waited for.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SharedError {
    /// There is no such object. It is called `manager.object`.
    #[error("nothing that is shared is called `{name}`; known there: {known:?}")]
    Unknown {
        /// The name asked for.
        name: String,
        /// What there is: the manager's objects, or the managers that share any.
        known: Vec<String>,
    },
    /// The object is another one, or of another type.
    #[error("`{name}` is a {found}, expected {expected}")]
    WrongType {
        /// Which object.
        name: String,
        /// What it is.
        found: String,
        /// What was asked for.
        expected: String,
    },
    /// Its manager is absent, or was never ready.
    #[error("`{name}` is not there: its manager has not begun yet")]
    NotThere {
        /// Which object.
        name: String,
    },
    /// Nothing was published yet.
    #[error("`{name}` was not published yet")]
    NotPublished {
        /// Which object.
        name: String,
    },
    /// What lies in shared memory is nothing of its type, or is never at rest.
    #[error("`{name}` cannot be read: {why}")]
    Unreadable {
        /// Which object.
        name: String,
        /// What was found.
        why: String,
    },
    /// The life of the manager that was waited for has ended, and all that it left was read. Whatever its next life
    /// shares is read, and can be waited for, as soon as that is there.
    #[error("`{name}` was waited for, and life {generation} of its manager has ended")]
    Ended {
        /// Which object.
        name: String,
        /// Which life has ended.
        generation: u32,
    },
    /// What was waited for has not come in time.
    #[error("nothing new came to `{name}` within {after:?}")]
    NotInTime {
        /// Which object.
        name: String,
        /// How long was waited.
        after: Duration,
    },
    /// The handler that waited was cancelled, or the wait was stopped.
    #[error("the wait for `{name}` was ended from outside")]
    Cancelled {
        /// Which object.
        name: String,
    },
    /// It could not be asked for.
    #[error(transparent)]
    NotAsked(SignalError),
    /// The system does not let it wait.
    #[error(transparent)]
    Wait(#[from] WaitError),
}

/// Ends the waits of one reader, from any thread: the present one, and all to come.
#[derive(Debug, Clone, Default)]
pub struct Stopper(Arc<Stop>);

#[derive(Debug, Default)]
struct Stop {
    is_stopped: AtomicBool,
    /// Where the reader sleeps.
    at: Mutex<Option<Arc<SignalPage>>>,
}

impl Stopper {
    /// Ends them with [`SharedError::Cancelled`].
    pub fn stop(&self) {
        self.0.is_stopped.store(true, Ordering::SeqCst);
        self.0.at.lock().iter().for_each(|page| page.rouse());
    }

    fn is_stopped(&self) -> bool {
        self.0.is_stopped.load(Ordering::SeqCst)
    }
}

/// An object as one reader is attached to it.
struct Attached {
    port: Arc<dyn Port>,
    source: Arc<SignalSource>,
    name: String,
    /// Its place among the objects of its manager.
    object: usize,
    place: Option<SharedPlace>,
    stopper: Stopper,
}

impl Clone for Attached {
    /// A clone waits on its own.
    fn clone(&self) -> Self {
        let (port, source) = (Arc::clone(&self.port), Arc::clone(&self.source));
        let (name, place) = (self.name.clone(), self.place.clone());
        Self { port, source, name, object: self.object, place, stopper: Stopper::default() }
    }
}

impl Attached {
    /// Finds an object by its name, `manager.object`.
    fn find(port: &Arc<dyn Port>, name: &str, kind: SharedKind) -> Result<Self, SharedError> {
        // Names of managers may have dots, those of objects have none.
        let (manager, object) = name.rsplit_once('.').unwrap_or(("", name));
        let source = source_of(port, manager).map_err(|error| unfound(name, error))?;
        let known = || source.shares().iter().map(|it| format!("{manager}.{}", it.name)).collect();
        let index = source.shares().iter().position(|spec| spec.name == object);
        let index = index.ok_or_else(|| SharedError::Unknown { name: name.to_owned(), known: known() })?;
        let (port, name, stopper) = (Arc::clone(port), name.to_owned(), Stopper::default());
        let mut attached = Self { port, source, name, object: index, place: None, stopper };
        if attached.spec().kind != kind {
            return Err(attached.wrong_type(kind.name().to_owned()));
        }
        attached.place = attached.source.newest().map(|page| attached.place_on(page));
        // Whoever asks now asks for the life that is there now; but a value of the one before is better than none.
        if kind != SharedKind::Value && attached.standing() == Standing::Superseded {
            attached.go_over(|_| true);
        }
        Ok(attached)
    }

    fn spec(&self) -> &SharedSpec {
        &self.source.shares()[self.object]
    }

    fn wrong_type(&self, expected: String) -> SharedError {
        let SharedSpec { kind, item, .. } = self.spec();
        let found = format!("{}<{}>", kind.name(), item.root.describe());
        SharedError::WrongType { name: self.name.clone(), found, expected }
    }

    /// Insists on the type of its rows, records or value, by path, fields and their order.
    fn check_item<T: Schema + 'static>(&self) -> Result<(), SharedError> {
        check_type::<T>(&self.spec().item).map_err(|expected| self.wrong_type(expected))
    }

    fn place_on(&self, page: Arc<SignalPage>) -> SharedPlace {
        let layout = self.spec().layout().expect("what has no size is refused before anything starts");
        SharedPlace::new(page, self.source.sets().len() + self.object, layout)
    }

    fn place(&self) -> Result<&SharedPlace, SharedError> {
        self.place.as_ref().ok_or_else(|| SharedError::NotThere { name: self.name.clone() })
    }

    fn standing(&self) -> Standing {
        self.place.as_ref().map_or(Standing::Superseded, |place| place.page().standing())
    }

    fn generation(&self) -> u32 {
        self.place.as_ref().map_or(0, |place| place.page().generation())
    }

    /// Goes over to the newest life, if that is another one and `is_due`. Says whether it went.
    #[cold]
    fn go_over(&mut self, is_due: impl Fn(&SharedPlace) -> bool) -> bool {
        if standing_of(&self.source.newest()) == Standing::Superseded && self.port.is_to_ask_for_signals() {
            // What cannot be asked for stays as it is.
            if let Err(error) = ask_for(&self.port, self.source.manager()) {
                log::debug!("{error}");
            }
        }
        let newest = self.source.newest().map(|page| self.place_on(page));
        let known = self.place.as_ref().map(|place| place.page().generation());
        let due =
            newest.filter(|it| Some(it.page().generation()) != known && (known.is_none() || is_due(it)));
        let goes = due.is_some();
        self.place = due.or(self.place.take());
        goes
    }

    /// Sleeps until there is something else than `seen`.
    fn sleep(&self, seen: u64, until: Option<Instant>, after: Duration) -> Result<(), SharedError> {
        let place = self.place()?;
        self.sleep_by(after, |page, is_to_stop| page.wait(place.region(), seen, until, is_to_stop))
    }

    /// Sleeps until the next life of its manager is there, and goes over to it.
    fn await_next_life(&mut self, patience: Duration) -> Result<u32, SharedError> {
        let until = Instant::now().checked_add(patience);
        while !self.go_over(|_| true) {
            if self.standing() == Standing::Superseded {
                // It is there, and the coordinator does not give it.
                return Err(SharedError::NotThere { name: self.name.clone() });
            }
            self.sleep_by(patience, |page, is_to_stop| page.wait_for_next_life(until, is_to_stop))?;
        }
        Ok(self.generation())
    }

    fn sleep_by(
        &self,
        after: Duration,
        sleep: impl Fn(&SignalPage, &dyn Fn() -> bool) -> Result<Roused, WaitError>,
    ) -> Result<(), SharedError> {
        let (name, page) = (|| self.name.clone(), self.place()?.page());
        *self.stopper.0.at.lock() = Some(Arc::clone(page));
        let mut roused = Ok(Roused::Stopped);
        self.port.sleep_at(page, &mut |is_to_stop| {
            roused = sleep(page, &|| is_to_stop() || self.stopper.is_stopped());
        });
        *self.stopper.0.at.lock() = None;
        match roused? {
            Roused::News => Ok(()),
            Roused::Ended => Err(SharedError::Ended { name: name(), generation: self.generation() }),
            Roused::Stopped => Err(SharedError::Cancelled { name: name() }),
            Roused::TimedOut => Err(SharedError::NotInTime { name: name(), after }),
        }
    }

    fn unread(&self, error: TakeError) -> SharedError {
        let name = self.name.clone();
        match error {
            TakeError::NotPublished => SharedError::NotPublished { name },
            other => SharedError::Unreadable { name, why: other.to_string() },
        }
    }
}

/// Whether a declared type is this one; the name of what was expected, if not.
fn check_type<T: Schema + 'static>(declared: &TypeSchema) -> Result<(), String> {
    let wanted = TypeSchema::known::<T>();
    if declared.fingerprint() == wanted.fingerprint() {
        return Ok(());
    }
    let expected = wanted.root.describe();
    let is_other = declared.root.describe() == expected;
    Err(if is_other { format!("{expected} with other fields") } else { expected })
}

fn unfound(name: &str, error: SignalError) -> SharedError {
    match error {
        SignalError::UnknownManager { known, .. } => SharedError::Unknown { name: name.to_owned(), known },
        other => SharedError::NotAsked(other),
    }
}

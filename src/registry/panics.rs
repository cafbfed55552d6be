//! Panics of handlers: where and with which words, kept for the caller.
//!
//! A hook of the process notes where the panics of a thread happen while it runs a handler, besides what the
//! program's own hook does.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::Once;

use crate::wire::{Failure, FailureKind, Site};

#[derive(Default)]
struct LastPanic {
    location: Option<Site>,
    backtrace: Option<String>,
}

thread_local! {
    static LAST: RefCell<LastPanic> = RefCell::default();
    /// Whether this thread runs a handler.
    static IS_WATCHED: Cell<bool> = const { Cell::new(false) };
}

fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if IS_WATCHED.get() {
                note(info);
            }
            before(info);
        }));
    });
}

fn note(info: &PanicHookInfo<'_>) {
    let backtrace = Backtrace::capture();
    let last = LastPanic {
        location: info.location().map(|at| Site::new(at.file(), at.line())),
        backtrace: (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string()),
    };
    LAST.with_borrow_mut(|slot| *slot = last);
}

/// Runs a handler; its panic is a failure of that call alone.
pub(crate) fn catch<T, E: From<Failure>>(run: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    install();
    let was_watched = IS_WATCHED.replace(true);
    let end = panic::catch_unwind(AssertUnwindSafe(run));
    IS_WATCHED.set(was_watched);
    end.unwrap_or_else(|payload| {
        let LastPanic { location, backtrace } = LAST.take();
        let text = Failure::text(message(&*payload));
        Err(Failure { kind: FailureKind::Panic, location, backtrace, ..text }.into())
    })
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without text".to_owned())
}

//! Panics of handlers: where and with which words, kept for the caller.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};

use crate::wire::{Failure, FailureKind, Site};

#[derive(Default)]
struct LastPanic {
    location: Option<Site>,
    backtrace: Option<String>,
}

thread_local! {
    static LAST: RefCell<LastPanic> = RefCell::default();
}

/// Notes where panics happen, besides what the program's own hook does.
pub(super) fn install() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        note(info);
        before(info);
    }));
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
pub(super) fn catch<T>(run: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    panic::catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|payload| {
        let LastPanic { location, backtrace } = LAST.take();
        Err(Failure { kind: FailureKind::Panic, location, backtrace, ..Failure::text(message(&*payload)) })
    })
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without text".to_owned())
}

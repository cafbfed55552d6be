//! What other threads leave for the socket's thread, and the bell that wakes it.
//!
//! Leaving word takes a short lock and a ring, so it may be done under any other lock. Each call has at most one
//! word waiting, however much happens to it.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use serde_json::Value;

use crate::coordinator::status::RigStatus;
use crate::remote::Notify;
use crate::shm::{Doorbell, DoorbellError};

/// See the module's words.
#[derive(Debug)]
pub(super) struct Mailbox {
    pub(super) bell: Doorbell,
    news: Mutex<Vec<News>>,
    is_ending: AtomicBool,
}

/// A word that was left.
#[derive(Debug)]
pub(super) enum News {
    /// Something has become of the call with that number.
    Call(u64),
    /// How the rig is doing; nothing when it has ended.
    Status(Option<Box<RigStatus>>),
    /// Rows for the client with that number.
    Rows(u64, Value),
}

impl Mailbox {
    /// An empty mailbox.
    ///
    /// # Errors
    /// As [`Doorbell::create`].
    pub(super) fn new() -> Result<Self, DoorbellError> {
        let (news, is_ending) = (Mutex::new(Vec::new()), AtomicBool::new(false));
        Ok(Self { bell: Doorbell::create()?, news, is_ending })
    }

    fn leave(&self, news: News) {
        self.news.lock().push(news);
        self.bell.ring();
    }

    /// Rows for a client.
    pub(super) fn rows(&self, client: u64, told: Value) {
        self.leave(News::Rows(client, told));
    }

    /// Everything that was left.
    pub(super) fn take(&self) -> Vec<News> {
        mem::take(&mut *self.news.lock())
    }

    /// The thread is to end.
    pub(super) fn end(&self) {
        self.is_ending.store(true, Ordering::Release);
        self.bell.ring();
    }

    /// Whether it is to end.
    pub(super) fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::Acquire)
    }

    /// What tells of a call, until its word has been taken: `is_told` is reset before the call is looked at.
    pub(super) fn of_call(self: &Arc<Self>, number: u64, is_told: &Arc<AtomicBool>) -> Notify {
        let (mailbox, is_told) = (Arc::clone(self), Arc::clone(is_told));
        Box::new(move || {
            if !is_told.swap(true, Ordering::AcqRel) {
                mailbox.leave(News::Call(number));
            }
        })
    }

    /// What takes the rig's status; dropped without one, it says that there is none.
    pub(super) fn of_status(self: &Arc<Self>) -> impl FnOnce(RigStatus) + Send + 'static {
        let asked = Asked(Some(Arc::clone(self)));
        move |status| asked.answer(status)
    }
}

/// A question that is answered once, at the latest when nobody is left to answer it.
struct Asked(Option<Arc<Mailbox>>);

impl Asked {
    fn answer(mut self, status: RigStatus) {
        if let Some(mailbox) = self.0.take() {
            mailbox.leave(News::Status(Some(Box::new(status))));
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if let Some(mailbox) = self.0.take() {
            mailbox.leave(News::Status(None));
        }
    }
}

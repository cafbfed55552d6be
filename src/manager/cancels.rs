//! The cancellations that the coordinator posts in the status page.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::registry::Desk;
use crate::shm::StatusPage;

/// Takes them out. The link thread does so when it is told; the worker too, before each command, so that
/// nothing runs that was cancelled before.
pub(super) struct Cancels {
    page: Arc<StatusPage>,
    desk: Arc<Desk>,
    /// Held by whoever takes: the page knows one at a time.
    taking: Mutex<()>,
}

impl Cancels {
    pub(super) fn new(page: Arc<StatusPage>, desk: Arc<Desk>) -> Self {
        Self { page, desk, taking: Mutex::new(()) }
    }

    /// Takes what is posted, and looks whether everything is to give up.
    pub(super) fn take(&self) {
        if self.page.is_to_give_up() {
            self.desk.cancel_all();
        }
        if !self.page.has_cancels() {
            return;
        }
        let _taking = self.taking.lock();
        while self.page.take_cancel(|call| self.desk.cancel(call)) {}
    }
}

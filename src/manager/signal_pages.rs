//! The signals of other managers, as this process reads them.
//!
//! They are asked for at the coordinator, which sends the page's descriptors before it answers; whoever listens at the
//! pipe puts them here, and whoever asked maps them.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use parking_lot::Mutex;

use super::link::Link;
use crate::remote::{SignalError, SignalPort, SignalSource, SignalsOpened};
use crate::shm::SignalPage;

/// See the module's words.
#[derive(Default)]
pub(super) struct SignalPages {
    known: Mutex<HashMap<String, Arc<SignalSource>>>,
    /// Descriptors that have come and that nobody has mapped.
    come: Mutex<HashMap<String, [OwnedFd; 2]>>,
}

impl SignalPages {
    /// The descriptors of a manager's page have come. Earlier ones that nobody has mapped are of an earlier life.
    pub(super) fn put(&self, manager: String, descriptors: Vec<OwnedFd>) {
        if let Ok(pair) = <[OwnedFd; 2]>::try_from(descriptors) {
            self.come.lock().insert(manager, pair);
        }
    }
}

impl SignalPort for Link {
    fn signals_of(&self, manager: &str) -> Result<Option<Arc<SignalSource>>, SignalError> {
        Ok(self.signal_pages.known.lock().get(manager).cloned())
    }

    fn is_to_ask_for_signals(&self) -> bool {
        true
    }

    fn adopt_signals(&self, manager: &str, opened: SignalsOpened) -> Result<Arc<SignalSource>, SignalError> {
        if opened.sets.is_empty() && opened.shares.is_empty() {
            let (manager, known) = (manager.to_owned(), opened.publishers);
            return Err(SignalError::UnknownManager { manager, known });
        }
        let mut known = self.signal_pages.known.lock();
        let new = || Arc::new(SignalSource::new(manager.to_owned(), opened.sets, opened.shares));
        let source = Arc::clone(known.entry(manager.to_owned()).or_insert_with(new));
        drop(known);
        let come = self.signal_pages.come.lock().remove(manager);
        if let Some([values, bells]) = come {
            source.renew(Arc::new(SignalPage::open(values, bells, &source.sizes())?));
        }
        Ok(source)
    }

    fn sleep_at(&self, page: &Arc<SignalPage>, sleep: &mut dyn FnMut(&dyn Fn() -> bool)) {
        if !self.is_worker() {
            return sleep(&|| false);
        }
        let _paused = self.desk().vitals().pause();
        let work = self.desk().work();
        work.sleep_on(Arc::clone(page), || sleep(&|| work.is_cancelled()));
    }
}

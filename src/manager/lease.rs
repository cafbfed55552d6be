//! The lease by which a manager notices that its coordinator is frozen.
//!
//! The coordinator vouches for itself until a moment that it writes into the status page, again and again, while the
//! manager is out of its safe state. In the safe state, or without a lease, nobody watches and nobody is woken.

use std::time::Duration;

use crate::shm::{StatusPage, monotonic_ns};

/// Whether the coordinator has vouched for itself, and has not gone on.
pub(super) fn has_lapsed(page: &StatusPage) -> bool {
    (1..=monotonic_ns()).contains(&page.lease_until_ns())
}

/// The link thread's eye on it.
#[derive(Default)]
pub(super) struct LeaseWatch {
    /// The lease whose end was noticed: once is enough.
    noticed: u64,
}

impl LeaseWatch {
    /// In how long it is to be looked at; never, as long as nothing can lapse.
    pub(super) fn time_left(&self, page: &StatusPage) -> Option<Duration> {
        let until = page.lease_until_ns();
        let is_watched = until != 0 && until != self.noticed && !page.is_safe();
        is_watched.then(|| Duration::from_nanos(until.saturating_sub(monotonic_ns())))
    }

    /// Whether it has lapsed, which is said once of each lease.
    pub(super) fn notice(&mut self, page: &StatusPage) -> bool {
        let lapsed = self.time_left(page).is_some_and(|left| left.is_zero());
        if lapsed {
            self.noticed = page.lease_until_ns();
        }
        lapsed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_NS: u64 = 3_600_000_000_000;

    #[test]
    fn a_lease_is_watched_only_outside_the_safe_state_and_its_end_noticed_once() {
        let page = StatusPage::create(1).expect("memory can be had");
        let mut watch = LeaseWatch::default();
        assert!(watch.time_left(&page).is_none() && !has_lapsed(&page), "there is none");
        page.set_lease_until_ns(monotonic_ns() + HOUR_NS);
        assert!(watch.time_left(&page) > Some(Duration::from_secs(3000)) && !has_lapsed(&page));
        assert!(!watch.notice(&page));
        page.set_safe(true);
        assert_eq!(watch.time_left(&page), None);
        page.set_lease_until_ns(monotonic_ns());
        assert!(has_lapsed(&page) && !watch.notice(&page), "a safe manager need not enter its safe state");
        page.set_safe(false);
        assert!(watch.notice(&page) && !watch.notice(&page) && watch.time_left(&page).is_none());
        page.set_lease_until_ns(page.lease_until_ns() + 1);
        assert!(watch.notice(&page), "another lease lapses anew");
    }
}

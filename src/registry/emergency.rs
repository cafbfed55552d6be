//! The way into the safe state for the time when a manager's worker is stuck.
//!
//! The manager hands it out, from its worker; whoever is to use it takes it out, so that it runs at most once.

use parking_lot::Mutex;

use crate::wire::SafeReason;

/// Brings the hardware into its safe state without the worker.
pub(crate) type EmergencyHandle = Box<dyn FnOnce(SafeReason) + Send>;

/// The place where the newest one lies.
#[derive(Default)]
pub(crate) struct Emergency(Mutex<Option<EmergencyHandle>>);

impl Emergency {
    /// Replaces the one before.
    pub(crate) fn hand_out(&self, handle: EmergencyHandle) {
        // What is dropped here is code of others: not under the lock.
        let before = self.0.lock().replace(handle);
        drop(before);
    }

    /// Whether there is one that was not used.
    pub(crate) fn is_handed_out(&self) -> bool {
        self.0.lock().is_some()
    }

    /// Takes it, if there is one that was not used.
    pub(crate) fn take(&self) -> Option<EmergencyHandle> {
        self.0.lock().take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::mpsc::channel;

    use crate::registry::detached::detached_context;

    #[test]
    fn the_newest_handle_is_the_one_and_runs_at_most_once() {
        let (emergency, (used, uses)) = (Emergency::default(), channel());
        for number in [1, 2] {
            let used = used.clone();
            emergency
                .hand_out(Box::new(move |reason| used.send((number, reason)).expect("somebody listens")));
        }
        let reason = SafeReason::StopOrdered;
        emergency.take().expect("it was handed out")(reason);
        assert!(emergency.take().is_none());
        assert_eq!(uses.try_iter().collect::<Vec<_>>(), [(2, reason)]);
    }

    #[test]
    fn a_handle_may_come_in_a_box() {
        let (emergency, (used, uses)) = (Arc::new(Emergency::default()), channel());
        let context = detached_context("motor").of_manager(Arc::default(), Arc::clone(&emergency));
        let boxed: Box<dyn FnOnce(SafeReason) + Send> =
            Box::new(move |reason| used.send(reason).expect("somebody listens"));
        context.on_emergency(boxed);
        emergency.take().expect("it was handed out")(SafeReason::Restarting);
        assert_eq!(uses.try_recv(), Ok(SafeReason::Restarting));
    }
}

//! Who runs now: as many procedures as the limit allows, the others in the order in which they came.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use super::entry::Entry;

/// See the module's words. Its lock is taken before that of an entry, never within.
pub(super) struct Turns {
    state: Mutex<State>,
}

struct State {
    free: usize,
    queue: VecDeque<Arc<Entry>>,
}

impl Turns {
    pub(super) fn new(limit: usize) -> Self {
        Self { state: Mutex::new(State { free: limit, queue: VecDeque::new() }) }
    }

    /// Waits until it is its turn; false when it has an order before.
    pub(super) fn take(&self, entry: &Arc<Entry>) -> bool {
        {
            let mut state = self.state.lock();
            let mut desk = entry.desk();
            if desk.has_turn {
                return true;
            }
            if state.free > 0 {
                state.free -= 1;
                desk.has_turn = true;
                return true;
            }
            desk.is_queued = true;
            drop(desk);
            state.queue.push_back(Arc::clone(entry));
        }
        entry.wait(None, |desk| desk.has_turn || desk.has_order());
        entry.tell(|desk| desk.is_queued = false);
        let has_turn = entry.desk().has_turn;
        if !has_turn {
            self.give_back(entry);
        }
        entry.desk().has_turn
    }

    /// It does not run any more, or does not want to: another may.
    pub(super) fn give_back(&self, entry: &Arc<Entry>) {
        let mut state = self.state.lock();
        state.queue.retain(|queued| !Arc::ptr_eq(queued, entry));
        if !entry.tell(|desk| std::mem::take(&mut desk.has_turn)) {
            return;
        }
        match state.queue.pop_front() {
            Some(next) => next.tell(|desk| desk.has_turn = true),
            None => state.free += 1,
        }
    }
}

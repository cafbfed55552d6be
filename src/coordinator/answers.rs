//! What the core has to hand over once its lock is released: nobody's code runs under it.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::remote::{Answer, OnUndelivered, Slot, callbacks};
use crate::wire::Undelivered;

/// News to hand over once the lock is released.
#[derive(Default)]
#[must_use = "answers that are not handed over leave their callers waiting"]
pub(crate) struct Answers {
    pub(super) answers: SmallVec<[(Arc<Slot>, Answer); 1]>,
    pub(super) undelivered: Vec<Undelivered>,
    pub(super) on_undelivered: Vec<OnUndelivered>,
}

impl Answers {
    pub(crate) fn hand_over(self) {
        for (slot, answer) in self.answers {
            // A second answer is impossible here: the slot left the table with the first.
            let _ = slot.fill(answer);
        }
        for news in self.undelivered {
            for told in &self.on_undelivered {
                let (told, news) = (Arc::clone(told), news.clone());
                callbacks::run_later(Box::new(move || told(&news)));
            }
        }
    }
}

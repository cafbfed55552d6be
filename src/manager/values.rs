//! Values for others: which of them nobody holds any longer, and what is held here no longer of others' values.

use super::link::Link;
use crate::registry::remote_methods;
use crate::wire::HandleId;
use crate::wire::control::{CoordinatorWord, ManagerWord, ReleasedValue};

/// How many values are given back in one word.
const MOST_RELEASED: usize = 1024;

impl Link {
    /// As the worker, between handlers: gives back what is held here no longer, and drops what nobody can reach.
    #[inline]
    pub(super) fn settle_values(&self) {
        if self.estate().has_releases() {
            self.release_values();
        }
        remote_methods::drop_unreachable(self.estate());
    }

    #[cold]
    fn release_values(&self) {
        let released = |(id, count): &(HandleId, u64)| ReleasedValue {
            owner: id.owner,
            generation: id.generation.0,
            key: id.key,
            count: *count,
        };
        for batch in self.estate().take_releases().chunks(MOST_RELEASED) {
            // In order with the envelopes by which handles were passed on.
            self.tell_of_call(&ManagerWord::Released { values: batch.iter().map(released).collect() });
        }
    }

    /// As the worker, what the coordinator says of values; gives back what it says of anything else.
    pub(super) fn heed_of_values(&self, word: CoordinatorWord) -> Option<CoordinatorWord> {
        remote_methods::heed(self.estate(), word)
    }

    /// As the worker, when the process ends: all values are dropped, whoever holds them.
    pub(super) fn drop_values(&self) {
        remote_methods::drop_all(self.estate().take_all());
    }
}

//! What the coordinator itself is asked for: a stop of everything, arming, restarts.

use super::main_loop::MainLoop;
use crate::wire::{CodecId, CommandId, Ending, Failure, NotDone};

impl MainLoop {
    /// Does what it is asked for, and ends the call when that has taken effect.
    pub(super) fn obey(&mut self, call: u64, order: CommandId, _payload: &[u8], codec: CodecId) {
        let failure = Failure::text(format!("the order {order} is not known"));
        self.core.with_router(|router| {
            router.order_ended(call, Ending::NotDone(NotDone::Failed(failure)), codec);
        });
    }
}

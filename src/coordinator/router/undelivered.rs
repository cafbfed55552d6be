//! One-way commands that were accepted and do not run: counted by reason, and told to whoever sent them.

use super::station::Ordered;
use super::{Caller, Effect, Router};
use crate::wire::control::{self, CoordinatorWord};
use crate::wire::{CommandId, Header, Refusal, Undelivered, UndeliveredReason};

/// How many words may wait for a manager before it is told of its losses by their number alone.
const MOST_WORDS: usize = 256;

impl Router {
    /// An accepted one-way command will not run, or may not have run to its end.
    pub(super) fn undelivered(&mut self, ordered: Ordered, index: usize, reason: UndeliveredReason) {
        let to = self.stations[index].name.to_string();
        self.note_undelivered(ordered.sender, ordered.command, to, reason);
    }

    /// A manager's one-way command was refused. Nobody waits for an answer, so it is told as undelivered.
    pub(super) fn refuse_send(&mut self, sender: Caller, asked: &Header, refusal: Refusal) {
        let to = self.goal(asked);
        self.note_undelivered(sender, asked.command, to, UndeliveredReason::Refused(refusal));
    }

    pub(super) fn note_undelivered(
        &mut self,
        sender: Caller,
        command: CommandId,
        to: String,
        reason: UndeliveredReason,
    ) {
        self.totals.undelivered += 1;
        let counter = match reason {
            UndeliveredReason::Displaced => &mut self.totals.undelivered_displaced,
            UndeliveredReason::Lost => &mut self.totals.undelivered_lost,
            UndeliveredReason::Indeterminate => &mut self.totals.undelivered_indeterminate,
            UndeliveredReason::Stopped => &mut self.totals.undelivered_stopped,
            _ => &mut self.totals.undelivered_refused,
        };
        *counter += 1;
        let command = self.command_name(command);
        let news = Undelivered { command, to, reason, untold: 0 };
        if let Caller::Manager { index, .. } = sender
            && self.is_present(sender)
        {
            let station = &mut self.stations[index];
            let before = station.untold.take().map_or(0, |last| last.untold + 1);
            station.untold = Some(Box::new(Undelivered { untold: before, ..news.clone() }));
            self.tell_untold(index);
        }
        self.effects.push(Effect::Undelivered { sender, news });
    }

    /// Tells a manager of the last of its losses, with the number of those before of which there was no room to
    /// tell, once there is room.
    pub(super) fn tell_untold(&mut self, index: usize) {
        let station = &mut self.stations[index];
        if station.words_waiting() < MOST_WORDS
            && let Some(news) = station.untold.take()
        {
            self.tell(index, control::seal(&CoordinatorWord::Undelivered(*news)));
        }
    }
}

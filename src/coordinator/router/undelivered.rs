//! One-way commands that were accepted and do not run: counted by reason, and told to whoever sent them.

use super::station::Ordered;
use super::{Caller, Effect, Part, Router};
use crate::wire::control::{self, CoordinatorWord};
use crate::wire::{CommandId, Generation, Header, Refusal, Undelivered, UndeliveredReason};

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

    /// A station has taken a one-way command and has not run it. Who sent it is known as long as it is remembered, and
    /// else as the envelope said it.
    pub fn not_run(&mut self, index: usize, ordinal: u64, command: CommandId, sender: u64) {
        let told = Ordered { command, sender: self.sender_of(sender) };
        let ordered = self.stations[index].forget_one_way(ordinal).unwrap_or(told);
        self.undelivered(ordered, index, UndeliveredReason::Frozen);
    }

    /// Who sent a one-way command, for a manager that may have to say that it did not run it; 0 for this process.
    pub(super) fn sender_word(&self, index: usize, part: Part<'_>) -> u64 {
        match part.caller {
            Caller::Manager { index: sender, generation, .. }
                if part.manner.is_hazardous && index < self.scope =>
            {
                u64::from(generation.0) << 32 | (sender as u64 + 1)
            }
            _ => 0,
        }
    }

    /// What a manager says of a sender is not believed any further than that there may be one.
    fn sender_of(&self, word: u64) -> Caller {
        let generation = Generation((word >> 32) as u32);
        match (word & u64::from(u32::MAX)).checked_sub(1).map(|index| index as usize) {
            Some(index) if index < self.scope => Caller::Manager { index, generation, correlation: 0 },
            _ => Caller::Local(0),
        }
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

//! Whether what calls tell before their end arrives: in order, all of it, and nothing after the end.

use labrig::remote::WINDOW;

use super::super::history::{MEMBERS, Token, chunk_of, reply_of, station_of};
use super::Checker;
use super::fates::Flow;

/// How many chunks may be out of the router's sight: in the pipe of their reader.
const UNSEEN: u32 = 2;

impl Checker {
    pub(super) fn chunk_sent(&mut self, token: Token, number: u32) {
        let is_pooled = self.is_pooled;
        let fate = self.fate(token);
        // The pipe of an instance holds any number of them.
        let is_in_sight = !is_pooled || !MEMBERS.contains(&station_of(fate.offer.caller));
        // What is sent after the end goes nowhere, and what belongs to no stream.
        if !fate.parts.values().any(|part| part.is_opened && part.over.is_none()) {
            return;
        }
        let expected = fate.chunks.sent;
        fate.chunks.sent += 1;
        let on_the_way = fate.chunks.sent - fate.chunks.heard;
        if number != expected || is_in_sight && on_the_way > WINDOW + UNSEEN {
            self.blame(format!(
                "chunk {number} of {token} is sent after {expected}, {on_the_way} on the way"
            ));
        }
    }

    pub(super) fn chunk_heard(&mut self, token: Token, chunk: &[u8]) {
        let fate = self.fate(token);
        let number = fate.chunks.heard;
        fate.chunks.heard += 1;
        let is_expected = chunk == chunk_of(token, number) && number < fate.chunks.sent;
        if !is_expected || !fate.is_open_heard || !fate.endings.is_empty() || fate.is_abandoned {
            let mistake = format!("chunk {number} of {token} came as {chunk:?}: {fate:?}");
            self.blame(mistake);
        }
    }

    pub(super) fn open_heard(&mut self, token: Token, reply: &[u8]) {
        let fate = self.fate(token);
        let was_heard = std::mem::replace(&mut fate.is_open_heard, true);
        let opener = fate.parts.iter().find(|(_, part)| part.is_opened).map(|(station, _)| *station);
        let is_true = opener.is_some_and(|opener| reply == reply_of(token, opener));
        if was_heard || !is_true || !fate.endings.is_empty() || fate.is_abandoned {
            let mistake = format!("{token} was opened by {reply:?}: {fate:?}");
            self.blame(mistake);
        }
        self.steps_are_whole(token);
    }

    pub(super) fn stepped(&mut self, token: Token, station: usize, step: u32) {
        let is_awaited = self.fate(token).awaited().contains(&station);
        let fate = self.fate(token);
        if is_awaited && !fate.is_broadcast() {
            // A next life to which the call was given begins again.
            let heard = if step == 1 { 0 } else { fate.steps.heard };
            fate.steps = Flow { sent: step, heard };
        }
    }

    pub(super) fn step_heard(&mut self, token: Token, of: Token, step: u32) {
        let fate = self.fate(token);
        let last = std::mem::replace(&mut fate.steps.heard, step);
        let is_told = of == token && step > last && step <= fate.steps.sent;
        let is_in_time = fate.endings.is_empty() && !fate.is_open_heard && !fate.is_abandoned;
        if !is_told || !is_in_time {
            let mistake = format!("step {step} of {of} came to the caller of {token}: {fate:?}");
            self.blame(mistake);
        }
    }

    /// At its end, all has come that was sent before.
    pub(super) fn flows_are_whole(&mut self, token: Token) {
        let fate = self.fate(token);
        if fate.is_ignored {
            return;
        }
        let (sent, heard) = (fate.chunks.sent, fate.chunks.heard);
        let is_opened = fate.parts.values().any(|part| part.is_opened);
        if sent != heard || is_opened != fate.is_open_heard {
            self.blame(format!("{token} ended after {heard} chunks, not {sent}"));
        }
        self.steps_are_whole(token);
    }

    fn steps_are_whole(&mut self, token: Token) {
        let steps = &self.fate(token).steps;
        if steps.sent != steps.heard {
            let mistake = format!("{token} was at step {}, and {} was told", steps.sent, steps.heard);
            self.blame(mistake);
        }
    }
}

//! The way out of a manager's process: over its pipe.

use std::time::{Duration, Instant};

use super::link::Link;
use crate::remote::{Need, OnUndelivered, Outgoing, Port, StreamError, StreamParts, Wait, Waited};
use crate::shm::ReadMode;
use crate::transport::PipeError;
use crate::wire::control::ManagerWord;
use crate::wire::{Generation, Header, Hop, Kind, Progress, Refusal, codec};

/// How long a full pipe may hold a sender up. The coordinator never blocks, so a pipe stays full only while
/// this manager is throttled or the coordinator is frozen.
const SEND_PATIENCE: Duration = Duration::from_secs(2);

impl Port for Link {
    fn submit(&self, outgoing: Outgoing<'_>) -> Result<u64, Refusal> {
        let Outgoing { mut header, spec, payload, slot } = outgoing;
        if header.kind == Kind::Call && !self.is_worker() {
            header.kind = Kind::Request;
        }
        let mut state = self.lock();
        if self.is_closed() {
            return Err(Refusal::Closed);
        }
        header.correlation = state.next_call;
        state.next_call += 1;
        if let Some(slot) = slot {
            if self.is_worker() {
                self.desk().work().note_asked(&slot);
            }
            state.calls.insert(header.correlation, slot);
        }
        drop(state);
        let patience = || Some(Instant::now() + SEND_PATIENCE);
        let buffers = header.buffers();
        let sent = header.lend_sealed(payload, |bytes| match self.line().send_beside(bytes, buffers) {
            Err(PipeError::NotReady) => self.send_until(bytes, buffers, patience()),
            sent => sent,
        });
        sent.map(|()| header.correlation).map_err(|error| {
            self.lock().calls.remove(&header.correlation);
            match error {
                PipeError::NotReady => Refusal::PipeFull { command: spec.name.clone() },
                _ => Refusal::Closed,
            }
        })
    }

    fn wait(&self, wait: Wait<'_>) -> Waited {
        let Wait { call: correlation, slot, need, until, is_announced } = wait;
        if slot.has(need) {
            return Waited::Over;
        }
        let is_worker = self.is_worker();
        let _paused = self.desk().vitals().pause();
        let is_edge = is_worker && need == Need::Answer;
        if is_edge && !is_announced {
            self.tell_of_call(&ManagerWord::Wait { correlation });
        }
        let is_to_stop = || is_worker && self.desk().work().ends_wait(slot);
        self.wait_for(slot, need, until, &is_to_stop);
        let is_there = slot.has(need);
        if is_edge && let Some(refusal) = slot.refusal() {
            self.desk().work().note_refused(&refusal);
        }
        if is_edge && !is_there {
            self.tell_of_call(&ManagerWord::WaitEnded { correlation });
        }
        if !is_there && is_to_stop() { Waited::Cancelled } else { Waited::Over }
    }

    fn attend(&self, call: u64) {
        let mut state = self.lock();
        if state.calls.contains_key(&call) {
            state.attended.insert(call);
            drop(state);
            self.call_attention();
        }
    }

    fn cancel(&self, correlation: u64) {
        self.tell_of(correlation, || ManagerWord::Cancel { correlation });
    }

    fn set_expiry(&self, correlation: u64, time_left: Option<Duration>) {
        let time_left_us = time_left.map(|left| u64::try_from(left.as_micros()).unwrap_or(u64::MAX));
        self.tell_of(correlation, || ManagerWord::SetExpiry { correlation, time_left_us });
    }

    fn abandon(&self, correlation: u64) {
        let mut state = self.lock();
        state.attended.remove(&correlation);
        let was_open = state.calls.remove(&correlation).is_some();
        drop(state);
        if was_open {
            self.tell_of_call(&ManagerWord::Abandon { correlation });
        }
    }

    fn grant(&self, correlation: u64, chunks: u32) {
        self.tell_of(correlation, || ManagerWord::Grant { correlation, chunks });
    }

    fn report_progress(&self, call: u64, progress: Progress) {
        let generation = Generation(self.configure.get().map_or(0, |configure| configure.generation));
        let header = Header { generation, correlation: call, ..Header::new(Kind::Progress) };
        match codec::to_postcard(&progress) {
            // Only the newest word on it counts: where there is no room for one, another will come.
            Ok(payload) => drop(self.line().send(&header.seal(&payload))),
            Err(error) => log::error!("progress cannot be told: {error}"),
        }
    }

    fn on_undelivered(&self, callback: OnUndelivered) {
        self.lock().on_undelivered.push(callback);
    }

    fn quit(&self, reason: &str) {
        self.tell(&ManagerWord::Quit { reason: reason.to_owned() });
    }

    fn report_loss(&self, what: &str, detail: &str) {
        self.tell(&ManagerWord::Lost { what: what.to_owned(), detail: detail.to_owned() });
    }

    fn find_stream(&self, stream: &str) -> Result<(), StreamError> {
        Err(StreamError::InAManager { stream: stream.to_owned() })
    }

    fn open_stream(&self, stream: &str, _: ReadMode) -> Result<StreamParts, StreamError> {
        Err(StreamError::InAManager { stream: stream.to_owned() })
    }

    fn default_deadline(&self) -> Duration {
        Duration::from_millis(self.configure.get().map_or(5000, |configure| configure.default_deadline_ms))
    }

    fn name_of(&self, hop: Hop) -> String {
        let Some(configure) = self.configure.get() else { return hop.in_words(None, None) };
        let manager = configure.roster.get(usize::from(hop.who)).map(String::as_str);
        let mut commands = configure.commands.iter();
        hop.in_words(manager, commands.find(|(id, _)| *id == hop.command).map(|(_, name)| name.as_str()))
    }
}

impl Link {
    /// Tells the coordinator something of a call, unless that has ended.
    fn tell_of(&self, call: u64, word: impl FnOnce() -> ManagerWord) {
        let is_open = self.lock().calls.contains_key(&call);
        if is_open {
            self.tell_of_call(&word());
        }
    }
}

//! What a call tells before its end: how far it is, and the stream that answers it.
//!
//! A station sends no more of a stream than it was granted, so that a reader which is slow or gone fills no
//! queue: what was granted is remembered here and held against what comes.

use std::sync::Arc;

use super::endings::too_large;
use super::station::Tells;
use super::{Answer, Asked, Caller, Effect, Life, Router};
use crate::remote::StreamNews;
use crate::remote::WINDOW;
use crate::wire::control::{self, CoordinatorWord};
use crate::wire::envelope::MAX_PAYLOAD_BYTES;
use crate::wire::{
    CodecId, Ending, EnvelopeError, Failure, Generation, Header, Kind, NotDone, Progress, Target, TypeSchema,
    codec,
};

/// The longest note of a handler's progress, in bytes; what is longer is cut.
const LONGEST_NOTE: usize = 4096;

/// A stream that answers a call.
#[derive(Debug)]
pub(super) struct Window {
    /// How many chunks may come before its reader has asked for more.
    left: u32,
    /// How long the handler ran that opened it.
    handler_us: u64,
}

impl Window {
    pub(super) fn handler_us(&self) -> u64 {
        self.handler_us
    }
}

impl Router {
    /// A station tells something about a call that it is at: its progress, or more of the stream that answers
    /// it. What belongs to no call of its own is discarded.
    ///
    /// # Errors
    /// [`EnvelopeError::Payload`] when it is not what it says, or more than was granted.
    pub fn told(&mut self, index: usize, header: &Header, payload: &[u8]) -> Result<(), EnvelopeError> {
        let is_progress = header.kind == Kind::Progress;
        let progress = if is_progress { Some(read_progress(payload)?) } else { None };
        let Some((caller, generation)) = self.caller_asking(index, header) else {
            self.told_in_vain(index, header);
            return Ok(());
        };
        match (header.kind, progress) {
            (_, Some(progress)) => self.progressed(header.correlation, caller, progress),
            (Kind::Opened, _) => self.opened(header, caller, generation, payload),
            _ => self.chunk(header, caller, payload)?,
        }
        if header.kind == Kind::Opened {
            self.worked_off(index, header);
        }
        Ok(())
    }

    /// Who asked for the call that a station speaks of, if that is one it was given in this life.
    fn caller_asking(&self, index: usize, header: &Header) -> Option<(Caller, Generation)> {
        let call = self.in_flight.get(header.correlation)?;
        let is_theirs = call.is_at(index, header.generation) && !call.is_one_way;
        is_theirs.then_some((call.caller, call.generation))
    }

    /// A stream that answers a call which has ended meanwhile is to end too, or it would wait for ever to be read.
    fn told_in_vain(&mut self, index: usize, header: &Header) {
        if header.kind != Kind::Opened {
            return;
        }
        self.forget_one_way(index, header);
        self.worked_off(index, header);
        self.totals.late_answers += 1;
        let is_alive = self.stations[index].generation == header.generation;
        if is_alive && self.in_flight.get(header.correlation).is_none() {
            self.effects.push(Effect::Cancel { station: index, call: header.correlation });
        }
    }

    fn progressed(&mut self, id: u64, caller: Caller, progress: Progress) {
        let has_answer = self.in_flight.get(id).is_some_and(|call| call.stream.is_some());
        match caller {
            _ if has_answer => {}
            Caller::Local(_) => self.effects.push(Effect::Progress { caller, progress }),
            Caller::Manager { index, correlation, .. } if self.is_present(caller) => {
                let header = Header { correlation, ..Header::new(Kind::Progress) };
                let news = header.seal(&write_progress(&progress));
                self.stations[index].push_news(Tells::Progress(id), news.into());
                self.effects.push(Effect::Flush(index));
            }
            // A broadcast has many handlers, and start-up commands nobody who looks.
            _ => {}
        }
    }

    /// The answer has come, and a stream follows: from now on the call has no deadline, and nobody waits for it.
    fn opened(&mut self, header: &Header, caller: Caller, generation: Generation, payload: &[u8]) {
        let id = header.correlation;
        let Some(call) = self.in_flight.get_mut(id).filter(|call| call.stream.is_none()) else { return };
        // What was to stop the handler came too late for that, and may have come too early for the stream.
        call.is_cancelled = false;
        let (by, chain) = (Arc::clone(&self.stations[call.station].shared_name), call.chain.clone());
        if !matches!(caller, Caller::Local(_) | Caller::Manager { .. }) {
            let why = Failure::text("a stream answers a call of one caller, not a broadcast");
            return self.fail_stream(id, Ending::NotDone(NotDone::Failed(why)));
        }
        if payload.len() > MAX_PAYLOAD_BYTES {
            return self.fail_stream(id, too_large(payload.len()));
        }
        call.stream = Some(Window { left: WINDOW, handler_us: header.time_left_us });
        self.in_flight.set_deadline(id, None);
        self.unlink(caller, Asked::Call(id));
        match caller {
            Caller::Manager { index, generation: life, correlation } if self.is_present(caller) => {
                let (codec, target) = (header.codec, Target::Named(by.to_string()));
                let attached = header.attached.clone();
                let opened = Header::new(Kind::Opened);
                let header = Header { codec, generation, correlation, target, chain, attached, ..opened };
                self.answer_manager(index, life, &header, payload);
            }
            // Whoever asked is gone: nobody reads it.
            Caller::Manager { .. } => self.cancel_call(id),
            _ => {
                let ending = Ending::Done(header.parcel(payload));
                let answer = Answer::One { ending, by, generation, chain };
                self.effects.push(Effect::Opened { caller, answer });
            }
        }
    }

    /// A stream that cannot be passed on ends, here and at its station.
    fn fail_stream(&mut self, id: u64, ending: Ending) {
        self.cancel_call(id);
        if let Some(call) = self.in_flight.complete(id) {
            self.end(id, call, ending, CodecId::Postcard);
        }
    }

    fn chunk(&mut self, header: &Header, caller: Caller, payload: &[u8]) -> Result<(), EnvelopeError> {
        let id = header.correlation;
        let window = self.in_flight.get_mut(id).and_then(|call| call.stream.as_mut());
        let window = window.filter(|window| window.left > 0);
        let reason = || "a chunk of a stream came that nobody had asked for".to_owned();
        window.ok_or_else(|| EnvelopeError::Payload { reason: reason() })?.left -= 1;
        if payload.len() > MAX_PAYLOAD_BYTES {
            self.fail_stream(id, too_large(payload.len()));
            return Ok(());
        }
        match caller {
            Caller::Manager { index, correlation, .. } if self.is_present(caller) => {
                let attached = header.attached.clone();
                let header = Header { correlation, attached, ..Header::new(Kind::Chunk) };
                self.stations[index].push_news(Tells::Chunk(id), header.pack(payload));
                self.effects.push(Effect::Flush(index));
            }
            // Whoever asked is gone, and the stream was cancelled then.
            Caller::Manager { .. } => {}
            _ => {
                let news = StreamNews::Chunk(header.parcel(payload));
                self.effects.push(Effect::Stream { caller, news });
            }
        }
        Ok(())
    }

    /// Whoever reads the stream that answers a call has taken so many chunks of it.
    pub fn grant(&mut self, caller: Caller, chunks: u32) {
        let Some(Asked::Call(id)) = self.asked.get(&caller).copied() else { return };
        let waiting = match caller {
            Caller::Manager { index, .. } => self.stations[index].chunks_waiting(id),
            _ => 0,
        };
        let Some(call) = self.in_flight.get_mut(id) else { return };
        let Some(window) = &mut call.stream else { return };
        // Nobody can have taken more than has come, or what still waits for room in the pipe.
        let chunks = chunks.min(WINDOW.saturating_sub(window.left).saturating_sub(waiting));
        if chunks == 0 {
            return;
        }
        window.left += chunks;
        let station = call.station;
        if station == self.scope_index() {
            self.effects.push(Effect::Grant { call: id, chunks });
        } else {
            self.tell(station, control::seal(&CoordinatorWord::Grant { correlation: id, chunks }));
        }
    }

    /// A manager is gone that was reading streams: nobody reads them any more.
    pub(super) fn close_streams_of(&mut self, index: usize) {
        let is_its =
            |caller: &Caller| matches!(caller, Caller::Manager { index: whose, .. } if *whose == index);
        let asked = self.asked.iter().filter(|(caller, _)| is_its(caller)).map(|(_, asked)| *asked);
        let mut streams: Vec<u64> = asked
            .filter_map(|asked| match asked {
                Asked::Call(id) => self.in_flight.get(id)?.stream.as_ref().map(|_| id),
                Asked::Gathering(_) => None,
            })
            .collect();
        streams.sort_unstable();
        streams.into_iter().for_each(|id| self.cancel_call(id));
    }

    /// Whether the life that made a call goes on.
    pub(super) fn is_present(&self, caller: Caller) -> bool {
        match caller {
            Caller::Manager { index, generation, .. } => {
                let station = &self.stations[index];
                station.generation == generation && station.life != Life::Dead
            }
            _ => true,
        }
    }
}

/// Reads progress; a note that is too long for a word on the way is cut.
fn read_progress(payload: &[u8]) -> Result<Progress, EnvelopeError> {
    let read = codec::from_postcard::<Progress>(payload, TypeSchema::known::<Progress>());
    let mut progress = read.map_err(|error| EnvelopeError::Payload { reason: error.to_string() })?;
    progress.note.truncate(progress.note.floor_char_boundary(LONGEST_NOTE));
    Ok(progress)
}

fn write_progress(progress: &Progress) -> Vec<u8> {
    codec::to_postcard(progress).expect("progress holds only plain values, which postcard writes")
}

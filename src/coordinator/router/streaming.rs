//! What a call tells before its end: how far it is, and the stream that answers it.
//!
//! A station sends no more of a stream than it was granted, so that a reader which is slow or gone fills no
//! queue: what was granted is remembered here and held against what comes.

use super::{Answer, Caller, Effect, Life, Router};
use crate::remote::StreamNews;
use crate::remote::WINDOW;
use crate::wire::control::{self, CoordinatorWord};
use crate::wire::{
    CodecId, Ending, EnvelopeError, Failure, Generation, Header, Kind, NotDone, Progress, Target, TypeSchema,
    codec,
};

/// How many chunks of a stream may come before its reader has asked for more.
#[derive(Debug)]
pub(super) struct Window(u32);

impl Router {
    /// A station tells something about a call that it is at: its progress, or more of the stream that answers
    /// it. What belongs to no call of its own is discarded.
    ///
    /// # Errors
    /// [`EnvelopeError::Payload`] when it is not what it says, or more than was granted.
    pub fn told(&mut self, index: usize, header: &Header, payload: &[u8]) -> Result<(), EnvelopeError> {
        let is_progress = header.kind == Kind::Progress;
        let progress = if is_progress { Some(read_progress(payload)?) } else { None };
        let Some((caller, generation)) = self.caller_asking(index, header) else { return Ok(()) };
        match (header.kind, progress) {
            (_, Some(progress)) => self.progressed(caller, progress, payload),
            (Kind::Opened, _) => self.opened(header, caller, generation, payload),
            _ => self.chunk(header.correlation, caller, payload)?,
        }
        Ok(())
    }

    /// Who asked for the call that a station speaks of, if that is one it was given in this life.
    fn caller_asking(&self, index: usize, header: &Header) -> Option<(Caller, Generation)> {
        let call = self.in_flight.get(header.correlation)?;
        let is_theirs =
            call.station == index && call.generation == header.generation && call.ordinal.is_some();
        is_theirs.then_some((call.caller, call.generation))
    }

    fn progressed(&mut self, caller: Caller, progress: Progress, payload: &[u8]) {
        match caller {
            Caller::Local(_) => self.effects.push(Effect::Progress { caller, progress }),
            Caller::Manager { index, correlation, .. } if self.is_present(caller) => {
                let header = Header { correlation, ..Header::new(Kind::Progress) };
                self.stations[index].push_progress(correlation, header.seal(payload));
                self.effects.push(Effect::Flush(index));
            }
            // A broadcast has many handlers, and start-up commands nobody who looks.
            _ => {}
        }
    }

    /// The answer has come, and a stream follows: from now on the call has no deadline, and nobody waits for it.
    fn opened(&mut self, header: &Header, caller: Caller, generation: Generation, payload: &[u8]) {
        let id = header.correlation;
        if !matches!(caller, Caller::Local(_) | Caller::Manager { .. }) {
            return self.refuse_stream(id, "a stream answers a call of one caller, not a broadcast");
        }
        let Some(call) = self.in_flight.get_mut(id).filter(|call| call.stream.is_none()) else { return };
        call.stream = Some(Window(WINDOW));
        let (by, chain) = (self.stations[call.station].name.to_string(), call.chain.clone());
        self.in_flight.set_deadline(id, None);
        self.end_wait(caller);
        match caller {
            Caller::Manager { index, generation: life, correlation } if self.is_present(caller) => {
                let (codec, target) = (header.codec, Target::Named(by));
                let header =
                    Header { codec, generation, correlation, target, chain, ..Header::new(Kind::Opened) };
                self.answer_manager(index, life, &header, payload);
            }
            // Whoever asked is gone: nobody reads it.
            Caller::Manager { .. } => self.cancel_call(id),
            _ => {
                let answer = Answer::One { ending: Ending::Done(payload.to_vec()), by, generation, chain };
                self.effects.push(Effect::Opened { caller, answer });
            }
        }
    }

    fn refuse_stream(&mut self, id: u64, why: &str) {
        self.cancel_call(id);
        if let Some(call) = self.in_flight.complete(id) {
            let why = NotDone::Failed(Failure::text(why));
            self.end(id, call, Ending::NotDone(why), CodecId::Postcard);
        }
    }

    fn chunk(&mut self, id: u64, caller: Caller, payload: &[u8]) -> Result<(), EnvelopeError> {
        let window = self.in_flight.get_mut(id).and_then(|call| call.stream.as_mut());
        let left = window.filter(|window| window.0 > 0);
        let reason = || "a chunk of a stream came that nobody had asked for".to_owned();
        left.ok_or_else(|| EnvelopeError::Payload { reason: reason() })?.0 -= 1;
        match caller {
            Caller::Manager { index, generation, correlation } => {
                let header = Header { correlation, ..Header::new(Kind::Chunk) };
                self.answer_manager(index, generation, &header, payload);
            }
            _ => {
                let news = StreamNews::Chunk(payload.to_vec());
                self.effects.push(Effect::Stream { caller, news });
            }
        }
        Ok(())
    }

    /// Whoever reads the stream that answers a call has taken so many chunks of it.
    pub fn grant(&mut self, caller: Caller, chunks: u32) {
        let Some(super::Asked::Call(id)) = self.asked.get(&caller).copied() else { return };
        let Some(call) = self.in_flight.get_mut(id) else { return };
        let Some(window) = &mut call.stream else { return };
        // Nobody can have taken more than has come.
        let chunks = chunks.min(WINDOW.saturating_sub(window.0));
        window.0 += chunks;
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
                super::Asked::Call(id) => self.in_flight.get(id)?.stream.as_ref().map(|_| id),
                super::Asked::Gathering(_) => None,
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

fn read_progress(payload: &[u8]) -> Result<Progress, EnvelopeError> {
    codec::from_postcard(payload, TypeSchema::known::<Progress>())
        .map_err(|error| EnvelopeError::Payload { reason: error.to_string() })
}

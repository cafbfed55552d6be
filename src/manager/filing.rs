//! What becomes of that which arrives: news of calls go to their slots, everything else to the worker.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::link::Link;
use crate::remote::{Answer, Slot, StreamNews, callbacks};
use crate::wire::control::{self, CoordinatorWord};
use crate::wire::{
    BroadcastOutcome, Ending, Envelope, EnvelopeError, Generation, Hops, Kind, NotDone, Progress, Refusal,
    Schema, Target, TypeSchema, Undelivered, attached, codec,
};

impl Link {
    /// Files what has arrived, unless it is for the worker: then it is given back.
    pub(super) fn file<'a>(
        &self,
        envelope: Envelope<'a>,
        descriptors: &mut Vec<OwnedFd>,
    ) -> Result<Option<Envelope<'a>>, EnvelopeError> {
        match envelope.header.kind {
            Kind::Done | Kind::Ended | Kind::Report => self.file_answer(envelope)?,
            Kind::Opened => self.file_opening(envelope)?,
            Kind::Progress | Kind::Chunk => self.file_news(&envelope)?,
            Kind::Control if self.heed(envelope.payload, descriptors) => {}
            _ => return Ok(Some(envelope)),
        }
        Ok(None)
    }

    /// A call has ended, or the stream that answered it.
    fn file_answer(&self, envelope: Envelope<'_>) -> Result<(), EnvelopeError> {
        let correlation = envelope.header.correlation;
        let answer = read_answer(envelope)?;
        let mut state = self.lock();
        state.attended.remove(&correlation);
        let slot = state.calls.remove(&correlation);
        drop(state);
        if let Some(slot) = slot {
            if let Err(answer) = slot.fill(answer) {
                slot.push(StreamNews::End(end_of(answer)));
            }
            self.tell_waiters();
        }
        Ok(())
    }

    /// A call is answered by a stream, which begins now.
    fn file_opening(&self, envelope: Envelope<'_>) -> Result<(), EnvelopeError> {
        let slot = self.lock().calls.get(&envelope.header.correlation).cloned();
        let answer = read_answer(envelope)?;
        if let Some(slot) = slot {
            // It was answered by a stream before: the coordinator opens one once.
            let _ = slot.fill(answer);
            self.tell_waiters();
        }
        Ok(())
    }

    fn file_news(&self, envelope: &Envelope<'_>) -> Result<(), EnvelopeError> {
        let Some(slot) = self.lock().calls.get(&envelope.header.correlation).cloned() else { return Ok(()) };
        if envelope.header.kind == Kind::Progress {
            slot.report(read::<Progress>(envelope.payload)?);
        } else {
            slot.push(StreamNews::Chunk(envelope.header.parcel(envelope.payload)));
            self.tell_waiters();
        }
        Ok(())
    }

    /// Words that need not wait for the worker; says whether it was one of those.
    fn heed(&self, payload: &[u8], descriptors: &mut Vec<OwnedFd>) -> bool {
        match control::open_coordinators(payload) {
            Ok(CoordinatorWord::Grant { correlation, chunks }) => {
                self.desk().streams().grant(correlation, chunks);
            }
            Ok(CoordinatorWord::Undelivered(news)) => self.note_undelivered(&news),
            Ok(CoordinatorWord::Signals { manager }) => {
                self.signal_pages.put(manager, std::mem::take(descriptors));
            }
            _ => return false,
        }
        true
    }

    /// One-way commands that were sent from here do not run.
    fn note_undelivered(&self, news: &Undelivered) {
        for told in self.lock().on_undelivered.clone() {
            let news = news.clone();
            callbacks::run_later(Box::new(move || told(&news)));
        }
    }
}

/// The rig has ended: so has whatever a slot waits for.
pub(super) fn close(slot: &Slot) {
    let ending = Ending::NotDone(NotDone::Refused(Refusal::Closed));
    let (by, generation, chain) = (Arc::default(), Generation(0), Hops::new());
    if let Err(answer) = slot.fill(Answer::One { ending, by, generation, chain }) {
        slot.push(StreamNews::End(end_of(answer)));
    }
}

fn end_of(answer: Answer) -> Result<(), NotDone> {
    match answer {
        Answer::One { ending: Ending::NotDone(why), .. } => Err(why),
        _ => Ok(()),
    }
}

fn read_answer(envelope: Envelope<'_>) -> Result<Answer, EnvelopeError> {
    let Envelope { header, payload } = envelope;
    let by = match &header.target {
        Target::Named(name) => name.as_str().into(),
        Target::Route => Arc::default(),
    };
    let ending = match header.kind {
        Kind::Report => {
            let read = || read::<Vec<BroadcastOutcome>>(payload);
            return Ok(Answer::Many(attached::offering(header.attached.as_deref(), read)?));
        }
        Kind::Done | Kind::Opened => Ending::Done(header.parcel(payload)),
        _ => Ending::NotDone(read::<NotDone>(payload)?),
    };
    Ok(Answer::One { ending, by, generation: header.generation, chain: header.chain })
}

fn read<T: serde::de::DeserializeOwned + Schema + 'static>(payload: &[u8]) -> Result<T, EnvelopeError> {
    codec::from_postcard(payload, TypeSchema::known::<T>())
        .map_err(|error| EnvelopeError::Payload { reason: error.to_string() })
}

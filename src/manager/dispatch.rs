//! From an envelope to a handler and back.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::link::{Arrived, Link};
use super::panics;
use crate::registry::{Context, Incoming, Instance};
use crate::remote::scope::Ping;
use crate::shm::StatusPage;
use crate::wire::{self, Command, CommandId, Failure, Header, Hop, Kind, NotDone, Refusal};

/// The handlers of the manager, by command, and the place where it says what it is doing.
pub(super) struct Dispatch {
    link: Arc<Link>,
    page: Arc<StatusPage>,
    index: u16,
    handlers: HashMap<CommandId, usize>,
    taken: u64,
}

impl Dispatch {
    pub(super) fn new(link: Arc<Link>, page: Arc<StatusPage>, index: u16, instance: &dyn Instance) -> Self {
        let handlers = instance.commands().iter().enumerate().map(|(at, spec)| (spec.id, at)).collect();
        Self { link, page, index, handlers, taken: 0 }
    }

    /// Runs the handler of a command and answers. The command counts as taken before its first instruction.
    pub(super) fn handle(&mut self, instance: &mut dyn Instance, context: &mut Context, arrived: &Arrived) {
        let header = &arrived.header;
        self.taken += 1;
        self.page.begin(self.taken, header.command.0, None);
        let end = self.run(instance, context, arrived);
        match header.kind {
            Kind::Request => self.answer(header, end),
            _ => note_failure(header, end),
        }
        self.page.finish(self.taken);
    }

    fn run(
        &self,
        instance: &mut dyn Instance,
        context: &mut Context,
        arrived: &Arrived,
    ) -> Result<Vec<u8>, NotDone> {
        let header = &arrived.header;
        if header.command == Ping::spec().id {
            return Ok(Vec::new());
        }
        let Some(&handler) = self.handlers.get(&header.command) else {
            return Err(NotDone::Refused(Refusal::UnknownCommand { command: header.command.to_string() }));
        };
        let mut chain = header.chain.clone();
        chain.push(Hop { who: self.index, command: header.command });
        context.enter(context.base().within(chain, deadline_of(header)));
        let incoming = Incoming { payload: &arrived.payload, codec: header.codec };
        let end = panics::catch(|| instance.handle(handler, incoming, context));
        context.leave();
        end.map_err(NotDone::Failed)
    }

    fn answer(&self, asked: &Header, end: Result<Vec<u8>, NotDone>) {
        let (kind, payload) = wire::answer(end);
        let header = Header {
            codec: asked.codec,
            generation: asked.generation,
            correlation: asked.correlation,
            ..Header::new(kind)
        };
        let bytes = header.seal(&payload);
        if let Err(error) = self.link.send(&bytes) {
            log::error!("an answer of {} bytes was not sent: {error}", bytes.len());
        }
    }

    /// Says that a command will not run because this manager ends.
    pub(super) fn refuse(&self, asked: &Header) {
        if asked.kind == Kind::Request {
            let command = asked.command.to_string();
            self.answer(asked, Err(NotDone::Refused(Refusal::Quitting { command })));
        }
    }
}

fn deadline_of(header: &Header) -> Option<Instant> {
    match header.time_left_us {
        0 => None,
        left => Instant::now().checked_add(Duration::from_micros(left)),
    }
}

/// A one-way command that failed has nobody to tell but the log.
fn note_failure(header: &Header, end: Result<Vec<u8>, NotDone>) {
    match end {
        Ok(_) => {}
        Err(NotDone::Failed(failure)) => log::warn!("a one-way command {} failed: {failure}", header.command),
        Err(why) => log::warn!("a one-way command {} was not done: {why:?}", header.command),
    }
}

/// What became of a timer or frame handler.
pub(super) fn note_tick(method: &str, end: Result<(), Failure>) {
    if let Err(failure) = end {
        log::warn!("`{method}` failed: {failure}");
    }
}

//! From an envelope to a handler and back.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::link::{Arrived, Link};
use super::panics;
use crate::registry::{Context, Incoming, Instance};
use crate::remote::scope::Ping;
use crate::shm::StatusPage;
use crate::wire::{self, Command, CommandId, CommandSpec, Failure, Header, Hop, Kind, NotDone, Refusal};

/// The handlers of the manager, by command, and the place where it says what it is doing.
pub(super) struct Dispatch {
    link: Arc<Link>,
    page: Arc<StatusPage>,
    index: u16,
    handlers: HashMap<CommandId, (usize, &'static CommandSpec)>,
    taken: u64,
}

impl Dispatch {
    pub(super) fn new(link: Arc<Link>, page: Arc<StatusPage>, index: u16, instance: &dyn Instance) -> Self {
        let specs = instance.commands().into_iter().enumerate();
        let handlers = specs.map(|(at, spec)| (spec.id, (at, spec))).collect();
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
            _ => self.note_failure(header, end),
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
        let Some(&(handler, _)) = self.handlers.get(&header.command) else {
            let command = self.name_of(header.command);
            return Err(NotDone::Refused(Refusal::UnknownCommand { command }));
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
            let command = self.name_of(asked.command);
            self.answer(asked, Err(NotDone::Refused(Refusal::Quitting { command })));
        }
    }

    /// A one-way command that failed has nobody to tell but the log.
    fn note_failure(&self, header: &Header, end: Result<Vec<u8>, NotDone>) {
        let name = self.name_of(header.command);
        match end {
            Ok(_) => {}
            Err(NotDone::Failed(failure)) => log::warn!("the one-way command `{name}` failed: {failure}"),
            Err(why) => log::warn!("the one-way command `{name}` was not done: {why:?}"),
        }
    }

    /// The command's name, or its fingerprint when it is none of ours.
    fn name_of(&self, command: CommandId) -> String {
        self.handlers.get(&command).map_or_else(|| command.to_string(), |(_, spec)| spec.name.clone())
    }
}

fn deadline_of(header: &Header) -> Option<Instant> {
    match header.time_left_us {
        0 => None,
        left => Instant::now().checked_add(Duration::from_micros(left)),
    }
}

/// What became of a timer or frame handler.
pub(super) fn note_tick(method: &str, end: Result<(), Failure>) {
    if let Err(failure) = end {
        log::warn!("`{method}` failed: {failure}");
    }
}

//! The thread that runs the scope's handlers, in the coordinator's process.

use std::collections::HashMap;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded};

use super::core::Core;
use crate::registry::{Context, Incoming, ScopeInstance};
use crate::wire::{self, CommandId, Envelope, Failure, FailureKind, Header, Hop, Kind, NotDone, Refusal};

/// The scope's values and where each command is handled.
struct ScopeThread {
    core: Arc<Core>,
    instances: Vec<Box<dyn ScopeInstance>>,
    handlers: HashMap<CommandId, (usize, usize)>,
    context: Context,
}

/// Starts the thread; it ends when the rig closes, and with it the channel.
pub(super) fn start(
    core: Arc<Core>,
    instances: Vec<Box<dyn ScopeInstance>>,
    context: Context,
) -> std::io::Result<(JoinHandle<()>, Receiver<()>)> {
    let mut handlers = HashMap::new();
    for (at, instance) in instances.iter().enumerate() {
        handlers.extend(instance.commands().iter().enumerate().map(|(index, spec)| (spec.id, (at, index))));
    }
    let scope = ScopeThread { core, instances, handlers, context };
    let (ending, ended) = bounded(0);
    let run = move || {
        scope.run();
        drop(ending);
    };
    let thread = thread::Builder::new().name("labrig-scope".to_owned()).spawn(run)?;
    Ok((thread, ended))
}

impl ScopeThread {
    fn run(mut self) {
        while let Some(bytes) = self.core.next_for_scope() {
            match Envelope::open(&bytes) {
                Ok(envelope) => self.handle(&envelope),
                Err(error) => log::error!("the router queued what is no envelope: {error}"),
            }
        }
    }

    fn handle(&mut self, envelope: &Envelope<'_>) {
        let header = &envelope.header;
        let end = self.run_handler(envelope);
        if header.kind != Kind::Request {
            if let Err(why) = end {
                let route = self.core.blueprint.routes.get(&header.command);
                let name = route.map_or_else(|| header.command.to_string(), |route| route.name.clone());
                match why {
                    NotDone::Failed(failure) => log::warn!("the one-way command `{name}` failed: {failure}"),
                    why => log::warn!("the one-way command `{name}` was not done: {why:?}"),
                }
            }
            return;
        }
        let (kind, payload) = wire::answer(end);
        let answer = Header {
            codec: header.codec,
            generation: header.generation,
            correlation: header.correlation,
            ..Header::new(kind)
        };
        let mut state = self.core.lock();
        let scope = state.router.scope_index();
        if let Err(error) = state.router.answered(scope, &answer, &payload) {
            log::error!("the scope's answer cannot be read: {error}");
        }
        let answers = self.core.perform(&mut state);
        drop(state);
        answers.hand_over();
    }

    fn run_handler(&mut self, envelope: &Envelope<'_>) -> Result<Vec<u8>, NotDone> {
        let header = &envelope.header;
        let Some(&(at, index)) = self.handlers.get(&header.command) else {
            return Err(NotDone::Refused(Refusal::UnknownCommand { command: header.command.to_string() }));
        };
        let mut chain = header.chain.clone();
        chain.push(Hop { who: Hop::SCOPE, command: header.command });
        let deadline = (header.time_left_us > 0).then(|| Duration::from_micros(header.time_left_us));
        let deadline = deadline.and_then(|left| Instant::now().checked_add(left));
        self.context.enter(self.context.base().within(chain, deadline));
        let incoming = Incoming { payload: envelope.payload, codec: header.codec };
        let (instance, context) = (&mut self.instances[at], &mut self.context);
        let end = panic::catch_unwind(AssertUnwindSafe(|| instance.handle(index, incoming, context)));
        self.context.leave();
        end.unwrap_or_else(|payload| Err(panicked(&*payload))).map_err(NotDone::Failed)
    }
}

fn panicked(payload: &(dyn std::any::Any + Send)) -> Failure {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    let text = text.unwrap_or_else(|| "a panic without text".to_owned());
    Failure { kind: FailureKind::Panic, ..Failure::text(text) }
}

//! The thread that runs the scope's handlers, in the coordinator's process.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crossbeam_channel::{Receiver, bounded};

use super::core::Core;
use crate::registry::{Context, Finished, Incoming, ScopeInstance};
use crate::wire::{CommandId, Envelope, Header, Hop, Kind, NotDone, Refusal};

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
    answer_later_by(&core);
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
        while let Some(parcel) = self.core.next_for_scope() {
            match Envelope::unpack(&parcel) {
                Ok(envelope) => self.handle(&envelope),
                Err(error) => log::error!("the router queued what is no envelope: {error}"),
            }
        }
    }

    fn handle(&mut self, envelope: &Envelope<'_>) {
        let header = &envelope.header;
        let finished = self.run_handler(envelope);
        if header.kind != Kind::Request {
            return self.note_failure(header, finished);
        }
        if finished.is_put_off {
            return;
        }
        let (answer, payload, stream) = finished.answer(header);
        let Some(source) = stream else { return tell(&self.core, &answer, &payload) };
        let core = Arc::clone(&self.core);
        let send = Arc::new(move |header: &Header, payload: &[u8]| tell(&core, header, payload));
        self.core.scope_desk.streams().open(&answer, &payload, source, send);
    }

    /// A one-way command that failed has nobody to tell but the log.
    fn note_failure(&self, header: &Header, finished: Finished) {
        let Err(why) = finished.end else { return };
        let route = self.core.blueprint.routes.get(&header.command);
        let name = route.map_or_else(|| header.command.to_string(), |route| route.name.clone());
        match why {
            NotDone::Failed(failure) => log::warn!("the one-way command `{name}` failed: {failure}"),
            why => log::warn!("the one-way command `{name}` was not done: {why:?}"),
        }
    }

    fn run_handler(&mut self, envelope: &Envelope<'_>) -> Finished {
        let header = &envelope.header;
        let Some(&(at, index)) = self.handlers.get(&header.command) else {
            let command = header.command.to_string();
            return Finished::without_running(NotDone::Refused(Refusal::UnknownCommand { command }));
        };
        let now = Instant::now();
        self.context.enter(Hop::SCOPE, header, now);
        let incoming =
            Incoming { payload: envelope.payload, attached: header.attached.as_deref(), codec: header.codec };
        let (instance, context) = (&mut self.instances[at], &mut self.context);
        let finished =
            self.core.scope_desk.run(header, now, || {}, || instance.handle(index, incoming, context));
        self.context.leave();
        finished
    }
}

/// Answers that were put off go the way of all others.
fn answer_later_by(core: &Arc<Core>) {
    let way = Arc::downgrade(core);
    core.scope_desk.late().send_by(Arc::new(move |header: &Header, payload: &[u8]| {
        if let Some(core) = way.upgrade() {
            tell(&core, header, payload);
        }
    }));
}

/// Gives the router what the scope answers, or streams after it.
fn tell(core: &Core, header: &Header, payload: &[u8]) {
    let told = core.with_router(|router| match (router.scope_index(), header.kind) {
        (scope, Kind::Done | Kind::Ended) => router.answered(scope, header, payload),
        (scope, _) => router.told(scope, header, payload),
    });
    if let Err(error) = told {
        log::error!("the scope's answer cannot be read: {error}");
    }
}

//! The thread that runs the scope's handlers, in the coordinator's process.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crossbeam_channel::{Receiver, bounded};

use super::core::{Core, CoreState};
use super::router::Moment;
use crate::registry::{Context, Finished, HandlerEnd, Incoming, Invocation, ScopeInstance, remote_methods};
use crate::remote::ForgetDeeds;
use crate::wire::{Command, CommandId, Envelope, Header, Hop, Kind, NotDone, Parcel, Refusal};

/// The scope's values and where each command is handled.
struct ScopeThread {
    core: Arc<Core>,
    instances: Vec<Box<dyn ScopeInstance>>,
    /// Whose, by which index, and whether a journal is kept of it.
    handlers: HashMap<CommandId, (usize, usize, bool)>,
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
        let commands = instance.commands().into_iter().enumerate();
        handlers.extend(commands.map(|(index, spec)| (spec.id, (at, index, spec.journaled))));
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

impl Core {
    /// Waits, as the scope's thread, for the next command; none once the rig has closed.
    pub(crate) fn next_for_scope(&self) -> Option<Parcel> {
        self.scope_thread.get_or_init(|| thread::current().id());
        let mut state = self.lock();
        if std::mem::take(&mut state.is_scope_busy) && state.is_quitting {
            self.wake.ring();
        }
        loop {
            if !state.scope_words.is_empty() || self.values.has_discarded() {
                let words = std::mem::take(&mut state.scope_words);
                drop(state);
                self.settle_scope_values(words);
                state = self.lock();
                continue;
            }
            let scope = state.router.scope_index();
            if let Some(mut parcel) = state.router.next_for(scope, &Moment::now()).cloned() {
                let CoreState { router, pages, .. } = &mut *state;
                router.sent(scope, pages);
                self.values.arrived(parcel.attached.as_deref_mut());
                state.is_scope_busy = true;
                return Some(parcel);
            }
            if state.is_closed {
                return None;
            }
            self.scope_queued.wait(&mut state);
        }
    }
}

impl ScopeThread {
    fn run(mut self) {
        while let Some(parcel) = self.core.next_for_scope() {
            match Envelope::unpack(&parcel) {
                Ok(envelope) => self.handle(&envelope),
                Err(error) => log::error!("the router queued what is no envelope: {error}"),
            }
        }
        remote_methods::drop_all(self.core.values.take_all());
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
        match *why {
            NotDone::Failed(failure) => log::warn!("the one-way command `{name}` failed: {failure}"),
            why => log::warn!("the one-way command `{name}` was not done: {why:?}"),
        }
    }

    fn run_handler(&mut self, envelope: &Envelope<'_>) -> Finished {
        let header = &envelope.header;
        let Some(&(at, index, is_journaled)) = self.handlers.get(&header.command) else {
            if header.command == ForgetDeeds::spec().id {
                let forget = |incoming: Incoming<'_>, context: &mut Context| context.forget_deeds(incoming);
                return attend(&self.core, &mut self.context, envelope, forget);
            }
            if let Some(invocation) =
                Invocation::find(header, self.core.scope_values(), self.context.manager())
            {
                // A method of a value of this process that others have handles to.
                return match invocation {
                    Ok(mut invocation) => {
                        attend(&self.core, &mut self.context, envelope, |incoming, context| {
                            invocation.run(incoming, context)
                        })
                    }
                    Err(why) => Finished::without_running(why),
                };
            }
            let command = header.command.to_string();
            return Finished::without_running(NotDone::Refused(Refusal::UnknownCommand { command }));
        };
        let instance = &mut self.instances[at];
        attend(&self.core, &mut self.context, envelope, |incoming, context| {
            context.in_the_journal(header, is_journaled, |context| instance.handle(index, incoming, context))
        })
    }
}

/// Does what a command asks for, as its handler.
fn attend(
    core: &Core,
    context: &mut Context,
    envelope: &Envelope<'_>,
    handle: impl FnOnce(Incoming<'_>, &mut Context) -> HandlerEnd,
) -> Finished {
    let (header, now) = (&envelope.header, Instant::now());
    context.enter(Hop::SCOPE, header, now);
    let incoming = Incoming::of(header, envelope.payload);
    let finished = core.scope_desk.run(header, now, || {}, || handle(incoming, context));
    context.leave();
    finished
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
    let told = core.with_router(|router| {
        let mut header = header.clone();
        core.send_values(router, header.attached.as_deref_mut());
        match (router.scope_index(), header.kind) {
            (scope, Kind::Done | Kind::Ended) => router.answered(scope, &header, payload),
            (scope, _) => router.told(scope, &header, payload),
        }
    });
    if let Err(error) = told {
        log::error!("the scope's answer cannot be read: {error}");
    }
}

//! From an envelope to a handler and back.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use foldhash::fast::RandomState;

use super::cancels::Cancels;
use super::inbox::Arrived;
use super::link::Link;
use super::safety::Safety;
use super::steps::Steps;
use crate::registry::{Context, Finished, HandlerEnd, Incoming, Instance, Invocation, SettingsKeeper, Step};
use crate::remote::scope::Ping;
use crate::remote::{ChangeSettings, ForgetDeeds, ReadSettings, SelfCheck};
use crate::shm::{StatusPage, monotonic_ns, monotonic_ns_of};
use crate::transport::PipeError;
use crate::wire::control::ManagerWord;
use crate::wire::{
    Buffer, Command, CommandId, CommandSpec, Failure, Header, Kind, NotDone, Parcel, Refusal, SafeReason,
};

/// The handlers of the manager, by command, and the place where it says what it is doing.
pub(super) struct Dispatch {
    link: Arc<Link>,
    page: Arc<StatusPage>,
    cancels: Arc<Cancels>,
    safety: Arc<Safety>,
    index: u16,
    handlers: HashMap<CommandId, (usize, &'static CommandSpec), RandomState>,
    self_checks: Vec<&'static str>,
    settings: Option<SettingsKeeper>,
    /// Whether anything that it handles moves or emits something; its self-checks count as that then.
    is_hazardous: bool,
    taken: u64,
}

impl Dispatch {
    pub(super) fn new(
        link: Arc<Link>,
        page: Arc<StatusPage>,
        cancels: Arc<Cancels>,
        safety: Arc<Safety>,
        index: u16,
        instance: &dyn Instance,
        settings: Option<SettingsKeeper>,
    ) -> Self {
        let specs = instance.commands().into_iter().enumerate();
        let handlers: HashMap<_, _, _> = specs.map(|(at, spec)| (spec.id, (at, spec))).collect();
        let self_checks = instance.self_checks();
        answer_later_by(&link);
        let is_hazardous = handlers.values().any(|(_, spec)| spec.hazardous);
        Self { link, page, cancels, safety, index, handlers, self_checks, settings, is_hazardous, taken: 0 }
    }

    /// Runs the handler of a command and answers. The command counts as taken before its first instruction.
    pub(super) fn handle(
        &mut self,
        instance: &mut dyn Instance,
        context: &mut Context,
        steps: &mut Steps,
        arrived: &Arrived,
    ) {
        let header = &arrived.header;
        self.taken += 1;
        if self.safety.has_called_off(self.taken) {
            return self.call_off(header);
        }
        let now = Instant::now();
        let allowance = self.link.desk().vitals().allowance_ns();
        self.page.begin(self.taken, header.command.0, allowance, monotonic_ns_of(now));
        let finished = self.run(instance, context, arrived, now);
        if let Err(NotDone::Failed(failure)) = finished.end.as_ref().map_err(|why| &**why) {
            steps.note_failure(&self.name_of(header.command), failure);
        }
        match header.kind {
            Kind::Request if finished.is_put_off => {}
            Kind::Request => self.answer(header, finished, |bytes, buffers| {
                self.deliver(bytes, buffers, instance, steps);
            }),
            _ => self.note_failure(header, finished.end),
        }
        self.page.finish(self.taken);
    }

    /// Sends the answer of a handler, however long the line is full: nobody else could. What is more urgent is done
    /// meanwhile, so that a coordinator that hears nothing keeps no hardware from its safe state. A process that is to
    /// end waits no longer: its caller learns of that.
    fn deliver(&self, bytes: &[u8], buffers: &[Buffer], instance: &mut dyn Instance, steps: &Steps) {
        let mut entries = Vec::new();
        let sent = loop {
            match self.link.try_send(bytes, buffers) {
                Err(PipeError::NotReady) if !self.ends() => self.link.wait_for_room(),
                sent => break sent,
            }
            if let Some(order) = self.safety.begin() {
                let enter = || self.safety.enter(order, instance);
                entries.extend(steps.mark(Step::SafeState, enter));
            }
        };
        let told = entries.into_iter().map(ManagerWord::Safe);
        match sent {
            Ok(()) => told.for_each(|word| self.link.tell(&word)),
            Err(error) => {
                log::error!("an answer of {} bytes was not sent: {error}", bytes.len());
                // There is hardly room for them either, and the process ends.
                told.for_each(|word| {
                    let _ = self.link.try_tell(&word);
                });
            }
        }
    }

    /// Whether the process ends, and not in good order.
    fn ends(&self) -> bool {
        self.safety.ending().is_some_and(|reason| reason != SafeReason::Quit)
    }

    /// A stop was ordered before the command began: it never does. Of one-way commands the coordinator has told.
    fn call_off(&self, header: &Header) {
        self.page.begin(self.taken, header.command.0, None, monotonic_ns());
        if header.kind == Kind::Request {
            self.answer(header, Finished::without_running(NotDone::Cancelled), |bytes, buffers| {
                self.link.send_answer(bytes, buffers);
            });
        }
        self.page.finish(self.taken);
    }

    fn run(
        &mut self,
        instance: &mut dyn Instance,
        context: &mut Context,
        arrived: &Arrived,
        now: Instant,
    ) -> Finished {
        let header = &arrived.header;
        if header.command == Ping::spec().id {
            return self.link.desk().run(header, now, || self.cancels.take(), || Ok(Parcel::default()));
        }
        if header.command == SelfCheck::spec().id {
            return self.self_check(instance, context, arrived, now);
        }
        if let Some(mut keeper) = self.settings.take_if(|_| is_about_settings(header.command)) {
            let finished = self.settings(&mut keeper, instance, context, arrived, now);
            self.settings = Some(keeper);
            return finished;
        }
        let Some(&(handler, spec)) = self.handlers.get(&header.command) else {
            if header.command == ForgetDeeds::spec().id {
                return self
                    .attend(context, arrived, now, |incoming, context| context.forget_deeds(incoming));
            }
            if let Some(invocation) = Invocation::find(header, self.link.estate(), context.manager()) {
                return self.invoke(invocation, context, arrived, now);
            }
            let command = self.name_of(header.command);
            return Finished::without_running(NotDone::Refused(Refusal::UnknownCommand { command }));
        };
        if spec.hazardous && !self.safety.may_leave() {
            log::warn!("`{}` does not run: it was sent before the coordinator froze", spec.name);
            if header.kind == Kind::Send {
                // Of a one-way command it says who sent it.
                let (ordinal, command, sender) = (self.taken, header.command, header.correlation);
                self.link.tell(&ManagerWord::NotRun { ordinal, command, sender });
            }
            return Finished::without_running(NotDone::Cancelled);
        }
        self.attend(context, arrived, now, |incoming, context| {
            context.in_the_journal(header, spec.journaled, |context| {
                if spec.hazardous {
                    self.safety.leave();
                }
                instance.handle(handler, incoming, context)
            })
        })
    }

    /// Does what a command asks for, as its handler.
    fn attend(
        &self,
        context: &mut Context,
        arrived: &Arrived,
        now: Instant,
        handle: impl FnOnce(Incoming<'_>, &mut Context) -> HandlerEnd,
    ) -> Finished {
        context.enter(self.index, &arrived.header, now);
        let run = || handle(arrived.incoming(), context);
        let finished = self.link.desk().run(&arrived.header, now, || self.cancels.take(), run);
        context.leave();
        finished
    }

    /// Runs a method of a value that others have handles to.
    fn invoke(
        &self,
        invocation: Result<Invocation, NotDone>,
        context: &mut Context,
        arrived: &Arrived,
        now: Instant,
    ) -> Finished {
        match invocation {
            Ok(mut invocation) => {
                self.attend(context, arrived, now, |incoming, context| invocation.run(incoming, context))
            }
            Err(why) => Finished::without_running(why),
        }
    }

    /// Runs what is called by its name: nothing but what the kind has marked as a self-check.
    fn self_check(
        &self,
        instance: &mut dyn Instance,
        context: &mut Context,
        arrived: &Arrived,
        now: Instant,
    ) -> Finished {
        if self.is_hazardous && !self.safety.may_leave() {
            log::warn!("a self-check does not run: it was sent before the coordinator froze");
            return Finished::without_running(NotDone::Cancelled);
        }
        self.attend(context, arrived, now, |incoming, context| {
            let asked = incoming.command::<SelfCheck>()?;
            let index = self.self_checks.iter().position(|name| *name == asked.name);
            let index = index.ok_or_else(|| self.no_such_check(&asked.name))?;
            if self.is_hazardous {
                self.safety.leave();
            }
            instance.self_check(index, context)?;
            incoming.reply::<SelfCheck>(&())
        })
    }

    /// Tells the settings, or has them changed.
    fn settings(
        &self,
        keeper: &mut SettingsKeeper,
        instance: &mut dyn Instance,
        context: &mut Context,
        arrived: &Arrived,
        now: Instant,
    ) -> Finished {
        self.attend(context, arrived, now, |incoming, context| {
            if arrived.header.command == ReadSettings::spec().id {
                return incoming.reply::<ReadSettings>(&keeper.told());
            }
            let asked = incoming.command::<ChangeSettings>()?;
            incoming.reply::<ChangeSettings>(&keeper.change(&asked, instance, context)?)
        })
    }

    fn no_such_check(&self, name: &str) -> Failure {
        Failure::text(match self.self_checks.as_slice() {
            [] => format!("there is no self-check `{name}`: this kind has none"),
            known => format!("there is no self-check `{name}`; there are `{}`", known.join("`, `")),
        })
    }

    fn answer(&self, asked: &Header, finished: Finished, deliver: impl FnOnce(&[u8], &[Buffer])) {
        let (header, payload, stream) = finished.answer(asked);
        let Some(source) = stream else {
            self.link.estate().leaving(header.attached.as_deref());
            return header.lend_sealed(&payload, |bytes| deliver(bytes, header.buffers()));
        };
        let link = Arc::clone(&self.link);
        let send = Arc::new(move |header: &Header, payload: &[u8]| link.answer(header, payload));
        self.link.desk().streams().open(&header, &payload, source, send);
        self.link.call_attention();
    }

    /// Says that a command will not run because this manager ends.
    pub(super) fn refuse(&self, asked: &Header) {
        if asked.kind == Kind::Request {
            let command = self.name_of(asked.command);
            let refusal = NotDone::Refused(Refusal::Quitting { command });
            self.answer(asked, Finished::without_running(refusal), |bytes, buffers| {
                self.link.send_answer(bytes, buffers);
            });
        }
    }

    /// A one-way command that failed has nobody to tell but the log.
    fn note_failure(&self, header: &Header, end: Result<Parcel, Box<NotDone>>) {
        let Err(why) = end else { return };
        let name = self.name_of(header.command);
        match *why {
            NotDone::Failed(failure) => log::warn!("the one-way command `{name}` failed: {failure}"),
            why => log::warn!("the one-way command `{name}` was not done: {why:?}"),
        }
    }

    /// The command's name, or its fingerprint when it is none of ours.
    fn name_of(&self, command: CommandId) -> String {
        self.handlers.get(&command).map_or_else(|| command.to_string(), |(_, spec)| spec.name.clone())
    }
}

fn is_about_settings(command: CommandId) -> bool {
    command == ReadSettings::spec().id || command == ChangeSettings::spec().id
}

/// Answers that were put off go by the same line as all others.
fn answer_later_by(link: &Arc<Link>) {
    let line = Arc::downgrade(link);
    link.desk().late().send_by(Arc::new(move |header: &Header, payload: &[u8]| {
        if let Some(link) = line.upgrade() {
            link.answer(header, payload);
        }
    }));
}

//! The way into the rig for threads of the coordinator's own process: straight to the router.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;

use super::core::{Core, CoreState, Request};
use super::router::{Caller, Moment};
use crate::remote::{
    Estate, Need, OnUndelivered, Outgoing, Port, Slot, StreamError, StreamParts, Wait, Waited,
};
use crate::shm::ReadMode;
use crate::wire::{CommandSpec, Header, Hop, Kind, ManagerName, Progress, Refusal, codec};

impl Core {
    fn note_refused(&self, refusal: &Refusal) {
        if matches!(refusal, Refusal::Busy { .. }) {
            // Whoever tries again at once would keep the lock, and the processor, from those who make room.
            thread::yield_now();
        }
        if self.is_scope_thread() {
            self.scope_desk.work().note_refused(refusal);
        }
    }

    /// A command that no program of the rig handles is absent, under its name; unless one handles another shape
    /// of it.
    fn named(&self, refusal: Refusal, spec: &CommandSpec) -> Refusal {
        let command = spec.name.clone();
        match refusal {
            Refusal::UnknownCommand { .. }
                if self.blueprint.routes.values().any(|it| it.name == spec.name) =>
            {
                Refusal::UnknownCommand { command }
            }
            Refusal::UnknownCommand { .. } => Refusal::Absent { manager: None, command },
            other => other,
        }
    }
}

impl Core {
    /// Whoever is told `Busy` tries again: what there is room for by now goes on its way meanwhile.
    fn make_room(&self, state: &mut CoreState, manager: &ManagerName, now: &Moment) {
        let place = state.router.place_of(manager).filter(|place| *place < state.peers.len());
        place.into_iter().for_each(|index| self.flush(state, index, now));
    }

    /// Passes a one-way command on, if that is as plain as it mostly is; says whether it has.
    pub(super) fn pass(
        &self,
        state: &mut CoreState,
        caller: Caller,
        header: &Header,
        payload: &[u8],
    ) -> bool {
        let CoreState { router, pages, peers, .. } = state;
        router.pass(caller, header, payload, pages, |index, envelope| peers[index].put(envelope))
    }

    /// Offers a command of this process, however its payload is written; gives the number of its call.
    ///
    /// # Errors
    /// [`Refusal`], when it is known here and now that it will not run.
    pub(super) fn offer(
        &self,
        mut header: Header,
        payload: &[u8],
        slot: Option<Arc<Slot>>,
    ) -> Result<u64, Refusal> {
        let is_scope = (header.kind == Kind::Call || slot.is_some()) && self.is_scope_thread();
        if header.kind == Kind::Call && !is_scope {
            header.kind = Kind::Request;
        }
        let now = Moment::now();
        let mut state = self.lock();
        if state.is_closed {
            return Err(Refusal::Closed);
        }
        let call = state.next_call;
        state.next_call += 1;
        if self.pass(&mut state, Caller::Local(call), &header, payload) {
            return Ok(call);
        }
        let wants_answer = slot.is_some();
        if let Some(slot) = slot {
            if is_scope {
                self.scope_desk.work().note_asked(&slot);
            }
            state.slots.insert(call, slot);
        }
        let CoreState { router, pages, .. } = &mut *state;
        self.send_values(router, header.attached.as_deref_mut());
        let offered = router.submit(Caller::Local(call), &header, payload, &now, pages);
        // Whatever of it is on its way is so by the router's copy.
        header.attached = None;
        if offered.is_err() && wants_answer {
            state.slots.remove(&call);
        }
        if let Err(Refusal::Busy { manager, .. }) = &offered {
            self.make_room(&mut state, manager, &now);
        }
        let answers = self.perform_at(&mut state, &now);
        drop(state);
        answers.hand_over();
        if let Err(refusal) = &offered {
            self.note_refused(refusal);
        }
        offered.map(|()| call)
    }
}

impl Port for Core {
    fn submit(&self, outgoing: Outgoing<'_>) -> Result<u64, Refusal> {
        let Outgoing { header, spec, payload, slot } = outgoing;
        self.offer(header, payload, slot).map_err(|refusal| self.named(refusal, spec))
    }

    fn wait(&self, wait: Wait<'_>) -> Waited {
        let Wait { slot, need, until, .. } = wait;
        if !self.is_scope_thread() {
            match need {
                Need::Answer => self.wait_for_answer(wait.call, slot, until),
                Need::Chunk => drop(slot.wait_until(need, until, &|| false)),
            }
            return Waited::Over;
        }
        let is_edge = need == Need::Answer && !slot.has(need);
        if is_edge && !wait.is_announced {
            self.with_router(|router| router.begin_wait(Caller::Local(wait.call)));
        }
        let is_to_stop = || self.scope_desk.work().ends_wait(slot);
        self.lock().scope_waits = Some(Arc::clone(slot));
        let is_there = slot.wait_until(need, until, &is_to_stop);
        self.lock().scope_waits = None;
        if is_edge && let Some(refusal) = slot.refusal() {
            self.scope_desk.work().note_refused(&refusal);
        }
        if is_edge && !is_there {
            self.with_router(|router| router.end_wait(Caller::Local(wait.call)));
        }
        if !is_there && is_to_stop() { Waited::Cancelled } else { Waited::Over }
    }

    fn attend(&self, _: u64) {}

    fn cancel(&self, call: u64) {
        self.with_router(|router| router.cancel(Caller::Local(call)));
    }

    fn set_expiry(&self, call: u64, time_left: Option<Duration>) {
        let deadline = time_left.and_then(|left| Instant::now().checked_add(left));
        self.with_router(|router| router.set_expiry(Caller::Local(call), deadline));
    }

    fn abandon(&self, call: u64) {
        if self.lock().slots.remove(&call).is_some() {
            self.with_router(|router| router.abandon(Caller::Local(call)));
        }
    }

    fn grant(&self, call: u64, chunks: u32) {
        self.with_router(|router| router.grant(Caller::Local(call), chunks));
    }

    fn report_progress(&self, call: u64, progress: Progress) {
        let told = codec::to_postcard(&progress).map(|payload| {
            self.with_router(|router| {
                let scope = router.scope_index();
                let generation = router.station(scope).generation;
                let header = Header { generation, correlation: call, ..Header::new(Kind::Progress) };
                router.told(scope, &header, &payload)
            })
        });
        if !matches!(told, Ok(Ok(()))) {
            log::error!("the scope's progress cannot be told: {told:?}");
        }
    }

    fn on_undelivered(&self, callback: OnUndelivered) {
        self.lock().on_undelivered.push(callback);
    }

    fn quit(&self, reason: &str) {
        let reason = if reason.is_empty() { "asked by the program" } else { reason };
        self.ask(Request::Quit(reason.to_owned()));
    }

    fn report_loss(&self, what: &str, detail: &str) {
        self.ask(Request::Loss { what: what.to_owned(), detail: detail.to_owned() });
    }

    fn find_stream(&self, stream: &str) -> Result<(), StreamError> {
        let known: Vec<_> = self.blueprint.streams.iter().map(|known| known.name.clone()).collect();
        if known.iter().any(|name| name == stream) {
            return Ok(());
        }
        Err(StreamError::Unknown { stream: stream.to_owned(), known })
    }

    fn open_stream(&self, stream: &str, mode: ReadMode) -> Result<StreamParts, StreamError> {
        let (sender, receiver) = bounded(1);
        let request = Request::OpenStream { stream: stream.to_owned(), mode, asker: sender };
        self.ask(request);
        receiver.recv().unwrap_or(Err(StreamError::Closed))
    }

    fn estate(&self) -> &Arc<Estate> {
        self.scope_values()
    }

    fn default_deadline(&self) -> Duration {
        self.blueprint.default_deadline
    }

    fn name_of(&self, hop: Hop) -> String {
        let manager = self.blueprint.managers.get(usize::from(hop.who)).map(|manager| manager.name.as_str());
        hop.in_words(manager, self.blueprint.routes.get(&hop.command).map(|route| route.name.as_str()))
    }
}

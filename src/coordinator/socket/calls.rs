//! What clients ask for, done: commands are offered to the router, and what becomes of them is told.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde_json::{Value, json};

use super::answers::{self, Reply};
use super::commands::Prepared;
use super::server::Server;
use crate::coordinator::core::Request as ToLoop;
use crate::coordinator::status::RigStatus;
use crate::remote::scope::Ping;
use crate::remote::{Arm, Port, Restart, Slot, StopAll};
use crate::wire::{
    CodecId, Command, CommandSpec, Header, Kind, Ordered, Problem, Refusal, Request, Target, codec,
};

/// How many calls of one client may be under way.
const MOST_CALLS: usize = 256;

/// The calls of all clients that are under way, and who wants to know how the rig is doing.
#[derive(Default)]
pub(super) struct Calls {
    under_way: HashMap<u64, UnderWay>,
    next: u64,
    /// Who is answered by the status that was asked for.
    asked_status: Vec<(u64, u64)>,
    /// Who asked since.
    wants_status: Vec<(u64, u64)>,
}

/// One call.
struct UnderWay {
    client: u64,
    /// The client's number for it.
    id: u64,
    /// The port's number for it.
    call: u64,
    slot: Arc<Slot>,
    /// Whether its word waits in the mailbox.
    is_told: Arc<AtomicBool>,
    command: String,
    reply: Reply,
    begun: Instant,
}

impl Server {
    /// Does what a client asks for.
    pub(super) fn ask(&mut self, client: u64, id: u64, request: Request) {
        match request {
            Request::Ping { manager: None } => self.answer(client, id, Ok(json!({}))),
            Request::Ping { manager: Some(manager) } => self.ping(client, id, manager),
            Request::Status {} => {
                self.calls.wants_status.push((client, id));
                self.ask_status();
            }
            Request::Commands {} => self.answer(client, id, Ok(self.catalogue.table.clone())),
            Request::Signals {} => {
                let signals = json!({ "signals": self.core.signals.to_json() });
                self.answer(client, id, Ok(signals));
            }
            Request::Rows { name, latest } => self.rows(client, id, &name, latest),
            Request::FollowRows { name, latest } => self.follow_rows(client, id, &name, latest),
            Request::Settings {} => {
                let owners = json!({ "managers": self.catalogue.settings_owners });
                self.answer(client, id, Ok(owners));
            }
            Request::Watch { events } => self.watch(client, id, events.as_deref()),
            Request::Call(ordered) => self.command(client, id, Kind::Request, &ordered),
            Request::Send(ordered) => self.command(client, id, Kind::Send, &ordered),
            Request::Broadcast(ordered) => self.command(client, id, Kind::Broadcast, &ordered),
            Request::Cancel { call } => self.cancel(client, id, call),
            Request::Stop {} => self.order(client, id, &StopAll {}, Reply::Stop),
            Request::Arm { manager } => self.order(client, id, &Arm { manager }, Reply::Armed),
            Request::Restart { manager } => self.order(client, id, &Restart { manager }, Reply::Restarted),
            Request::Quit {} => {
                self.core.quit("asked by a client of its socket");
                self.answer(client, id, Ok(json!({})));
            }
        }
    }

    pub(super) fn answer(&mut self, client: u64, id: u64, answer: Result<Value, Problem>) {
        if let Some(there) = self.clients.get_mut(&client) {
            there.answer(id, answer);
            self.unflushed.insert(client);
        }
    }

    // --- commands ---

    fn command(&mut self, client: u64, id: u64, kind: Kind, ordered: &Ordered) {
        let default_ms = self.core.default_deadline().as_millis() as u64;
        match self.catalogue.prepare(kind, ordered, default_ms) {
            Ok(prepared) if kind == Kind::Send => {
                let offered = self.core.offer(prepared.header, &prepared.payload, None);
                let answer = offered.map(|_| json!({})).map_err(|refusal| answers::refused(&refusal));
                self.answer(client, id, answer);
            }
            Ok(prepared) => self.begin(client, id, prepared, Reply::Json),
            Err(problem) => self.answer(client, id, Err(problem)),
        }
    }

    /// What the coordinator itself is asked for.
    fn order<C: Command>(&mut self, client: u64, id: u64, order: &C, reply: Reply) {
        let payload = codec::to_postcard(order).expect("an order holds only a name");
        let header = Header { codec: CodecId::Postcard, ..self.header_of(C::spec()) };
        self.begin(client, id, Prepared { header, payload, name: C::spec().name.clone() }, reply);
    }

    fn ping(&mut self, client: u64, id: u64, manager: String) {
        let header = Header { target: Target::Named(manager), ..self.header_of(Ping::spec()) };
        let prepared = Prepared { header, payload: Vec::new(), name: Ping::spec().name.clone() };
        self.begin(client, id, prepared, Reply::Pong);
    }

    fn header_of(&self, spec: &CommandSpec) -> Header {
        let default_ms = self.core.default_deadline().as_millis() as u64;
        let time_left_us = spec.deadline_ms.unwrap_or(default_ms).saturating_mul(1000);
        Header { command: spec.id, codec: CodecId::Json, time_left_us, ..Header::new(Kind::Request) }
    }

    /// Offers a command whose end the client is told.
    fn begin(&mut self, client: u64, id: u64, prepared: Prepared, reply: Reply) {
        if let Err(problem) = self.may_begin(client, id) {
            return self.answer(client, id, Err(problem));
        }
        let Prepared { header, payload, name } = prepared;
        let deadline_ms = header.time_left_us / 1000;
        let number = self.calls.next;
        self.calls.next += 1;
        let is_told = Arc::new(AtomicBool::new(false));
        let slot = Arc::new(Slot::notifying(self.mailbox.of_call(number, &is_told)));
        let begun = Instant::now();
        match self.core.offer(header, &payload, Some(Arc::clone(&slot))) {
            Err(refusal) => self.answer(client, id, Err(answers::refused(&refusal))),
            Ok(call) => {
                let under_way = UnderWay { client, id, call, slot, is_told, command: name, reply, begun };
                self.calls.under_way.insert(number, under_way);
                if let Some(there) = self.clients.get_mut(&client) {
                    there.calls += 1;
                    there.tell(id, &json!({ "event": "accepted", "deadline_ms": deadline_ms }));
                    self.unflushed.insert(client);
                }
            }
        }
    }

    fn may_begin(&self, client: u64, id: u64) -> Result<(), Problem> {
        if self.clients.get(&client).is_some_and(|client| client.calls >= MOST_CALLS) {
            let text = format!("{MOST_CALLS} calls of this connection are under way already");
            return Err(Problem::new("too-many-calls", text).hint("wait until some have ended"));
        }
        match self.call_of(client, id) {
            Some(_) => {
                let text = format!("a call with the id {id} is under way already");
                Err(Problem::new("bad-request", text).hint("give each request an id of its own"))
            }
            None => Ok(()),
        }
    }

    fn call_of(&self, client: u64, id: u64) -> Option<&UnderWay> {
        self.calls.under_way.values().find(|it| it.client == client && it.id == id)
    }

    fn cancel(&mut self, client: u64, id: u64, call: u64) {
        let found = self.call_of(client, call).map(|under_way| under_way.call);
        if let Some(call) = found {
            self.core.cancel(call);
        }
        self.answer(client, id, Ok(json!({ "was_under_way": found.is_some() })));
    }

    /// Something has become of a call.
    pub(super) fn look_at_call(&mut self, number: u64) {
        let Some(under_way) = self.calls.under_way.get(&number) else { return };
        under_way.is_told.store(false, Ordering::Release);
        let (client, id) = (under_way.client, under_way.id);
        if let Some(answer) = under_way.slot.answer() {
            let mut told = answers::tell(under_way.reply, &under_way.command, &answer);
            if let (Ok(told), Reply::Pong) = (&mut told, under_way.reply) {
                told["round_trip_us"] = (under_way.begun.elapsed().as_micros() as u64).into();
            }
            self.calls.under_way.remove(&number);
            if let Some(there) = self.clients.get_mut(&client) {
                there.calls -= 1;
            }
            self.answer(client, id, told);
        } else if let (Some(progress), Some(there)) =
            (under_way.slot.progress(), self.clients.get_mut(&client))
        {
            there.tell(id, &answers::progress(&progress));
            self.unflushed.insert(client);
        }
    }

    /// A client is gone: nobody wants its calls any longer. Orders take effect all the same.
    pub(super) fn take_back(&mut self, client: u64) {
        let gone: Vec<_> = self.calls.under_way.extract_if(|_, it| it.client == client).collect();
        for (_, under_way) in gone {
            if matches!(under_way.reply, Reply::Json | Reply::Pong) {
                self.core.cancel(under_way.call);
            }
        }
        self.calls.asked_status.retain(|(asker, _)| *asker != client);
        self.calls.wants_status.retain(|(asker, _)| *asker != client);
    }

    // --- status ---

    /// Asks the main loop how the rig is doing: one question at a time, for all who want to know.
    fn ask_status(&mut self) {
        if self.calls.asked_status.is_empty() && !self.calls.wants_status.is_empty() {
            self.calls.asked_status = mem::take(&mut self.calls.wants_status);
            self.core.ask(ToLoop::Status(Box::new(self.mailbox.of_status())));
        }
    }

    pub(super) fn status_came(&mut self, status: Option<&RigStatus>) {
        let told = match status {
            Some(status) => Ok(serde_json::to_value(status).expect("a status holds only plain values")),
            None => Err(answers::refused(&Refusal::Closed)),
        };
        for (client, id) in mem::take(&mut self.calls.asked_status) {
            self.answer(client, id, told.clone());
        }
        self.ask_status();
    }
}

//! Events for those who watch: each once, in order, as far as the client takes them in; the rest is counted.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::client::Client;
use super::server::Server;
use crate::coordinator::events::{RigEvent, Stamped};
use crate::coordinator::router::{Caller, TracedEnding};
use crate::wire::{EventKind, Problem};

/// What a client watches.
#[derive(Debug)]
pub(super) struct Watch {
    /// The id of the request.
    id: u64,
    /// Of which kinds it wants to be told; of all when none is named.
    kinds: Option<HashSet<EventKind>>,
    /// How many events it was not told of since the last one.
    missed: u64,
}

impl Watch {
    fn wants(&self, kind: EventKind) -> bool {
        self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&kind))
    }
}

impl Client {
    /// Tells an event, or counts it as missed.
    fn show(&mut self, kind: EventKind, event: &Value) {
        self.tell_missed();
        let Some(id) = self.watch.as_ref().filter(|watch| watch.wants(kind)).map(|watch| watch.id) else {
            return;
        };
        let is_behind = self.watch.as_ref().is_some_and(|watch| watch.missed > 0);
        if is_behind || !self.tell(id, event) {
            self.miss(1);
        }
    }

    fn miss(&mut self, count: u64) {
        if let Some(watch) = &mut self.watch {
            watch.missed += count;
        }
    }

    /// Tells how many events were missed, when some were and there is room; says whether it did.
    pub(super) fn tell_missed(&mut self) -> bool {
        let Some((id, count)) = self.watch.as_ref().map(|watch| (watch.id, watch.missed)) else {
            return false;
        };
        let is_told = count > 0 && self.tell(id, &json!({ "event": "missed", "count": count }));
        if let Some(watch) = self.watch.as_mut().filter(|_| is_told) {
            watch.missed = 0;
        }
        is_told
    }
}

impl Server {
    /// A client wants to be told of what happens from now on.
    pub(super) fn watch(&mut self, client: u64, id: u64, kinds: Option<&[EventKind]>) {
        let Some(there) = self.clients.get_mut(&client) else { return };
        if there.watch.is_some() {
            let problem = Problem::new("bad-request", "this connection watches already");
            return self.answer(client, id, Err(problem.hint("open another one")));
        }
        let kinds = kinds.map(|kinds| kinds.iter().copied().collect());
        there.watch = Some(Watch { id, kinds, missed: 0 });
        // What happened before, for others who watch, is not for this one.
        let next = self.core.events.next_number();
        self.note_watchers();
        self.answer(client, id, Ok(json!({ "next_seq": next })));
    }

    /// The rig tells of what happens, and of endings, only while somebody wants to know.
    pub(super) fn note_watchers(&self) {
        let mut watches = self.clients.values().filter_map(|client| client.watch.as_ref());
        let with_endings = watches.clone().any(|watch| watch.wants(EventKind::Ending));
        let is_watched = watches.next().is_some();
        let events = &self.core.events;
        if is_watched != events.is_watched() || with_endings != events.are_endings_watched() || is_watched {
            self.core.watch(is_watched, with_endings);
        }
    }

    /// Hands on what has happened since.
    pub(super) fn tell_events(&mut self) {
        let (events, dropped) = self.core.events.take();
        for stamped in &events {
            let (kind, event) = self.in_words(stamped);
            let watchers = self.clients.iter_mut().filter(|(_, client)| client.watch.is_some());
            for (number, client) in watchers {
                client.show(kind, &event);
                self.unflushed.insert(*number);
            }
        }
        if dropped > 0 {
            self.clients.values_mut().for_each(|client| client.miss(dropped));
        }
    }

    fn in_words(&self, stamped: &Stamped) -> (EventKind, Value) {
        let (kind, mut told) = match &stamped.event {
            RigEvent::State { manager, generation, from, to } => {
                let manager = self.name_of(*manager);
                let told = json!({ "manager": manager, "generation": generation, "from": from, "to": to });
                (EventKind::State, told)
            }
            RigEvent::Death { manager, generation, pid, how, at, last_lines } => {
                let command = (!at.is_empty()).then_some(at);
                let told = json!({
                    "manager": self.name_of(*manager), "generation": generation, "pid": pid, "how": how,
                    "command": command, "last_lines": last_lines,
                });
                (EventKind::Death, told)
            }
            RigEvent::Safe { manager, generation, entry } => {
                let told = json!({
                    "manager": self.name_of(*manager), "generation": generation, "reason": entry.reason,
                    "took_us": entry.took_us, "by_emergency_handle": entry.by_emergency_handle,
                });
                (EventKind::Safe, told)
            }
            RigEvent::Fault { manager, text } => {
                (EventKind::Fault, json!({ "manager": manager.map(|it| self.name_of(it)), "text": text }))
            }
            RigEvent::Loss { manager, what, detail } => {
                (EventKind::Loss, json!({ "manager": manager, "what": what, "detail": detail }))
            }
            RigEvent::Ending(ending) => (EventKind::Ending, self.ending(ending)),
            RigEvent::Undelivered { sender, news } => {
                let told = json!({
                    "command": news.command, "from": sender, "to": news.to, "reason": news.reason.to_string(),
                });
                (EventKind::Undelivered, told)
            }
            RigEvent::Quit { reason } => (EventKind::Quit, json!({ "reason": reason, "has_ended": false })),
            RigEvent::Ended { is_clean, reason } => {
                let told = json!({ "reason": reason, "has_ended": true, "is_clean": is_clean });
                (EventKind::Quit, told)
            }
        };
        told["event"] = serde_json::to_value(kind).expect("a kind is a word");
        told["seq"] = stamped.number.into();
        told["at_ns"] = stamped.at_ns.into();
        (kind, told)
    }

    fn ending(&self, ending: &TracedEnding) -> Value {
        let from = match ending.caller {
            Caller::Manager { index, .. } => self.name_of(index),
            Caller::Startup(_) => "config",
            _ => "scope",
        };
        let command = self.catalogue.name_of(ending.command);
        json!({
            "command": command.map_or_else(|| ending.command.to_string(), str::to_owned),
            "from": from,
            "manager": self.name_of(ending.station),
            "generation": ending.generation.0,
            "ending": ending.ending,
            "handler_us": ending.handler.map(|time| time.as_micros() as u64),
        })
    }

    /// The name of a manager by its place; the scope is behind them.
    fn name_of(&self, index: usize) -> &str {
        self.core.blueprint.managers.get(index).map_or("scope", |manager| manager.name.as_str())
    }
}

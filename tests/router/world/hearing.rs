//! What the router does, and what callers hear.

use labrig::coordinator::router::{Caller, Effect};
use labrig::remote::{Answer, StreamNews};
use labrig::wire::control::CoordinatorWord;
use labrig::wire::{
    BroadcastOutcome, Ending, Generation, Kind, NotDone, Progress, Target, TypeSchema, codec,
};

use super::super::bench::*;
use super::super::history::{MEMBERS, Seen, Token, token_of};
use super::World;

impl World {
    pub(super) fn observe(&mut self) {
        loop {
            let effects = self.bench.router.take_effects();
            if effects.is_empty() {
                break;
            }
            effects.into_iter().for_each(|effect| self.notice(effect));
            // What a pool gives to an instance is seen when it comes out of that one's pipe: at once.
            if self.history.is_pooled {
                MEMBERS.into_iter().for_each(|member| self.flush(member));
            }
        }
        for station in 0..SCOPE {
            let waiting = self.bench.router.station(station).waiting(self.bench.progress.0[station]);
            self.see(Seen::Waiting { station, waiting });
        }
    }

    fn notice(&mut self, effect: Effect) {
        match effect {
            Effect::Flush(_) => {}
            Effect::LeavesSafeState(station) => self.see(Seen::LeavesSafe { station }),
            Effect::TaskFailed { station, .. } => self.see(Seen::TaskFailed { station }),
            Effect::Undelivered { sender, news } => self.see(Seen::Undelivered { sender, news }),
            Effect::Answer { caller, answer } => self.answered(caller, answer),
            Effect::Opened { caller, answer: Answer::One { ending: Ending::Done(reply), .. } } => {
                self.open_heard(caller, reply.bytes);
            }
            Effect::Stream { caller, news: StreamNews::Chunk(chunk) } => {
                self.chunk_heard(caller, chunk.bytes)
            }
            Effect::Stream { caller, news: StreamNews::End(end) } => {
                let ending = end.map_or_else(Ending::NotDone, |()| Ending::Done(Vec::new().into()));
                self.ended(caller, ending, String::new());
            }
            Effect::Progress { caller, progress } => self.step_heard(caller, &progress),
            Effect::Cancel { station, call } => self.told_to_cancel(station, call),
            Effect::Grant { call, chunks } => self.granted(SCOPE, call, chunks),
            Effect::Traced(traced) => {
                let (caller, station, ending) = (traced.caller, traced.station, traced.ending);
                self.see(Seen::Traced { caller, station, ending });
            }
            other => panic!("nobody expected {other:?}"),
        }
    }

    fn told_to_cancel(&mut self, station: usize, call: u64) {
        let player = &mut self.players[station];
        let is_it = |sent: &&Sent| sent.header.correlation == call && sent.header.kind == Kind::Request;
        let commands = player.pipe.iter().chain(&player.inbox).chain(&player.at);
        let token_in = |sent: &Sent| sent.payload.first_chunk().copied().map(Token::from_le_bytes);
        let mut token = commands.clone().find(is_it).and_then(token_in);
        if token.is_some() {
            player.cancelled.insert(call);
        }
        for outflow in player.streams.iter_mut().filter(|outflow| outflow.asked.header.correlation == call) {
            outflow.is_cancelled = true;
            token = Some(outflow.token);
        }
        self.see(Seen::ToldToCancel { token, station });
    }

    fn granted(&mut self, station: usize, call: u64, chunks: u32) {
        let streams = &mut self.players[station].streams;
        if let Some(outflow) = streams.iter_mut().find(|outflow| outflow.asked.header.correlation == call) {
            outflow.credit += chunks;
        }
    }

    // --- what comes to managers through their pipes ---

    pub(super) fn hear(&mut self, station: usize, sent: &Sent) {
        let life = self.players[station].life;
        if sent.header.kind == Kind::Control {
            return self.hear_word(station, life, sent.word());
        }
        let token = sent.header.correlation;
        self.see(Seen::Heard { token, life });
        let caller = Caller::Manager { index: station, generation: Generation(life), correlation: token };
        let by = match &sent.header.target {
            Target::Named(name) => name.clone(),
            Target::Route => String::new(),
        };
        match sent.header.kind {
            // Whoever has given up does not look at what comes nevertheless.
            Kind::Opened | Kind::Chunk | Kind::Progress if self.abandoned.contains(&token) => {}
            Kind::Opened => self.open_heard(caller, sent.payload.clone()),
            Kind::Chunk => self.chunk_heard(caller, sent.payload.clone()),
            Kind::Progress => {
                let read = codec::from_postcard(&sent.payload, TypeSchema::known::<Progress>());
                self.step_heard(caller, &read.expect("progress can be read"));
            }
            Kind::Report => {
                let schema = TypeSchema::known::<Vec<BroadcastOutcome>>();
                let outcomes = codec::from_postcard(&sent.payload, schema).expect("a report can be read");
                self.reported(caller, outcomes);
            }
            Kind::Done => self.ended(caller, Ending::Done(sent.payload.clone().into()), by),
            _ => self.ended(caller, Ending::NotDone(sent.not_done()), by),
        }
    }

    fn hear_word(&mut self, station: usize, life: u32, word: CoordinatorWord) {
        match word {
            CoordinatorWord::Grant { correlation, chunks } => self.granted(station, correlation, chunks),
            CoordinatorWord::Undelivered(news) => self.see(Seen::LossHeard { station, life, news }),
            other => panic!("nobody expected {other:?}"),
        }
    }

    // --- what callers are told ---

    fn answered(&mut self, caller: Caller, answer: Answer) {
        match answer {
            Answer::One { ending, by, .. } => self.ended(caller, ending, by.to_string()),
            Answer::Many(outcomes) => self.reported(caller, outcomes),
        }
    }

    fn ended(&mut self, caller: Caller, ending: Ending, by: String) {
        self.forget(caller);
        self.see(Seen::Ended { token: token_of(caller), ending, by });
    }

    fn reported(&mut self, caller: Caller, outcomes: Vec<BroadcastOutcome>) {
        self.forget(caller);
        let ending = |outcome: Result<_, NotDone>| outcome.map_or_else(Ending::NotDone, Ending::Done);
        let outcomes = outcomes.into_iter().map(|one| (one.manager, ending(one.outcome))).collect();
        self.see(Seen::Reported { token: token_of(caller), outcomes });
    }

    fn open_heard(&mut self, caller: Caller, reply: Vec<u8>) {
        self.go_on(caller);
        if let Some(open) = self.open.iter_mut().find(|open| open.caller == caller) {
            open.read = Some(0);
        }
        self.see(Seen::OpenHeard { token: token_of(caller), reply });
    }

    fn chunk_heard(&mut self, caller: Caller, chunk: Vec<u8>) {
        let open = self.open.iter_mut().find(|open| open.caller == caller);
        if let Some(read) = open.and_then(|open| open.read.as_mut()) {
            *read += 1;
        }
        self.see(Seen::ChunkHeard { token: token_of(caller), chunk });
    }

    fn step_heard(&mut self, caller: Caller, progress: &Progress) {
        let (of, step) = (progress.total as Token, progress.done as u32);
        self.see(Seen::StepHeard { token: token_of(caller), of, step });
    }
}

//! What stations do with what comes out of their pipes.

use labrig::coordinator::router::Moment;
use labrig::wire::{Failure, Generation, Header, Kind, NotDone};

use super::super::bench::*;
use super::super::history::{MEMBERS, Said, Seen, Token, chunk_of, reply_of, token_of};
use super::{Outflow, PIPE, World};

pub(super) fn token_in(command: &Sent) -> Token {
    Token::from_le_bytes(command.payload[..8].try_into().expect("a command carries its token"))
}

fn is_command(sent: &Sent) -> bool {
    matches!(sent.header.kind, Kind::Request | Kind::Send)
}

impl World {
    /// Moves what fits into the pipe of a manager; the scope takes a command when it is at none.
    pub(super) fn flush(&mut self, station: usize) {
        if station == SCOPE {
            return self.flush_scope();
        }
        while !self.players[station].is_dead && self.players[station].pipe.len() < self.room_in_pipe(station)
        {
            let Some(sent) = self.bench.pass(station) else { return };
            self.enter_pipe(station, sent);
        }
    }

    /// An envelope goes into the pipe of a manager.
    pub(super) fn enter_pipe(&mut self, station: usize, sent: Sent) {
        self.delivered(station, &sent);
        self.players[station].pipe.push_back(sent);
    }

    fn room_in_pipe(&self, station: usize) -> usize {
        let is_instance = self.history.is_pooled && MEMBERS.contains(&station);
        if is_instance { usize::MAX } else { PIPE }
    }

    fn flush_scope(&mut self) {
        let scope = &self.players[SCOPE];
        if scope.at.is_some() || scope.waits_for.is_some() {
            return;
        }
        if let Some(sent) = self.bench.pass(SCOPE) {
            self.delivered(SCOPE, &sent);
            self.players[SCOPE].inbox.push_back(sent);
            self.begin(SCOPE);
        }
    }

    fn delivered(&mut self, station: usize, sent: &Sent) {
        self.moved += 1;
        if is_command(sent) {
            let (life, marked) = (self.players[station].life, sent.header.generation.0);
            self.see(Seen::Delivered { token: token_in(sent), station, life, marked });
        }
    }

    /// A manager reads its pipe, also while its handler waits.
    pub(super) fn read(&mut self, station: usize) {
        let Some(sent) = self.players[station].pipe.pop_front() else { return };
        self.moved += 1;
        match is_command(&sent) {
            true => self.players[station].inbox.push_back(sent),
            false => self.hear(station, &sent),
        }
    }

    pub(super) fn begin(&mut self, station: usize) {
        let player = &mut self.players[station];
        if player.at.is_some() || player.waits_for.is_some() {
            return;
        }
        let Some(sent) = player.inbox.pop_front() else { return };
        let was_cancelled = player.cancelled.remove(&sent.header.correlation);
        let (token, is_one_way) = (token_in(&sent), sent.header.kind == Kind::Send);
        if player.dropped.remove(&token) {
            self.bench.take(station);
            return self.see(Seen::Dropped { token, station });
        }
        player.step = 0;
        player.at = Some(sent);
        self.see(Seen::Taken { token, station });
        if station != SCOPE {
            self.bench.take(station);
            self.bench.progress.1[station] = 1;
        }
        if was_cancelled {
            self.end_with(station, Said::Cancelled);
        } else if is_one_way && station == SCOPE {
            // What the scope was given counts as done.
            self.finish(SCOPE);
        }
    }

    /// The handler comes to its end, unless it waits.
    pub(super) fn finish(&mut self, station: usize) {
        let player = &self.players[station];
        let Some(asked) = player.at.as_ref().filter(|_| player.waits_for.is_none()) else { return };
        let is_cancelled = player.cancelled.contains(&asked.header.correlation);
        match self.chance.below(9) {
            _ if asked.header.kind == Kind::Send => self.end_one_way(station),
            _ if self.is_one_way_at(station) && !is_cancelled => {
                let said = if self.chance.one_in(3) { Said::Failed } else { Said::Done };
                self.end_with(station, said);
            }
            _ if is_cancelled && self.is_one_way_at(station) => self.end_with(station, Said::Cancelled),
            0..6 if is_cancelled => self.end_with(station, Said::Cancelled),
            0 => self.end_with(station, Said::Failed),
            6.. => self.open_stream(station),
            _ => self.end_with(station, Said::Done),
        }
    }

    /// Whether its handler is at a one-way command, though it is asked for an answer.
    fn is_one_way_at(&self, station: usize) -> bool {
        self.players[station].at.as_ref().is_some_and(|asked| self.one_way.contains(&token_in(asked)))
    }

    fn end_handler(&mut self, station: usize) -> Option<(Sent, Token)> {
        let asked = self.players[station].at.take()?;
        self.players[station].cancelled.remove(&asked.header.correlation);
        if station != SCOPE {
            self.bench.progress.1[station] = 0;
        }
        let token = token_in(&asked);
        Some((asked, token))
    }

    fn end_one_way(&mut self, station: usize) {
        if let Some((_, token)) = self.end_handler(station) {
            self.see(Seen::Finished { token, station });
        }
    }

    fn end_with(&mut self, station: usize, said: Said) {
        let Some((asked, token)) = self.end_handler(station) else { return };
        self.say(station, &asked, token, said, &reply_of(token, station));
    }

    fn say(&mut self, station: usize, asked: &Sent, token: Token, said: Said, reply: &[u8]) {
        match (self.one_way.contains(&token), said) {
            (false, _) => self.see(Seen::Answered { token, station, said }),
            (true, Said::Cancelled) => self.see(Seen::Dropped { token, station }),
            (true, Said::Failed) => {
                self.see(Seen::Finished { token, station });
            }
            (true, Said::Done) => self.see(Seen::Finished { token, station }),
        }
        match said {
            Said::Done => self.bench.answer(station, asked, Ok(reply)),
            Said::Failed => self.bench.answer(station, asked, Err(NotDone::Failed(Failure::text("no")))),
            Said::Cancelled => self.bench.answer(station, asked, Err(NotDone::Cancelled)),
        }
    }

    /// The handler says how far it is.
    pub(super) fn step(&mut self, station: usize) {
        let player = &mut self.players[station];
        let Some(asked) = player.at.clone().filter(|asked| asked.header.kind == Kind::Request) else {
            return;
        };
        if self.one_way.contains(&token_in(&asked)) {
            return;
        }
        let player = &mut self.players[station];
        player.step += 1;
        let (token, step) = (token_in(&asked), player.step);
        self.see(Seen::Stepped { token, station, step });
        let progress = progress(f64::from(step), token as f64);
        self.bench.tell(station, &asked, Kind::Progress, &progress).expect("progress can be read");
    }

    // --- streams ---

    fn open_stream(&mut self, station: usize) {
        let Some((asked, token)) = self.end_handler(station) else { return };
        self.see(Seen::Opened { token, station });
        let told = self.bench.tell(station, &asked, Kind::Opened, &reply_of(token, station));
        told.expect("a stream may be opened");
        self.players[station].streams.push(Outflow::new(asked, token));
    }

    /// One stream of a station goes on: some chunks, or its end.
    pub(super) fn stream(&mut self, station: usize) {
        let count = self.players[station].streams.len();
        if count == 0 {
            return;
        }
        let at = self.chance.below(count);
        match (self.players[station].streams[at].is_cancelled, self.chance.below(12)) {
            (true, 0..8) => self.end_stream(station, at, Said::Cancelled),
            (_, 0) => self.end_stream(station, at, Said::Failed),
            (_, 1) => self.end_stream(station, at, Said::Done),
            _ => {
                let most = 1 + self.chance.below(48);
                self.send_chunks(station, at, most);
            }
        }
    }

    fn end_stream(&mut self, station: usize, at: usize, said: Said) {
        let Outflow { asked, token, .. } = self.players[station].streams.swap_remove(at);
        self.say(station, &asked, token, said, b"");
    }

    fn send_chunks(&mut self, station: usize, at: usize, most: usize) {
        for _ in 0..most {
            let outflow = &mut self.players[station].streams[at];
            if outflow.credit == 0 {
                return;
            }
            let (asked, token, number) = (outflow.asked.clone(), outflow.token, outflow.next);
            outflow.credit -= 1;
            outflow.next += 1;
            self.see(Seen::ChunkSent { token, number });
            let told = self.bench.tell(station, &asked, Kind::Chunk, &chunk_of(token, number));
            told.expect("a chunk that was granted may come");
        }
    }

    /// Every stream of a station comes to its end.
    pub(super) fn send_the_rest(&mut self, station: usize) {
        while let Some(outflow) = self.players[station].streams.last() {
            let at = self.players[station].streams.len() - 1;
            let said = if outflow.is_cancelled { Said::Cancelled } else { Said::Done };
            self.end_stream(station, at, said);
        }
    }

    // --- lies ---

    /// Says things about calls that it was not asked, or not in this life.
    pub(super) fn lie(&mut self, station: usize) {
        let asked =
            self.players.iter().flat_map(|player| player.pipe.iter().chain(&player.inbox).chain(&player.at));
        let asked: Vec<u64> = asked.map(|sent| sent.header.correlation).collect();
        let correlation = match asked.is_empty() {
            true => self.chance.below(50) as u64,
            false => self.chance.one_of(&asked),
        };
        let generation = Generation(self.players[station].life + 1 + self.chance.below(2) as u32);
        let header = |kind| Header { generation, correlation, ..Header::new(kind) };
        let router = &mut self.bench.router;
        router.answered(station, &header(Kind::Done), b"a lie").expect("a reply needs no reading");
        router.told(station, &header(Kind::Opened), b"a lie").expect("it is ignored");
        router.told(station, &header(Kind::Chunk), b"a lie").expect("it is ignored");
        router.told(station, &header(Kind::Progress), &progress(1.0, 0.0)).expect("it is ignored");
    }

    /// Every station that may send no more of a stream does: it is refused.
    pub(super) fn overflow(&mut self) {
        (0..=SCOPE).for_each(|station| self.overflow_of(station));
    }

    fn overflow_of(&mut self, station: usize) {
        let is_full = |outflow: &&Outflow| outflow.credit == 0 && !outflow.is_cancelled;
        let Some(outflow) = self.players[station].streams.iter().find(is_full) else { return };
        let (asked, token) = (outflow.asked.clone(), outflow.token);
        let is_read = self.open.iter().any(|open| token_of(open.caller) == token);
        if is_read && !self.has_grants_on_the_way(station) {
            assert!(self.bench.tell(station, &asked, Kind::Chunk, b"too much").is_err());
            self.history.overflows += 1;
        }
    }

    /// Whether the station has been granted more than it knows.
    fn has_grants_on_the_way(&mut self, station: usize) -> bool {
        let is_queued = self.bench.router.next_for(station, &Moment::at(self.bench.now)).is_some();
        is_queued || !self.players[station].pipe.is_empty()
    }
}

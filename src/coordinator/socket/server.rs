//! The loop of the socket's thread: let in, read, hand out, write; one wait for everything.

use std::cell::LazyCell;
use std::collections::{BTreeSet, HashMap};
use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::sockopt::socket_peercred;
use rustix::process::geteuid;
use serde_json::{Value, json};

use super::calls::Calls;
use super::client::{Client, Line};
use super::commands::{Catalogue, MakeCatalogue};
use super::following::Following;
use super::mailbox::{Mailbox, News};
use super::place::Place;
use crate::coordinator::core::Core;
use crate::transport::{Interest, Poller, Ready, Token};
use crate::wire::{MAX_MESSAGE_BYTES, MESSAGE_PROTOCOL, Problem, read_request};

/// How many clients there may be at once.
const MOST_CLIENTS: usize = 256;
/// How much is read from one client before the others have their turn, in bytes.
const TURN: usize = 64 << 10;
/// How long nobody is let in when the process has no descriptors left.
const PAUSE: Duration = Duration::from_millis(200);
/// How long the last words may take to go out when the rig ends.
const LAST_WORDS: Duration = Duration::from_millis(300);

const BELL: Token = Token(0);
const DOOR: Token = Token(1);
const FIRST_CLIENT: u64 = 2;

/// See the module's words.
pub(super) struct Server {
    pub(super) core: Arc<Core>,
    pub(super) catalogue: LazyCell<Catalogue, MakeCatalogue>,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) clients: HashMap<u64, Client>,
    pub(super) calls: Calls,
    place: Place,
    poller: Poller,
    next_client: u64,
    /// Clients to which something is to be written.
    pub(super) unflushed: BTreeSet<u64>,
    /// When clients are let in again, after the process had no descriptors left.
    closed_until: Option<Instant>,
    buffer: Vec<u8>,
}

impl Server {
    pub(super) fn new(
        core: Arc<Core>,
        place: Place,
        catalogue: MakeCatalogue,
        mailbox: Arc<Mailbox>,
    ) -> Result<Self, Errno> {
        let poller = Poller::new()?;
        poller.add(&mailbox.bell, BELL, Interest::Read)?;
        poller.add(&place.listener, DOOR, Interest::Read)?;
        let bell = Arc::clone(&mailbox);
        core.events.rings(Box::new(move || bell.bell.ring()));
        Ok(Self {
            core,
            catalogue: LazyCell::new(catalogue),
            mailbox,
            clients: HashMap::new(),
            calls: Calls::default(),
            place,
            poller,
            next_client: FIRST_CLIENT,
            unflushed: BTreeSet::new(),
            closed_until: None,
            buffer: vec![0; TURN],
        })
    }

    /// Serves until it is told to end.
    pub(super) fn run(mut self) {
        while !self.mailbox.is_ending() {
            self.turn(self.patience());
        }
        let end = Instant::now() + LAST_WORDS;
        self.hand_out();
        while self.clients.values().any(|client| !client.is_flushed()) && Instant::now() < end {
            self.turn(Some(end.saturating_duration_since(Instant::now())));
        }
    }

    fn patience(&self) -> Option<Duration> {
        self.closed_until.map(|until| until.saturating_duration_since(Instant::now()))
    }

    fn turn(&mut self, patience: Option<Duration>) {
        match self.poller.wait(patience) {
            Ok(ready) => ready.into_iter().for_each(|ready| self.react(ready)),
            Err(errno) => {
                log::error!("the rig's socket is served no longer: {errno}");
                self.mailbox.end();
            }
        }
        self.open_again();
        self.hand_out();
    }

    fn react(&mut self, ready: Ready) {
        match ready.token {
            BELL => self.mailbox.bell.drain(),
            DOOR => self.let_in(),
            Token(number) => {
                if ready.writable {
                    self.unflushed.insert(number);
                }
                if ready.readable {
                    self.listen(number);
                }
            }
        }
    }

    /// Answers what has ended, tells what has happened, and writes.
    fn hand_out(&mut self) {
        for news in self.mailbox.take() {
            match news {
                News::Call(number) => self.look_at_call(number),
                News::Status(status) => self.status_came(status.as_deref()),
                News::Rows(client, told) => self.rows_came(client, &told),
            }
        }
        self.tell_events();
        while let Some(number) = self.unflushed.pop_first() {
            self.flush(number);
        }
    }

    // --- coming and going ---

    fn let_in(&mut self) {
        loop {
            match self.place.listener.accept() {
                Ok((stream, _)) => self.welcome(stream),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error)
                    if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
                Err(error) => {
                    log::warn!("a client of the rig's socket was not let in: {error}");
                    return self.close_for_a_while();
                }
            }
        }
    }

    /// Whoever waits at the door would wake this thread again and again.
    fn close_for_a_while(&mut self) {
        self.closed_until = Some(Instant::now() + PAUSE);
        self.set_door(Interest::End);
    }

    fn open_again(&mut self) {
        if self.closed_until.is_some_and(|until| until <= Instant::now()) {
            self.closed_until = None;
            self.set_door(Interest::Read);
        }
    }

    fn set_door(&self, interest: Interest) {
        if let Err(errno) = self.poller.change(&self.place.listener, DOOR, interest) {
            log::error!("the rig's socket cannot be watched: {errno}");
        }
    }

    fn welcome(&mut self, stream: UnixStream) {
        let unusable = stream.set_nonblocking(true).is_err();
        let mut client = Client::new(stream);
        if let Some(problem) = self.objection(&client) {
            client.complain(None, &problem);
            // Whether that goes out or not, the connection ends.
            client.flush();
            return;
        }
        client.greet(&self.greeting());
        let number = self.next_client;
        self.next_client += 1;
        if unusable || self.poller.add(&client, Token(number), Interest::Read).is_err() {
            return log::warn!("a client of the rig's socket cannot be watched");
        }
        self.clients.insert(number, client);
        self.unflushed.insert(number);
    }

    /// Why a client is not served.
    fn objection(&self, client: &Client) -> Option<Problem> {
        let (own, theirs) = (geteuid(), socket_peercred(client).map(|peer| peer.uid));
        match theirs {
            Ok(uid) if uid == own || uid.is_root() => {}
            Ok(uid) => {
                let text = format!("this rig belongs to user {}, not to user {}", own.as_raw(), uid.as_raw());
                return Some(Problem::new("not-permitted", text));
            }
            Err(errno) => {
                return Some(Problem::new("not-permitted", format!("who asks cannot be known: {errno}")));
            }
        }
        let text = format!("{MOST_CLIENTS} clients are connected already");
        let hint = "close some, or wait";
        (self.clients.len() >= MOST_CLIENTS).then(|| Problem::new("too-many-clients", text).hint(hint))
    }

    fn greeting(&self) -> Value {
        let blueprint = &self.core.blueprint;
        json!({ "greeting": {
            "protocol": MESSAGE_PROTOCOL,
            "labrig": env!("CARGO_PKG_VERSION"),
            "rig": blueprint.rig,
            "pid": std::process::id(),
            "run_dir": blueprint.run_dir,
            "max_message_bytes": MAX_MESSAGE_BYTES,
        } })
    }

    /// The connection has ended: what its client asked for is taken back.
    fn part(&mut self, number: u64) {
        let Some(client) = self.clients.remove(&number) else { return };
        if let Err(errno) = self.poller.remove(&client) {
            log::error!("a client cannot be taken from the poller: {errno}");
        }
        self.unflushed.remove(&number);
        self.take_back(number);
        if client.watch.is_some() {
            self.note_watchers();
        }
    }

    // --- reading and writing ---

    fn listen(&mut self, number: u64) {
        let Some(client) = self.clients.get_mut(&number) else { return };
        let line = client.read(&mut self.buffer);
        loop {
            let Some(client) = self.clients.get_mut(&number) else { return };
            match client.inbox.next_message() {
                Ok(Some(message)) => self.heed(number, message),
                Ok(None) => break,
                Err(error) => {
                    client.complain(None, &Problem::new("bad-message", error.to_string()));
                    // What does not go out now does not go out at all.
                    client.flush();
                    return self.part(number);
                }
            }
        }
        if line == Line::Over {
            self.part(number);
        }
    }

    fn heed(&mut self, number: u64, message: Value) {
        let read = read_request(message);
        self.unflushed.insert(number);
        match read {
            Ok((id, request)) => self.ask(number, id, request),
            Err((id, problem)) => {
                if let Some(client) = self.clients.get_mut(&number) {
                    client.complain(id, &problem);
                }
            }
        }
    }

    fn flush(&mut self, number: u64) {
        let Some(client) = self.clients.get_mut(&number) else { return };
        if client.flush() == Line::Over {
            return self.part(number);
        }
        if client.is_flushed() && client.tell_missed() {
            client.flush();
        }
        let waits = !client.is_flushed();
        if !waits {
            client.following.iter_mut().for_each(Following::go_on);
        }
        if waits != client.waits_for_room {
            client.waits_for_room = waits;
            let interest = if waits { Interest::ReadWrite } else { Interest::Read };
            if let Err(errno) = self.poller.change(&*client, Token(number), interest) {
                log::error!("a client cannot be watched: {errno}");
                self.part(number);
            }
        }
    }
}

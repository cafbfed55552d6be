//! The command line as a client of a running rig: which rig is meant, and what it answers.
//!
//! `docs/PROTOCOL.md` says what is spoken. A rig that does not answer is given up after a while, with a word.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::net::sockopt::socket_peercred;
use rustix::process::geteuid;
use serde_json::Value;

use super::rig_args::RigArgs;
use crate::coordinator::place;
use crate::wire::{Inbox, MESSAGE_PROTOCOL, MessageError, Ordered, Problem, Request, message, write_request};

/// How long a rig may take to say anything at all.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long is listened at least: this process may have been stopped, or may have waited for a busy processor, while the
/// rig has answered.
const LAST_LOOK: Duration = Duration::from_millis(1);

/// Why a rig did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// No rig runs.
    #[error("no rig runs: nobody listens below `{}`\nhelp: start one with `labrig run`, or name its socket with `--rig PATH`", .0.display())]
    NoRig(PathBuf),
    /// No rig of that name runs.
    #[error("no rig called `{name}` runs{}", running(.others))]
    NoSuchRig { name: String, others: Vec<(String, PathBuf)> },
    /// It is not clear which one is meant.
    #[error("several rigs run; name one of them with `--rig`{}", running(.0))]
    Several(Vec<(String, PathBuf)>),
    /// The socket cannot be connected to.
    #[error("no rig answers at `{}`: {source}", path.display())]
    Unreachable { path: PathBuf, source: io::Error },
    /// Somebody else listens there.
    #[error("the socket `{}` is not to be trusted: it belongs to user {uid}", path.display())]
    Foreign { path: PathBuf, uid: u32 },
    /// Nothing came.
    #[error("the rig at `{}` has not answered within {after:?}; it may be frozen", path.display())]
    Silent { path: PathBuf, after: Duration },
    /// It speaks another language.
    #[error("the rig at `{}` speaks protocol {theirs}, this program speaks {MESSAGE_PROTOCOL}\nhelp: use the program that started it", path.display())]
    OtherProtocol { path: PathBuf, theirs: Value },
    /// What came is no message.
    #[error("what the rig says cannot be read: {0}")]
    Unreadable(#[from] MessageError),
    /// The connection broke.
    #[error("the connection to the rig failed: {0}")]
    Broken(#[from] io::Error),
    /// The rig has ended.
    #[error("the rig has ended")]
    Ended,
    /// It will not, and says why.
    #[error("{}{}", .0.text, help(.0.hint.as_deref()))]
    Problem(Problem),
}

fn running(rigs: &[(String, PathBuf)]) -> String {
    rigs.iter().map(|(name, path)| format!("\n  {name:<14} {}", path.display())).collect()
}

fn help(hint: Option<&str>) -> String {
    hint.map(|hint| format!("\nhelp: {}", hint.replace('\n', "\n      "))).unwrap_or_default()
}

/// A connection to a running rig.
pub(super) struct Connection {
    stream: UnixStream,
    path: PathBuf,
    inbox: Inbox,
    next: u64,
}

/// Connects to the rig that is meant.
///
/// # Errors
/// [`Trouble`], when there is none, it is not clear which one, or it does not answer.
pub(super) fn connect(arguments: &RigArgs) -> Result<Connection, Trouble> {
    let runtime_dir = arguments.runtime_dir.clone().unwrap_or_else(place::default_runtime_dir);
    let name = match arguments.rig.as_deref() {
        Some(rig) if rig.contains('/') => {
            let path = place::socket_at(Path::new(rig));
            let stream = place::connect(&path);
            let stream = stream.map_err(|source| Trouble::Unreachable { path: path.clone(), source })?;
            return Connection::greeted(stream, path);
        }
        name => name,
    };
    let answering = |(name, path): (String, PathBuf)| Some((name, place::connect(&path).ok()?, path));
    let running: Vec<_> = place::sockets_in(&runtime_dir).into_iter().filter_map(answering).collect();
    let named = |rigs: &[(String, UnixStream, PathBuf)]| -> Vec<(String, PathBuf)> {
        rigs.iter().map(|(name, _, path)| (name.clone(), path.clone())).collect()
    };
    let (mut meant, others): (Vec<_>, Vec<_>) =
        running.into_iter().partition(|(rig, ..)| name.is_none_or(|name| name == rig));
    match (meant.len(), name) {
        (1, _) => {
            let (_, stream, path) = meant.remove(0);
            Connection::greeted(stream, path)
        }
        (0, Some(name)) => Err(Trouble::NoSuchRig { name: name.to_owned(), others: named(&others) }),
        (0, None) => Err(Trouble::NoRig(runtime_dir)),
        _ => Err(Trouble::Several(named(&meant))),
    }
}

impl Connection {
    /// Hears the greeting.
    fn greeted(stream: UnixStream, path: PathBuf) -> Result<Self, Trouble> {
        let uid = socket_peercred(&stream).map_err(io::Error::from)?.uid;
        if uid != geteuid() && !uid.is_root() && !geteuid().is_root() {
            return Err(Trouble::Foreign { path, uid: uid.as_raw() });
        }
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut connection = Self { stream, path, inbox: Inbox::default(), next: 1 };
        let first = connection.hear(Some(Instant::now() + PATIENCE))?;
        if let Some(problem) = problem_in(&first) {
            return Err(Trouble::Problem(problem));
        }
        match &first["greeting"]["protocol"] {
            theirs if *theirs == MESSAGE_PROTOCOL => Ok(connection),
            theirs => Err(Trouble::OtherProtocol { theirs: theirs.clone(), path: connection.path.clone() }),
        }
    }

    /// The next message; waits until then, or for ever.
    fn hear(&mut self, until: Option<Instant>) -> Result<Value, Trouble> {
        let begun = Instant::now();
        let mut buffer = [0; 16 << 10];
        loop {
            if let Some(message) = self.inbox.next_message()? {
                return Ok(message);
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()).max(LAST_LOOK));
            let silent = || Trouble::Silent { path: self.path.clone(), after: begun.elapsed() };
            self.stream.set_read_timeout(left)?;
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(Trouble::Ended),
                Ok(count) => self.inbox.push(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(silent()),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Err(Trouble::Ended),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn send(&mut self, request: &Request) -> Result<u64, Trouble> {
        let id = self.next;
        self.next += 1;
        self.stream.write_all(&message::seal(&write_request(id, request))?)?;
        Ok(id)
    }

    /// Asks, and waits for the answer: for as long as the rig says that it may take, if it has accepted it. What is
    /// told on the way is handed to `on_event`.
    ///
    /// # Errors
    /// [`Trouble`], when it is not done.
    pub(super) fn ask(
        &mut self,
        request: &Request,
        on_event: &mut dyn FnMut(&Value),
    ) -> Result<Value, Trouble> {
        let id = self.send(request)?;
        let mut until = Some(Instant::now() + PATIENCE);
        loop {
            let mut message = self.hear(until)?;
            if let Some(problem) = problem_in(&message) {
                return Err(Trouble::Problem(problem));
            }
            if message["id"] != id {
                continue;
            }
            match message.get("event") {
                Some(event) if event["event"] == "accepted" => {
                    until = match event["deadline_ms"].as_u64() {
                        None | Some(0) => None,
                        Some(limit) => Instant::now().checked_add(Duration::from_millis(limit) + PATIENCE),
                    };
                }
                Some(event) => on_event(event),
                None => return Ok(message["ok"].take()),
            }
        }
    }

    /// Asks for something that is answered on the way of nothing else.
    ///
    /// # Errors
    /// [`Trouble`], when it is not done.
    pub(super) fn ask_plainly(&mut self, request: &Request) -> Result<Value, Trouble> {
        self.ask(request, &mut |_| {})
    }

    /// Has a command done, and gives its reply; what is told on the way is handed to `on_event`.
    ///
    /// # Errors
    /// [`Trouble`], when it is not done.
    pub(super) fn call(
        &mut self,
        ordered: Ordered,
        on_event: &mut dyn FnMut(&Value),
    ) -> Result<Value, Trouble> {
        Ok(self.ask(&Request::Call(ordered), on_event)?["reply"].take())
    }

    /// The next event of what is watched; waits for ever. Nothing when the rig has ended.
    ///
    /// # Errors
    /// [`Trouble`], when the connection fails.
    pub(super) fn next_event(&mut self) -> Result<Option<Value>, Trouble> {
        loop {
            match self.hear(None) {
                Ok(mut message) if message.get("event").is_some() => {
                    return Ok(Some(message["event"].take()));
                }
                Ok(_) => {}
                Err(Trouble::Ended) => return Ok(None),
                Err(trouble) => return Err(trouble),
            }
        }
    }
}

fn problem_in(message: &Value) -> Option<Problem> {
    let problem = message.get("error")?.clone();
    let unreadable = |error: serde_json::Error| Problem::new("unreadable", error.to_string());
    Some(serde_json::from_value(problem).unwrap_or_else(unreadable))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_came_while_this_process_was_stopped_is_heard() {
        let (stream, mut rig) = UnixStream::pair().expect("a pair");
        let path = PathBuf::from("/run/rig/socket");
        let mut connection = Connection { stream, path, inbox: Inbox::default(), next: 1 };
        let answer = serde_json::json!({ "id": 1, "ok": {} });
        rig.write_all(&message::seal(&answer).expect("it is short")).expect("room");
        let long_ago = Some(Instant::now());
        assert_eq!(connection.hear(long_ago).ok(), Some(answer));
        assert!(matches!(connection.hear(long_ago), Err(Trouble::Silent { .. })), "nothing more has come");
    }
}

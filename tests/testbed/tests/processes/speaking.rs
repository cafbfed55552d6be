//! A client of the rig's socket, as any program in any language could be one.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use labrig::wire::{Inbox, message};
use serde_json::{Value, json};

use crate::support::PATIENCE;

/// A connection to a rig.
pub struct Client {
    pub stream: UnixStream,
    inbox: Inbox,
    next: u64,
}

impl Client {
    /// Connects, and hears the greeting.
    pub fn of(socket: &Path) -> Self {
        let mut client = Self::silent(socket);
        let greeting = client.hear();
        assert_eq!(greeting["greeting"]["protocol"], 1, "{greeting}");
        client
    }

    /// Connects, and hears nothing.
    pub fn silent(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).expect("the rig listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out can be set");
        Self { stream, inbox: Inbox::default(), next: 1 }
    }

    /// The next message; none when the rig has ended the connection.
    pub fn try_hear(&mut self) -> Option<Value> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(message) = self.inbox.next_message().expect("the rig speaks well") {
                return Some(message);
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(count) => self.inbox.push(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("nothing is heard of the rig: {error}"),
            }
        }
    }

    /// The next message.
    pub fn hear(&mut self) -> Value {
        self.try_hear().expect("the connection goes on")
    }

    /// Asks, and gives the id of the request.
    pub fn ask(&mut self, mut request: Value) -> u64 {
        let id = self.next;
        self.next += 1;
        request["id"] = id.into();
        self.stream.write_all(&message::seal(&request).expect("short enough")).expect("the rig listens");
        id
    }

    /// The next message about that request, whatever else comes meanwhile.
    pub fn hear_of(&mut self, id: u64) -> Value {
        loop {
            let message = self.hear();
            if message["id"] == id {
                return message;
            }
        }
    }

    /// The answer to that request.
    pub fn answer(&mut self, id: u64) -> Value {
        loop {
            let message = self.hear_of(id);
            if message.get("event").is_none() {
                return message;
            }
        }
    }

    /// Asks for something that must be done.
    pub fn done(&mut self, request: Value) -> Value {
        let id = self.ask(request);
        let mut answer = self.answer(id);
        assert!(answer.get("ok").is_some(), "{answer}");
        answer["ok"].take()
    }

    /// Asks for something that is not to be done.
    pub fn problem(&mut self, request: Value) -> Value {
        let id = self.ask(request);
        let mut answer = self.answer(id);
        assert!(answer.get("error").is_some(), "{answer}");
        answer["error"].take()
    }

    /// Asks for a command's reply.
    pub fn call(&mut self, command: &str, args: Value) -> Value {
        self.done(json!({ "verb": "call", "command": command, "args": args }))["reply"].take()
    }

    /// The next event of that kind, as it is told to the request `watch`.
    pub fn event(&mut self, watch: u64, kind: &str) -> Value {
        loop {
            let mut message = self.hear_of(watch);
            if message["event"]["event"] == kind {
                return message["event"].take();
            }
        }
    }
}

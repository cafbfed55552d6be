//! ipc-channel: a typed channel each way; a frame is a new piece of shared memory, as its documentation shows.

use std::os::fd::OwnedFd;

use harness::payload::{shade, sum_of};
use harness::spawn;
use harness::team::{Answer, Far, Message, Near, now_ns};
use ipc_channel::ipc::{IpcOneShotServer, IpcReceiver, IpcSender, IpcSharedMemory, channel};
use serde::{Deserialize, Serialize};

/// What goes to a child.
#[derive(Serialize, Deserialize)]
enum Parcel {
    Plain(Message),
    Frame(IpcSharedMemory),
}

/// The coordinator's ends of both channels, which its child has made.
type Ends = (IpcSender<Parcel>, IpcReceiver<Answer>);

/// The coordinator's side.
pub(crate) struct Ipc {
    /// Until the child is first needed, so that several can start at once.
    server: Option<IpcOneShotServer<Ends>>,
    ends: Option<Ends>,
}

impl Ipc {
    fn ends(&mut self) -> &Ends {
        if let Some(server) = self.server.take() {
            self.ends = Some(server.accept().expect("the child connects").1);
        }
        self.ends.as_ref().expect("they were accepted")
    }

    fn send(&mut self, parcel: Parcel) {
        self.ends().0.send(parcel).expect("the child receives");
    }
}

impl Near for Ipc {
    const ROLE: &'static str = "ipc-channel";

    const OWN_FRAMES: bool = true;

    fn open() -> (Self, OwnedFd) {
        let (server, name) = IpcOneShotServer::new().expect("a server can be made");
        (Self { server: Some(server), ends: None }, spawn::saying(&name))
    }

    fn write(&mut self, message: &Message) {
        self.send(Parcel::Plain(message.clone()));
    }

    fn read(&mut self) -> Answer {
        self.ends().1.recv().expect("the child answers")
    }

    fn hand_over(&mut self, frame: u64, bytes: usize) -> u64 {
        let memory = IpcSharedMemory::from_byte(shade(frame), bytes);
        let filled_ns = now_ns();
        self.send(Parcel::Frame(memory));
        filled_ns
    }
}

/// A child's side.
pub(crate) struct IpcChild {
    parcels: IpcReceiver<Parcel>,
    answers: IpcSender<Answer>,
    frame: Option<IpcSharedMemory>,
}

impl Far for IpcChild {
    fn inherited() -> Self {
        let (to_here, parcels) = channel().expect("a channel can be made");
        let (answers, from_here) = channel().expect("a channel can be made");
        let introduced: IpcSender<Ends> =
            IpcSender::connect(spawn::told()).expect("the coordinator has a server");
        introduced.send((to_here, from_here)).expect("the coordinator accepts");
        Self { parcels, answers, frame: None }
    }

    fn read(&mut self) -> Option<Message> {
        // Its only error at this place is the end of the other side.
        match self.parcels.recv().ok()? {
            Parcel::Plain(message) => Some(message),
            Parcel::Frame(memory) => {
                self.frame = Some(memory);
                Some(Message::Frame { slot: 0, bytes: 0 })
            }
        }
    }

    fn write(&mut self, answer: &Answer) {
        self.answers.send(answer.clone()).expect("the coordinator receives");
    }

    fn sum(&mut self) -> Option<u64> {
        self.frame.take().map(|memory| sum_of(&memory))
    }
}

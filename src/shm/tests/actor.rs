//! Runs a role on a thread or in a process of its own, and talks to it over a socket that carries descriptors.
//!
//! The process is this very test program, started again with the one test that plays roles.

use super::WATCHDOG;
use super::roles::{self, Role};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

/// Where a role is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Thread,
    Process,
}

/// Both places, so that every test runs in each.
pub(super) const PLACES: [Place; 2] = [Place::Thread, Place::Process];

/// The variable that tells a child process its role.
pub(super) const ROLE_VARIABLE: &str = "LABRIG_SHM_ROLE";

/// One end of a conversation: short texts, each with descriptors.
#[derive(Debug)]
pub(super) struct Link(OwnedFd);

impl Link {
    pub(super) fn over(socket: OwnedFd) -> Self {
        Self(socket)
    }

    fn pair() -> (Self, OwnedFd) {
        let (here, there) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .expect("a socket pair can be made");
        (Self(here), there)
    }

    pub(super) fn say(&self, text: &str, fds: &[BorrowedFd<'_>]) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16))];
        let mut extra = SendAncillaryBuffer::new(&mut space);
        assert!(fds.is_empty() || extra.push(SendAncillaryMessage::ScmRights(fds)), "too many descriptors");
        sendmsg(&self.0, &[IoSlice::new(text.as_bytes())], &mut extra, SendFlags::NOSIGNAL)
            .expect("the other side listens");
    }

    /// What the other side says next; nothing when it has gone.
    pub(super) fn hear(&self) -> Option<(String, Vec<OwnedFd>)> {
        let patience = Timespec { tv_sec: WATCHDOG.as_secs().cast_signed(), tv_nsec: 0 };
        let ready = poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&patience))
            .expect("a socket can be polled");
        assert!(ready > 0, "watchdog: nothing heard for {WATCHDOG:?}");
        let (mut text, mut space) = ([0; 512], [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16))]);
        let mut extra = RecvAncillaryBuffer::new(&mut space);
        let answer = recvmsg(&self.0, &mut [IoSliceMut::new(&mut text)], &mut extra, RecvFlags::CMSG_CLOEXEC);
        let bytes = answer.map_or(0, |message| message.bytes);
        let fds = extra.drain().flat_map(|message| match message {
            RecvAncillaryMessage::ScmRights(fds) => fds.collect(),
            _ => Vec::new(),
        });
        let fds = fds.collect();
        (bytes > 0).then(|| (String::from_utf8_lossy(&text[..bytes]).into_owned(), fds))
    }
}

#[derive(Debug)]
enum Body {
    Thread(Option<JoinHandle<()>>),
    Process(Child),
}

/// Somebody who plays a role.
#[derive(Debug)]
pub(super) struct Actor {
    link: Option<Link>,
    body: Body,
}

impl Actor {
    pub(super) fn start(place: Place, role: Role) -> Self {
        let (here, there) = Link::pair();
        let body = match place {
            Place::Thread => {
                Body::Thread(Some(std::thread::spawn(move || roles::play(role, Link::over(there)))))
            }
            Place::Process => Body::Process(start_process(role, there)),
        };
        Self { link: Some(here), body }
    }

    fn link(&self) -> &Link {
        self.link.as_ref().expect("the link is closed only at the end")
    }

    pub(super) fn say(&self, text: &str, fds: &[BorrowedFd<'_>]) {
        self.link().say(text, fds);
    }

    /// Waits until the actor says something.
    pub(super) fn hear(&self) -> String {
        self.link().hear().expect("the actor is still on stage").0
    }

    /// Waits until the actor says exactly this.
    pub(super) fn expect(&self, text: &str) {
        assert_eq!(self.hear(), text);
    }

    /// Waits until the actor says something or has gone; whether it has gone.
    pub(super) fn hears_of_an_end(&self) -> bool {
        self.link().hear().is_none()
    }

    /// Kills a process, without any warning.
    pub(super) fn kill(mut self) {
        let Body::Process(child) = &mut self.body else { panic!("threads cannot be killed") };
        child.kill().expect("the child is ours");
        child.wait().expect("the child is ours");
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        // Actors leave the stage when the link closes.
        self.link = None;
        match &mut self.body {
            Body::Thread(thread) => drop(thread.take().map(JoinHandle::join)),
            Body::Process(child) => {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
}

fn start_process(role: Role, socket: OwnedFd) -> Child {
    // `module_path!` starts with the name of the crate, the names of tests do not.
    let module = module_path!().rsplit_once("::").map_or("", |(module, _)| module);
    let module = module.split_once("::").map_or("", |(_, module)| module);
    let program = std::env::current_exe().expect("this program has a path");
    Command::new(program)
        .args([
            &format!("{module}::roles::a_child_process_plays_its_role"),
            "--exact",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(ROLE_VARIABLE, role.to_text())
        .stdin(Stdio::from(socket))
        .stdout(Stdio::null())
        .spawn()
        .expect("this program can be started again")
}

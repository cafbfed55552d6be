//! One blocking wait for everything that can wake a thread.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;

/// What a descriptor stands for; chosen by whoever adds it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Token(pub u64);

/// What to be told of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interest {
    /// Something to read, or the end.
    Read,
    /// As `Read`, and room to write.
    ReadWrite,
    /// Room to write, and the end; reading is held back.
    Write,
    /// Only the end.
    End,
}

impl Interest {
    fn flags(self) -> epoll::EventFlags {
        match self {
            Self::Read => epoll::EventFlags::IN,
            Self::ReadWrite => epoll::EventFlags::IN | epoll::EventFlags::OUT,
            Self::Write => epoll::EventFlags::OUT,
            Self::End => epoll::EventFlags::empty(),
        }
    }
}

/// One descriptor that is ready.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ready {
    /// Which.
    pub token: Token,
    /// Something can be read, or the end has come.
    pub readable: bool,
    /// There is room to write.
    pub writable: bool,
}

/// A set of descriptors that one thread waits for.
#[derive(Debug)]
pub struct Poller {
    epoll: OwnedFd,
}

impl Poller {
    /// An empty set.
    ///
    /// # Errors
    /// The system's, when no descriptors are left.
    pub fn new() -> Result<Self, Errno> {
        Ok(Self { epoll: epoll::create(epoll::CreateFlags::CLOEXEC)? })
    }

    /// Adds a descriptor.
    ///
    /// # Errors
    /// The system's, when it is in the set already or cannot be waited for.
    pub fn add(&self, source: impl AsFd, token: Token, interest: Interest) -> Result<(), Errno> {
        epoll::add(&self.epoll, source, epoll::EventData::new_u64(token.0), interest.flags())
    }

    /// Changes what to be told of.
    ///
    /// # Errors
    /// The system's, when it is not in the set.
    pub fn change(&self, source: impl AsFd, token: Token, interest: Interest) -> Result<(), Errno> {
        epoll::modify(&self.epoll, source, epoll::EventData::new_u64(token.0), interest.flags())
    }

    /// Takes a descriptor out.
    ///
    /// # Errors
    /// The system's, when it is not in the set.
    pub fn remove(&self, source: impl AsFd) -> Result<(), Errno> {
        epoll::delete(&self.epoll, source)
    }

    /// Waits until something is ready or `patience` has passed; without patience, for ever.
    ///
    /// # Errors
    /// The system's; an interrupted wait is no error and finds nothing ready.
    pub fn wait(&self, patience: Option<Duration>) -> Result<Vec<Ready>, Errno> {
        let mut events = Vec::with_capacity(64);
        let timeout = patience.map(timespec);
        match epoll::wait(&self.epoll, spare_capacity(&mut events), timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
        Ok(events.iter().map(ready).collect())
    }
}

fn ready(event: &epoll::Event) -> Ready {
    let flags = event.flags;
    let end = epoll::EventFlags::HUP | epoll::EventFlags::ERR;
    Ready {
        token: Token(event.data.u64()),
        readable: flags.intersects(epoll::EventFlags::IN | end),
        writable: flags.contains(epoll::EventFlags::OUT),
    }
}

/// A wait's length as the system takes it.
pub fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}

//! A station's queue: bounded, in order, with the policy that each command declares.

use std::collections::VecDeque;
use std::time::Instant;

use crate::wire::{CommandId, Generation, ManagerName, Overflow, Refusal};

/// Where the time left stands in an envelope's bytes.
const TIME_LEFT: std::ops::Range<usize> = 24..32;

/// What a station can be asked now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Life {
    /// Not started, or starting.
    Starting,
    /// Takes commands.
    Ready,
    /// Ending in good order.
    Stopping,
    /// Gone.
    Dead,
}

/// Bytes that wait for room in a station's pipe.
#[derive(Debug)]
pub struct Queued {
    /// The sealed envelope.
    pub bytes: Vec<u8>,
    /// The call in flight that it belongs to, when it wants an answer.
    pub call: Option<u64>,
    /// Which command; none for answers and control words, which do not count against the depth.
    pub command: Option<CommandId>,
    /// When it expires.
    pub deadline: Option<Instant>,
}

/// A manager, or the scope, as the router sees it.
#[derive(Debug)]
pub struct Station {
    /// Its name.
    pub name: ManagerName,
    /// Which life of it.
    pub generation: Generation,
    /// What it can be asked now.
    pub life: Life,
    /// How many commands may wait.
    pub depth: u32,
    /// How many commands have gone into its pipe in this life.
    pub sent: u64,
    queue: VecDeque<Queued>,
    commands_queued: usize,
    /// One-way commands in the pipe that it has not taken yet, as far as was last seen.
    in_pipe: VecDeque<(u64, CommandId)>,
}

impl Station {
    /// A station that has not started.
    pub fn new(name: ManagerName, depth: u32) -> Self {
        Self {
            name,
            generation: Generation(1),
            life: Life::Starting,
            depth,
            sent: 0,
            queue: VecDeque::new(),
            commands_queued: 0,
            in_pipe: VecDeque::new(),
        }
    }

    /// How many commands wait: queued here, or in the pipe and not taken.
    pub fn waiting(&self, taken: u64) -> u64 {
        self.commands_queued as u64 + self.sent.saturating_sub(taken)
    }

    /// Whether a command may be queued; says how many queued ones it displaced.
    pub(super) fn make_room(
        &mut self,
        command: CommandId,
        name: &str,
        overflow: Overflow,
        taken: u64,
        is_startup: bool,
    ) -> Result<usize, Refusal> {
        let (manager, text) = (self.name.clone(), name.to_owned());
        match self.life {
            Life::Ready => {}
            Life::Starting if is_startup => {}
            Life::Starting => return Err(Refusal::NotReady { manager, command: text }),
            Life::Stopping => return Err(Refusal::Quitting { command: text }),
            Life::Dead => return Err(Refusal::Dead { manager, command: text }),
        }
        let displaced = match overflow {
            Overflow::KeepLatest => self.displace(command, usize::MAX),
            _ => 0,
        };
        if self.waiting(taken) < u64::from(self.depth) {
            return Ok(displaced);
        }
        match overflow {
            Overflow::DropOldest if self.displace(command, 1) == 1 => Ok(1),
            _ => Err(Refusal::Busy { manager, command: text, depth: self.depth }),
        }
    }

    /// Takes up to `most` queued one-way commands of a type out, oldest first.
    fn displace(&mut self, command: CommandId, most: usize) -> usize {
        let mut displaced = 0;
        self.queue.retain(|queued| {
            let goes = displaced < most && queued.call.is_none() && queued.command == Some(command);
            displaced += usize::from(goes);
            !goes
        });
        self.commands_queued -= displaced;
        displaced
    }

    /// Queues an envelope.
    pub fn push(&mut self, queued: Queued) {
        self.commands_queued += usize::from(queued.command.is_some());
        self.queue.push_back(queued);
    }

    /// Queues an answer or a control word.
    pub fn push_word(&mut self, bytes: Vec<u8>) {
        self.push(Queued { bytes, call: None, command: None, deadline: None });
    }

    /// The bytes at the front, with the time left as of now.
    pub(super) fn front(&mut self, now: Instant) -> Option<&[u8]> {
        let front = self.queue.front_mut()?;
        if let Some(deadline) = front.deadline {
            let left = deadline.saturating_duration_since(now).as_micros();
            let left = u64::try_from(left).unwrap_or(u64::MAX).max(1);
            front.bytes[TIME_LEFT].copy_from_slice(&left.to_le_bytes());
        }
        Some(&front.bytes)
    }

    /// The front has gone into the pipe. For a command: its call, and its place among those that went.
    pub(super) fn advance(&mut self, taken: u64) -> Option<(Option<u64>, u64)> {
        let front = self.queue.pop_front()?;
        let command = front.command?;
        self.commands_queued -= 1;
        self.sent += 1;
        if front.call.is_none() {
            while self.in_pipe.front().is_some_and(|(ordinal, _)| *ordinal <= taken) {
                self.in_pipe.pop_front();
            }
            self.in_pipe.push_back((self.sent, command));
        }
        Some((front.call, self.sent))
    }

    /// Takes out every command that has not gone into the pipe; answers and words stay.
    pub(super) fn take_commands(&mut self) -> Vec<Queued> {
        let (commands, words): (Vec<_>, Vec<_>) =
            self.queue.drain(..).partition(|queued| queued.command.is_some());
        self.queue = words.into();
        self.commands_queued = 0;
        commands
    }

    /// Empties everything when the station is gone; gives the one-way commands that were not taken.
    pub(super) fn clear(&mut self, taken: u64) -> Vec<CommandId> {
        let in_pipe =
            self.in_pipe.drain(..).filter(|(ordinal, _)| *ordinal > taken).map(|(_, command)| command);
        let mut lost: Vec<_> = in_pipe.collect();
        lost.extend(self.queue.drain(..).filter(|queued| queued.call.is_none()).filter_map(|it| it.command));
        self.commands_queued = 0;
        lost
    }

    /// A new life: nothing of the old one is left.
    pub fn begin_life(&mut self, generation: Generation) {
        self.generation = generation;
        self.life = Life::Starting;
        self.sent = 0;
    }

    /// How many commands are remembered here, in the queue or in the pipe.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.queue.len() + self.in_pipe.len()
    }

    /// Whether bytes wait for room in the pipe.
    pub fn has_queued(&self) -> bool {
        !self.queue.is_empty()
    }
}

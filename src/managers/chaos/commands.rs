//! What a chaos manager can be told, and what it answers.

use crate::prelude::*;

/// Misbehaves. What ends or hangs the manager is not replied to.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
#[command(reply = Aftermath)]
pub struct Misbehave {
    /// In which way.
    pub how: Misdeed,
}

/// A way to misbehave.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Misdeed {
    /// The handler returns an error.
    Error,
    /// The handler panics.
    Panic,
    /// The process aborts.
    Abort,
    /// The process dies of a segmentation fault.
    Segfault,
    /// The handler calls itself until the stack is full.
    OverflowStack,
    /// The process exits from within the handler.
    Exit {
        /// Its exit code.
        code: u8,
    },
    /// The handler gives no sign of life, but heeds that it is cancelled.
    Dawdle,
    /// The handler sleeps for ever and heeds nothing.
    Sleep,
    /// The handler keeps its processor busy for ever.
    Spin,
    /// The same, while a thread beside it goes on talking to the rig.
    SpinBesideThread,
    /// Replies; then the worker sleeps for ever between commands, and leaves its pipe unread.
    StopReading,
    /// Replies; SIGTERM has no effect from now on, as after a library that took it for itself.
    IgnoreTerm,
    /// Shuts its pipe down and sleeps for ever.
    ClosePipe,
    /// Sends one-way commands as fast as it can; replies how many it sent.
    Flood {
        /// To which manager; itself when empty.
        whom: String,
        /// For how long.
        #[schema(unit = "ms", min = 0, max = 600000)]
        duration_ms: u64,
    },
    /// Prints lines of 100 bytes as fast as it can; replies how many.
    Print {
        /// How much in all.
        #[schema(unit = "MB", min = 0, max = 100000)]
        megabytes: u64,
    },
    /// Starts a child that holds on to the manager's pipe; replies its process number.
    KeepPipe,
    /// Starts a child in a session and process group of its own; replies its process number.
    Daemonise,
    /// Opens so many descriptors and never closes them.
    LeakDescriptors {
        /// How many more.
        #[schema(min = 0, max = 100000)]
        count: u32,
    },
    /// Allocates so much memory, writes to all of it, and keeps it.
    Allocate {
        /// How much more.
        #[schema(unit = "MB", min = 0, max = 1000000)]
        megabytes: u64,
    },
    /// The process stops itself, as by SIGSTOP from outside.
    StopItself,
}

/// What is to be seen after a misdeed that its manager survived.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq, Eq, Default)]
pub struct Aftermath {
    /// How often it was done: commands sent, lines printed, descriptors opened, megabytes allocated.
    pub count: u64,
    /// The processes that it left behind.
    pub left_behind: Vec<u32>,
}

/// Works, harmlessly, as if something moved or shone meanwhile: an inactive manager refuses it.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
#[command(reply = u64, hazardous)]
pub struct Work {
    /// For how long.
    #[schema(unit = "ms", min = 0, max = 600000)]
    pub duration_ms: u64,
}

/// A drop in a flood: counted, nothing else.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
pub struct Drip {}

/// Asks what this life of the manager has done.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
#[command(reply = WorkDone)]
pub struct WhatWasDone {}

/// What this life of the manager has done.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq, Eq)]
pub struct WorkDone {
    /// Which life it is.
    pub generation: u32,
    /// How often it has worked.
    pub works: u64,
    /// How many drips it has taken.
    pub drips: u64,
    /// How often it has entered its safe state.
    pub safe_states: u64,
}

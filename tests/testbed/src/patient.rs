//! `patient`: is at something for a long time, has others do so too, and is told to stop meanwhile.

use std::thread;
use std::time::Duration;

use labrig::prelude::*;

use crate::commands::TestError;

/// Longer than any test goes on: whoever sleeps so long is woken by a cancellation, or the test fails.
const FOR_AGES: Duration = Duration::from_secs(60);

/// How long a patient waits for others.
const WAIT: Duration = Duration::from_secs(100);

/// Works for so long, and looks up after every nap; replies how many naps it took.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = u64)]
pub struct Toil {
    /// How long in all.
    pub duration_ms: u64,
    /// How long each nap is.
    pub nap_ms: u64,
}

/// Toils in one nap, and is to be done in a fifth of a second.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(deadline_ms = 200, reply = u64)]
pub struct ToilBriefly {
    /// How long.
    pub duration_ms: u64,
}

/// Toils wherever it is heard; replies how many naps it took.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(broadcast, reply = u64)]
pub struct ToilTogether {
    /// How long.
    pub duration_ms: u64,
}

/// What a handler does once it is cancelled.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
pub enum Then {
    /// It gives up with a typed error.
    Fail,
    /// It replies as if nothing had happened.
    Reply,
    /// It panics.
    Panic,
    /// It has another manager mark a number, and gives up.
    Tell {
        /// Which manager.
        whom: String,
    },
}

/// Does nothing until it is cancelled; then something, and replies its number if that is what it does.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = u64)]
pub struct Linger {
    /// The number.
    pub number: u64,
    /// What it does then.
    pub then: Then,
}

/// Calls the next in a row of managers, of which the last toils; replies what that one did.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = u64)]
pub struct Relay {
    /// The managers to go.
    pub row: Vec<String>,
    /// How long the last one toils.
    pub duration_ms: u64,
    /// How.
    pub way: Way,
}

/// How a handler has another manager do something.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
pub enum Way {
    /// By one blocking call.
    Call,
    /// By a request, for which it waits.
    Wait,
    /// By a request, for which it waits when it has been cancelled itself.
    WaitTooLate,
    /// By one blocking call that may take so long.
    CallWithin {
        /// How long.
        deadline_ms: u64,
    },
}

/// Has another manager toil, takes that back once it has heard that it goes on, and replies how it ended.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = String)]
pub struct TakeBack {
    /// Which manager.
    pub whom: String,
    /// In which way.
    pub by: TakenBack,
}

/// A way to take a request back.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
pub enum TakenBack {
    /// By saying so.
    Cancelling,
    /// By dropping it, when dropping it is to cancel it.
    Dropping,
    /// By giving it no more time.
    Expiring,
}

/// Marks a number.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
pub struct Mark {
    /// The number.
    pub number: u64,
}

/// Asks for the numbers that were marked, in their order.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = Vec<u64>)]
pub struct Marks {}

/// Asks what has happened to a patient, in its words and in order.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = Vec<String>)]
pub struct Diary {}

/// See the module's words.
pub struct Patient {
    marks: Vec<u64>,
    diary: Vec<String>,
}

impl Manager for Patient {
    type Config = ();

    fn setup(_: (), _: &mut Context) -> Result<Self, SetupError> {
        Ok(Self { marks: Vec::new(), diary: Vec::new() })
    }
}

#[manager(kind = "patient")]
impl Patient {
    #[ipc_command]
    fn toil(&mut self, command: Toil, context: &mut Context) -> Result<u64, Cancelled> {
        let naps = command.duration_ms.div_ceil(command.nap_ms);
        for nap in 0..naps {
            context.progress(nap as f64, naps as f64, "toiling");
            let slept = context.sleep(Duration::from_millis(command.nap_ms));
            slept.inspect_err(|_| self.diary.push("its toil was cancelled".to_owned()))?;
        }
        Ok(naps)
    }

    #[ipc_command]
    fn toil_briefly(&mut self, command: ToilBriefly, context: &mut Context) -> Result<u64, Cancelled> {
        self.toil(Toil { duration_ms: command.duration_ms, nap_ms: command.duration_ms }, context)
    }

    #[ipc_command]
    fn toil_together(&mut self, command: ToilTogether, context: &mut Context) -> Result<u64, Cancelled> {
        self.toil(Toil { duration_ms: command.duration_ms, nap_ms: command.duration_ms }, context)
    }

    #[ipc_command]
    fn linger(&mut self, command: Linger, context: &mut Context) -> Result<u64, TestError> {
        context.progress(0.0, 1.0, "lingering");
        // It looks, and does not sleep in the context: that is another way to hear of it.
        while !context.is_cancelled() {
            thread::sleep(Duration::from_millis(1));
        }
        match command.then {
            Then::Fail => Err(TestError::Told { code: 1 }),
            Then::Reply => Ok(command.number),
            Then::Panic => panic!("the handler could not bear it"),
            Then::Tell { whom } => {
                let told = context.to(&whom).call(Mark { number: command.number });
                self.diary.push(format!("told {whom}: {told:?}"));
                Err(TestError::Told { code: 2 })
            }
        }
    }

    #[ipc_command]
    fn relay(&mut self, command: Relay, context: &mut Context) -> Result<u64, TestError> {
        let Relay { mut row, duration_ms, way } = command;
        if row.is_empty() {
            let toiled = self.toil(Toil { duration_ms, nap_ms: duration_ms }, context);
            return toiled.map_err(|cancelled| TestError::NoAnswer { why: cancelled.to_string() });
        }
        let next = row.remove(0);
        let relay = Relay { row, duration_ms, way: way.clone() };
        let end = hand_on(context, &next, relay, &way);
        self.diary.push(match &end {
            Ok(naps) => format!("{next} took {naps}"),
            Err(error) => error.to_string(),
        });
        end.map_err(|error| TestError::NoAnswer { why: error.to_string() })
    }

    #[ipc_command]
    fn take_back(&mut self, command: TakeBack, context: &mut Context) -> Result<String, CallError> {
        let pending = context.to(&command.whom).request(Toil { duration_ms: 60_000, nap_ms: 60_000 })?;
        while pending.progress().is_none() && !pending.ready_within(Duration::from_millis(1)) {}
        match command.by {
            TakenBack::Cancelling => pending.cancel(),
            TakenBack::Expiring => pending.set_expiry(Some(Duration::ZERO)),
            TakenBack::Dropping => {
                drop(pending.cancel_on_drop());
                return Ok("dropped".to_owned());
            }
        }
        Ok(match pending.wait(WAIT) {
            Ok(naps) => format!("{naps} naps"),
            Err(error) => error.to_string(),
        })
    }

    #[ipc_command]
    fn mark(&mut self, command: Mark) {
        self.marks.push(command.number);
    }

    #[ipc_command]
    fn marks(&mut self, _command: Marks) -> Vec<u64> {
        self.marks.clone()
    }

    #[ipc_command]
    fn diary(&mut self, _command: Diary) -> Vec<String> {
        self.diary.clone()
    }
}

fn hand_on(context: &Context, next: &str, relay: Relay, way: &Way) -> Result<u64, CallError> {
    match way {
        Way::Call => context.to(next).call(relay),
        Way::Wait => context.to(next).request(relay)?.wait(WAIT),
        Way::WaitTooLate => {
            let pending = context.to(next).request(relay)?;
            let slept = context.sleep(FOR_AGES);
            log::info!("waits for {next}: {slept:?}");
            pending.wait(WAIT)
        }
        Way::CallWithin { deadline_ms } => {
            let deadline = Duration::from_millis(*deadline_ms);
            context.with_deadline(deadline).to(next).call(relay)
        }
    }
}

//! `ringer`: managers that call each other in a ring, one after the other or all at the same moment.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use labrig::prelude::*;

/// How long a ringer waits for others.
const WAIT: Duration = Duration::from_secs(100);

/// A way to have another manager do something, and to wait for it.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, Copy, PartialEq)]
pub enum Asking {
    /// One blocking call.
    Call,
    /// A request, and then a wait for its reply.
    RequestThenWait,
}

/// How a call along a ring ended.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
pub enum Rung {
    /// It was done.
    Done,
    /// It was refused at once, by what it said of who would wait for whom.
    Refused {
        /// Who made the call.
        by: String,
        /// Who would wait for whom.
        cycle: Vec<String>,
    },
    /// It was accepted, and waiting for it was refused.
    NotAwaited {
        /// Who asked.
        by: String,
        /// Who would wait for whom.
        cycle: Vec<String>,
    },
}

/// Does nothing, and replies that.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
pub struct Touch {}

/// Calls the next in a row of managers, and replies how the last of these calls ended; `scope` is one of them.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = Rung)]
pub struct RingOn {
    /// The managers to go.
    pub row: Vec<String>,
    /// How each calls the next.
    pub by: Asking,
}

/// As `RingOn`, for the scope.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(scope, reply = Rung)]
pub struct ScopeRingsOn {
    /// The managers to go.
    pub row: Vec<String>,
    /// How each calls the next.
    pub by: Asking,
}

/// Meets others at a place, and touches one of them once all are there.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = Rung)]
pub struct Meet {
    /// The file in which everybody says how often it has come.
    pub place: PathBuf,
    /// How often, this time included.
    pub round: u64,
    /// Which of those who meet this is.
    pub own: u64,
    /// How many meet; none when it does not wait for others.
    pub of: u64,
    /// How long it dawdles before it calls.
    #[schema(unit = "us")]
    pub dawdles_us: u64,
    /// Whom it touches.
    pub whom: String,
    /// In which way.
    pub by: Asking,
}

/// Tells everyone a number.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(broadcast)]
pub struct TellAll {}

/// Tells everyone, and waits until all have heard it.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = Rung)]
pub struct TellAllAndWait {}

/// Has everyone who hears it touch a manager; each replies how that ended.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(broadcast, reply = Rung)]
pub struct AllTouch {
    /// Which manager.
    pub whom: String,
}

/// Has everyone touch it, and waits for that; replies how it ended for each.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = Vec<Rung>)]
pub struct BeTouchedByAll {}

/// Has a thread of its own call its own manager, twice; asks how that ended.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
pub struct CallSelfFromThread {}

/// Asks how the thread's calls have ended; there are none as long as it is at them.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = Vec<Rung>)]
pub struct ThreadsCalls {}

/// See the module's words.
pub struct Ringer {
    calling: Option<thread::JoinHandle<Vec<Rung>>>,
}

impl Manager for Ringer {
    type Config = ();

    fn setup(_: (), _: &mut Context) -> Result<Self, SetupError> {
        Ok(Self { calling: None })
    }
}

#[manager(kind = "ringer")]
impl Ringer {
    #[ipc_command]
    fn touch(&mut self, _command: Touch) {}

    #[ipc_command]
    fn tell_all(&mut self, _command: TellAll) {}

    #[ipc_command]
    fn ring_on(&mut self, command: RingOn, context: &mut Context) -> Result<Rung, CallError> {
        ring_on(command.row, command.by, context)
    }

    #[ipc_command]
    fn meet(&mut self, command: Meet, context: &mut Context) -> Result<Rung, io::Error> {
        let Meet { place, round, own, of, dawdles_us, whom, by } = command;
        meet(&place, round, own, of)?;
        let until = Instant::now() + Duration::from_micros(dawdles_us);
        while Instant::now() < until {}
        let end = ask(&context.to(&whom), Touch {}, by);
        rung(end.map(|()| Rung::Done), context.manager()).map_err(io::Error::other)
    }

    #[ipc_command]
    fn tell_all_and_wait(
        &mut self,
        _command: TellAllAndWait,
        context: &mut Context,
    ) -> Result<Rung, CallError> {
        let end = context.broadcast(TellAll {})?.wait(WAIT);
        rung(end.map(|_| Rung::Done), context.manager())
    }

    #[ipc_command]
    fn all_touch(&mut self, command: AllTouch, context: &mut Context) -> Result<Rung, CallError> {
        let end = context.to(&command.whom).call(Touch {});
        rung(end.map(|()| Rung::Done), context.manager())
    }

    #[ipc_command]
    fn be_touched_by_all(
        &mut self,
        _command: BeTouchedByAll,
        context: &mut Context,
    ) -> Result<Vec<Rung>, CallError> {
        let whom = context.manager().to_owned();
        let report = context.broadcast(AllTouch { whom })?.wait(WAIT)?;
        report.outcomes.into_iter().map(|one| one.outcome).collect()
    }

    #[ipc_command]
    fn call_self_from_thread(&mut self, _command: CallSelfFromThread, context: &mut Context) {
        let (scope, own) = (context.scope(), context.manager().to_owned());
        self.calling = Some(thread::spawn(move || {
            let calls = [Asking::Call, Asking::RequestThenWait].map(|by| {
                let end = ask(&scope.to(&own), Touch {}, by).map(|()| Rung::Done);
                rung(end, "its thread").unwrap_or_else(|error| panic!("{error}"))
            });
            calls.to_vec()
        }));
    }

    #[ipc_command]
    fn threads_calls(&mut self, _command: ThreadsCalls) -> Vec<Rung> {
        // It must not wait for the thread, which waits for this worker.
        let calling = self.calling.take_if(|calling| calling.is_finished());
        calling.map_or_else(Vec::new, |calling| calling.join().expect("no call fails otherwise"))
    }
}

/// The scope's part in a ring.
#[derive(Default)]
pub struct Bell;

#[scope]
impl Bell {
    #[ipc_command]
    fn ring_on(&mut self, command: ScopeRingsOn, context: &mut Context) -> Result<Rung, CallError> {
        ring_on(command.row, command.by, context)
    }
}

fn ring_on(mut row: Vec<String>, by: Asking, context: &Context) -> Result<Rung, CallError> {
    if row.is_empty() {
        return Ok(Rung::Done);
    }
    let next = row.remove(0);
    let end = match next.as_str() {
        "scope" => ask(&context.to("scope"), ScopeRingsOn { row, by }, by),
        next => ask(&context.to(next), RingOn { row, by }, by),
    };
    rung(end, context.manager())
}

fn ask<C>(whom: &labrig::remote::Addressed<'_>, command: C, by: Asking) -> Result<C::Reply, CallError>
where
    C: labrig::Command<Delivery: labrig::wire::OneHandler>,
{
    match by {
        Asking::Call => whom.call(command),
        Asking::RequestThenWait => whom.request(command)?.wait(WAIT),
    }
}

/// A refusal to wait for ever is an answer here.
fn rung(end: Result<Rung, CallError>, by: &str) -> Result<Rung, CallError> {
    let by = by.to_owned();
    match end {
        Err(CallError::Refused(Refusal::WouldDeadlock { cycle, .. })) => Ok(Rung::Refused { by, cycle }),
        Err(CallError::Deadlock { cycle, .. }) => Ok(Rung::NotAwaited { by, cycle }),
        other => other,
    }
}

/// Waits until all of those who meet have come for that round.
fn meet(place: &Path, round: u64, own: u64, of: u64) -> io::Result<()> {
    if of == 0 {
        return Ok(());
    }
    let place = OpenOptions::new().read(true).write(true).open(place)?;
    place.write_all_at(&round.to_le_bytes(), own * 8)?;
    for other in (0..of).filter(|other| *other != own) {
        while rounds_of(&place, other)? < round {
            thread::yield_now();
        }
    }
    Ok(())
}

fn rounds_of(place: &File, other: u64) -> io::Result<u64> {
    let mut bytes = [0; 8];
    place.read_exact_at(&mut bytes, other * 8)?;
    Ok(u64::from_le_bytes(bytes))
}

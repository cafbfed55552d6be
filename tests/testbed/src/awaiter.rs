//! `awaiter`: asks others and hears of the answers in every way there is, also while its worker is at something.

use std::future::Future;
use std::pin::pin;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::task::{self, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use labrig::prelude::*;

use crate::commands::{Add, Note};
use crate::patient::Toil;

/// How long an awaiter waits for others.
const WAIT: Duration = Duration::from_secs(20);
const MOMENT: Duration = Duration::from_millis(1);

/// A way to hear of an answer.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, Copy, PartialEq)]
pub enum Hearing {
    /// A callback.
    Callback,
    /// A task.
    Future,
    /// A thread that sleeps for it.
    Wait,
    /// Looking whether it is there.
    Look,
}

/// Has a thread of its own ask for sums, while its handler does nothing that labrig could see; replies them.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = Vec<i64>)]
pub struct HearWhileBusy {
    /// Whom to ask.
    pub whom: String,
    /// In which way.
    pub by: Hearing,
    /// How many sums.
    pub count: i64,
}

/// Asks for sums in its handler, and replies what it heard.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = Vec<i64>)]
pub struct HearInHandler {
    /// Whom to ask.
    pub whom: String,
    /// In which way.
    pub by: Hearing,
    /// How many sums.
    pub count: i64,
}

/// Has another manager toil; replies every word it heard on how far that was.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = Vec<f64>)]
pub struct WatchToil {
    /// Whom.
    pub whom: String,
    /// How many naps.
    pub naps: u64,
    /// Whether it only looks, and does not wait between looks.
    pub looks: bool,
}

/// Asks for a sum, and has its callback call for another; replies that one.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = i64)]
pub struct CallInCallback {
    /// Whom to ask.
    pub whom: String,
}

/// Has so many threads of its own ask for sums in every way, again and again, while its handler does so too;
/// replies how many answers were right.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = u64)]
pub struct HearEverywhere {
    /// Whom to ask.
    pub whom: String,
    /// How many threads.
    pub threads: u64,
    /// How often.
    pub rounds: u64,
}

/// Sends that many notes to another manager; replies how many were taken.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = u64)]
pub struct SendNotes {
    /// Whom.
    pub whom: String,
    /// How many.
    pub count: u64,
}

/// Asks which of its one-way commands an awaiter knows to be undelivered.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = Vec<String>)]
pub struct Undeliverable {}

/// See the module's words.
pub struct Awaiter {
    undelivered: Arc<Mutex<Vec<String>>>,
}

impl Manager for Awaiter {
    type Config = ();

    fn setup(_: (), context: &mut Context) -> Result<Self, SetupError> {
        let undelivered: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = Arc::clone(&undelivered);
        context.scope().on_undelivered(move |news| {
            let news = format!("{} to {}: {} (and {})", news.command, news.to, news.reason, news.untold);
            heard.lock().expect("nobody panics with it").push(news);
        });
        Ok(Self { undelivered })
    }
}

#[manager(kind = "awaiter")]
impl Awaiter {
    #[ipc_command]
    fn hear_while_busy(
        &mut self,
        command: HearWhileBusy,
        context: &mut Context,
    ) -> Result<Vec<i64>, CallError> {
        let HearWhileBusy { whom, by, count } = command;
        let (scope, (told, heard)) = (context.scope(), channel());
        let asking = thread::spawn(move || told.send(hear(&scope.to(&whom), by, count)));
        // The worker sleeps on something that labrig knows nothing of: it does not listen meanwhile.
        let sums = heard.recv_timeout(WAIT).expect("the answers reach the thread that asks");
        asking.join().expect("the asking thread does not panic").expect("the handler hears it");
        sums
    }

    #[ipc_command]
    fn hear_in_handler(
        &mut self,
        command: HearInHandler,
        context: &mut Context,
    ) -> Result<Vec<i64>, CallError> {
        hear(&context.to(&command.whom), command.by, command.count)
    }

    #[ipc_command]
    fn watch_toil(&mut self, command: WatchToil, context: &mut Context) -> Result<Vec<f64>, CallError> {
        let toil = Toil { duration_ms: command.naps * 20, nap_ms: 20 };
        let pending = context.to(&command.whom).request(toil)?;
        let mut seen: Vec<f64> = Vec::new();
        while !pending.is_ready() {
            if command.looks {
                context.sleep(MOMENT).expect("nobody cancels it");
            } else {
                pending.ready_within(MOMENT);
            }
            let progress = pending.progress().filter(|now| seen.last() != Some(&now.done));
            seen.extend(progress.map(|now| now.done));
        }
        pending.wait(WAIT).map(|_| seen)
    }

    #[ipc_command]
    fn call_in_callback(&mut self, command: CallInCallback, context: &mut Context) -> Result<i64, CallError> {
        let (scope, (told, heard)) = (context.scope(), channel());
        let whom = command.whom.clone();
        context.to(&command.whom).request(Add { a: 1, b: 2 })?.on_complete(move |first| {
            let second = first.and_then(|sum| scope.to(&whom).call(Add { a: sum, b: 10 }));
            told.send(second).expect("the handler listens");
        });
        heard.recv_timeout(WAIT).expect("the callback is run")
    }

    #[ipc_command]
    fn hear_everywhere(&mut self, command: HearEverywhere, context: &mut Context) -> u64 {
        let HearEverywhere { whom, threads, rounds } = command;
        let (scope, whom) = (context.scope(), whom.as_str());
        thread::scope(|running| {
            let asking: Vec<_> = (0..threads)
                .map(|at| {
                    running.spawn({
                        let scope = scope.clone();
                        move || hear_again(&scope.to(whom), at, rounds)
                    })
                })
                .collect();
            // In the handler nothing but waiting: each of the threads may be the one that listens.
            let own =
                (0..rounds).filter(|_| context.to(whom).call(Add { a: 1, b: 2 }) == Ok(3)).count() as u64;
            own + asking.into_iter().map(|it| it.join().expect("no thread panics")).sum::<u64>()
        })
    }

    #[ipc_command]
    fn send_notes(&mut self, command: SendNotes, context: &mut Context) -> u64 {
        let notes = (0..command.count).map(|number| context.to(&command.whom).send(Note { number }));
        notes.filter(Result::is_ok).count() as u64
    }

    #[ipc_command]
    fn undeliverable(&mut self, _command: Undeliverable) -> Vec<String> {
        self.undelivered.lock().expect("nobody panics with it").clone()
    }
}

/// Asks for `count` sums at once, and hears of them in that way.
fn hear(whom: &labrig::remote::Addressed<'_>, by: Hearing, count: i64) -> Result<Vec<i64>, CallError> {
    let asked: Result<Vec<_>, _> = (0..count).map(|number| whom.request(Add { a: number, b: 100 })).collect();
    let asked = asked?;
    match by {
        Hearing::Callback => hear_by_callback(asked),
        Hearing::Future => asked.into_iter().map(block_on).collect(),
        Hearing::Wait => asked.into_iter().map(|pending| pending.wait(WAIT)).collect(),
        Hearing::Look => {
            while !asked.iter().all(PendingReply::is_ready) {
                thread::sleep(MOMENT);
            }
            asked.iter().filter_map(PendingReply::try_value).collect()
        }
    }
}

/// Asks so often, each time in another way; says how many answers were right.
fn hear_again(whom: &labrig::remote::Addressed<'_>, thread: u64, rounds: u64) -> u64 {
    let ways = [Hearing::Callback, Hearing::Future, Hearing::Wait, Hearing::Look];
    let hear = |round: u64| hear(whom, ways[(thread + round) as usize % ways.len()], 2);
    (0..rounds).filter(|round| hear(*round) == Ok(vec![100, 101])).count() as u64
}

fn hear_by_callback(asked: Vec<PendingReply<i64>>) -> Result<Vec<i64>, CallError> {
    let (told, heard) = channel();
    for pending in asked {
        let told = told.clone();
        pending.on_complete(move |sum| told.send(sum).expect("somebody listens"));
    }
    drop(told);
    let next = || match heard.recv_timeout(WAIT) {
        Ok(sum) => Some(sum),
        Err(RecvTimeoutError::Disconnected) => None,
        Err(RecvTimeoutError::Timeout) => panic!("no callback is run"),
    };
    let mut sums = std::iter::from_fn(next).collect::<Result<Vec<_>, _>>()?;
    // A callback that comes after the answer is run at once, perhaps before one that came before it.
    sums.sort_unstable();
    Ok(sums)
}

/// Runs a future to its end, without any runtime.
pub fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut task::Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

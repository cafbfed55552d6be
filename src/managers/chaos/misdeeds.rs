//! The misdeeds, one function each.

use std::convert::Infallible;
use std::fs::File;
use std::hint::black_box;
use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::{Shutdown, shutdown};
use rustix::process::{Signal, getpid, kill_process};

use super::commands::Drip;
use super::own_pipe;
use crate::prelude::{Context, Scope};

/// How long each sleep of one who sleeps for ever is, and how long a child that is left behind lives: longer
/// than any rig.
const FOR_EVER: Duration = Duration::from_secs(24 * 3600);
/// How often a thread beside a handler that spins talks to the rig.
const CHATTER: Duration = Duration::from_millis(50);
/// What is printed over and over, with its line's end.
const LINE: &str =
    "the quick brown fox jumps over the lazy dog, which is said again and again to whoever may be listen\n";

/// Dies of a signal.
pub(super) fn die_of(signal: Signal) -> io::Result<Infallible> {
    loop {
        // The runtime's own handler takes the first one, and gives the next its way.
        kill_process(getpid(), signal)?;
    }
}

/// Calls itself until the stack is full.
#[expect(unconditional_recursion, reason = "that is the misdeed")]
pub(super) fn overflow_stack(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    overflow_stack(depth + 1) + black_box(frame)[63]
}

pub(super) fn sleep_for_ever() -> ! {
    loop {
        thread::sleep(FOR_EVER);
    }
}

pub(super) fn spin_for_ever() -> ! {
    loop {
        std::hint::spin_loop();
    }
}

/// Spins, while a thread beside it asks whether this manager answers.
pub(super) fn spin_beside_thread(scope: Scope, own: String) -> io::Result<Infallible> {
    let chatter = move || {
        loop {
            // Nobody answers while the worker spins: that the thread talks is all it is for.
            let _ = scope.ping(&own, CHATTER);
        }
    };
    thread::Builder::new().name("chatter".to_owned()).spawn(chatter)?;
    spin_for_ever()
}

/// Shuts the pipe down for everybody who has it, and sleeps.
pub(super) fn close_pipe() -> io::Result<Infallible> {
    shutdown(own_pipe::duplicate()?, Shutdown::Both)?;
    sleep_for_ever()
}

/// SIGTERM finds nobody who would take it.
#[expect(deprecated, reason = "it takes from others what is theirs, as bad libraries do")]
pub(super) fn ignore_term() {
    signal_hook_registry::unregister_signal(signal_hook::consts::SIGTERM);
}

/// Sends for that long without a pause; how many were accepted on this side.
pub(super) fn flood(context: &Context, whom: &str, duration: Duration) -> u64 {
    let end = Instant::now() + duration;
    let whom = if whom.is_empty() { context.manager() } else { whom };
    let mut sent = 0;
    while Instant::now() < end {
        sent += u64::from(context.to(whom).send(Drip {}).is_ok());
    }
    sent
}

/// Prints that much; how many lines it was.
pub(super) fn print(bytes: u64) -> io::Result<u64> {
    let lines = bytes / LINE.len() as u64;
    let mut out = io::stdout().lock();
    for _ in 0..lines {
        out.write_all(LINE.as_bytes())?;
    }
    out.flush()?;
    Ok(lines)
}

/// A child that holds on to the manager's pipe.
pub(super) fn keep_pipe() -> io::Result<u32> {
    let pipe = own_pipe::duplicate()?;
    let mut sleep = Command::new("sleep");
    sleep.arg(FOR_EVER.as_secs().to_string()).stdin(Stdio::from(pipe));
    Ok(sleep.spawn()?.id())
}

/// A child in a session of its own, where no signal to the manager's group reaches it.
pub(super) fn daemonise() -> io::Result<u32> {
    let mut setsid = Command::new("setsid");
    setsid.arg("sleep").arg(FOR_EVER.as_secs().to_string());
    setsid.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(setsid.spawn()?.id())
}

/// Opens so many more descriptors.
pub(super) fn leak_descriptors(count: u32, kept: &mut Vec<File>) -> io::Result<u64> {
    for _ in 0..count {
        kept.push(File::open("/dev/null")?);
    }
    Ok(u64::from(count))
}

/// Memory that is this process's own: every page of it was written to.
pub(super) fn allocate(megabytes: u64, kept: &mut Vec<Vec<u8>>) -> u64 {
    kept.extend((0..megabytes).map(|_| vec![1; 1_000_000]));
    megabytes
}

/// The whole process stands still until somebody lets it go on.
pub(super) fn stop_itself() -> io::Result<()> {
    Ok(kill_process(getpid(), Signal::STOP)?)
}

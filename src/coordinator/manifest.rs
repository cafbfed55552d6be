//! What other programs contain: asked of them before anything starts.
//!
//! The program is started in a mode that touches no device; it writes its manifest to descriptor 0 and
//! ends. What its own start prints does not disturb that.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};

use super::program_file::{Unfit, unfit_to_start};
use crate::config::{Code, Fault};
use crate::registry::Manifest;
use crate::registry::registration;
use crate::transport::Child;
use crate::transport::poller::timespec;
use crate::wire::envelope::PROTOCOL_VERSION;

/// The largest manifest that is believed, in bytes.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// A manifest as it is written.
#[derive(Serialize, Deserialize)]
struct Statement {
    protocol: u8,
    version: String,
    manifest: Manifest,
}

/// What stands before the rest, so that another protocol is recognised whatever follows.
#[derive(Deserialize)]
struct Preamble {
    protocol: u8,
    version: String,
}

/// Writes this program's manifest to whoever asked, as the whole work of this process.
pub(crate) fn state_manifest(socket: OwnedFd) -> ExitCode {
    let statement = Statement {
        protocol: PROTOCOL_VERSION,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        manifest: registration::manifest(),
    };
    let written = serde_json::to_vec(&statement)
        .map_err(std::io::Error::from)
        .and_then(|bytes| File::from(socket).write_all(&bytes));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Asks every program at once, each with that much time; answers come in the order of the programs.
pub(crate) fn ask_all(programs: &[Child], patience: Duration) -> Vec<Result<Manifest, Fault>> {
    thread::scope(|threads| {
        let asking: Vec<_> =
            programs.iter().map(|program| threads.spawn(move || ask(program, patience))).collect();
        let join = |asked: thread::ScopedJoinHandle<'_, _>| asked.join().expect("asking does not panic");
        asking.into_iter().map(join).collect()
    })
}

fn ask(child: &Child, patience: Duration) -> Result<Manifest, Fault> {
    let program = child.program.as_deref().unwrap_or(Path::new("/proc/self/exe")).display().to_string();
    if let Some(Unfit { why, cure }) = child.program.as_deref().and_then(unfit_to_start) {
        let message = format!("the program `{program}` cannot be started: {why}");
        return Err(Fault::new(Code::ProgramNotStarted, message).hint(cure));
    }
    let (mut process, socket) = child.ask_manifest().map_err(|error| {
        let cause = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
        Fault::new(Code::ProgramNotStarted, format!("the program `{program}` cannot be started: {cause}"))
            .hint("check the path, and that the file is executable and made for this machine")
    })?;
    let answer = read_all(socket, patience);
    // It has answered, or it never will; either way it has nothing more to do.
    let _ = kill_process_group(Pid::from_child(&process), Signal::KILL);
    let status = process.wait();
    let bytes = answer.map_err(|silence| {
        let how = status.map(|status| status.to_string()).unwrap_or_default();
        Fault::new(
            Code::ProgramSilent,
            format!("the program `{program}` did not say what it contains: {silence} ({how})"),
        )
        .hint("its `main` must call `labrig::main()` or `labrig::app()…main()` before it does anything else")
    })?;
    read_statement(&program, &bytes)
}

fn read_statement(program: &str, bytes: &[u8]) -> Result<Manifest, Fault> {
    let unreadable = |error: serde_json::Error| {
        Fault::new(Code::ProgramSilent, format!("the manifest of `{program}` cannot be read: {error}"))
            .hint("build it with the same version of labrig")
    };
    let preamble: Preamble = serde_json::from_slice(bytes).map_err(unreadable)?;
    let Preamble { protocol, version } = preamble;
    // What lies in shared memory may have changed where the protocol has not.
    if (protocol, version.as_str()) != (PROTOCOL_VERSION, env!("CARGO_PKG_VERSION")) {
        let text = format!(
            "`{program}` speaks protocol {protocol} (labrig {version}), this coordinator {PROTOCOL_VERSION} (labrig {})",
            env!("CARGO_PKG_VERSION")
        );
        return Err(Fault::new(Code::ProgramVersion, text).hint("build both with the same version of labrig"));
    }
    let statement: Statement = serde_json::from_slice(bytes).map_err(unreadable)?;
    Ok(statement.manifest)
}

fn read_all(socket: OwnedFd, patience: Duration) -> Result<Vec<u8>, String> {
    let until = Instant::now() + patience;
    let mut file = File::from(socket);
    let (mut all, mut chunk) = (Vec::new(), vec![0; 64 * 1024]);
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let mut descriptors = [PollFd::from_borrowed_fd(file.as_fd(), PollFlags::IN)];
        match poll(&mut descriptors, Some(&timespec(left))) {
            Ok(0) => return Err(format!("no answer within {patience:?}")),
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.to_string()),
        }
        match file.read(&mut chunk) {
            Ok(0) if all.is_empty() => return Err("it ended without a word".to_owned()),
            Ok(0) => return Ok(all),
            Ok(bytes) => all.extend(&chunk[..bytes]),
            Err(error) => return Err(error.to_string()),
        }
        if all.len() as u64 > MAX_BYTES {
            return Err(format!("more than {MAX_BYTES} bytes"));
        }
    }
}

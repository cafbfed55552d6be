//! `worker`: does everything the tests need done, at once or never.

use std::collections::HashMap;
use std::fs;
use std::os::fd::{BorrowedFd, RawFd};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use labrig::prelude::*;
use rustix::net::SocketType;

use crate::commands::*;

/// The table `[managers.<name>.config]` of a worker.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, Default)]
#[serde(default)]
pub struct WorkerConfig {
    /// What set-up does: nothing, `fail`, `panic`, `exit`, `sleep`.
    pub setup: String,
    /// A file that is written when the safe state is entered.
    pub safe_file: PathBuf,
    /// How long entering the safe state takes.
    #[schema(unit = "ms", min = 0, max = 600000)]
    pub safe_ms: u64,
}

/// See the module's words.
pub struct Worker {
    config: WorkerConfig,
    notes: Vec<u64>,
    ticks: u64,
}

impl Manager for Worker {
    type Config = WorkerConfig;

    fn setup(config: WorkerConfig, _: &mut Context) -> Result<Self, SetupError> {
        match config.setup.as_str() {
            "fail" => return Err(std::io::Error::other("the device is not plugged in").into()),
            "panic" => panic!("the driver has a mistake"),
            "exit" => {
                println!("a last word");
                std::process::exit(7)
            }
            "sleep" => thread::sleep(Duration::from_secs(3600)),
            _ => {}
        }
        Ok(Self { config, notes: Vec::new(), ticks: 0 })
    }

    fn enter_safe_state(&mut self, reason: SafeReason) {
        thread::sleep(Duration::from_millis(self.config.safe_ms));
        if !self.config.safe_file.as_os_str().is_empty() {
            fs::write(&self.config.safe_file, reason.to_string()).expect("the test's folder can be written");
        }
    }
}

#[manager(kind = "worker")]
impl Worker {
    #[ipc_command]
    fn fetch_zeros(&mut self, command: FetchZeros) -> Vec<u8> {
        vec![0; command.count as usize]
    }

    #[ipc_command]
    fn add(&mut self, command: Add) -> i64 {
        command.a + command.b
    }

    #[ipc_command]
    fn note(&mut self, command: Note) {
        self.notes.push(command.number);
    }

    #[ipc_command]
    fn aim(&mut self, command: Aim) {
        self.notes.push(command.at);
    }

    #[ipc_command]
    fn sample(&mut self, command: Sample) {
        self.notes.push(command.number);
    }

    #[ipc_command]
    fn notes(&mut self, _command: Notes) -> Vec<u64> {
        self.notes.clone()
    }

    #[ipc_command]
    fn fail(&mut self, command: Fail) -> Result<(), TestError> {
        Err(TestError::Told { code: command.code })
    }

    #[ipc_command]
    fn fail_as_text(&mut self, _command: FailAsText) -> Result<(), std::io::Error> {
        Err(std::io::Error::other(TestError::Told { code: 5 }.to_string()))
    }

    #[ipc_command]
    fn panic(&mut self, command: Panic) {
        panic!("{}", command.words)
    }

    #[ipc_command]
    fn sleep(&mut self, command: Sleep) {
        thread::sleep(Duration::from_millis(command.duration_ms));
    }

    #[ipc_command]
    fn exit(&mut self, command: Exit) {
        std::process::exit(command.code)
    }

    #[ipc_command]
    fn print(&mut self, command: Print) {
        for _ in 0..command.times {
            println!("out: {}", command.text);
            eprintln!("err: {}", command.text);
            log::info!("log: {}", command.text);
        }
    }

    #[ipc_command]
    fn describe(&mut self, _command: Describe) -> Process {
        Process {
            pid: std::process::id(),
            group: rustix::process::getpgrp().as_raw_nonzero().get() as u32,
            descriptors: descriptors().into_values().collect(),
            variable: std::env::var("TESTBED").ok(),
            folder: std::env::current_dir().map(|folder| folder.display().to_string()).unwrap_or_default(),
            ticks: self.ticks,
        }
    }

    #[ipc_command]
    fn ask_to_add(&mut self, command: AskToAdd, context: &mut Context) -> Result<i64, TestError> {
        let add = Add { a: command.a, b: command.b };
        let asked = if command.whom.is_empty() {
            context.call(add)
        } else {
            context.to(&command.whom).request(add).map_err(CallError::from).and_then(|it| it.wait(WAIT))
        };
        asked.map_err(|error| TestError::NoAnswer { why: error.to_string() })
    }

    #[ipc_command]
    fn ask_from_thread(&mut self, command: AskFromThread, context: &mut Context) -> Result<i64, TestError> {
        let scope = context.scope();
        let asking = thread::spawn(move || {
            let asked = scope.to(&command.whom).request(Add { a: 20, b: 22 }).map_err(CallError::from);
            asked.and_then(|reply| reply.wait(WAIT))
        });
        thread::sleep(Duration::from_millis(command.sleep_ms));
        let answer = asking.join().expect("the asking thread does not panic");
        answer.map_err(|error| TestError::NoAnswer { why: error.to_string() })
    }

    #[ipc_command]
    fn descend(&mut self, command: Descend, context: &mut Context) -> Result<u32, TestError> {
        if command.left == 0 {
            return Ok(0);
        }
        let own = command.row.iter().position(|name| name == context.manager()).unwrap_or(0);
        let next = command.row[(own + 1) % command.row.len()].clone();
        let deeper = Descend { left: command.left - 1, row: command.row };
        let asked = context.to(&next).request(deeper).map_err(CallError::from).and_then(|it| it.wait(WAIT));
        asked.map(|below| below + 1).map_err(|error| TestError::NoAnswer { why: error.to_string() })
    }

    #[ipc_command]
    fn note_to_self(&mut self, command: NoteToSelf, context: &mut Context) -> Result<(), Refusal> {
        context.to(context.manager()).send(Note { number: command.number })
    }

    #[ipc_command]
    fn send_garbage(&mut self, command: SendGarbage) {
        let bytes = [command.bytes, vec![0; command.zeros as usize]].concat();
        for (number, _) in descriptors().iter().filter(|(_, what)| what.starts_with("socket:")) {
            // SAFETY: the descriptor was listed as open just now, by the only thread that opens or closes any.
            let socket = unsafe { BorrowedFd::borrow_raw(*number) };
            if rustix::net::sockopt::socket_type(socket) != Ok(SocketType::SEQPACKET) {
                continue;
            }
            let _ = rustix::net::send(socket, &bytes, rustix::net::SendFlags::NOSIGNAL);
        }
    }

    #[ipc_command]
    fn flood(&mut self, command: Flood, context: &mut Context) -> u64 {
        let notes = (0..command.count).map(|number| context.to(&command.whom).send(Note { number }));
        notes.filter(Result::is_ok).count() as u64
    }

    #[ipc_command]
    fn quit_rig(&mut self, _command: QuitRig, context: &mut Context) {
        context.quit();
    }

    #[ipc_command]
    fn shout(&mut self, command: Shout, context: &mut Context) -> Result<Vec<String>, TestError> {
        let asked = context.broadcast(SetMode { mode: command.mode }).map_err(CallError::from);
        let report = asked.and_then(|pending| pending.wait(WAIT));
        let report = report.map_err(|error| TestError::NoAnswer { why: error.to_string() })?;
        Ok(report.outcomes.into_iter().map(|one| one.manager).collect())
    }

    #[ipc_command]
    fn set_mode(&mut self, command: SetMode) -> u32 {
        command.mode
    }

    #[every(milliseconds = 5)]
    fn tick(&mut self) {
        self.ticks += 1;
    }
}

/// How long the testbed's managers wait for each other.
const WAIT: Duration = Duration::from_secs(20);

/// The open descriptors of this process and what they are.
fn descriptors() -> HashMap<RawFd, String> {
    let entries = fs::read_dir("/proc/self/fd").expect("the list of descriptors can be read");
    let describe = |entry: fs::DirEntry| {
        let number = entry.file_name().to_str()?.parse().ok()?;
        Some((number, fs::read_link(entry.path()).ok()?.display().to_string()))
    };
    entries.filter_map(|entry| describe(entry.ok()?)).collect()
}

//! Managers that give up by themselves, and processes that not even a kill ends.

use std::fs;
use std::sync::mpsc::channel;

use crate::restarts::{kill, status_of, until_in_life};
use crate::support::{
    PATIENCE, end_cleanly, eventually, fail_to_launch, launch, pid_of, testbed, until_busy,
};
use labrig::managers::chaos::{Misbehave, Misdeed};
use labrig::{CallError, LaunchError, Refusal, Rig};
use labrig_testbed::commands::{Add, Panic, Sleep};
use nix::sys::ptrace;
use nix::unistd::Pid;
use rustix::fs::OFlags;
use rustix::process::{PidfdFlags, Signal, kill_process, pidfd_open, test_kill_process};

const RESTARTS: &str = "restart_policy = \"on-failure\"\nrestart_delay_ms = 1\n";

fn add(rig: &Rig, manager: &str) -> Result<i64, CallError> {
    rig.scope().to(manager).call(Add { a: 1, b: 2 })
}

#[test]
fn one_that_is_to_be_started_again_after_a_panic_says_so_and_its_death_says_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("safe");
    let rig = launch(&format!(
        "[managers.left]\nkind = \"worker\"\n{RESTARTS}on_panic = \"restart\"\n[managers.left.config]\nsafe_file = {file:?}\n\
         [managers.right]\nkind = \"worker\"\n{RESTARTS}"
    ));
    let panic = |manager: &str| {
        let panic = Panic { words: "the shutter is stuck".to_owned() };
        rig.scope().to(manager).call(panic).expect_err("it panics")
    };
    // The caller hears of the panic itself, and not of the death that follows.
    let error = panic("left");
    assert!(
        matches!(&error, CallError::Failed(_)) && error.to_string().contains("the shutter is stuck"),
        "{error}"
    );
    until_in_life(&rig, "left", 2);
    assert_eq!(fs::read_to_string(&file).expect("its safe state came first"), "a handler panicked");
    let death = status_of(&rig, "left").last_death.expect("it has died");
    assert!(death.was_safe && death.how.starts_with("exit code"), "{death:?}");
    let because = death.because.expect("it has said why");
    assert!(
        because.starts_with("gives up: `Panic` ") && because.contains("the shutter is stuck"),
        "{because}"
    );
    // The default: a panic ends its call alone.
    assert!(matches!(panic("right"), CallError::Failed(_)));
    assert_eq!((add(&rig, "right"), add(&rig, "left")), (Ok(3), Ok(3)));
    assert_eq!(status_of(&rig, "right").generation, 1);
    assert_eq!(end_cleanly(rig).deaths.len(), 1);
}

#[test]
fn a_one_way_command_that_panics_makes_it_give_up_as_well_and_what_waited_is_told() {
    let rig = launch(&format!("[managers.left]\nkind = \"worker\"\n{RESTARTS}on_panic = \"restart\"\n"));
    let (told, heard) = channel();
    rig.scope().on_undelivered(move |news| drop(told.send(news.command.clone())));
    rig.scope().send(Sleep { duration_ms: 100 }).expect("accepted");
    until_busy(&rig, &["left"]);
    rig.scope().send(Panic { words: "no!".to_owned() }).expect("accepted");
    rig.scope().send(Add { a: 1, b: 2 }).expect("accepted");
    assert_eq!(heard.recv_timeout(PATIENCE).as_deref(), Ok("Add"));
    until_in_life(&rig, "left", 2);
    let death = status_of(&rig, "left").last_death.expect("it has died");
    assert!(death.because.is_some_and(|because| because.starts_with("gives up: `Panic` ")));
    assert!(rig.shutdown().is_clean);
}

/// Holds one thread of a process: killed, the process is not gone before it is let go.
struct Held(Pid);

impl Held {
    /// Any thread but the first. Only the thread that holds it can let it go, or ends.
    fn thread_of(rig: &Rig, manager: &str) -> Self {
        Self::seize(rig, manager, ptrace::Options::empty())
    }

    /// As it ends, the thread stands still before it has let go of anything, as while much memory is freed.
    fn on_its_way_to_the_end(rig: &Rig, manager: &str) -> Self {
        Self::seize(rig, manager, ptrace::Options::PTRACE_O_TRACEEXIT)
    }

    fn seize(rig: &Rig, manager: &str, options: ptrace::Options) -> Self {
        Self::seize_in(pid_of(rig, manager).as_raw_nonzero().get(), options)
    }

    fn seize_in(pid: i32, options: ptrace::Options) -> Self {
        let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("it lives");
        let threads = threads.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let other = threads.into_iter().find(|thread: &i32| *thread != pid).expect("it has a link thread");
        let other = Pid::from_raw(other);
        ptrace::seize(other, options).expect("children may be held");
        Self(other)
    }

    fn let_go(self) {
        use nix::sys::wait::{WaitPidFlag, waitpid};
        waitpid(self.0, Some(WaitPidFlag::__WALL)).expect("it was killed");
    }

    /// It stands still on its way to the end, and goes on now.
    fn go_on(self) {
        use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
        let status = waitpid(self.0, Some(WaitPidFlag::__WALL)).expect("it was killed");
        assert!(matches!(status, WaitStatus::PtraceEvent(..)), "{status:?}");
        ptrace::detach(self.0, None).expect("it is held");
    }
}

/// The system lets go of everything before it tells of the end of a process, which may take long.
#[test]
fn the_death_of_a_manager_is_known_while_its_process_is_still_on_its_way_to_the_end() {
    if !tells_of_threads() {
        return println!("this system cannot tell of threads");
    }
    let rig = launch(
        "[managers.left]\nkind = \"worker\"\nsafe_deadline_ms = 60000\n[managers.right]\nkind = \"worker\"",
    );
    let sleeping = rig.scope().to("left").request(Sleep { duration_ms: 3_600_000 }).expect("accepted");
    let queued = rig.scope().to("left").request(Add { a: 1, b: 2 }).expect("accepted");
    until_busy(&rig, &["left"]);
    let held = Held::on_its_way_to_the_end(&rig, "left");
    let process = pid_of(&rig, "left");
    kill(&rig, "left");
    let end = sleeping.wait(PATIENCE);
    assert!(matches!(end, Err(CallError::Indeterminate(_))), "{end:?}");
    let end = queued.wait(PATIENCE);
    assert!(matches!(end, Err(CallError::Lost(_))), "{end:?}");
    assert!(test_kill_process(process).is_ok(), "its process is still there");
    let refused = rig.scope().to("left").send(Add { a: 1, b: 2 });
    assert!(matches!(refused, Err(Refusal::Dead { .. })), "{refused:?}");
    held.go_on();
    eventually("the end", || status_of(&rig, "left").state == "failed");
    assert_eq!(add(&rig, "right"), Ok(3));
    let summary = rig.shutdown();
    assert_eq!(summary.deaths.len(), 1, "{summary:#?}");
    assert!(summary.deaths[0].how.contains("SIGKILL"), "{summary:#?}");
}

/// Linux 6.9 and later.
fn tells_of_threads() -> bool {
    let flags = PidfdFlags::from_bits_retain(OFlags::EXCL.bits());
    pidfd_open(rustix::thread::gettid(), flags).is_ok()
}

fn stubborn(more: &str) -> Rig {
    launch(&stubborn_config(more))
}

fn stubborn_config(more: &str) -> String {
    format!(
        "quit_deadline_ms = 200\n[managers.right]\nkind = \"worker\"\n[managers.bad]\nkind = \"chaos.sim\"\n{RESTARTS}\
         rearm = \"auto\"\nwatchdog_ms = 100\ncancel_deadline_ms = 50\nsafe_deadline_ms = 50\n\
         terminate_deadline_ms = 50\nkill_deadline_ms = 100\n{more}"
    )
}

#[test]
fn a_process_that_not_even_a_kill_ends_is_given_up_and_everybody_else_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("closed");
    let rig = stubborn(&format!("safe_program = [\"/bin/sh\", \"-c\", \"echo >> '{}'\"]\n", file.display()));
    let held = Held::thread_of(&rig, "bad");
    let spinning =
        rig.scope().without_deadline().request(Misbehave { how: Misdeed::Spin }).expect("accepted");
    let end = spinning.wait(PATIENCE);
    assert!(matches!(end, Err(CallError::Indeterminate(_))), "{end:?}");
    eventually("the failure", || status_of(&rig, "bad").state == "failed");
    assert!(file.exists(), "its safe program has run all the same");
    assert_eq!(add(&rig, "right"), Ok(3));
    // While its process is there, its devices have an owner.
    let restart = || rig.scope().restart("bad").expect("accepted").wait(PATIENCE);
    let refused = restart().expect_err("it is there").to_string();
    assert!(refused.contains("was killed, and its process is still there"), "{refused}");
    held.let_go();
    eventually("its second life", || restart().is_ok_and(|it| it.generation == 2));
    eventually("a ready manager", || status_of(&rig, "bad").state == "ready");
    assert!(rig.shutdown().is_clean);
}

/// Two others are still starting: one that will never be ready, and the one that is given up.
#[test]
fn a_rig_that_is_still_starting_gives_up_on_a_process_that_cannot_be_killed_and_does_not_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pid");
    let script = format!(
        "case $LABRIG_ROLE in manager*) echo $$ > '{file}.new'; mv '{file}.new' '{file}';; esac; exec '{testbed}'",
        file = file.display(),
        testbed = testbed().display()
    );
    let config = stubborn_config(&format!(
        "program = \"/bin/sh\"\nargs = [\"-c\", \"{script}\"]\n\
         [managers.slow]\nkind = \"worker\"\n[managers.slow.config]\nsetup = \"sleep\"\n"
    ));
    let (told, heard) = channel();
    std::thread::spawn(move || told.send(fail_to_launch(&config)));
    let pid = || fs::read_to_string(&file).ok()?.trim().parse::<i32>().ok();
    let threads = |pid: i32| fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    // All that it has: one that is just being started would keep the stop from being complete while another is held.
    let all = if tells_of_threads() { 3 } else { 2 };
    eventually("its threads", || pid().is_some_and(|pid| threads(pid) == all));
    let pid = pid().expect("it was there");
    let held = Held::seize_in(pid, ptrace::Options::empty());
    kill_process(rustix::process::Pid::from_raw(pid).expect("a number"), Signal::STOP).expect("it lives");
    let error = heard.recv_timeout(PATIENCE).expect("it comes to an end");
    assert!(
        matches!(&error, LaunchError::Died { manager, how, .. } if manager == "bad" && how.contains("still there")),
        "{error:?}"
    );
    held.let_go();
}

#[test]
fn a_rig_quits_without_waiting_for_a_process_that_cannot_be_killed() {
    let rig = stubborn("");
    let held = Held::thread_of(&rig, "bad");
    let spinning =
        rig.scope().without_deadline().request(Misbehave { how: Misdeed::Spin }).expect("accepted");
    assert!(spinning.wait(PATIENCE).is_err());
    eventually("the failure", || status_of(&rig, "bad").state == "failed");
    let summary = rig.shutdown();
    assert!(!summary.is_clean, "{summary:#?}");
    held.let_go();
}

/// Killed by somebody else, or at the quit, it is on no ladder.
#[test]
fn a_process_that_is_killed_from_outside_and_stays_is_given_up_too() {
    let rig = stubborn("");
    let held = Held::thread_of(&rig, "bad");
    kill(&rig, "bad");
    eventually("the failure", || status_of(&rig, "bad").state == "failed");
    let summary = rig.shutdown();
    assert!(!summary.is_clean, "{summary:#?}");
    held.let_go();
}

#[test]
fn a_process_that_cannot_be_killed_when_the_rig_quits_is_waited_for_no_longer_than_it_may_take() {
    let rig = launch(&stubborn_config("").replace("watchdog_ms = 100", "watchdog_ms = 0"));
    let held = Held::thread_of(&rig, "bad");
    let spin = Misbehave { how: Misdeed::Spin };
    rig.scope().send(spin).expect("accepted");
    until_busy(&rig, &["bad"]);
    let (told, heard) = channel();
    std::thread::spawn(move || told.send(rig.shutdown()));
    let summary = heard.recv_timeout(PATIENCE).expect("the rig quits");
    assert!(!summary.is_clean, "{summary:#?}");
    held.let_go();
}

//! The death of the coordinator, at any moment: every manager that can becomes safe, and nothing is left behind.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{PATIENCE, eventually, figure, launch, pid_of, storm, testbed};
use labrig::shm::monotonic_ns;
use labrig::transport::Cgroup;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

/// What all processes of a scene have in their environment, whoever starts them: labrig's own mark is not trusted here.
const SCENE: &str = "TESTBED_SCENE";

/// How often the coordinator is killed in an ordinary run.
const KILLS: u64 = 50;

/// Where rigs run one after the other, each in a coordinator of its own.
struct Scene {
    folder: tempfile::TempDir,
    name: String,
}

/// A coordinator that was started.
struct Coordinator {
    child: Child,
    stdout: BufReader<ChildStdout>,
    stderr: PathBuf,
}

impl Scene {
    fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self { folder, name: format!("{name}-{}", std::process::id()) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The config of a rig with journals of these roles, and what is said of each besides.
    fn config(&self, managers: &[(&str, &str, &str)]) -> PathBuf {
        let journal = self.path("journal");
        let mut text = "schema = 1\n[rig]\nname = \"scene\"\n".to_owned();
        for (name, role, more) in managers {
            text += &format!(
                "[managers.{name}]\nkind = \"journal\"\n{more}\n[managers.{name}.config]\n\
                 file = {journal:?}\nrole = \"{role}\"\n"
            );
        }
        let path = self.path("rig.toml");
        fs::write(&path, text).expect("a config");
        path
    }

    fn start(&self, config: &Path, run: &str) -> Coordinator {
        let stderr = self.path(&format!("{run}.stderr"));
        let runtime = self.path("runtime");
        fs::create_dir_all(&runtime).expect("a folder");
        let mut command = Command::new(testbed());
        command.arg("run").arg(config).arg("--json").env(SCENE, &self.name);
        command.arg("--run-dir").arg(self.path(run)).arg("--state-dir").arg(self.path("state"));
        command.env("XDG_RUNTIME_DIR", runtime).stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(fs::File::create(&stderr).expect("a file"));
        let mut child = command.spawn().expect("the testbed's program can be started");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe was asked for"));
        Coordinator { child, stdout, stderr }
    }

    /// The processes of this scene that live, with what they call themselves.
    fn alive(&self) -> Vec<(Pid, String)> {
        let entry = format!("{SCENE}={}", self.name).into_bytes();
        let entries = fs::read_dir("/proc").expect("/proc is there").filter_map(Result::ok);
        let pids = entries.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?));
        let read = |pid: Pid, file: &str| fs::read(format!("/proc/{}/{file}", pid.as_raw_nonzero()));
        pids.filter(|pid| {
            let environment = read(*pid, "environ").unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|found| found == entry)
        })
        .map(|pid| {
            (pid, String::from_utf8_lossy(&read(pid, "cmdline").unwrap_or_default()).replace('\0', " "))
        })
        .collect()
    }

    /// Waits until none lives; says how long that took.
    fn until_all_gone(&self) -> Duration {
        let begin = Instant::now();
        loop {
            let alive = self.alive();
            if alive.is_empty() {
                return begin.elapsed();
            }
            assert!(begin.elapsed() < PATIENCE, "these are left behind: {alive:?}\n{}", self.logs());
            let pidfds = alive.iter().filter_map(|(pid, _)| pidfd_open(*pid, PidfdFlags::empty()).ok());
            pidfds.for_each(|pidfd| await_end(&pidfd));
        }
    }

    /// What the guardians wrote.
    fn logs(&self) -> String {
        let runs = fs::read_dir(self.folder.path()).expect("the folder is there").filter_map(Result::ok);
        runs.filter_map(|run| fs::read_to_string(run.path().join("guardian.log")).ok()).collect()
    }

    fn guardian_log(&self, run: &str) -> String {
        fs::read_to_string(self.path(run).join("guardian.log")).unwrap_or_default()
    }

    /// The lines of the journal: word, name, time in ns, and one thing more; it begins anew.
    fn take_journal(&self) -> Vec<(String, String, u64, String)> {
        let text = fs::read_to_string(self.path("journal")).unwrap_or_default();
        let _ = fs::remove_file(self.path("journal"));
        let line = |line: &str| {
            let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
            let [word, name, time, more] = <[String; 4]>::try_from(words).expect("a line has four words");
            (word, name, time.parse().expect("a time"), more)
        };
        text.lines().map(line).collect()
    }

    /// Sockets below the runtime folder.
    fn sockets(&self) -> Vec<PathBuf> {
        let mut folders = vec![self.path("runtime")];
        let mut sockets = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
                match entry.file_type().expect("it has a type") {
                    kind if kind.is_dir() => folders.push(entry.path()),
                    kind if kind.is_socket() => sockets.push(entry.path()),
                    _ => {}
                }
            }
        }
        sockets
    }
}

impl Coordinator {
    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Waits until its rig is ready.
    fn until_started(&mut self) {
        let mut line = String::new();
        while !line.contains("\"started\"") {
            line.clear();
            let read = self.stdout.read_line(&mut line).expect("its output can be read");
            let said = || fs::read_to_string(&self.stderr).unwrap_or_default();
            assert!(read > 0, "the rig did not start: {}", said());
        }
    }

    fn signal(&self, signal: Signal) {
        // One that was told to quit may have done so.
        let _ = kill_process(self.pid(), signal);
    }

    /// What it says until its end, and its exit code.
    fn end(mut self) -> (String, Option<i32>) {
        let mut said = String::new();
        while self.stdout.read_line(&mut said).expect("its output can be read") > 0 {}
        let status = self.child.wait().expect("it can be waited for");
        (said, status.code())
    }
}

/// The control groups of the rig of that coordinator.
fn cgroups_of(coordinator: Pid) -> Vec<Cgroup> {
    Cgroup::named(&Cgroup::name_of(&format!("{:x}-", coordinator.as_raw_nonzero())))
}

/// Waits for the end of a process, with patience.
fn await_end(pidfd: &OwnedFd) {
    let patience = rustix::event::Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
    // The rigs of this process hear of their children by a signal, which interrupts whoever waits.
    while poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&patience)) == Err(Errno::INTR) {}
}

/// Numbers that look random, the same for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn up_to(&mut self, longest: Duration) -> Duration {
        Duration::from_nanos(self.below(longest.as_nanos() as u64))
    }
}

/// Long enough for managers that can enter their safe state, on a machine that has much else to do.
const GOOD: &str = "safe_deadline_ms = 10000";
/// A journal hangs from its first timer on, which nothing tells of.
const UNTIL_HUNG: Duration = Duration::from_millis(100);

const BAD: &str = "safe_deadline_ms = 200";

/// Each manager that was set up and has a worker that returns has become safe, after the kill or before it; the times
/// from the kill, in ns, of those that did after it.
fn check_journal(scene: &Scene, rascal: &str, killed_ns: u64, run: &str) -> Vec<u64> {
    let journal = scene.take_journal();
    let safe: BTreeMap<_, _> =
        journal.iter().filter(|line| line.0 == "safe").map(|line| (&line.1, line.2)).collect();
    let mut times = Vec::new();
    for (_, name, up_ns, _) in journal.iter().filter(|line| line.0 == "up") {
        match safe.get(name) {
            Some(safe_ns) if *safe_ns > killed_ns => times.push(safe_ns - killed_ns.max(*up_ns)),
            Some(_) => {}
            None => assert!(
                name == "c" && rascal.contains("hung"),
                "{run}: `{name}` did not become safe: {journal:?}\n{}",
                scene.guardian_log(run)
            ),
        }
    }
    times
}

fn percentile(sorted: &[u64], percent: usize) -> Duration {
    Duration::from_nanos(
        sorted.get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1))).copied().unwrap_or(0),
    )
}

#[test]
fn whenever_the_coordinator_is_killed_every_manager_that_can_becomes_safe_and_nothing_is_left() {
    let scene = Scene::new("killed");
    let kills = if storm() == 1 { KILLS } else { storm() };
    let mut dice = Dice(std::env::var("TESTBED_SEED").map_or(4, |seed| seed.parse().expect("a number")));
    let (mut entries, mut ends, mut moments) = (Vec::new(), Vec::new(), [0; 3]);
    let mut start_up = Duration::from_millis(100);
    for number in 0..kills {
        let rascals = ["hung", "stopped", "forking", "forking-and-hung"];
        let moment = dice.below(3);
        moments[moment as usize] += 1;
        let rascal = match number % 10 {
            // One whose set-up hangs keeps the rig from starting.
            3 if moment == 0 && dice.below(2) == 0 => "hung-at-set-up",
            3 => rascals[dice.below(4) as usize],
            _ => "good",
        };
        let bound = if rascal.contains("hung") { BAD } else { GOOD };
        let config = scene.config(&[("a", "good", GOOD), ("b", "good", GOOD), ("c", rascal, bound)]);
        let run = format!("run-{number}");
        let begin = Instant::now();
        let mut coordinator = scene.start(&config, &run);
        match moment {
            // During the start, and shortly after.
            0 => thread::sleep(dice.up_to(start_up.mul_f64(1.2))),
            _ => {
                coordinator.until_started();
                start_up = begin.elapsed();
                thread::sleep(dice.up_to(Duration::from_millis(60)));
            }
        }
        if moment == 2 {
            coordinator.signal(Signal::TERM);
            thread::sleep(dice.up_to(Duration::from_millis(10)));
        }
        let killed_ns = monotonic_ns();
        coordinator.signal(Signal::KILL);
        let pid = coordinator.pid();
        let gone = scene.until_all_gone();
        ends.push((gone.as_nanos() as u64, rascal));
        if gone > Duration::from_secs(1) {
            println!("{run} took {gone:?}, with a manager that is {rascal}:\n{}", scene.guardian_log(&run));
        }
        coordinator.end();
        entries.extend(check_journal(&scene, rascal, killed_ns, &run));
        assert_eq!(scene.sockets(), Vec::<PathBuf>::new(), "{run}: {}", scene.guardian_log(&run));
        // Whoever removes one may have no memory left to be recognised by, and still be at it.
        eventually("an end of the control groups", || cgroups_of(pid).is_empty());
    }
    // The next start works at once, and quits in order.
    let mut coordinator = scene.start(&scene.config(&[("a", "good", GOOD)]), "last");
    coordinator.until_started();
    coordinator.signal(Signal::TERM);
    let (said, code) = coordinator.end();
    assert_eq!(code, Some(0), "{said}");
    scene.until_all_gone();
    tell(kills, moments, entries, ends);
}

fn tell(kills: u64, moments: [u32; 3], mut entries: Vec<u64>, mut ends: Vec<(u64, &str)>) {
    entries.sort_unstable();
    ends.sort_unstable();
    assert!(!entries.is_empty(), "nobody became safe after a kill");
    let (of_good, of_bad): (Vec<_>, Vec<_>) = ends.iter().partition(|(_, rascal)| *rascal == "good");
    let times = |ends: Vec<&(u64, &str)>| ends.into_iter().map(|(time, _)| *time).collect::<Vec<_>>();
    let (of_good, of_bad) = (times(of_good.iter().collect()), times(of_bad.iter().collect()));
    let spread = |sorted: &[u64]| [50, 99, 100].map(|percent| percentile(sorted, percent));
    figure(&format!("{kills} kills of the coordinator (starting, running, quitting)"), moments);
    figure(
        &format!("from a kill to the safe state, {} entries: p50, p99, longest", entries.len()),
        spread(&entries),
    );
    figure("from a kill until nothing is left: p50, p99, longest", spread(&of_good));
    figure("the same with a hung, stopped or forking manager", spread(&of_bad));
}

/// A rig that has started, and whose coordinator is then killed; what the guardian wrote.
fn check_kill(name: &str, managers: &[(&str, &str, &str)]) -> (Scene, String) {
    let scene = Scene::new(name);
    let mut coordinator = scene.start(&scene.config(managers), "run");
    coordinator.until_started();
    let hung = managers.iter().any(|(_, role, _)| role.contains("hung"));
    if hung {
        thread::sleep(UNTIL_HUNG);
    }
    coordinator.signal(Signal::KILL);
    scene.until_all_gone();
    coordinator.end();
    let log = scene.guardian_log("run");
    (scene, log)
}

#[test]
fn the_safe_program_of_a_manager_that_hangs_is_run_with_a_deadline_when_the_coordinator_was_killed() {
    let program = |script: &str| {
        format!("{BAD}\nsafe_program_deadline_ms = 300\nsafe_program = [\"/bin/sh\", \"-c\", \"{script}\"]")
    };
    let good = program("echo the stage is parked $WHERE with $LD_LIBRARY_PATH")
        + "\nenv = { WHERE = \"below\" }\nlibrary_path = [\"/tmp/vendor\"]";
    let endless = program("trap '' TERM; sleep 600");
    let (_scene, log) =
        check_kill("rescued", &[("a", "hung", &good), ("b", "hung", &endless), ("c", "hung", BAD)]);
    assert!(log.contains("the stage is parked below with /tmp/vendor"), "{log}");
    assert!(log.contains("a: its safe program ended with exit status: 0"), "{log}");
    assert!(log.contains("b: its safe program took too long, and was killed"), "{log}");
    assert!(!log.contains("c: its safe program"), "{log}");
}

#[test]
fn a_rig_that_is_started_while_the_guardian_of_a_killed_one_is_at_work_is_left_alone() {
    let scene = Scene::new("again");
    let mut first = scene.start(&scene.config(&[("a", "good", GOOD), ("b", "hung", BAD)]), "first");
    first.until_started();
    thread::sleep(UNTIL_HUNG);
    first.signal(Signal::KILL);
    // Its manager that hangs keeps the guardian busy for a while after that.
    first.end();
    let mut second = scene.start(&scene.config(&[("a", "good", GOOD)]), "second");
    second.until_started();
    eventually("the end of the first guardian's work", || {
        scene.guardian_log("first").contains("nothing is left")
    });
    let sockets = scene.sockets();
    assert_eq!(sockets.len(), 1, "{}", scene.guardian_log("first"));
    UnixStream::connect(&sockets[0]).expect("the second rig listens");
    second.signal(Signal::TERM);
    let (said, code) = second.end();
    assert_eq!(code, Some(0), "{said}");
    scene.until_all_gone();
    assert!(scene.sockets().is_empty());
}

#[test]
fn a_stopped_manager_goes_on_when_the_coordinator_was_killed_and_becomes_safe() {
    let (scene, log) = check_kill("stopped", &[("a", "stopped", GOOD)]);
    let journal = scene.take_journal();
    assert!(journal.iter().any(|line| line.0 == "safe"), "{journal:?}\n{log}");
}

#[test]
fn a_rig_whose_guardian_is_killed_quits_in_order_and_says_so() {
    let scene = Scene::new("unguarded");
    let mut coordinator = scene.start(&scene.config(&[("a", "good", GOOD), ("b", "good", GOOD)]), "run");
    coordinator.until_started();
    let alive = scene.alive();
    let guardians: Vec<_> = alive.iter().filter(|(_, line)| line.starts_with("labrig:guardian")).collect();
    let [(guardian, _)] = guardians[..] else { panic!("one guardian was expected: {alive:?}") };
    for signal in [Signal::TERM, Signal::INT, Signal::HUP, Signal::KILL] {
        // It heeds but the last.
        kill_process(*guardian, signal).expect("it lives");
    }
    let (said, code) = coordinator.end();
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("the guardian is gone: signal 9 (SIGKILL)"), "{said}");
    scene.until_all_gone();
    let journal = scene.take_journal();
    assert_eq!(journal.iter().filter(|line| line.0 == "safe").count(), 2, "{journal:?}");
}

#[test]
fn what_a_manager_has_let_go_ends_with_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let rig = launch(&format!(
        "[managers.a]\nkind = \"journal\"\nenv = {{ {SCENE} = \"let-go-{}\" }}\n[managers.a.config]\nfile = {:?}\nrole = \"forking\"",
        std::process::id(),
        folder.path().join("journal")
    ));
    let scene = Scene { folder, name: format!("let-go-{}", std::process::id()) };
    let is_stray = |(_, line): &(Pid, String)| line.contains("sleep 600");
    let strays = || scene.alive().iter().filter(|it| is_stray(it)).count();
    assert_eq!(strays(), 1, "{:?}", scene.alive());
    kill_process(pid_of(&rig, "a"), Signal::KILL).expect("it lives");
    eventually("the end of what it let go", || strays() == 0);
    assert!(!rig.shutdown().is_clean);
}

#[test]
fn a_manager_has_its_priority_and_its_processors() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = |more: &str| {
        let file = folder.path().join("journal");
        format!("[managers.a]\nkind = \"journal\"\n{more}\n[managers.a.config]\nfile = {file:?}")
    };
    let rig = launch(&config("nice = 5\ncpus = [0]"));
    let status = fs::read_to_string(format!("/proc/{}/status", pid_of(&rig, "a").as_raw_nonzero()));
    let status = status.expect("it lives");
    assert!(status.lines().any(|line| line == "Cpus_allowed_list:\t0"), "{status}");
    let nice = rustix::process::getpriority_process(Some(pid_of(&rig, "a"))).expect("it lives");
    assert_eq!(nice, 5);
    assert!(rig.shutdown().is_clean);
    let error = crate::support::fail_to_launch(&config("cpus = [0, 999]"));
    assert!(error.to_string().contains("999"), "{error}");
}

//! The verbs for a running rig: each against one, found by its name, its path, or because it is the only one.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::{LONG_LEASE_MS, program, project, stderr, stdout};

/// A rig that runs in a process of its own, and the folder in which it and its clients work.
pub(super) struct Running {
    folder: PathBuf,
    coordinator: Child,
}

impl Running {
    /// Starts a rig and waits until it has begun.
    pub(super) fn start(folder: &Path, name: &str, config: &str) -> Self {
        Self::with_lease(folder, name, LONG_LEASE_MS, config)
    }

    /// As [`start`](Self::start), with that time after which the coordinator counts as frozen.
    pub(super) fn with_lease(folder: &Path, name: &str, lease_ms: &str, config: &str) -> Self {
        let path = folder.join(format!("{name}.toml"));
        let rig = format!("schema = 1\n[rig]\nname = \"{name}\"\nlease_ms = {lease_ms}\n");
        fs::write(&path, rig + config).expect("a config");
        let mut coordinator = Command::new(program())
            .args([
                "run",
                "--json",
                "--run-dir",
                &format!("run-{name}"),
                "--state-dir",
                &format!("state-{name}"),
            ])
            .args(["--runtime-dir", "runtime"])
            .arg(&path)
            .current_dir(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program runs");
        let first = first_line(coordinator.stdout.take().expect("it is a pipe"));
        assert!(first.contains("\"started\""), "{first}");
        Self { folder: folder.to_owned(), coordinator }
    }

    /// Runs a verb against it.
    fn verb(&self, arguments: &[&str]) -> Output {
        verb(&self.folder, arguments)
    }

    /// Runs a verb against it that ends with this code; gives what it printed on standard output.
    pub(super) fn check_verb(&self, arguments: &[&str], code: i32) -> String {
        let output = self.verb(arguments);
        let printed = stdout(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {printed}{}", stderr(&output));
        printed
    }

    pub(super) fn check_json(&self, arguments: &[&str], code: i32) -> Value {
        let printed = self.check_verb(&[arguments, &["--json"]].concat(), code);
        let last = printed.lines().last().unwrap_or_default();
        serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {printed}"))
    }

    /// The coordinator's process.
    pub(super) fn pid(&self) -> u32 {
        self.coordinator.id()
    }

    pub(super) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.coordinator.id() as i32).expect("a process has a number");
        kill_process(pid, signal).expect("it lives");
    }

    pub(super) fn quit(mut self) {
        self.check_verb(&["quit", "--rig", &self.rig()], 0);
        assert!(self.coordinator.wait().expect("it ends").success());
    }

    /// Its name.
    fn rig(&self) -> String {
        let configs = fs::read_dir(&self.folder).expect("a folder").flatten().map(|entry| entry.path());
        let toml = configs.filter(|path| path.extension().is_some_and(|it| it == "toml"));
        let names: Vec<_> =
            toml.map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned()).collect();
        assert_eq!(names.len(), 1, "say which rig");
        names.concat()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A test that has failed leaves nothing behind; one that has not left nothing to kill.
        let _ = self.coordinator.kill();
        let _ = self.coordinator.wait();
    }
}

fn verb(folder: &Path, arguments: &[&str]) -> Output {
    let output = Command::new(program())
        .args(arguments)
        .args(["--runtime-dir", "runtime"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .output();
    output.expect("the program runs")
}

/// The first line that comes; what follows is read and thrown away, so that nobody waits for room.
fn first_line(out: ChildStdout) -> String {
    let mut lines = BufReader::new(out).lines();
    let first = lines.next().expect("a line").expect("text");
    std::thread::spawn(move || lines.for_each(drop));
    first
}

const MOTORS: &str = "[managers.x]\nkind = \"motor.sim\"\n[managers.y]\nkind = \"motor.sim\"\n\
                      [managers.camera]\nkind = \"camera.sim\"\n[streams.video]\nproducer = \"camera\"";
const SLOW: &str = "[managers.x]\nkind = \"motor.sim\"\nconfig = { speed_um_per_s = 1.0 }";

fn work() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

#[test]
fn a_command_is_called_by_name_with_its_fields_as_words_or_json() {
    let work = work();
    let rig = Running::start(work.path(), "lab", MOTORS);
    let reply = rig.check_verb(&["call", "MoveTo", "height_um=12", "--to", "x"], 0);
    let reply: Value = serde_json::from_str(&reply).expect("the reply alone");
    assert_eq!(reply["height_um"], 12.0);
    let told = rig.check_json(&["call", "MoveTo", r#"{"height_um": 3.5}"#, "--to", "y", "--rig", "lab"], 0);
    assert_eq!(
        (&told["event"], &told["reply"]["height_um"], &told["manager"]),
        (&"done".into(), &3.5.into(), &"y".into())
    );
    let set = rig.check_json(&["call", "SetExposure", "exposure_ms=2.5"], 0);
    assert_eq!(set["reply"]["exposure_ms"], 2.5);
    rig.quit();
}

#[test]
fn signals_are_shown_with_their_units_and_ages() {
    let work = work();
    let rig = Running::start(work.path(), "lab", MOTORS);
    rig.check_verb(&["call", "MoveTo", "height_um=12.5", "--to", "x"], 0);
    let table = rig.check_verb(&["signals"], 0);
    let line = |name: &str| table.lines().find(|line| line.starts_with(name)).expect("it is listed");
    let words: Vec<_> = line("x.height_um").split_whitespace().collect();
    assert_eq!(words[..3], ["x.height_um", "12.5", "um"], "{table}");
    assert!(line("x.is_moving").contains("false") && line("camera.rate_hz").contains("Hz"), "{table}");
    let told = rig.check_json(&["signals"], 0);
    let signals = told["signals"].as_array().expect("a list");
    let height = signals.iter().find(|it| it["name"] == "x.height_um").expect("it is listed");
    assert_eq!(
        (&height["value"], &height["unit"], &height["is_stale"]),
        (&12.5.into(), &"um".into(), &false.into())
    );
    assert!(height["age_ms"].is_f64() && height["sequence"].as_u64() > Some(1), "{height}");
    let config = ["commands", "lab.toml", "--signals"];
    let output = Command::new(program()).args(config).current_dir(work.path()).output().expect("it runs");
    let listed = stdout(&output);
    assert!(listed.contains("y.height_um") && listed.contains("Height above the stage."), "{listed}");
    rig.quit();
}

#[test]
fn the_latest_rows_are_shown_under_their_names_and_units() {
    let work = work();
    let config = "[managers.camera]\nkind = \"camera.sim\"\n\
        [managers.tracker]\nkind = \"tracker\"\n[streams.video]\nproducer = \"camera\"\n\
        readers = { tracker = \"lossless\" }\n";
    let rig = Running::start(work.path(), "rows", config);
    let rows = |told: &Value| told["rows"].as_array().map_or(0, Vec::len);
    let ask = || rig.check_json(&["rows", "tracker.tracks", "--latest", "3"], 0);
    let told = std::iter::repeat_with(ask).find(|told| rows(told) == 3).expect("the tracker finds some");
    let last = &told["rows"][2];
    assert_eq!((&last["number"], told["generation"].as_u64()), (&told["appended"], Some(1)), "{told}");
    let text = rig.check_verb(&["rows", "tracker.tracks"], 0);
    assert!(text.lines().count() == 11 && text.contains("x_px [px]"), "{text}");
    let refused = stderr(&rig.verb(&["rows", "tracker.trakcs"]));
    assert!(refused.contains("known there: [\"tracker.tracks\"]"), "{refused}");
    rig.quit();
}

#[test]
fn what_managers_share_is_listed_with_its_columns_and_units() {
    let work = work();
    std::fs::write(
        work.path().join("tracking.toml"),
        "schema = 1\n[rig]\nname = \"tracking\"\n[managers.tracker]\nkind = \"tracker\"\ninputs = { video = \"\" }\n",
    )
    .expect("a config");
    let listed = |more: &[&str]| {
        let arguments = [&["commands", "tracking.toml", "--shared"], more].concat();
        let output = Command::new(program()).args(arguments).current_dir(work.path()).output();
        stdout(&output.expect("it runs"))
    };
    let text = listed(&[]);
    assert!(text.starts_with("tracker.tracks  RowRing<Track>, 65536 rows"), "{text}");
    assert!(text.contains("  x_px [px]  Centroid, from the centre of the first column."), "{text}");
    let told: serde_json::Value = serde_json::from_str(&listed(&["--json"])).expect("JSON");
    assert_eq!(
        (&told[0]["name"], &told[0]["columns"][1]["unit"], &told[0]["capacity"]),
        (&"tracker.tracks".into(), &"px".into(), &65536.into())
    );
}

#[test]
fn what_is_not_done_says_why_and_how_it_is_done_and_chooses_the_exit_code() {
    let work = work();
    let rig = Running::start(work.path(), "lab", MOTORS);
    for (arguments, code, parts) in [
        (&["call", "MoveTwo"][..], 2, &["knows a command `MoveTwo`", "help: did you mean `MoveTo`?"][..]),
        (
            &["call", "MoveTo", "height=3", "--to", "x"],
            2,
            &["unknown key `height` in `MoveTo`", "lacks the key `height_um`"],
        ),
        (&["call", "MoveTo", "height_um=high", "--to", "x"], 2, &["must be a number, not the text"]),
        (
            &["call", "SetExposure", "exposure_ms=0"],
            2,
            &["below its minimum of 0.001 ms", "help: write 0.001 to 60000 ms"],
        ),
        (
            &["call", "MoveTo", "height_um=3"],
            2,
            &["needs an address: `x` and `y` serve it", "help: name one of them: `--to x`"],
        ),
        (&["call", "SetAcquisition", "on=true"], 2, &["is a broadcast command", "help: use `broadcast`"]),
        (&["call", "MoveTo", "height_um=3", "--to", "z"], 2, &["no manager is called `z`"]),
        (
            &["call", "MoveTo", "height_um=900", "--to", "x"],
            1,
            &["height 900 µm is outside the travel of 0 to 200 µm"],
        ),
        (&["call", "MoveTo", "{"], 64, &["no JSON object"]),
    ] {
        let output = rig.verb(arguments);
        let (text, printed) = (stderr(&output), stdout(&output));
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        assert!(printed.is_empty(), "{printed}");
        parts.iter().for_each(|part| assert!(text.contains(part), "`{part}` is not in {text}"));
    }
    let told = rig.check_json(&["call", "MoveTo", "height_um=900", "--to", "x"], 1);
    assert_eq!((&told["event"], &told["error"]["error_type"]), (&"error".into(), &"MotorError".into()));
    rig.quit();
}

#[test]
fn a_send_says_that_it_was_sent_and_a_broadcast_has_a_line_for_each() {
    let work = work();
    let rig = Running::start(work.path(), "lab", MOTORS);
    assert_eq!(rig.check_verb(&["send", "Home", "--to", "x"], 0), "sent\n");
    assert_eq!(rig.check_verb(&["broadcast", "SetAcquisition", "on=false"], 0), "camera         done\n");
    let told = rig.check_json(&["broadcast", "SetAcquisition", "on=true"], 0);
    assert_eq!((&told["is_all_done"], &told["outcomes"][0]["manager"]), (&true.into(), &"camera".into()));
    rig.quit();
}

#[test]
fn status_commands_and_ping_show_the_running_rig() {
    let work = work();
    let rig = Running::start(work.path(), "lab", MOTORS);
    let table = rig.check_verb(&["status"], 0);
    for part in ["lab  ", "camera.sim", "motor.sim", "ready", "video ", "calls: "] {
        assert!(table.contains(part), "`{part}` is not in {table}");
    }
    assert!(!table.contains('\x1b'), "{table}");
    let told = rig.check_json(&["status"], 0);
    assert_eq!((&told["event"], &told["status"]["rig"]), (&"status".into(), &"lab".into()));
    let commands = rig.check_verb(&["commands", "--rig", "lab"], 0);
    let row = commands.lines().find(|line| line.starts_with("MoveTo")).expect("a row");
    assert!(row.contains("x, y") && row.contains("height_um: f64"), "{row}");
    assert!(rig.check_verb(&["ping"], 0).starts_with("the coordinator answered in "));
    assert!(rig.check_json(&["ping", "x"], 0)["round_trip_us"].is_u64());
    rig.quit();
}

#[test]
fn progress_is_told_and_a_client_that_is_killed_takes_its_call_back() {
    let work = work();
    let rig = Running::start(work.path(), "lab", SLOW);
    let mut call = Command::new(program())
        .args(["call", "MoveTo", "height_um=200", "--deadline", "10m", "--json", "--runtime-dir", "runtime"])
        .current_dir(work.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let first = first_line(call.stdout.take().expect("a pipe"));
    let progress: Value = serde_json::from_str(&first).expect("JSON");
    assert_eq!(progress["event"], "progress", "{progress}");
    call.kill().expect("it lives");
    call.wait().expect("it ends");
    // The motor is at nothing any more: the next command is answered at once.
    let told = rig.check_json(&["call", "WhereIs", "--deadline", "60"], 0);
    assert!(told["reply"]["height_um"].as_f64().is_some_and(|height| height < 200.0), "{told}");
    let status = rig.check_json(&["status"], 0);
    assert_eq!(status["status"]["totals"]["cancelled"], 1, "{status}");
    rig.quit();
}

#[test]
fn everything_is_stopped_armed_and_restarted_by_a_verb() {
    let work = work();
    let rig = Running::start(work.path(), "lab", MOTORS);
    let lines = rig.check_verb(&["stop"], 0);
    for manager in ["camera", "x", "y"] {
        assert!(lines.lines().any(|line| line.starts_with(manager) && line.contains(" safe in ")), "{lines}");
    }
    let stopped = rig.check_json(&["stop"], 0);
    assert_eq!((&stopped["is_safe"], &stopped["managers"][1]["manager"]), (&true.into(), &"x".into()));
    assert!(rig.check_verb(&["status"], 0).contains("safe"));
    assert_eq!(rig.check_verb(&["restart", "x"], 0), "x is ready again: life 2\n");
    let armed = rig.check_json(&["arm", "x"], 0);
    assert_eq!((&armed["manager"], &armed["was_inactive"]), (&"x".into(), &false.into()));
    assert!(rig.check_verb(&["status"], 0).contains("life 2"));
    for verb in ["arm", "restart"] {
        let output = rig.verb(&[verb, "z"]);
        assert_ne!(output.status.code(), Some(0));
        assert!(stderr(&output).contains("no manager is called `z`"), "{}", stderr(&output));
    }
    rig.quit();
}

#[test]
fn whoever_watches_sees_endings_and_the_end() {
    let work = work();
    let mut rig = Running::start(work.path(), "lab", MOTORS);
    let mut watch = Command::new(program())
        .args(["watch", "--json", "--runtime-dir", "runtime"])
        .current_dir(work.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut lines = BufReader::new(watch.stdout.take().expect("a pipe")).lines();
    let mut next =
        || -> Value { serde_json::from_str(&lines.next().expect("a line").expect("text")).expect("JSON") };
    // Until it watches, nothing is told: calls go on until the first is.
    let ending = std::thread::scope(|threads| {
        let told = threads.spawn(&mut next);
        while !told.is_finished() {
            rig.check_verb(&["call", "WhereIs", "--to", "x"], 0);
        }
        told.join().expect("a line came")
    });
    assert_eq!(
        ["event", "command", "manager", "ending"].map(|key| &ending[key]),
        ["ending", "WhereIs", "x", "done"]
    );
    assert!(ending["at_ns"].as_u64() > Some(0) && ending["seq"].is_u64(), "{ending}");
    rig.check_verb(&["quit"], 0);
    let last = std::iter::repeat_with(next).find(|event| event["has_ended"] == true).expect("the end");
    assert_eq!(last["is_clean"], true);
    assert!(watch.wait().expect("it ends").success());
    assert!(rig.coordinator.wait().expect("it ends").success());
}

#[test]
fn a_rig_is_found_by_name_by_path_or_because_it_is_the_only_one() {
    let work = work();
    let none = verb(work.path(), &["status"]);
    assert_eq!(none.status.code(), Some(1));
    assert!(
        stderr(&none).contains("no rig runs") && stderr(&none).contains("help: start one"),
        "{}",
        stderr(&none)
    );
    let lab = Running::start(work.path(), "lab", MOTORS);
    assert!(lab.check_verb(&["status"], 0).starts_with("lab  "));
    let mut attic = Running::start(work.path(), "attic", MOTORS);
    let several = lab.verb(&["status"]);
    let text = stderr(&several);
    assert_eq!(several.status.code(), Some(1));
    for part in ["several rigs run", "attic  ", "lab  ", "runtime/labrig/lab-"] {
        assert!(text.contains(part), "`{part}` is not in {text}");
    }
    assert!(lab.check_verb(&["status", "--rig", "attic"], 0).starts_with("attic  "));
    let path = text.lines().find_map(|line| line.trim().strip_prefix("lab ")).expect("its path").trim();
    assert!(lab.check_verb(&["status", "--rig", path], 0).starts_with("lab  "));
    let folder = Path::new(path).parent().expect("a folder").to_string_lossy().into_owned();
    assert!(lab.check_verb(&["status", "--rig", &folder], 0).starts_with("lab  "));
    let unknown = lab.verb(&["status", "--rig", "cellar"]);
    assert!(stderr(&unknown).contains("no rig called `cellar` runs"), "{}", stderr(&unknown));
    lab.check_verb(&["quit", "--rig", "attic"], 0);
    assert!(attic.coordinator.wait().expect("it ends").success());
    let mut lab = lab;
    lab.check_verb(&["quit"], 0);
    assert!(lab.coordinator.wait().expect("it ends").success());
}

#[test]
fn a_rig_that_is_frozen_is_given_up_with_a_word() {
    let work = work();
    let rig = Running::start(work.path(), "lab", MOTORS);
    rig.signal(Signal::STOP);
    let output = rig.verb(&["status"]);
    rig.signal(Signal::CONT);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("has not answered within") && stderr(&output).contains("frozen"));
    rig.quit();
}

/// A program run as another user, when this one may do that and the other may run it.
fn as_nobody(arguments: &[&str]) -> Option<Output> {
    let run = |arguments: &[&str]| {
        let nobody = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];
        Command::new("setpriv").args(nobody).arg(program()).args(arguments).current_dir("/").output()
    };
    let may = run(&["--version"]).is_ok_and(|output| output.status.success());
    may.then(|| run(arguments).expect("it ran just now"))
}

#[test]
fn another_user_is_told_that_the_rig_is_not_theirs_even_where_the_socket_can_be_reached() {
    let work = work();
    let rig = Running::start(work.path(), "lab", MOTORS);
    let rigs = work.path().join("runtime/labrig");
    let folder = fs::read_dir(&rigs).expect("a folder").flatten().next().expect("a rig").path();
    let socket = folder.join("socket");
    // As if somebody had been careless.
    for open in [work.path(), &work.path().join("runtime"), &rigs, &folder, &socket] {
        fs::set_permissions(open, fs::Permissions::from_mode(0o777)).expect("it is ours");
    }
    let socket = socket.to_string_lossy().into_owned();
    if let Some(output) = as_nobody(&["status", "--rig", &socket]) {
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(
            stderr(&output).contains("this rig belongs to user 0, not to user 65534"),
            "{}",
            stderr(&output)
        );
    } else {
        println!("skipped: this user cannot run the program as another one");
    }
    rig.check_verb(&["status"], 0);
    rig.quit();
}

#[test]
fn a_socket_that_a_crash_left_is_no_rig_and_the_next_start_takes_it_over() {
    let work = work();
    let mut rig = Running::start(work.path(), "lab", MOTORS);
    rig.coordinator.kill().expect("it lives");
    rig.coordinator.wait().expect("it ends");
    let none = verb(work.path(), &["status"]);
    assert!(stderr(&none).contains("no rig runs"), "{}", stderr(&none));
    let again = Running::start(work.path(), "lab", MOTORS);
    again.quit();
    let left = fs::read_dir(work.path().join("runtime/labrig")).expect("a folder").count();
    assert_eq!(left, 0);
}

#[test]
fn a_rig_without_a_runtime_folder_does_not_start_and_says_what_to_do() {
    let work = work();
    let long = format!("{}/{}", work.path().display(), "x".repeat(100));
    let output = Command::new(program())
        .args(["run", "--runtime-dir", &long, "--state-dir", "state", "--run-dir", "run"])
        .arg(project("config/idle.toml"))
        .current_dir(work.path())
        .output()
        .expect("the program runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("107 is the limit") && stderr(&output).contains("`--runtime-dir`"));
}

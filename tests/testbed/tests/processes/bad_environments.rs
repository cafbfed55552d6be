//! What is missing or broken around a rig is told before anything is started, all of it at once: whose it is, what
//! it is, and what to do.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::restarts::{kill, status_of};
use crate::support::{PATIENCE, end_cleanly, eventually, fail_to_launch, launch, testbed, topology};
use labrig::config::{Code, FaultKind, Topology};
use labrig::wire::control::{self, ManagerWord};
use labrig::wire::envelope::PROTOCOL_VERSION;
use labrig::{LaunchError, Rig};
use labrig_testbed::commands::*;

/// Launches what must be refused, and gives the report.
fn refusal(topology: Topology) -> labrig::config::Report {
    match Rig::launch(topology) {
        Err(LaunchError::Refused(report)) => report,
        other => panic!("{:?}", other.map(drop)),
    }
}

/// One worker with those keys is refused for one reason, which names it.
fn check_refused(keys: &str, code: Code, says: &[&str]) {
    let report = refusal(topology(&format!("[managers.left]\nkind = \"worker\"\n{keys}")));
    let codes: Vec<_> =
        report.faults().iter().map(|fault| fault.code).filter(|it| *it != Code::UnknownKind).collect();
    assert_eq!(codes, [code], "{report}");
    let text = report.to_string();
    for part in says.iter().chain(&["`left`", "help:"]) {
        assert!(text.contains(part), "`{part}` is not in {text}");
    }
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

/// A file with that content and those permissions.
fn file(folder: &Path, name: &str, content: impl AsRef<[u8]>, mode: u32) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, content).expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its permissions");
    path
}

fn program(path: &Path) -> String {
    format!("program = {path:?}\n")
}

/// The testbed's program as if it were made for another machine: 183 is ARM with 64 bits.
fn foreign(folder: &Path) -> PathBuf {
    let mut bytes = fs::read(testbed()).expect("a program");
    bytes[18..20].copy_from_slice(&if cfg!(target_arch = "aarch64") { 62_u16 } else { 183 }.to_le_bytes());
    file(folder, "foreign", bytes, 0o755)
}

#[test]
fn a_program_that_cannot_be_started_is_named_with_the_reason() {
    let folder = folder();
    let check = |path: &Path, why: &str| {
        check_refused(&program(path), Code::ProgramNotStarted, &[why, path.to_str().expect("a path")]);
    };
    check(&folder.path().join("bin/nothing"), "there is no such file");
    check(folder.path(), "it is a folder");
    check(&file(folder.path(), "plain", "#!/bin/sh\n", 0o644), "it is not executable");
    check(&file(folder.path(), "empty", "", 0o755), "the file is empty");
    check(&file(folder.path(), "text", "hello", 0o755), "neither a program nor a script");
    check(
        &file(folder.path(), "script", "#!/no/such/python\n", 0o755),
        "`/no/such/python`, which is not there",
    );
    check(&foreign(folder.path()), "and this machine is ");
    let link = folder.path().join("link");
    std::os::unix::fs::symlink("gone", &link).expect("a link");
    check(&link, "a link to a file that is not there");
}

#[test]
fn a_program_that_is_no_labrig_program_is_told_from_one_that_says_nothing_in_time() {
    let folder = folder();
    check_refused(
        "program = \"/bin/true\"\n",
        Code::ProgramSilent,
        &["it ended without a word", "labrig::main"],
    );
    let sleeper = file(folder.path(), "sleeper", "#!/bin/sh\nexec sleep 3600\n", 0o755);
    let rig = format!("start_deadline_ms = 300\n[managers.left]\nkind = \"worker\"\n{}", program(&sleeper));
    let text = refusal(topology(&rig)).to_string();
    assert!(text.contains("L202") && text.contains("no answer within 300ms"), "{text}");
    let chatter = file(folder.path(), "chatter", "#!/bin/sh\necho '{}' >&0\n", 0o755);
    check_refused(&program(&chatter), Code::ProgramSilent, &["cannot be read", "same version of labrig"]);
}

#[test]
fn a_program_of_another_version_is_told_with_both_versions() {
    let folder = folder();
    let said = "#!/bin/sh\necho '{\"protocol\":99,\"version\":\"9.8.7\"}' >&0\n";
    let other = file(folder.path(), "other", said, 0o755);
    let ours = format!("(labrig {})", env!("CARGO_PKG_VERSION"));
    check_refused(&program(&other), Code::ProgramVersion, &["speaks protocol 99 (labrig 9.8.7)", &ours]);
    let protocol = format!("protocol {PROTOCOL_VERSION} (labrig 9.8.7)");
    let said = format!("#!/bin/sh\necho '{{\"protocol\":{PROTOCOL_VERSION},\"version\":\"9.8.7\"}}' >&0\n");
    let other = file(folder.path(), "newer", said, 0o755);
    check_refused(&program(&other), Code::ProgramVersion, &[&protocol, &ours]);
}

/// The testbed's program behind a script that, when it is to play a manager and `hello` is there, says that instead.
fn impostor(folder: &Path, hello: &[u8]) -> String {
    let said = file(folder, "hello", hello, 0o644);
    let script = format!(
        "#!/bin/sh\ncase $LABRIG_ROLE in manager*) if [ -e '{0}' ]; then cat '{0}' >&0; exec sleep 3600; fi;; esac\nexec '{1}'\n",
        said.display(),
        testbed().display()
    );
    program(&file(folder, "impostor", script, 0o755))
}

fn hello(version: &str) -> Vec<u8> {
    control::seal(&ManagerWord::Hello { version: version.to_owned() })
}

#[test]
fn a_manager_of_another_version_than_its_program_said_is_refused_with_both_versions() {
    let other_protocol = {
        let mut bytes = hello(env!("CARGO_PKG_VERSION"));
        bytes[0] = 99;
        bytes
    };
    let (labrig, protocol) = (env!("CARGO_PKG_VERSION"), PROTOCOL_VERSION);
    for (said, theirs, ours) in [
        (hello("9.8.7"), "labrig 9.8.7".to_owned(), format!("labrig {labrig}")),
        (other_protocol, "protocol 99".to_owned(), format!("protocol {protocol} (labrig {labrig})")),
    ] {
        let folder = folder();
        // Also one that is optional: its program is wrong, not its device.
        for more in ["", "optional = true\n"] {
            let keys = format!("{}{more}", impostor(folder.path(), &said));
            let error = fail_to_launch(&format!(
                "quit_deadline_ms = 100\n[managers.left]\nkind = \"worker\"\n{keys}"
            ));
            let text = error.to_string();
            assert!(matches!(error, LaunchError::VersionDiffers { .. }), "{text}");
            assert!(text.contains(&format!("`left` speaks {theirs}, this coordinator {ours}")), "{text}");
        }
    }
}

#[test]
fn a_manager_that_comes_back_as_another_version_has_failed_and_the_reason_says_so() {
    let folder = folder();
    let keys = impostor(folder.path(), &hello("9.8.7"));
    let (shown, hidden) = (folder.path().join("hello"), folder.path().join("hidden"));
    fs::rename(&shown, &hidden).expect("it is there");
    let rig = launch(&format!(
        "[managers.left]\nkind = \"worker\"\nrestart_policy = \"on-failure\"\nrestart_delay_ms = 1\nmax_restarts = 1\n{keys}"
    ));
    fs::rename(hidden, shown).expect("it is there");
    kill(&rig, "left");
    eventually("the failure", || status_of(&rig, "left").state == "failed");
    let summary = rig.shutdown();
    let because = summary.deaths.last().and_then(|death| death.because.clone()).unwrap_or_default();
    assert!(because.contains("`left` speaks labrig 9.8.7, this coordinator labrig"), "{summary:#?}");
}

/// As a user without the right to give priorities, the rig is refused before anything is started; what else is wrong
/// stands in the same report.
#[test]
fn a_priority_that_the_user_may_not_give_is_told_among_the_others() {
    let folder = folder();
    let config = format!(
        "schema = 1\n[rig]\nname = \"own\"\n[managers.left]\nkind = \"worker\"\nprogram = {0:?}\nnice = -7\n\
         [managers.right]\nkind = \"worker\"\nprogram = {0:?}\nworking_dir = \"/nowhere\"\n\
         [managers.third]\nkind = \"worker\"\nprogram = {0:?}\nnice = 19\n",
        testbed()
    );
    fs::write(folder.path().join("rig.toml"), config).expect("a config");
    let mut check = match rustix::process::geteuid().is_root() {
        true => {
            let mut without = Command::new("setpriv");
            without.args(["--bounding-set=-sys_nice", "--inh-caps=-sys_nice"]).arg(testbed());
            without
        }
        false => Command::new(testbed()),
    };
    let output = check.args(["check", "rig.toml"]).current_dir(folder.path()).output().expect("it runs");
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(!output.status.success(), "{text}");
    for part in
        ["error[L210]", "`left` cannot have the priority `nice = -7`", "help: write 0 or more", "error[L205]"]
    {
        assert!(text.contains(part), "`{part}` is not in {text}");
    }
    assert!(!text.contains("`third`"), "{text}");
}

#[test]
fn a_folder_that_a_manager_cannot_run_in_is_named_and_not_blamed_on_its_program() {
    let folder = folder();
    let nothing = folder.path().join("nothing");
    let copy = folder.path().join("testbed");
    fs::copy(testbed(), &copy).expect("a program");
    let keys = format!("{}working_dir = {nothing:?}\n", program(&copy));
    check_refused(&keys, Code::WorkingDir, &["`left` cannot run in", "it is not there"]);
    let keys = format!("working_dir = {copy:?}\n");
    check_refused(&keys, Code::WorkingDir, &["it is not a folder"]);
}

#[test]
fn processors_and_safe_programs_that_are_not_there_are_found_before_they_are_needed() {
    check_refused(
        "cpus = [0, 100000]\n",
        Code::NoSuchProcessor,
        &["`100000`", "no such processor", "this machine has 0"],
    );
    let missing = "safe_program = [\"./no-such-shutter\", \"--close\"]\n";
    check_refused(missing, Code::SafeProgramUnfit, &["no-such-shutter", "there is no such file"]);
    let nowhere = "safe_program = [\"labrig-no-such-program\"]\n";
    check_refused(nowhere, Code::SafeProgramUnfit, &["no folder of PATH has it"]);
    end_cleanly(launch("[managers.left]\nkind = \"worker\"\ncpus = [0]\nsafe_program = [\"true\"]\n"));
}

#[test]
fn everything_that_is_bad_is_told_in_one_report() {
    let folder = folder();
    let in_the_way = file(folder.path(), "in-the-way", "", 0o644);
    let worker = |name: &str, keys: &str| format!("[managers.{name}]\nkind = \"worker\"\n{keys}");
    let config = [
        worker("left", "program = \"/nowhere/rig\"\n"),
        worker("middle", &program(&foreign(folder.path()))),
        worker("right", &program(&file(folder.path(), "plain", "#!/bin/sh\n", 0o644))),
        worker("silent", "program = \"/bin/true\"\n"),
        worker("lost", "working_dir = \"/nowhere\"\nenvironment = \"vendor\"\n"),
    ];
    let rig = topology(&config.concat()).state_dir(in_the_way.join("state")).run_dir(in_the_way.join("run"));
    let report = refusal(rig);
    let count = |code: Code| report.faults().iter().filter(|fault| fault.code == code).count();
    assert_eq!(count(Code::ProgramNotStarted), 3, "{report}");
    assert_eq!(count(Code::ProgramSilent), 1, "{report}");
    assert_eq!((count(Code::WorkingDir), count(Code::FolderUnusable)), (1, 2), "{report}");
    assert_eq!(count(Code::UnknownEnvironment), 1, "{report}");
    let text = report.to_string();
    for part in
        ["`left`", "`middle`", "`right`", "`silent`", "`lost`", "state folder", "run folder", "--run-dir"]
    {
        assert!(text.contains(part), "`{part}` is not in {text}");
    }
    assert!(report.faults().iter().all(|fault| fault.hint.is_some()), "{report}");
    assert_eq!(Code::FolderUnusable.kind(), FaultKind::Surroundings);
}

#[test]
fn the_state_folder_of_a_rig_that_was_killed_is_taken_over_and_that_is_said() {
    let (state, run) = (folder(), folder());
    let config = run.path().join("rig.toml");
    let rig = format!(
        "schema = 1\n[rig]\nname = \"first\"\n[managers.left]\nkind = \"worker\"\nprogram = {:?}\n",
        testbed()
    );
    fs::write(&config, rig).expect("a config");
    let mut first = Command::new(testbed());
    first.arg("run").arg(&config).arg("--quiet").arg("--state-dir").arg(state.path());
    let mut first = first.arg("--run-dir").arg(run.path().join("first")).spawn().expect("it starts");
    let log = run.path().join("first/run.log");
    eventually("a ready rig", || {
        fs::read_to_string(&log).is_ok_and(|text| text.contains("managers are ready"))
    });
    let second = || {
        topology("[managers.left]\nkind = \"worker\"")
            .state_dir(state.path())
            .run_dir(run.path().join("second"))
    };
    let text = refusal(second()).to_string();
    let who = format!("the coordinator with process number {} (rig `first`, since 2", first.id());
    assert!(text.contains("error[L209]") && text.contains(&who) && text.contains("--state-dir"), "{text}");
    first.kill().expect("it can be killed");
    first.wait().expect("it has ended");
    let rig = Rig::launch(second()).unwrap_or_else(|error| panic!("nobody holds it: {error}"));
    let sum = rig.scope().request(Add { a: 1, b: 2 }).expect("accepted").wait(PATIENCE).expect("done");
    assert_eq!(sum, 3);
    end_cleanly(rig);
    let log = fs::read_to_string(run.path().join("second/run.log")).expect("a log");
    assert!(log.contains(&format!("taken over from {who}")), "{log}");
    end_cleanly(Rig::launch(second()).expect("it is free"));
    let log = fs::read_to_string(run.path().join("second/run.log")).expect("a log");
    assert!(!log.contains("taken over"), "the one before came to its end: {log}");
}

//! Optional managers that are not there: the rig starts without them and says so, and nobody else is the worse.

use std::fs;
use std::process::Command;

use crate::support::{
    PATIENCE, end_cleanly, eventually, fail_to_launch, launch, pid_of, testbed, until_ready,
};
use labrig::coordinator::{ManagerStatus, RunSummary};
use labrig::remote::StreamError;
use labrig::{CallError, LaunchError, Refusal, Rig};
use labrig_testbed::commands::*;
use rustix::process::{Pid, Signal, kill_process, test_kill_process_group};

/// `left` is to be broken; `right` starts after it, and `ear` listens.
fn config(is_optional: bool, broken: &str) -> String {
    format!(
        "start_deadline_ms = 3000\nquit_deadline_ms = 1000\n[managers.ear]\nkind = \"listener\"\n\
         [managers.right]\nkind = \"worker\"\nafter = [\"left\"]\n[managers.left]\nkind = \"worker\"\n\
         safe_deadline_ms = 100\noptional = {is_optional}\n{broken}"
    )
}

fn status_of(rig: &Rig, manager: &str) -> ManagerStatus {
    let status = rig.status().expect("the rig runs");
    status.managers.into_iter().find(|it| it.name == manager).expect("it is part of the rig")
}

/// Broken like this, `left` keeps the rig from starting unless it is optional: then it is absent for this
/// reason, whoever asks it is told so, and all else works.
fn check_absent(broken: &str, reason: &str) {
    let error = fail_to_launch(&config(false, broken));
    assert!(!matches!(error, LaunchError::Refused(_)), "{error:?}");
    assert!(error.to_string().contains("`left`"), "{error:?}");
    check_left_out(broken, reason);
}

/// Broken like this, `left` is absent for this reason when it is optional.
fn check_left_out(broken: &str, reason: &str) {
    let rig = launch(&config(true, broken));
    let left = status_of(&rig, "left");
    let why = left.fault.clone().unwrap_or_default();
    assert_eq!(left.state, "absent", "{left:?}");
    assert!(why.contains(reason), "`{why}` does not say `{reason}`");
    check_refused(&rig, &why);
    check_others(&rig);
    eventually("the end of what is left of it", || {
        Pid::from_raw(left.pid as i32).is_none_or(|pid| test_kill_process_group(pid).is_err())
    });
    let log = rig.run_dir().join("run.log");
    // With its life, unless it never had one.
    let speaker = if left.pid == 0 { "left" } else { "left#1" };
    let warning = format!("WARN  {speaker}: is optional, and the rig starts without it: {why}");
    eventually("the warning", || fs::read_to_string(&log).is_ok_and(|text| text.contains(&warning)));
    check_summary(&end_cleanly(rig), &why);
}

/// Whoever asks `left` is refused at once, with its name and this reason.
fn check_refused(rig: &Rig, why: &str) {
    let scope = rig.scope();
    let text = format!("was refused: `left` is optional and absent ({why})");
    let refused = scope.to("left").request(Add { a: 1, b: 1 }).map(drop).expect_err("it is absent");
    assert!(matches!(&refused, Refusal::NotPresent { manager, .. } if manager.as_str() == "left"));
    assert_eq!(refused.to_string(), format!("`Add` {text}"));
    let refused = scope.to("left").send(Note { number: 1 }).expect_err("it is absent");
    assert_eq!(refused.to_string(), format!("`Note` {text}"));
    let pinged = scope.ping("left", PATIENCE).expect_err("it is absent");
    assert!(matches!(pinged, CallError::Refused(Refusal::NotPresent { .. })), "{pinged:?}");
    let ask = AskToAdd { whom: "left".to_owned(), a: 2, b: 3 };
    let asked = scope.to("right").request(ask).expect("accepted").wait(PATIENCE).expect_err("it is absent");
    assert_eq!(asked.downcast(), Some(TestError::NoAnswer { why: format!("`Add` {text}") }));
    let needed = scope.request(Add { a: 1, b: 1 }).map(drop);
    assert!(
        matches!(&needed, Err(Refusal::AddressNeeded { candidates, .. }) if candidates.len() == 2),
        "presence changes no route: {needed:?}"
    );
}

/// The others work, also the one that was to start after `left`, and a broadcast reaches them.
fn check_others(rig: &Rig) {
    let scope = rig.scope();
    let sum = scope.to("right").request(Add { a: 1, b: 2 }).expect("accepted").wait(PATIENCE);
    assert_eq!(sum, Ok(3));
    let report = scope.broadcast(SetMode { mode: 5 }).expect("accepted").wait(PATIENCE).expect("a report");
    let names: Vec<_> = report.outcomes.iter().map(|one| one.manager.as_str()).collect();
    assert_eq!(names, ["ear", "left", "right"]);
    let outcome = |manager| report.of(manager).map(|one| (one.generation, one.outcome.clone()));
    assert_eq!(outcome("ear"), Some((1, Ok(1005))));
    assert_eq!(outcome("right"), Some((1, Ok(5))));
    let left = outcome("left");
    assert!(matches!(left, Some((0, Err(CallError::Refused(Refusal::NotPresent { .. }))))), "{left:?}");
}

fn check_summary(summary: &RunSummary, why: &str) {
    assert_eq!(summary.absent().collect::<Vec<_>>(), [("left", why)]);
    assert!(summary.failed().next().is_none() && !summary.has_losses(), "{summary:#?}");
}

#[test]
fn an_optional_manager_whose_set_up_fails_is_absent() {
    check_absent(
        "[managers.left.config]\nsetup = \"fail\"",
        "could not be set up: the device is not plugged in",
    );
    check_absent(
        "[managers.left.config]\nsetup = \"panic\"",
        "could not be set up: panicked: the driver has a mistake (at",
    );
}

#[test]
fn an_optional_manager_whose_program_exits_at_once_is_absent() {
    check_absent("env = { TESTBED_INSTEAD = \"exit\" }", "ended during start-up: exit code 7");
    check_absent("[managers.left.config]\nsetup = \"exit\"", "ended during start-up: exit code 7");
}

#[test]
fn an_optional_manager_whose_program_cannot_be_started_is_absent() {
    check_left_out("working_dir = \"/nowhere\"", "No such file or directory");
    check_left_out("cpus = [9999]", "cannot use the processors 9999");
}

#[test]
fn an_optional_manager_that_never_says_hello_is_ended_and_absent() {
    check_absent(
        "env = { TESTBED_INSTEAD = \"mute\" }",
        "was not ready within 3s: its program has not said hello",
    );
}

#[test]
fn an_absent_manager_that_does_not_end_is_killed_with_all_that_it_started() {
    let script = format!(
        "trap '' TERM; case $LABRIG_ROLE in manager*) sleep 3600; exit;; esac; exec '{}'",
        testbed().display()
    );
    check_absent(
        &format!("program = \"/bin/sh\"\nargs = [\"-c\", \"{script}\"]"),
        "was not ready within 3s: its program has not said hello",
    );
}

#[test]
fn an_optional_manager_whose_set_up_never_returns_is_ended_and_absent() {
    check_absent(
        "[managers.left.config]\nsetup = \"sleep\"",
        "was not ready within 3s: its set-up has not returned",
    );
}

#[test]
fn an_optional_manager_with_a_start_up_command_that_is_not_done_is_absent() {
    check_absent(
        "startup = [{ command = \"Note\", args = { number = 1 } }, { command = \"Fail\", args = { code = 4 } },\n\
         { command = \"Note\", args = { number = 2 } }]",
        "the start-up command `Fail` was not done: `Fail` at `left` failed: told to fail with code 4",
    );
    check_absent(
        "startup = [{ command = \"Exit\", args = { code = 9 } }]",
        "ended during start-up: exit code 9",
    );
}

#[test]
fn an_absent_manager_that_was_set_up_enters_its_safe_state() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("left");
    let rig = launch(&config(
        true,
        &format!(
            "startup = [{{ command = \"Fail\", args = {{ code = 4 }} }}]\n\
             [managers.left.config]\nsafe_file = \"{}\"",
            file.display()
        ),
    ));
    eventually("the safe state", || file.exists());
    end_cleanly(rig);
}

#[test]
fn a_rig_whose_managers_are_all_absent_runs_its_scope() {
    let rig = launch(
        "[managers.left]\nkind = \"worker\"\noptional = true\n[managers.left.config]\nsetup = \"fail\"\n\
         [managers.right]\nkind = \"worker\"\noptional = true\n[managers.right.config]\nsetup = \"exit\"",
    );
    let keep = KeepNote { text: "alone".to_owned() };
    assert_eq!(rig.scope().request(keep).expect("accepted").wait(PATIENCE), Ok(1));
    let asked = rig.scope().request(ScopeAsks { whom: "left".to_owned() }).expect("accepted");
    let error = asked.wait(PATIENCE).expect_err("it is absent").to_string();
    assert!(error.contains("`left` is optional and absent (could not be set up"), "{error}");
    assert_eq!(end_cleanly(rig).absent().count(), 2);
}

fn restart(rig: &Rig, manager: &str) -> Result<u32, String> {
    let restarted = rig.scope().restart(manager).expect("accepted").wait(PATIENCE);
    restarted.map(|it| it.generation).map_err(|error| error.to_string())
}

#[test]
fn an_absent_manager_is_looked_for_again_when_its_restart_is_ordered() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("plugged in");
    let rig = launch(&config(true, &format!("working_dir = {place:?}")));
    assert_eq!(status_of(&rig, "left").state, "absent");
    let arm =
        rig.scope().arm("left").expect("accepted").wait(PATIENCE).expect_err("it is absent").to_string();
    assert!(arm.contains("`left` is absent: a restart looks for it again"), "{arm}");
    let still = restart(&rig, "left").expect_err("it is absent as before");
    assert!(
        still.contains("`left` is not there: ") && still.contains("No such file or directory"),
        "{still}"
    );
    let why = status_of(&rig, "left").fault.expect("it says why");
    check_refused(&rig, &why);
    check_others(&rig);
    fs::create_dir(&place).expect("a folder");
    let generation = restart(&rig, "left").expect("it is there");
    assert_eq!(rig.scope().to("left").call(Add { a: 1, b: 2 }), Ok(3));
    until_ready(&rig, &["left"]);
    let left = status_of(&rig, "left");
    assert_eq!((left.generation, left.fault), (generation, None));
    let report =
        rig.scope().broadcast(SetMode { mode: 5 }).expect("accepted").wait(PATIENCE).expect("a report");
    assert_eq!(report.of("left").map(|one| one.outcome.clone()), Some(Ok(5)));
    // From now on it is one as any other.
    assert_eq!(restart(&rig, "left"), Ok(generation + 1));
    let summary = end_cleanly(rig);
    assert_eq!((summary.absent().count(), summary.deaths.len()), (0, 0), "{summary:#?}");
}

/// However it fails: it is absent again, for the reason that it has now, and nothing else comes of it.
#[test]
fn an_absent_manager_that_fails_again_is_absent_again() {
    for (broken, reason) in [
        ("[managers.left.config]\nsetup = \"fail\"", "could not be set up: the device is not plugged in"),
        ("[managers.left.config]\nsetup = \"exit\"", "ended during start-up: exit code 7"),
        ("env = { TESTBED_INSTEAD = \"mute\" }", "was not ready within 3s: its program has not said hello"),
        (
            "startup = [{ command = \"Fail\", args = { code = 4 } }]",
            "the start-up command `Fail` was not done",
        ),
        ("startup = [{ command = \"Exit\", args = { code = 9 } }]", "ended during start-up: exit code 9"),
    ] {
        let rig =
            launch(&config(true, &format!("restart_policy = \"always\"\nmax_restarts = 1000\n{broken}")));
        for _ in 0..2 {
            let error = restart(&rig, "left").expect_err("it is absent");
            assert!(error.contains(reason), "{error}");
            let left = status_of(&rig, "left");
            assert_eq!(left.state, "absent", "{left:?}");
        }
        let why = status_of(&rig, "left").fault.expect("it says why");
        check_refused(&rig, &why);
        check_others(&rig);
        check_summary(&end_cleanly(rig), &why);
    }
}

#[test]
fn a_rig_quits_while_an_absent_manager_is_looked_for_again() {
    let rig = launch(&config(true, "[managers.left.config]\nsetup = \"sleep\""));
    let pending = rig.scope().restart("left").expect("accepted");
    eventually("its second try", || status_of(&rig, "left").state == "restarting");
    let summary = rig.shutdown();
    assert!(pending.wait(PATIENCE).is_err());
    assert!(!summary.has_losses(), "{summary:#?}");
}

#[test]
fn the_proof_of_an_optional_manager_is_as_strict_as_any() {
    for (broken, code) in [
        ("[managers.left.config]\nsteup = \"fail\"", "L003"),
        ("program = \"/nowhere/rig\"", "L201"),
        ("startup = [{ command = \"Nod\" }]", "L120"),
    ] {
        match fail_to_launch(&config(true, broken)) {
            LaunchError::Refused(report) => assert!(report.to_string().contains(code), "{report}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_optional_manager_that_dies_later_has_failed() {
    let rig = launch(&config(true, ""));
    assert_eq!(status_of(&rig, "left").state, "ready");
    kill_process(pid_of(&rig, "left"), Signal::KILL).expect("it lives");
    eventually("the death", || status_of(&rig, "left").state == "failed");
    let refused = rig.scope().to("left").send(Note { number: 1 });
    assert!(matches!(refused, Err(Refusal::Dead { .. })), "{refused:?}");
    let summary = rig.shutdown();
    assert_eq!((summary.is_clean, summary.failed().count(), summary.absent().count()), (false, 1, 0));
}

/// A camera, a tracker and a stream between them, of which one is broken.
fn filming(camera: &str, tracker: &str) -> Rig {
    launch(&format!(
        "[managers.camera]\n{camera}\n[managers.tracker]\nkind = \"tracker\"\n{tracker}\n\
         [managers.right]\nkind = \"worker\"\n\
         [streams.video]\nproducer = \"camera\"\nslots = 5\nreaders = {{ tracker = \"lossless\" }}"
    ))
}

#[test]
fn a_stream_whose_producer_is_absent_stays_empty() {
    for when in ["", "after = [\"tracker\"]\n"] {
        let camera = "kind = \"camera.replay\"\noptional = true\n";
        let rig = filming(&format!("{camera}{when}[managers.camera.config]\npath = \"/nowhere/frames\""), "");
        let why = status_of(&rig, "camera").fault.unwrap_or_default();
        assert!(why.starts_with("could not be set up: ") && why.contains("/nowhere/frames"), "{why}");
        assert_eq!(status_of(&rig, "tracker").state, "ready");
        let latest = rig.scope().stream("video").expect("a stream").latest(PATIENCE).map(drop);
        assert!(matches!(latest, Err(StreamError::ProducerUnreachable { .. })), "{latest:?}");
        let summary = end_cleanly(rig);
        assert_eq!(summary.streams[0].published, 0);
        assert!(!summary.has_losses(), "{summary:#?}");
    }
}

/// Of camera and tracker one is absent at first and joins the other later.
#[test]
fn who_was_absent_joins_its_streams() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("plugged in");
    let missing = format!("optional = true\nworking_dir = {place:?}\n");
    for (camera, tracker, absent) in [(missing.as_str(), "", "camera"), ("", missing.as_str(), "tracker")] {
        let camera = format!(
            "kind = \"camera.sim\"\n{camera}[managers.camera.config]\nrate_hz = 200.0\nwidth_px = 64\nheight_px = 64"
        );
        let rig = filming(&camera, tracker);
        assert_eq!(status_of(&rig, absent).state, "absent");
        fs::create_dir(&place).expect("a folder");
        restart(&rig, absent).expect("it is there");
        let seen = |rig: &Rig| {
            let status = rig.status().expect("the rig runs");
            status.streams[0].readers.iter().find(|reader| reader.manager == "tracker").map(|it| it.taken)
        };
        eventually("frames at the tracker", || seen(&rig) > Some(10));
        let mut every = rig.scope().stream("video").expect("a stream");
        every.latest(PATIENCE).expect("joined").expect("a frame");
        drop(every);
        assert!(!end_cleanly(rig).has_losses());
        fs::remove_dir_all(&place).expect("a folder");
    }
}

#[test]
fn an_absent_reader_does_not_hold_a_lossless_producer_back() {
    for when in ["", "after = [\"camera\"]\n"] {
        let broken = "[managers.tracker.config]\noutput = \"no/such/folder/tracks.csv\"";
        let rig = filming(
            "kind = \"camera.sim\"\n[managers.camera.config]\nrate_hz = 1000.0\nwidth_px = 64\nheight_px = 64",
            &format!("optional = true\n{when}{broken}"),
        );
        assert_eq!(status_of(&rig, "tracker").state, "absent");
        let mut every = rig.scope().stream("video").expect("a stream");
        for _ in 0..20 {
            every.latest(PATIENCE).expect("joined").expect("a frame");
        }
        eventually("more frames than the ring holds", || {
            rig.status().is_some_and(|status| status.streams[0].published > 50)
        });
        let summary = end_cleanly(rig);
        assert!(summary.streams[0].readers.iter().all(|reader| reader.manager != "tracker"), "{summary:#?}");
        assert_eq!(summary.streams[0].waits, 0);
        assert!(!summary.has_losses(), "{summary:#?}");
    }
}

#[test]
fn the_program_says_who_is_absent_and_why_and_exits_with_0() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("rig.toml");
    let config = config(true, "[managers.left.config]\nsetup = \"fail\"");
    fs::write(&file, format!("schema = 1\n[rig]\nname = \"own\"\n{config}")).expect("a config");
    let output = Command::new(testbed())
        .args(["run", "rig.toml", "--duration", "100ms", "--run-dir", "run", "--state-dir", "state"])
        .current_dir(folder.path())
        .output()
        .expect("it runs");
    let (told, shown) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{shown}");
    let why = "could not be set up: the device is not plugged in";
    assert!(told.contains(&format!("absent (optional): {why}")), "{told}");
    assert!(shown.contains(&format!("is optional, and the rig starts without it: {why}")), "{shown}");
    assert!(shown.contains("2 managers are ready, 1 absent"), "{shown}");
    assert!(shown.contains("left absent"), "{shown}");
    let summary = fs::read_to_string(folder.path().join("run/summary.json")).expect("a summary");
    assert!(summary.contains("\"absent\": {"), "{summary}");
}

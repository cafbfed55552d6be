//! Procedures in rigs that run: launched, steered, watched, killed, and continued after whatever has happened.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::support::{PATIENCE, end_cleanly, eventually, fail_to_launch, launch, pid_of, topology};
use labrig::procedure::*;
use labrig::{CallError, PendingReply, Rig};
use labrig_testbed::gauge::SetLevel;
use labrig_testbed::procedures::{Misdeed, TallyInputs};
use rustix::process::{Signal, kill_process};

/// A rig that runs procedures, and starts their process again when it has died.
const RUNNER: &str = "[managers.runner]\nkind = \"labrig.procedures\"\nrestart_policy = \"on-failure\"\n\
                      max_restarts = 1000\nwatchdog_ms = 0\n";

fn tally(steps: u64) -> TallyInputs {
    TallyInputs::of(steps, None)
}

fn misbehaving(at: u64, misdeed: Misdeed) -> TallyInputs {
    TallyInputs { at, misdeed, ..tally(5) }
}

fn done<R, E: std::fmt::Debug>(asked: Result<PendingReply<R>, E>) -> R {
    asked.expect("accepted").wait(PATIENCE).expect("done")
}

fn start(rig: &Rig, inputs: &TallyInputs) -> ProcedureId {
    done(rig.scope().procedures().launch("tally", inputs))
}

fn status(rig: &Rig, id: &ProcedureId) -> ProcedureRecord {
    done(rig.scope().procedures().status(id))
}

fn end_of(rig: &Rig, id: &ProcedureId) -> ProcedureRecord {
    done(rig.scope().procedures().end(id))
}

fn until(rig: &Rig, id: &ProcedureId, state: ProcedureState) {
    let mut last = None;
    eventually(&format!("{id} being {state}"), || {
        let record = status(rig, id);
        assert!(!record.state.is_final() || record.state == state, "{record:?}");
        last.insert(record).state == state
    });
}

fn until_at_step(rig: &Rig, id: &ProcedureId, step: u64) {
    eventually(&format!("step {step} of {id}"), || status(rig, id).step >= Some(step));
}

fn check_answer(
    asked: Result<PendingReply<Answered>, labrig::Refusal>,
    outcome: Outcome,
    state: Option<ProcedureState>,
) {
    let answered = done(asked);
    assert_eq!((answered.outcome, answered.state), (outcome, state), "{answered:?}");
}

fn error_of<R: std::fmt::Debug>(asked: PendingReply<R>) -> ProcedureError {
    let error = asked.wait(PATIENCE).expect_err("it cannot be done");
    error.downcast::<ProcedureError>().unwrap_or_else(|| panic!("{error}"))
}

#[test]
fn a_procedure_runs_all_its_steps_and_gives_its_output() {
    let rig = launch(RUNNER);
    let folder = tempfile::tempdir().expect("a folder");
    let journal = folder.path().join("journal");
    let procedures = rig.scope().procedures();
    let inputs = TallyInputs::of(4, Some(journal.clone()));
    let sum: u64 = procedures.execute("tally", &inputs, PATIENCE).expect("it finishes");
    assert_eq!(sum, 4);
    let lines = fs::read_to_string(journal).expect("a journal");
    assert_eq!(lines, "1 0 tally-1/1/0\n2 1 tally-1/2/0\n3 2 tally-1/3/0\n4 3 tally-1/4/0\n");
    let record = status(&rig, &"tally-1".into());
    assert_eq!((record.state, record.step, record.lives), (ProcedureState::Finished, Some(4), 1));
    assert!(record.launched_by.starts_with("process "), "{record:?}");
    end_cleanly(rig);
}

#[test]
fn what_cannot_be_launched_is_told_and_leaves_no_record() {
    let rig = launch(RUNNER);
    let procedures = rig.scope().procedures();
    let unknown = error_of(procedures.launch("tallly", &tally(1)).expect("accepted"));
    assert!(matches!(&unknown, ProcedureError::UnknownKind { known, .. } if known.contains(&"tally".into())));
    let out = error_of(procedures.launch("tally", &tally(0)).expect("accepted"));
    assert!(out.to_string().contains("below its minimum"), "{out}");
    let wrong = LaunchProcedure {
        kind: "tally".into(),
        inputs: r#"{"steps":"x","stepz":1}"#.into(),
        ..Default::default()
    };
    match error_of(procedures.launch_as(wrong).expect("accepted")) {
        ProcedureError::BadInputs { faults, .. } => assert_eq!(faults.len(), 2, "{faults:?}"),
        other => panic!("{other}"),
    }
    assert_eq!(done(procedures.list()), []);
    let id = ProcedureId::from("tally-7");
    assert_eq!(
        error_of(procedures.status(&id).expect("accepted")),
        ProcedureError::UnknownId { id: id.0.clone() }
    );
    check_answer(procedures.pause(&id, ""), Outcome::NotFound, None);
    end_cleanly(rig);
}

/// A rig that keeps its state, and whose procedures go on or not.
fn relaunch(state: &Path, resume: &str) -> Rig {
    let config = format!("{RUNNER}[managers.runner.config]\nresume = \"{resume}\"\n");
    Rig::launch(topology(&config).state_dir(state)).expect("it starts")
}

#[test]
fn procedures_outlive_the_rig_and_go_on_by_themselves_or_when_they_are_told() {
    let state = tempfile::tempdir().expect("a folder");
    let journal = state.path().join("journal");
    let rig = relaunch(state.path(), "auto");
    let slow = TallyInputs { step_ms: 2, ..TallyInputs::of(100, Some(journal.clone())) };
    let id = start(&rig, &slow);
    until_at_step(&rig, &id, 3);
    end_cleanly(rig);
    let rig = relaunch(state.path(), "manual");
    eventually("a pause", || status(&rig, &id).state == ProcedureState::Paused);
    let paused = status(&rig, &id);
    assert_eq!(paused.text, "the process that ran it has ended");
    assert_eq!(done(rig.scope().procedures().continue_from(&id, "")), id);
    until_at_step(&rig, &id, paused.step.expect("it has begun") + 2);
    end_cleanly(rig);
    let rig = relaunch(state.path(), "auto");
    let record = end_of(&rig, &id);
    assert_eq!((record.state, record.step, record.lives), (ProcedureState::Finished, Some(100), 3));
    end_cleanly(rig);
    check_journal(&journal, 100);
}

/// Every step is there, in order; what was interrupted may be there again.
fn check_journal(journal: &Path, steps: u64) {
    let text = fs::read_to_string(journal).expect("a journal");
    let mut last = 0;
    for line in text.lines() {
        let (step, rest) = line.split_once(' ').expect("a step and more");
        let step: u64 = step.parse().expect("a number");
        assert!(step == last || step == last + 1, "step {step} came behind step {last}");
        assert!(rest.ends_with(&format!("/{step}/0")), "{line}");
        last = step;
    }
    assert_eq!(last, steps);
}

#[test]
fn a_rig_without_a_runner_says_so() {
    let rig = launch("[managers.journal]\nkind = \"worker\"\n");
    let refused = rig.scope().procedures().launch("tally", &tally(1)).map(drop).expect_err("nobody runs it");
    assert!(refused.to_string().contains("LaunchProcedure"), "{refused}");
    end_cleanly(rig);
}

#[test]
fn orders_are_answered_honestly_when_they_have_taken_effect() {
    use ProcedureState::{Created, Excepted, Finished, Killed, Paused};
    let rig = launch(RUNNER);
    let procedures = rig.scope().procedures();
    let sleeper = start(&rig, &misbehaving(2, Misdeed::Sleep));
    until(&rig, &sleeper, ProcedureState::Waiting);
    check_answer(procedures.play(&sleeper, ""), Outcome::Already, Some(ProcedureState::Waiting));
    check_answer(procedures.pause(&sleeper, "for a while"), Outcome::Done, Some(Paused));
    check_answer(procedures.pause(&sleeper, ""), Outcome::Already, Some(Paused));
    assert_eq!(status(&rig, &sleeper).text, "for a while");
    check_answer(procedures.play(&sleeper, ""), Outcome::Done, Some(ProcedureState::Running));
    until(&rig, &sleeper, ProcedureState::Waiting);
    check_answer(procedures.kill(&sleeper, "enough", KillLevel::NextStep), Outcome::Done, Some(Killed));
    check_answer(procedures.kill(&sleeper, "", KillLevel::NextStep), Outcome::Already, Some(Killed));
    check_answer(procedures.play(&sleeper, ""), Outcome::NotInThisState, Some(Killed));
    let held = done(procedures.create("tally", &tally(3)));
    assert_eq!(status(&rig, &held).state, Created);
    assert_eq!(done(procedures.play(&held, "")).outcome, Outcome::Done);
    assert_eq!(end_of(&rig, &held).state, Finished);
    check_answer(procedures.pause(&held, ""), Outcome::TooLate, Some(Finished));
    for (misdeed, text) in
        [(Misdeed::Fail, "step 2: it was told to fail"), (Misdeed::Panic, "it was told to panic")]
    {
        let failed = end_of(&rig, &start(&rig, &misbehaving(2, misdeed)));
        assert_eq!((failed.state, failed.step), (Excepted, Some(1)));
        assert!(failed.text.contains(text), "{failed:?}");
    }
    end_cleanly(rig);
}

#[test]
fn a_kill_waits_for_the_next_step_or_for_the_next_look_of_the_step() {
    let rig = launch(RUNNER);
    let procedures = rig.scope().procedures();
    let dawdler = start(&rig, &misbehaving(2, Misdeed::Dawdle));
    until_at_step(&rig, &dawdler, 1);
    let patient = procedures.kill(&dawdler, "soon", KillLevel::NextStep).expect("accepted");
    let pause = procedures.pause(&dawdler, "never").expect("accepted");
    assert!(!patient.ready_within(Duration::from_millis(50)), "its step has a minute to go");
    check_answer(
        procedures.kill(&dawdler, "now", KillLevel::NextYield),
        Outcome::Done,
        Some(ProcedureState::Killed),
    );
    assert_eq!(patient.wait(PATIENCE).expect("done").outcome, Outcome::Done);
    assert_eq!(pause.wait(PATIENCE).expect("done").outcome, Outcome::TooLate);
    let record = status(&rig, &dawdler);
    assert_eq!((record.text.as_str(), record.step), ("now", Some(1)));
    end_cleanly(rig);
}

#[test]
fn a_kill_by_force_ends_the_process_and_others_in_it_go_on() {
    let rig = launch(RUNNER);
    let procedures = rig.scope().procedures();
    let (dawdler, other) =
        (start(&rig, &misbehaving(1, Misdeed::Dawdle)), start(&rig, &misbehaving(2, Misdeed::Sleep)));
    until(&rig, &other, ProcedureState::Waiting);
    until_at_step(&rig, &dawdler, 0);
    let before = pid_of(&rig, "runner");
    check_answer(
        procedures.kill(&dawdler, "it hangs", KillLevel::Force),
        Outcome::Done,
        Some(ProcedureState::Killed),
    );
    assert_ne!(pid_of(&rig, "runner"), before);
    let record = status(&rig, &dawdler);
    assert!(record.is_forced && record.text == "it hangs", "{record:?}");
    eventually("a second life", || status(&rig, &other).lives == 2);
    check_answer(
        procedures.kill(&other, "", KillLevel::NextStep),
        Outcome::Done,
        Some(ProcedureState::Killed),
    );
    rig.shutdown();
}

#[test]
fn children_are_listed_and_killed_with_their_parent_and_their_output_comes_back() {
    let rig = launch(&format!("{RUNNER}[managers.runner.config]\nlimit = 1\n"));
    let procedures = rig.scope().procedures();
    let parent = start(&rig, &misbehaving(1, Misdeed::Child));
    eventually("a child", || !done(procedures.children(&parent)).is_empty());
    let child = done(procedures.children(&parent)).remove(0);
    assert_eq!(child.parent, Some(parent.clone()));
    check_answer(
        procedures.kill(&parent, "both", KillLevel::NextStep),
        Outcome::Done,
        Some(ProcedureState::Killed),
    );
    assert_eq!(end_of(&rig, &child.id).text, format!("`{parent}` is killed"));
    // Its own five steps, of which the second is given the three of its child.
    let sum: u64 =
        procedures.execute("tally", &misbehaving(1, Misdeed::QuickChild), PATIENCE).expect("it finishes");
    assert_eq!(sum, 8);
    end_cleanly(rig);
}

#[test]
fn as_many_run_as_the_limit_allows_and_the_others_wait_for_their_turn() {
    let rig = launch(&format!("{RUNNER}[managers.runner.config]\nlimit = 1\n"));
    let procedures = rig.scope().procedures();
    let first = start(&rig, &misbehaving(1, Misdeed::Dawdle));
    until_at_step(&rig, &first, 0);
    let queued = start(&rig, &tally(2));
    let killed = start(&rig, &tally(2));
    eventually("a queue", || [&queued, &killed].iter().all(|id| status(&rig, id).is_queued));
    check_answer(
        procedures.kill(&killed, "", KillLevel::NextStep),
        Outcome::Done,
        Some(ProcedureState::Killed),
    );
    assert_eq!(status(&rig, &queued).state, ProcedureState::Created);
    done(procedures.kill(&first, "", KillLevel::NextYield));
    assert_eq!(end_of(&rig, &queued).state, ProcedureState::Finished);
    end_cleanly(rig);
}

#[test]
fn all_are_paused_played_and_killed_at_once() {
    let rig = launch(RUNNER);
    let procedures = rig.scope().procedures();
    assert_eq!(done(procedures.pause_all("nobody there")), []);
    let ids: Vec<_> = (0..3).map(|_| start(&rig, &misbehaving(1, Misdeed::Sleep))).collect();
    let all = |answers: Vec<Answered>, outcome| {
        assert!(answers.len() == 3 && answers.iter().all(|it| it.outcome == outcome), "{answers:?}");
    };
    all(done(procedures.pause_all("lunch")), Outcome::Done);
    ids.iter().for_each(|id| assert_eq!(status(&rig, id).state, ProcedureState::Paused));
    all(done(procedures.pause_all("lunch")), Outcome::Already);
    all(done(procedures.play_all("work")), Outcome::Done);
    all(done(procedures.kill_all("home")), Outcome::Done);
    ids.iter().for_each(|id| assert_eq!(status(&rig, id).state, ProcedureState::Killed));
    end_cleanly(rig);
}

#[test]
fn every_change_of_state_is_told_with_its_sender_and_number_over_a_death_too() {
    use ProcedureState::{Created, Paused, Running, Waiting};
    let rig = launch(RUNNER);
    let procedures = rig.scope().procedures().as_user("ada");
    let id = done(procedures.launch("tally", &misbehaving(2, Misdeed::Sleep)));
    let mut watch = procedures.watch(Some(&id));
    until(&rig, &id, Waiting);
    kill_process(pid_of(&rig, "runner"), Signal::KILL).expect("it lives");
    eventually("a second life", || {
        // The call may meet the process at its end.
        let asked = procedures.status(&id).map_err(CallError::from).and_then(|asked| asked.wait(PATIENCE));
        asked.is_ok_and(|record| record.lives == 2)
    });
    done(procedures.pause(&id, "a word"));
    let seen: Vec<_> = watch.by_ref().take(4).map(|change| change.expect("told")).collect();
    let moves: Vec<_> = seen.iter().map(|it| (it.from, it.to)).collect();
    assert_eq!(
        moves,
        [(None, Created), (Some(Created), Running), (Some(Running), Waiting), (Some(Waiting), Paused)]
    );
    assert_eq!(seen.iter().map(|it| it.sequence).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(
        [seen[0].sender.as_str(), &seen[1].sender, &seen[3].sender, &seen[3].text],
        ["ada", "", "ada", "a word"]
    );
    let again = done(procedures.continue_from(&id, "second"));
    assert_ne!(again, id);
    assert_eq!(status(&rig, &again).origin, Some(format!("{id} after step 2")));
    // It goes on from there, which is to say that it waits as long as the other has to.
    until(&rig, &again, Waiting);
    done(procedures.kill(&id, "", KillLevel::NextStep));
    assert!(watch.last().is_some_and(|last| last.expect("told").to.is_final()));
    rig.shutdown();
}

#[test]
fn a_procedure_waits_for_a_signal_and_is_not_done_when_it_does_not_come_in_time() {
    let rig = launch(&format!("{RUNNER}[managers.gauge]\nkind = \"gauge\"\n"));
    let set = |level_mm| done(rig.scope().request(SetLevel { level_mm }));
    set(1.0);
    let late = end_of(&rig, &start(&rig, &misbehaving(2, Misdeed::LevelInVain)));
    assert_eq!(late.state, ProcedureState::Excepted);
    assert_eq!(late.text, "gauge.level_mm ≥ 5 was not so in time: it was 1 last");
    let waiting = start(&rig, &misbehaving(2, Misdeed::Level));
    until(&rig, &waiting, ProcedureState::Waiting);
    assert_eq!(status(&rig, &waiting).waits_for.as_deref(), Some("gauge.level_mm ≥ 5"));
    check_answer(rig.scope().procedures().pause(&waiting, ""), Outcome::Done, Some(ProcedureState::Paused));
    done(rig.scope().procedures().play(&waiting, ""));
    until(&rig, &waiting, ProcedureState::Waiting);
    set(5.0);
    assert_eq!(end_of(&rig, &waiting).state, ProcedureState::Finished);
    end_cleanly(rig);
}

#[test]
fn a_listener_that_fails_or_goes_away_disturbs_no_procedure() {
    let rig = launch(RUNNER);
    let procedures = rig.scope().procedures();
    let id = start(&rig, &TallyInputs { step_ms: 1, ..tally(50) });
    let gone = procedures.end(&id).expect("accepted");
    gone.cancel();
    assert!(gone.wait(PATIENCE).is_err_and(|error| error.is_cancelled()));
    drop(procedures.end(&id).expect("accepted"));
    procedures.end(&id).expect("accepted").on_complete(|_| panic!("a listener that was told to panic"));
    procedures.changes_after(Some(0), Some(&id)).expect("accepted").on_complete(|_| panic!("another one"));
    let record = end_of(&rig, &id);
    assert_eq!((record.state, record.step), (ProcedureState::Finished, Some(50)));
    eventually("an empty table of calls", || rig.status().is_some_and(|status| status.in_flight == 0));
    end_cleanly(rig);
}

#[test]
fn a_stop_of_everything_pauses_procedures_where_they_can_go_on() {
    let rig = launch(RUNNER);
    let id = start(&rig, &misbehaving(2, Misdeed::Sleep));
    until(&rig, &id, ProcedureState::Waiting);
    done(rig.scope().stop_all());
    until(&rig, &id, ProcedureState::Paused);
    assert_eq!(status(&rig, &id).text, "everything was stopped");
    done(rig.scope().procedures().play(&id, ""));
    until(&rig, &id, ProcedureState::Waiting);
    done(rig.scope().procedures().kill(&id, "", KillLevel::NextStep));
    end_cleanly(rig);
}

#[test]
fn two_rigs_on_one_store_are_told_who_has_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let config =
        format!("{RUNNER}[managers.runner.config]\nstore = {:?}\n", folder.path().join("shared.sqlite"));
    let rig = launch(&config);
    let refused = fail_to_launch(&config).to_string();
    assert!(refused.contains("is in use by process"), "{refused}");
    assert!(refused.contains("(manager `runner` of rig `test`)"), "{refused}");
    end_cleanly(rig);
    end_cleanly(launch(&config));
}

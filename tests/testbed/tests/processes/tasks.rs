//! Tasks: offered to runners, passed on, refused, and run once whoever is killed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::support::{PATIENCE, end_cleanly, eventually, fail_to_launch, figure, launch, pid_of, storm};
use labrig::procedure::*;
use labrig::{CallErrorKind, PendingReply, Refusal, Rig, Scope};
use labrig_testbed::procedures::{Misdeed, TallyInputs};
use labrig_testbed::stirrer::scatter;
use rustix::process::{Pid, Signal, kill_process};

/// Runners of these names, which are started again when they have died, each with what its config says.
fn runners(each: &[(&str, &str)]) -> String {
    let mut config = String::new();
    for (name, terms) in each {
        let _ = writeln!(
            config,
            "[managers.{name}]\nkind = \"labrig.procedures\"\nrestart_policy = \"on-failure\"\nmax_restarts = 1000\n\
             restart_window_s = 1\nrestart_delay_ms = 1\nwatchdog_ms = 0\n[managers.{name}.config]\n{terms}"
        );
    }
    config
}

fn dawdling() -> TallyInputs {
    TallyInputs { at: 1, misdeed: Misdeed::Dawdle, ..TallyInputs::of(2, None) }
}

fn offer(scope: &Scope, inputs: &TallyInputs, whom: Whom) -> PendingReply<Placement> {
    let procedures = scope.procedures();
    let task = procedures.task("tally", inputs).expect("they can be written");
    procedures.offer(task, whom).expect("accepted")
}

fn placed(rig: &Rig, inputs: &TallyInputs, whom: Whom) -> Placement {
    offer(&rig.scope(), inputs, whom).wait(PATIENCE).expect("somebody takes it")
}

fn error_of(pending: PendingReply<Placement>) -> TaskError {
    let error = pending.wait(PATIENCE).expect_err("nobody takes it");
    error.downcast().unwrap_or_else(|| panic!("{error}"))
}

fn who(placement: &Placement) -> Vec<&str> {
    placement.taken.iter().map(|taken| taken.runner.as_str()).collect()
}

fn declined(error: &TaskError) -> Vec<(&str, &Declination)> {
    match error {
        TaskError::NoTaker { declined, .. } => {
            declined.iter().map(|it| (it.runner.as_str(), &it.why)).collect()
        }
        other => panic!("{other}"),
    }
}

/// The records of a runner, as soon as it is there to be asked.
fn records(scope: &Scope, runner: &str) -> Vec<ProcedureRecord> {
    let mut found = None;
    eventually("a list", || {
        let asked = scope.procedures().of(runner).list().map_err(labrig::CallError::from);
        found = asked.and_then(|asked| asked.wait(PATIENCE)).ok();
        found.is_some()
    });
    found.expect("it has come")
}

#[test]
fn several_runners_are_told_apart_by_address() {
    let rig = launch(&runners(&[("left", ""), ("right", "")]));
    let procedures = rig.scope().procedures();
    let refused = procedures.launch("tally", &TallyInputs::of(1, None)).map(drop).expect_err("which one");
    assert!(matches!(refused, LaunchRefused::Refused(Refusal::AddressNeeded { .. })), "{refused}");
    for runner in ["left", "right"] {
        let of = procedures.clone().of(runner);
        let sum: u64 = of.execute("tally", &TallyInputs::of(2, None), PATIENCE).expect("it finishes");
        assert_eq!(sum, 2);
        let ids: Vec<_> = records(&rig.scope(), runner).into_iter().map(|record| record.id.0).collect();
        assert_eq!(ids, ["tally-1"], "each has a store of its own");
    }
    end_cleanly(rig);
}

#[test]
fn a_task_is_for_one_for_any_or_for_all() {
    let rig = launch(&runners(&[("a", ""), ("b", ""), ("c", "kinds = [\"focus_sweep\", \"time_lapse\"]\n")]));
    let quick = TallyInputs::of(1, None);
    let addressed = placed(&rig, &quick, Whom::One("b".into()));
    assert_eq!(who(&addressed), ["b"]);
    let taken = &addressed.taken[0];
    let of = rig.scope().procedures().of(&taken.runner);
    assert_eq!(of.output::<u64>(&taken.procedure(), PATIENCE).expect("it finishes"), 1);
    let firsts: Vec<_> = (0..6).map(|_| who(&placed(&rig, &quick, Whom::Any))[0].to_owned()).collect();
    assert_eq!(
        firsts,
        ["a", "b", "a", "a", "b", "a"],
        "each begins with another; what `c` refuses goes on to `a`"
    );
    let all = placed(&rig, &quick, Whom::All);
    assert_eq!(who(&all), ["a", "b"]);
    let takes = vec!["focus_sweep".to_owned(), "time_lapse".to_owned()];
    let expected = [Declined { runner: "c".into(), why: Declination::NotItsKind { takes } }];
    assert_eq!(all.declined, expected);
    let refused = error_of(offer(&rig.scope(), &quick, Whom::One("c".into())));
    assert!(matches!(declined(&refused)[..], [("c", Declination::NotItsKind { .. })]), "{refused}");
    let unknown = error_of(offer(&rig.scope(), &quick, Whom::One("d".into())));
    assert!(matches!(declined(&unknown)[..], [("d", Declination::NoRunner { .. })]), "{unknown}");
    end_cleanly(rig);
}

#[test]
fn the_instances_of_a_pool_are_runners_of_their_own() {
    let rig = launch("[managers.shift]\nkind = \"labrig.procedures\"\ninstances = 2\n");
    let quick = TallyInputs::of(1, None);
    assert_eq!(who(&placed(&rig, &quick, Whom::All)), ["shift-1", "shift-2"]);
    assert_eq!(who(&placed(&rig, &quick, Whom::One("shift-2".into()))), ["shift-2"]);
    let pool = error_of(offer(&rig.scope(), &quick, Whom::One("shift".into())));
    assert!(matches!(declined(&pool)[..], [("shift", Declination::NoRunner { .. })]), "{pool}");
    let counts = ["shift-1", "shift-2"].map(|runner| records(&rig.scope(), runner).len());
    assert_eq!(counts, [1, 2]);
    end_cleanly(rig);
}

#[test]
fn a_full_queue_passes_a_task_on_and_when_all_are_full_nobody_takes_it() {
    let full = "limit = 1\nqueue_limit = 1\n";
    let rig = launch(&runners(&[("a", full), ("b", full)]));
    // Two at each: one at its step, one that waits.
    let taken: Vec<_> = (0..4).map(|_| placed(&rig, &dawdling(), Whom::Any)).collect();
    let by: Vec<_> = taken.iter().map(|it| who(it)[0]).collect();
    assert_eq!(by, ["a", "b", "a", "b"]);
    for whom in [Whom::Any, Whom::All] {
        let error = error_of(offer(&rig.scope(), &dawdling(), whom));
        let expected = Declination::QueueFull { waiting: 1 };
        assert_eq!(declined(&error), [("a", &expected), ("b", &expected)]);
    }
    let launched = rig.scope().procedures().of("a").launch("tally", &dawdling()).expect("accepted");
    let error: ProcedureError = launched.wait(PATIENCE).expect_err("it is full").downcast().expect("its own");
    assert_eq!(error, ProcedureError::NotTaken { why: Declination::QueueFull { waiting: 1 } });
    // One goes, and there is room at one of the two.
    let of = rig.scope().procedures().of("b");
    let killed = of.kill(&taken[1].taken[0].procedure(), "", KillLevel::NextYield);
    assert_eq!(killed.expect("accepted").wait(PATIENCE).expect("done").outcome, Outcome::Done);
    assert_eq!(who(&placed(&rig, &dawdling(), Whom::Any)), ["b"]);
    rig.shutdown();
}

#[test]
fn what_nobody_can_run_is_told_by_each_and_wrong_inputs_are_not_passed_on() {
    let rig = launch(&runners(&[("a", "kinds = [\"time_lapse\"]\n"), ("b", ""), ("c", "")]));
    let scope = rig.scope();
    let wrong = error_of(offer(&scope, &TallyInputs::of(0, None), Whom::Any));
    let TaskError::BadInputs { runner, faults, .. } = &wrong else { panic!("{wrong}") };
    assert!(runner == "b" && faults[0].contains("below its minimum"), "{wrong}");
    let procedures = scope.procedures();
    let unknown = procedures.task("tallly", &TallyInputs::of(1, None)).expect("written");
    let error = error_of(procedures.offer(unknown, Whom::Any).expect("accepted"));
    let kinds: Vec<_> = declined(&error).iter().map(|(_, why)| why.to_string()).collect();
    assert_eq!(kinds.iter().filter(|why| why.contains("its program knows only")).count(), 2, "{kinds:?}");
    for runner in ["a", "b", "c"] {
        assert_eq!(records(&scope, runner), [], "there is no record of what was not taken");
    }
    end_cleanly(rig);
}

#[test]
fn a_rig_without_runners_has_no_taker_and_kinds_that_there_are_not_are_faults_of_the_config() {
    let rig = launch("[managers.journal]\nkind = \"worker\"\n");
    let error = error_of(offer(&rig.scope(), &TallyInputs::of(1, None), Whom::Any));
    assert_eq!(declined(&error), []);
    assert!(error.to_string().ends_with("nobody runs procedures"), "{error}");
    end_cleanly(rig);
    let refused = fail_to_launch(&runners(&[("a", "kinds = [\"tally\", \"taly\"]\n")])).to_string();
    assert!(refused.contains("taly") && refused.contains("did you mean `tally`"), "{refused}");
}

#[test]
fn a_task_of_one_name_is_one_procedure_however_often_and_from_wherever_it_is_offered() {
    let state = tempfile::tempdir().expect("a folder");
    let config = runners(&[("a", ""), ("b", "")]);
    let start = || Rig::launch(crate::support::topology(&config).state_dir(state.path())).expect("it starts");
    let rig = start();
    let named = |scope: &Scope, whom| {
        let procedures = scope.procedures();
        let task = procedures.task("tally", &dawdling()).expect("written").named("scan/3/0");
        procedures.offer(task, whom).expect("accepted").wait(PATIENCE).expect("somebody has it")
    };
    // Two callers at once, and more.
    let all: Vec<_> = thread::scope(|threads| {
        let asked: Vec<_> = (0..8).map(|_| threads.spawn(|| named(&rig.scope(), Whom::Any))).collect();
        asked.into_iter().map(|one| one.join().expect("told")).collect()
    });
    assert!(all.iter().all(|one| one.taken == all[0].taken), "{all:?}");
    assert_eq!(named(&rig.scope(), Whom::One("b".into())).taken, all[0].taken, "it is with that one");
    end_cleanly(rig);
    let rig = start();
    assert_eq!(named(&rig.scope(), Whom::Any).taken, all[0].taken);
    let count: usize = ["a", "b"].iter().map(|runner| records(&rig.scope(), runner).len()).sum();
    assert_eq!(count, 1);
    end_cleanly(rig);
}

// --- deaths ---

/// A runner that falls in its first offer, before or after it has recorded the task, and one that has done so long ago.
fn faulty(folder: &Path, has_recorded: bool, policy: &str) -> Rig {
    fs::write(folder.join("b"), "").expect("a mark");
    let mut config = String::new();
    for name in ["a", "b"] {
        let _ = writeln!(
            config,
            "[managers.{name}]\nkind = \"faulty_runner\"\nrestart_policy = \"{policy}\"\nmax_retries = 0\n\
             watchdog_ms = 0\n[managers.{name}.config]\nmark = {:?}\nhas_recorded = {has_recorded}",
            folder.join(name)
        );
    }
    launch(&config)
}

#[test]
fn a_runner_that_dies_at_an_offer_is_asked_again_in_its_next_life_and_runs_the_task_once() {
    for has_recorded in [false, true] {
        let folder = tempfile::tempdir().expect("a folder");
        let rig = faulty(folder.path(), has_recorded, "on-failure");
        let journal = folder.path().join("journal");
        let placement = placed(&rig, &TallyInputs::of(2, Some(journal.clone())), Whom::Any);
        assert_eq!(who(&placement), ["a"], "it was not passed on");
        eventually("its end", || {
            records(&rig.scope(), "a").iter().all(|record| record.state == ProcedureState::Finished)
        });
        assert_eq!((records(&rig.scope(), "a").len(), records(&rig.scope(), "b").len()), (1, 0));
        let text = fs::read_to_string(&journal).expect("a journal");
        assert_eq!(text, "1 0 tally-1/1/0\n2 1 tally-1/2/0\n", "it was run once");
        rig.shutdown();
    }
}

#[test]
fn when_a_runner_that_may_have_a_task_does_not_come_back_it_is_said_that_nobody_knows() {
    for has_recorded in [false, true] {
        let folder = tempfile::tempdir().expect("a folder");
        let rig = faulty(folder.path(), has_recorded, "never");
        let quick = TallyInputs::of(1, None);
        let error = error_of(offer(&rig.scope(), &quick, Whom::Any));
        let TaskError::NotKnown { in_doubt, .. } = &error else { panic!("{error}") };
        assert_eq!(in_doubt.iter().map(|it| it.runner.as_str()).collect::<Vec<_>>(), ["a"], "{error}");
        assert_eq!(records(&rig.scope(), "b"), [], "it was not passed on");
        // Who is dead when it is its turn certainly does not take the next one.
        let next = placed(&rig, &quick, Whom::All);
        assert_eq!(who(&next), ["b"]);
        assert!(matches!(next.declined[0].why, Declination::Refused(Refusal::Dead { .. })), "{next:?}");
        // Under a name it might.
        let task = rig.scope().procedures().task("tally", &quick).expect("written").named("again");
        let error = error_of(rig.scope().procedures().offer(task, Whom::Any).expect("accepted"));
        assert!(matches!(&error, TaskError::NotKnown { .. }), "{error}");
        rig.shutdown();
    }
}

#[test]
fn a_step_that_is_run_again_offers_the_same_task_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let rig = launch(&runners(&[("day", ""), ("night", "")]));
    let journal = folder.path().join("journal");
    let inputs = TallyInputs::of(2, Some(journal.clone()));
    let inputs = TallyInputs { at: 1, misdeed: Misdeed::OfferAndFall, ..inputs };
    let id = rig.scope().procedures().of("day").launch("tally", &inputs).expect("accepted");
    let id = id.wait(PATIENCE).expect("launched");
    eventually("its end", || {
        records(&rig.scope(), "day").iter().any(|it| it.id == id && it.state == ProcedureState::Finished)
    });
    let text = fs::read_to_string(&journal).expect("a journal");
    let keys: Vec<_> = text.lines().filter_map(|line| line.split(' ').nth(2)).collect();
    assert_eq!(keys, ["tally-1/1/0", "tally-1/1/0", "tally-1/2/0"], "its first step was run again");
    let all = ["day", "night"].map(|runner| records(&rig.scope(), runner)).concat();
    let tasks = all.iter().filter(|record| record.launched_by == "a step").count();
    assert_eq!(tasks, 1, "{all:?}");
    rig.shutdown();
}

const STORM: [&str; 3] = ["a", "b", "c"];

/// Offers so many tasks, each until it is taken; says who has taken which. Every other one has a name: it may be offered
/// again when nobody knows whether it was taken.
fn offer_many(scope: &Scope, folder: &Path, caller: usize, count: usize) -> Vec<(String, Taken)> {
    let procedures = scope.procedures();
    let mut taken = Vec::new();
    for number in 0..count {
        let journal = folder.join(format!("journal-{caller}-{number}"));
        let inputs = TallyInputs::of(2, Some(journal.clone()));
        let task = procedures.task("tally", &inputs).expect("written");
        let is_named = number % 2 == 0;
        let task = if is_named { task.named(format!("{caller}/{number}")) } else { task };
        let placement = loop {
            match procedures.offer(task.clone(), Whom::Any).expect("accepted").wait(PATIENCE) {
                Ok(placement) => break placement,
                Err(error) => match error.downcast::<TaskError>() {
                    // All are dead at once: nobody has it.
                    Some(TaskError::NoTaker { .. }) => thread::yield_now(),
                    Some(TaskError::NotKnown { .. }) if is_named => thread::yield_now(),
                    _ => panic!("{error}"),
                },
            }
        };
        assert_eq!(placement.taken.len(), 1, "{placement:?}");
        taken.push((journal.display().to_string(), placement.taken[0].clone()));
    }
    taken
}

/// Kills one runner after the other at moments that look like chance, so many at most; says how many.
fn kill_many(rig: &Rig, most: u64, is_over: &AtomicBool) -> u64 {
    let mut kills = 0;
    for number in 0.. {
        if kills == most || is_over.load(Ordering::Relaxed) {
            break;
        }
        let random = scatter(number);
        // Time is what a storm is made of: nothing is waited for here.
        thread::sleep(Duration::from_millis(random >> 32 & 0x1f));
        let victim = STORM[random as usize % STORM.len()];
        let status = rig.status().expect("the rig runs");
        let pid = status.managers.iter().find(|it| it.name == victim).map(|it| it.pid as i32);
        // Between two lives there is nobody to kill.
        if pid.and_then(Pid::from_raw).is_some_and(|pid| kill_process(pid, Signal::KILL).is_ok()) {
            kills += 1;
        }
    }
    kills
}

#[test]
fn every_task_runs_once_while_its_runners_are_killed_at_any_moment() {
    let folder = tempfile::tempdir().expect("a folder");
    let rig = launch(&runners(&STORM.map(|name| (name, ""))));
    let (callers, count) = (3, 25 * storm() as usize);
    let is_over = AtomicBool::new(false);
    let (taken, kills) = thread::scope(|threads| {
        let killer = threads.spawn(|| kill_many(&rig, 60 * storm(), &is_over));
        let offerers: Vec<_> = (0..callers)
            .map(|caller| {
                let (scope, folder) = (rig.scope(), folder.path());
                threads.spawn(move || offer_many(&scope, folder, caller, count))
            })
            .collect();
        let taken: Vec<_> = offerers.into_iter().flat_map(|one| one.join().expect("all are taken")).collect();
        is_over.store(true, Ordering::Relaxed);
        (taken, killer.join().expect("it has killed"))
    });
    let mut seen: BTreeMap<String, Vec<Taken>> = BTreeMap::new();
    for runner in STORM {
        eventually("all ends", || records(&rig.scope(), runner).iter().all(|record| record.state.is_final()));
        for record in records(&rig.scope(), runner) {
            assert_eq!((record.state, record.step), (ProcedureState::Finished, Some(2)), "{record:?}");
            let inputs: TallyInputs = serde_json::from_str(&record.inputs).expect("inputs");
            let journal = inputs.journal.expect("a journal").display().to_string();
            seen.entry(journal).or_default().push(Taken { runner: runner.into(), id: record.id.0 });
        }
    }
    let told: BTreeMap<_, _> = taken.into_iter().map(|(journal, taken)| (journal, vec![taken])).collect();
    assert_eq!(seen, told, "each task is one procedure, where its caller was told");
    for journal in told.keys() {
        let steps = fs::read_to_string(journal).expect("a journal");
        assert_eq!(
            steps.lines().map(|line| line.split(' ').nth(2)).collect::<std::collections::BTreeSet<_>>().len(),
            2
        );
    }
    let summary = rig.shutdown();
    figure("tasks, kills of their runners, offers made again", (told.len(), kills, summary.totals.retried));
    assert!(kills > 0);
}

#[test]
fn a_task_that_meets_the_end_of_the_rig_is_answered() {
    let rig = launch(&runners(&[("a", ""), ("b", "")]));
    let scope = rig.scope();
    kill_process(pid_of(&rig, "a"), Signal::KILL).expect("it lives");
    let pending: Vec<_> = (0..20).map(|_| offer(&scope, &TallyInputs::of(1, None), Whom::Any)).collect();
    rig.shutdown();
    for one in pending {
        let ended = one.wait(PATIENCE).map_err(|error| error.kind());
        assert!(
            ended.is_ok() || ended == Err(CallErrorKind::Failed) || ended == Err(CallErrorKind::Refused),
            "{ended:?}"
        );
    }
}

//! One-way commands that were accepted and do not run: whoever wants to is told of each, with its reason.

use std::fs;
use std::sync::mpsc::{Receiver, channel};

use crate::support::{PATIENCE, end_cleanly, eventually, figure, launch, pid_of, topology, until_busy};
use labrig::Rig;
use labrig::wire::{Undelivered, UndeliveredReason};
use labrig_testbed::awaiter::*;
use labrig_testbed::commands::*;
use rustix::process::{Signal, kill_process};

const CONFIG: &str = "default_deadline_ms = 600000\n[managers.left]\nkind = \"worker\"\nqueue = { depth = 5000 }\n\
                      [managers.right]\nkind = \"awaiter\"";

/// A rig, and what it says of commands that were not delivered.
fn listening() -> (Rig, Receiver<Undelivered>) {
    listening_to(CONFIG)
}

fn listening_to(config: &str) -> (Rig, Receiver<Undelivered>) {
    let rig = launch(config);
    let (told, heard) = channel();
    rig.scope().on_undelivered(move |news| drop(told.send(news.clone())));
    (rig, heard)
}

fn check_news(news: &Undelivered, command: &str, reason: &UndeliveredReason) {
    assert_eq!((news.command.as_str(), news.to.as_str(), &news.reason), (command, "left", reason));
    assert_eq!(news.untold, 0);
}

fn next(heard: &Receiver<Undelivered>) -> Undelivered {
    heard.recv_timeout(PATIENCE).expect("something was not delivered")
}

/// `left` is at a command until it dies.
fn occupy(rig: &Rig) {
    rig.scope().send(Sleep { duration_ms: 60_000 }).expect("accepted");
    until_busy(rig, &["left"]);
}

fn kill(rig: &Rig) {
    kill_process(pid_of(rig, "left"), Signal::KILL).expect("it lives");
}

/// Sends notes until the pipe is full, so that what comes next is queued in the coordinator; says how many.
fn fill_pipe(rig: &Rig) -> u64 {
    (0..2_000).for_each(|number| rig.scope().send(Note { number }).expect("the queue has room"));
    2_000
}

#[test]
fn a_command_that_gave_way_to_a_newer_one_is_told_as_displaced() {
    let (rig, heard) = listening();
    occupy(&rig);
    fill_pipe(&rig);
    for at in 0..10 {
        rig.scope().send(Aim { at }).expect("accepted");
    }
    for _ in 0..9 {
        check_news(&next(&heard), "Aim", &UndeliveredReason::Displaced);
    }
    assert!(heard.try_recv().is_err(), "the newest still waits");
    let status = rig.status().expect("the rig runs");
    assert_eq!(status.managers[0].displaced, 9, "{:?}", status.managers[0]);
    kill(&rig);
    let summary = rig.shutdown();
    assert_eq!(summary.totals.undelivered_displaced, 9, "{:?}", summary.totals);
}

/// What is in the pipe already cannot give way any more: how many older ones does a busy manager still get to?
#[test]
fn of_a_thousand_positions_a_manager_gets_to_the_newest_and_the_others_are_told() {
    let (rig, heard) = listening();
    let busy = rig.scope().request(Sleep { duration_ms: 200 }).expect("accepted");
    until_busy(&rig, &["left"]);
    (0..1_000).for_each(|at| rig.scope().send(Aim { at }).expect("accepted"));
    busy.wait(PATIENCE).expect("done");
    let ran = rig.scope().call(Notes {}).expect("done");
    assert_eq!(ran.last(), Some(&999), "the newest ran");
    figure("1 000 positions for a busy manager, of which only the newest matters: ran", ran.len());
    let told = 1_000 - ran.len();
    (0..told).for_each(|_| check_news(&next(&heard), "Aim", &UndeliveredReason::Displaced));
    assert!(heard.try_recv().is_err(), "nothing is told twice, nor of what ran");
    end_cleanly(rig);
}

#[test]
fn what_was_queued_at_a_death_is_told_as_lost_and_what_ran_as_indeterminate() {
    let (rig, heard) = listening();
    occupy(&rig);
    let count = fill_pipe(&rig);
    kill(&rig);
    check_news(&next(&heard), "Sleep", &UndeliveredReason::Indeterminate);
    (0..count).for_each(|_| check_news(&next(&heard), "Note", &UndeliveredReason::Lost));
    let totals = rig.shutdown().totals;
    assert_eq!((totals.undelivered_lost, totals.undelivered_indeterminate), (count, 1), "{totals:?}");
    assert_eq!(totals.undelivered, count + 1, "{totals:?}");
    assert!(heard.try_recv().is_err(), "nothing is told twice");
}

#[test]
fn a_command_that_ran_is_never_told_as_undelivered() {
    let (rig, heard) = listening();
    for number in 0..500 {
        rig.scope().send(Note { number }).expect("accepted");
    }
    rig.scope().call(Notes {}).expect("done");
    kill(&rig);
    eventually("the death", || rig.status().is_some_and(|status| status.managers[0].state == "failed"));
    assert_eq!(rig.shutdown().totals.undelivered, 0);
    assert!(heard.try_recv().is_err());
}

#[test]
fn a_manager_that_sends_to_a_dead_one_hears_that_it_was_refused() {
    let (rig, heard) = listening();
    kill(&rig);
    eventually("the death", || rig.status().is_some_and(|status| status.managers[0].state == "failed"));
    let send = SendNotes { whom: "left".to_owned(), count: 3 };
    assert_eq!(rig.scope().to("right").call(send), Ok(3), "it cannot know it at once");
    let mut news = Vec::new();
    eventually("the manager's own news", || {
        news = rig.scope().to("right").call(Undeliverable {}).expect("done");
        news.len() == 3
    });
    for one in news {
        assert_eq!(one, "Note to left: `Note` was refused: `left` is dead (and 0)");
    }
    for _ in 0..3 {
        let news = next(&heard);
        assert!(matches!(news.reason, UndeliveredReason::Refused(_)), "{news:?}");
    }
    assert_eq!(rig.shutdown().totals.undelivered_refused, 3);
}

#[test]
fn a_manager_hears_of_each_of_its_commands_that_a_death_has_lost() {
    let (rig, heard) = listening();
    occupy(&rig);
    let send = SendNotes { whom: "left".to_owned(), count: 200 };
    assert_eq!(rig.scope().to("right").call(send), Ok(200));
    eventually("the notes", || rig.status().is_some_and(|status| status.managers[0].queued == 200));
    kill(&rig);
    check_news(&next(&heard), "Sleep", &UndeliveredReason::Indeterminate);
    (0..200).for_each(|_| check_news(&next(&heard), "Note", &UndeliveredReason::Lost));
    let mut news = Vec::new();
    eventually("the manager's own news", || {
        news = rig.scope().to("right").call(Undeliverable {}).expect("done");
        news.len() == 200
    });
    assert!(
        news.iter().all(|one| one == "Note to left: its manager died before taking it (and 0)"),
        "{news:?}"
    );
    rig.shutdown();
}

#[test]
fn what_the_rig_does_not_get_to_before_it_quits_is_told_too() {
    let (rig, heard) = listening();
    rig.scope().send(Sleep { duration_ms: 200 }).expect("accepted");
    until_busy(&rig, &["left"]);
    let count = fill_pipe(&rig);
    let summary = end_cleanly(rig);
    let reasons: Vec<_> = heard.try_iter().map(|news| news.reason).collect();
    assert_eq!(
        reasons,
        vec![UndeliveredReason::Quitting; count as usize],
        "each is told once, and none as lost"
    );
    let totals = &summary.totals;
    assert_eq!((totals.undelivered, totals.undelivered_refused), (count, count), "{totals:?}");
    assert!(summary.has_losses());
}

/// Where the rig keeps its log, while the test runs.
fn logging(config: &str) -> (Rig, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let rig = Rig::launch(topology(config).run_dir(folder.path())).expect("it starts");
    (rig, folder)
}

#[test]
fn each_stands_in_the_log_of_the_run_with_its_sender_and_its_reason() {
    let (rig, folder) = logging(CONFIG);
    occupy(&rig);
    for number in 0..20 {
        rig.scope().send(Note { number }).expect("accepted");
    }
    assert_eq!(rig.scope().to("right").call(SendNotes { whom: "left".to_owned(), count: 30 }), Ok(30));
    eventually("the notes", || rig.status().is_some_and(|status| status.managers[0].queued == 50));
    kill(&rig);
    eventually("the death", || rig.status().is_some_and(|status| status.managers[0].state == "failed"));
    rig.shutdown();
    let log = fs::read_to_string(folder.path().join("run.log")).expect("a log");
    let lines = |line: &str| log.matches(line).count();
    let lost = "to `left` was not delivered: its manager died before taking it";
    assert_eq!(lines(&format!("`Note` from `scope` {lost}")), 20, "{log}");
    assert_eq!(lines(&format!("`Note` from `right` {lost}")), 30, "{log}");
    assert_eq!(lines("`Sleep` from `scope` to `left` was not delivered: its manager died while at it"), 1);
}

/// A manager that reads nothing is told no more than its pipe and its queue of words hold; of the others it is told
/// how many there were, once it reads again.
#[test]
fn one_that_does_not_read_is_told_of_all_its_losses_by_their_number_at_last() {
    const COUNT: u64 = 3_000;
    let (rig, heard) = listening();
    occupy(&rig);
    let send = SendNotes { whom: "left".to_owned(), count: COUNT };
    assert_eq!(rig.scope().to("right").call(send), Ok(COUNT));
    eventually("the notes", || rig.status().is_some_and(|status| status.managers[0].queued == COUNT));
    let right = pid_of(&rig, "right");
    kill_process(right, Signal::STOP).expect("it lives");
    kill(&rig);
    (0..=COUNT).for_each(|_| drop(next(&heard)));
    kill_process(right, Signal::CONT).expect("it lives");
    let told = |news: &[String]| {
        let untold = |one: &String| one.rsplit_once("(and ")?.1.strip_suffix(')')?.parse::<u64>().ok();
        news.iter().map(|one| 1 + untold(one).expect("a number")).sum::<u64>()
    };
    let mut news = Vec::new();
    eventually("word of all", || {
        news = rig.scope().to("right").call(Undeliverable {}).expect("done");
        told(&news) >= COUNT
    });
    assert_eq!(told(&news), COUNT, "none is counted twice");
    assert!((news.len() as u64) < COUNT, "more was told than fits: the test shows nothing");
    let totals = rig.shutdown().totals;
    assert_eq!((totals.undelivered_lost, totals.undelivered_indeterminate), (COUNT, 1), "{totals:?}");
}

/// Also those that managers sent, and those that wait behind a handler that goes on for as long as it may.
#[test]
fn what_managers_have_sent_is_told_as_quitting_when_the_rig_quits() {
    let (rig, heard) = listening();
    rig.scope().send(Sleep { duration_ms: 300 }).expect("accepted");
    until_busy(&rig, &["left"]);
    assert_eq!(rig.scope().to("right").call(SendNotes { whom: "left".to_owned(), count: 700 }), Ok(700));
    eventually("the notes", || rig.status().is_some_and(|status| status.managers[0].queued == 700));
    let summary = end_cleanly(rig);
    let reasons: Vec<_> = heard.try_iter().map(|news| news.reason).collect();
    assert_eq!(reasons, vec![UndeliveredReason::Quitting; 700]);
    assert_eq!(summary.totals.undelivered_refused, 700, "{:?}", summary.totals);
}

/// One that is killed for it, at the deadline of the quit, was told to end all the same.
#[test]
fn what_waits_for_one_that_does_not_end_in_time_is_told_as_quitting_and_what_it_was_at_is_not() {
    let (rig, heard) =
        listening_to(&CONFIG.replace("default_deadline_ms", "quit_deadline_ms = 100\ndefault_deadline_ms"));
    occupy(&rig);
    let count = fill_pipe(&rig);
    let summary = rig.shutdown();
    let reasons: Vec<_> = heard.try_iter().map(|news| (news.command, news.reason)).collect();
    let of = |command: &str, reason: &UndeliveredReason| {
        reasons.iter().filter(|(name, why)| name == command && why == reason).count() as u64
    };
    assert_eq!(of("Note", &UndeliveredReason::Quitting), count, "{:?}", reasons.last());
    assert_eq!(of("Sleep", &UndeliveredReason::Indeterminate), 1);
    assert_eq!(reasons.len() as u64, count + 1);
    assert!(!summary.is_clean);
}

#[test]
fn what_waits_for_one_that_is_started_again_by_an_order_is_told_and_nothing_of_it_reaches_its_next_life() {
    let (rig, heard) = listening();
    rig.scope().send(Sleep { duration_ms: 300 }).expect("accepted");
    until_busy(&rig, &["left"]);
    let count = fill_pipe(&rig);
    rig.scope().restart("left").expect("accepted").wait(PATIENCE).expect("it is back");
    (0..count).for_each(|_| check_news(&next(&heard), "Note", &UndeliveredReason::Quitting));
    assert_eq!(rig.scope().call(Notes {}), Ok(vec![]));
    let totals = end_cleanly(rig).totals;
    assert_eq!((totals.undelivered, totals.undelivered_refused), (count, count), "{totals:?}");
}

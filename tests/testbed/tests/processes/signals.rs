//! Signals between processes: published, read, waited for; across deaths and restarts.

use std::thread;
use std::time::Duration;

use labrig::remote::SignalError;
use labrig::{CallError, Rig, Scope, SignalReader};
use labrig_testbed::gauge::*;

use crate::restarts::{kill, until_in_life};
use crate::support::{PATIENCE, end_cleanly, eventually, launch, storm, until_begun};

const GAUGE: &str = "[managers.gauge]\nkind = \"gauge\"\n";
const ONLOOKER: &str = "[managers.onlooker]\nkind = \"onlooker\"\nafter = [\"gauge\"]\n";
const RESTARTS: &str = "restart_policy = \"on-failure\"\nrestart_delay_ms = 10\n";

fn launch_both() -> Rig {
    launch(&format!("{GAUGE}{ONLOOKER}"))
}

fn set_level(scope: &Scope, level_mm: f64) {
    scope.request(SetLevel { level_mm }).expect("accepted").wait(PATIENCE).expect("done");
}

fn look_at(scope: &Scope, signal: &str) -> Result<Seen, CallError> {
    scope.request(LookAt { signal: signal.to_owned() }).expect("accepted").wait(PATIENCE)
}

#[test]
fn what_a_manager_publishes_is_read_in_the_coordinator_and_in_other_managers() {
    let rig = launch(&format!("{GAUGE}{ONLOOKER}config = {{ first = \"gauge.level_mm\" }}\n"));
    let scope = rig.scope();
    let mut level = scope.signal::<f64>("gauge.level_mm").expect("it is published");
    let first = level.read().expect("published in set-up");
    assert_eq!((first.value, first.sequence, first.generation, first.is_stale), (0.0, 1, 1, false));
    set_level(&scope, 12.5);
    let second = level.read().expect("published");
    assert!(second.value == 12.5 && second.sequence == 2 && second.at_ns > first.at_ns, "{second:?}");
    let seen = look_at(&scope, "gauge.level_mm").expect("read in the onlooker");
    assert_eq!(seen, Seen { value: 12.5, generation: 1, is_stale: false });
    end_cleanly(rig);
    assert!(level.read().expect("the last value stays").is_stale);
}

#[test]
fn signals_of_every_type_are_read_by_name_and_as_a_set() {
    let rig = launch_both();
    let scope = rig.scope();
    scope.request(CountTo { last: 3 }).expect("accepted").wait(PATIENCE).expect("done");
    let set = scope.signals::<Related>("gauge").expect("it publishes that set").read().expect("published");
    assert_eq!(set.value, Related::to(3));
    assert_eq!(scope.signal::<i64>("gauge.below").expect("found").read().expect("published").value, -3);
    assert_eq!(
        scope.signal::<Parity>("gauge.parity").expect("found").read().expect("published").value,
        Parity::Odd
    );
    let multiples = scope.signal::<[f64; 6]>("gauge.multiples").expect("found").read().expect("published");
    assert_eq!(multiples.value, [0.0, 3.0, 6.0, 9.0, 12.0, 15.0]);
    end_cleanly(rig);
}

#[test]
fn a_signal_of_any_type_is_read_and_waited_for_as_json() {
    let rig = launch_both();
    let scope = rig.scope();
    let mut parity = scope.any_signal("gauge.parity").expect("it is published");
    let mut multiples = scope.any_signal("gauge.multiples").expect("it is published");
    let pending = scope.request(CountTo { last: 3 }).expect("accepted");
    let is_nine = |values: &serde_json::Value| values[3] == 9.0;
    let found = multiples.wait_until(is_nine, PATIENCE).expect("it comes to be so");
    assert_eq!(found.value, serde_json::json!([0.0, 3.0, 6.0, 9.0, 12.0, 15.0]));
    pending.wait(PATIENCE).expect("done");
    assert_eq!(parity.read().expect("published").value, "Odd");
    let mut level = scope.any_signal("gauge.level_mm").expect("it is published");
    let never = level.wait_until(|_| false, Duration::from_millis(5)).expect_err("it is never so");
    assert!(matches!(never, SignalError::NotInTime { .. }), "{never}");
    let unknown = scope.any_signal("gauge.levle_mm").err().expect("there is no such signal");
    assert!(unknown.to_string().starts_with("no signal is called `gauge.levle_mm`"), "{unknown}");
    end_cleanly(rig);
}

fn check_refused<T: labrig::SignalValue>(scope: &Scope, signal: &str, expected: &str) {
    let error = scope.signal::<T>(signal).err().expect("there is no such signal").to_string();
    assert_eq!(error, expected);
}

#[test]
fn a_signal_that_there_is_not_is_refused_with_those_that_there_are() {
    let rig = launch_both();
    let scope = rig.scope();
    let known =
        "[\"gauge.count\", \"gauge.below\", \"gauge.multiples\", \"gauge.parity\", \"gauge.level_mm\"]";
    let unknown = |signal: &str| format!("no signal is called `{signal}`; known there: {known}");
    check_refused::<f64>(&scope, "gauge.levle_mm", &unknown("gauge.levle_mm"));
    let nobody = "no manager `onlooker` publishes signals; these do: [\"gauge\"]";
    check_refused::<f64>(&scope, "onlooker.level_mm", nobody);
    check_refused::<f32>(&scope, "gauge.level_mm", "`gauge.level_mm` is f64, expected f32");
    check_refused::<u8>(&scope, "gauge.parity", "`gauge.parity` is Parity, expected u8");
    for (signal, expected) in [("gauge.levle_mm", &*unknown("gauge.levle_mm")), ("onlooker.level_mm", nobody)]
    {
        let error = look_at(&scope, signal).expect_err("refused there too").to_string();
        assert!(error.contains(expected), "{error}");
    }
    let told = scope.request(PublishInVain {}).expect("accepted").wait(PATIENCE).expect("done");
    assert!(told[0].contains("does not publish `Undeclared`"), "{told:?}");
    assert_eq!(told[1], "the publisher of `Related` is in use already");
    end_cleanly(rig);
}

#[test]
fn no_reader_in_any_process_ever_sees_a_torn_set() {
    let rig = launch_both();
    let scope = rig.scope();
    let last = 200_000 * storm();
    let looking = LookUntil { manager: "gauge".to_owned(), count: last };
    let there = scope.without_deadline().request(looking).expect("accepted");
    until_begun(&there);
    let counting = scope.without_deadline().request(CountTo { last }).expect("accepted");
    let mut reader = scope.signals::<Related>("gauge").expect("it publishes that set");
    let (mut seen, mut count) = (0_u64, 0);
    while count < last {
        let reading = reader.read().expect("published");
        assert!(reading.value.is_whole() && reading.value.count >= count, "torn: {reading:?}");
        seen += u64::from(reading.value.count > count);
        count = reading.value.count;
    }
    counting.wait(PATIENCE * 20).expect("done");
    let seen_there = there.wait(PATIENCE * 20).expect("no torn set in the onlooker");
    assert!(seen > 0 && seen_there > 1, "{seen} here, {seen_there} there");
    end_cleanly(rig);
}

/// Waits for a change that comes while somebody sleeps; the change is made when nothing else can wake it.
fn check_waited_for(mut level: SignalReader<f64>, scope: &Scope) {
    thread::scope(|threads| {
        let waiting = threads.spawn(move || level.wait_until(|level_mm| *level_mm > 40.0, PATIENCE));
        for level_mm in [10.0, 20.0, 30.0, 41.0] {
            set_level(scope, level_mm);
        }
        assert_eq!(waiting.join().expect("it does not panic").expect("it comes").value, 41.0);
    });
}

#[test]
fn a_change_is_waited_for_without_polling() {
    let rig = launch_both();
    let scope = rig.scope();
    check_waited_for(scope.signal("gauge.level_mm").expect("found"), &scope);
    let order = |above_mm| AwaitLevel { signal: "gauge.level_mm".to_owned(), above_mm, patience_ms: 30_000 };
    let there = scope.request(order(50.0)).expect("accepted");
    until_begun(&there);
    set_level(&scope, 51.0);
    assert_eq!(there.wait(PATIENCE).expect("it comes"), 51.0);
    let mut level = scope.signal::<f64>("gauge.level_mm").expect("found");
    level.read().expect("published");
    let error = level.wait_for_next(Duration::from_millis(1)).expect_err("nothing is published");
    assert!(matches!(error, SignalError::NotInTime { .. }), "{error}");
    end_cleanly(rig);
}

#[test]
fn a_handler_that_waits_for_a_signal_gives_up_when_it_is_cancelled_and_at_a_stop() {
    let rig = launch_both();
    let scope = rig.scope().without_deadline();
    let order = AwaitLevel { signal: "gauge.level_mm".to_owned(), above_mm: 1e9, patience_ms: 1_000_000 };
    let waiting = scope.request(order.clone()).expect("accepted");
    until_begun(&waiting);
    waiting.cancel();
    assert!(matches!(waiting.wait(PATIENCE), Err(CallError::Cancelled { .. })));
    let waiting = scope.request(order).expect("accepted");
    until_begun(&waiting);
    let report = scope.stop_all().expect("accepted").wait(PATIENCE).expect("done");
    assert!(report.is_safe(), "{report:?}");
    assert!(matches!(waiting.wait(PATIENCE), Err(CallError::Cancelled { .. })));
    end_cleanly(rig);
}

#[test]
fn the_last_value_of_a_dead_manager_stays_and_its_next_life_is_read_by_the_same_readers() {
    let rig = launch(&format!("{GAUGE}{RESTARTS}{ONLOOKER}"));
    let scope = rig.scope();
    let mut level = scope.signal::<f64>("gauge.level_mm").expect("found");
    for life in 1..=3 {
        set_level(&scope, 10.0 * f64::from(life));
        let seen = look_at(&scope, "gauge.level_mm").expect("read");
        assert_eq!((seen.value, seen.generation, seen.is_stale), (10.0 * f64::from(life), life, false));
        assert_eq!(level.read().expect("published").generation, life);
        thread::scope(|threads| {
            let mut level = level.clone();
            let waiting = threads.spawn(move || level.wait_until(|level_mm| *level_mm > 1e9, PATIENCE));
            kill(&rig, "gauge");
            let error = waiting.join().expect("it does not panic").expect_err("its manager is dead");
            assert!(matches!(error, SignalError::Ended { generation, .. } if generation == life), "{error}");
        });
        let reading = level.read().expect("the last value, or the first of the next life");
        assert!(
            reading.value == 10.0 * f64::from(life) && reading.is_stale || reading.generation == life + 1
        );
        until_in_life(&rig, "gauge", life + 1);
        eventually("the first value of the next life", || {
            level.read().is_ok_and(|reading| reading.generation == life + 1 && reading.value == 0.0)
        });
    }
    assert_eq!(rig.shutdown().deaths.len(), 3);
}

#[test]
fn a_manager_that_stays_dead_leaves_its_last_value_marked_as_stale() {
    let rig = launch_both();
    let scope = rig.scope();
    set_level(&scope, 7.0);
    look_at(&scope, "gauge.level_mm").expect("read");
    kill(&rig, "gauge");
    let mut level = scope.signal::<f64>("gauge.level_mm").expect("found");
    eventually("a stale value", || {
        level.read().is_ok_and(|reading| reading.is_stale && reading.value == 7.0)
    });
    let seen = look_at(&scope, "gauge.level_mm").expect("read");
    assert_eq!(seen, Seen { value: 7.0, generation: 1, is_stale: true });
    rig.shutdown();
}

//! Waiting for ever is refused: at once, by whoever would close the circle, and with everyone on it named.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::support::{PATIENCE, end_cleanly, end_empty, eventually, figure, launch, storm, until_busy};
use labrig::{PendingReply, Rig};
use labrig_testbed::ringer::*;

const WAYS: [Asking; 2] = [Asking::Call, Asking::RequestThenWait];

/// A rig of so many ringers, called `a`, `b`, `c` …
fn ringers(count: usize) -> Rig {
    let config: String =
        (0..count).map(|at| format!("[managers.{}]\nkind = \"ringer\"\n", name(at))).collect();
    launch(&format!("default_deadline_ms = 600000\n{config}"))
}

fn name(at: usize) -> String {
    char::from(b'a' + u8::try_from(at).expect("a few")).to_string()
}

fn check_ringers(count: usize, act: impl FnOnce(&Rig)) {
    let rig = ringers(count);
    act(&rig);
    eventually("an empty table of calls", || rig.status().is_some_and(|status| status.in_flight == 0));
    end_cleanly(rig);
}

fn names(row: &[&str]) -> Vec<String> {
    row.iter().map(|name| (*name).to_owned()).collect()
}

/// Whether a call ended because it would have closed that ring of managers, and says so.
///
/// Whoever calls is refused at the last call. Where managers ask first and wait then, it is whoever waits last,
/// and that may be any of them.
fn is_refused(end: &Rung, ring: &[&str], way: Asking) -> bool {
    let last = ring.len() - 1;
    (0..ring.len()).filter(|at| way == Asking::RequestThenWait || *at == last).any(|at| {
        let cycle: Vec<_> = (0..=ring.len()).map(|step| ring[(at + step) % ring.len()]).collect();
        *end == refusal(&cycle, way)
    })
}

/// How a call ends that would close a cycle, as seen by whoever made it.
fn refusal(cycle: &[&str], way: Asking) -> Rung {
    let (by, cycle) = (cycle[0].to_owned(), names(cycle));
    match way {
        Asking::Call => Rung::Refused { by, cycle },
        Asking::RequestThenWait => Rung::NotAwaited { by, cycle },
    }
}

/// Has the first of a row call the next, and so on, of so many managers; the last call would close that ring.
fn check_ring(managers: usize, row: &[&str], ring: &[&str]) {
    for way in WAYS {
        check_ringers(managers, |rig| {
            let scope = rig.scope();
            let end = match row {
                ["scope", row @ ..] => scope.request(ScopeRingsOn { row: names(row), by: way }),
                row => scope.to(row[0]).request(RingOn { row: names(&row[1..]), by: way }),
            };
            let end = end.expect("accepted").wait(PATIENCE).expect("no call hangs");
            assert!(is_refused(&end, ring, way), "{end:?}");
        });
    }
}

#[test]
fn a_call_to_oneself_is_refused_at_once() {
    check_ring(1, &["a", "a"], &["a"]);
}

#[test]
fn two_that_would_wait_for_each_other_do_not() {
    check_ring(2, &["a", "b", "a"], &["a", "b"]);
}

#[test]
fn a_ring_of_three_and_one_of_four_are_not_closed() {
    check_ring(3, &["a", "b", "c", "a"], &["a", "b", "c"]);
    check_ring(4, &["a", "b", "c", "d", "a"], &["a", "b", "c", "d"]);
}

#[test]
fn a_ring_need_not_go_through_whoever_began() {
    check_ring(4, &["a", "b", "c", "d", "b"], &["b", "c", "d"]);
}

#[test]
fn the_scope_is_a_part_of_rings_too() {
    check_ring(1, &["a", "scope", "scope"], &["scope"]);
    check_ring(1, &["a", "scope", "a"], &["a", "scope"]);
    check_ring(1, &["scope", "a", "scope"], &["scope", "a"]);
    check_ring(2, &["a", "b", "scope", "b"], &["b", "scope"]);
}

#[test]
fn a_row_that_does_not_come_back_is_no_ring() {
    for way in WAYS {
        check_ringers(4, |rig| {
            let ring = RingOn { row: names(&["b", "scope", "c", "d"]), by: way };
            let rung = rig.scope().to("a").request(ring).expect("accepted").wait(PATIENCE);
            assert_eq!(rung, Ok(Rung::Done));
        });
    }
}

#[test]
fn a_broadcast_is_not_waited_for_by_a_member_of_its_audience() {
    check_ringers(3, |rig| {
        let rung = rig.scope().to("b").request(TellAllAndWait {}).expect("accepted").wait(PATIENCE);
        assert_eq!(rung, Ok(refusal(&["b", "b"], Asking::RequestThenWait)));
        let report = rig.scope().broadcast(TellAll {}).expect("accepted").wait(PATIENCE).expect("a report");
        assert!(report.is_all_done(), "{report}");
    });
}

#[test]
fn whoever_hears_a_broadcast_may_not_wait_for_a_sender_that_waits_for_all() {
    let deaf = "[managers.a]\nkind = \"ringer\"\nhears = [{ subject = \"Nothing\" }]\n\
                [managers.b]\nkind = \"ringer\"\n[managers.c]\nkind = \"ringer\"";
    let rig = launch(deaf);
    match rig.scope().to("a").call(BeTouchedByAll {}) {
        Ok(ends) => assert_eq!(ends, ["b", "c"].map(|name| refusal(&[name, "a", name], Asking::Call))),
        // Whoever hears it may call before the sender has said that it waits; then it is the sender who may not.
        Err(error) => {
            let text = error.to_string();
            assert!(["a → b → a", "a → c → a"].iter().any(|cycle| text.contains(cycle)), "{text}");
        }
    }
    end_cleanly(rig);
}

#[test]
fn another_thread_of_a_manager_may_call_its_own_manager() {
    check_ringers(1, |rig| {
        rig.scope().call(CallSelfFromThread {}).expect("done");
        eventually("the end of its calls", || match rig.scope().call(ThreadsCalls {}).expect("done") {
            ends if ends.is_empty() => false,
            ends => {
                assert_eq!(ends, [Rung::Done, Rung::Done]);
                true
            }
        });
    });
}

#[test]
fn a_thread_of_the_coordinator_may_wait_for_a_handler_of_the_scope_that_waits_for_a_manager() {
    check_ringers(1, |rig| {
        let ring = ScopeRingsOn { row: names(&["a"]), by: Asking::RequestThenWait };
        assert_eq!(rig.scope().call(ring), Ok(Rung::Done));
    });
}

/// A place where ringers meet.
struct Place {
    _folder: tempfile::TempDir,
    file: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("rounds");
        std::fs::write(&file, [0; 64]).expect("it can be written");
        Self { _folder: folder, file }
    }

    /// Has the manager at that place among `of` call the next one, once all have come for that round.
    fn send(&self, rig: &Rig, own: usize, of: usize, round: u64, by: Asking) -> PendingReply<Rung> {
        let random = scatter(round * of as u64 + own as u64);
        // Now together, now one after the other.
        let dawdles_us = if random.is_multiple_of(4) { random / 4 % 40 } else { 0 };
        let (place, whom, of, at) = (self.file.clone(), name((own + 1) % of), of as u64, name(own));
        let meet = Meet { place, round, own: own as u64, of, dawdles_us, whom, by };
        rig.scope().to(&at).request(meet).expect("accepted")
    }

    /// Says for so many that they have come for the first round; somebody reads it all the while.
    fn let_all_come(&self, parties: u64) {
        let place = OpenOptions::new().write(true).open(&self.file).expect("it is there");
        (0..parties)
            .for_each(|at| place.write_all_at(&1_u64.to_le_bytes(), at * 8).expect("it can be written"));
    }

    /// Has one of two managers call the other when it gets to it.
    fn send_alone(&self, rig: &Rig, own: usize, round: u64) -> PendingReply<Rung> {
        let (place, whom, by) = (self.file.clone(), name(1 - own), WAYS[(round as usize >> own) % 2]);
        let meet = Meet { place, round, own: own as u64, of: 0, dawdles_us: 0, whom, by };
        rig.scope().to(&name(own)).request(meet).expect("accepted")
    }
}

/// A number that looks as if it had come by chance, the same in every run.
fn scatter(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^= mixed >> 27;
    mixed.wrapping_mul(0x94d0_49bb_1331_11eb) >> 33
}

/// Lets so many managers, which all do something already, call each other in a ring at the same moment, again and
/// again: each time one call of the ring is refused and the others are done.
fn check_collisions(parties: usize, rounds: u64) {
    let (rig, place) = (ringers(parties), Place::new());
    let (mut refused_by, begin) = (vec![0_u64; parties], Instant::now());
    for round in 1..=rounds {
        let way = |at: usize| WAYS[(round as usize >> at) % 2];
        let calls: Vec<_> = (0..parties).map(|at| place.send(&rig, at, parties, round, way(at))).collect();
        let ends: Vec<_> =
            calls.into_iter().map(|call| call.wait(PATIENCE).expect("no call hangs")).collect();
        let refused: Vec<_> = (0..parties).filter(|at| ends[*at] != Rung::Done).collect();
        let [one] = refused[..] else { panic!("round {round}: {ends:?}") };
        check_refused(&ends[one], one, parties, way(one));
        refused_by[one] += 1;
    }
    let each = begin.elapsed() / u32::try_from(rounds).expect("not so many");
    figure(&format!("{rounds} collisions of {parties}: refused, by who called"), refused_by);
    figure(&format!("{rounds} collisions of {parties}: each took"), each);
    let summary = end_empty(rig, "collisions");
    assert!(summary.is_clean, "{summary:#?}");
}

fn check_refused(end: &Rung, at: usize, parties: usize, way: Asking) {
    let cycle: Vec<_> = (0..=parties).map(|step| name((at + step) % parties)).collect();
    let cycle: Vec<_> = cycle.iter().map(String::as_str).collect();
    assert_eq!(*end, refusal(&cycle, way));
}

#[test]
fn of_two_calls_that_collide_one_is_refused_and_one_is_done_ten_thousand_times() {
    check_collisions(2, 10_000 * storm());
}

#[test]
fn of_three_or_four_calls_that_collide_one_is_refused_and_the_others_are_done() {
    check_collisions(3, 1_000 * storm());
    check_collisions(4, 1_000 * storm());
}

#[test]
fn two_that_call_each_other_whenever_they_get_to_it_are_both_done_or_one_is_refused() {
    let (rig, place) = (ringers(2), Place::new());
    let (rounds, mut collided) = (3_000 * storm(), 0);
    for round in 1..=rounds {
        let first = place.send_alone(&rig, 0, round);
        dawdle(scatter(round) % 300);
        let calls = [first, place.send_alone(&rig, 1, round)];
        let ends = calls.map(|call| call.wait(PATIENCE).expect("no call hangs"));
        let refused = ends.iter().filter(|end| **end != Rung::Done).count();
        assert!(refused < 2, "round {round}: {ends:?}");
        collided += refused as u64;
    }
    let what = format!("{rounds} rounds of two that call each other when they get to it: collided, passed");
    figure(&what, (collided, rounds - collided));
    end_empty(rig, "chance meetings");
}

fn dawdle(duration_us: u64) {
    let until = Instant::now() + Duration::from_micros(duration_us);
    while Instant::now() < until {}
}

#[test]
fn calls_that_began_independently_are_not_closed_to_a_ring() {
    let (rig, place) = (ringers(3), Place::new());
    let ring = |whom: &str, next: &str| {
        let ring = RingOn { row: names(&[next]), by: Asking::Call };
        rig.scope().to(whom).request(ring).expect("accepted")
    };
    // `c` does something until the others wait: `a` for `b`, and `b` for `c`.
    let last = place.send(&rig, 2, 3, 1, Asking::Call);
    until_busy(&rig, &["c"]);
    let second = ring("b", "c");
    eventually("that `b` waits for `c`", || queued_at(&rig, "c") == 1);
    let first = ring("a", "b");
    eventually("that `a` waits for `b`", || queued_at(&rig, "b") == 1);
    place.let_all_come(3);
    let refused = last.wait(PATIENCE).expect("done");
    assert_eq!(refused, refusal(&["c", "a", "b", "c"], Asking::Call));
    assert_eq!([first.wait(PATIENCE), second.wait(PATIENCE)], [Ok(Rung::Done), Ok(Rung::Done)]);
    end_empty(rig, "a ring of three");
}

fn queued_at(rig: &Rig, manager: &str) -> u64 {
    let status = rig.status().expect("the rig runs");
    status.managers.iter().find(|it| it.name == manager).map_or(0, |it| it.queued)
}

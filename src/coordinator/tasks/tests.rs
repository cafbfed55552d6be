//! A task is with one runner at most, whatever the runners say and whenever they die; and what its sender is told is true.

use std::collections::BTreeMap;

use super::passing::{Heard, Next, Passing};
use crate::remote::{Declination, Placement, TaskError, Whom};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

fn runners(count: usize) -> Vec<String> {
    NAMES[..count].iter().map(|name| (*name).to_owned()).collect()
}

/// Plays a passing on with these answers, one for each offer in the order in which they are made.
fn play(whom: Whom, may_be_known: bool, answers: &[Heard]) -> (Vec<String>, Result<Placement, TaskError>) {
    let mut passing = Passing::begin("task".into(), &whom, &runners(3), may_be_known);
    let (mut asked, mut at) = (Vec::new(), Vec::new());
    loop {
        match passing.next() {
            Next::Offer { runner, only_asks } => {
                asked.push(format!("{runner}{}", if only_asks { "?" } else { "" }));
                at.push((runner, answers[asked.len() - 1].clone()));
            }
            Next::Wait => {
                let (runner, heard) = at.remove(0);
                passing.heard(runner, heard);
            }
            Next::Over(end) => return (asked, end),
        }
    }
}

fn check(whom: Whom, may_be_known: bool, answers: &[Heard], asked: &[&str], expected: &str) {
    let (seen, end) = play(whom, may_be_known, answers);
    assert_eq!(seen, asked);
    let told = match end {
        Ok(placement) => {
            let taken: Vec<_> =
                placement.taken.iter().map(|it| format!("{} at {}", it.id, it.runner)).collect();
            taken.join(", ")
        }
        Err(error) => error.to_string(),
    };
    assert_eq!(told, expected);
}

fn taken(id: &str) -> Heard {
    Heard::Taken(id.into())
}

fn full() -> Heard {
    Heard::Declined(Declination::QueueFull { waiting: 2 })
}

fn unfit() -> Heard {
    Heard::Declined(Declination::BadInputs { faults: vec!["a fault".into()] })
}

fn doubt() -> Heard {
    Heard::InDoubt("it died".into())
}

#[test]
fn a_task_for_any_is_passed_on_until_somebody_takes_it() {
    check(Whom::Any, false, &[taken("x-1")], &["a"], "x-1 at a");
    check(
        Whom::Any,
        false,
        &[full(), Heard::Declined(Declination::Lost), taken("x-1")],
        &["a", "b", "c"],
        "x-1 at c",
    );
    let nobody = "nobody takes `task`: `a`: its queue is full (2 waiting), `b`: it is ending, `c`: its queue is full (2 waiting)";
    check(
        Whom::Any,
        false,
        &[full(), Heard::Declined(Declination::Ending), full()],
        &["a", "b", "c"],
        nobody,
    );
}

#[test]
fn wrong_inputs_and_doubts_are_not_passed_on() {
    check(
        Whom::Any,
        false,
        &[full(), unfit()],
        &["a", "b"],
        "the inputs of `task` do not fit, by `b`: a fault",
    );
    check(
        Whom::Any,
        false,
        &[full(), doubt()],
        &["a", "b"],
        "it is not known whether `task` runs: `b`: it died",
    );
}

#[test]
fn the_answer_of_the_one_that_is_addressed_is_the_answer() {
    check(Whom::One("b".into()), false, &[taken("x-1")], &["b"], "x-1 at b");
    check(
        Whom::One("b".into()),
        false,
        &[full()],
        &["b"],
        "nobody takes `task`: `b`: its queue is full (2 waiting)",
    );
    let nobody = "nobody takes `task`: `z`: it runs no procedures; [\"a\", \"b\", \"c\"] do";
    check(Whom::One("z".into()), false, &[], &[], nobody);
}

#[test]
fn a_task_for_all_is_offered_to_all_and_done_by_those_who_take_it() {
    let all = ["a", "b", "c"];
    check(Whom::All, false, &[taken("x-1"), full(), taken("x-7")], &all, "x-1 at a, x-7 at c");
    check(Whom::All, false, &[full(), doubt(), taken("x-7")], &all, "x-7 at c");
    check(
        Whom::All,
        true,
        &[full(), doubt(), full()],
        &all,
        "it is not known whether `task` runs: `b`: it died",
    );
    check(
        Whom::All,
        false,
        &[unfit(), full(), unfit()],
        &all,
        "the inputs of `task` do not fit, by `a`: a fault",
    );
    let (_, end) = play(Whom::All, false, &[full(), doubt(), taken("x-7")]);
    let placement = end.expect("somebody has it");
    assert_eq!((placement.declined.len(), placement.in_doubt.len()), (1, 1));
}

#[test]
fn a_task_that_may_be_known_is_asked_for_everywhere_before_it_is_offered() {
    let asked = ["a?", "b?", "c?"];
    check(Whom::Any, true, &[Heard::HasNot, taken("x-1"), Heard::HasNot], &asked, "x-1 at b");
    let offered = ["a?", "b?", "c?", "b"];
    let has_not = [Heard::HasNot, Heard::HasNot, Heard::HasNot, taken("x-1")];
    check(Whom::One("b".into()), true, &has_not, &offered, "x-1 at b");
    let dead = Heard::Declined(Declination::Lost);
    let not_known = "it is not known whether `task` runs: `c`: it died before it had the offer";
    check(Whom::Any, true, &[Heard::HasNot, Heard::HasNot, dead], &asked, not_known);
}

#[test]
fn without_runners_nobody_takes_it() {
    for whom in [Whom::Any, Whom::All] {
        for may_be_known in [false, true] {
            let end = Passing::begin("task".into(), &whom, &[], may_be_known).next();
            let Next::Over(Err(error)) = end else { panic!("{end:?}") };
            assert_eq!(error.to_string(), "nobody takes `task`: nobody runs procedures");
        }
    }
}

/// Numbers that look like chance and are the same everywhere.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

/// Runners that have a task or not, and say so, die before or after they have taken it, or refuse.
struct World {
    has: BTreeMap<String, bool>,
    chance: Chance,
}

impl World {
    fn hear(&mut self, runner: &str, only_asks: bool) -> Heard {
        let fate = self.chance.below(8);
        let has = self.has.get_mut(runner).expect("a runner");
        match fate {
            0 => Heard::Declined(Declination::Lost),
            1 | 2 => {
                *has |= fate == 1 && !only_asks;
                doubt()
            }
            _ if *has => taken("x-1"),
            _ if only_asks => Heard::HasNot,
            3 => unfit(),
            4 | 5 => full(),
            _ => {
                *has = true;
                taken("x-1")
            }
        }
    }

    fn who_has(&self) -> Vec<&str> {
        self.has.iter().filter(|(_, has)| **has).map(|(name, _)| name.as_str()).collect()
    }
}

/// One task, offered once or, under its name, again and again.
fn check_history(seed: u64) -> &'static str {
    let mut chance = Chance(seed);
    let all = runners(1 + chance.below(4));
    let is_named = chance.below(2) == 0;
    let whom =
        [Whom::Any, Whom::All, Whom::One(all[chance.below(all.len())].clone())][chance.below(3)].clone();
    let mut world = World { has: all.iter().map(|name| (name.clone(), false)).collect(), chance };
    let mut last = "";
    for _ in 0..if is_named { 4 } else { 1 } {
        let mut order = all.clone();
        order.rotate_left(world.chance.below(all.len()));
        let mut passing = Passing::begin("task".into(), &whom, &order, is_named);
        let (mut at, mut offers) = (Vec::new(), 0);
        let end = loop {
            match passing.next() {
                Next::Offer { runner, only_asks } => {
                    offers += 1;
                    at.push((runner, only_asks));
                }
                Next::Wait => {
                    let (runner, only_asks) = at.swap_remove(world.chance.below(at.len()));
                    let heard = world.hear(&runner, only_asks);
                    passing.heard(runner, heard);
                }
                Next::Over(end) => break end,
            }
        };
        assert!(at.is_empty(), "seed {seed}: somebody is still to answer");
        assert!(offers <= 2 * all.len(), "seed {seed}: {offers} offers");
        last = check_end(seed, &world, &whom, &end);
    }
    last
}

fn check_end(seed: u64, world: &World, whom: &Whom, end: &Result<Placement, TaskError>) -> &'static str {
    let has = world.who_has();
    assert!(*whom == Whom::All || has.len() <= 1, "seed {seed}: it is with {has:?}");
    match end {
        Ok(placement) => {
            assert!(!placement.taken.is_empty(), "seed {seed}");
            assert!(
                placement.taken.iter().all(|it| has.contains(&it.runner.as_str())),
                "seed {seed}: {placement:?}"
            );
            "taken"
        }
        Err(TaskError::NotKnown { in_doubt, .. }) => {
            let doubted = |name: &&str| in_doubt.iter().any(|it| it.runner == **name);
            assert!(has.iter().all(doubted), "seed {seed}: {in_doubt:?}, but {has:?} have it");
            "not known"
        }
        Err(TaskError::NoTaker { .. }) => {
            assert!(has.is_empty(), "seed {seed}: {has:?} have it");
            "nobody"
        }
        Err(TaskError::BadInputs { .. }) => {
            assert!(has.is_empty(), "seed {seed}: {has:?} have it");
            "bad inputs"
        }
    }
}

#[test]
fn no_history_has_a_task_run_twice_or_its_sender_deceived() {
    let mut ends = BTreeMap::new();
    for seed in 0..20_000 {
        *ends.entry(check_history(seed)).or_insert(0) += 1;
    }
    println!("figure: histories by how they end: {ends:?}");
    assert_eq!(ends.len(), 4, "each end is reached");
}

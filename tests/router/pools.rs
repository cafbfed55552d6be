//! Pools: several managers of one kind behind one queue.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use labrig::coordinator::router::{Caller, Life, Route, Router, Station};
use labrig::remote::scope::Ping;
use labrig::wire::{
    Command, CommandId, DeliveryKind, Ending, Failure, Generation, Kind, ManagerName, NotDone, Overflow,
    Refusal, UndeliveredReason,
};

use super::bench::*;

/// Three instances of one pool, and behind them one manager that is none, which calls.
const WORKERS: usize = 3;
const BOSS: usize = 3;

/// Served by the pool.
const SORT: CommandId = CommandId(21);
/// Served by the pool, and may run again.
const LOOK: CommandId = CommandId(22);
/// Broadcast to the pool.
const TUNE: CommandId = CommandId(23);
/// Served by the pool, and moves something.
const PUSH: CommandId = CommandId(24);
/// Served by the pool; only the newest waits.
const CHASE: CommandId = CommandId(25);
/// Served by the boss.
const BOSSY: CommandId = CommandId(26);
/// Served by the boss and by the pool.
const SHARED: CommandId = CommandId(27);

fn named(name: &str) -> ManagerName {
    ManagerName::new(name).expect("a valid name")
}

fn starting() -> Bench {
    let worker = |number| {
        let name = named(&format!("worker-{number}"));
        Station::new(name, DEPTH).retrying(RETRIES).pooled(named("worker"))
    };
    let managers = (1..=WORKERS).map(worker).chain([Station::new(named("boss"), DEPTH)]);
    let route = |id, name: &str, delivery, stations: &[usize]| {
        let overflow = if id == CHASE { Overflow::KeepLatest } else { Overflow::Refuse };
        let (name, stations) = (name.to_owned(), stations.to_vec());
        let (idempotent, hazardous) = (id == LOOK, id == PUSH);
        (id, Route { name, delivery, overflow, idempotent, hazardous, stations })
    };
    use DeliveryKind::{Broadcast, Direct};
    let routes = HashMap::from([
        route(SORT, "Sort", Direct, &[0, 1, 2]),
        route(LOOK, "Look", Direct, &[0, 1, 2]),
        route(TUNE, "Tune", Broadcast, &[0, 1, 2]),
        route(PUSH, "Push", Direct, &[0, 1, 2]),
        route(CHASE, "Chase", Direct, &[0, 1, 2]),
        route(BOSSY, "Bossy", Direct, &[BOSS]),
        route(SHARED, "Shared", Direct, &[0, 1, 2, BOSS]),
    ]);
    let scope = Station::new(named("scope"), DEPTH);
    let router = Router::new(managers.collect(), scope, routes, Ping::spec());
    Bench { router, progress: Pages(vec![0; WORKERS + 1], vec![0; WORKERS + 1]), now: Instant::now() }
}

fn ready() -> Bench {
    let mut bench = starting();
    (0..=WORKERS + 1).for_each(|index| bench.router.set_life(index, Life::Ready));
    bench
}

fn by(number: u64) -> Caller {
    Caller::Local(number)
}

/// Offers so many tasks, by callers 0, 1, 2 …
fn offer(bench: &mut Bench, command: CommandId, count: u64) {
    (0..count).for_each(|number| bench.accept(request(command).by(by(number)).carrying([number as u8])));
}

/// What has gone to each instance, by what it carries.
fn given(bench: &mut Bench) -> [Vec<u8>; WORKERS] {
    [0, 1, 2].map(|index| bench.payloads(index).into_iter().map(|payload| payload[0]).collect())
}

/// Everyone is at one task; the envelopes that they got.
fn all_at_work(bench: &mut Bench, command: CommandId) -> Vec<Sent> {
    offer(bench, command, WORKERS as u64);
    let at = |index| {
        let sent = bench.pass(index).expect("each is given one");
        bench.take(index);
        sent
    };
    (0..WORKERS).map(at).collect()
}

fn done(number: u64) -> (Caller, Ending) {
    (by(number), Ending::Done(b"ok".to_vec().into()))
}

fn not_done(number: u64, why: NotDone) -> (Caller, Ending) {
    (by(number), Ending::NotDone(why))
}

// --- who gets what ---

#[test]
fn a_task_goes_to_a_free_instance_and_the_rest_wait_in_order() {
    let mut bench = ready();
    offer(&mut bench, SORT, 6);
    assert_eq!(
        bench.offer(request(SORT)),
        Err(Refusal::Busy { manager: named("worker"), command: "Sort".into(), depth: DEPTH })
    );
    let first: Vec<_> = (0..WORKERS).map(|index| bench.pass(index).expect("a task")).collect();
    assert!((0..WORKERS).all(|index| bench.pass(index).is_none()), "one each");
    bench.take(1);
    bench.answer(1, &first[1], Ok(b"ok"));
    assert_eq!(given(&mut bench), [vec![], vec![3], vec![]]);
    bench.answer(2, &first[2], Ok(b"ok"));
    bench.answer(0, &first[0], Ok(b"ok"));
    assert_eq!(given(&mut bench), [vec![5], vec![], vec![4]]);
    assert_eq!(bench.endings(), [done(1), done(2), done(0)]);
}

#[test]
fn its_name_and_no_address_mean_the_pool_and_an_instance_is_addressed_by_its_own() {
    let mut bench = ready();
    bench.accept(request(SORT).to("worker-2").carrying([1]));
    bench.accept(request(SORT).to("worker-2").by(by(2)).carrying([2]));
    bench.accept(request(SORT).to("worker").by(by(3)).carrying([3]));
    bench.accept(request(SORT).by(by(4)).carrying([4]));
    bench.accept(request(SORT).by(by(5)).carrying([5]));
    assert_eq!(given(&mut bench), [vec![3], vec![1, 2], vec![4]], "the last waits for whoever is free first");
    let refused = bench.offer(request(BOSSY).to("worker")).expect_err("it serves that not");
    assert!(matches!(refused, Refusal::NotServed { .. }), "{refused}");
    let candidates = vec![named("worker"), named("boss")];
    assert_eq!(
        bench.offer(request(SHARED)),
        Err(Refusal::AddressNeeded { command: "Shared".into(), candidates })
    );
    bench.accept(request(SHARED).to("boss").by(by(6)));
    assert_eq!(bench.pass_all(BOSS).len(), 1);
}

#[test]
fn a_broadcast_reaches_every_instance() {
    let mut bench = ready();
    let at_work = all_at_work(&mut bench, SORT);
    bench.accept(broadcast(TUNE).by(by(9)));
    for (index, task) in at_work.iter().enumerate() {
        bench.answer(index, task, Ok(b"ok"));
        let asked = bench.pass(index).expect("the broadcast");
        bench.answer(index, &asked, Ok(b"tuned"));
    }
    assert_eq!(bench.news().answers.len(), WORKERS + 1);
    bench.check_settled();
}

#[test]
fn an_instance_is_free_only_once_its_handler_has_ended() {
    let mut bench = ready();
    bench.accept(request(SORT).by(by(0)).within(Duration::from_millis(1)));
    let late = bench.pass(0).expect("a task");
    bench.take(0);
    for index in [1, 2] {
        bench.router.stop(index);
    }
    bench.later(Duration::from_millis(1));
    assert_eq!(bench.endings(), [not_done(0, NotDone::Expired)]);
    bench.accept(request(SORT).by(by(1)));
    assert!(bench.pass(0).is_none(), "its handler has not given up");
    bench.answer(0, &late, Err(NotDone::Cancelled));
    assert!(bench.pass(0).is_some());
}

#[test]
fn an_instance_is_free_when_a_stream_has_begun_to_answer() {
    let mut bench = ready();
    let at_work = all_at_work(&mut bench, SORT);
    bench.accept(request(SORT).by(by(9)).carrying([9]));
    bench.tell(1, &at_work[1], Kind::Opened, b"first").expect("a stream may be opened");
    let next = bench.pass(1).expect("the next task");
    assert_eq!(next.payload, [9]);
    bench.answer(1, &at_work[1], Ok(b""));
    bench.accept(request(SORT).by(by(10)));
    assert!(bench.pass(1).is_none(), "it is at another task now");
}

#[test]
fn one_way_tasks_keep_an_instance_until_it_has_carried_them_out() {
    let mut bench = ready();
    (0..5).for_each(|number| bench.accept(send(SORT).carrying([number])));
    let first: Vec<_> = (0..WORKERS).map(|index| bench.pass(index).expect("a task")).collect();
    assert!(first.iter().all(|sent| sent.header.kind == Kind::Request), "it is asked for an answer");
    assert!(given(&mut bench).iter().all(Vec::is_empty));
    bench.answer(2, &first[2], Ok(b"nobody reads this"));
    bench.answer(0, &first[0], Err(NotDone::Failed(Failure::text("no"))));
    assert_eq!(given(&mut bench), [vec![4], vec![], vec![3]]);
    let news = bench.news();
    assert_eq!(news.failed_tasks, [0], "a failure is reported, and its instance lives");
    assert!(news.answers.is_empty() && news.undelivered.is_empty());
    let totals = bench.router.totals();
    assert_eq!((totals.sends, totals.accepted, totals.ended()), (5, 0, 0));
}

#[test]
fn one_way_tasks_give_way_and_are_lost_as_others_are() {
    let mut bench = ready();
    let at_work = all_at_work(&mut bench, SORT);
    (0..3).for_each(|number| bench.accept(send(CHASE).carrying([number])));
    let reasons = |bench: &mut Bench| {
        bench.news().undelivered.into_iter().map(|(_, news)| (news.to, news.reason)).collect::<Vec<_>>()
    };
    let displaced = ("worker".to_owned(), UndeliveredReason::Displaced);
    assert_eq!(reasons(&mut bench), [displaced.clone(), displaced]);
    bench.answer(1, &at_work[1], Ok(b"ok"));
    drop(bench.pass(1).expect("the newest"));
    bench.take(1);
    bench.die(1);
    assert_eq!(reasons(&mut bench), [("worker-2".to_owned(), UndeliveredReason::Indeterminate)]);
    bench.accept(send(SORT));
    bench.answer(0, &at_work[0], Ok(b"ok"));
    drop(bench.pass(0).expect("the next"));
    bench.die(0);
    assert_eq!(reasons(&mut bench), [("worker-1".to_owned(), UndeliveredReason::Lost)]);
}

#[test]
fn a_stream_that_answers_a_one_way_task_is_ended() {
    let mut bench = ready();
    bench.accept(send(SORT));
    let asked = bench.pass(0).expect("a task");
    bench.tell(0, &asked, Kind::Opened, b"first").expect("a stream may be opened");
    assert_eq!(bench.news().cancels, [(0, asked.header.correlation)]);
    bench.tell(0, &asked, Kind::Progress, &progress(1.0, 2.0)).expect("it is ignored");
    bench.answer(0, &asked, Err(NotDone::Cancelled));
    assert!(bench.news().undelivered.is_empty(), "it has run");
    assert_eq!(bench.router.remembered().calls, 0);
}

// --- failures and deaths ---

#[test]
fn a_failure_ends_that_task_alone() {
    let mut bench = ready();
    let at_work = all_at_work(&mut bench, SORT);
    bench.accept(request(SORT).by(by(3)).carrying([3]));
    let failure = NotDone::Failed(Failure::text("unsortable"));
    bench.answer(0, &at_work[0], Err(failure.clone()));
    assert_eq!(bench.endings(), [not_done(0, failure)]);
    assert_eq!(given(&mut bench), [vec![3], vec![], vec![]], "the worker lives, and goes on");
}

#[test]
fn an_instance_that_dies_loses_its_task_and_the_rest_go_to_the_others() {
    let mut bench = ready();
    let at_work = all_at_work(&mut bench, SORT);
    bench.accept(request(SORT).by(by(3)).carrying([3]));
    bench.die(0);
    assert_eq!(bench.endings(), [not_done(0, NotDone::Indeterminate)]);
    bench.answer(2, &at_work[2], Ok(b"ok"));
    assert_eq!(given(&mut bench), [vec![], vec![], vec![3]]);
    bench.rise(0, 2);
    bench.accept(request(SORT).by(by(4)).carrying([4]));
    assert_eq!(bench.pass(0).expect("the next life is free").header.generation, Generation(2));
}

#[test]
fn a_task_that_may_run_again_goes_to_another_instance_before_newer_ones() {
    let mut bench = ready();
    let at_work = all_at_work(&mut bench, LOOK);
    bench.accept(request(LOOK).by(by(3)).carrying([3]));
    bench.fall(1);
    assert!(bench.endings().is_empty());
    bench.answer(0, &at_work[0], Ok(b"ok"));
    let again = bench.pass(0).expect("the task of the dead");
    assert_eq!(again.payload, [1]);
    assert_eq!(bench.router.totals().retried, 1);
    bench.answer(0, &again, Err(NotDone::Cancelled));
    assert_eq!(bench.endings(), [done(0), not_done(1, NotDone::Indeterminate)], "it may have run before");
}

#[test]
fn when_all_instances_are_gone_their_tasks_wait_or_are_lost() {
    for returns in [true, false] {
        let mut bench = ready();
        offer(&mut bench, SORT, 5);
        (0..WORKERS).for_each(|index| drop(bench.pass(index)));
        (0..2).for_each(|index| bench.die(index));
        drop(bench.endings());
        bench.router.gone(2, &bench.progress, returns);
        if returns {
            assert_eq!(bench.endings(), [not_done(2, NotDone::Lost)]);
            assert!(matches!(bench.offer(request(SORT)), Err(Refusal::NotReady { .. })));
            bench.rise(2, 2);
            assert_eq!(given(&mut bench), [vec![], vec![], vec![3]]);
        } else {
            assert_eq!(bench.endings(), [2, 3, 4].map(|number| not_done(number, NotDone::Lost)));
            let dead = Refusal::Dead { manager: named("worker"), command: "Sort".into() };
            assert_eq!(bench.offer(request(SORT)), Err(dead));
            bench.check_settled();
        }
    }
}

#[test]
fn a_pool_whose_instances_are_absent_says_why() {
    let mut bench = starting();
    for index in 0..WORKERS {
        bench.leave_out(index, "no licence");
    }
    let why = "no licence".to_owned();
    let refusal = Refusal::NotPresent { manager: named("worker"), command: "Sort".into(), why };
    assert_eq!(bench.offer(request(SORT)), Err(refusal));
}

// --- taking back, expiring, quitting ---

#[test]
fn tasks_that_wait_are_taken_back_expire_and_are_stopped() {
    let mut bench = ready();
    drop(all_at_work(&mut bench, SORT));
    bench.accept(request(SORT).by(by(10)));
    bench.accept(request(SORT).by(by(11)).within(Duration::from_millis(1)));
    bench.accept(send(SORT));
    bench.router.cancel(by(10));
    assert_eq!(bench.endings(), [not_done(10, NotDone::Cancelled)]);
    bench.later(Duration::from_millis(1));
    assert_eq!(bench.endings(), [not_done(11, NotDone::Expired)]);
    bench.accept(request(SORT).by(by(12)));
    assert_eq!(bench.router.stop_everything(&bench.progress), [1, 1, 1, 0]);
    let news = bench.news();
    assert_eq!(news.endings(), [not_done(12, NotDone::Cancelled)]);
    assert_eq!(news.undelivered[0].1.reason, UndeliveredReason::Stopped);
}

#[test]
fn a_one_way_task_that_was_stopped_in_the_pipe_is_told_by_its_instance() {
    let mut bench = ready();
    bench.accept(send(SORT));
    let asked = bench.pass(0).expect("a task");
    drop(bench.router.stop_everything(&bench.progress));
    assert!(bench.news().undelivered.is_empty());
    bench.answer(0, &asked, Err(NotDone::Cancelled));
    assert_eq!(bench.news().undelivered[0].1.reason, UndeliveredReason::Stopped);
    bench.accept(request(SORT));
    assert!(bench.pass(0).is_some(), "it is free again");
}

#[test]
fn a_task_that_is_taken_back_before_it_was_sent_makes_room() {
    let mut bench = ready();
    (0..2).for_each(|index| bench.die(index));
    bench.accept(request(SORT).by(by(0)).carrying([0]));
    bench.accept(request(SORT).by(by(1)).carrying([1]));
    bench.router.cancel(by(0));
    assert_eq!(bench.payloads(2), [[1]]);
}

#[test]
fn tasks_that_nobody_gets_to_before_the_quit_are_refused() {
    let mut bench = ready();
    let at_work = all_at_work(&mut bench, SORT);
    bench.accept(request(SORT).by(by(10)));
    bench.accept(send(SORT));
    bench.router.begin_quit();
    (0..2).for_each(|index| bench.router.stop(index));
    assert!(bench.news().answers.is_empty(), "one instance goes on");
    bench.router.stop(2);
    let news = bench.news();
    assert!(matches!(news.endings()[..], [(_, Ending::NotDone(NotDone::Refused(Refusal::Quitting { .. })))]));
    assert_eq!(news.undelivered[0].1.reason, UndeliveredReason::Quitting);
    bench.answer(2, &at_work[2], Ok(b"ok"));
    assert!((0..WORKERS).all(|index| bench.pass(index).is_none()));
}

// --- what moves ---

#[test]
fn what_moves_goes_to_no_inactive_instance() {
    let mut bench = ready();
    bench.router.set_inactive(0, true);
    bench.accept(request(PUSH).by(by(1)).carrying([1]));
    assert_eq!(bench.news().leaving, [1]);
    bench.accept(request(PUSH).by(by(2)).carrying([2]));
    bench.accept(request(PUSH).by(by(3)).carrying([3]));
    assert_eq!(given(&mut bench), [vec![], vec![1], vec![2]]);
    bench.router.set_inactive(1, true);
    assert!(bench.news().answers.is_empty());
    bench.router.set_inactive(2, true);
    let inactive = Refusal::Inactive { manager: named("worker"), command: "Push".into() };
    assert_eq!(bench.endings(), [not_done(3, NotDone::Refused(inactive.clone()))]);
    assert_eq!(bench.offer(request(PUSH)), Err(inactive));
    bench.router.set_inactive(0, false);
    bench.accept(request(PUSH).by(by(4)).carrying([4]));
    assert_eq!(given(&mut bench), [vec![4], vec![], vec![]]);
}

// --- who waits for whom ---

fn waits(bench: &mut Bench, index: usize, command: CommandId, number: u64) -> Result<(), Refusal> {
    bench.offer(call(command).by_manager(index, number))
}

#[test]
fn an_instance_may_wait_for_its_pool_while_another_can_take_the_task() {
    let mut bench = ready();
    drop(all_at_work(&mut bench, SORT));
    waits(&mut bench, 0, SORT, 1).expect("the others go on");
    waits(&mut bench, 1, SORT, 1).expect("one goes on");
    let refused = waits(&mut bench, 2, SORT, 1).expect_err("nobody would go on");
    let Refusal::WouldDeadlock { cycle, .. } = refused else { panic!("{refused}") };
    assert_eq!(cycle, ["worker-3", "worker", "worker-3"]);
}

#[test]
fn an_instance_whose_timer_waits_is_not_free() {
    let mut bench = ready();
    let at_work = all_at_work(&mut bench, SORT);
    bench.answer(0, &at_work[0], Ok(b"ok"));
    waits(&mut bench, 0, SORT, 1).expect("the others go on");
    assert!(bench.pass(0).is_none(), "it would wait for itself");
    bench.answer(1, &at_work[1], Ok(b"ok"));
    let asked = bench.pass(1).expect("another one takes it");
    bench.accept(request(SORT).by(by(7)).carrying([7]));
    bench.answer(1, &asked, Ok(b"ok"));
    assert_eq!(bench.pass_all(0).len() + bench.pass_all(1).len(), 2, "the answer, and the next task");
}

#[test]
fn a_wait_that_leads_round_through_a_pool_is_refused() {
    let mut bench = ready();
    drop(all_at_work(&mut bench, SORT));
    for index in 0..WORKERS {
        waits(&mut bench, index, BOSSY, 1).expect("the boss goes on");
    }
    let refused = waits(&mut bench, BOSS, SORT, 1).expect_err("all wait for the boss");
    let Refusal::WouldDeadlock { cycle, .. } = refused else { panic!("{refused}") };
    assert_eq!(cycle, ["boss", "worker", "worker-1", "boss"]);
}

#[test]
fn a_wait_that_only_a_dead_instance_could_have_ended_ends() {
    let mut bench = ready();
    let at_work = all_at_work(&mut bench, SORT);
    for index in 0..2 {
        waits(&mut bench, index, BOSSY, 1).expect("the boss goes on");
    }
    waits(&mut bench, BOSS, SORT, 2).expect("one of them goes on");
    let in_flight = bench.router.in_flight().0;
    bench.fall(2);
    assert_eq!(bench.router.in_flight().0, in_flight - 1, "its next life may take it");
    bench.router.give_up(2);
    assert_eq!(bench.router.in_flight().0, in_flight - 2);
    let told = bench.pass_all(BOSS).pop().expect("it is told");
    assert!(matches!(told.not_done(), NotDone::Deadlock { .. }));
    drop(at_work);
}

#[test]
fn a_pool_of_one_is_a_pool() {
    let worker = Station::new(named("worker-1"), DEPTH).pooled(named("worker"));
    let route = Route {
        name: "Sort".into(),
        delivery: DeliveryKind::Direct,
        overflow: Overflow::Refuse,
        idempotent: false,
        hazardous: false,
        stations: vec![0],
    };
    let scope = Station::new(named("scope"), DEPTH);
    let mut router = Router::new(vec![worker], scope, HashMap::from([(SORT, route)]), Ping::spec());
    (0..2).for_each(|index| router.set_life(index, Life::Ready));
    let mut bench = Bench { router, progress: Pages(vec![0], vec![0]), now: Instant::now() };
    bench.accept(request(SORT).by(by(0)));
    bench.accept(request(SORT).to("worker").by(by(1)));
    assert_eq!(bench.pass_all(0).len(), 1, "one at a time");
    let refused = waits(&mut bench, 0, SORT, 1).expect_err("nobody else could take it");
    assert!(matches!(refused, Refusal::WouldDeadlock { .. }));
}

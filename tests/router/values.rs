//! Handles beside commands and answers: who holds the value then, however the command ends; and who is asked by them.

use std::time::Duration;

use labrig::coordinator::router::{Caller, HolderNews};
use labrig::wire::{Attached, Generation, HandleId, Header, Hop, Kind, Refusal};

use super::bench::*;

const ME: Caller = Caller::Local(1);

/// A value of the camera's first life.
fn value(key: u64) -> HandleId {
    HandleId { owner: CAMERA as u16, generation: Generation(1), key }
}

fn beside(value: HandleId) -> Option<Box<Attached>> {
    Attached { handles: vec![value.into()], ..Attached::default() }.boxed()
}

/// A command with a handle beside it comes from the process at that place.
fn offer_with(bench: &mut Bench, sending: Sending, place: u16, value: HandleId) -> Result<(), Refusal> {
    let mut attached = beside(value).expect("there is a handle");
    bench.router.enter(place, &mut attached);
    let header = Header { attached: Some(attached), ..sending.header };
    bench.offer(Sending { header, ..sending })
}

/// The camera answers a command of this process with a handle, which that holds from then on.
fn held_here() -> Bench {
    let mut bench = Bench::ready();
    bench.accept(request(EXPOSE).by(ME));
    let asked = bench.pass(CAMERA).expect("it is sent");
    bench.take(CAMERA);
    let mut attached = beside(value(1)).expect("there is a handle");
    bench.router.enter_from(CAMERA, &mut attached);
    let Header { generation, correlation, .. } = asked.header;
    let header = Header { generation, correlation, attached: Some(attached), ..Header::new(Kind::Done) };
    bench.router.answered(CAMERA, &header, &[1]).expect("an answer");
    drop(header);
    let answers = bench.answers();
    let attached = beside(value(1)).expect("there is a handle");
    bench.router.deliver(Hop::SCOPE, &attached);
    drop(answers);
    bench
}

fn unheld(bench: &mut Bench) -> Vec<HolderNews> {
    bench.news().holders
}

fn check_given_back(end: impl Fn(&mut Bench)) {
    let mut bench = held_here();
    offer_with(&mut bench, request(MOVE).to("stage_x").by(ME), Hop::SCOPE, value(1)).expect("accepted");
    bench.router.release(Hop::SCOPE, &[(value(1), 1)]);
    assert_eq!(unheld(&mut bench), [], "it is on its way");
    end(&mut bench);
    drop(bench.router.take_effects());
    assert_eq!(bench.router.values(CAMERA).owned, 0, "nobody has it");
    assert_eq!(bench.router.values(STAGE_X).held, 0);
}

#[test]
fn a_command_that_does_not_get_there_gives_back_what_it_carries() {
    check_given_back(|bench| bench.router.cancel(ME));
    check_given_back(|bench| bench.die(STAGE_X));
    check_given_back(|bench| bench.router.stop(STAGE_X));
    check_given_back(|bench| bench.router.close());
    check_given_back(|bench| {
        drop(bench.pass(STAGE_X));
        bench.die(STAGE_X);
    });
    check_given_back(|bench| bench.die(CAMERA));
}

#[test]
fn whoever_gets_a_command_holds_what_it_carries_until_that_is_given_back() {
    let mut bench = held_here();
    offer_with(&mut bench, request(MOVE).to("stage_x").by(ME), Hop::SCOPE, value(1)).expect("accepted");
    bench.router.release(Hop::SCOPE, &[(value(1), 1)]);
    drop(bench.pass(STAGE_X).expect("it is sent"));
    assert_eq!(unheld(&mut bench), []);
    assert_eq!((bench.router.values(CAMERA).owned, bench.router.values(STAGE_X).held), (1, 1));
    bench.router.release_from(STAGE_X, &[(value(1), 1)]);
    assert_eq!(unheld(&mut bench), [HolderNews::Unheld { value: value(1), seen: 1 }]);
}

#[test]
fn a_method_goes_to_whoever_has_the_value_and_to_no_other_life_of_it() {
    let mut bench = held_here();
    offer_with(&mut bench, request(HEIGHT).by(ME), Hop::SCOPE, value(1)).expect("accepted");
    assert_eq!(bench.pass(CAMERA).map(|sent| sent.header.command), Some(HEIGHT));
    bench.later(Duration::from_secs(1));
    bench.fall(CAMERA);
    bench.rise(CAMERA, 2);
    let stale = Refusal::StaleHandle { handle: "Table@camera#1:1".into(), command: "Table::height".into() };
    let offered = offer_with(&mut bench, request(HEIGHT).by(ME), Hop::SCOPE, value(1));
    assert_eq!(offered, Err(stale));
    assert!(bench.pass(CAMERA).is_none());
}

#[test]
fn a_method_is_not_called_by_who_was_never_given_a_handle() {
    let mut bench = held_here();
    let stale = |key| Refusal::StaleHandle {
        handle: format!("Table@camera#1:{key}"),
        command: "Table::height".into(),
    };
    let by_stage = request(HEIGHT).by_manager(STAGE_X, 5);
    let offered = offer_with(&mut bench, by_stage, STAGE_X as u16, value(1));
    assert_eq!(offered, Err(stale(1)));
    let unknown = offer_with(&mut bench, request(HEIGHT).by(ME), Hop::SCOPE, value(2));
    assert_eq!(unknown, Err(stale(2)));
    let without = bench.offer(request(HEIGHT).by(ME));
    assert_eq!(without, Err(Refusal::UnknownCommand { command: "Table::height".into() }));
}

#[test]
fn a_handler_that_calls_a_method_of_its_caller_would_wait_for_ever() {
    let mut bench = held_here();
    // The camera waits for a stage, which calls back.
    let waits = call(MOVE).to("stage_x").by_manager(CAMERA, 5);
    offer_with(&mut bench, waits, CAMERA as u16, value(1)).expect("accepted");
    drop(bench.pass(STAGE_X).expect("it is sent"));
    let calls_back = call(HEIGHT).by_manager(STAGE_X, 6);
    let refused = offer_with(&mut bench, calls_back, STAGE_X as u16, value(1));
    assert!(matches!(refused, Err(Refusal::WouldDeadlock { .. })), "{refused:?}");
}

//! The router on a bench: every rule of routing, queueing and ending, and thousands of made-up histories.

mod attached;
mod bench;
mod broadcasts;
mod cancelling;
mod checker;
mod endings;
mod histories;
mod history;
mod passing;
mod planted;
mod pools;
mod retrying;
mod safety;
mod streams;
mod tracing;
mod undelivered;
mod values;
mod waiting;
mod world;

use std::time::Duration;

use labrig::coordinator::router::{Caller, Life, MAX_IN_FLIGHT, Moment};
use labrig::remote::scope::Ping;
use labrig::wire::control::{self, CoordinatorWord};
use labrig::wire::envelope::{MAX_CHAIN, MAX_PAYLOAD_BYTES};
use labrig::wire::{
    Command, CommandId, Ending, Envelope, Generation, Header, Hop, Kind, NotDone, Refusal, Target, codec,
};

use bench::*;

/// The command goes into the pipes of exactly these stations.
fn check_goes_to(sending: Sending, expected: &[usize]) {
    let mut bench = Bench::ready();
    let (kind, payload) = (sending.header.kind, sending.payload.clone());
    bench.accept(sending);
    for (index, name) in NAMES.iter().enumerate() {
        let sent = bench.pass_all(index);
        assert_eq!(sent.len(), usize::from(expected.contains(&index)), "in the pipe of {name}");
        for envelope in sent {
            assert_eq!(envelope.payload, payload, "the payload is not touched");
            assert_eq!(envelope.header.kind == Kind::Send, kind == Kind::Send);
            assert_eq!(envelope.header.generation, Generation(1));
        }
    }
}

/// The command is refused, nothing is remembered of it, and what was queued before is queued still.
fn check_refused(prepare: impl Fn(&mut Bench), sending: Sending, expected: &Refusal) {
    let queued = |bench: &mut Bench| (0..=SCOPE).map(|index| bench.pass_all(index)).collect::<Vec<_>>();
    let (mut bench, mut untouched) = (Bench::ready(), Bench::ready());
    prepare(&mut bench);
    prepare(&mut untouched);
    let (in_flight, refused) = (bench.router.in_flight().0, bench.router.totals().not_accepted);
    drop(bench.router.take_effects());
    assert_eq!(bench.offer(sending).as_ref(), Err(expected));
    assert_eq!(bench.router.in_flight().0, in_flight);
    assert_eq!(bench.router.totals().not_accepted, refused + 1);
    assert!(bench.router.take_effects().is_empty(), "a refused command has effects");
    assert_eq!(queued(&mut bench), queued(&mut untouched), "a refused command changed the queues");
}

fn text(name: &str) -> String {
    name.to_owned()
}

// --- where a command goes ---

#[test]
fn a_direct_command_goes_to_the_one_manager_that_serves_it() {
    check_goes_to(request(EXPOSE), &[CAMERA]);
    check_goes_to(send(EXPOSE), &[CAMERA]);
    check_goes_to(request(EXPOSE).to("camera"), &[CAMERA]);
}

#[test]
fn a_scope_command_goes_to_the_scope() {
    check_goes_to(request(SAVE), &[SCOPE]);
    check_goes_to(request(SAVE).to("scope"), &[SCOPE]);
    check_goes_to(send(SAVE).by_manager(CAMERA, 1), &[SCOPE]);
}

#[test]
fn a_broadcast_goes_to_every_manager_that_serves_it() {
    check_goes_to(broadcast(SET_LIGHT), &[CAMERA, STAGE_X, STAGE_Y]);
}

#[test]
fn an_addressed_command_goes_to_its_manager_alone() {
    check_goes_to(request(MOVE).to("stage_x"), &[STAGE_X]);
    check_goes_to(send(MOVE).to("stage_y"), &[STAGE_Y]);
}

#[test]
fn a_manager_may_send_to_itself() {
    check_goes_to(request(MOVE).to("stage_x").by_manager(STAGE_X, 5), &[STAGE_X]);
}

#[test]
fn a_ping_goes_to_whoever_is_addressed() {
    check_goes_to(request(Ping::spec().id).to("stage_y"), &[STAGE_Y]);
    check_refused(
        |_| {},
        request(Ping::spec().id),
        &Refusal::Absent { manager: None, command: text("Ping") },
    );
}

#[test]
fn several_candidates_need_an_address() {
    let candidates = vec![name(STAGE_X), name(STAGE_Y)];
    let expected = Refusal::AddressNeeded { command: text("Move"), candidates };
    check_refused(|_| {}, request(MOVE), &expected);
    check_refused(|_| {}, send(MOVE), &expected);
}

#[test]
fn an_address_that_does_not_serve_the_command_is_refused_with_those_that_do() {
    let candidates = vec![name(STAGE_X), name(STAGE_Y)];
    let refusal = |manager, candidates| Refusal::NotServed { manager, command: text("Move"), candidates };
    check_refused(|_| {}, request(MOVE).to("camera"), &refusal(name(CAMERA), candidates.clone()));
    check_refused(|_| {}, request(MOVE).to("scope"), &refusal(name(SCOPE), candidates));
}

#[test]
fn what_nobody_serves_or_knows_is_refused() {
    let absent = |manager: Option<&str>, command: &str| Refusal::Absent {
        manager: manager.map(str::to_owned),
        command: command.to_owned(),
    };
    check_refused(|_| {}, request(GHOST), &absent(None, "Ghost"));
    check_refused(|_| {}, request(MOVE).to("zed"), &absent(Some("zed"), "Move"));
    check_refused(|_| {}, broadcast(EXPOSE), &absent(None, "Expose"));
    let unknown = Refusal::UnknownCommand { command: UNKNOWN.to_string() };
    check_refused(|_| {}, request(UNKNOWN), &unknown);
    check_refused(|_| {}, broadcast(UNKNOWN), &unknown);
    check_refused(|_| {}, request(UNKNOWN).to("camera"), &unknown);
}

// --- who can take one ---

#[test]
fn the_life_of_a_manager_decides_what_it_takes() {
    let (manager, command) = (name(CAMERA), text("Expose"));
    let refusal = |life| match life {
        Life::Starting => Refusal::NotReady { manager: manager.clone(), command: command.clone() },
        Life::Stopping => Refusal::Quitting { command: command.clone() },
        _ => Refusal::Dead { manager: manager.clone(), command: command.clone() },
    };
    check_refused(|bench| bench.router.stop(CAMERA), request(EXPOSE), &refusal(Life::Stopping));
    let mut bench = Bench::starting();
    assert_eq!(bench.offer(request(EXPOSE)), Err(refusal(Life::Starting)));
    check_refused(|bench| bench.die(CAMERA), request(EXPOSE), &refusal(Life::Dead));
}

#[test]
fn an_absent_manager_is_refused_with_its_reason_and_changes_no_route() {
    let leave_out = |bench: &mut Bench| bench.leave_out(STAGE_X, "no device");
    let refusal =
        Refusal::NotPresent { manager: name(STAGE_X), command: text("Move"), why: text("no device") };
    check_refused(leave_out, request(MOVE).to("stage_x"), &refusal);
    check_refused(leave_out, send(MOVE).to("stage_x"), &refusal);
    let candidates = vec![name(STAGE_X), name(STAGE_Y)];
    check_refused(leave_out, request(MOVE), &Refusal::AddressNeeded { command: text("Move"), candidates });
}

#[test]
fn a_manager_found_absent_ends_its_start_up_commands_and_stays_absent() {
    let mut bench = Bench::starting();
    bench.accept(request(EXPOSE).by(Caller::Startup(CAMERA)).to("camera"));
    bench.leave_out(CAMERA, "no device");
    assert_eq!(bench.endings(), [(Caller::Startup(CAMERA), Ending::NotDone(NotDone::Lost))]);
    bench.all_ready();
    bench.die(CAMERA);
    assert!(matches!(bench.offer(request(EXPOSE)), Err(Refusal::NotPresent { .. })));
    bench.check_settled();
}

#[test]
fn a_manager_that_starts_takes_its_start_up_commands_and_no_others() {
    let mut bench = Bench::starting();
    bench.accept(request(EXPOSE).by(Caller::Startup(CAMERA)).to("camera"));
    let asked = bench.pass(CAMERA).expect("the start-up command is sent");
    assert!(bench.offer(request(EXPOSE).by_manager(STAGE_X, 1)).is_err());
    bench.take(CAMERA);
    bench.answer(CAMERA, &asked, Ok(b"done"));
    assert_eq!(bench.endings(), [(Caller::Startup(CAMERA), Ending::Done(b"done".to_vec().into()))]);
}

#[test]
fn nothing_is_taken_once_the_rig_quits() {
    for sending in [request(EXPOSE), send(SAVE).to("scope"), broadcast(SET_LIGHT)] {
        let command = match sending.header.command {
            EXPOSE => text("Expose"),
            SAVE => text("Save"),
            _ => text("SetLight"),
        };
        check_refused(|bench| bench.router.begin_quit(), sending, &Refusal::Quitting { command });
    }
}

#[test]
fn the_dead_stay_dead_until_their_next_life() {
    let mut bench = Bench::ready();
    bench.die(CAMERA);
    let raise: [fn(&mut Bench); 3] = [
        |bench| bench.router.set_life(CAMERA, Life::Ready),
        |bench| bench.router.set_life(CAMERA, Life::Starting),
        |bench| bench.router.stop(CAMERA),
    ];
    for raise in raise {
        raise(&mut bench);
        assert!(matches!(bench.offer(request(EXPOSE)), Err(Refusal::Dead { .. })));
    }
    bench.router.tell(CAMERA, vec![1]);
    bench.router.begin_life(CAMERA, Generation(2));
    assert!(bench.pass(CAMERA).is_none(), "a word for an earlier life");
    bench.router.set_life(CAMERA, Life::Ready);
    bench.accept(request(EXPOSE));
    assert_eq!(bench.pass(CAMERA).expect("it is sent").header.generation, Generation(2));
}

// --- full queues ---

#[test]
fn a_queue_is_full_at_exactly_its_depth() {
    let busy = |command: &str| Refusal::Busy { manager: name(CAMERA), command: text(command), depth: DEPTH };
    let fill = |bench: &mut Bench| (0..DEPTH).for_each(|_| bench.accept(request(EXPOSE)));
    check_refused(fill, request(EXPOSE), &busy("Expose"));
    check_refused(fill, send(EXPOSE), &busy("Expose"));
    // What is in the pipe and not taken waits as well.
    let pass = |bench: &mut Bench| {
        fill(bench);
        drop(bench.pass_all(CAMERA));
    };
    check_refused(pass, request(EXPOSE), &busy("Expose"));
    let mut bench = Bench::ready();
    pass(&mut bench);
    bench.take(CAMERA);
    bench.accept(request(EXPOSE));
    assert!(bench.offer(request(EXPOSE)).is_err());
}

#[test]
fn a_full_queue_holds_up_nobody_else() {
    let mut bench = Bench::ready();
    while bench.offer(request(EXPOSE)).is_ok() {}
    bench.accept(request(MOVE).to("stage_x"));
    assert_eq!(bench.pass_all(STAGE_X).len(), 1);
}

#[test]
fn the_oldest_of_its_kind_gives_way_where_the_type_asks_for_it() {
    let mut bench = Bench::ready();
    bench.accept(send(SHOW).carrying([1]));
    bench.accept(request(EXPOSE).carrying([2]));
    bench.accept(send(SHOW).carrying([3]));
    bench.accept(send(SHOW).carrying([4]));
    assert_eq!(bench.undelivered(), [(text("Show"), text("camera"), text("a newer one took its place"))]);
    assert_eq!(bench.payloads(CAMERA), [[2], [3], [4]]);
    let totals = bench.router.totals();
    assert_eq!((totals.sends, totals.undelivered), (3, 1));
}

#[test]
fn only_the_newest_waits_where_the_type_asks_for_it() {
    let mut bench = Bench::ready();
    for number in 1..=5 {
        bench.accept(send(FOLLOW).carrying([number]));
    }
    assert_eq!(bench.undelivered().len(), 4);
    assert_eq!(bench.payloads(CAMERA), [[5]]);
    let totals = bench.router.totals();
    assert_eq!((totals.sends, totals.undelivered), (5, 4));
}

#[test]
fn nothing_gives_way_that_is_in_the_pipe_or_of_another_kind_or_asked_for() {
    let busy = |command: &str| Refusal::Busy { manager: name(CAMERA), command: text(command), depth: DEPTH };
    let others = |bench: &mut Bench| {
        bench.accept(send(SHOW));
        drop(bench.pass(CAMERA));
        bench.accept(request(SHOW));
        bench.accept(send(FOLLOW));
    };
    check_refused(others, send(SHOW), &busy("Show"));
    check_refused(others, request(FOLLOW), &busy("Follow"));
    let full = |bench: &mut Bench| (0..DEPTH).for_each(|_| bench.accept(request(EXPOSE)));
    check_refused(full, send(FOLLOW), &busy("Follow"));
}

#[test]
fn a_refused_command_has_displaced_nothing() {
    // A page that goes back, as a hostile manager may write it, makes the queue longer than it is deep.
    let shrunk = |bench: &mut Bench| {
        for number in [1, 2] {
            bench.accept(request(EXPOSE).carrying([number]));
            drop(bench.pass(CAMERA));
            bench.take(CAMERA);
        }
        bench.accept(request(EXPOSE).carrying([3]));
        bench.accept(send(FOLLOW).carrying([4]));
        bench.accept(request(EXPOSE).carrying([5]));
        bench.progress.0[CAMERA] = 0;
    };
    let busy = Refusal::Busy { manager: name(CAMERA), command: text("Follow"), depth: DEPTH };
    check_refused(shrunk, send(FOLLOW), &busy);
}

#[test]
fn too_many_calls_are_refused() {
    let mut bench = Bench::ready();
    for _ in 0..MAX_IN_FLIGHT {
        bench.accept(request(EXPOSE));
        drop(bench.pass(CAMERA));
        bench.take(CAMERA);
    }
    let expected = Refusal::TooManyCalls { command: text("Expose"), limit: MAX_IN_FLIGHT };
    assert_eq!(bench.offer(request(EXPOSE)), Err(expected));
    assert!(bench.pass(CAMERA).is_none(), "what was refused is queued");
    bench.accept(send(EXPOSE));
    bench.die(CAMERA);
    bench.check_settled();
}

// --- what travels with a command ---

#[test]
fn commands_keep_their_order_and_words_theirs() {
    let mut bench = Bench::ready();
    let word = labrig::wire::control::seal(&labrig::wire::control::CoordinatorWord::Quit);
    for number in 0..DEPTH as u8 {
        bench.accept(if number % 2 == 0 { request(EXPOSE) } else { send(EXPOSE) }.carrying([number]));
    }
    bench.router.tell(CAMERA, word);
    let sent = bench.pass_all(CAMERA);
    assert_eq!(sent[..3].iter().map(|sent| sent.payload[0]).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(sent[3].header.kind, Kind::Control);
}

#[test]
fn the_time_left_is_that_of_the_moment_of_sending() {
    let mut bench = Bench::ready();
    bench.accept(request(EXPOSE).within(Duration::from_millis(100)));
    bench.now += Duration::from_millis(40);
    let early = bench.router.next_for(CAMERA, &Moment::at(bench.now)).cloned().expect("it is queued");
    bench.now += Duration::from_millis(50);
    let left = |bytes: &[u8]| Envelope::open(bytes).expect("an envelope").header.time_left_us;
    assert_eq!(left(&early), 60_000);
    let late = bench.pass(CAMERA).expect("it is still queued");
    assert_eq!(late.header.time_left_us, 10_000);
    bench.accept(request(EXPOSE));
    assert_eq!(bench.pass(CAMERA).expect("it is queued").header.time_left_us, 0, "without end");
}

#[test]
fn the_chain_says_who_called() {
    let hop = |who| Hop { who, command: CommandId(0) };
    let check = |sending: Sending, expected: Vec<Hop>| {
        let mut bench = Bench::ready();
        bench.accept(sending);
        assert_eq!(bench.pass(CAMERA).expect("it is sent").header.chain.into_vec(), expected);
    };
    check(request(EXPOSE), vec![hop(Hop::SCOPE)]);
    check(send(EXPOSE).by_manager(STAGE_X, 1), vec![hop(STAGE_X as u16)]);
    check(broadcast(SET_LIGHT).by_manager(STAGE_X, 1), vec![hop(STAGE_X as u16)]);
    let mut nested = request(EXPOSE).by_manager(STAGE_X, 1);
    let led_there = vec![hop(Hop::SCOPE), Hop { who: STAGE_X as u16, command: MOVE }];
    nested.header.chain = led_there.clone().into();
    check(nested, led_there);
    // Whoever says that somebody else called last is not believed, in nothing that it says.
    for (last, by) in [(STAGE_Y, STAGE_X), (SCOPE, STAGE_X)] {
        let mut lying = request(EXPOSE).by_manager(by, 1);
        lying.header.chain = vec![hop(by as u16), hop(last as u16)].into();
        check(lying, vec![hop(by as u16)]);
    }
    let mut lying = request(EXPOSE);
    lying.header.chain = vec![hop(Hop::SCOPE), hop(CAMERA as u16)].into();
    check(lying, vec![hop(Hop::SCOPE)]);
    let mut scope_as_manager = request(EXPOSE).by_manager(STAGE_X, 1);
    scope_as_manager.header.chain = vec![hop(Hop::SCOPE)].into();
    check(scope_as_manager, vec![hop(STAGE_X as u16)]);
}

#[test]
fn a_chain_of_calls_has_an_end() {
    let hop = Hop { who: 0, command: MOVE };
    let mut sending = request(EXPOSE);
    sending.header.chain = vec![hop; MAX_CHAIN].into();
    check_goes_to(sending.clone(), &[CAMERA]);
    sending.header.chain = vec![hop; MAX_CHAIN + 1].into();
    let (depth, limit) = (MAX_CHAIN + 1, MAX_CHAIN);
    check_refused(|_| {}, sending, &Refusal::TooDeep { command: text("Expose"), depth, limit });
}

#[test]
fn a_command_that_would_not_fit_with_its_header_is_refused() {
    check_goes_to(request(EXPOSE).carrying(vec![1; MAX_PAYLOAD_BYTES]), &[CAMERA]);
    let (bytes, limit) = (MAX_PAYLOAD_BYTES + 1, MAX_PAYLOAD_BYTES);
    let refusal = |command| Refusal::TooLarge { command: text(command), bytes, limit };
    check_refused(|_| {}, request(EXPOSE).carrying(vec![1; bytes]), &refusal("Expose"));
    check_refused(|_| {}, broadcast(SET_LIGHT).carrying(vec![1; bytes]), &refusal("SetLight"));
}

// --- what a refused manager is told ---

#[test]
fn a_manager_is_told_of_its_refused_request() {
    let mut bench = Bench::ready();
    let sending = request(MOVE).by_manager(CAMERA, 44);
    let refusal = bench.offer(sending.clone()).expect_err("it needs an address");
    bench.router.refuse(CAMERA, &sending.header, refusal.clone());
    let told = bench.pass(CAMERA).expect("an answer");
    assert_eq!((told.header.kind, told.header.correlation), (Kind::Ended, 44));
    let why = codec::from_postcard::<NotDone>(&told.payload, labrig::wire::TypeSchema::known::<NotDone>());
    assert_eq!(why, Ok(NotDone::Refused(refusal)));
}

#[test]
fn a_refused_one_way_command_of_a_manager_is_told_with_both_ends_and_counted_once() {
    let mut bench = Bench::ready();
    let refuse = |bench: &mut Bench, sending: Sending| {
        let refusal = bench.offer(sending.clone()).expect_err("it is refused");
        bench.router.refuse(CAMERA, &sending.header, refusal);
        let told = bench.pass(CAMERA).expect("it is told as undelivered, not answered");
        assert!(matches!(control::open(&told.payload), Ok(CoordinatorWord::Undelivered(_))));
        bench.undelivered().pop().expect("it is told")
    };
    let (command, to, _) = refuse(&mut bench, send(MOVE).to("zed").by_manager(CAMERA, 1));
    assert_eq!((command.as_str(), to.as_str()), ("Move", "zed"));
    assert_eq!(refuse(&mut bench, send(MOVE).by_manager(CAMERA, 1)).1, "stage_x or stage_y");
    assert_eq!(refuse(&mut bench, send(GHOST).by_manager(CAMERA, 1)).1, "nobody");
    let totals = bench.router.totals();
    assert_eq!((totals.not_accepted, totals.sends, totals.undelivered), (3, 0, 3));
}

#[test]
fn an_answer_for_an_earlier_life_is_not_given_to_its_successor() {
    let mut bench = Bench::ready();
    bench.accept(request(SAVE).by_manager(CAMERA, 3));
    let asked = bench.pass(SCOPE).expect("it is sent");
    bench.die(CAMERA);
    bench.router.begin_life(CAMERA, Generation(2));
    bench.router.set_life(CAMERA, Life::Ready);
    bench.answer(SCOPE, &asked, Ok(b"saved"));
    assert!(bench.pass(CAMERA).is_none());
    assert_eq!((bench.router.totals().done, bench.router.totals().late_answers), (1, 1));
    bench.check_settled();
}

#[test]
fn an_answer_says_who_gave_it() {
    let mut bench = Bench::ready();
    bench.accept(request(MOVE).to("stage_y").by_manager(CAMERA, 3));
    let asked = bench.pass(STAGE_Y).expect("it is sent");
    bench.take(STAGE_Y);
    bench.answer(STAGE_Y, &asked, Ok(b"there"));
    let Sent { header, payload } = bench.pass(CAMERA).expect("an answer");
    let expected = Header {
        correlation: 3,
        generation: Generation(1),
        target: Target::Named(text("stage_y")),
        chain: asked.header.chain,
        ..Header::new(Kind::Done)
    };
    assert_eq!((header, payload.as_slice()), (expected, &b"there"[..]));
}

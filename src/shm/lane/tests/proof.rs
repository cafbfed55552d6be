//! The protocol of a lane, in every order of events that the memory model allows.
//!
//! Each scene is small, and loom plays it in all its orders: who comes when, and which of the values that a reader may
//! see it sees. A wake-up that is missed leaves everybody waiting, which loom reports. That the scenes find what they
//! are there for is shown by planting mistakes.
//!
//! What loom leaves out: no value is seen before it is written, though C11 would let it be, so that nothing is shown of
//! `start`, which keeps what is read from being overwritten meanwhile; and a fence is taken for a little more than C11
//! promises. In scenes with more to do, threads are interrupted where they need not be no more than a few times; with
//! `LABRIG_STORM` once more than that.

use super::super::protocol::{Putter, Taker, Watcher};
use super::super::{MAX_RECORD_BYTES, Put, Taken};
use super::model::{Mistake, ModelLane, ModelPipe, Side};
use loom::sync::atomic::AtomicBool;
use loom::thread::{self, JoinHandle};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// There is none in a model.
const PATIENCE: Duration = Duration::MAX;

type Scene = fn(Mistake);

/// How many interruptions are tried in a scene with more to do.
fn at_most(interruptions: usize) -> Option<usize> {
    Some(interruptions + usize::from(std::env::var_os("LABRIG_STORM").is_some()))
}

fn play(scene: Scene, mistake: Mistake, interruptions: Option<usize>) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = interruptions;
    model.check(move || scene(mistake));
}

fn check_holds(scene: Scene, interruptions: Option<usize>) {
    play(scene, Mistake::None, interruptions);
}

/// The scene shows this mistake, by a failure that says so.
fn check_finds(mistake: Mistake, scene: Scene, complaint: &str) {
    let found = catch_unwind(AssertUnwindSafe(|| play(scene, mistake, Some(3))));
    let told = found.expect_err("the mistake is found");
    let text = told.downcast_ref::<String>().map(String::as_str).or(told.downcast_ref::<&str>().copied());
    assert!(text.is_some_and(|text| text.contains(complaint)), "{mistake:?}: {text:?}");
}

/// What loom says when everybody waits.
const ALL_WAIT: &str = "deadlock";
/// What a scene says of a record that is torn, lost, or out of its order.
const NOT_WHAT_WAS_PUT: &str = "it is not what was put";

/// The putter, and the taker with its watcher.
fn ends(lane: &ModelLane) -> (Putter<ModelLane>, Taker<ModelLane>, Watcher<ModelLane>) {
    let taker = Taker::new(lane.of(Side::Taker));
    let watcher = taker.watcher();
    (Putter::new(lane.of(Side::Putter)), taker, watcher)
}

fn join<T>(other: JoinHandle<T>) -> T {
    other.join().expect("whoever panics ends the scene")
}

/// What came of a try, and the number in the record.
fn try_take(taker: &mut Taker<ModelLane>, beside: u32) -> (Taken, u64) {
    let mut buffer = [0; MAX_RECORD_BYTES];
    let taken = taker.take(&mut buffer, beside);
    let taken = taken.unwrap_or_else(|error| panic!("{NOT_WHAT_WAS_PUT}: {error:?}"));
    (taken, u64::from_le_bytes(*buffer.first_chunk().expect("a record has room for a number")))
}

fn take(taker: &mut Taker<ModelLane>) -> Option<u64> {
    match try_take(taker, 0) {
        (Taken::Record(length), number) => Some(number).filter(|_| length == 8),
        _ => None,
    }
}

/// Puts the numbers from one on, which are never what fresh memory holds, and calls where it is told to.
fn put_all(putter: &mut Putter<ModelLane>, pipe: &ModelPipe<()>, count: u64) {
    for number in 1..=count {
        match putter.put(&number.to_le_bytes(), 0) {
            Put::Seen => {}
            Put::Unseen => pipe.send(()),
            Put::Full => panic!("there is room"),
        }
    }
}

/// Takes what is there; the next number is the one after the last.
fn take_all(taker: &mut Taker<ModelLane>, last: &mut u64) {
    while let Some(number) = take(taker) {
        *last += 1;
        assert_eq!(number, *last, "{NOT_WHAT_WAS_PUT}");
    }
}

/// Lets the taker say how it sleeps; whether it may, because nothing is there.
fn may_sleep(watcher: &Watcher<ModelLane>, mistake: Mistake, say: fn(&Watcher<ModelLane>)) -> bool {
    if mistake == Mistake::LooksTooEarly {
        let may = !watcher.has_records();
        say(watcher);
        return may;
    }
    say(watcher);
    !watcher.has_records()
}

fn sleep(watcher: &Watcher<ModelLane>, pipe: &ModelPipe<()>, mistake: Mistake) {
    if may_sleep(watcher, mistake, Watcher::fall_asleep) {
        pipe.poll();
        pipe.receive();
    }
    watcher.begin_looking();
}

fn doze(watcher: &Watcher<ModelLane>, mistake: Mistake) {
    match may_sleep(watcher, mistake, Watcher::lie_down) {
        true => watcher.doze(PATIENCE),
        false => watcher.begin_looking(),
    }
}

fn a_taker_sleeps_at_its_pipe<const RECORDS: u64>(mistake: Mistake) {
    let (lane, pipe) = (ModelLane::new(mistake), ModelPipe::new());
    let (mut putter, mut taker, watcher) = ends(&lane);
    watcher.begin_looking();
    let calls = Arc::clone(&pipe);
    let other = thread::spawn(move || put_all(&mut putter, &calls, RECORDS));
    let mut last = 0;
    take_all(&mut taker, &mut last);
    while last < RECORDS {
        sleep(&watcher, &pipe, mistake);
        take_all(&mut taker, &mut last);
    }
    join(other);
}

fn a_taker_dozes<const RECORDS: u64>(mistake: Mistake) {
    let (lane, pipe) = (ModelLane::new(mistake), ModelPipe::new());
    let (mut putter, mut taker, watcher) = ends(&lane);
    watcher.begin_looking();
    let other = thread::spawn(move || put_all(&mut putter, &pipe, RECORDS));
    let mut last = 0;
    take_all(&mut taker, &mut last);
    while last < RECORDS {
        doze(&watcher, mistake);
        take_all(&mut taker, &mut last);
    }
    join(other);
}

/// Its first sleep is on the lane, all others are at its pipe; somebody rouses it at any time.
fn a_taker_that_has_dozed_sleeps_at_its_pipe<const RECORDS: u64>(mistake: Mistake) {
    let (lane, pipe) = (ModelLane::new(mistake), ModelPipe::new());
    let (mut putter, mut taker, watcher) = ends(&lane);
    watcher.begin_looking();
    let calls = Arc::clone(&pipe);
    let other = thread::spawn(move || put_all(&mut putter, &calls, RECORDS));
    let rouser = Taker::new(lane.of(Side::Rouser)).watcher();
    let third = thread::spawn(move || rouser.rouse());
    let mut last = 0;
    take_all(&mut taker, &mut last);
    if last < RECORDS {
        doze(&watcher, mistake);
        take_all(&mut taker, &mut last);
    }
    while last < RECORDS {
        sleep(&watcher, &pipe, mistake);
        take_all(&mut taker, &mut last);
    }
    join(other);
    join(third);
}

/// Somebody says what the lane does not know of, and rouses whoever is to hear it.
fn a_third_party_rouses(mistake: Mistake) {
    let lane = ModelLane::new(mistake);
    let watcher = Taker::new(lane.of(Side::Taker)).watcher();
    let rouser = Taker::new(lane.of(Side::Rouser)).watcher();
    let is_over = Arc::new(AtomicBool::new(false));
    let says = Arc::clone(&is_over);
    let other = thread::spawn(move || {
        says.store(true, Ordering::SeqCst);
        rouser.rouse();
    });
    while !is_over.load(Ordering::SeqCst) {
        watcher.lie_down();
        match is_over.load(Ordering::SeqCst) {
            true => watcher.begin_looking(),
            false => watcher.doze(PATIENCE),
        }
    }
    join(other);
}

/// What found no room is left out; all else comes out, in order and whole, however the lane wraps around.
fn a_full_lane_wraps_around(mistake: Mistake) {
    let (mut putter, mut taker, _) = ends(&ModelLane::new(mistake));
    let other = thread::spawn(move || {
        (1..=4_u64).filter(|number| putter.put(&number.to_le_bytes(), 0) != Put::Full).collect::<Vec<_>>()
    });
    let mut taken: Vec<_> = (0..3).filter_map(|_| take(&mut taker)).collect();
    let put = join(other);
    taken.extend(std::iter::from_fn(|| take(&mut taker)));
    assert_eq!(taken, put, "{NOT_WHAT_WAS_PUT}");
}

/// Puts a number in once there is room, of which the taker tells.
fn keep_back(putter: &mut Putter<ModelLane>, calls: &ModelPipe<()>, told: &ModelPipe<()>, number: u64) {
    let bytes = number.to_le_bytes();
    let put = |putter: &mut Putter<ModelLane>| putter.write(&bytes, 0);
    while !(put(putter) || putter.wait_for_room(bytes.len()) && put(putter)) {
        told.poll();
        told.receive();
    }
    if putter.publish() == Put::Unseen {
        calls.send(());
    }
}

/// The third record may find no room, and is kept back until the taker has taken everything.
fn a_putter_waits_for_room(mistake: Mistake) {
    let (mut putter, mut taker, watcher) = ends(&ModelLane::new(mistake));
    let (pipe, back) = (ModelPipe::new(), ModelPipe::new());
    let (calls, told) = (Arc::clone(&pipe), Arc::clone(&back));
    let other =
        thread::spawn(move || (1..=3).for_each(|number| keep_back(&mut putter, &calls, &told, number)));
    let (mut last, mut told_at) = (0, None);
    watcher.begin_looking();
    take_all(&mut taker, &mut last);
    while last < 3 {
        watcher.fall_asleep();
        if let Some(at) = watcher.awaited_at()
            && told_at.replace(at) != Some(at)
        {
            back.send(());
        }
        if !watcher.has_records() {
            pipe.poll();
            pipe.receive();
        }
        watcher.begin_looking();
        take_all(&mut taker, &mut last);
    }
    join(other);
}

/// What goes by the pipe: a number, or nothing when the other side is called.
type Packet = Option<u64>;

/// Sends by two ways in one order, as a line does.
struct Out {
    putter: Putter<ModelLane>,
    pipe: Arc<ModelPipe<Packet>>,
    sent: u32,
    mistake: Mistake,
}

impl Out {
    fn send_record(&mut self, number: u64) {
        let beside = if self.mistake == Mistake::RecordsOvertake { 0 } else { self.sent };
        match self.putter.put(&number.to_le_bytes(), beside) {
            Put::Seen => {}
            Put::Unseen => self.send_packet(None),
            Put::Full => self.send_packet(Some(number)),
        }
    }

    fn send_packet(&mut self, packet: Packet) {
        self.pipe.send(packet);
        self.sent += 1;
        self.putter.note_beside(self.sent);
    }
}

/// Receives what came by two ways, as a line does.
struct In {
    taker: Taker<ModelLane>,
    watcher: Watcher<ModelLane>,
    pipe: Arc<ModelPipe<Packet>>,
    received: u32,
    held: Option<u64>,
    mistake: Mistake,
}

impl In {
    /// The next number; nothing when there is none, or when this side was called.
    fn receive(&mut self) -> Option<u64> {
        let (taken, number) = try_take(&mut self.taker, self.received);
        if let Taken::Record(_) = taken {
            return Some(number);
        }
        if let Some(held) = self.held.take() {
            self.received += 1;
            return Some(held);
        }
        let packet = self.pipe.receive();
        assert!(packet.is_some() || taken == Taken::Nothing, "a record follows packets that were never sent");
        if let Some(Some(number)) = packet
            && self.mistake != Mistake::PacketsOvertake
            && self.watcher.has_records()
        {
            self.held = Some(number);
            return self.receive();
        }
        self.received += u32::from(packet.is_some());
        packet?
    }

    fn sleep(&self) {
        self.watcher.fall_asleep();
        if !self.watcher.has_records() && self.held.is_none() {
            self.pipe.poll();
        }
        self.watcher.begin_looking();
    }
}

/// A record, a packet, a record.
fn a_line_has_two_ways(mistake: Mistake) {
    send_and_receive(mistake, |out| {
        out.send_record(1);
        out.send_packet(Some(2));
        out.send_record(3);
    });
}

/// The third record may find no room, and goes by the pipe then.
fn a_lane_has_no_room(mistake: Mistake) {
    send_and_receive(mistake, |out| (1..=3).for_each(|number| out.send_record(number)));
}

/// Three numbers are sent, and arrive in their order.
fn send_and_receive(mistake: Mistake, send: fn(&mut Out)) {
    let (lane, pipe) = (ModelLane::new(mistake), ModelPipe::new());
    let (putter, taker, watcher) = ends(&lane);
    let mut out = Out { putter, pipe: Arc::clone(&pipe), sent: 0, mistake };
    let mut into = In { taker, watcher, pipe, received: 0, held: None, mistake };
    into.watcher.begin_looking();
    let other = thread::spawn(move || send(&mut out));
    let mut last = 0;
    while last < 3 {
        match into.receive() {
            Some(number) => {
                last += 1;
                assert_eq!(number, last, "{NOT_WHAT_WAS_PUT}");
            }
            None => into.sleep(),
        }
    }
    join(other);
}

#[test]
fn whoever_sleeps_at_its_pipe_is_called() {
    check_holds(a_taker_sleeps_at_its_pipe::<1>, None);
    check_holds(a_taker_sleeps_at_its_pipe::<2>, at_most(5));
}

#[test]
fn whoever_dozes_is_woken() {
    check_holds(a_taker_dozes::<1>, None);
    check_holds(a_taker_dozes::<2>, at_most(5));
}

#[test]
fn whoever_rouses_late_contradicts_nobody() {
    check_holds(a_taker_that_has_dozed_sleeps_at_its_pipe::<2>, at_most(3));
}

#[test]
fn whoever_is_roused_hears_what_was_said_before() {
    check_holds(a_third_party_rouses, None);
}

#[test]
fn a_lane_that_is_full_wraps_around() {
    check_holds(a_full_lane_wraps_around, None);
}

#[test]
fn whoever_waits_for_room_is_told_of_it() {
    check_holds(a_putter_waits_for_room, at_most(3));
}

#[test]
fn records_and_packets_do_not_overtake_one_another() {
    check_holds(a_line_has_two_ways, at_most(4));
    check_holds(a_lane_has_no_room, at_most(4));
}

#[test]
fn a_fence_that_is_left_out_is_found() {
    check_finds(Mistake::PutterWithoutFence, a_taker_sleeps_at_its_pipe::<1>, ALL_WAIT);
    check_finds(Mistake::TakerWithoutFence, a_taker_sleeps_at_its_pipe::<1>, ALL_WAIT);
    check_finds(Mistake::PutterWithoutFence, a_taker_dozes::<1>, ALL_WAIT);
    check_finds(Mistake::TakerWithoutFence, a_taker_dozes::<1>, ALL_WAIT);
    check_finds(Mistake::RouserWithoutFence, a_third_party_rouses, ALL_WAIT);
}

#[test]
fn a_look_that_comes_too_early_is_found() {
    check_finds(Mistake::LooksTooEarly, a_taker_sleeps_at_its_pipe::<1>, ALL_WAIT);
    check_finds(Mistake::LooksTooEarly, a_taker_dozes::<1>, ALL_WAIT);
}

#[test]
fn an_end_that_is_stored_too_loosely_is_found() {
    check_finds(Mistake::LaxEnd, a_full_lane_wraps_around, NOT_WHAT_WAS_PUT);
}

#[test]
fn a_waker_that_overwrites_what_the_sleeper_has_said_is_found() {
    check_finds(Mistake::StateOverwritten, a_taker_that_has_dozed_sleeps_at_its_pipe::<2>, ALL_WAIT);
}

#[test]
fn a_sleep_that_does_not_ask_the_word_it_sleeps_on_is_found() {
    check_finds(Mistake::SleepsUnasked, a_taker_dozes::<1>, ALL_WAIT);
}

#[test]
fn one_way_that_overtakes_the_other_is_found() {
    check_finds(Mistake::PacketsOvertake, a_line_has_two_ways, NOT_WHAT_WAS_PUT);
    check_finds(Mistake::RecordsOvertake, a_line_has_two_ways, NOT_WHAT_WAS_PUT);
}

//! Whole streams: one suite for threads and for real processes.

use super::super::{CursorState, ReadMode, RingEnd, minimum_slots};
use super::actor::{PLACES, Place};
use super::roles::{Role, Script};
use super::stage::Stage;
use super::storm;

/// What a check streams, and to whom.
#[derive(Clone, Copy)]
struct Show<'a> {
    frames: u64,
    bytes: u32,
    is_varying: bool,
    /// Slots beyond the least that the readers need.
    spare: u32,
    /// Whether everybody looks for a moment before sleeping.
    spin: bool,
    modes: &'a [ReadMode],
}

/// Streams to the end and checks what every reader saw and what was counted.
fn check_show(place: Place, show: Show<'_>) {
    let Show { frames, bytes, is_varying, spare, spin, modes } = show;
    let slots = minimum_slots(modes.len() as u32) + spare;
    let stage = Stage::open(place, slots, Script { frames, bytes, is_varying, spin });
    let guests: Vec<_> = modes.iter().map(|mode| stage.invite(*mode, Role::Reader { spin })).collect();
    stage.go();
    stage.producer.expect("done");
    for (guest, mode) in guests.iter().zip(modes) {
        let (seen, counts) = guest.report();
        assert_eq!((seen.torn, seen.disorder, seen.last), (0, 0, frames - 1), "{place:?} {mode:?} {seen:?}");
        if *mode == ReadMode::Lossless {
            assert_eq!((seen.frames, seen.first, seen.jumps), (frames, 0, 0), "{place:?} {seen:?}");
        }
        assert_eq!((counts.taken, counts.taken + counts.skipped, counts.damaged), (seen.frames, frames, 0));
        assert_eq!((counts.start, counts.position, counts.pinned), (0, frames, None));
    }
    let counts = stage.ring.counts();
    assert_eq!((counts.published, counts.refused, counts.ended), (frames, 0, Some(RingEnd::Finished)));
    if !modes.contains(&ReadMode::Lossless) {
        assert_eq!(
            (counts.loans_waited, counts.waited_ns),
            (0, 0),
            "readers of the latest frame hold nobody back"
        );
    }
}

const SCRIPT: Script = Script { frames: 0, bytes: 256, is_varying: false, spin: true };
const SMALL: Show<'_> = Show { frames: 0, bytes: 64, is_varying: false, spare: 0, spin: true, modes: &[] };
const LOSSLESS: ReadMode = ReadMode::Lossless;
const LATEST: ReadMode = ReadMode::Latest;

#[test]
fn a_lossless_reader_sees_every_frame_once_and_in_order() {
    let modes: &[ReadMode] = &[LOSSLESS];
    PLACES
        .into_iter()
        .for_each(|place| check_show(place, Show { frames: 100_000, spare: 5, modes, ..SMALL }));
}

#[test]
fn several_lossless_readers_each_see_every_frame() {
    let modes: &[ReadMode] = &[LOSSLESS, LOSSLESS, LOSSLESS];
    PLACES.into_iter().for_each(|place| check_show(place, Show { frames: 20_000, modes, ..SMALL }));
}

#[test]
fn latest_readers_never_see_a_torn_frame_under_a_producer_at_full_speed() {
    let modes: &[ReadMode] = &[LATEST, LATEST, LATEST];
    let frames = storm(30_000, 1_000_000);
    PLACES.into_iter().for_each(|place| check_show(place, Show { frames, bytes: 16_384, modes, ..SMALL }));
}

#[test]
fn latest_and_lossless_readers_share_a_ring() {
    let modes: &[ReadMode] = &[LATEST, LOSSLESS, LATEST];
    PLACES
        .into_iter()
        .for_each(|place| check_show(place, Show { frames: 20_000, bytes: 4096, modes, ..SMALL }));
}

#[test]
fn frames_may_change_their_size_from_one_to_the_next() {
    let modes: &[ReadMode] = &[LOSSLESS, LATEST];
    PLACES.into_iter().for_each(|place| {
        check_show(place, Show { frames: 20_000, bytes: 9000, is_varying: true, modes, ..SMALL })
    });
}

#[test]
fn no_wake_up_is_lost_when_both_sides_sleep_all_the_time() {
    let (modes, frames): (&[ReadMode], _) = (&[LOSSLESS], storm(50_000, 2_000_000));
    PLACES
        .into_iter()
        .for_each(|place| check_show(place, Show { frames, bytes: 1, spin: false, modes, ..SMALL }));
}

#[test]
fn no_wake_up_is_lost_among_several_sleepers() {
    let (modes, frames): (&[ReadMode], _) = (&[LOSSLESS, LATEST, LOSSLESS], storm(20_000, 1_000_000));
    PLACES
        .into_iter()
        .for_each(|place| check_show(place, Show { frames, bytes: 1, spin: false, modes, ..SMALL }));
}

/// Lets one reader hold a frame, waits until the producer stands still or is done, and lets the reader go on.
fn check_holder(place: Place, mode: ReadMode) {
    let (frames, slots) = (100, 4);
    let stage = Stage::open(place, slots, Script { frames, ..SCRIPT });
    let guest = stage.invite(mode, Role::Holder);
    stage.producer.say("one", &[]);
    guest.actor.expect("holding");
    stage.go();
    if mode == LOSSLESS {
        stage.watch("the producer waits", |ring| ring.counts().waiting_since_ns.is_some());
        assert_eq!(stage.ring.counts().published, u64::from(slots), "every slot is before the reader");
        assert_eq!(guest.cursor.counts().position, 0);
        guest.actor.say("go on", &[]);
        stage.producer.expect("done");
        let counts = stage.ring.counts();
        assert!(counts.loans_waited >= 1 && counts.waited_ns > 0, "{counts:?}");
        assert_eq!(counts.waiting_since_ns, None);
    } else {
        stage.producer.expect("done");
        assert_eq!(guest.cursor.counts().pinned, Some(0), "a hundred frames have passed it by");
        assert_eq!(stage.ring.counts().loans_waited, 0);
        guest.actor.say("go on", &[]);
    }
    let (seen, counts) = guest.report();
    assert_eq!((seen.torn, seen.last, counts.taken + counts.skipped), (0, frames - 1, frames));
}

#[test]
fn a_lossless_reader_holds_the_producer_back_and_the_wait_is_counted() {
    PLACES.into_iter().for_each(|place| check_holder(place, LOSSLESS));
}

#[test]
fn a_latest_reader_never_holds_the_producer_back() {
    PLACES.into_iter().for_each(|place| check_holder(place, LATEST));
}

/// Kills a reader while it holds a frame.
fn check_dead_reader(mode: ReadMode) {
    let frames = 1000;
    let stage = Stage::open(Place::Process, 4, Script { frames, ..SCRIPT });
    let victim = stage.invite(mode, Role::Holder);
    let witness = stage.invite(LOSSLESS, Role::Reader { spin: true });
    stage.go();
    victim.actor.expect("holding");
    if mode == LOSSLESS {
        stage.watch("the producer waits", |ring| ring.counts().waiting_since_ns.is_some());
    }
    victim.actor.kill();
    assert_eq!(victim.cursor.counts().state, CursorState::Joined, "death itself changes nothing");
    victim.cursor.mark_gone(&stage.space);
    stage.producer.expect("done");
    let (seen, _) = witness.report();
    assert_eq!((seen.frames, seen.torn, seen.jumps), (frames, 0, 0), "the others are unaffected");
}

#[test]
fn a_dead_reader_that_is_marked_gone_frees_the_producer() {
    check_dead_reader(LOSSLESS);
    check_dead_reader(LATEST);
}

#[test]
fn the_frames_of_a_dead_producer_are_drained_and_then_the_end_is_seen() {
    let stage = Stage::open(Place::Process, 4, Script { frames: 1000, ..SCRIPT });
    let holder = stage.invite(LOSSLESS, Role::Holder);
    let sleeper = stage.invite(LOSSLESS, Role::Reader { spin: false });
    stage.go();
    holder.actor.expect("holding");
    stage.watch("the producer waits", |ring| ring.counts().waiting_since_ns.is_some());
    let Stage { ring, producer, .. } = stage;
    producer.kill();
    ring.mark_producer_lost([&holder.data, &sleeper.data]);
    let published = ring.counts().published;
    assert_eq!((published, ring.counts().ended), (4, Some(RingEnd::ProducerLost)));
    holder.actor.say("go on", &[]);
    assert_eq!(holder.report().0.last, published - 1);
    assert_eq!(sleeper.report().0.frames, published);
}

//! Pages of signals, in the memory of one process and in shared memory: what is put is taken whole, what sleeps is woken,
//! and whoever dies or lies at the other end harms nobody.

use super::super::latch::{self, TakeError};
use super::super::{
    Roused, SegmentOpenError, SignalMemory, SignalPage, SignalPageError, SignalWriter, Standing, set_words,
};
use super::actor::{Actor, Link, Place};
use super::fatal::Fatal;
use super::roles::Role;
use super::{WATCHDOG, copy, hesitate, storm};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Values that all follow from the first.
type Related = [u64; 4];

/// One value, and related ones.
fn sizes() -> [usize; 2] {
    [1, 4].map(set_words)
}

/// The set of related values.
const RELATED: usize = 1;

fn related(number: u64) -> Related {
    [number, number ^ 0xffff, number * 3, !number]
}

/// A page with both of its ends.
struct Ends {
    writer: SignalWriter,
    page: Arc<SignalPage>,
    memory: Option<SignalMemory>,
}

fn local() -> Ends {
    let writer = SignalWriter::local(&sizes()).expect("it is small");
    Ends { page: Arc::clone(writer.page()), writer, memory: None }
}

fn memory() -> SignalMemory {
    SignalMemory::create(3, &sizes()).expect("memory can be had")
}

fn descriptors(memory: &SignalMemory) -> [OwnedFd; 2] {
    memory.fds().map(copy)
}

fn open(memory: &SignalMemory, sizes: &[usize]) -> Result<SignalPage, SignalPageError> {
    let [values, bells] = descriptors(memory);
    SignalPage::open(values, bells, sizes)
}

fn shared() -> Ends {
    let memory = memory();
    let [values, bells] = descriptors(&memory);
    let writer = SignalWriter::open(values, bells, &sizes()).expect("it is fresh");
    memory.seal().expect("it is ours");
    let page = open(&memory, &sizes()).expect("it is sealed");
    Ends { writer, page: Arc::new(page), memory: Some(memory) }
}

/// Every property holds wherever the words lie.
fn check_both(property: impl Fn(Ends)) {
    [local, shared].into_iter().for_each(|ends| property(ends()));
}

#[test]
fn what_is_put_is_taken_as_a_whole_or_in_part() {
    check_both(|Ends { writer, page, .. }| {
        assert_eq!(page.take::<Related>(RELATED, 0).err(), Some(TakeError::NotPublished));
        let (mut set, mut other) = (writer.set(RELATED), writer.set(0));
        for number in 1..=20 {
            set.put(&related(number), number * 10);
            let taken = page.take::<Related>(RELATED, 0).expect("published");
            assert_eq!((taken.value, taken.at_ns, taken.number), (related(number), number * 10, number));
            assert_eq!(page.take::<u64>(RELATED, 2).expect("published").value, number * 3);
            assert_eq!(page.take_words(RELATED, 1, 2).expect("published").value, related(number)[1..3]);
            other.put(&-1.5_f64, 1);
        }
        assert_eq!(page.take::<f64>(0, 0).expect("published").value, -1.5);
        assert_eq!((page.count(0), page.count(RELATED), page.standing()), (20, 20, Standing::Open));
    });
}

#[test]
fn no_reader_sees_a_torn_or_an_older_set_however_fast_the_writer_is() {
    check_both(|Ends { writer, page, .. }| {
        let (last, page) = (storm(200_000, 20_000_000), &page);
        thread::scope(|scope| {
            let readers = [(); 2].map(|()| scope.spawn(move || follow(page, last)));
            let mut set = writer.set(RELATED);
            (1..=last).for_each(|number| set.put(&related(number), number));
            readers.into_iter().for_each(|reader| reader.join().expect("nothing torn"));
        });
    });
}

/// Reads until that publication, and demands that each is whole and none is older than the one before.
fn follow(page: &SignalPage, last: u64) {
    let mut number = 0;
    while number < last {
        let taken = match page.take::<Related>(RELATED, 0) {
            Ok(taken) => taken,
            Err(error) => {
                assert_eq!(error, TakeError::NotPublished);
                thread::yield_now();
                continue;
            }
        };
        assert_eq!((taken.value, taken.at_ns), (related(taken.number), taken.number));
        assert!(taken.number >= number, "{} after {number}", taken.number);
        number = taken.number;
    }
}

#[test]
fn a_publication_that_comes_while_somebody_lies_down_wakes_him() {
    check_both(|Ends { writer, page, .. }| {
        let turns = storm(5_000, 500_000);
        let (page, until) = (&page, Some(Instant::now() + WATCHDOG));
        let awake = AtomicU64::new(0);
        thread::scope(|scope| {
            for _ in 0..2 {
                let awake = &awake;
                scope.spawn(move || {
                    for turn in 0..turns {
                        let roused = page.wait(RELATED, turn, until, &|| false).expect("it can sleep");
                        assert_eq!(roused, Roused::News, "in turn {turn}");
                        awake.fetch_add(1, Ordering::AcqRel);
                    }
                });
            }
            let mut set = writer.set(RELATED);
            for turn in 0..turns {
                hesitate(turn);
                set.put(&related(turn), 0);
                while awake.load(Ordering::Acquire) < 2 * (turn + 1) {
                    thread::yield_now();
                }
            }
        });
    });
}

#[test]
fn a_sleep_ends_in_time_when_it_is_told_to_and_with_the_publisher() {
    check_both(|Ends { writer, page, memory }| {
        let soon = Instant::now() + Duration::from_millis(1);
        let wait = |until, is_to_stop: &dyn Fn() -> bool| page.wait(RELATED, 0, until, is_to_stop);
        assert_eq!(wait(Some(soon), &|| false), Ok(Roused::TimedOut));
        let is_stopped = AtomicBool::new(false);
        thread::scope(|scope| {
            let sleeper = scope.spawn(|| wait(None, &|| is_stopped.load(Ordering::Acquire)));
            is_stopped.store(true, Ordering::Release);
            page.rouse();
            assert_eq!(sleeper.join().expect("it does not panic"), Ok(Roused::Stopped));
            let Some(memory) = memory else { return };
            let sleeper = scope.spawn(|| wait(None, &|| false));
            memory.mark_ended();
            assert_eq!(sleeper.join().expect("it does not panic"), Ok(Roused::Ended));
            assert_eq!(page.standing(), Standing::Ended);
            memory.mark_superseded();
            assert_eq!(page.standing(), Standing::Superseded);
        });
        drop(writer);
    });
}

#[test]
fn a_page_that_is_not_what_was_promised_is_refused() {
    let memory = memory();
    let unsealed = SignalPageError::Segment(SegmentOpenError::OpenToWriters);
    assert_eq!(open(&memory, &sizes()).expect_err("somebody could still begin to write"), unsealed);
    memory.seal().expect("it is ours");
    let [values, bells] = descriptors(&memory);
    let closed = SignalPageError::Segment(SegmentOpenError::ClosedToWriters);
    assert_eq!(SignalWriter::open(values, bells, &sizes()).expect_err("there is one writer"), closed);
    assert!(matches!(open(&memory, &[1]), Err(SignalPageError::OtherSets { .. })));
    assert!(matches!(open(&memory, &[set_words(4096)]), Err(SignalPageError::Segment(_))));
    assert!(matches!(open(&memory, &[usize::MAX / 2]), Err(SignalPageError::OtherSets { .. })));
    let [values, bells] = descriptors(&memory);
    assert!(SignalPage::open(bells, values, &sizes()).is_err(), "the wrong way round");
    let [values, _] = descriptors(&memory);
    assert!(SignalPage::open(values, copy(std::io::stdin()), &sizes()).is_err(), "no memory");
    assert!(SignalMemory::create(1, &[usize::MAX]).is_err() && SignalWriter::local(&[usize::MAX]).is_none());
}

// --- a publisher in a process of its own ---

/// How many stores a publication takes.
const STEPS: usize = 7;

/// The role of a publisher: hears the page, says `mapped`, hears `go`, and publishes on and on; or three times, and then
/// up to a step.
pub(super) fn publish_signals(link: &Link, dies_at: Option<usize>) {
    let Some((_, page)) = link.hear() else { return };
    let [values, bells] = page.try_into().expect("two descriptors");
    let writer = SignalWriter::open(values, bells, &sizes()).expect("it is fresh");
    link.say("mapped", &[]);
    let Some(_) = link.hear() else { return };
    let mut set = writer.set(RELATED);
    for number in 1..=dies_at.map_or(u64::MAX, |_| 3) {
        set.put(&related(number), number);
    }
    let words: Vec<_> = writer.page().region(RELATED).iter().map(Fatal).collect();
    Fatal::live_for(dies_at.unwrap_or_default());
    latch::put(&words, 4, 4, &related(4));
    link.say("lives", &[]);
}

/// A publisher in a process of its own, with the page as others read it.
fn started(dies_at: Option<usize>) -> (Actor, SignalPage) {
    let memory = memory();
    let gauge = Actor::start(Place::Process, Role::Gauge { dies_at });
    gauge.say("page", &memory.fds());
    gauge.expect("mapped");
    memory.seal().expect("it is ours");
    let page = open(&memory, &sizes()).expect("it is sealed");
    gauge.say("go", &[]);
    (gauge, page)
}

#[test]
fn a_publisher_that_is_killed_between_any_two_steps_leaves_a_whole_set() {
    for step in 0..=STEPS {
        let (gauge, page) = started(Some(step));
        assert_eq!(gauge.hears_of_an_end(), step < STEPS, "step {step}");
        let taken = page.take::<Related>(RELATED, 0).expect("three were published");
        let expected = if step == STEPS { 4 } else { 3 };
        assert_eq!((taken.number, taken.value, taken.at_ns), (expected, related(expected), expected));
    }
}

#[test]
fn a_publisher_that_is_killed_at_any_moment_leaves_a_whole_set() {
    for turn in 0..storm(10, 500) {
        let (gauge, page) = started(None);
        let until = Some(Instant::now() + WATCHDOG);
        assert_eq!(page.wait(RELATED, 0, until, &|| false), Ok(Roused::News));
        follow(&page, 2_000 + turn * 17);
        gauge.kill();
        let taken = page.take::<Related>(RELATED, 0).expect("many were published");
        assert_eq!((taken.value, taken.at_ns), (related(taken.number), taken.number));
        assert_eq!(page.take::<Related>(RELATED, 0), Ok(taken), "nobody writes any more");
    }
}

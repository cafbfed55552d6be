//! Shared objects, in the memory of one process and in shared memory: what is written is read whole and in order, what
//! sleeps is woken, and whoever dies at the other end harms nobody.

use super::super::{
    AppendDataset, Counters, DatasetFull, DatasetState, LatestValue, OutOfOrder, Roused, RowRing,
    SharedObject, SharedPlace, SignalMemory, SignalPage, SignalWriter, TableFull, TakeError, ValueError,
    VersionedTable, region_words,
};
use super::actor::{Actor, Link, Place};
use super::fatal::Fatal;
use super::roles::Role;
use super::subjects::Subject;
use super::{WATCHDOG, copy, hesitate, storm};
use crate::macros::{Schema, Signals};
use crate::wire::shared::{value_of_words, words_of};
use crate::wire::{SharedSpec, TypeSchema};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread;
use std::time::Instant;

/// Values of which the second follows from the first.
#[derive(Signals, Schema, Debug, Clone, Copy, PartialEq)]
struct Pair {
    one: u64,
    other: f64,
}

impl Pair {
    fn of(one: u64) -> Self {
        Self { one, other: one as f64 / 2.0 }
    }

    fn read(words: &[u64]) -> Self {
        value_of_words(words).expect("they are those of a pair")
    }
}

#[derive(Signals, Schema, Debug, Clone, Copy)]
struct Counts {
    one: u64,
    other: u64,
}

/// An object with both of its ends.
struct Ends<O> {
    object: O,
    reader: SharedPlace,
    _memory: Option<SignalMemory>,
}

fn local<O: SharedObject>(spec: &SharedSpec) -> Ends<O> {
    let place = SharedPlace::local(spec.layout().expect("it has a size")).expect("it is small");
    Ends { object: O::begin(place.clone()), reader: place, _memory: None }
}

fn memory_of(words: usize) -> SignalMemory {
    SignalMemory::create(1, &[words]).expect("memory can be had")
}

fn descriptors(memory: &SignalMemory) -> [OwnedFd; 2] {
    memory.fds().map(copy)
}

fn shared<O: SharedObject>(spec: &SharedSpec) -> Ends<O> {
    let layout = spec.layout().expect("it has a size");
    let sizes = [region_words(&layout)];
    let memory = memory_of(sizes[0]);
    let [values, bells] = descriptors(&memory);
    let writer = SignalWriter::open(values, bells, &sizes).expect("it is fresh");
    memory.seal().expect("it is ours");
    let [values, bells] = descriptors(&memory);
    let page = Arc::new(SignalPage::open(values, bells, &sizes).expect("it is sealed"));
    let object = O::begin(SharedPlace::new(Arc::clone(writer.page()), 0, layout));
    Ends { object, reader: SharedPlace::new(page, 0, layout), _memory: Some(memory) }
}

/// Every property holds wherever the words lie.
fn check_both<O: SharedObject>(spec: SharedSpec, property: impl Fn(O, SharedPlace)) {
    let key = spec.key.as_ref().map_or(0, TypeSchema::fingerprint);
    let layout = spec.layout().expect("it has a size");
    assert!(O::is_declared_by(&layout, spec.item.fingerprint(), key), "{spec:?}");
    assert!(!O::is_declared_by(&layout, spec.item.fingerprint() ^ 1, key), "{spec:?}");
    for ends in [local, shared] {
        let Ends { object, reader, _memory } = ends(&spec);
        property(object, reader);
    }
}

fn rows_from(reader: &SharedPlace, next: u64, most: u64) -> (Vec<(u64, Pair)>, u64) {
    let mut words = Vec::new();
    let span = reader.copy_rows(next, most, &mut words);
    let rows = words.chunks_exact(reader.row_width()).map(|row| (row[0], Pair::read(&row[1..])));
    (rows.collect(), span.lost)
}

#[test]
fn rows_are_read_in_the_order_of_time_and_the_oldest_give_way() {
    check_both(RowRing::<Pair>::declare(4), |mut ring: RowRing<Pair>, reader| {
        assert_eq!(rows_from(&reader, 1, 10), (Vec::new(), 0));
        ring.append_at(10, &[Pair::of(1), Pair::of(2)]).expect("the first");
        assert_eq!(rows_from(&reader, 1, 10), (vec![(10, Pair::of(1)), (10, Pair::of(2))], 0));
        let error = ring.append_at(9, &[Pair::of(3)]).expect_err("it is older");
        assert_eq!(error, OutOfOrder { at_ns: 9, last_ns: 10 });
        (3..=7).for_each(|number| ring.append_at(number * 10, &[Pair::of(number)]).expect("in order"));
        let (rows, lost) = rows_from(&reader, 2, 10);
        assert_eq!((rows.len(), rows[0], lost), (4, (40, Pair::of(4)), 2));
        assert_eq!(rows_from(&reader, 5, 2).0.last(), Some(&(60, Pair::of(6))));
        ring.append(&Pair::of(8));
        assert_eq!((reader.news(), ring.appended()), (8, 8));
        assert!(rows_from(&reader, 8, 1).0[0].0 >= 70);
    });
}

#[test]
fn no_reader_sees_a_torn_row_and_each_row_is_read_or_counted_as_lost() {
    check_both(RowRing::<Pair>::declare(64), |mut ring: RowRing<Pair>, reader| {
        let (last, reader) = (storm(200_000, 20_000_000), &reader);
        thread::scope(|scope| {
            let readers = [(); 2].map(|()| scope.spawn(move || follow_rows(reader, last)));
            (1..=last).for_each(|number| ring.append_at(number, &[Pair::of(number)]).expect("in order"));
            for reader in readers {
                let (read, lost) = reader.join().expect("nothing torn");
                assert_eq!(read + lost, last);
            }
        });
    });
}

fn follow_rows(reader: &SharedPlace, last: u64) -> (u64, u64) {
    let (mut next, mut read, mut lost, mut words) = (1, 0, 0, Vec::new());
    while next <= last {
        let span = reader.copy_rows(next, 16, &mut words);
        for (number, row) in (span.first..).zip(words.chunks_exact(reader.row_width())) {
            assert_eq!((row[0], Pair::read(&row[1..])), (number, Pair::of(number)), "torn");
        }
        (next, read, lost) = (span.next(), read + span.count, lost + span.lost);
    }
    (read, lost)
}

#[test]
fn a_row_that_comes_while_somebody_lies_down_wakes_him() {
    check_both(RowRing::<Pair>::declare(4), |mut ring: RowRing<Pair>, reader| {
        let (turns, until) = (storm(5_000, 500_000), Some(Instant::now() + WATCHDOG));
        thread::scope(|scope| {
            let sleeper = scope.spawn(|| {
                for turn in 0..turns {
                    let roused =
                        reader.page().wait(reader.region(), reader.news().min(turn), until, &|| false);
                    assert_eq!(roused, Ok(Roused::News), "in turn {turn}");
                }
            });
            for turn in 0..turns {
                hesitate(turn);
                ring.append(&Pair::of(turn));
            }
            sleeper.join().expect("it is woken");
        });
    });
}

#[test]
fn a_value_of_any_length_comes_back_as_it_was_published() {
    check_both(LatestValue::<String>::declare(20), |mut value: LatestValue<String>, reader| {
        assert_eq!(reader.take_bytes().err(), Some(TakeError::NotPublished));
        for (number, text) in (1..).zip(["a text", "", "some nineteen bytes"]) {
            value.publish(&text.to_owned()).expect("it fits");
            let taken = reader.take_bytes().expect("published");
            assert_eq!((&taken.value[1..], taken.number), (text.as_bytes(), number));
        }
        let error = value.publish(&"a text of twenty bytes".to_owned()).expect_err("it is too long");
        assert!(matches!(error, ValueError::TooLarge { bytes: 23, room: 20 }), "{error}");
        assert_eq!(reader.take_bytes().expect("the one before").number, 3);
    });
}

fn find(reader: &SharedPlace, key: u32) -> Option<(u64, u64)> {
    let found = reader.find_row(&words_of(&key), None).expect("it is at rest");
    found.map(|(_, entry)| (Pair::read(&entry.words[1..]).one, entry.version))
}

fn check_occupancy(table: &VersionedTable<u32, Pair>, reader: &SharedPlace, rows: u64, used: u64) {
    let occupancy = reader.occupancy();
    assert_eq!((occupancy.rows, occupancy.used, occupancy.capacity), (rows, used, 4));
    assert_eq!(table.occupancy(), occupancy);
}

#[test]
fn rows_of_a_table_are_put_removed_and_found_and_holes_are_closed() {
    check_both(VersionedTable::<u32, Pair>::declare(4), |mut table: VersionedTable<u32, Pair>, reader| {
        (1..=4).for_each(|key| assert_eq!(table.put(key, &Pair::of(u64::from(key))), Ok(u64::from(key))));
        assert_eq!(table.put(5, &Pair::of(5)), Err(TableFull { capacity: 4 }));
        assert_eq!(table.put(2, &Pair::of(22)), Ok(5));
        assert_eq!(
            (find(&reader, 2), find(&reader, 4), find(&reader, 5)),
            (Some((22, 5)), Some((4, 4)), None)
        );
        check_occupancy(&table, &reader, 4, 4);
        assert!(table.remove(&1) && table.remove(&2) && !table.remove(&2));
        check_occupancy(&table, &reader, 2, 4);
        assert_eq!((table.compact(), table.compact()), (2, 0));
        check_occupancy(&table, &reader, 2, 2);
        assert_eq!(
            (find(&reader, 1), find(&reader, 3), find(&reader, 4)),
            (None, Some((3, 3)), Some((4, 4)))
        );
        let scan = reader.scan_table().expect("it is at rest");
        assert_eq!((scan.entries.len(), scan.version), (2, reader.news()));
        assert!(table.put(9, &Pair::of(9)).is_ok() && table.has(&9));
        check_occupancy(&table, &reader, 3, 3);
    });
}

#[test]
fn a_copy_of_a_table_is_of_one_time_however_it_changes() {
    check_both(VersionedTable::<u32, Pair>::declare(8), |mut table: VersionedTable<u32, Pair>, reader| {
        let (turns, reader) = (storm(20_000, 2_000_000), &reader);
        (0..4).for_each(|key| assert!(table.put(key, &Pair::of(0)).is_ok()));
        thread::scope(|scope| {
            let looking = scope.spawn(move || {
                while reader.news() < 4 + turns {
                    let Ok(scan) = reader.scan_table() else { continue };
                    let mut keys: Vec<_> = scan.entries.iter().map(|(_, entry)| entry.words[0]).collect();
                    keys.sort_unstable();
                    keys.dedup();
                    // Of four keys in a row one goes and the next one comes: never fewer than three, never more than four.
                    let is_row = keys.windows(2).all(|pair| pair[1] == pair[0] + 1);
                    assert!((3..=4).contains(&keys.len()) && is_row, "torn: {keys:?}");
                }
            });
            for key in (4..).take_while(|key| u64::from(*key) < turns) {
                table.remove(&(key - 4));
                table.put(key, &Pair::of(0)).expect("there is room");
                if key % 7 == 0 {
                    table.compact();
                }
            }
            while table.place().news() < 4 + turns {
                table.put(u32::MAX, &Pair::of(0)).err();
                table.remove(&u32::MAX);
            }
            looking.join().expect("nothing torn");
        });
    });
}

fn records(reader: &SharedPlace) -> (Vec<Pair>, u64, DatasetState) {
    let mut words = Vec::new();
    let head = reader.copy_records(0, u64::MAX, &mut words).expect("it is at rest");
    (words.chunks_exact(2).map(Pair::read).collect(), head.epoch, head.state)
}

#[test]
fn records_are_seen_when_they_are_committed_and_not_when_they_are_taken_back() {
    check_both(AppendDataset::<Pair>::declare(3), |mut set: AppendDataset<Pair>, reader| {
        (1..=2).for_each(|number| set.append(&Pair::of(number)).expect("there is room"));
        assert_eq!(records(&reader), (Vec::new(), 0, DatasetState::Filling));
        assert_eq!(set.commit(), 2);
        set.append(&Pair::of(99)).expect("there is room");
        assert_eq!(set.append(&Pair::of(3)), Err(DatasetFull::NoRoom { capacity: 3 }));
        assert_eq!((set.roll_back(), set.roll_back()), (1, 0));
        set.append(&Pair::of(3)).expect("there is room again");
        assert_eq!(records(&reader).0, [1, 2].map(Pair::of));
        assert_eq!(set.finish(), Ok(3));
        assert_eq!(records(&reader), ([1, 2, 3].map(Pair::of).to_vec(), 0, DatasetState::Complete));
        let closed = DatasetFull::Closed { state: DatasetState::Complete };
        assert_eq!((set.append(&Pair::of(4)), set.finish()), (Err(closed), Err(closed)));
        set.begin_anew();
        set.append(&Pair::of(5)).expect("there is room");
        assert_eq!(records(&reader), (Vec::new(), 1, DatasetState::Filling));
        assert_eq!(set.abandon(), Ok(0));
        assert_eq!(records(&reader), (Vec::new(), 1, DatasetState::Abandoned));
    });
}

#[test]
fn counters_are_added_to_from_many_threads_and_read_without_a_lock() {
    check_both(Counters::<Counts>::declare(), |counts: Counters<Counts>, reader| {
        assert!(counts.counter("neither").is_none());
        thread::scope(|scope| {
            for name in ["one", "other", "other"] {
                let counter = counts.counter(name).expect("it is declared");
                scope.spawn(move || (0..1000).for_each(|_| counter.add(2)));
            }
        });
        let columns = Counters::<Counts>::declare().columns();
        assert_eq!(reader.read_counters(&columns), [2000, 4000]);
        assert_eq!(counts.counter("other").map(|it| it.get()), Some(4000));
    });
}

// --- a writer in a process of its own ---

/// The role of a writer: hears the page, says `mapped`, hears `go`, and writes on and on; or so many parts, and then up to
/// a step.
pub(super) fn write_shared(link: &Link, subject: Subject, before: u64, dies_at: Option<usize>) {
    let Some((_, page)) = link.hear() else { return };
    let [values, bells] = page.try_into().expect("two descriptors");
    let writer = SignalWriter::open(values, bells, &[subject.words::<AtomicU64>()]).expect("it is fresh");
    link.say("mapped", &[]);
    let Some(_) = link.hear() else { return };
    let words: Vec<_> = writer.page().region(0).iter().map(Fatal).collect();
    (1..=before).for_each(|number| subject.write(&words, number));
    let Some(step) = dies_at else {
        return (before + 1..u64::MAX).for_each(|number| subject.write(&words, number));
    };
    Fatal::live_for(step);
    subject.write(&words, before + 1);
    Fatal::live_for(usize::MAX);
    link.say("lives", &[]);
}

/// A writer in a process of its own, with the page as others read it.
fn started(subject: Subject, before: u64, dies_at: Option<usize>) -> (Actor, SignalPage) {
    let sizes = [subject.words::<AtomicU64>()];
    let memory = memory_of(sizes[0]);
    let writer = Actor::start(Place::Process, Role::Sharer { subject, before, dies_at });
    writer.say("page", &memory.fds());
    writer.expect("mapped");
    memory.seal().expect("it is ours");
    let [values, bells] = descriptors(&memory);
    let page = SignalPage::open(values, bells, &sizes).expect("it is sealed");
    writer.say("go", &[]);
    (writer, page)
}

#[test]
fn a_writer_that_is_killed_between_any_two_steps_leaves_a_state_of_its_history() {
    for subject in Subject::ALL {
        // The parts of a table differ: one of each kind.
        for before in 4..=6 {
            let mut step = 0;
            loop {
                let (writer, page) = started(subject, before, Some(step));
                let is_dead = writer.hears_of_an_end();
                let seen = subject.check(page.region(0), before).expect("nobody writes any more");
                assert!(seen <= before + 1, "{subject:?}: {seen} after {before}, step {step}");
                if !is_dead {
                    assert_eq!(seen, before + 1, "{subject:?}");
                    break;
                }
                step += 1;
            }
        }
    }
}

#[test]
fn a_writer_that_is_killed_at_any_moment_leaves_a_state_of_its_history() {
    for subject in Subject::ALL {
        for turn in 0..storm(5, 200) {
            let (writer, page) = started(subject, 0, None);
            let (mut last, goal) = (0, 2_000 + turn * 17);
            while last < goal {
                // Overtaken, it looks again.
                last = subject.check(page.region(0), last).unwrap_or(last);
            }
            writer.kill();
            let seen = subject.check(page.region(0), last).expect("nobody writes any more");
            assert_eq!(subject.check(page.region(0), seen), Some(seen), "{subject:?}");
        }
    }
}

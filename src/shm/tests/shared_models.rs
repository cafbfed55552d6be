//! Shared objects in a model of memory in which everything that Rust allows happens, and with a writer that dies at any
//! step.

use loom::sync::Arc;
use loom::thread;

use super::super::latch::Word;
use super::super::latch::tests::{Modelled, Mortal};
use super::super::{SharedPlace, region_words};
use super::subjects::Subject;
use crate::wire::{SharedKind, SharedLayout};

/// Every course of a writer that goes on from `before` to `last`, and a reader that looks at it.
fn model<const IS_FENCED: bool>(subject: Subject, before: u64, last: u64, preemptions: usize) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.check(move || {
        let words = (0..subject.words::<Modelled<IS_FENCED>>()).map(|_| Modelled::<IS_FENCED>::new());
        let words = Arc::new(words.collect::<Vec<_>>());
        (1..=before).for_each(|number| subject.write(&words, number));
        let theirs = Arc::clone(&words);
        let writer = thread::spawn(move || {
            (before + 1..=last).for_each(|number| subject.write(&theirs, number));
        });
        subject.check(&words, before);
        writer.join().expect("it does not panic");
        assert_eq!(subject.check(&words, last), Some(last));
    });
}

#[test]
fn in_every_course_of_the_model_rows_are_whole() {
    model::<true>(Subject::Rows, 3, 5, 3);
}

#[test]
fn in_every_course_of_the_model_a_value_is_whole() {
    model::<true>(Subject::Value, 1, 3, 3);
}

#[test]
fn in_every_course_of_the_model_a_table_is_whole_and_a_row_that_is_moved_is_not_missed() {
    (1..=4).for_each(|before| model::<true>(Subject::Table, before, before + 1, 2));
}

#[test]
fn in_every_course_of_the_model_records_are_of_one_filling() {
    model::<true>(Subject::Dataset, 1, 4, 3);
}

#[test]
#[should_panic(expected = "torn")]
fn without_its_fences_the_model_finds_a_torn_row() {
    model::<false>(Subject::Rows, 3, 5, 3);
}

#[test]
#[should_panic(expected = "torn")]
fn without_its_fences_the_model_finds_a_torn_table() {
    (1..=4).for_each(|before| model::<false>(Subject::Table, before, before + 1, 2));
}

#[test]
#[should_panic(expected = "torn")]
fn without_its_fences_the_model_finds_a_torn_record() {
    model::<false>(Subject::Dataset, 1, 4, 3);
}

/// A writer dies before each step of its last part: what is left is a state of the history, the one before or that one.
fn check_deaths(subject: Subject, before: u64) {
    let mut step = 0;
    loop {
        let words: Vec<_> = (0..subject.words::<Mortal>()).map(|_| Mortal::new()).collect();
        Mortal::live_for(usize::MAX);
        (1..=before).for_each(|number| subject.write(&words, number));
        Mortal::live_for(step);
        subject.write(&words, before + 1);
        let has_survived = Mortal::live_for(usize::MAX) > 0;
        let seen = subject.check(&words, 0).expect("nobody writes any more");
        // A filling may begin anew, and be empty then, before its first record is there.
        assert!(
            (before..=before + 1).contains(&seen),
            "{subject:?} {seen}, dead before step {step} after {before}"
        );
        if has_survived {
            assert_eq!(seen, before + 1, "{subject:?}");
            return;
        }
        step += 1;
    }
}

#[test]
fn a_writer_that_dies_between_any_two_steps_leaves_a_state_of_its_history() {
    for subject in Subject::ALL {
        (0..10).for_each(|before| check_deaths(subject, before));
    }
}

/// Words that no honest writer leaves there: whoever reads comes to an end, with whatever it finds.
fn check_lies(kind: SharedKind, head: u64, begun: u64) {
    let layout = SharedLayout { kind, item_words: 2, key_words: 1, capacity: 4 };
    let place = SharedPlace::local(layout).expect("it is small");
    place.words().iter().for_each(|word| Word::set(word, begun));
    Word::set(&place.words()[1], head);
    let mut copied = Vec::new();
    for first in [0, 1, 3, u64::MAX / 2, u64::MAX] {
        match kind {
            SharedKind::Rows => drop(place.copy_rows(first, u64::MAX, &mut copied)),
            SharedKind::Value => drop(place.take_bytes()),
            SharedKind::Table => drop((place.scan_table(), place.find_row(&[first], Some(first as usize)))),
            SharedKind::Dataset => drop(place.copy_records(first, u64::MAX, &mut copied)),
            SharedKind::Counters => drop(place.read_counters(&[])),
        }
        assert!(copied.len() <= region_words(&layout));
    }
}

#[test]
fn whatever_a_writer_leaves_a_reader_comes_to_an_end() {
    let kinds =
        [SharedKind::Rows, SharedKind::Value, SharedKind::Table, SharedKind::Dataset, SharedKind::Counters];
    for kind in kinds {
        for head in [0, 1, 7, u64::MAX / 2, u64::MAX - 1, u64::MAX] {
            [0, 1, 7, u64::MAX].into_iter().for_each(|begun| check_lies(kind, head, begun));
        }
    }
}

#[test]
fn what_is_larger_than_may_be_shared_has_no_size() {
    for (item_words, key_words, capacity) in [(1, 1, u64::MAX), (u64::MAX, 1, 2), (1 << 20, 1 << 20, 1 << 20)]
    {
        for kind in [SharedKind::Rows, SharedKind::Table, SharedKind::Dataset] {
            let words = region_words(&SharedLayout { kind, item_words, key_words, capacity });
            assert_eq!(words, usize::MAX, "{kind:?}");
        }
    }
}

//! What is written and checked of each shared object, over any memory: histories whose every state is known.

use super::super::latch::Word;
use super::super::table::{Entry, Slots, words_for_words};
use super::super::{DatasetHead, DatasetState, dataset, rows, value};

/// An object with a history of numbered parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(in crate::shm) enum Subject {
    Rows,
    Value,
    Table,
    Dataset,
}

/// Of a row: its time and two values.
const WIDTH: usize = 3;
/// How many rows the ring holds.
const ROWS: usize = 3;
/// Bytes of a value at most.
const BYTES: u64 = 24;
/// Records of one filling.
const RECORDS: u64 = 2;

impl Subject {
    pub(in crate::shm) const ALL: [Self; 4] = [Self::Rows, Self::Value, Self::Table, Self::Dataset];

    /// How much memory its history takes.
    pub(in crate::shm) fn words<W: Word>(self) -> usize {
        let words = match self {
            Self::Rows => rows::words_for(WIDTH - 1, ROWS),
            Self::Value => super::super::latch::latch_words::<W>(1 + BYTES as usize / 8),
            Self::Table => words_for_words::<W>(1, 1, 2),
            Self::Dataset => dataset::words_for(2, RECORDS as usize),
        };
        words.expect("it is small")
    }

    /// Writes part `number`, one more than the last.
    pub(in crate::shm) fn write<W: Word>(self, words: &[W], number: u64) {
        match self {
            Self::Rows => rows::append(words, WIDTH, number, number * 10, |cells| {
                cells[0].set(number);
                cells[1].set(number * 7);
            }),
            Self::Value => value::put_bytes(words, number, number * 10, &bytes(number)),
            Self::Table => change_table(&Slots::of(words, 1, 1), number),
            Self::Dataset => append_record(words, number),
        }
    }

    /// Reads all there is, demands that it is of one state of the history, and says after which part that is; nothing when
    /// the reader was overtaken.
    pub(in crate::shm) fn check<W: Word>(self, words: &[W], least: u64) -> Option<u64> {
        let number = match self {
            Self::Rows => check_rows(words),
            Self::Value => match value::take_bytes(words) {
                Ok(taken) => {
                    assert_eq!((taken.value, taken.at_ns), (bytes(taken.number), taken.number * 10), "torn");
                    Some(taken.number)
                }
                Err(super::super::TakeError::NotPublished) => Some(0),
                Err(_) => None,
            },
            Self::Table => check_table(&Slots::of(words, 1, 1)),
            Self::Dataset => check_records(words),
        };
        assert!(number.is_none_or(|number| number >= least), "{self:?}: {number:?} after {least}");
        number
    }
}

fn check_rows<W: Word>(words: &[W]) -> Option<u64> {
    let mut copied = Vec::new();
    let span = rows::copy(words, WIDTH, 1, u64::MAX, &mut copied);
    assert_eq!(copied.len() as u64, span.count * WIDTH as u64);
    for (number, row) in (span.first..).zip(copied.chunks_exact(WIDTH)) {
        assert_eq!(row, [number * 10, number, number * 7], "torn");
    }
    (span.count > 0 || span.lost == 0).then(|| span.next() - 1)
}

/// Bytes of which each follows from the number, and as many as it says.
fn bytes(number: u64) -> Vec<u8> {
    vec![number as u8; (number % (BYTES + 1)) as usize]
}

/// The keys that are there after that part: one comes into the higher slot, the one before leaves the lower one, and the
/// new one is moved there.
fn keys_after(number: u64) -> Vec<u64> {
    match (number, number.saturating_sub(2) / 3, number.saturating_sub(2) % 3) {
        (0, ..) => Vec::new(),
        (1, ..) => vec![0],
        (_, key, 0) => vec![key, key + 1],
        (_, key, _) => vec![key + 1],
    }
}

fn change_table<W: Word>(slots: &Slots<'_, W>, number: u64) {
    let entry = |key: u64| Entry { version: key, at_ns: key * 10, words: vec![key, key * 7] };
    slots.change(number, |slots| {
        if number == 1 {
            slots.put(0, 1, &entry(0));
            return slots.set_size(2, 1);
        }
        let (key, phase) = ((number - 2) / 3, (number - 2) % 3);
        match phase {
            0 => slots.put(1, 2 * key + 1, &entry(key + 1)),
            1 => slots.vacate(0, 2 * key + 2),
            _ => {
                slots.put(0, 2 * key + 3, &entry(key + 1));
                slots.vacate(1, 2 * key + 2);
            }
        }
    });
}

fn check_table<W: Word>(slots: &Slots<'_, W>) -> Option<u64> {
    let scan = slots.scan().ok()?;
    let mut keys = Vec::new();
    for (_, entry) in &scan.entries {
        let key = entry.words[0];
        let expected = Entry { version: key, at_ns: key * 10, words: vec![key, key * 7] };
        assert_eq!(*entry, expected, "torn");
        keys.push(key);
    }
    keys.sort_unstable();
    keys.dedup();
    let states = [keys_after(scan.version), keys_after(scan.version + 1)];
    assert!(states.contains(&keys), "torn: {keys:?} is not of {states:?}");
    Some(scan.version)
}

fn append_record<W: Word>(words: &[W], number: u64) {
    let (epoch, index) = ((number - 1) / RECORDS, (number - 1) % RECORDS);
    let head = |committed| DatasetHead { epoch, state: DatasetState::Filling, committed };
    if index == 0 && epoch > 0 {
        dataset::tell(words, head(0));
    }
    dataset::stage(words, 2, index, |cells| {
        cells[0].set(number);
        cells[1].set(number * 7);
    });
    dataset::tell(words, head(index + 1));
}

fn check_records<W: Word>(words: &[W]) -> Option<u64> {
    let mut copied = Vec::new();
    let head = dataset::copy(words, 2, 0, u64::MAX, &mut copied)?;
    let first = head.epoch * RECORDS;
    assert_eq!(copied.len() as u64, head.committed * 2);
    for (number, record) in (first + 1..).zip(copied.chunks_exact(2)) {
        assert_eq!(record, [number, number * 7], "torn");
    }
    Some(first + head.committed)
}

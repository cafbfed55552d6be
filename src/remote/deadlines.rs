//! The moments at which calls expire, soonest first.
//!
//! Most calls of a rig are given the same time, so the next deadline is most often the last: those stand in a row. Only
//! what comes out of order is sorted in.

use std::collections::{BTreeSet, VecDeque};
use std::time::Instant;

/// Below so many nothing is gained by closing gaps.
const FEW: usize = 32;

/// See the module's words.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    /// Sorted; what was taken out in the middle has left a gap. Neither the first nor the last is one.
    row: VecDeque<(Instant, Option<u64>)>,
    in_row: usize,
    out_of_order: BTreeSet<(Instant, u64)>,
}

impl Deadlines {
    /// A call expires then.
    pub(super) fn insert(&mut self, at: Instant, call: u64) {
        match self.row.back() {
            Some((last, _)) if at < *last => drop(self.out_of_order.insert((at, call))),
            _ => {
                self.row.push_back((at, Some(call)));
                self.in_row += 1;
            }
        }
    }

    /// A call does not expire then.
    pub(super) fn remove(&mut self, at: Instant, call: u64) {
        if !self.out_of_order.is_empty() && self.out_of_order.remove(&(at, call)) {
            return;
        }
        let first = self.row.partition_point(|(other, _)| *other < at);
        let mut then = self.row.range_mut(first..).take_while(|(other, _)| *other == at);
        if let Some((_, found)) = then.find(|(_, other)| *other == Some(call)) {
            *found = None;
            self.in_row -= 1;
            self.close_gaps();
        }
    }

    /// Takes out whoever is the first to expire by `now`.
    pub(super) fn pop(&mut self, now: Instant) -> Option<u64> {
        let (at, call) = self.first().filter(|(at, _)| *at <= now)?;
        self.remove(at, call);
        Some(call)
    }

    /// When the next call expires.
    pub(super) fn next(&self) -> Option<Instant> {
        self.first().map(|(at, _)| at)
    }

    /// How many calls expire.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.in_row + self.out_of_order.len()
    }

    fn first(&self) -> Option<(Instant, u64)> {
        let in_row = self.row.front().and_then(|(at, call)| Some((*at, (*call)?)));
        in_row.into_iter().chain(self.out_of_order.first().copied()).min()
    }

    fn close_gaps(&mut self) {
        while self.row.front().is_some_and(|(_, call)| call.is_none()) {
            self.row.pop_front();
        }
        while self.row.back().is_some_and(|(_, call)| call.is_none()) {
            self.row.pop_back();
        }
        if self.row.len() > FEW.max(2 * self.in_row) {
            self.row.retain(|(_, call)| call.is_some());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Calls that expire after so many seconds, in the order in which they came, the first of them number 0.
    fn check_order(after_s: &[u64], taken_back: &[u64], expected: &[u64]) {
        let (begin, mut deadlines) = (Instant::now(), Deadlines::default());
        let at = |call: u64| begin + Duration::from_secs(after_s[call as usize]);
        (0..after_s.len() as u64).for_each(|call| deadlines.insert(at(call), call));
        taken_back.iter().for_each(|call| deadlines.remove(at(*call), *call));
        assert_eq!(deadlines.len(), expected.len());
        assert_eq!(deadlines.next(), expected.first().map(|call| at(*call)));
        assert_eq!(deadlines.pop(begin), None);
        let end = begin + Duration::from_secs(1000);
        let popped: Vec<_> = std::iter::from_fn(|| deadlines.pop(end)).collect();
        assert_eq!((popped.as_slice(), deadlines.next(), deadlines.row.len()), (expected, None, 0));
    }

    #[test]
    fn whoever_expires_first_comes_first_however_they_came() {
        check_order(&[], &[], &[]);
        check_order(&[1, 2, 3], &[], &[0, 1, 2]);
        check_order(&[5, 5, 5, 1, 5, 9, 2], &[], &[3, 6, 0, 1, 2, 4, 5]);
    }

    #[test]
    fn whoever_is_taken_back_does_not_expire() {
        check_order(&[1, 2, 3, 4], &[0, 3], &[1, 2]);
        check_order(&[5, 5, 5, 1, 5, 9, 2], &[3, 1, 5], &[6, 0, 2, 4]);
        check_order(&[5, 1, 6], &[0, 2], &[1]);
    }

    #[test]
    fn gaps_are_closed_when_there_are_many() {
        let (begin, mut deadlines) = (Instant::now(), Deadlines::default());
        (0..10_000).for_each(|call| deadlines.insert(begin + Duration::from_nanos(call), call));
        (1..9_999).for_each(|call| deadlines.remove(begin + Duration::from_nanos(call), call));
        assert!(deadlines.row.len() <= FEW && deadlines.len() == 2);
    }
}

//! The table of calls in flight: each entry leaves it exactly once.
//!
//! Pure: the owner says what time it is. An entry leaves by its answer, by its deadline, or with the
//! station it waits for; whichever comes first takes it, and the others find nothing.

use std::collections::HashMap;
use std::time::Instant;

use foldhash::fast::RandomState;

use super::deadlines::Deadlines;

/// Calls in flight, each with what its owner wants to remember of it.
#[derive(Debug)]
pub struct InFlight<C> {
    calls: HashMap<u64, Entry<C>, RandomState>,
    deadlines: Deadlines,
    next: u64,
    limit: usize,
    high_water: usize,
}

#[derive(Debug)]
struct Entry<C> {
    call: C,
    deadline: Option<Instant>,
}

impl<C> InFlight<C> {
    /// An empty table for at most `limit` calls.
    pub fn new(limit: usize) -> Self {
        Self { calls: HashMap::default(), deadlines: Deadlines::default(), next: 1, limit, high_water: 0 }
    }

    /// Enters a call and says under which number, or gives it back when the table is full.
    ///
    /// Numbers are never used twice.
    ///
    /// # Errors
    /// The call, when the table is full.
    pub fn register(&mut self, call: C, deadline: Option<Instant>) -> Result<u64, C> {
        if self.calls.len() >= self.limit {
            return Err(call);
        }
        let id = self.next;
        self.next += 1;
        if let Some(at) = deadline {
            self.deadlines.insert(at, id);
        }
        self.calls.insert(id, Entry { call, deadline });
        self.high_water = self.high_water.max(self.calls.len());
        Ok(id)
    }

    /// Enters a call that must be, though the table may be full.
    pub fn register_anyway(&mut self, call: C) -> u64 {
        let id = self.next;
        self.next += 1;
        self.calls.insert(id, Entry { call, deadline: None });
        self.high_water = self.high_water.max(self.calls.len());
        id
    }

    /// Takes a call out, if it is still there.
    pub fn complete(&mut self, id: u64) -> Option<C> {
        let entry = self.calls.remove(&id)?;
        if let Some(at) = entry.deadline {
            self.deadlines.remove(at, id);
        }
        Some(entry.call)
    }

    /// Sets another deadline for a call that is still there, or none; says whether it is.
    pub fn set_deadline(&mut self, id: u64, deadline: Option<Instant>) -> bool {
        let Some(entry) = self.calls.get_mut(&id) else { return false };
        if let Some(at) = std::mem::replace(&mut entry.deadline, deadline) {
            self.deadlines.remove(at, id);
        }
        if let Some(at) = deadline {
            self.deadlines.insert(at, id);
        }
        true
    }

    /// What is remembered of a call.
    pub fn get_mut(&mut self, id: u64) -> Option<&mut C> {
        self.calls.get_mut(&id).map(|entry| &mut entry.call)
    }

    /// What is remembered of a call.
    pub fn get(&self, id: u64) -> Option<&C> {
        self.calls.get(&id).map(|entry| &entry.call)
    }

    /// Takes out every call whose deadline has passed.
    pub fn expire(&mut self, now: Instant) -> Vec<(u64, C)> {
        let mut expired = Vec::new();
        while let Some(id) = self.deadlines.pop(now) {
            expired.extend(self.calls.remove(&id).map(|entry| (id, entry.call)));
        }
        expired
    }

    /// Takes out every call that `leaves` says, oldest first.
    pub fn take_where(&mut self, leaves: impl Fn(&C) -> bool) -> Vec<(u64, C)> {
        self.those(leaves).into_iter().filter_map(|id| Some((id, self.complete(id)?))).collect()
    }

    /// The numbers of the calls that are `wanted`, oldest first.
    pub fn those(&self, wanted: impl Fn(&C) -> bool) -> Vec<u64> {
        let calls = self.calls.iter().filter(|(_, entry)| wanted(&entry.call));
        let mut ids: Vec<u64> = calls.map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids
    }

    /// When a call expires, if it is there and does.
    pub fn deadline_of(&self, id: u64) -> Option<Instant> {
        self.calls.get(&id)?.deadline
    }

    /// Does something with every call, in no order.
    pub fn each_mut(&mut self, mut act: impl FnMut(u64, &mut C)) {
        self.calls.iter_mut().for_each(|(id, entry)| act(*id, &mut entry.call));
    }

    /// When the next call expires.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// How many calls are in flight.
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// How many were in flight at most.
    pub fn high_water(&self) -> usize {
        self.high_water
    }

    /// How many may be.
    pub fn limit(&self) -> usize {
        self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn check_table(limit: usize, act: impl FnOnce(&mut InFlight<&'static str>, Instant)) {
        let mut table = InFlight::new(limit);
        act(&mut table, Instant::now());
        assert!(table.len() <= limit && table.deadlines.len() <= table.calls.len());
    }

    #[test]
    fn an_entry_leaves_once() {
        check_table(4, |table, now| {
            let id = table.register("move", Some(now)).expect("room");
            assert_eq!(table.complete(id), Some("move"));
            assert_eq!(table.complete(id), None);
            assert!(table.expire(now).is_empty() && table.is_empty());
        });
    }

    #[test]
    fn only_passed_deadlines_expire() {
        check_table(4, |table, now| {
            let soon = table.register("soon", Some(now + Duration::from_millis(1))).expect("room");
            let _late = table.register("late", Some(now + Duration::from_secs(1))).expect("room");
            let _never = table.register("never", None).expect("room");
            assert_eq!(table.next_deadline(), Some(now + Duration::from_millis(1)));
            assert_eq!(table.expire(now + Duration::from_millis(5)), vec![(soon, "soon")]);
            assert_eq!(table.len(), 2);
        });
    }

    #[test]
    fn a_deadline_may_be_moved_and_taken_away() {
        check_table(4, |table, now| {
            let call = table.register("call", Some(now)).expect("room");
            let later = now + Duration::from_secs(1);
            assert!(table.set_deadline(call, Some(later)) && table.expire(now).is_empty());
            assert!(table.set_deadline(call, None) && table.expire(later).is_empty());
            assert!(table.set_deadline(call, Some(now)));
            assert_eq!(table.expire(now), vec![(call, "call")]);
            assert!(!table.set_deadline(call, Some(now)) && table.next_deadline().is_none());
        });
    }

    #[test]
    fn a_full_table_gives_the_call_back() {
        check_table(1, |table, _| {
            table.register("first", None).expect("room");
            assert_eq!(table.register("second", None), Err("second"));
            assert_eq!(table.high_water(), 1);
        });
    }
}

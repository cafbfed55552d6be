//! What waits for room in a station's pipe, in order, each at a place of its own by which it is found again.
//!
//! Places grow from front to back. What is taken out in the middle leaves a gap, which is closed when it comes to the
//! front, or when there are more gaps than anything else: so taking back is as cheap as waiting.

use std::collections::VecDeque;

/// Below so many places nothing is gained by closing gaps.
const FEW: usize = 32;

/// See the module's words.
#[derive(Debug)]
pub(super) struct Queue<T> {
    /// The first is never a gap.
    places: VecDeque<(u64, Option<T>)>,
    next_place: u64,
    waiting: usize,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { places: VecDeque::new(), next_place: 0, waiting: 0 }
    }
}

impl<T> Queue<T> {
    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting
    }

    /// Queues something behind all others, and says at which place.
    pub(super) fn push(&mut self, item: T) -> u64 {
        let place = self.next_place;
        self.next_place += 1;
        self.places.push_back((place, Some(item)));
        self.waiting += 1;
        place
    }

    /// Queues something at a place that it had before.
    pub(super) fn put_back(&mut self, place: u64, item: T) {
        self.waiting += 1;
        match self.find(place) {
            Ok(at) => self.places[at].1 = Some(item),
            Err(at) => self.places.insert(at, (place, Some(item))),
        }
    }

    /// What is next, and its place.
    pub(super) fn front_mut(&mut self) -> Option<(u64, &mut T)> {
        self.places.front_mut().and_then(|(place, item)| Some((*place, item.as_mut()?)))
    }

    /// Takes out what is next.
    pub(super) fn pop(&mut self) -> Option<T> {
        let (_, item) = self.places.pop_front()?;
        self.waiting -= usize::from(item.is_some());
        self.close_gaps();
        item
    }

    /// What waits at that place.
    pub(super) fn get_mut(&mut self, place: u64) -> Option<&mut T> {
        let at = self.find(place).ok()?;
        self.places[at].1.as_mut()
    }

    /// Takes out what waits at that place.
    pub(super) fn remove(&mut self, place: u64) -> Option<T> {
        let at = self.find(place).ok()?;
        let item = self.places[at].1.take()?;
        self.waiting -= 1;
        self.close_gaps();
        Some(item)
    }

    /// All that wait, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.places.iter().filter_map(|(_, item)| item.as_ref())
    }

    /// All that wait, in order.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.places.iter_mut().filter_map(|(_, item)| item.as_mut())
    }

    /// Takes out all that `go`, in order.
    pub(super) fn take_where(&mut self, mut goes: impl FnMut(&T) -> bool) -> Vec<T> {
        let mut gone = Vec::new();
        for (_, item) in &mut self.places {
            if item.as_ref().is_some_and(&mut goes) {
                gone.extend(item.take());
            }
        }
        self.waiting -= gone.len();
        self.close_gaps();
        gone
    }

    fn find(&self, place: u64) -> Result<usize, usize> {
        self.places.binary_search_by_key(&place, |(place, _)| *place)
    }

    fn close_gaps(&mut self) {
        while self.places.front().is_some_and(|(_, item)| item.is_none()) {
            self.places.pop_front();
        }
        if self.places.len() > FEW.max(2 * self.waiting) {
            self.places.retain(|(_, item)| item.is_some());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left after something was done with ten, at the places 0 to 9.
    fn check_left(act: impl FnOnce(&mut Queue<u64>), expected: &[u64]) {
        let mut queue = Queue::default();
        (0..10).for_each(|number| assert_eq!(queue.push(number), number));
        act(&mut queue);
        assert_eq!(queue.iter().copied().collect::<Vec<_>>(), expected);
        assert_eq!(queue.len(), expected.len());
        let popped: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!((popped.as_slice(), queue.len(), queue.places.len()), (expected, 0, 0));
    }

    #[test]
    fn what_was_queued_comes_out_in_order() {
        check_left(|_| {}, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        check_left(
            |queue| assert_eq!((queue.pop(), queue.push(10)), (Some(0), 10)),
            &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
        );
    }

    #[test]
    fn what_is_taken_back_leaves_the_order_of_the_others() {
        let take = |queue: &mut Queue<u64>, places: &[u64]| {
            places.iter().for_each(|place| assert_eq!(queue.remove(*place), Some(*place)));
            places.iter().for_each(|place| assert_eq!(queue.remove(*place), None));
        };
        check_left(|queue| take(queue, &[3, 0, 9]), &[1, 2, 4, 5, 6, 7, 8]);
        check_left(|queue| take(queue, &[1, 0]), &[2, 3, 4, 5, 6, 7, 8, 9]);
        check_left(|queue| assert_eq!(queue.take_where(|it| it % 2 == 0), [0, 2, 4, 6, 8]), &[1, 3, 5, 7, 9]);
    }

    #[test]
    fn what_is_put_back_is_where_it_was() {
        let again = |queue: &mut Queue<u64>, place: u64| {
            let item = queue.remove(place).expect("it is there");
            queue.put_back(place, item);
        };
        check_left(
            |queue| [0, 4, 9].into_iter().for_each(|place| again(queue, place)),
            &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        );
        let popped = |queue: &mut Queue<u64>| {
            (0..3).for_each(|number| assert_eq!(queue.pop(), Some(number)));
            queue.put_back(1, 1);
            assert_eq!(queue.front_mut(), Some((1, &mut 1)));
        };
        check_left(popped, &[1, 3, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn gaps_are_closed_when_there_are_many() {
        let mut queue = Queue::default();
        (0..10_000).for_each(|number| assert_eq!(queue.push(number), number));
        (1..10_000).for_each(|place| assert_eq!(queue.remove(place), Some(place)));
        assert!(queue.places.len() <= FEW && queue.len() == 1);
        assert_eq!(queue.front_mut(), Some((0, &mut 0)));
    }
}

//! Which manager starts after which, and what stands in the way: cycles.

use std::collections::BTreeSet;

/// Nodes in order, and the cycles that were broken to get there.
#[derive(Debug, PartialEq)]
pub(super) struct Sorted {
    /// Every node, after those it depends on.
    pub(super) order: Vec<usize>,
    /// Each cycle, from its smallest node on: every node depends on the next, the last on the first.
    pub(super) cycles: Vec<Vec<usize>>,
}

/// Sorts nodes so that each comes after those it depends on; among equals the smaller comes first.
pub(super) fn sort(dependencies: &[Vec<usize>]) -> Sorted {
    let mut sorted = Sorted { order: Vec::new(), cycles: Vec::new() };
    let mut waiting: BTreeSet<usize> = (0..dependencies.len()).collect();
    let mut left: Vec<BTreeSet<usize>> = dependencies.iter().map(|it| it.iter().copied().collect()).collect();
    let mut dependents = vec![Vec::new(); dependencies.len()];
    for (node, needs) in left.iter().enumerate() {
        needs.iter().for_each(|need| dependents[*need].push(node));
    }
    let mut ready: BTreeSet<usize> = waiting.iter().copied().filter(|node| left[*node].is_empty()).collect();
    while !waiting.is_empty() {
        if ready.is_empty() {
            let cycle = cycle_among(&waiting, &left);
            ready.insert(cycle[0]);
            sorted.cycles.push(cycle);
        }
        while let Some(node) = ready.pop_first() {
            waiting.remove(&node);
            sorted.order.push(node);
            for dependent in &dependents[node] {
                left[*dependent].remove(&node);
                if left[*dependent].is_empty() && waiting.contains(dependent) {
                    ready.insert(*dependent);
                }
            }
        }
    }
    sorted
}

/// Follows needs from the smallest waiting node until one comes round again.
fn cycle_among(waiting: &BTreeSet<usize>, left: &[BTreeSet<usize>]) -> Vec<usize> {
    let mut path = Vec::new();
    let mut seen = BTreeSet::new();
    let mut here = *waiting.first().expect("the caller looks for a cycle among some");
    while seen.insert(here) {
        path.push(here);
        here = *left[here].iter().find(|need| waiting.contains(need)).expect("none of the waiting is ready");
    }
    let begin = path.iter().position(|node| *node == here).expect("it was seen on the way");
    let mut cycle = path.split_off(begin);
    let smallest = cycle.iter().enumerate().min_by_key(|(_, node)| **node).map_or(0, |(at, _)| at);
    cycle.rotate_left(smallest);
    cycle
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(dependencies: &[&[usize]], order: &[usize], cycles: &[&[usize]]) {
        let sorted = sort(&dependencies.iter().map(|it| it.to_vec()).collect::<Vec<_>>());
        assert_eq!((sorted.order.as_slice(), sorted.cycles.len()), (order, cycles.len()), "{sorted:?}");
        assert!(sorted.cycles.iter().zip(cycles).all(|(found, expected)| found == expected), "{sorted:?}");
    }

    #[test]
    fn each_comes_after_those_it_depends_on() {
        check(&[&[2], &[], &[1]], &[1, 2, 0], &[]);
        check(&[&[], &[], &[]], &[0, 1, 2], &[]);
    }

    #[test]
    fn every_cycle_is_found_and_broken() {
        check(&[&[1], &[2], &[0]], &[0, 2, 1], &[&[0, 1, 2]]);
        check(&[&[0], &[], &[3], &[2]], &[1, 0, 2, 3], &[&[0], &[2, 3]]);
        check(&[&[2], &[2], &[1]], &[1, 2, 0], &[&[1, 2]]);
    }
}

//! Who waits for whom, worked out from what was seen.

use std::collections::{BTreeMap, BTreeSet};

use labrig::wire::{Kind, Refusal};

use super::super::bench::NAMES;
use super::super::history::{Offer, Token, station_of};
use super::Checker;
use super::fates::Over;

/// For whom each station waits.
pub(super) type Graph = BTreeMap<usize, BTreeSet<usize>>;

/// Whether whoever waits for `from` waits for `to`.
fn leads(graph: &Graph, from: usize, to: usize) -> bool {
    let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
    while let Some(at) = next.pop() {
        if at == to {
            return true;
        }
        if seen.insert(at) {
            next.extend(graph.get(&at).into_iter().flatten());
        }
    }
    false
}

/// Whether these names are a way round in the graph that begins with `waiter`.
fn is_cycle(graph: &Graph, waiter: usize, cycle: &[String]) -> bool {
    let place = |name: &String| NAMES.iter().position(|other| other == name);
    let Some(path) = cycle.iter().map(place).collect::<Option<Vec<_>>>() else { return false };
    let is_edge = |pair: &[usize]| graph.get(&pair[0]).is_some_and(|goals| goals.contains(&pair[1]));
    let ends = path.len() > 1 && path[0] == waiter && path.last() == Some(&waiter);
    ends && path.windows(2).all(is_edge)
}

impl Checker {
    fn graph(&self) -> Graph {
        let goals = |tokens: &BTreeSet<Token>| {
            tokens.iter().flat_map(|token| self.fates[token].awaited()).collect::<BTreeSet<_>>()
        };
        self.waits.iter().map(|(waiter, tokens)| (*waiter, goals(tokens))).collect()
    }

    /// A call is refused for who would wait for whom if, and only if, that is so.
    pub(super) fn wait_is_judged_well(&mut self, token: Token, offer: &Offer) {
        let waiter = station_of(offer.caller);
        let mut graph = self.graph();
        let would_lock =
            offer.kind == Kind::Call && offer.goals.iter().any(|goal| leads(&graph, *goal, waiter));
        graph.entry(waiter).or_default().extend(&offer.goals);
        let is_right = match &offer.refusal {
            Some(Refusal::WouldDeadlock { cycle, .. }) => would_lock && is_cycle(&graph, waiter, cycle),
            None => !would_lock,
            Some(_) => true,
        };
        match (is_right, &offer.refusal) {
            (true, _) => {}
            (_, None) => self.blame(format!("{token} closes a cycle: {graph:?}")),
            (_, why) => {
                self.blame(format!("{token} was refused for a cycle that is none: {why:?} in {graph:?}"))
            }
        }
    }

    pub(super) fn wait_began(&mut self, token: Token) {
        let (waiter, goals) = (station_of(self.fate(token).offer.caller), self.fate(token).awaited());
        let mut graph = self.graph();
        if goals.iter().any(|goal| leads(&graph, *goal, waiter)) {
            graph.entry(waiter).or_default().extend(&goals);
            let fate = self.fate(token);
            fate.deadlock = Some(graph);
            fate.end_open(Over::Deadlock);
        } else if !goals.is_empty() {
            self.waits.entry(waiter).or_default().insert(token);
        }
    }

    pub(super) fn wait_ended(&mut self, token: Token) {
        let waiter = station_of(self.fate(token).offer.caller);
        self.waits.entry(waiter).or_default().remove(&token);
    }

    /// A caller was told that waiting for its call would have been for ever.
    pub(super) fn deadlock_is_true(&mut self, token: Token, cycle: &[String]) {
        let fate = &self.fates[&token];
        let waiter = station_of(fate.offer.caller);
        if !fate.deadlock.as_ref().is_some_and(|graph| is_cycle(graph, waiter, cycle)) {
            let mistake = format!("{token} ended for a cycle that is none: {cycle:?} in {:?}", fate.deadlock);
            self.blame(mistake);
        }
    }

    pub(super) fn no_cycle_stands(&mut self) {
        let graph = self.graph();
        let closes = |(waiter, goals): (&usize, &BTreeSet<usize>)| {
            goals.iter().any(|goal| leads(&graph, *goal, *waiter)).then_some(*waiter)
        };
        if let Some(waiter) = graph.iter().find_map(closes) {
            self.blame(format!("{waiter} waits in a cycle: {graph:?}"));
        }
    }
}

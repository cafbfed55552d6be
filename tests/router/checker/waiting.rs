//! Who waits for whom, worked out from what was seen.

use std::collections::{BTreeMap, BTreeSet};

use labrig::wire::{Kind, Refusal};

use super::super::bench::POOL;
use super::super::history::{MEMBERS, Offer, Token, name_at, station_of};
use super::Checker;
use super::fates::Over;

/// For whom each station waits.
pub(super) type Graph = BTreeMap<usize, BTreeSet<usize>>;

/// Who waits for ever: a station while one for which it waits does, a pool while all of its instances do.
fn stuck(graph: &Graph) -> BTreeSet<usize> {
    let mut stuck: BTreeSet<usize> = graph.keys().copied().collect();
    loop {
        let is_stuck = |goal: &usize| stuck.contains(goal);
        let goes_on = |at: &usize| match graph[at].iter().filter(|goal| is_stuck(goal)).count() {
            0 => true,
            held => *at == POOL && held < graph[at].len(),
        };
        let Some(free) = stuck.iter().copied().find(goes_on) else { return stuck };
        stuck.remove(&free);
    }
}

/// Whether a station waits for ever for the pool, and the pool for it; not only for others that do.
fn is_in_circle(graph: &Graph, waiter: usize) -> bool {
    let (stuck, mut seen, mut next) = (stuck(graph), BTreeSet::new(), vec![POOL]);
    while let Some(at) = next.pop() {
        if seen.insert(at) {
            next.extend(graph.get(&at).into_iter().flatten().filter(|goal| stuck.contains(goal)));
        }
    }
    stuck.contains(&waiter) && seen.contains(&waiter)
}

/// Whether these names are a way round in the graph that begins with `waiter`.
fn is_cycle(graph: &Graph, waiter: usize, cycle: &[String]) -> bool {
    let place = |name: &String| (0..=POOL).find(|at| name_at(*at) == name);
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
        let mut graph: Graph = self.waits.iter().map(|(waiter, tokens)| (*waiter, goals(tokens))).collect();
        if self.is_pooled {
            graph.insert(POOL, MEMBERS.into_iter().filter(|it| !self.gone.contains_key(it)).collect());
        }
        graph
    }

    /// A call is refused for who would wait for whom if, and only if, that is so.
    pub(super) fn wait_is_judged_well(&mut self, token: Token, offer: &Offer) {
        let waiter = station_of(offer.caller);
        let mut graph = self.graph();
        graph.entry(waiter).or_default().extend(&offer.goals);
        let would_lock = offer.kind == Kind::Call && stuck(&graph).contains(&waiter);
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
        graph.entry(waiter).or_default().extend(&goals);
        if !goals.is_empty() && stuck(&graph).contains(&waiter) {
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
        if let Some(waiter) = stuck(&graph).first() {
            self.blame(format!("{waiter} waits in a cycle: {graph:?}"));
        }
    }

    /// An instance is not to be counted on any more: what is queued for its pool may be waited for in vain now.
    pub(super) fn end_waits_for_the_pool(&mut self) {
        let waited: BTreeSet<Token> = self.waits.values().flatten().copied().collect();
        for token in waited {
            let graph = self.graph();
            let fate = self.fate(token);
            let is_queued = fate.parts.get(&POOL).is_some_and(|part| part.over.is_none());
            if is_queued && is_in_circle(&graph, station_of(fate.offer.caller)) {
                fate.deadlock = Some(graph);
                fate.end_open(Over::Deadlock);
            }
        }
    }
}

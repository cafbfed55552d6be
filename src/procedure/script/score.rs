//! A script that was checked, and places in it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::macros::Schema;
use crate::procedure::step::Condition;
use crate::wire::CommandSpec;

/// A script as it is played.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Score {
    /// What it is called.
    pub name: String,
    /// Its steps.
    pub steps: Vec<ScoreStep>,
}

/// One of its steps.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ScoreStep {
    /// What it does, for people.
    pub text: String,
    /// What it does.
    pub act: Act,
}

/// What a step does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Act {
    /// A command, whose end is waited for.
    Command {
        /// Which one.
        spec: Box<CommandSpec>,
        /// The manager that takes it, when several serve it.
        to: Option<String>,
        /// Its fields; `"$name"` stands for a variable.
        args: Value,
        /// How long it may take, in ms.
        deadline_ms: Option<u64>,
    },
    /// Nothing, for so many ms.
    Sleep(u64),
    /// A manager's worker is to be done with what came before.
    Wait {
        /// The manager.
        manager: String,
        /// How long that may take, in ms.
        within_ms: u64,
    },
    /// A signal is to meet a condition.
    WaitUntil {
        /// Which one.
        condition: Condition,
        /// How long that may take, in ms.
        within_ms: u64,
    },
    /// Steps, so often.
    Repeat(u64, Vec<ScoreStep>),
    /// Steps, for each value of a variable.
    ForEach(String, Values, Vec<ScoreStep>),
    /// A procedure, whose end is waited for.
    Procedure {
        /// Its kind.
        kind: String,
        /// Its inputs; `"$name"` stands for a variable.
        inputs: Value,
    },
}

/// The values of a variable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Values {
    /// These.
    List(Vec<Value>),
    /// So many numbers at one distance from each other.
    Range {
        /// The first.
        from: f64,
        /// The distance.
        by: f64,
        /// How many there are.
        count: u64,
    },
}

impl Values {
    /// How many there are.
    pub fn count(&self) -> u64 {
        match self {
            Self::List(values) => values.len() as u64,
            Self::Range { count, .. } => *count,
        }
    }

    /// The value at that place, from 0.
    pub fn at(&self, index: u64) -> Value {
        match self {
            Self::List(values) => values.get(index as usize).cloned().unwrap_or_default(),
            Self::Range { from, by, .. } => {
                let value = from + by * index as f64;
                let is_whole = from.fract() == 0.0 && by.fract() == 0.0;
                if is_whole { (value as i64).into() } else { value.into() }
            }
        }
    }
}

impl Act {
    /// How often its own steps are done, and which they are.
    fn rounds(&self) -> Option<(u64, &[ScoreStep])> {
        match self {
            Self::Repeat(count, steps) => Some((*count, steps)),
            Self::ForEach(_, values, steps) => Some((values.count(), steps)),
            _ => None,
        }
    }
}

/// A place in a list of steps: which step of it, and which round of what they are the steps of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct Spot {
    /// The step, from 0.
    pub step: u32,
    /// The round, from 0.
    pub round: u64,
}

/// A step that is to be done, and the variables around it.
pub(super) struct Here<'a> {
    pub(super) step: &'a ScoreStep,
    pub(super) variables: Map<String, Value>,
}

impl Score {
    /// How many steps it has in all, each counted as often as it is done.
    pub fn length(&self) -> u64 {
        length(&self.steps)
    }

    /// The place of the first step.
    pub(super) fn first(&self) -> Vec<Spot> {
        let mut path = vec![Spot { step: 0, round: 0 }];
        self.descend(&mut path);
        path
    }

    /// The place behind that one; empty behind the last.
    pub(super) fn after(&self, mut path: Vec<Spot>) -> Vec<Spot> {
        while let Some(mut spot) = path.pop() {
            let (rounds, steps) = self.around(&path);
            spot.step += 1;
            if spot.step as usize == steps.len() {
                (spot.step, spot.round) = (0, spot.round + 1);
            }
            if spot.round < rounds {
                path.push(spot);
                self.descend(&mut path);
                return path;
            }
        }
        path
    }

    /// What is to be done there; nothing for a place that there is not.
    pub(super) fn at(&self, path: &[Spot]) -> Option<Here<'_>> {
        let (mut steps, mut here, mut variables) = (self.steps.as_slice(), None, Map::new());
        let mut names: Option<(&str, &Values)> = None;
        for spot in path {
            if let Some((name, values)) = names.take() {
                variables.insert(name.to_owned(), values.at(spot.round));
            }
            let step = steps.get(spot.step as usize)?;
            here = Some(step);
            steps = step.act.rounds().map_or(&[], |(_, steps)| steps);
            if let Act::ForEach(name, values, _) = &step.act {
                names = Some((name, values));
            }
        }
        Some(Here { step: here?, variables })
    }

    /// Goes on to the first step that is no loop.
    fn descend(&self, path: &mut Vec<Spot>) {
        while self.at(path).is_some_and(|here| here.step.act.rounds().is_some()) {
            path.push(Spot { step: 0, round: 0 });
        }
    }

    /// The steps among which the next spot of a path chooses, and how often they are done.
    fn around(&self, path: &[Spot]) -> (u64, &[ScoreStep]) {
        match self.at(path) {
            Some(here) => here.step.act.rounds().unwrap_or((0, &[])),
            None => (1, &self.steps),
        }
    }
}

fn length(steps: &[ScoreStep]) -> u64 {
    let of =
        |step: &ScoreStep| step.act.rounds().map_or(1, |(count, steps)| count.saturating_mul(length(steps)));
    steps.iter().map(of).fold(0, u64::saturating_add)
}

/// The value with its variables filled in: a text that is `$` and the name of one stands for it.
pub(super) fn filled_in(value: &Value, variables: &Map<String, Value>) -> Value {
    match value {
        Value::String(text) => match text.strip_prefix('$').and_then(|name| variables.get(name)) {
            Some(value) => value.clone(),
            None => value.clone(),
        },
        Value::Array(items) => items.iter().map(|item| filled_in(item, variables)).collect(),
        Value::Object(entries) => {
            entries.iter().map(|(key, value)| (key.clone(), filled_in(value, variables))).collect()
        }
        other => other.clone(),
    }
}

/// A place as people read it: `3` is the third step, `3.1#5` the first step in it, for the fifth time.
pub(super) fn written(path: &[Spot]) -> String {
    let mut text = String::new();
    for (depth, Spot { step, round }) in path.iter().enumerate() {
        let dot = if depth == 0 { "" } else { "." };
        text += &format!("{dot}{}", step + 1);
        if *round > 0 {
            text += &format!("#{}", round + 1);
        }
    }
    text
}

/// So many seconds in ms.
pub(super) fn in_ms(seconds: f64) -> u64 {
    u64::try_from(Duration::try_from_secs_f64(seconds).unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn leaf(text: &str) -> ScoreStep {
        ScoreStep { text: text.to_owned(), act: Act::Sleep(0) }
    }

    fn step(act: Act) -> ScoreStep {
        ScoreStep { text: String::new(), act }
    }

    /// Plays a score, and gives what was done with which variables.
    fn check_order(steps: Vec<ScoreStep>, expected: &[&str]) {
        let score = Score { name: String::new(), steps };
        let mut path = score.first();
        let mut done = Vec::new();
        while let Some(here) = score.at(&path) {
            let values: Vec<_> = here.variables.values().map(ToString::to_string).collect();
            done.push(format!("{}{}", here.step.text, values.join(",")));
            path = score.after(path);
        }
        assert_eq!(done, expected);
        assert_eq!(score.length(), expected.len() as u64);
    }

    #[test]
    fn steps_are_done_in_order_and_loops_as_often_as_they_say() {
        check_order(vec![leaf("a"), leaf("b")], &["a", "b"]);
        check_order(
            vec![step(Act::Repeat(2, vec![leaf("a"), leaf("b")])), leaf("c")],
            &["a", "b", "a", "b", "c"],
        );
        let inner = step(Act::ForEach("y".into(), Values::List(vec![json!(1), json!("x")]), vec![leaf("l")]));
        let range = Values::Range { from: 1.0, by: 0.5, count: 2 };
        let outer = step(Act::ForEach("x".into(), range, vec![inner, leaf("k")]));
        check_order(
            vec![outer, leaf("e")],
            &["l1.0,1", "l1.0,\"x\"", "k1.0", "l1.5,1", "l1.5,\"x\"", "k1.5", "e"],
        );
    }

    #[test]
    fn a_text_that_names_a_variable_stands_for_its_value() {
        let variables = Map::from_iter([("z".to_owned(), json!(2.5))]);
        let filled = filled_in(&json!({ "a": "$z", "b": ["$z", "$y", "z"] }), &variables);
        assert_eq!(filled, json!({ "a": 2.5, "b": [2.5, "$y", "z"] }));
    }

    #[test]
    fn places_are_read_as_steps_and_rounds() {
        let spot = |step, round| Spot { step, round };
        assert_eq!(written(&[spot(2, 0), spot(0, 4)]), "3.1#5");
        assert_eq!(written(&[]), "");
    }
}

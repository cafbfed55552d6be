//! A script's file against a rig: every fault in one go, each with its line.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::raw::{RawRange, RawScript, RawStep};
use super::score::{Act, Score, ScoreStep, Values, filled_in, in_ms};
use crate::config::{Code, Content, Fault, Origin, Place, Report, Tree};
use crate::config::{arguments, check, document, quoted_list, suggestion};
use crate::procedure::gauge::is_number;
use crate::procedure::registration::ProcedureRegistration;
use crate::procedure::step::{Comparison, Condition};
use crate::registry::{CommandRoute, RouteTable};
use crate::wire::{CommandSpec, DeliveryKind, TypeSchema};

/// How long a `wait` or `wait_until` may take that does not say so.
const PATIENCE_S: f64 = 60.0;
/// How many numbers a range may have.
const MOST_ROUNDS: f64 = 1e9;
/// How many values of a variable are tried, of those between the first and the last.
const TRIED: usize = 1000;
/// What a step can be.
const ACTS: [&str; 7] = ["command", "sleep_s", "wait", "wait_until", "repeat", "for_each", "procedure"];

/// A script's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptSource {
    /// Its name, by which faults are told.
    pub name: String,
    /// Its text: JSON when it begins with `{`, else TOML.
    pub text: String,
    /// The folder from which relative paths in it start.
    pub folder: std::path::PathBuf,
}

/// Holds a script against the commands, signals and managers of a rig, and against the procedures of this program.
///
/// # Errors
/// The [`Report`] of all faults; then nothing of it can be played.
pub fn check_script(source: &ScriptSource, table: &RouteTable) -> Result<Score, Report> {
    let mut checker = Checker { table, variables: Vec::new(), faults: Vec::new() };
    let score = read(source, &mut checker.faults).and_then(|tree| checker.script(&tree, &source.name));
    match score {
        Some(score) if checker.faults.is_empty() => Ok(score),
        _ => Err(Report::new(checker.faults)),
    }
}

fn read(source: &ScriptSource, faults: &mut Vec<Fault>) -> Option<Tree> {
    let folder = std::path::absolute(&source.folder).unwrap_or_else(|_| source.folder.clone());
    let origin = Arc::new(Origin { name: source.name.clone(), folder });
    if !source.text.trim_start().starts_with('{') {
        return document(&source.text, &origin, faults);
    }
    match serde_json::from_str::<Value>(&source.text) {
        Ok(value) => Some(of_json(&value, &Place::whole(&origin), faults)),
        Err(error) => {
            let line = u32::try_from(error.line()).unwrap_or(0);
            let site = crate::wire::Site::new(&source.name, line);
            faults.push(Fault::new(Code::Syntax, format!("not JSON: {error}")).at(site, "here"));
            None
        }
    }
}

/// A tree of JSON, all of which stands at one place.
fn of_json(value: &Value, place: &Place, faults: &mut Vec<Fault>) -> Tree {
    placed(arguments::from_json(value, Path::new("."), faults), place)
}

fn placed(tree: Tree, place: &Place) -> Tree {
    let content = match tree.content {
        Content::List(items) => Content::List(items.into_iter().map(|it| placed(it, place)).collect()),
        Content::Table(entries) => {
            Content::Table(entries.into_iter().map(|(key, it)| (key, placed(it, place))).collect())
        }
        other => other,
    };
    Tree::new(place.clone(), content)
}

struct Checker<'a> {
    table: &'a RouteTable,
    /// The variables around the step that is checked, with values to try.
    variables: Vec<(String, Vec<Value>)>,
    faults: Vec<Fault>,
}

impl Checker<'_> {
    fn script(&mut self, tree: &Tree, file: &str) -> Option<Score> {
        let checked = check(tree, TypeSchema::known::<RawScript>(), "");
        self.faults.extend(checked.faults);
        let raw: RawScript = serde_json::from_value(checked.json?).ok()?;
        let steps = tree.get("step").map(|list| self.steps(list, ""))?;
        if raw.step.is_empty() {
            let fault = Fault::new(Code::ScriptLoop, "the script has no steps").at(tree.site(), "here");
            self.faults.push(fault.hint("add one: `[[step]]`, and below it `command = \"…\"`"));
        }
        Some(Score { name: raw.name.unwrap_or_else(|| file.to_owned()), steps })
    }

    fn steps(&mut self, list: &Tree, above: &str) -> Vec<ScoreStep> {
        let dot = if above.is_empty() { "" } else { "." };
        let steps = list.items().iter().enumerate();
        steps.filter_map(|(at, step)| self.step(step, &format!("{above}{dot}{}", at + 1))).collect()
    }

    fn step(&mut self, tree: &Tree, number: &str) -> Option<ScoreStep> {
        let checked = check(tree, TypeSchema::known::<RawStep>(), &format!("step {number}"));
        self.faults.extend(checked.faults);
        let raw: RawStep = serde_json::from_value(checked.json?).ok()?;
        let given: Vec<_> = ACTS.iter().copied().filter(|act| tree.get(act).is_some()).collect();
        let [only] = given.as_slice() else {
            let what = if given.is_empty() { "nothing".to_owned() } else { quoted_list(&given) };
            let message = format!("step {number} says {what}, and a step does one thing");
            let fault = self.fault(Code::ScriptStep, message, tree);
            self.faults.push(fault.hint(format!("write one of {}", quoted_list(ACTS))));
            return None;
        };
        let act = match *only {
            "command" => self.command(tree, &raw)?,
            "sleep_s" => Act::Sleep(in_ms(raw.sleep_s?)),
            "wait" => self.wait(tree, &raw)?,
            "wait_until" => self.wait_until(tree, &raw)?,
            "procedure" => self.procedure(tree, &raw)?,
            loops => self.repeated(tree, &raw, number, loops)?,
        };
        Some(ScoreStep { text: text_of(&act), act })
    }

    fn fault(&self, code: Code, message: String, tree: &Tree) -> Fault {
        Fault::new(code, message).at(tree.site(), "here")
    }

    // --- commands ---

    fn command(&mut self, tree: &Tree, raw: &RawStep) -> Option<Act> {
        let (name, place) = (raw.command.as_deref()?, tree.get("command")?);
        let Some(route) = self.table.route_for(name) else {
            let message = format!("no manager of this rig serves a command `{name}`");
            let known = self.table.routes().iter().filter(|route| route.spec.script);
            let mut fault = self.fault(Code::ScriptCommand, message, place);
            fault.hint = suggestion(name, known.map(|route| route.spec.name.as_str()));
            self.faults.push(fault);
            return None;
        };
        let spec = &route.spec;
        if !spec.script {
            let message = format!("scripts may not use `{name}`");
            let fault =
                self.fault(Code::ScriptForbidden, message, place).at(spec.site.clone(), "declared here");
            self.faults.push(fault.hint("mark it with `#[command(scriptable)]` if they may"));
        }
        self.address(tree, raw, route);
        let args = self.filled(tree.get("args"), tree, &spec.schema, &spec.name);
        Some(Act::Command {
            spec: Box::new(spec.clone()),
            to: raw.to.clone(),
            args,
            deadline_ms: raw.deadline_ms,
        })
    }

    /// One manager is to take it, and it is clear which.
    fn address(&mut self, tree: &Tree, raw: &RawStep, route: &CommandRoute) {
        let (spec, candidates) = (&route.spec, self.table.addresses(route));
        let refused = |message: String| Fault::new(Code::ScriptAddress, message);
        let fault = match (&raw.to, spec.delivery) {
            (None, DeliveryKind::Direct) if candidates.len() > 1 => {
                let message = format!("several managers serve `{}`, and none is named", spec.name);
                let which = quoted_list(candidates);
                refused(message)
                    .at(tree.site(), "here")
                    .hint(format!("write `to = \"…\"` with one of {which}"))
            }
            (Some(to), DeliveryKind::Direct) if !self.table.is_served_by(route, to) => {
                let message = format!("`{}` is for `{to}`, which does not serve it", spec.name);
                let mut fault = refused(message).at(tree.site_of(&["to"]), "here");
                fault.hint = suggestion(to, candidates);
                fault
            }
            (Some(_), DeliveryKind::Broadcast | DeliveryKind::Scope) => {
                let message = format!("`{}` is a {} command, which has no address", spec.name, spec.delivery);
                refused(message).at(tree.site_of(&["to"]), "here").hint("remove `to`")
            }
            _ => return,
        };
        self.faults.push(fault);
    }

    /// Fields that may have variables, tried with the values of each.
    fn filled(&mut self, fields: Option<&Tree>, step: &Tree, schema: &TypeSchema, at: &str) -> Value {
        let fields = fields.cloned().unwrap_or_else(|| Tree::empty(step.place.clone()));
        let mut used = Vec::new();
        self.used(&fields, &mut used);
        let firsts =
            self.variables.iter().filter_map(|(name, values)| Some((name.clone(), values.first()?.clone())));
        let firsts: Map<String, Value> = firsts.collect();
        let checked = check(&with(&fields, &firsts), schema, at);
        let is_right = checked.faults.is_empty();
        self.faults.extend(checked.faults);
        for name in used.iter().filter(|_| is_right) {
            self.try_values(&fields, &firsts, name, (schema, at));
        }
        let plain = fields.to_json().unwrap_or_default();
        if used.is_empty() { checked.json.unwrap_or(plain) } else { plain }
    }

    /// Each field has one variable at most, so each is tried by itself. The first value that does not fit is told.
    fn try_values(
        &mut self,
        fields: &Tree,
        firsts: &Map<String, Value>,
        name: &str,
        (schema, at): (&TypeSchema, &str),
    ) {
        let Some((_, values)) = self.variables.iter().rfind(|(known, _)| known == name) else { return };
        for value in values.iter().skip(1) {
            let mut filled = firsts.clone();
            filled.insert(name.to_owned(), value.clone());
            let misfits = check(&with(fields, &filled), schema, at).faults;
            if !misfits.is_empty() {
                let told = |mut fault: Fault| {
                    fault.message += &format!(", when `{name}` is {value}");
                    fault
                };
                return self.faults.extend(misfits.into_iter().map(told));
            }
        }
    }

    /// The variables in it; those that there are not are faults.
    fn used(&mut self, tree: &Tree, used: &mut Vec<String>) {
        let parts: Vec<&Tree> = match &tree.content {
            Content::List(items) => items.iter().collect(),
            Content::Table(entries) => entries.values().collect(),
            Content::Text(text) => {
                return match text.strip_prefix('$') {
                    Some(name) if used.iter().any(|it| it == name) => {}
                    Some(name) if self.variables.iter().any(|(known, _)| known == name) => {
                        used.push(name.to_owned());
                    }
                    Some(name) => {
                        let message = format!("there is no variable `{name}` here");
                        let mut fault = self.fault(Code::ScriptVariable, message, tree);
                        fault.hint = suggestion(name, self.variables.iter().map(|(name, _)| name.as_str()))
                            .or_else(|| Some("name it by a `for_each` around this step".to_owned()));
                        self.faults.push(fault);
                    }
                    None => {}
                };
            }
            _ => return,
        };
        parts.into_iter().for_each(|part| self.used(part, used));
    }

    // --- waits ---

    fn wait(&mut self, tree: &Tree, raw: &RawStep) -> Option<Act> {
        let manager = raw.wait.clone()?;
        if !self.table.managers().any(|known| known == manager) {
            let message = format!("no manager is called `{manager}`");
            let mut fault = self.fault(Code::ScriptAddress, message, tree.get("wait")?);
            fault.hint = suggestion(&manager, self.table.managers());
            self.faults.push(fault);
        }
        Some(Act::Wait { manager, within_ms: in_ms(raw.within_s.unwrap_or(PATIENCE_S)) })
    }

    fn wait_until(&mut self, tree: &Tree, raw: &RawStep) -> Option<Act> {
        let (signal, place) = (raw.wait_until.as_deref()?, tree.get("wait_until")?);
        match self.table.signal(signal) {
            Err(unknown) => {
                let fault = self.fault(Code::ScriptSignal, format!("no signal is called `{signal}`"), place);
                self.faults.push(fault.hint(unknown.hint));
            }
            Ok(entry) if !is_number(&entry.field.node) => {
                let message = format!("`{signal}` is {}, not a number", entry.field.node.describe());
                let fault = self.fault(Code::ScriptSignal, message, place);
                self.faults.push(fault.hint("wait for a number, or for a `bool`, which counts as 1 or 0"));
            }
            Ok(_) => {}
        }
        let comparisons = [
            raw.at_least.map(Comparison::AtLeast),
            raw.at_most.map(Comparison::AtMost),
            raw.equal.map(Comparison::Equal),
            raw.not_equal.map(Comparison::NotEqual),
        ];
        let mut given = comparisons.into_iter().flatten();
        let (Some(is), None) = (given.next(), given.next()) else {
            let message = format!("it is not clear what `{signal}` is to be");
            let fault = self.fault(Code::ScriptSignal, message, tree);
            self.faults.push(fault.hint("write one of `at_least`, `at_most`, `equal` and `not_equal`"));
            return None;
        };
        let within_ms = in_ms(raw.within_s.unwrap_or(PATIENCE_S));
        Some(Act::WaitUntil { condition: Condition::new(signal, is), within_ms })
    }

    // --- loops and procedures ---

    fn repeated(&mut self, tree: &Tree, raw: &RawStep, number: &str, key: &str) -> Option<Act> {
        let list = tree.get("steps").filter(|list| !list.items().is_empty());
        if list.is_none() {
            let fault = self.fault(Code::ScriptLoop, format!("step {number} has no steps of its own"), tree);
            self.faults.push(fault.hint("add them: `steps = [ { command = \"…\" } ]`"));
        }
        if key == "repeat" {
            return Some(Act::Repeat(raw.repeat?, self.steps(list?, number)));
        }
        let name = raw.for_each.clone()?;
        if self.variables.iter().any(|(known, _)| *known == name) {
            let message = format!("there is a variable `{name}` around step {number} already");
            let fault = self.fault(Code::ScriptVariable, message, tree.get("for_each")?);
            self.faults.push(fault.hint("give this one another name"));
        }
        let values = self.values(tree, raw, number)?;
        let last = values.count().saturating_sub(1);
        let tried = match &values {
            Values::List(values) => values.iter().take(TRIED).cloned().collect(),
            Values::Range { .. } => vec![values.at(0), values.at(last)],
        };
        self.variables.push((name.clone(), tried));
        let steps = list.map(|list| self.steps(list, number));
        self.variables.pop();
        Some(Act::ForEach(name, values, steps?))
    }

    fn values(&mut self, tree: &Tree, raw: &RawStep, number: &str) -> Option<Values> {
        let why = match (tree.get("in"), raw.range) {
            (Some(list), None) if !list.items().is_empty() => {
                return Some(Values::List(list.items().iter().filter_map(Tree::to_json).collect()));
            }
            (None, Some(RawRange { from, to, by })) => {
                // A last number that is missed by a rounding error is meant.
                let rounds = ((to - from) / by + 1e-9).floor() + 1.0;
                if (1.0..=MOST_ROUNDS).contains(&rounds) {
                    return Some(Values::Range { from, by, count: rounds as u64 });
                }
                "has a range that does not lead from its first number to its last"
            }
            (Some(_), Some(_)) => "says its values twice",
            _ => "has no values",
        };
        let fault = self.fault(Code::ScriptLoop, format!("step {number} {why}"), tree);
        self.faults.push(fault.hint("write `in = [1, 2, 5]`, or `range = { from = 0, to = 10, by = 2.5 }`"));
        None
    }

    fn procedure(&mut self, tree: &Tree, raw: &RawStep) -> Option<Act> {
        let (kind, place) = (raw.procedure.clone()?, tree.get("procedure")?);
        let runners = self.table.route_for("LaunchProcedure").is_some();
        let Some(registration) = ProcedureRegistration::find(&kind).filter(|_| runners) else {
            let kinds: Vec<_> = ProcedureRegistration::all().iter().map(|it| it.kind).collect();
            let mut fault =
                self.fault(Code::ScriptProcedure, format!("no procedure is called `{kind}`"), place);
            fault.hint = match runners {
                true => suggestion(&kind, kinds),
                false => Some("add a manager of the kind `labrig.procedures`, which runs them".to_owned()),
            };
            self.faults.push(fault);
            return None;
        };
        let inputs = self.filled(tree.get("inputs"), tree, (registration.inputs)(), "inputs");
        Some(Act::Procedure { kind, inputs })
    }
}

/// A tree with its variables filled in, every value at its old place.
fn with(tree: &Tree, variables: &Map<String, Value>) -> Tree {
    let content = match &tree.content {
        Content::List(items) => Content::List(items.iter().map(|it| with(it, variables)).collect()),
        Content::Table(entries) => {
            Content::Table(entries.iter().map(|(key, it)| (key.clone(), with(it, variables))).collect())
        }
        Content::Text(text) if text.starts_with('$') => {
            let value = filled_in(&Value::String(text.clone()), variables);
            // A list's values were read before.
            return of_json(&value, &tree.place, &mut Vec::new());
        }
        other => other.clone(),
    };
    Tree::new(tree.place.clone(), content)
}

/// A step as people read it.
fn text_of(act: &Act) -> String {
    let fields = |value: &Value| {
        let pairs = value.as_object().into_iter().flatten();
        pairs.map(|(key, value)| format!(" {key}={value}")).collect::<String>()
    };
    match act {
        Act::Command { spec, to, args, .. } => {
            let CommandSpec { name, .. } = &**spec;
            let to = to.as_ref().map(|to| format!(" at {to}")).unwrap_or_default();
            format!("{name}{to}{}", fields(args))
        }
        Act::Sleep(ms) => format!("sleep {ms} ms"),
        Act::Wait { manager, .. } => format!("wait for {manager}"),
        Act::WaitUntil { condition, .. } => format!("wait until {condition}"),
        Act::Repeat(count, _) => format!("{count} times"),
        Act::ForEach(name, values, _) => format!("for each of {} values of {name}", values.count()),
        Act::Procedure { kind, inputs } => format!("procedure {kind}{}", fields(inputs)),
    }
}

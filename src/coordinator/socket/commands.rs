//! The commands of the rig as its clients know them: by name, with fields to be checked.
//!
//! The checker is the one that start-up commands go through, so that a client is told in the same words what does
//! not fit. What passes goes on as JSON; the manager's own program decodes it.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::config::{arguments, check, suggestion};
use crate::registry::RouteTable;
use crate::remote::reply_stream::holds_stream;
use crate::remote::{ChangeSettings, CheckScript, PlaceTask, ReadSettings};
use crate::wire::Command as _;
use crate::wire::{CodecId, CommandId, CommandSpec, DeliveryKind, Header, Kind, Ordered, Problem, Target};

/// See the module's words.
#[derive(Debug)]
pub(crate) struct Catalogue {
    commands: BTreeMap<String, CommandSpec>,
    /// What the verb `commands` answers.
    pub(super) table: Value,
    /// The managers that have settings.
    pub(super) settings_owners: Vec<String>,
}

/// How the catalogue is made: when the first client comes, as most rigs have none while they start.
pub(crate) type MakeCatalogue = Box<dyn FnOnce() -> Catalogue + Send>;

/// A command that can be offered.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) header: Header,
    pub(super) payload: Vec<u8>,
    pub(super) name: String,
}

impl Catalogue {
    /// The commands of a rig. `known` are those of all programs, served or not.
    pub(crate) fn new(table: &RouteTable, known: &[&CommandSpec]) -> Self {
        let served = table.routes().iter().map(|route| &route.spec);
        let settings_owners: Vec<_> = table.managers_with_settings().map(str::to_owned).collect();
        let of_settings = [ReadSettings::spec(), ChangeSettings::spec()].into_iter();
        let own = of_settings
            .filter(|_| !settings_owners.is_empty())
            .chain([CheckScript::spec(), PlaceTask::spec()]);
        let all = known.iter().copied().chain(served).chain(own);
        let commands = all.map(|spec| (spec.name.clone(), spec.clone())).collect();
        Self { commands, table: json!({ "commands": table.to_json() }), settings_owners }
    }

    /// Checks what a client gives against the command's shape.
    ///
    /// # Errors
    /// [`Problem`] `unknown-command`, `wrong-delivery`, `bad-arguments` or `not-supported`.
    pub(super) fn prepare(
        &self,
        kind: Kind,
        ordered: &Ordered,
        default_deadline_ms: u64,
    ) -> Result<Prepared, Problem> {
        let spec = self.commands.get(&ordered.command).ok_or_else(|| self.unknown(&ordered.command))?;
        check_delivery(kind, spec)?;
        let payload = fields(spec, ordered)?.to_string().into_bytes();
        let limit = ordered.deadline_ms.unwrap_or_else(|| spec.deadline_ms.unwrap_or(default_deadline_ms));
        let time_left_us = if kind == Kind::Send { 0 } else { limit.saturating_mul(1000) };
        let target = ordered.to.clone().map_or(Target::Route, Target::Named);
        let header =
            Header { command: spec.id, codec: CodecId::Json, time_left_us, target, ..Header::new(kind) };
        Ok(Prepared { header, payload, name: spec.name.clone() })
    }

    /// The command's name, when it is known.
    pub(super) fn name_of(&self, id: CommandId) -> Option<&str> {
        self.commands.values().find(|spec| spec.id == id).map(|spec| spec.name.as_str())
    }

    fn unknown(&self, name: &str) -> Problem {
        let text = format!("no program of this rig knows a command `{name}`");
        let near = suggestion(name, self.commands.keys().map(String::as_str));
        Problem::new("unknown-command", text)
            .hint(near.unwrap_or_else(|| "`labrig commands` lists them".to_owned()))
            .fact("command", name)
    }
}

fn check_delivery(kind: Kind, spec: &CommandSpec) -> Result<(), Problem> {
    let is_broadcast = spec.delivery == DeliveryKind::Broadcast;
    let hint = match (kind, is_broadcast) {
        (Kind::Broadcast, false) => "use `call` or `send`",
        (Kind::Request | Kind::Send, true) => "use `broadcast`",
        (Kind::Request, false) if holds_stream(&spec.reply) => {
            let text = format!("`{}` is answered by a stream, which this protocol does not carry", spec.name);
            return Err(Problem::new("not-supported", text).fact("command", spec.name.as_str()));
        }
        _ => return Ok(()),
    };
    let text = format!("`{}` is a {} command", spec.name, spec.delivery);
    Err(Problem::new("wrong-delivery", text).hint(hint).fact("command", spec.name.as_str()))
}

/// The fields as the command's type reads them.
fn fields(spec: &CommandSpec, ordered: &Ordered) -> Result<Value, Problem> {
    let mut faults = Vec::new();
    let folder = Path::new(ordered.folder.as_deref().unwrap_or("."));
    let tree = match (&ordered.args, &ordered.words) {
        (Some(_), Some(_)) => {
            let text = "the fields are given twice: as `args` and as `words`";
            return Err(Problem::new("bad-arguments", text).hint("give them once"));
        }
        (Some(args), None) => arguments::from_json(args, folder, &mut faults),
        (None, words) => arguments::from_words(words.as_deref().unwrap_or_default(), folder, &mut faults),
    };
    let checked = check(&tree, &spec.schema, &spec.name);
    faults.extend(checked.faults);
    match checked.json {
        Some(json) if faults.is_empty() => Ok(json),
        _ => Err(misfits(spec, &faults)),
    }
}

fn misfits(spec: &CommandSpec, faults: &[crate::config::Fault]) -> Problem {
    let texts: Vec<_> = faults.iter().map(|fault| fault.message.as_str()).collect();
    let hints: Vec<_> = faults.iter().filter_map(|fault| fault.hint.as_deref()).collect();
    let mut problem = Problem::new("bad-arguments", texts.join("\n"));
    problem.hint = (!hints.is_empty()).then(|| hints.join("\n"));
    let each = faults.iter().map(|it| json!({ "code": it.code.text(), "text": it.message, "hint": it.hint }));
    problem.fact("command", spec.name.as_str()).fact("faults", each.collect::<Vec<_>>())
}

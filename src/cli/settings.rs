//! `settings`: what the managers of a running rig can be set to, shown, changed, written to a file and read from one.
//!
//! Every change is checked by the manager that owns the settings. A file is taken as a whole: it is asked first whether
//! all of it fits, and nothing changes if something does not.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::client::{Connection, Trouble, connect};
use super::rig_args::RigArgs;
use super::saying::say;
use super::{exit, signals};
use crate::config::{arguments, suggestion};
use crate::registry::routes::{in_columns, type_name};
use crate::wire::{Field, Ordered, Problem, Request, TypeSchema};

#[derive(Args, Debug)]
pub(super) struct SettingsArgs {
    #[command(subcommand)]
    deed: SettingsDeed,
    #[command(flatten)]
    rig: RigArgs,
}

#[derive(Subcommand, Debug)]
enum SettingsDeed {
    /// Show settings with their units and bounds
    Show {
        /// Only those of this manager
        manager: Option<String>,
    },
    /// Change settings of a manager
    Set {
        /// The manager's name
        manager: String,
        /// `key=value` each; dots in a key lead into tables
        #[arg(required = true, value_name = "KEY=VALUE")]
        settings: Vec<String>,
        /// Only if this is still the version in force
        #[arg(long, value_name = "VERSION")]
        if_version: Option<u64>,
    },
    /// Write all settings as TOML, a table for each manager
    Export {
        /// Into this file instead of standard output
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Change settings to what a file says; all of it or nothing, and what it does not name stays
    Import {
        /// The file, as `export` writes it
        file: PathBuf,
        /// Only ask whether it fits
        #[arg(long)]
        dry_run: bool,
    },
}

/// Does what is asked for.
pub(super) fn settings(arguments: &SettingsArgs) -> ExitCode {
    let done = connect(&arguments.rig).and_then(Owners::of).and_then(|mut owners| match &arguments.deed {
        SettingsDeed::Show { manager } => owners.read(manager.as_deref()),
        SettingsDeed::Set { manager, settings, if_version } => {
            let values = from_words(settings)?;
            let wanted = json!({ "values": values.to_string(), "if_version": if_version });
            Ok(json!({ "managers": [owners.ask(manager, "ChangeSettings", wanted)?] }))
        }
        SettingsDeed::Export { to } => export(&mut owners, to.as_deref()),
        SettingsDeed::Import { file, dry_run } => import(&mut owners, file, *dry_run),
    });
    say(done, arguments.rig.json, |told| match told["toml"].as_str() {
        Some(text) => (text.trim_end().to_owned(), exit::CLEAN),
        None => (listed(told), exit::CLEAN),
    })
}

/// A rig, and the managers of it that have settings.
struct Owners {
    rig: Connection,
    names: Vec<String>,
}

impl Owners {
    fn of(mut rig: Connection) -> Result<Self, Trouble> {
        let told = rig.ask_plainly(&Request::Settings {})?;
        let names = told["managers"].as_array().into_iter().flatten();
        let names = names.filter_map(|name| name.as_str().map(str::to_owned)).collect();
        Ok(Self { rig, names })
    }

    /// The settings of a manager, or of all.
    fn read(&mut self, manager: Option<&str>) -> Result<Value, Trouble> {
        let managers = manager.map_or_else(|| self.names.clone(), |manager| vec![manager.to_owned()]);
        let told = managers.iter().map(|manager| self.ask(manager, "ReadSettings", json!({})));
        Ok(json!({ "managers": told.collect::<Result<Vec<_>, _>>()? }))
    }

    /// Asks the owner of settings; what it answers, with the values as JSON and a description of each.
    fn ask(&mut self, manager: &str, command: &str, args: Value) -> Result<Value, Trouble> {
        if !self.names.iter().any(|owner| owner == manager) {
            return Err(no_settings(manager, &self.names));
        }
        let (command, to) = (command.to_owned(), Some(manager.to_owned()));
        let ordered = Ordered { command, args: Some(args), to, ..Ordered::default() };
        let reply = self.rig.call(ordered, &mut |_| {})?;
        let unreadable = |text: String| Trouble::Problem(Problem::new("unreadable", text));
        let schema: TypeSchema =
            serde_json::from_value(reply["schema"].clone()).map_err(|error| unreadable(error.to_string()))?;
        let values = reply["values"].as_str().unwrap_or_default();
        let values: Map<String, Value> =
            serde_json::from_str(values).map_err(|error| unreadable(error.to_string()))?;
        let settings = schema.fields().iter().map(|field| described(field, &values)).collect::<Vec<_>>();
        Ok(json!({ "manager": manager, "version": reply["version"], "settings": settings }))
    }
}

fn described(field: &Field, values: &Map<String, Value>) -> Value {
    json!({
        "name": field.name,
        "value": values.get(&field.name),
        "type": type_name(&field.node),
        "unit": field.unit,
        "min": field.min,
        "max": field.max,
        "doc": field.doc,
    })
}

fn no_settings(manager: &str, owners: &[String]) -> Trouble {
    let problem = Problem::new("refused", format!("no manager `{manager}` of this rig has settings"));
    Trouble::Problem(match suggestion(manager, owners.iter().map(String::as_str)) {
        Some(hint) => problem.hint(hint),
        None => problem,
    })
}

fn from_words(words: &[String]) -> Result<Value, Trouble> {
    let mut faults = Vec::new();
    let tree = arguments::from_words(words, Path::new("."), &mut faults);
    match (faults.is_empty(), tree.to_json()) {
        (true, Some(values)) => Ok(values),
        _ => {
            let texts: Vec<_> = faults.iter().map(ToString::to_string).collect();
            Err(Trouble::Problem(Problem::new("bad-arguments", texts.join("\n"))))
        }
    }
}

/// A setting without a value is left out: TOML has no word for it.
fn export(owners: &mut Owners, to: Option<&Path>) -> Result<Value, Trouble> {
    let told = owners.read(None)?;
    let mut text = String::new();
    for manager in told["managers"].as_array().into_iter().flatten() {
        let settings = manager["settings"].as_array().into_iter().flatten();
        let pairs = settings.filter(|setting| !setting["value"].is_null());
        let values: BTreeMap<_, _> =
            pairs.filter_map(|it| Some((it["name"].as_str()?, &it["value"]))).collect();
        let table = BTreeMap::from([(manager["manager"].as_str().unwrap_or_default(), values)]);
        let written = toml::to_string(&table).map_err(|error| unfit(&error.to_string()))?;
        text += &format!("# version {}\n{written}\n", manager["version"]);
    }
    match to {
        Some(path) => {
            fs::write(path, text)?;
            Ok(json!({ "toml": format!("written to {}", path.display()) }))
        }
        None => Ok(json!({ "toml": text })),
    }
}

fn unfit(text: &str) -> Trouble {
    Trouble::Problem(Problem::new("bad-arguments", text))
}

/// Nothing is changed before all managers have said that what is for them fits.
fn import(owners: &mut Owners, file: &Path, is_trial: bool) -> Result<Value, Trouble> {
    let text = fs::read_to_string(file)?;
    let wanted: BTreeMap<String, Map<String, Value>> =
        toml::from_str(&text).map_err(|error| unfit(&format!("{}: {error}", file.display())))?;
    let mut problems = Vec::new();
    let mut told = Vec::new();
    let rounds: &[bool] = if is_trial { &[true] } else { &[true, false] };
    for is_trial in rounds {
        told.clear();
        for (manager, values) in &wanted {
            let args = json!({ "values": Value::Object(values.clone()).to_string(), "is_trial": is_trial });
            match owners.ask(manager, "ChangeSettings", args) {
                Ok(answer) => told.push(answer),
                Err(Trouble::Problem(problem)) => problems.push(problem),
                Err(trouble) => return Err(trouble),
            }
        }
        if !problems.is_empty() {
            return Err(Trouble::Problem(together(problems)));
        }
    }
    Ok(json!({ "managers": told }))
}

/// All that is wrong with a file, in one go.
fn together(mut problems: Vec<Problem>) -> Problem {
    if problems.len() == 1 {
        return problems.remove(0);
    }
    let texts: Vec<_> = problems.iter().map(|problem| problem.text.as_str()).collect();
    let mut whole = Problem::new(problems[0].kind.clone(), texts.join("\n"));
    let hints: Vec<_> = problems.iter().filter_map(|problem| problem.hint.as_deref()).collect();
    whole.hint = (!hints.is_empty()).then(|| hints.join("\n"));
    whole
}

/// A line for each setting, with its value, its unit and its bounds.
fn listed(told: &Value) -> String {
    let headings = ["SETTING", "VALUE", "UNIT", "BOUNDS", "ABOUT"].map(str::to_owned);
    let managers = told["managers"].as_array().into_iter().flatten();
    let rows = managers.flat_map(|manager| {
        let name = manager["manager"].as_str().unwrap_or_default();
        let settings = manager["settings"].as_array().into_iter().flatten();
        settings.map(move |setting| row(name, setting))
    });
    let rows: Vec<_> = std::iter::once(headings).chain(rows).collect();
    if rows.len() == 1 {
        return "no manager of this rig has settings".to_owned();
    }
    in_columns(&rows, |column| column == 1)
}

fn row(manager: &str, setting: &Value) -> [String; 5] {
    let text = |key: &str| setting[key].as_str().unwrap_or_default().to_owned();
    let bound = |key: &str| setting[key].as_f64().map_or_else(String::new, |bound| bound.to_string());
    let bounds = match (bound("min"), bound("max")) {
        (min, max) if min.is_empty() && max.is_empty() => String::new(),
        (min, max) => format!("{min}..{max}"),
    };
    let about = text("doc").lines().next().unwrap_or_default().to_owned();
    let name = format!("{manager}.{}", text("name"));
    [name, signals::value(&setting["value"]), text("unit"), bounds, about]
}

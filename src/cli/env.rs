//! `env`: the stored environments of a rig. One is tried before it is saved.

use std::error::Error;
use std::process::ExitCode;
use std::time::SystemTime;

use serde_json::{Value, json};

use super::args::{EnvArgs, EnvDeed, Source};
use super::{Program, check, checking, exit, topology};
use crate::config::{
    ENVIRONMENT_KEYS, EnvironmentError, EnvironmentStore, SESSION_VARIABLE, Topology, suggestion,
};

/// Does what is asked with the environments of one rig.
pub(super) fn env(program: Program, arguments: &EnvArgs) -> ExitCode {
    let source =
        Source { config: arguments.config.clone(), set: Vec::new(), state_dir: arguments.state_dir.clone() };
    let topology = match topology(&program, &source) {
        Ok(topology) => checking::with_state(topology, &source),
        Err(code) => return code,
    };
    let plan = topology.resolve().plan;
    let store = EnvironmentStore::of(plan.state_dir.as_deref().unwrap_or_else(|| "".as_ref()));
    let is_json = arguments.json;
    let done = match &arguments.deed {
        EnvDeed::Create { name, manager, set, replace } => {
            let wanted = Wanted { name, manager, set, replaces: *replace };
            return create(program, topology, &store, &wanted, is_json)
                .unwrap_or_else(|error| refuse(&error));
        }
        EnvDeed::List => list(&store, &topology, is_json),
        EnvDeed::Show { name } => show(&store, name, is_json),
        EnvDeed::Activate { name, .. } => activate(&store, name.as_deref(), is_json),
        EnvDeed::Remove { name, force } => remove(&store, name, *force, is_json),
    };
    match done {
        Ok(text) => check::print(&text, exit::CLEAN),
        Err(error) => refuse(&error),
    }
}

fn refuse(error: &EnvironmentError) -> ExitCode {
    let cause = error
        .source()
        .map(|cause| format!(": {cause}"))
        .filter(|_| matches!(error, EnvironmentError::Io { .. }));
    exit::complain(&format!("{error}{}", cause.unwrap_or_default()), exit::FAILED)
}

/// An environment to be tried.
struct Wanted<'a> {
    name: &'a str,
    manager: &'a str,
    set: &'a [(String, String)],
    replaces: bool,
}

/// Tries the environment with its manager and saves it when that worked.
fn create(
    program: Program,
    topology: Topology,
    store: &EnvironmentStore,
    wanted: &Wanted<'_>,
    is_json: bool,
) -> Result<ExitCode, EnvironmentError> {
    if let Some(mistake) = wanted.set.iter().find_map(|(key, _)| not_of_an_environment(key)) {
        return Ok(exit::complain(&mistake, exit::USAGE));
    }
    let session = store.session()?;
    session.may_save(wanted.name, wanted.replaces)?;
    let below = |key: &str| format!("managers.{}.{key}", wanted.manager);
    let is_known = topology.resolve().plan.manager(wanted.manager).is_some();
    let set = |topology: Topology, (key, value): &(String, String)| topology.set(below(key), value);
    // A manager that there is not is refused by the trial, not made up by what is set for it.
    let topology = if is_known { wanted.set.iter().fold(topology, set) } else { topology };
    let saved = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let text = topology.environment_text(wanted.manager, &saved);
    let tried = match is_known {
        true => topology.set(below(&format!("env.{SESSION_VARIABLE}")), wanted.name),
        false => topology,
    };
    let trial = match checking::try_alone(program, tried, wanted.manager, is_json) {
        Ok(trial) => trial,
        Err(code) => return Ok(code),
    };
    let text = text.filter(|_| trial.has_passed());
    if let Some(text) = &text {
        session.save(wanted.name, text, wanted.replaces)?;
    }
    let (is_saved, report) = (text.is_some(), trial.text(wanted.manager));
    let said = match (is_json, is_saved) {
        (true, _) => {
            json!({ "environment": wanted.name, "saved": is_saved, "trial": trial.to_json(wanted.manager) })
                .to_string()
        }
        (false, true) => format!("{report}\nsaved as `{}`", wanted.name),
        (false, false) => format!("{report}\n`{}` is not saved: it did not work", wanted.name),
    };
    Ok(check::print(&said, if is_saved { exit::CLEAN } else { exit::MANAGER_FAILED }))
}

fn not_of_an_environment(key: &str) -> Option<String> {
    let first = key.split('.').next().unwrap_or_default();
    if ENVIRONMENT_KEYS.contains(&first) {
        return None;
    }
    let hint = suggestion(first, ENVIRONMENT_KEYS.iter().copied());
    let hint = hint.unwrap_or_else(|| format!("there are `{}`", ENVIRONMENT_KEYS.join("`, `")));
    Some(format!("`{first}` is no key of an environment\nhelp: {hint}"))
}

/// The names of the managers that use an environment, as the config says it.
fn users(topology: &Topology, name: &str) -> Vec<String> {
    let managers = topology.resolve().plan.managers;
    let using = managers.iter().filter(|it| it.environment.stored.as_deref() == Some(name));
    using.map(|manager| manager.name.to_string()).collect()
}

fn list(store: &EnvironmentStore, topology: &Topology, is_json: bool) -> Result<String, EnvironmentError> {
    let active = store.active()?;
    let mut rows = Vec::new();
    for name in store.names()? {
        let (is_active, used_by) = (active.as_deref() == Some(&name), users(topology, &name));
        rows.push(match store.read(&name) {
            Ok(stored) => json!({
                "name": name, "is_active": is_active, "tried_with": stored.managers, "used_by": used_by,
                "saved": stored.saved,
            }),
            Err(error) => json!({ "name": name, "is_active": is_active, "damaged": error.to_string() }),
        });
    }
    if is_json {
        return Ok(Value::from(rows).to_string());
    }
    let lines: Vec<_> = rows.iter().map(line).collect();
    Ok(if lines.is_empty() { "no environment is stored".to_owned() } else { lines.join("\n") })
}

fn line(row: &Value) -> String {
    let names = |key: &str| {
        let names: Vec<_> = row[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
    };
    let mark = if row["is_active"] == true { "*" } else { " " };
    let name = row["name"].as_str().unwrap_or_default();
    match row["damaged"].as_str() {
        Some(_) => format!("{mark} {name:<20} damaged: `labrig env show {name}` says how"),
        None => format!(
            "{mark} {name:<20} tried with {}, {}; used by {}",
            names("tried_with"),
            row["saved"].as_str().unwrap_or_default(),
            names("used_by"),
        ),
    }
}

fn show(store: &EnvironmentStore, name: &str, is_json: bool) -> Result<String, EnvironmentError> {
    let stored = store.read(name)?;
    if is_json {
        let report = json!({
            "name": name, "tried_with": stored.managers, "saved": stored.saved, "environment": stored.keys,
        });
        return Ok(report.to_string());
    }
    let keys = stored.keys.as_object().into_iter().flatten();
    let lines = keys.map(|(key, value)| format!("  {key} = {value}")).collect::<Vec<_>>().join("\n");
    let lines = if lines.is_empty() { "  nothing".to_owned() } else { lines };
    Ok(format!("{name}: tried with {}, {}\n{lines}", stored.managers.join(", "), stored.saved))
}

fn activate(store: &EnvironmentStore, name: Option<&str>, is_json: bool) -> Result<String, EnvironmentError> {
    store.session()?.activate(name)?;
    Ok(match (is_json, name) {
        (true, name) => json!({ "active": name }).to_string(),
        (false, Some(name)) => format!("`{name}` is active"),
        (false, None) => "no environment is active".to_owned(),
    })
}

fn remove(
    store: &EnvironmentStore,
    name: &str,
    forced: bool,
    is_json: bool,
) -> Result<String, EnvironmentError> {
    store.session()?.remove(name, forced)?;
    Ok(if is_json { json!({ "removed": name }).to_string() } else { format!("`{name}` is removed") })
}

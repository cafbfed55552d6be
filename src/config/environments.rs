//! Stored environments, put under what a manager's own table says.
//!
//! An environment is what a manager's process finds around it: [`KEYS`] of a manager's table, kept by name in the
//! rig's state folder. A manager's own keys win, variable by variable in `env` and key by key elsewhere. The
//! active environment is that of the managers it has worked with, unless they say otherwise.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::check::check;
use super::code::Code;
use super::environment_store::{EnvironmentError, EnvironmentStore};
use super::fault::Fault;
use super::raw::{RawStartup, SCHEMA_VERSION};
use super::suggest::{quoted_list, suggestion};
use super::topology::Topology;
use super::tree::{Content, Origin, Place, Tree};
use super::{environment, parse};
use crate::macros::Schema;
use crate::wire::TypeSchema;

/// The keys of a manager's table that an environment may say.
pub(crate) const KEYS: &[&str] =
    &["args", "cpus", "env", "env_remove", "library_path", "nice", "program", "startup", "working_dir"];

/// The file of a stored environment.
#[derive(Deserialize, Schema, Debug)]
#[expect(dead_code, reason = "the shape of a file, which is read from its tree")]
struct RawStored {
    /// The version of the schema: 1.
    schema: u32,
    /// The managers that it has worked with.
    managers: Vec<String>,
    /// When that was.
    saved: String,
    /// The folder that relative paths start from.
    relative_to: PathBuf,
    /// What it says.
    environment: RawEnvironment,
}

/// `[environment]`: keys of a manager's table, with the same meaning.
#[derive(Deserialize, Schema, Debug, Default)]
#[serde(default)]
struct RawEnvironment {
    program: Option<PathBuf>,
    args: Option<Vec<String>>,
    env: Option<std::collections::BTreeMap<String, String>>,
    env_remove: Option<Vec<String>>,
    library_path: Option<Vec<PathBuf>>,
    working_dir: Option<PathBuf>,
    startup: Option<Vec<RawStartup>>,
    #[schema(min = -20, max = 19)]
    nice: Option<i32>,
    cpus: Option<Vec<u32>>,
}

/// An environment as it is stored.
#[derive(Clone, Debug)]
pub struct StoredEnvironment {
    /// The managers that it has worked with.
    pub managers: Vec<String>,
    /// When that was.
    pub saved: String,
    /// What it says, as JSON, with paths from the root.
    pub keys: Value,
    tree: Tree,
}

impl StoredEnvironment {
    /// Reads the text of a stored environment; `name` is what reports call it.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(super) fn read(text: &str, name: &str) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let origin = |folder| Arc::new(Origin { name: name.to_owned(), folder });
        let head = parse::document(text, &origin(PathBuf::from("/")), &mut faults).ok_or(faults)?;
        let mut faults = Vec::new();
        let folder = head.get("relative_to").and_then(Tree::text).unwrap_or("/");
        let tree = parse::document(text, &origin(folder.into()), &mut faults).unwrap_or(head);
        let checked = check(&tree, &TypeSchema::of::<RawStored>(), "");
        faults.extend(checked.faults);
        let tree_of_keys =
            tree.get("environment").cloned().unwrap_or_else(|| Tree::empty(tree.place.clone()));
        environment::check(&tree_of_keys, &mut faults);
        match checked.json {
            Some(json) if faults.is_empty() => Ok(Self {
                managers: super::resolve::texts(&tree, "managers").map(|(name, _)| name).collect(),
                saved: json["saved"].as_str().unwrap_or_default().to_owned(),
                keys: without_nulls(json["environment"].clone()),
                tree: tree_of_keys,
            }),
            _ => Err(faults),
        }
    }
}

fn without_nulls(mut keys: Value) -> Value {
    if let Value::Object(entries) = &mut keys {
        entries.retain(|_, value| !value.is_null());
    }
    keys
}

/// What the manager of that name says of its environment, with the stored one that it uses: as the text of a file
/// that can be stored. `None` when there is no such manager.
pub(super) fn text_of(topology: &Topology, tree: &Tree, manager: &str, saved: &str) -> Option<String> {
    let entries = tree.get("managers")?.get(manager)?.entries()?;
    let of_environment = entries.iter().filter(|(key, _)| KEYS.contains(&key.as_str()));
    let content = Content::Table(of_environment.map(|(key, it)| (key.clone(), it.clone())).collect());
    let keys = Tree::new(Place::whole(&topology.origin), content);
    let keys = without_nulls(check(&keys, &TypeSchema::of::<RawEnvironment>(), "").json?);
    let file = serde_json::json!({
        "schema": SCHEMA_VERSION,
        "managers": [manager],
        "saved": saved,
        "relative_to": topology.origin.folder.to_string_lossy(),
        "environment": keys,
    });
    let text = toml::to_string(&file).ok()?;
    Some(format!(
        "# Written by `labrig env create` when it had worked; config/README.md explains the keys.\n{text}"
    ))
}

/// Puts stored environments under the tables of the managers that use them.
pub(super) fn apply(topology: &Topology, tree: &mut Tree, faults: &mut Vec<Fault>) {
    let store = topology.state_dir.as_deref().map(EnvironmentStore::of);
    let active = store.as_ref().and_then(|store| active(store, faults));
    let Content::Table(entries) = &mut tree.content else { return };
    let Some(Tree { content: Content::Table(managers), .. }) = entries.get_mut("managers") else { return };
    for (name, manager) in managers {
        let named = manager.get("environment").map(|it| (it.text().map(str::to_owned), it.clone()));
        match (named, &active) {
            // What is no text is reported as that, and an empty name asks for no environment at all.
            (Some((None, _)), _) => {}
            (Some((Some(asked), _)), _) if asked.is_empty() => {}
            (Some((Some(asked), at)), _) => match find(store.as_ref(), &asked, &at) {
                Ok(stored) => put_under(manager, &stored.tree),
                Err(found) => faults.extend(found),
            },
            (None, Some((active, stored))) if stored.managers.contains(name) => {
                put_under(manager, &stored.tree);
                let chosen = Tree::new(manager.place.clone(), Content::Text(active.clone()));
                set(manager, "environment", chosen);
            }
            (None, _) => {}
        }
    }
}

/// The active environment and its name. One that cannot be read is a fault, since managers would go without it.
fn active(store: &EnvironmentStore, faults: &mut Vec<Fault>) -> Option<(String, StoredEnvironment)> {
    let found = store.active().and_then(|name| match name {
        Some(name) => store.read(&name).map(|stored| Some((name, stored))),
        None => Ok(None),
    });
    found.unwrap_or_else(|error| {
        let hint =
            "activate another one with `labrig env activate NAME`, or none with `labrig env activate --none`";
        faults.extend(faults_of(error, None).into_iter().map(|fault| match fault.hint {
            Some(_) => fault,
            None => fault.hint(hint),
        }));
        None
    })
}

fn find(store: Option<&EnvironmentStore>, name: &str, asked: &Tree) -> Result<StoredEnvironment, Vec<Fault>> {
    let Some(store) = store else {
        let message = format!("there is no stored environment `{name}`: this rig has no state folder");
        let fault = Fault::new(Code::UnknownEnvironment, message).at(asked.site(), "asked for here");
        return Err(vec![fault.hint("name one with `Topology::state_dir`")]);
    };
    store.read(name).map_err(|error| faults_of(error, Some(asked)))
}

/// Why an environment cannot be used, as faults of the config that asked for it.
fn faults_of(error: EnvironmentError, asked: Option<&Tree>) -> Vec<Fault> {
    let at = |fault: Fault| match asked {
        Some(asked) => fault.at(asked.site(), "asked for here"),
        None => fault,
    };
    match error {
        EnvironmentError::Damaged { report, .. } => report.faults().to_vec(),
        EnvironmentError::Unknown { name, known } => {
            let fault =
                Fault::new(Code::UnknownEnvironment, format!("there is no stored environment `{name}`"));
            let list = match known.as_slice() {
                [] => "none is stored; `labrig env create` makes one".to_owned(),
                known => format!("there are {}", quoted_list(known)),
            };
            let meant = suggestion(&name, known.iter().map(String::as_str));
            vec![at(fault).hint(meant.map_or_else(|| list.clone(), |meant| format!("{meant}\n{list}")))]
        }
        EnvironmentError::BadName { source } => {
            let fault =
                Fault::new(Code::UnknownEnvironment, format!("no environment can be called so: {source}"));
            vec![at(fault).hint("`labrig env list` shows those that are stored")]
        }
        other => {
            let cause =
                std::error::Error::source(&other).map(|cause| format!(": {cause}")).unwrap_or_default();
            let fault = Fault::new(Code::EnvironmentUnreadable, format!("{other}{cause}"));
            vec![at(fault).hint("mend its permissions, or name another state folder with `--state-dir`")]
        }
    }
}

/// The manager's own keys win; in `env` each variable is a key of its own.
fn put_under(manager: &mut Tree, environment: &Tree) {
    for (key, given) in environment.entries().into_iter().flatten() {
        match manager.get(key).map(|own| own.content.clone()) {
            None if key == "env_remove" => {
                let own = manager.get("env").and_then(Tree::entries).into_iter().flatten();
                let own: Vec<_> = own.map(|(name, _)| name.clone()).collect();
                let is_free = |item: &&Tree| !item.text().is_some_and(|name| own.iter().any(|it| it == name));
                let left = given.items().iter().filter(is_free).cloned().collect();
                set(manager, key, Tree { content: Content::List(left), ..given.clone() });
            }
            None => set(manager, key, given.clone()),
            Some(Content::Table(own)) if key == "env" => {
                let mut both = given.entries().cloned().unwrap_or_default();
                both.extend(own);
                let place = manager.get(key).map_or_else(|| given.place.clone(), |own| own.place.clone());
                set(manager, key, Tree::new(place, Content::Table(both)));
            }
            Some(_) => {}
        }
    }
}

fn set(manager: &mut Tree, key: &str, value: Tree) {
    if let Content::Table(entries) = &mut manager.content {
        entries.insert(key.to_owned(), value);
    }
}

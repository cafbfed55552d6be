//! A topology becomes a plan.
//!
//! The checker looks at the whole file once and reports; then each table is read on its own, so that a
//! misfit in one leaves the others whole. Names and references are looked at last, on the finished plan.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::check::check;
use super::code::Code;
use super::fault::Fault;
use super::plan::{
    EnvironmentPlan, InputPlan, ManagerPlan, RateLimits, ReaderPlan, RigPlan, SafeProgram, Startup,
    StreamPlan, Supervision,
};
use super::raw::{RawFile, RawFilter, RawManager, RawRig, RawStartup, RawStream, SCHEMA_VERSION};
use super::topology::{Resolution, Topology, absolute};
use super::tree::{Content, Origin, Place, Tree};
use super::{environment, environments, names, parse, pools, references, streams};
use crate::wire::{Filter, Glob, ManagerName, Schema, Site, TypeSchema};

/// See [`Topology::resolve`].
pub(super) fn resolve(topology: &Topology) -> Resolution {
    let mut faults = Vec::new();
    let Some(tree) = read_tree(topology, &mut faults) else {
        let nothing = Tree::empty(Place::whole(&topology.origin));
        return Resolution { plan: plan(topology, &nothing), faults };
    };
    faults.extend(check(&tree, &TypeSchema::of::<RawFile>(), "").faults);
    check_version(&tree, &mut faults);
    let mut plan = plan(topology, &tree);
    names::check(&tree, &mut faults);
    references::check(&tree, &plan, &mut faults);
    streams::check(&tree, &plan, &mut faults);
    for manager in &plan.managers {
        environment::check(tree_of(&tree, manager), &mut faults);
    }
    pools::check(&tree, &plan, &mut faults);
    pools::expand(&tree, &mut plan);
    Resolution { plan, faults }
}

/// What the file says, with what was set over it and the stored environments under it.
fn read_tree(topology: &Topology, faults: &mut Vec<Fault>) -> Option<Tree> {
    let mut tree = parse::document(&topology.text, &topology.origin, faults)?;
    apply_overrides(topology, &mut tree, faults);
    environments::apply(topology, &mut tree, faults);
    Some(tree)
}

/// See [`Topology::environment_text`].
pub(super) fn environment_text(topology: &Topology, manager: &str, saved: &str) -> Option<String> {
    let tree = read_tree(topology, &mut Vec::new())?;
    environments::text_of(topology, &tree, manager, saved)
}

fn apply_overrides(topology: &Topology, tree: &mut Tree, faults: &mut Vec<Fault>) {
    let folder = absolute(Path::new("."));
    for (key, typed) in &topology.overrides {
        let origin = Arc::new(Origin { name: format!("--set {key}"), folder: folder.clone() });
        let value = parse::value(typed, &origin, faults);
        faults.extend(tree.set(key, value).err());
    }
}

fn check_version(tree: &Tree, faults: &mut Vec<Fault>) {
    let Some(found) = tree.get("schema") else { return };
    if let Content::Integer(version) = found.content
        && version != i128::from(SCHEMA_VERSION)
    {
        let message = format!("the config is written for schema {version}; this labrig reads schema 1");
        let fault = Fault::new(Code::SchemaVersion, message).at(found.site(), "said here");
        faults.push(fault.hint("write `schema = 1`, or use the labrig that the config was written for"));
    }
}

/// A table as its type, without what the checker refused; `None` when it is no table.
fn read<T: DeserializeOwned + Schema>(tree: &Tree) -> Option<T> {
    tree.entries()?;
    serde_json::from_value(check(tree, &TypeSchema::of::<T>(), "").json?).ok()
}

fn plan(topology: &Topology, tree: &Tree) -> RigPlan {
    let rig: RawRig = tree.get("rig").and_then(read).unwrap_or_default();
    let millis = Duration::from_millis;
    RigPlan {
        name: rig.name.unwrap_or_else(|| default_name(topology)),
        source: topology.path.clone(),
        site: Place::whole(&topology.origin).site(),
        default_deadline: millis(rig.default_deadline_ms),
        quit_deadline: millis(rig.quit_deadline_ms),
        start_deadline: millis(rig.start_deadline_ms),
        sends_traces: rig.send_traces,
        has_fast_lanes: rig.fast_lane,
        traces: rig.trace,
        managers: entries(tree, "managers").filter_map(|it| manager(topology, rig.lease_ms, it)).collect(),
        streams: entries(tree, "streams").filter_map(stream).collect(),
        state_dir: topology.state_dir.clone(),
        run_dir: topology.run_dir.clone(),
        runtime_dir: topology.runtime_dir.clone(),
    }
}

/// The name of a rig that has none: that of its file, where it can be one.
fn default_name(topology: &Topology) -> String {
    let stem = topology.path.as_deref().and_then(Path::file_stem).map(|stem| stem.to_string_lossy());
    stem.filter(|stem| ManagerName::new(stem).is_ok()).map_or_else(|| "rig".to_owned(), Into::into)
}

fn entries<'a>(tree: &'a Tree, key: &str) -> impl Iterator<Item = (&'a String, &'a Tree)> {
    tree.get(key).and_then(Tree::entries).into_iter().flatten()
}

/// The table that a manager's plan was made from.
pub(super) fn tree_of<'a>(tree: &'a Tree, manager: &ManagerPlan) -> &'a Tree {
    let table = tree.get("managers").and_then(|managers| managers.get(manager.name.as_str()));
    table.expect("a plan has the managers that the tree has")
}

fn manager(topology: &Topology, lease_ms: u64, (name, tree): (&String, &Tree)) -> Option<ManagerPlan> {
    let name = ManagerName::new(name).ok()?;
    let raw: RawManager = read(tree)?;
    let known = |name: &String| ManagerName::new(name).ok();
    let supervision = supervision(&raw, tree, lease_ms);
    Some(ManagerPlan {
        name,
        site: tree.site(),
        pool: None,
        kind: raw.kind.unwrap_or_default(),
        kind_site: tree.site_of(&["kind"]),
        program: raw.program.or_else(|| topology.program.clone()),
        args: raw.args,
        after: texts(tree, "after").filter_map(|name| known(&name.0)).collect(),
        outlives: texts(tree, "outlives").filter_map(|name| known(&name.0)).collect(),
        is_optional: raw.optional,
        groups: texts(tree, "groups").map(|group| group.0).collect(),
        environment: EnvironmentPlan {
            stored: raw.environment.filter(|name| !name.is_empty()),
            set: raw.env,
            remove: raw.env_remove,
            library_path: raw.library_path,
            working_dir: raw.working_dir,
            nice: raw.nice,
            cpus: raw.cpus,
        },
        startup: tree.get("startup").map_or(&[][..], Tree::items).iter().filter_map(startup).collect(),
        queue_depth: raw.queue.depth,
        max_remote_values: raw.max_remote_values,
        when_full: raw.queue.when_full,
        limits: RateLimits {
            envelopes_per_s: raw.limits.envelopes_per_s,
            bytes_per_s: raw.limits.bytes_per_s,
        },
        hears: raw.hears.into_iter().map(filter).collect(),
        safe_deadline: Duration::from_millis(raw.safe_deadline_ms),
        supervision,
        inputs: entries(tree, "inputs").map(input).collect(),
        config: table_or_empty(tree, "config"),
    })
}

fn supervision(raw: &RawManager, tree: &Tree, lease_ms: u64) -> Supervision {
    let millis = Duration::from_millis;
    Supervision {
        policy: raw.restart_policy,
        max_restarts: raw.max_restarts,
        window: Duration::from_secs(raw.restart_window_s),
        delay: millis(raw.restart_delay_ms),
        max_delay: millis(raw.max_restart_delay_ms.max(raw.restart_delay_ms)),
        max_retries: raw.max_retries,
        watchdog: (raw.watchdog_ms > 0).then(|| millis(raw.watchdog_ms)),
        cancel_deadline: millis(raw.cancel_deadline_ms),
        terminate_deadline: millis(raw.terminate_deadline_ms),
        kill_deadline: millis(raw.kill_deadline_ms),
        safe_program: safe_program(raw, tree),
        rearm: raw.rearm,
        on_panic: raw.on_panic,
        lease: millis(raw.lease_ms.unwrap_or(lease_ms)),
    }
}

/// A program with a slash in its name is relative to where it is written; one without is looked for as a shell would.
fn safe_program(raw: &RawManager, tree: &Tree) -> Option<SafeProgram> {
    let (program, args) = raw.safe_program.split_first()?;
    let written = tree.get("safe_program").and_then(|list| list.items().first().cloned());
    let program = match written {
        Some(written) if program.contains('/') => written.place.resolve(program),
        _ => program.into(),
    };
    let deadline = Duration::from_millis(raw.safe_program_deadline_ms);
    Some(SafeProgram { program, args: args.to_vec(), deadline })
}

fn filter(raw: RawFilter) -> Filter {
    Filter { subject: Glob::new(raw.subject), sender: Glob::new(raw.sender) }
}

/// The texts of a list, with their sites; a text that should have been a list counts as one of a single item.
pub(super) fn texts(tree: &Tree, key: &str) -> impl Iterator<Item = (String, Site)> {
    let values = tree.get(key).into_iter().flat_map(|value| match &value.content {
        Content::List(items) => items.iter().collect::<Vec<_>>(),
        _ => vec![value],
    });
    let texts: Vec<_> = values.filter_map(|value| Some((value.text()?.to_owned(), value.site()))).collect();
    texts.into_iter()
}

fn table_or_empty(tree: &Tree, key: &str) -> Tree {
    tree.get(key).cloned().unwrap_or_else(|| Tree::empty(tree.place.clone()))
}

fn startup(tree: &Tree) -> Option<Startup> {
    let raw: RawStartup = read(tree)?;
    let args = table_or_empty(tree, "args");
    Some(Startup { command: raw.command, args, to: raw.to, site: tree.site() })
}

/// An input whose stream is no text is bound to none, which the checker has reported.
fn input((name, stream): (&String, &Tree)) -> InputPlan {
    let text = stream.text().unwrap_or_default();
    InputPlan { input: name.clone(), stream: text.to_owned(), site: stream.site() }
}

fn stream((name, tree): (&String, &Tree)) -> Option<StreamPlan> {
    let raw: RawStream = read(tree)?;
    let reader = |(name, entry): (&String, &Tree)| {
        let mode = raw.readers.get(name).copied().unwrap_or_default();
        Some(ReaderPlan { manager: ManagerName::new(name).ok()?, mode, site: entry.site() })
    };
    Some(StreamPlan {
        name: name.clone(),
        site: tree.site(),
        producer: raw.producer.and_then(|name| ManagerName::new(&name).ok()),
        slots: raw.slots,
        slots_site: tree.site_of(&["slots"]),
        max_frame_bytes: raw.max_frame_bytes,
        readers: entries(tree, "readers").filter_map(reader).collect(),
    })
}

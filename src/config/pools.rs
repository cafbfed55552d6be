//! Pools: one table of the config, several managers of one kind.
//!
//! The config speaks of a pool as a whole, and never of its instances: whatever waits for it waits for all of
//! them, and what they read or are given at their start is the same for each. All other checks see a pool as one
//! manager; then it is expanded.

use super::code::Code;
use super::fault::Fault;
use super::plan::{ManagerPlan, ReaderPlan, RigPlan, Startup};
use super::references::names;
use super::resolve::tree_of;
use super::tree::{Content, Tree};
use crate::wire::ManagerName;

/// How many of a manager are started, given its table.
pub(super) fn instances(table: &Tree) -> usize {
    declared(table).unwrap_or(1)
}

/// How many instances a table asks for, if it is that of a pool. What cannot be a number of them is reported by
/// the checker of the whole file.
fn declared(table: &Tree) -> Option<usize> {
    match table.get("instances")?.content {
        Content::Integer(count @ 1..=64) => usize::try_from(count).ok(),
        _ => None,
    }
}

fn instance_name(pool: &ManagerName, number: usize) -> String {
    format!("{pool}-{number}")
}

/// Reports instances that cannot have their names, and pools that are to fill a stream.
pub(super) fn check(tree: &Tree, plan: &RigPlan, faults: &mut Vec<Fault>) {
    let taken = names(tree, "managers");
    for pool in &plan.managers {
        let table = tree_of(tree, pool);
        let Some(count) = declared(table) else { continue };
        for name in (1..=count).map(|number| instance_name(&pool.name, number)) {
            faults.extend(ill_named(tree, table, &name, &taken));
        }
        let fills = |stream: &&super::plan::StreamPlan| stream.producer.as_ref() == Some(&pool.name);
        for stream in plan.streams.iter().filter(fills) {
            let message = format!("the pool `{}` cannot fill stream `{}`", pool.name, stream.name);
            let fault = Fault::new(Code::PooledProducer, message)
                .at(stream.site.clone(), "a stream has one producer")
                .at(table.site_of(&["instances"]), "of which there are several");
            faults.push(fault.hint("let a manager without `instances` fill it"));
        }
    }
}

fn ill_named(tree: &Tree, table: &Tree, name: &str, taken: &[&str]) -> Option<Fault> {
    let here = table.site_of(&["instances"]);
    let fault = |message: String| Fault::new(Code::BadName, message).at(here, "an instance is called so");
    if let Err(error) = ManagerName::new(name) {
        return Some(fault(error.to_string()).hint("give the pool a shorter name"));
    }
    let other = tree.get("managers").and_then(|managers| managers.get(name));
    let other = other.filter(|_| taken.contains(&name))?;
    let fault = fault(format!("`{name}` is the name of an instance and of a manager"));
    Some(fault.at(other.site(), "the manager").hint("give one of them another name"))
}

/// Puts the instances of each pool in its place.
pub(super) fn expand(tree: &Tree, plan: &mut RigPlan) {
    let pools: Vec<(ManagerName, Vec<ManagerName>)> =
        plan.managers.iter().filter_map(|manager| members(tree, manager)).collect();
    if pools.is_empty() {
        return;
    }
    let of = |name: &ManagerName| pools.iter().find(|(pool, _)| pool == name).map(|(_, members)| members);
    let all_of = |name: &ManagerName| of(name).cloned().unwrap_or_else(|| vec![name.clone()]);
    let managers = std::mem::take(&mut plan.managers);
    for mut manager in managers {
        manager.after = manager.after.iter().flat_map(all_of).collect();
        manager.outlives = manager.outlives.iter().flat_map(all_of).collect();
        manager.startup = startup_of(&manager, &all_of);
        match of(&manager.name) {
            None => plan.managers.push(manager),
            Some(members) => plan.managers.extend(members.iter().map(|name| ManagerPlan {
                name: name.clone(),
                pool: Some(manager.name.clone()),
                ..manager.clone()
            })),
        }
    }
    plan.managers.sort_by(|a, b| a.name.cmp(&b.name));
    for stream in &mut plan.streams {
        let each = |reader: &ReaderPlan| {
            let reader = reader.clone();
            all_of(&reader.manager).into_iter().map(move |manager| ReaderPlan { manager, ..reader.clone() })
        };
        stream.readers = stream.readers.iter().flat_map(each).collect();
    }
}

fn members(tree: &Tree, pool: &ManagerPlan) -> Option<(ManagerName, Vec<ManagerName>)> {
    let count = declared(tree_of(tree, pool))?;
    let names = (1..=count).filter_map(|number| ManagerName::new(&instance_name(&pool.name, number)).ok());
    Some((pool.name.clone(), names.collect()))
}

/// What is addressed to a pool is given to each of its instances; what a pool's own table says, to each by itself.
fn startup_of(manager: &ManagerPlan, all_of: &dyn Fn(&ManagerName) -> Vec<ManagerName>) -> Vec<Startup> {
    let each = |startup: &Startup| {
        let to = startup.to.as_deref().and_then(|to| ManagerName::new(to).ok());
        match to {
            Some(to) if to == manager.name => vec![Startup { to: None, ..startup.clone() }],
            Some(to) => {
                let one = |to: ManagerName| Startup { to: Some(to.to_string()), ..startup.clone() };
                all_of(&to).into_iter().map(one).collect()
            }
            None => vec![startup.clone()],
        }
    };
    manager.startup.iter().flat_map(each).collect()
}

//! What a config's managers mean to each other: who is there, and who waits for whom.

use super::code::Code;
use super::fault::Fault;
use super::order;
use super::plan::{ManagerPlan, RigPlan};
use super::resolve::{texts, tree_of};
use super::suggest::suggestion;
use super::tree::Tree;
use crate::wire::Site;

/// Reports every mention of a manager that does not exist, and every wait that cannot end.
pub(super) fn check(tree: &Tree, plan: &RigPlan, faults: &mut Vec<Fault>) {
    faults.extend(no_managers(tree, plan));
    for manager in &plan.managers {
        let table = tree_of(tree, manager);
        faults.extend(no_kind(table, manager));
        for (key, to_do) in [("after", "start after"), ("outlives", "outlive")] {
            let role = format!("`{}` is to {to_do} it", manager.name);
            let named = texts(table, key);
            faults.extend(named.filter_map(|(name, site)| unknown_manager(tree, &name, site, &role)));
        }
        for to in table.get("startup").map_or(&[][..], Tree::items).iter().filter_map(|item| item.get("to")) {
            let role = "a start-up command is addressed to it";
            faults.extend(to.text().and_then(|name| unknown_manager(tree, name, to.site(), role)));
        }
    }
    for cycle in order::sort(&plan.dependencies()).cycles {
        let managers: Vec<_> = cycle.iter().map(|at| &plan.managers[*at]).collect();
        faults.push(endless_wait(tree, &managers));
    }
}

/// The names that stand as keys of a top-level table, whether they are good names or not.
pub(super) fn names<'a>(tree: &'a Tree, table: &str) -> Vec<&'a str> {
    let entries = tree.get(table).and_then(Tree::entries).into_iter().flatten();
    entries.map(|(name, _)| name.as_str()).collect()
}

/// The fault of naming a manager that does not exist, if it is one.
pub(super) fn unknown_manager(tree: &Tree, name: &str, site: Site, role: &str) -> Option<Fault> {
    let known = names(tree, "managers");
    if known.contains(&name) {
        return None;
    }
    let mut fault = Fault::new(Code::UnknownManager, format!("no manager is called `{name}`")).at(site, role);
    fault.hint = suggestion(name, known);
    Some(fault)
}

/// A misspelt top-level key may be the table of managers, so it is enough to report that.
fn no_managers(tree: &Tree, plan: &RigPlan) -> Option<Fault> {
    let expected = ["schema", "rig", "managers", "streams"];
    let misspelt = tree.entries()?.keys().any(|key| !expected.contains(&key.as_str()));
    let missing = tree.get("managers").is_none_or(|it| it.entries().is_some_and(|it| it.is_empty()));
    (missing && !misspelt).then(|| {
        let fault = Fault::new(Code::NoManagers, "the rig has no managers");
        fault
            .at(plan.site.clone(), "nothing to start here")
            .hint("add a table such as `[managers.motor]` with `kind = \"motor.sim\"`")
    })
}

fn no_kind(table: &Tree, manager: &ManagerPlan) -> Option<Fault> {
    let what = match table.get("kind") {
        None => "its table begins here",
        Some(kind) if kind.text() == Some("") => "empty here",
        Some(_) => return None,
    };
    let message = format!("`managers.{}` does not say its kind", manager.name);
    let fault = Fault::new(Code::EmptyKind, message).at(manager.kind_site.clone(), what);
    Some(fault.hint("add `kind = \"…\"`, such as `camera.sim`, `motor.sim` or `tracker`"))
}

fn endless_wait(tree: &Tree, managers: &[&ManagerPlan]) -> Fault {
    let names: Vec<_> = managers.iter().map(|manager| manager.name.as_str()).collect();
    let message = format!("managers wait for each other: {} → {}", names.join(" → "), names[0]);
    let following = names.iter().cycle().skip(1);
    let waits = managers.iter().zip(following).map(|(manager, next)| {
        let site = texts(tree_of(tree, manager), "after").find(|(name, _)| name == next);
        let site = site.map_or_else(|| manager.site.clone(), |(_, site)| site);
        (site, format!("`{}` is to start after `{next}`", manager.name))
    });
    let fault = Fault::new(Code::CyclicOrder, message);
    let fault = waits.fold(fault, |fault, (site, what)| fault.at(site, what));
    fault.hint("remove one of these from its `after`")
}

//! The names that a config gives: of the rig, its managers, streams and groups.

use super::code::Code;
use super::fault::Fault;
use super::resolve::texts;
use super::tree::Tree;
use crate::wire::{ManagerName, Site};

/// Reports every name that cannot be one. All follow the rule of manager names: they become parts of paths,
/// log lines and commands.
pub(super) fn check(tree: &Tree, faults: &mut Vec<Fault>) {
    let rig = tree.get("rig").and_then(|rig| rig.get("name"));
    let rig = rig.and_then(|name| Some((name.text()?.to_owned(), name.site())));
    let mut all: Vec<_> = rig.into_iter().map(|(name, site)| (name, site, "the name of a rig")).collect();
    for (table, what) in [("managers", "the name of a manager"), ("streams", "the name of a stream")] {
        let entries = tree.get(table).and_then(Tree::entries).into_iter().flatten();
        all.extend(entries.map(|(name, entry)| (name.clone(), entry.site(), what)));
    }
    for manager in tree.get("managers").and_then(Tree::entries).into_iter().flat_map(|it| it.values()) {
        all.extend(texts(manager, "groups").map(|(name, site)| (name, site, "the name of a group")));
    }
    for (name, site, what) in all {
        faults.extend(ill_formed(&name, &site, what));
        let taken = match name.as_str() {
            "all" if what.ends_with("group") => Some("the audience of every manager"),
            "scope" if what.ends_with("manager") => Some("the coordinator's own handlers"),
            _ => None,
        };
        if let Some(meaning) = taken {
            let message = format!("`{name}` cannot be {what}: it means {meaning}");
            let fault = Fault::new(Code::BadName, message).at(site, what);
            faults.push(fault.hint("choose another name"));
        }
    }
}

fn ill_formed(name: &str, site: &Site, what: &str) -> Option<Fault> {
    let error = ManagerName::new(name).err()?;
    let fault = Fault::new(Code::BadName, error.to_string()).at(site.clone(), what);
    Some(fault.hint(format!("write `{}`, or another such name", well_formed(name))))
}

/// The nearest thing to `name` that can be a name.
fn well_formed(name: &str) -> String {
    let folded = |c: char| match c.to_ascii_lowercase() {
        c if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' => c,
        _ => '_',
    };
    let kept: String = name.chars().map(folded).skip_while(|c| !c.is_ascii_lowercase()).take(40).collect();
    if kept.is_empty() { "camera".to_owned() } else { kept }
}

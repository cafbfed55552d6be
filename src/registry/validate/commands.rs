//! Commands: one kind for each direct one, one name for each, and one shape in all programs.

use std::collections::BTreeMap;

use super::difference::difference;
use super::kinds::described;
use crate::config::{Code, Fault, quoted_list};
use crate::registry::description::HandlerDescription;
use crate::registry::view::{Started, View, program_name};
use crate::wire::{CommandSpec, DeliveryKind};

type Handling<'a, 'v> = (&'v Started<'a>, &'a HandlerDescription);

/// The handlers of started kinds by the path of their command, one for each kind.
fn by_command<'a, 'v>(view: &'v View<'a>) -> BTreeMap<&'a str, Vec<Handling<'a, 'v>>> {
    let mut commands: BTreeMap<&str, Vec<Handling<'_, '_>>> = BTreeMap::new();
    for (started, handler) in view.kind_handlers() {
        let handlings = commands.entry(&handler.command.path).or_default();
        if !handlings.iter().any(|(known, _)| std::ptr::eq(*known, started)) {
            handlings.push((started, handler));
        }
    }
    commands
}

/// A direct command is handled by one kind, or by all kinds of the role that declares it.
pub(super) fn rivals(view: &View<'_>, faults: &mut Vec<Fault>) {
    for handlings in by_command(view).into_values() {
        let command = &handlings[0].1.command;
        let mut types: Vec<_> = handlings.iter().map(|(started, _)| &started.kind.path).collect();
        types.sort_unstable();
        types.dedup();
        let role = handlings[0].1.role.as_ref();
        let shares_role =
            role.is_some() && handlings.iter().all(|(_, handler)| handler.role.as_ref() == role);
        if command.delivery != DeliveryKind::Direct || types.len() < 2 || shares_role {
            continue;
        }
        let kinds = quoted_list(handlings.iter().map(|(started, _)| &started.kind.kind));
        let message =
            format!("direct command `{}` is handled by {kinds}, which share no role for it", command.name);
        let fault =
            handlings.iter().fold(Fault::new(Code::RivalKinds, message), |fault, (started, handler)| {
                fault.at(handler.site.clone(), format!("{} in {}", described(handler), started.label()))
            });
        let fault = fault.at(command.site.clone(), format!("`{}` is defined", command.path));
        faults.push(
            fault.hint("let one kind handle it, declare it in a `#[role]` of both, or make it a broadcast"),
        );
    }
}

/// Every kind of a role has the role's handlers. It may lack one when another program is older.
pub(super) fn incomplete_roles(view: &View<'_>, faults: &mut Vec<Fault>) {
    for handlings in by_command(view).into_values() {
        let Some((owner, handler)) = handlings.iter().find(|(_, handler)| handler.role.is_some()) else {
            continue;
        };
        let role = handler.role.as_deref().expect("found by it");
        let plays = |started: &&Started<'_>| started.kind.roles.iter().any(|played| played == role);
        let lacks = |started: &&Started<'_>| !handlings.iter().any(|(has, _)| std::ptr::eq(*has, *started));
        for started in view.started.iter().filter(plays).filter(lacks) {
            let command = &handler.command.name;
            let message =
                format!("{} plays role `{role}` and lacks its handler of `{command}`", started.label());
            let fault = Fault::new(Code::RoleIncomplete, message)
                .at(started.kind.site.clone(), "has no such handler")
                .at(handler.site.clone(), format!("{} in {}", described(handler), owner.label()));
            faults.push(fault.hint("build both programs from the same version of the role"));
        }
    }
}

/// Two different commands never share a name.
pub(super) fn names_twice(view: &View<'_>, faults: &mut Vec<Fault>) {
    let of_kinds = view.kind_handlers().map(|(_, handler)| &handler.command);
    let of_scope = view.scope_handlers().map(|(_, handler)| &handler.command);
    let mut names: BTreeMap<&str, BTreeMap<&str, &CommandSpec>> = BTreeMap::new();
    for command in of_kinds.chain(of_scope) {
        names.entry(&command.name).or_default().insert(&command.path, command);
    }
    for (name, commands) in names.into_iter().filter(|(_, commands)| commands.len() > 1) {
        let message = format!("{} different commands are called `{name}`", commands.len());
        let fault = commands.values().fold(Fault::new(Code::NameTwice, message), |fault, command| {
            fault.at(command.site.clone(), format!("`{}`", command.path))
        });
        faults.push(fault.hint("give one another name: `#[command(name = \"…\")]`"));
    }
}

/// Programs that both know a command agree on it.
pub(super) fn disagreements(view: &View<'_>, faults: &mut Vec<Fault>) {
    let mut known: BTreeMap<&str, Vec<(String, &CommandSpec)>> = BTreeMap::new();
    for (program, handler) in view.registry.handlers() {
        let versions = known.entry(&handler.command.path).or_default();
        if versions.iter().all(|(_, other)| difference(other, &handler.command).is_some()) {
            versions.push((program_name(program.program.as_deref()), &handler.command));
        }
    }
    for versions in known.into_values() {
        let (first, others) = versions.split_first().expect("a path was entered with its first version");
        for other in others {
            faults.push(disagreement(first, other));
        }
    }
}

fn disagreement(one: &(String, &CommandSpec), other: &(String, &CommandSpec)) -> Fault {
    let what = difference(one.1, other.1).unwrap_or_default();
    let message = format!("two versions of `{}` meet: {what}", one.1.path);
    Fault::new(Code::Disagreement, message)
        .at(one.1.site.clone(), format!("one, in {}", one.0))
        .at(other.1.site.clone(), format!("the other, in {}", other.0))
        .hint("build both programs from the same version of the crate that defines it")
}

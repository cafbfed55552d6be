//! Kinds: is each known, once, with something to do, and does its table fit?

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{Code, Fault, ManagerPlan, check, nearest, quoted_list};
use crate::registry::description::{HandlerDescription, KindDescription};
use crate::registry::table::ProgramManifest;
use crate::registry::view::{Started, View, program_name};

/// Every manager's kind is in the program that plays it.
pub(super) fn unknown(view: &View<'_>, faults: &mut Vec<Fault>) {
    for (index, manager) in view.plan.managers.iter().enumerate() {
        if manager.kind.is_empty() || view.started_as(index).is_some() {
            continue;
        }
        let Some(program) = view.program_of(manager) else { continue };
        let name = program_name(program.program.as_deref());
        let message = format!("there is no kind `{}` in {name}", manager.kind);
        let what = format!("the kind of `{}`", manager.name_in_config());
        let fault = Fault::new(Code::UnknownKind, message).at(manager.kind_site.clone(), what);
        faults.push(fault.hint(where_it_may_be(view, manager, program)));
    }
}

fn where_it_may_be(view: &View<'_>, manager: &ManagerPlan, program: &ProgramManifest) -> String {
    let kinds = &program.manifest.kinds;
    if let Some(near) = nearest(&manager.kind, kinds.iter().map(|kind| kind.kind.as_str())) {
        return format!("did you mean `{near}`?");
    }
    let elsewhere = view.registry.kinds().find(|(_, kind)| kind.kind == manager.kind);
    if let Some((other, _)) = elsewhere {
        return match &other.program {
            Some(path) => format!("that program has it: add `program = {:?}`", path.display().to_string()),
            None => "this program has it: let it play the manager, without `program`".to_owned(),
        };
    }
    let linked = quoted_list(kinds.iter().map(|kind| &kind.kind).collect::<BTreeSet<_>>());
    let linked = match kinds.iter().all(is_builtin) {
        true if kinds.is_empty() => "no kinds at all are linked into it".to_owned(),
        true => format!("only labrig's own kinds are linked into it: {linked}"),
        false => format!("linked into it: {linked}"),
    };
    format!(
        "{linked}\nif a crate registers `{}`, add `use that_crate as _;` to the program's main.rs: the linker \
         drops a crate that nobody names",
        manager.kind
    )
}

fn is_builtin(kind: &KindDescription) -> bool {
    kind.path.starts_with("labrig::")
}

/// No two types of one program register one kind.
pub(super) fn registered_twice(view: &View<'_>, faults: &mut Vec<Fault>) {
    for started in &view.started {
        let program = view.registry.programs().iter().find(|it| it.program.as_deref() == started.program);
        let kinds = program.into_iter().flat_map(|program| &program.manifest.kinds);
        let rivals: Vec<_> = kinds.filter(|kind| kind.kind == started.kind.kind).collect();
        if rivals.len() > 1 {
            let message = format!("kind `{}` is registered {} times", started.kind.kind, rivals.len());
            let fault = Fault::new(Code::KindTwice, message);
            let fault = rivals
                .iter()
                .fold(fault, |fault, kind| fault.at(kind.site.clone(), format!("by `{}`", kind.path)));
            faults.push(fault.hint("give one another name: `#[manager(kind = \"…\")]`"));
        }
    }
}

/// Every kind that is started has something to do.
pub(super) fn empty(view: &View<'_>, faults: &mut Vec<Fault>) {
    for started in &view.started {
        let kind = started.kind;
        let is_asked = !kind.handlers.is_empty() || kind.settings.is_some();
        if !is_asked && kind.inputs.is_empty() && kind.timers.is_empty() {
            let message = format!("{} has no handlers, no inputs and no timers", started.label());
            let fault =
                Fault::new(Code::EmptyHandlers, message).at(kind.site.clone(), format!("`{}`", kind.path));
            let fault = started_by(view, started, fault);
            faults.push(
                fault.hint("add a method with `#[ipc_command]`, or remove the manager from the config"),
            );
        }
    }
}

fn started_by(view: &View<'_>, started: &Started<'_>, fault: Fault) -> Fault {
    started.managers.iter().fold(fault, |fault, index| {
        let manager = &view.plan.managers[*index];
        fault.at(manager.kind_site.clone(), format!("started as `{}`", manager.name_in_config()))
    })
}

/// Within a kind, a command has one handler.
pub(super) fn handled_twice(view: &View<'_>, faults: &mut Vec<Fault>) {
    for started in &view.started {
        let mut by_command: BTreeMap<&str, Vec<&HandlerDescription>> = BTreeMap::new();
        for handler in &started.kind.handlers {
            by_command.entry(&handler.command.path).or_default().push(handler);
        }
        for handlers in by_command.into_values().filter(|handlers| handlers.len() > 1) {
            let (label, command) = (started.label(), &handlers[0].command.name);
            let message = format!("{label} handles `{command}` {} times", handlers.len());
            let fault = Fault::new(Code::HandledTwice, message);
            let fault = handlers
                .iter()
                .fold(fault, |fault, handler| fault.at(handler.site.clone(), described(handler)));
            faults.push(
                fault.hint(
                    "keep one; to override a role's handler, write the method in the `impl` of the role",
                ),
            );
        }
    }
}

/// A handler as a party of a fault.
pub(super) fn described(handler: &HandlerDescription) -> String {
    match &handler.role {
        Some(role) => format!("`{}`, of role `{role}`", handler.method),
        None => format!("`{}`", handler.method),
    }
}

/// Every manager's own table fits the `Config` of its kind.
pub(super) fn config_tables(view: &View<'_>, faults: &mut Vec<Fault>) {
    for started in &view.started {
        for manager in started.managers.iter().map(|index| &view.plan.managers[*index]) {
            let at = format!("managers.{}.config", manager.name_in_config());
            faults.extend(check(&manager.config, &started.kind.config, &at).faults);
        }
    }
}

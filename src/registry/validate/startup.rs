//! Start-up commands: known, direct, served by the manager that is to take them, and of the right shape.

use crate::config::{Code, Fault, ManagerPlan, Startup, check, quoted_list, suggestion};
use crate::registry::view::View;
use crate::wire::{CommandSpec, DeliveryKind};

/// Every start-up command can be applied.
pub(super) fn commands(view: &View<'_>, faults: &mut Vec<Fault>) {
    for (index, manager) in view.plan.managers.iter().enumerate() {
        for startup in &manager.startup {
            let target = startup.to.as_deref().map_or(Some(index), |to| view.plan.manager(to));
            // An unknown target, or one of an unknown kind, is a fault that has been reported.
            if let Some(target) = target.filter(|target| view.started_as(*target).is_some()) {
                one(view, startup, &view.plan.managers[target], target, faults);
            }
        }
    }
}

fn one(view: &View<'_>, startup: &Startup, target: &ManagerPlan, index: usize, faults: &mut Vec<Fault>) {
    let Some(command) = view.command(&startup.command) else {
        return faults.push(unknown(view, startup));
    };
    let here = |code, message: String| Fault::new(code, message).at(startup.site.clone(), "given here");
    let name = &command.name;
    if command.delivery != DeliveryKind::Direct {
        let message =
            format!("`{name}` is a {} command; at start-up, direct ones are applied", command.delivery);
        let fault = here(Code::StartupDelivery, message).at(command.site.clone(), "declared here");
        return faults.push(fault.hint("send it once the rig runs, or make the command direct"));
    }
    let serving = serving(view, command);
    if !serving.contains(&index) {
        let mut names: Vec<_> =
            serving.iter().map(|index| view.plan.managers[*index].name_in_config()).collect();
        names.dedup();
        let target_name = target.name_in_config();
        let message = format!("`{name}` is to be applied to `{target_name}`, which has no handler of it");
        let fault = here(Code::StartupNotServed, message).at(target.site.clone(), "of that manager");
        let hint = match names.as_slice() {
            [only] => format!("write `to = \"{only}\"`, which serves it"),
            _ => format!("write `to = \"…\"` with one that serves it: {}", quoted_list(names)),
        };
        return faults.push(fault.hint(hint));
    }
    faults.extend(check(&startup.args, &command.schema, name).faults);
}

fn serving(view: &View<'_>, command: &CommandSpec) -> Vec<usize> {
    let handling = view.kind_handlers().filter(|(_, handler)| handler.command.path == command.path);
    let mut managers: Vec<_> = handling.flat_map(|(started, _)| started.managers.iter().copied()).collect();
    managers.sort_unstable();
    managers.dedup();
    managers
}

fn unknown(view: &View<'_>, startup: &Startup) -> Fault {
    let name = &startup.command;
    let handlers = view.registry.kinds().flat_map(|(_, kind)| kind.handlers.iter().map(move |it| (kind, it)));
    let mut kinds: Vec<_> =
        handlers.filter(|(_, it)| it.command.name == *name).map(|(kind, _)| &kind.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    if kinds.is_empty() {
        let direct = |handler: &CommandSpec| handler.delivery == DeliveryKind::Direct;
        let commands = view.kind_handlers().map(|(_, handler)| &handler.command).filter(|it| direct(it));
        let message = format!("no program of this rig knows a command `{name}`");
        let mut fault = Fault::new(Code::StartupUnknown, message).at(startup.site.clone(), "given here");
        fault.hint = suggestion(name, commands.map(|command| command.name.as_str()));
        return fault;
    }
    let message = format!("command `{name}` has no handler in the kinds this rig starts");
    let fault = Fault::new(Code::StartupUnreachable, message).at(startup.site.clone(), "given here");
    fault.hint(format!("start a manager of a kind that handles it: {}", quoted_list(kinds)))
}

//! Broadcasts: does everyone listen who must?

use std::collections::BTreeMap;

use crate::config::{Code, Fault};
use crate::registry::view::View;
use crate::wire::{Audience, CommandSpec, DeliveryKind};

/// The broadcasts that started kinds handle.
fn broadcasts<'a>(view: &View<'a>) -> impl Iterator<Item = &'a CommandSpec> {
    let commands = view.kind_handlers().map(|(_, handler)| &handler.command);
    let broadcasts = commands.filter(|command| command.delivery == DeliveryKind::Broadcast);
    broadcasts.map(|command| (&command.path, command)).collect::<BTreeMap<_, _>>().into_values()
}

/// Whether the manager at that place belongs to the audience. labrig's own kinds owe nothing to anybody.
fn belongs(view: &View<'_>, manager: usize, audience: &Audience) -> bool {
    let is_builtin = view.started_as(manager).is_none_or(|started| started.is_builtin());
    !is_builtin
        && match audience {
            Audience::Listeners => false,
            Audience::All => true,
            Audience::Group(group) => view.plan.managers[manager].groups.contains(group),
        }
}

/// Every manager of the audience has a handler.
pub(super) fn missing(view: &View<'_>, faults: &mut Vec<Fault>) {
    for command in broadcasts(view) {
        let handles = |manager: &usize| {
            let mut handlers =
                view.started_as(*manager).into_iter().flat_map(|started| &started.kind.handlers);
            handlers.any(|handler| handler.command.path == command.path)
        };
        let members = (0..view.plan.managers.len()).filter(|it| belongs(view, *it, &command.audience));
        let lacking: Vec<_> = members.filter(|manager| !handles(manager)).collect();
        if lacking.is_empty() {
            continue;
        }
        let whom = match &command.audience {
            Audience::Group(group) => format!("every manager of group `{group}`"),
            _ => "every manager".to_owned(),
        };
        let have = if lacking.len() == 1 { "one has" } else { "some have" };
        let message = format!("broadcast `{}` demands a handler in {whom}, and {have} none", command.name);
        let fault = Fault::new(Code::AudienceMissing, message);
        let fault = fault.at(command.site.clone(), "its audience is declared here");
        let fault = lacking.iter().fold(fault, |fault, index| {
            let manager = &view.plan.managers[*index];
            let what = format!("`{}`, of kind `{}`, has no handler of it", manager.name, manager.kind);
            fault.at(manager.site.clone(), what)
        });
        faults.push(
            fault.hint("add the handlers (a `#[role]` shares one among kinds), or change the audience"),
        );
    }
}

/// A group that a broadcast names has members.
pub(super) fn empty_groups(view: &View<'_>, faults: &mut Vec<Fault>) {
    for command in broadcasts(view) {
        let Audience::Group(group) = &command.audience else { continue };
        if !view.plan.managers.iter().any(|manager| manager.groups.contains(group)) {
            let message =
                format!("broadcast `{}` is for group `{group}`, to which no manager belongs", command.name);
            let fault = Fault::new(Code::AudienceEmpty, message)
                .at(command.site.clone(), "its audience is declared here")
                .at(view.plan.site.clone(), "no manager here has that group");
            faults.push(fault.hint(format!("add `groups = [\"{group}\"]` to the managers that are meant")));
        }
    }
}

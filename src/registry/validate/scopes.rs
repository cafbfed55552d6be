//! The scope: one handler for each of its commands, in the coordinator's program, on a value that exists.

use std::collections::BTreeMap;

use super::kinds::described;
use crate::config::{Code, Fault};
use crate::registry::description::HandlerDescription;
use crate::registry::view::View;
use crate::wire::DeliveryKind;

/// A scope command has one handler.
pub(super) fn handled_twice(view: &View<'_>, faults: &mut Vec<Fault>) {
    let mut commands: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for (scope, handler) in view.scope_handlers() {
        commands.entry(&handler.command.path).or_default().push((scope, handler));
    }
    for handlings in commands.into_values().filter(|handlings| handlings.len() > 1) {
        let message =
            format!("the scope handles `{}` {} times", handlings[0].1.command.name, handlings.len());
        let fault =
            handlings.iter().fold(Fault::new(Code::ScopeTwice, message), |fault, (scope, handler)| {
                fault.at(handler.site.clone(), format!("{} of `{}`", described(handler), scope.path))
            });
        faults.push(fault.hint("keep one: a scope command has one handler in all"));
    }
}

/// Handlers stand where their commands arrive: those of scope commands in the scope, all others in managers.
pub(super) fn misplaced(view: &View<'_>, faults: &mut Vec<Fault>) {
    let mut in_managers: BTreeMap<&str, Vec<&HandlerDescription>> = BTreeMap::new();
    for (_, handler) in view.kind_handlers().filter(|(_, it)| it.command.delivery == DeliveryKind::Scope) {
        in_managers.entry(&handler.command.path).or_default().push(handler);
    }
    for (path, handlers) in in_managers {
        let is_handled = view.scope_handlers().any(|(_, handler)| handler.command.path == path);
        faults.push(in_manager(&handlers, is_handled));
    }
    for (scope, handler) in view.scope_handlers().filter(|(_, it)| it.command.delivery != DeliveryKind::Scope)
    {
        let (name, delivery) = (&handler.command.name, handler.command.delivery);
        let message = format!("`{name}` is a {delivery} command and never arrives in the scope");
        let fault = Fault::new(Code::Misplaced, message)
            .at(handler.site.clone(), format!("{} of `{}`", described(handler), scope.path))
            .at(handler.command.site.clone(), format!("`{name}` is declared {delivery}"));
        faults.push(
            fault.hint(
                "move the handler to a `#[manager]` block, or write `#[command(scope)]` on the command",
            ),
        );
    }
}

fn in_manager(handlers: &[&HandlerDescription], is_handled: bool) -> Fault {
    let command = &handlers[0].command;
    let name = &command.name;
    let (code, message) = if is_handled {
        (Code::Misplaced, format!("`{name}` is a scope command and never arrives in a manager"))
    } else {
        (Code::ScopeMissing, format!("scope command `{name}` has no handler in the scope, only in a manager"))
    };
    let fault = handlers.iter().fold(Fault::new(code, message), |fault, handler| {
        fault.at(handler.site.clone(), format!("{}, where it never arrives", described(handler)))
    });
    fault
        .at(command.site.clone(), format!("`{name}` is declared a scope command"))
        .hint("move the handler to a `#[scope]` block, or remove `scope` from the command")
}

/// Every scope's value can be built, or is given.
pub(super) fn not_built(view: &View<'_>, given: &[String], faults: &mut Vec<Fault>) {
    for scope in view.scopes.iter().filter(|scope| !scope.has_default && !given.contains(&scope.path)) {
        let name = crate::wire::schema::short_path(&scope.path);
        let message = format!("nobody builds the scope `{name}`: it is not `Default`, and no value is given");
        let fault =
            Fault::new(Code::ScopeNotBuilt, message).at(scope.site.clone(), format!("`{}`", scope.path));
        let hint =
            format!("write `labrig::app().scope(|context| Ok({name} {{ … }})).main()`, or derive `Default`");
        faults.push(fault.hint(hint));
    }
}

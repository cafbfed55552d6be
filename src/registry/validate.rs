//! The proof: every rule of the registry, each with a code of its own.
//!
//! A rule is a function from a view of registry and plan to faults. None depends on another, all are
//! always run, and what one reports the others pass over, so that one mistake gives one fault.

mod audience;
mod commands;
mod difference;
mod inputs;
mod kinds;
mod scopes;
mod settings;
mod shares;
mod signals;
mod startup;

use super::view::View;
use crate::config::Fault;

const RULES: &[fn(&View<'_>, &mut Vec<Fault>)] = &[
    kinds::unknown,
    kinds::registered_twice,
    kinds::empty,
    kinds::handled_twice,
    kinds::config_tables,
    commands::rivals,
    commands::incomplete_roles,
    commands::names_twice,
    commands::disagreements,
    audience::missing,
    audience::empty_groups,
    scopes::handled_twice,
    scopes::misplaced,
    inputs::unread,
    inputs::bindings,
    inputs::readers,
    inputs::slots,
    signals::names_twice,
    signals::unfit,
    shares::names_twice,
    shares::unfit,
    settings::defaults,
    startup::commands,
];

pub(super) fn validate(view: &View<'_>, given: &[String]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for rule in RULES {
        rule(view, &mut faults);
    }
    scopes::not_built(view, given, &mut faults);
    faults
}

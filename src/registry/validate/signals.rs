//! Signals: is each name of a kind's there once?

use std::collections::BTreeMap;

use crate::config::{Code, Fault};
use crate::registry::description::SignalSetDescription;
use crate::registry::view::View;

/// Within a kind, all sets together, no two signals have one name: readers ask for them by it.
pub(super) fn names_twice(view: &View<'_>, faults: &mut Vec<Fault>) {
    for started in &view.started {
        let mut by_name: BTreeMap<&str, Vec<&SignalSetDescription>> = BTreeMap::new();
        for set in &started.kind.signals {
            for placed in set.schema.signals() {
                by_name.entry(&placed.field.name).or_default().push(set);
            }
        }
        for (name, sets) in by_name.into_iter().filter(|(_, sets)| sets.len() > 1) {
            let message = format!("{} publishes `{name}` {} times", started.label(), sets.len());
            let fault = sets.iter().fold(Fault::new(Code::SignalTwice, message), |fault, set| {
                fault.at(set.site.clone(), format!("in `{}`", set.schema.root.describe()))
            });
            faults
                .push(fault.hint("give one of them another name: signals are asked for as `manager.signal`"));
        }
    }
}

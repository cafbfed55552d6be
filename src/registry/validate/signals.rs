//! Signals: can each set be published, and is each name of a kind's there once?

use std::collections::BTreeMap;

use crate::config::{Code, Fault};
use crate::registry::description::SignalSetDescription;
use crate::registry::view::View;
use crate::wire::MAX_SIGNAL_VALUES;

/// Every set has a size, and one that a page holds. What this program links has one by its types, unless it is large.
pub(super) fn unfit(view: &View<'_>, faults: &mut Vec<Fault>) {
    for started in &view.started {
        let unfit = started.kind.signals.iter().filter(|set| set.schema.signals().is_empty());
        for set in unfit {
            let (label, name) = (started.label(), set.schema.root.describe());
            let most = MAX_SIGNAL_VALUES;
            let message =
                format!("{label} publishes `{name}`, which has no fixed size of at most {most} values");
            let fault = Fault::new(Code::SignalsUnfit, message).at(set.site.clone(), format!("`{name}`"));
            faults
                .push(fault.hint("signals are for a few values; write a stream or a command for the others"));
        }
    }
}

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

//! Shared objects: does each have a size, and a name of its own?

use crate::config::{Code, Fault};
use crate::registry::description::SharedDescription;
use crate::registry::view::View;
use crate::shm::region_words;

/// Each is of types that it can be made of, and no larger than what may be shared.
pub(super) fn unfit(view: &View<'_>, faults: &mut Vec<Fault>) {
    for started in &view.started {
        for SharedDescription { spec, site } in &started.kind.shares {
            let is_too_large = || {
                let has_room = spec.layout().is_some_and(|layout| region_words(&layout) != usize::MAX);
                (!has_room).then(|| {
                    format!("{} of `{}` take more than 1 GiB", spec.capacity, spec.item.root.describe())
                })
            };
            let Some(why) = spec.flaw().or_else(is_too_large) else { continue };
            let (label, kind) = (started.label(), spec.kind.name());
            let message = format!("{label} cannot share `{}` as a `{kind}`: {why}", spec.name);
            let fault = Fault::new(Code::SharedUnfit, message).at(site.clone(), format!("`{}`", spec.name));
            let hint = "rows, records and counters are structs of plain values that derive `Signals`, and few enough";
            faults.push(fault.hint(hint));
        }
    }
}

/// Readers ask for them by name.
pub(super) fn names_twice(view: &View<'_>, faults: &mut Vec<Fault>) {
    for started in &view.started {
        let shares = &started.kind.shares;
        for (index, first) in shares.iter().enumerate() {
            let is_same = |other: &&SharedDescription| other.spec.name == first.spec.name;
            if shares[..index].iter().any(|other| is_same(&other)) {
                continue;
            }
            let same: Vec<_> = shares.iter().filter(is_same).collect();
            if same.len() > 1 {
                let message =
                    format!("{} shares `{}` {} times", started.label(), first.spec.name, same.len());
                let fault = same.iter().fold(Fault::new(Code::SharedTwice, message), |fault, it| {
                    fault.at(it.site.clone(), format!("as a `{}`", it.spec.kind.name()))
                });
                faults.push(fault.hint("give one of them another name: it is read as `manager.name`"));
            }
        }
    }
}

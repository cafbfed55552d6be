//! Who fills which stream and who reads it, as far as a config says so.

use super::code::Code;
use super::fault::Fault;
use super::plan::{ManagerPlan, RigPlan, StreamPlan};
use super::pools;
use super::references::{names, unknown_manager};
use super::resolve::tree_of;
use super::suggest::{quoted_list, suggestion};
use super::tree::Tree;
use crate::wire::{ManagerName, Site};

/// Reports streams that nobody fills, inputs bound to nothing, and rings that are too small.
pub(super) fn check(tree: &Tree, plan: &RigPlan, faults: &mut Vec<Fault>) {
    for manager in &plan.managers {
        bound_to_nothing(tree, manager, faults);
    }
    for stream in &plan.streams {
        parties_exist(tree, stream, faults);
        faults.extend(reads_itself(plan, stream));
        let reads = |manager: &&ManagerPlan| {
            let listed = stream.readers.iter().any(|reader| reader.manager == manager.name);
            listed || bound(manager, stream).next().is_some()
        };
        let readers = plan.managers.iter().filter(reads);
        faults.extend(too_few_slots(stream, readers.map(|it| pools::instances(tree_of(tree, it))).sum()));
    }
}

/// Where the config binds inputs of the manager to the stream.
fn bound(manager: &ManagerPlan, stream: &StreamPlan) -> impl Iterator<Item = (Site, String)> {
    let inputs = manager.inputs.iter().filter(|input| input.stream == stream.name);
    inputs.map(|input| (input.site.clone(), format!("input `{}`", input.input)))
}

fn bound_to_nothing(tree: &Tree, manager: &ManagerPlan, faults: &mut Vec<Fault>) {
    let known = names(tree, "streams");
    // An empty name leaves the input unread, or stands for a value that was no text, which is reported.
    let lost = |stream: &str| !stream.is_empty() && !known.contains(&stream);
    for input in manager.inputs.iter().filter(|input| lost(&input.stream)) {
        let role = format!("input `{}` of `{}` is bound to it", input.input, manager.name);
        let message = format!("no stream is called `{}`", input.stream);
        let mut fault = Fault::new(Code::UnknownStream, message).at(input.site.clone(), role);
        let add = || Some(format!("add `[streams.{}]` with its producer", input.stream));
        fault.hint = suggestion(&input.stream, known.iter().copied()).or_else(add);
        faults.push(fault);
    }
}

fn parties_exist(tree: &Tree, stream: &StreamPlan, faults: &mut Vec<Fault>) {
    let table = tree.get("streams").and_then(|streams| streams.get(&stream.name));
    match table.and_then(|table| table.get("producer")) {
        None => faults.push(no_producer(tree, stream)),
        Some(producer) => {
            let role = format!("it is to fill stream `{}`", stream.name);
            let name = producer.text();
            faults.extend(name.and_then(|name| unknown_manager(tree, name, producer.site(), &role)));
        }
    }
    let readers = table.and_then(|table| table.get("readers")?.entries()).into_iter().flatten();
    for (name, reader) in readers {
        let role = format!("it is to read stream `{}`", stream.name);
        faults.extend(unknown_manager(tree, name, reader.site(), &role));
    }
}

fn no_producer(tree: &Tree, stream: &StreamPlan) -> Fault {
    let message = format!("stream `{}` has no producer", stream.name);
    let managers = quoted_list(names(tree, "managers"));
    let fault = Fault::new(Code::NoProducer, message).at(stream.site.clone(), "its table begins here");
    fault.hint(format!("add `producer = \"…\"`, the manager that fills it: one of {managers}"))
}

fn reads_itself(plan: &RigPlan, stream: &StreamPlan) -> Option<Fault> {
    let producer = &plan.managers[plan.manager(stream.producer.as_ref()?.as_str())?];
    let listed = stream.readers.iter().filter(|reader| reader.manager == producer.name);
    let listed = listed.map(|reader| (reader.site.clone(), "listed as a reader".to_owned()));
    let parties: Vec<_> = bound(producer, stream).chain(listed).collect();
    (!parties.is_empty()).then(|| own_stream(stream, &producer.name, parties))
}

/// The fault of a manager that reads the stream it fills. The registry finds those that no config mentions.
pub(crate) fn own_stream(stream: &StreamPlan, manager: &ManagerName, parties: Vec<(Site, String)>) -> Fault {
    let message = format!("`{manager}` would read `{}`, the stream it fills", stream.name);
    let fault = Fault::new(Code::ReadsItself, message);
    let fault = parties.into_iter().fold(fault, |fault, (site, what)| fault.at(site, what));
    let fault = fault.at(stream.site.clone(), format!("filled by `{manager}`"));
    fault.hint("let another manager read it: who waits for itself waits for ever")
}

/// The fault of a ring in which that many readers would starve the producer, if it is one.
pub(crate) fn too_few_slots(stream: &StreamPlan, readers: usize) -> Option<Fault> {
    let (slots, needed) = (stream.slots, StreamPlan::slots_needed(readers));
    if slots >= needed {
        return None;
    }
    let who = if readers == 1 { "1 reader".to_owned() } else { format!("{readers} readers") };
    let message = format!("stream `{}` has {slots} slots, too few for {who}", stream.name);
    let fault = Fault::new(Code::TooFewSlots, message).at(stream.slots_site.clone(), "its slots");
    let why = "2 for the producer, 1 for each reader, 1 for the coordinator";
    Some(fault.hint(format!("write `slots = {needed}` or more: {why}")))
}

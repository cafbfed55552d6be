//! Inputs: is every one fed, and is everything that is bound or listed an input?

use crate::config::{Code, Fault, nearest, own_stream, quoted_list, suggestion, too_few_slots};
use crate::registry::view::{Feed, View};

/// Every input that the config binds is one that the kind reads.
pub(super) fn unread(view: &View<'_>, faults: &mut Vec<Fault>) {
    for started in &view.started {
        for manager in started.managers.iter().map(|index| &view.plan.managers[*index]) {
            let known = || started.kind.inputs.iter().map(|input| input.name.as_str());
            for bound in manager.inputs.iter().filter(|bound| !known().any(|name| name == bound.input)) {
                let message = format!("{} has no input `{}`", started.label(), bound.input);
                let fault = Fault::new(Code::InputUnread, message)
                    .at(bound.site.clone(), format!("bound for `{}`", manager.name_in_config()))
                    .at(started.kind.site.clone(), format!("`{}`", started.kind.path));
                let none =
                    || format!("remove it, or add a method with `#[on_frame(input = \"{}\")]`", bound.input);
                faults.push(fault.hint(suggestion(&bound.input, known()).unwrap_or_else(none)));
            }
        }
    }
}

/// Every input is fed by a stream, and none by the stream that its own manager fills.
pub(super) fn bindings(view: &View<'_>, faults: &mut Vec<Fault>) {
    for feed in view.feeds() {
        let manager = &view.plan.managers[feed.manager];
        let here = (feed.input.site.clone(), format!("input `{}`", feed.input.name));
        match feed.stream.map(|index| &view.plan.streams[index]) {
            // A stream that is not there is a fault of the config; a misspelt input is reported as unread.
            None if feed.bound.is_some() || is_misspelt(view, &feed) => {}
            None => faults.push(unbound(view, &feed)),
            // The config has reported what it says itself.
            Some(stream) if feed.bound.is_none() && stream.producer.as_ref() == Some(&manager.name) => {
                faults.push(own_stream(stream, &manager.name, vec![here]));
            }
            Some(_) => {}
        }
    }
}

/// Whether the config binds an input that is not there and was meant to be this one.
fn is_misspelt(view: &View<'_>, feed: &Feed<'_>) -> bool {
    let Some(started) = view.started_as(feed.manager) else { return false };
    let known = || started.kind.inputs.iter().map(|input| input.name.as_str());
    let bound = view.plan.managers[feed.manager].inputs.iter().map(|bound| bound.input.as_str());
    bound
        .filter(|name| !known().any(|it| it == *name))
        .any(|name| nearest(name, known()) == Some(&feed.input.name))
}

fn unbound(view: &View<'_>, feed: &Feed<'_>) -> Fault {
    let (manager, input) = (&view.plan.managers[feed.manager], &feed.input.name);
    let message = format!("input `{input}` of `{}` is bound to no stream", manager.name_in_config());
    let streams = view.plan.streams.iter().map(|stream| &stream.name);
    let hint = match view.plan.streams.len() {
        0 => format!("add `[streams.{input}]` with its producer"),
        _ => format!("add `inputs = {{ {input} = \"…\" }}`; the streams are {}", quoted_list(streams)),
    };
    Fault::new(Code::InputUnbound, message)
        .at(manager.site.clone(), "binds nothing to it")
        .at(feed.input.site.clone(), format!("`{}` reads it", feed.input.method))
        .hint(hint)
}

/// Every reader that a stream lists has an input bound to it.
pub(super) fn readers(view: &View<'_>, faults: &mut Vec<Fault>) {
    for stream in &view.plan.streams {
        for reader in &stream.readers {
            let Some(index) = view.plan.manager(reader.manager.as_str()) else { continue };
            let Some(started) = view.started_as(index) else { continue };
            let manager = &view.plan.managers[index];
            let is_bound = manager.inputs.iter().any(|input| input.stream == stream.name)
                || view
                    .feeds()
                    .into_iter()
                    .any(|it| it.manager == index && is_fed_by(view, &it, &stream.name));
            let lacks_one = view.feeds().iter().any(|it| it.manager == index && it.stream.is_none());
            // A reader with an input that is fed by nothing has been reported for that.
            if is_bound || lacks_one || stream.producer.as_ref() == Some(&reader.manager) {
                continue;
            }
            let message = format!(
                "`{}` is listed as a reader of `{}` and has no input bound to it",
                manager.name, stream.name
            );
            let inputs: Vec<_> = started.kind.inputs.iter().map(|input| &input.name).collect();
            let hint = match inputs.first() {
                Some(input) => format!(
                    "add `inputs = {{ {input} = \"{}\" }}` to `{}`, or remove it here",
                    stream.name, manager.name
                ),
                None => format!("remove it here: {} has no inputs at all", started.label()),
            };
            let fault = Fault::new(Code::ReaderWithoutInput, message).at(reader.site.clone(), "listed here");
            faults.push(fault.at(manager.site.clone(), "binds no input to the stream").hint(hint));
        }
    }
}

fn is_fed_by(view: &View<'_>, feed: &Feed<'_>, stream: &str) -> bool {
    feed.stream.is_some_and(|index| view.plan.streams[index].name == stream)
}

/// Every ring has room for its readers, those included that no config mentions.
pub(super) fn slots(view: &View<'_>, faults: &mut Vec<Fault>) {
    for (index, stream) in view.plan.streams.iter().enumerate() {
        let said = |manager: &usize| {
            let manager = &view.plan.managers[*manager];
            let is_listed = stream.readers.iter().any(|reader| reader.manager == manager.name);
            is_listed || manager.inputs.iter().any(|input| input.stream == stream.name)
        };
        let managers = 0..view.plan.managers.len();
        let by_config = managers.clone().filter(said).count();
        let fed: Vec<_> =
            view.feeds().into_iter().filter(|it| it.stream == Some(index)).map(|it| it.manager).collect();
        let all = managers.filter(|manager| said(manager) || fed.contains(manager)).count();
        // The config has counted those that it mentions.
        if too_few_slots(stream, by_config).is_none() {
            faults.extend(too_few_slots(stream, all));
        }
    }
}

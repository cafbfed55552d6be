//! What no process can be given: the system ends texts at NUL and splits variables at `=`.

use super::code::Code;
use super::fault::Fault;
use super::resolve::texts;
use super::tree::{Content, Tree};
use crate::wire::Site;

/// The keys of a manager's table whose texts reach its process through the system.
const GIVEN: &[&str] =
    &["program", "args", "env", "env_remove", "library_path", "working_dir", "safe_program"];

/// Reports what a manager's process cannot be given.
pub(super) fn check(manager: &Tree, faults: &mut Vec<Fault>) {
    for given in GIVEN.iter().filter_map(|key| manager.get(key)) {
        refuse_nul(given, faults);
    }
    let set = manager.get("env").and_then(Tree::entries).into_iter().flatten();
    let set = set.map(|(name, value)| (name.clone(), value.site()));
    for (name, site) in set.chain(texts(manager, "env_remove")) {
        if name.is_empty() || name.contains(['=', '\0']) {
            let message = format!("{name:?} cannot be the name of a variable");
            faults.push(unfit(message, site, "a name is not empty and has neither `=` nor NUL"));
        }
    }
    for (folder, site) in texts(manager, "library_path").filter(|(folder, _)| folder.contains(':')) {
        let message = format!("{folder:?} cannot be searched for libraries");
        faults.push(unfit(message, site, "make each folder an item of the list; none may contain `:`"));
    }
}

fn refuse_nul(tree: &Tree, faults: &mut Vec<Fault>) {
    match &tree.content {
        Content::Text(text) if text.contains('\0') => {
            faults.push(unfit(format!("{text:?} contains NUL"), tree.site(), "remove it: texts end there"));
        }
        Content::List(items) => items.iter().for_each(|item| refuse_nul(item, faults)),
        Content::Table(entries) => entries.values().for_each(|entry| refuse_nul(entry, faults)),
        _ => {}
    }
}

fn unfit(message: String, site: Site, hint: &str) -> Fault {
    Fault::new(Code::BadEnvironment, message).at(site, "given here").hint(hint)
}

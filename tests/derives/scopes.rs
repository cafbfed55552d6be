//! What `#[scope]` registers, with and without a default value.

use std::any::TypeId;

use labrig::prelude::*;
use labrig::registry::{Incoming, ScopeHandles, ScopeRegistration};
use labrig::wire::CodecId;

use super::{call, context};

#[derive(Command, Serialize, Deserialize, Schema)]
#[command(scope, reply = usize)]
struct SaveNote {
    text: String,
}

#[derive(Default)]
struct Notebook {
    notes: Vec<String>,
}

#[scope]
impl Notebook {
    #[ipc_command]
    fn save_note(&mut self, command: SaveNote, _context: &mut Context) -> Result<usize, String> {
        self.notes.push(command.text);
        Ok(self.notes.len())
    }
}

struct Archive {
    saved: usize,
}

#[scope]
impl Archive {
    #[ipc_command]
    fn save_note(&mut self, _: SaveNote) -> usize {
        self.saved
    }
}

fn registration<S: 'static>() -> &'static ScopeRegistration {
    let found = ScopeRegistration::all().find(|scope| (scope.type_id)() == TypeId::of::<S>());
    found.expect("the scope is registered")
}

#[test]
fn a_scope_handles_its_commands() {
    let mut notebook = Notebook::default();
    let note = SaveNote { text: "a bead".to_owned() };
    assert_eq!(call(&Notebook::table().handlers, &mut notebook, &note), Ok(1));
    assert_eq!(notebook.notes, ["a bead"]);
}

#[test]
fn a_scope_with_a_default_is_built_from_it() {
    let description = (registration::<Notebook>().describe)();
    assert!(description.has_default);
    assert_eq!(description.path, "derives::scopes::Notebook");
    assert!((registration::<Notebook>().build)().is_some());
}

#[test]
fn a_scope_without_a_default_must_be_given() {
    let registration = registration::<Archive>();
    assert!(!(registration.describe)().has_default);
    assert!((registration.build)().is_none());
    assert!((registration.adopt)(Box::new(1_u8)).is_none());
    let mut archive = (registration.adopt)(Box::new(Archive { saved: 4 })).expect("it is an archive");
    let incoming =
        Incoming { payload: b"{\"text\":\"\"}", attached: None, codec: CodecId::Json, wants_reply: true };
    assert_eq!(archive.handle(0, incoming, &mut context()), Ok(b"4".to_vec().into()));
}

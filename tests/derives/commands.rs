//! What `#[derive(Command)]` tells about names, delivery, replies and queues.

use labrig::__private::CommandOptions;
use labrig::prelude::*;
use labrig::wire::{Audience, CommandSpec, DeliveryKind, Node, Overflow};

#[derive(Serialize, Deserialize, Schema)]
struct Settled {
    height_um: f64,
}

/// Moves the objective.
#[derive(Command, Serialize, Deserialize, Schema)]
#[command(reply = Settled)]
struct MoveTo {
    height_um: f64,
}

#[derive(Command, Serialize, Deserialize, Schema)]
struct Home;

#[derive(Command, Serialize, Deserialize, Schema)]
#[command(broadcast)]
struct Announce;

#[derive(Command, Serialize, Deserialize, Schema)]
#[command(broadcast, audience = "all", name = "Everyone")]
struct AnnounceToAll;

#[derive(Command, Serialize, Deserialize, Schema)]
#[command(broadcast)]
#[command(audience = "imaging")]
struct AnnounceToGroup;

#[derive(Command, Serialize, Deserialize, Schema)]
#[command(scope, scriptable, reply = Result<Vec<u8>, (String, u8)>)]
struct SaveNote(String);

#[derive(Command, Serialize, Deserialize, Schema)]
#[command(direct, drop_oldest)]
enum Show {
    Nothing,
    Text { text: String },
}

#[derive(Command, Serialize, Deserialize, Schema)]
#[command(keep_latest, reply = ())]
struct Follow(u32, u32);

fn check_delivery(spec: &CommandSpec, delivery: DeliveryKind, audience: Audience, overflow: Overflow) {
    assert_eq!(
        (spec.delivery, &spec.audience, spec.overflow),
        (delivery, &audience, overflow),
        "{}",
        spec.name
    );
}

#[test]
fn a_command_is_direct_unless_it_says_otherwise() {
    use Audience::{All, Group, Listeners};
    use DeliveryKind::{Broadcast, Direct, Scope};
    use Overflow::{DropOldest, KeepLatest, Refuse};
    check_delivery(Home::spec(), Direct, Listeners, Refuse);
    check_delivery(Announce::spec(), Broadcast, Listeners, Refuse);
    check_delivery(AnnounceToAll::spec(), Broadcast, All, Refuse);
    check_delivery(AnnounceToGroup::spec(), Broadcast, Group("imaging".into()), Refuse);
    check_delivery(SaveNote::spec(), Scope, Listeners, Refuse);
    check_delivery(Show::spec(), Direct, Listeners, DropOldest);
    check_delivery(Follow::spec(), Direct, Listeners, KeepLatest);
}

#[test]
fn the_spec_says_what_the_command_is_called_and_where_it_stands() {
    let spec = MoveTo::spec();
    assert_eq!((spec.name.as_str(), spec.path.as_str()), ("MoveTo", "derives::commands::MoveTo"));
    assert_eq!(spec.doc, "Moves the objective.");
    assert_eq!((spec.site.file.as_str(), spec.site.line), ("tests/derives/commands.rs", 15));
    assert_eq!(AnnounceToAll::spec().name, "Everyone");
    assert_eq!(AnnounceToAll::spec().path, "derives::commands::AnnounceToAll");
}

#[test]
fn the_reply_is_nothing_unless_it_is_declared() {
    assert_eq!(Home::spec().reply.root, Node::Unit);
    assert_eq!(MoveTo::spec().reply.fields()[0].name, "height_um");
    assert_eq!(SaveNote::spec().reply.definitions.len(), 1);
}

#[test]
fn only_commands_for_scripts_say_so() {
    assert!(SaveNote::spec().script);
    assert!(!MoveTo::spec().script);
}

#[derive(Command, Serialize, Deserialize, Schema)]
#[command(deadline_ms = 500)]
struct Focus;

#[derive(Command, Serialize, Deserialize, Schema)]
#[command(broadcast, idempotent, deadline_ms = 1)]
struct Dim;

#[derive(Command, Serialize, Deserialize, Schema)]
#[command(scope, deadline_ms = 18_446_744_073_709_551_615)]
#[command(idempotent)]
struct Archive;

fn check_calls(spec: &CommandSpec, deadline_ms: Option<u64>, idempotent: bool) {
    assert_eq!((spec.deadline_ms, spec.idempotent), (deadline_ms, idempotent), "{}", spec.name);
}

#[test]
fn a_command_says_how_long_it_may_take_and_whether_it_may_run_twice() {
    check_calls(Home::spec(), None, false);
    check_calls(Focus::spec(), Some(500), false);
    check_calls(Dim::spec(), Some(1), true);
    check_calls(Archive::spec(), Some(u64::MAX), true);
}

#[derive(Command, Serialize, Deserialize, Schema)]
#[command(journaled, hazardous)]
struct GiveDose;

#[test]
fn only_commands_of_which_a_journal_is_kept_say_so() {
    assert!(GiveDose::spec().journaled);
    assert!(!Focus::spec().journaled);
}

#[test]
fn deadline_idempotence_and_journal_are_no_part_of_the_fingerprint() {
    let options = CommandOptions {
        name: "Focus",
        path: "derives::commands::Focus",
        doc: "",
        audience: "",
        overflow: Overflow::Refuse,
        script: false,
        file: "tests/derives/commands.rs",
        line: 1,
        deadline_ms: None,
        idempotent: true,
        hazardous: false,
        journaled: true,
    };
    assert_eq!(CommandSpec::of::<Focus>(options).id, Focus::spec().id);
}

#[test]
fn the_spec_is_made_once() {
    assert!(std::ptr::eq(MoveTo::spec(), MoveTo::spec()));
    assert_ne!(MoveTo::spec().id, Home::spec().id);
}

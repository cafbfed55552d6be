//! What a proved registry answers: routes, targets, handlers, readers, start-up mail; as values, text and JSON.

mod golden;
mod parts;

use std::path::PathBuf;

use golden::check_golden;
use labrig::config::{ReadMode, Topology};
use labrig::prelude::*;
use labrig::registry::{CommandRegistry, RouteTable, StreamReader};
use labrig::wire::schema::Node;
use labrig::wire::{CommandSpec, DeliveryKind};
use parts::{command, direct, here, kind, looking, playing, program, scope, with_fields};
use serde_json::json;

const RIG: &str = r#"
schema = 1
[managers.camera]
kind = "camera"
program = "/opt/cameras"
startup = [{ command = "MoveTo", args = { height_um = 3 }, to = "stage_y" }]
[managers.stage_x]
kind = "stage"
[managers.stage_y]
kind = "stage"
startup = [{ command = "Home" }]
[managers.tracker]
kind = "tracker"
inputs = { left = "video" }
[streams.film]
producer = "stage_x"
[streams.video]
producer = "camera"
readers = { tracker = "lossless" }
"#;

fn registry() -> CommandRegistry {
    let mut move_to = with_fields(direct("MoveTo", 1), &[("height_um", Node::F64)]);
    (move_to.deadline_ms, move_to.idempotent) = (Some(500), true);
    let mut home = direct("Home", 4);
    (home.deadline_ms, home.journaled) = (Some(20_000), true);
    let mut acquire = command("SetAcquisition", DeliveryKind::Broadcast, 7);
    acquire.idempotent = true;
    let save = command("SaveNote", DeliveryKind::Scope, 9);
    let tracker = playing(kind("tracker", &[]), "rig::Acquires", &acquire, 20);
    let tracker = looking(looking(looking(tracker, "left"), "video"), "film");
    let camera = playing(kind("camera", &[]), "rig::Acquires", &acquire, 20);
    let unused = kind("laser", &[&direct("Fire", 3)]);
    let kinds = vec![kind("stage", &[&move_to, &home]), tracker, unused];
    CommandRegistry::new([program("cameras", vec![camera]), here(kinds, vec![scope("Lab", &[&save])])])
}

fn table() -> RouteTable {
    let resolution = Topology::from_toml(RIG).resolve();
    assert!(resolution.faults.is_empty(), "{:#?}", resolution.faults);
    registry().prove(&resolution.plan, &[]).expect("a rig without faults")
}

fn check_route(name: &str, delivery: DeliveryKind, managers: &[usize], scope: bool) {
    let table = table();
    let route = table.route_for(name).expect("a known command");
    assert_eq!((route.delivery, route.managers.as_slice(), route.scope), (delivery, managers, scope));
    let by_id = table.route_for(route.spec.id).expect("a known fingerprint");
    assert_eq!(by_id.spec.path, route.spec.path);
}

#[test]
fn a_command_leads_to_whoever_serves_it() {
    check_route("MoveTo", DeliveryKind::Direct, &[1, 2], false);
    check_route("SetAcquisition", DeliveryKind::Broadcast, &[0, 3], false);
    check_route("SaveNote", DeliveryKind::Scope, &[], true);
    assert!(table().route_for("Fire").is_none(), "its kind is linked and not started");
    assert!(table().route_for("Zoom").is_none());
}

#[test]
fn handlers_are_found_by_target_and_commands_by_handler() {
    let table = table();
    let methods = |manager: &str| {
        let handlers = table.handlers_for_target(manager).iter();
        handlers.map(|handler| handler.method.clone()).collect::<Vec<_>>()
    };
    assert_eq!(methods("stage_x"), ["move_to", "home"]);
    assert_eq!(methods("camera"), ["set_acquisition"]);
    assert!(methods("nobody").is_empty());
    let name =
        |owner: &str, method: &str| table.command_for_handler(owner, method).map(|spec| spec.name.clone());
    assert_eq!(name("stage", "move_to").as_deref(), Some("MoveTo"));
    assert_eq!(name("rig::Lab", "save_note").as_deref(), Some("SaveNote"));
    assert_eq!(name("laser", "fire"), None);
    assert_eq!(registry().command_for_handler("laser", "fire").map(|spec| spec.name.as_str()), Some("Fire"));
    let all: Vec<_> = registry().specs().iter().map(|spec| spec.name.clone()).collect();
    assert_eq!(all, ["Fire", "Home", "MoveTo", "SaveNote", "SetAcquisition"]);
}

/// The deadline of `Stop` in a rig whose first manager is of another program, which says `theirs`.
fn check_deadline(theirs: Option<u64>, ours: Option<u64>, expected: Option<u64>) {
    let stop = |deadline_ms| CommandSpec { deadline_ms, ..command("Stop", DeliveryKind::Broadcast, 4) };
    let abroad = program("cameras", vec![kind("camera", &[&stop(theirs)])]);
    let linked = here(vec![kind("stage", &[&stop(ours)])], Vec::new());
    let rig =
        "schema = 1\n[managers.a]\nkind = 'camera'\nprogram = '/opt/cameras'\n[managers.b]\nkind = 'stage'\n";
    let plan = Topology::from_toml(rig).resolve().plan;
    let table = CommandRegistry::new([abroad, linked]).prove(&plan, &[]).expect("no faults");
    let route = table.route_for("Stop").expect("a known command");
    assert_eq!((route.managers.as_slice(), route.spec.deadline_ms), ([0, 1].as_slice(), expected));
}

#[test]
fn programs_may_differ_in_a_deadline_and_the_coordinators_own_holds() {
    check_deadline(Some(700), Some(500), Some(500));
    check_deadline(Some(700), None, None);
    check_deadline(None, Some(500), Some(500));
}

#[test]
fn start_up_mail_and_readers_are_worked_out_once() {
    let table = table();
    let mail = |manager: usize| {
        let mail = table.startup_of(manager).iter();
        mail.map(|command| (command.name.clone(), command.json.clone())).collect::<Vec<_>>()
    };
    assert!(mail(0).is_empty(), "its start-up command is for another manager");
    assert_eq!(mail(2), [("MoveTo".to_owned(), json!({ "height_um": 3.0 })), ("Home".to_owned(), json!({}))]);
    let reader = |inputs: &[&str], mode| {
        let inputs = inputs.iter().map(|&input| input.to_owned()).collect();
        StreamReader { manager: 3, inputs, mode }
    };
    assert_eq!(table.readers_of(0), [reader(&["film"], ReadMode::Latest)]);
    assert_eq!(table.readers_of(1), [reader(&["left", "video"], ReadMode::Lossless)]);
}

#[test]
fn the_route_table_is_printed_grouped_and_sorted() {
    check_golden("routes.txt", &format!("{}\n", table()));
    let json = serde_json::to_string_pretty(&table().to_json()).expect("JSON");
    check_golden("routes.json", &format!("{json}\n"));
}

/// Turns the lamp on or off.
#[derive(labrig::Command, Serialize, Deserialize, labrig::Schema, Debug, Clone)]
struct SetLamp {
    is_on: bool,
}

#[derive(Serialize, Deserialize, labrig::Schema)]
struct LampConfig {
    /// Where the lamp is.
    port: PathBuf,
}

struct Lamp;

impl Manager for Lamp {
    type Config = LampConfig;
    fn setup(_: LampConfig, _: &mut Context) -> Result<Self, SetupError> {
        Ok(Self)
    }
}

#[labrig::manager(kind = "lamp")]
impl Lamp {
    #[ipc_command]
    fn set_lamp(&mut self, _: SetLamp) {}
}

#[test]
fn what_the_macros_register_is_what_the_registry_proves() {
    let good = "schema = 1\n[managers.left]\nkind = 'lamp'\nconfig.port = '/dev/lamp'\n";
    let registry = CommandRegistry::of_this_program();
    let table = registry.prove(&Topology::from_toml(good).resolve().plan, &[]).expect("no faults");
    assert_eq!(
        table.route_for(SetLamp::spec().id).map(|route| route.managers.as_slice()),
        Some([0].as_slice())
    );
    let site = &table.handlers_for_target("left")[0].site;
    assert!(site.file.ends_with("registry_routes.rs") && site.line > 0, "{site}");
    let bad = Topology::from_toml(format!("{good}startup = [{{ command = 'SetLamp' }}]")).resolve().plan;
    let codes: Vec<_> = registry.validate(&bad, &[]).iter().map(|fault| fault.code.text()).collect();
    assert_eq!(codes, ["L004"], "the command lacks `is_on`");
}

#[test]
fn a_signal_is_found_by_its_name_and_one_that_there_is_not_is_told_with_the_nearest() {
    let table = CommandRegistry::of_this_program();
    let rig = "schema = 1\n[managers.focus]\nkind = \"motor.sim\"\n[managers.eye]\nkind = \"tracker\"\n\
               inputs = { video = \"\" }\n";
    let table = table.bind(&Topology::from_toml(rig).resolve().plan);
    let height = table.signal("focus.height_um").expect("a motor publishes it");
    assert_eq!((height.field.unit.as_deref(), height.set.fields().len()), (Some("um"), 2));
    let hint = |name: &str| table.signal(name).expect_err("there is none").hint;
    assert_eq!(hint("focus.hight_um"), "did you mean `focus.height_um`?");
    assert!(
        hint("oven.temperature").starts_with("this rig has `eye.frames_seen`"),
        "{}",
        hint("oven.temperature")
    );
    let text = table.signals_text();
    assert!(text.starts_with("SIGNAL ") && text.contains("\neye.particle_count  u64"), "{text}");
    let json = table.signals_json();
    assert_eq!((&json[0]["name"], &json[0]["type"]), (&json!("eye.frames_seen"), &json!("u64")));
}

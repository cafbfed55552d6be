//! What registrations can get wrong: each rule alone, and all at once in one report.

#[path = "../golden/mod.rs"]
mod golden;
#[path = "../parts/mod.rs"]
mod parts;
mod publishing;

use std::collections::BTreeSet;

use golden::check_golden;
use labrig::config::{Code, Fault, FaultKind, Report, Topology};
use labrig::registry::{CommandRegistry, ProgramManifest};
use labrig::wire::schema::{Node, TypeSchema};
use labrig::wire::{Audience, CommandSpec, DeliveryKind, Overflow, SharedKind, Site};
use parts::{
    command, direct, handler, here, identified, kind, looking, playing, program, scope, with_fields,
};
use publishing::{settings, shared, signal_set};
use serde::{Deserialize, Serialize};

/// A config that starts these managers: name and kind, with more lines for each.
fn config(managers: &[(&str, &str)]) -> String {
    let table = |(name, kind): &(&str, &str)| format!("[managers.{name}]\nkind = \"{kind}\"\n");
    format!("schema = 1\n{}", managers.iter().map(table).collect::<String>())
}

fn faults(registry: &CommandRegistry, text: &str) -> Report {
    let resolution = Topology::from_toml(text).resolve();
    assert!(resolution.faults.is_empty(), "{}", Report::new(resolution.faults));
    let (first, second) =
        (registry.validate(&resolution.plan, &[]), registry.validate(&resolution.plan, &[]));
    assert_eq!(first, second, "a check can be repeated");
    Report::new(first)
}

/// Checks the codes and the places of their first parties.
fn check(registry: &CommandRegistry, text: &str, expected: &[(&str, &str)]) {
    let report = faults(registry, text);
    let place = |fault: &Fault| fault.parties[0].site.to_string().replace("(config text)", "rig");
    let found: Vec<_> = report.faults().iter().map(|it| (it.code.text().to_owned(), place(it))).collect();
    let expected: Vec<_> = expected.iter().map(|(code, at)| ((*code).to_owned(), (*at).to_owned())).collect();
    assert_eq!(found, expected, "{report}");
}

fn check_hint(registry: &CommandRegistry, text: &str, part: &str) {
    let report = faults(registry, text);
    let hint = report.faults()[0].hint.clone().unwrap_or_default();
    assert!(hint.contains(part), "`{part}` is not in: {hint}");
}

fn registry(programs: impl IntoIterator<Item = ProgramManifest>) -> CommandRegistry {
    CommandRegistry::new(programs)
}

fn audience(mut spec: CommandSpec, audience: Audience) -> CommandSpec {
    spec.audience = audience;
    spec
}

#[test]
fn an_unknown_kind_is_reported_with_where_it_may_be() {
    let move_to = direct("MoveTo", 1);
    let one = registry([here(vec![kind("motor", &[&move_to])], vec![])]);
    check(&one, &config(&[("a", "motr"), ("b", "laser")]), &[("L100", "rig:3"), ("L100", "rig:5")]);
    check_hint(&one, &config(&[("a", "motr")]), "did you mean `motor`?");
    check_hint(
        &one,
        &config(&[("a", "laser")]),
        "linked into it: `motor`\nif a crate registers `laser`, add `use",
    );
    let none = registry([here(vec![], vec![])]);
    check_hint(&none, &config(&[("a", "laser")]), "no kinds at all are linked into it\nif a crate registers");
    let mut own = kind("motor.sim", &[&move_to]);
    own.path = "labrig::managers::Motor".to_owned();
    let own = registry([here(vec![own], vec![])]);
    check_hint(&own, &config(&[("a", "laser")]), "only labrig's own kinds are linked into it: `motor.sim`");
    let two = registry([here(vec![], vec![]), program("lasers", vec![kind("laser", &[&move_to])])]);
    check_hint(&two, &config(&[("a", "laser")]), "add `program = \"/opt/lasers\"`");
}

#[test]
fn a_program_that_could_not_be_asked_adds_no_faults_of_the_registry() {
    let text =
        format!("{}program = '/opt/absent'\nstartup = [{{ command = 'MoveTo' }}]", config(&[("a", "motor")]));
    check(&registry([here(vec![], vec![])]), &text, &[]);
}

#[test]
fn a_kind_is_registered_once_and_has_something_to_do() {
    let move_to = direct("MoveTo", 1);
    let mut other = kind("motor", &[&move_to]);
    (other.path, other.site) = ("rig::OtherMotor".to_owned(), Site::new("src/other.rs", 5));
    let twice = registry([here(vec![kind("motor", &[&move_to]), other], vec![])]);
    check(&twice, &config(&[("a", "motor"), ("b", "motor")]), &[("L101", "src/motor.rs:10")]);
    let idle = registry([here(vec![kind("idle", &[]), looking(kind("eye", &[]), "video")], vec![])]);
    check(&idle, &config(&[("a", "idle")]), &[("L102", "src/idle.rs:10")]);
    let mut clock = kind("clock", &[]);
    clock.timers.push("tick".to_owned());
    check(&registry([here(vec![clock], vec![])]), &config(&[("a", "clock")]), &[]);
}

#[test]
fn within_a_kind_a_command_has_one_handler() {
    let home = direct("Home", 1);
    let own_and_role = playing(kind("motor", &[&home]), "rig::Homes", &home, 20);
    check(
        &registry([here(vec![own_and_role], vec![])]),
        &config(&[("a", "motor")]),
        &[("L103", "src/motor.rs:12")],
    );
    let two_roles = playing(playing(kind("motor", &[]), "rig::Homes", &home, 20), "rig::Parks", &home, 30);
    check(
        &registry([here(vec![two_roles], vec![])]),
        &config(&[("a", "motor")]),
        &[("L103", "src/roles.rs:20")],
    );
}

#[test]
fn a_direct_command_is_handled_by_one_kind_or_by_those_of_a_role() {
    let home = direct("Home", 1);
    let both = [("a", "motor"), ("b", "stage")];
    let rivals = registry([here(vec![kind("motor", &[&home]), kind("stage", &[&home])], vec![])]);
    check(&rivals, &config(&both), &[("L104", "src/motor.rs:12")]);
    check(&rivals, &config(&[("a", "motor"), ("b", "motor")]), &[]);
    let role = |name| playing(kind(name, &[]), "rig::Homes", &home, 20);
    check(&registry([here(vec![role("motor"), role("stage")], vec![])]), &config(&both), &[]);
    let half = registry([here(vec![role("motor"), kind("stage", &[&home])], vec![])]);
    check(&half, &config(&both), &[("L104", "src/roles.rs:20")]);
}

#[test]
fn every_kind_of_a_role_has_its_handlers() {
    let (home, park) = (direct("Home", 1), direct("Park", 2));
    let new = playing(playing(kind("motor", &[]), "rig::Homes", &home, 20), "rig::Homes", &park, 24);
    let old = playing(kind("stage", &[]), "rig::Homes", &home, 20);
    let text = format!("{}program = '/opt/old'", config(&[("a", "motor"), ("b", "stage")]));
    check(
        &registry([here(vec![new], vec![]), program("old", vec![old])]),
        &text,
        &[("L105", "src/stage.rs:10")],
    );
}

#[test]
fn commands_that_are_started_never_share_a_name() {
    let one = direct("Home", 1);
    let mut other = direct("Park", 2);
    other.name = "Home".to_owned();
    let linked = registry([here(vec![kind("motor", &[&one]), kind("stage", &[&other])], vec![])]);
    check(&linked, &config(&[("a", "motor"), ("b", "stage")]), &[("L111", "src/commands.rs:1")]);
    check(&linked, &config(&[("a", "motor")]), &[]);
}

/// Checks what is said when this program knows one version of a command and another program the other.
fn check_versions(one: &CommandSpec, other: &CommandSpec, expected: &str) {
    let programs = [here(vec![kind("motor", &[one])], vec![]), program("old", vec![kind("stage", &[other])])];
    let report = faults(&registry(programs), &config(&[("a", "motor")]));
    let found: Vec<_> = report.faults().iter().map(|it| (it.code, it.message.as_str())).collect();
    assert_eq!(
        found,
        [(Code::Disagreement, format!("two versions of `rig::MoveTo` meet: {expected}").as_str())]
    );
}

#[test]
fn programs_that_disagree_on_a_command_hear_in_what() {
    let fields = |fields: &[(&str, Node)]| with_fields(direct("MoveTo", 1), fields);
    let (x, y) = (("x_um", Node::F64), ("y_um", Node::F64));
    let both = fields(&[x.clone(), y.clone()]);
    let (only_x, only_y) = (fields(std::slice::from_ref(&x)), fields(std::slice::from_ref(&y)));
    check_versions(
        &only_x,
        &fields(&[("x_um", Node::F32)]),
        "field `x_um` of `rig::MoveTo` is f64 in one and f32 in the other",
    );
    check_versions(&only_x, &only_y, "a field of `rig::MoveTo` is `x_um` in one and `y_um` in the other");
    check_versions(&both, &only_x, "field `y_um` of `rig::MoveTo` is in one only");
    check_versions(
        &both,
        &fields(&[y, x]),
        "field number 1 of `rig::MoveTo` is `x_um` in one and `y_um` in the other",
    );
    let mut reply = direct("MoveTo", 1);
    reply.reply = TypeSchema::of::<f64>();
    check_versions(
        &direct("MoveTo", 1),
        &identified(reply),
        "in the reply, the type is nothing in one and f64 in the other",
    );
    let broadcast = command("MoveTo", DeliveryKind::Broadcast, 1);
    check_versions(
        &direct("MoveTo", 1),
        &broadcast,
        "the delivery is direct in one and broadcast in the other",
    );
    let mut latest = direct("MoveTo", 1);
    latest.overflow = Overflow::KeepLatest;
    check_versions(
        &direct("MoveTo", 1),
        &latest,
        "the overflow is Refuse in one and KeepLatest in the other",
    );
}

#[test]
fn a_broadcast_is_handled_by_its_whole_audience() {
    let stop = |audience_is| audience(command("Stop", DeliveryKind::Broadcast, 3), audience_is);
    let kinds = |spec: &CommandSpec| {
        let mut own = kind("camera.sim", &[&direct("Look", 9)]);
        own.path = "labrig::managers::Camera".to_owned();
        registry([here(vec![kind("motor", &[spec]), kind("stage", &[&direct("Home", 1)]), own], vec![])])
    };
    let text = config(&[("c", "camera.sim"), ("m", "motor"), ("s", "stage")]);
    check(&kinds(&stop(Audience::Listeners)), &text, &[]);
    check(&kinds(&stop(Audience::All)), &text, &[("L109", "src/commands.rs:3")]);
    check(&kinds(&stop(Audience::All)), &config(&[("c", "camera.sim"), ("m", "motor")]), &[]);
    check(&kinds(&stop(Audience::All)), &config(&[("s", "stage")]), &[]);
    let moving = stop(Audience::Group("moving".to_owned()));
    check(&kinds(&moving), &text, &[("L110", "src/commands.rs:3")]);
    check(&kinds(&moving), &format!("{text}groups = ['moving']"), &[("L109", "src/commands.rs:3")]);
}

#[test]
fn a_scope_command_has_one_handler_in_the_scope() {
    let save = command("SaveNote", DeliveryKind::Scope, 5);
    let motor = || kind("motor", &[&direct("Home", 1)]);
    let text = config(&[("a", "motor")]);
    check(&registry([here(vec![motor()], vec![scope("lab", &[&save])])]), &text, &[]);
    let twice = registry([here(vec![motor()], vec![scope("lab", &[&save]), scope("desk", &[&save])])]);
    check(&twice, &text, &[("L106", "src/lab.rs:12")]);
    let missing = registry([here(vec![kind("motor", &[&save])], vec![])]);
    check(&missing, &text, &[("L107", "src/motor.rs:12")]);
    let stray = registry([here(vec![kind("motor", &[&save])], vec![scope("lab", &[&save])])]);
    check(&stray, &text, &[("L108", "src/motor.rs:12")]);
    let wrong = registry([here(vec![motor()], vec![scope("lab", &[&direct("Park", 2)])])]);
    check(&wrong, &text, &[("L108", "src/lab.rs:12")]);
}

#[test]
fn a_scope_is_default_or_given() {
    let mut lab = scope("lab", &[&command("SaveNote", DeliveryKind::Scope, 5)]);
    lab.has_default = false;
    let wanting = registry([here(vec![kind("motor", &[&direct("Home", 1)])], vec![lab])]);
    check(&wanting, &config(&[("a", "motor")]), &[("L116", "src/lab.rs:10")]);
    let plan = Topology::from_toml(config(&[("a", "motor")])).resolve().plan;
    assert_eq!(wanting.validate(&plan, &["rig::lab".to_owned()]), []);
}

const VIDEO: &str = "[streams.video]\nproducer = 'a'\n";

#[test]
fn every_input_is_fed_and_everything_bound_is_an_input() {
    let eye = looking(kind("eye", &[]), "video");
    let camera = kind("camera", &[&direct("Look", 1)]);
    let rig = registry([here(vec![camera, eye], vec![])]);
    let text = config(&[("a", "camera"), ("b", "eye")]);
    check(&rig, &text, &[("L113", "rig:4")]);
    check(&rig, &format!("{text}{VIDEO}readers = {{ b = 'lossless' }}"), &[]);
    check(&rig, &format!("{text}inputs = {{ vidoe = 'video' }}\n{VIDEO}"), &[("L114", "rig:6")]);
    check_hint(&rig, &format!("{text}inputs = {{ vidoe = 'video' }}\n{VIDEO}"), "did you mean `video`?");
    check(&rig, &format!("{text}inputs = {{ video = 'film' }}\n[streams.film]\nproducer = 'a'"), &[]);
    check(
        &rig,
        &format!("{}[streams.video]\nproducer = 'b'", config(&[("b", "eye")])),
        &[("L027", "src/eye.rs:40")],
    );
    let film = "[streams.film]\nproducer = 'a'\nreaders = { b = 'latest' }";
    check(&rig, &format!("{text}{VIDEO}{film}"), &[("L115", "rig:10")]);
}

#[test]
fn readers_that_no_config_mentions_need_room_too() {
    let eye = looking(kind("eye", &[]), "video");
    let rig = registry([here(vec![kind("camera", &[&direct("Look", 1)]), eye], vec![])]);
    let text = config(&[("a", "camera"), ("b", "eye"), ("c", "eye")]);
    check(&rig, &format!("{text}{VIDEO}slots = 4"), &[("L028", "rig:10")]);
    check(&rig, &format!("{text}{VIDEO}slots = 5"), &[]);
}

#[test]
fn a_start_up_command_can_be_applied() {
    let move_to = with_fields(direct("MoveTo", 1), &[("height_um", Node::F64), ("fast", Node::Bool)]);
    let (stop, save) =
        (command("Stop", DeliveryKind::Broadcast, 3), command("SaveNote", DeliveryKind::Scope, 4));
    let kinds = vec![
        kind("motor", &[&move_to, &stop]),
        kind("lamp", &[&direct("Dim", 7)]),
        kind("stage", &[&direct("Park", 8)]),
    ];
    let rig = registry([here(kinds, vec![scope("lab", &[&save])])]);
    let text =
        |startup: &str| format!("{}startup = [\n{startup}\n]", config(&[("m", "motor"), ("l", "lamp")]));
    let args = "args = { height_um = 3, fast = true }";
    check(&rig, &text(&format!("{{ command = 'Dim' }}, {{ command = 'MoveTo', {args}, to = 'm' }}")), &[]);
    check(&rig, &text(&format!("{{ command = 'MoveTo', {args} }}")), &[("L122", "rig:7")]);
    check_hint(&rig, &text("{ command = 'MoveTo' }"), "write `to = \"m\"`, which serves it");
    check(&rig, &text("{ command = 'Dmi' },\n{ command = 'Zoom' }"), &[("L120", "rig:7"), ("L120", "rig:8")]);
    check_hint(&rig, &text("{ command = 'Dmi' }"), "did you mean `Dim`?");
    check(&rig, &text("{ command = 'Park' }"), &[("L121", "rig:7")]);
    check_hint(&rig, &text("{ command = 'Park' }"), "start a manager of a kind that handles it: `stage`");
    check(
        &rig,
        &text("{ command = 'Stop', to = 'm' }, { command = 'SaveNote' }"),
        &[("L123", "rig:7"), ("L123", "rig:7")],
    );
    let misfits = "{ command = 'MoveTo', to = 'm', args = { height_um = 'x',\n speed = 1 } }";
    check(&rig, &text(misfits), &[("L004", "rig:7"), ("L005", "rig:7"), ("L003", "rig:8")]);
    check(&rig, &text("{ command = 'Dim', args = { to = 5 } }"), &[("L003", "rig:7")]);
}

#[derive(Serialize, Deserialize, labrig::Schema)]
struct MotorConfig {
    /// Height of the end switch above the stage.
    #[schema(unit = "um", min = 0.0, max = 200.0)]
    travel_um: f64,
    #[serde(default)]
    port: Option<std::path::PathBuf>,
}

#[test]
fn a_managers_own_table_fits_its_kind() {
    let mut motor = kind("motor", &[&direct("Home", 1)]);
    motor.config = TypeSchema::of::<MotorConfig>();
    let rig = registry([here(vec![motor, kind("lamp", &[&direct("Dim", 2)])], vec![])]);
    let text = |table: &str| format!("{}{table}", config(&[("m", "motor")]));
    check(&rig, &text("config = { travel_um = 7, port = 'dev/motor' }"), &[]);
    check(&rig, &text(""), &[("L004", "rig:2")]);
    check(
        &rig,
        &text("[managers.m.config]\ntravel_um = 250\nprot = 'x'"),
        &[("L006", "rig:5"), ("L003", "rig:6")],
    );
    check(&rig, &text("config = 3"), &[("L005", "rig:4")]);
    check(&rig, &format!("{}config = {{ any = 1 }}", config(&[("l", "lamp")])), &[("L003", "rig:4")]);
    let plan = Topology::from_toml(text("config = { travel_um = 7, port = 'dev/motor' }")).resolve().plan;
    let table = rig.prove(&plan, &[]).expect("no faults");
    let port = std::env::current_dir().expect("a working folder").join("dev/motor");
    assert_eq!(*table.config_of(0), serde_json::json!({ "travel_um": 7.0, "port": port }));
}

/// Registrations with every mistake there can be.
fn wrong() -> CommandRegistry {
    let (home, look) = (direct("Home", 1), direct("Look", 2));
    let stop = audience(command("Stop", DeliveryKind::Broadcast, 3), Audience::All);
    let blink = audience(command("Blink", DeliveryKind::Broadcast, 4), Audience::Group("lamps".to_owned()));
    let (save, load) =
        (command("SaveNote", DeliveryKind::Scope, 5), command("LoadNote", DeliveryKind::Scope, 6));
    let mut focus = direct("Focus", 7);
    focus.name = "Look".to_owned();
    let park = direct("Park", 8);
    let older = with_fields(direct("Home", 1), &[("fast", Node::Bool)]);
    let mut other_eye = kind("eye", &[&look]);
    (other_eye.path, other_eye.site) = ("rig::OtherEye".to_owned(), Site::new("src/other.rs", 5));
    let mut lab = scope("lab", &[&save, &park]);
    lab.has_default = false;
    let mut kinds = vec![
        playing(
            playing(kind("motor", &[&home, &stop, &blink]), "rig::Parks", &park, 20),
            "rig::Homes",
            &home,
            24,
        ),
        kind("stage", &[&look, &load]),
        looking(looking(kind("eye", &[&look, &focus]), "video"), "sound"),
        other_eye,
        kind("idle", &[]),
        kind("lamp", &[&direct("Dim", 9)]),
    ];
    let publishing = kinds.iter_mut().find(|kind| kind.kind == "motor").expect("it is there");
    let nothing = signal_set("rig::Nothing", &[], 11);
    publishing.signals =
        vec![nothing, signal_set("rig::Place", &["speed"], 3), signal_set("rig::Speed", &["speed"], 9)];
    publishing.shares = vec![
        shared(SharedKind::Counters, "counts", &["x_um"], 13),
        shared(SharedKind::Rows, "track", &["x_um"], 14),
        shared(SharedKind::Dataset, "track", &["x_um"], 15),
    ];
    publishing.settings = Some(settings("rig::MotorSettings", 12.0));
    let mut old = kind("old", &[&older]);
    old.roles.push("rig::Parks".to_owned());
    old.handlers.push(handler(&save, "src/old.rs", 30));
    registry([here(kinds, vec![lab, scope("desk", &[&save])]), program("old", vec![old])])
}

const WRONG: &str = r#"schema = 1
[managers.eye]
kind = "eye"
inputs = { vidoe = "video" }
[managers.idle]
kind = "idle"
[managers.laser]
kind = "laser"
[managers.motor]
kind = "motor"
startup = [
    { command = "Hom" },
    { command = "Dim" },
    { command = "Look" },
    { command = "Stop" },
    { command = "Home", args = { fast = true } },
]
config = { port = 3 }
[managers.old]
kind = "old"
program = "/opt/old"
[managers.stage]
kind = "stage"
[streams.film]
producer = "stage"
slots = 4
readers = { idle = "latest" }
"#;

#[test]
fn every_mistake_of_the_registrations_is_reported_in_one_go() {
    let plan = Topology::from_toml(WRONG).resolve();
    let all = plan.faults.into_iter().chain(wrong().validate(&plan.plan, &[])).collect();
    let report = Report::new(all);
    check_golden("registry_faults.txt", &format!("{report}\n"));
    let found: BTreeSet<_> = report.faults().iter().map(|fault| fault.code).collect();
    let lacking: Vec<_> =
        Code::ALL.iter().filter(|it| it.text().starts_with("L1") && !found.contains(it)).collect();
    assert!(lacking.is_empty(), "not shown by the example: {lacking:?}");
}

#[test]
fn a_refused_table_changes_nothing() {
    let registry = wrong();
    let before = format!("{registry:?}");
    let wrong = Topology::from_toml(WRONG).resolve().plan;
    assert!(registry.prove(&wrong, &[]).is_err_and(|faults| faults.len() > 10));
    assert_eq!(format!("{registry:?}"), before);
    let lamp = Topology::from_toml(config(&[("l", "lamp")]));
    let faults = registry.validate(&lamp.resolve().plan, &[]);
    assert!(
        faults.iter().all(|fault| !fault.parties.iter().any(|it| it.site.file.contains("config"))),
        "{faults:#?}"
    );
}

#[test]
fn faults_say_what_they_are_about() {
    let kind_of = |code: Code| code.kind();
    assert_eq!(kind_of(Code::UnknownKind), FaultKind::Registration);
    assert_eq!(kind_of(Code::RivalKinds), FaultKind::Conflict);
    assert_eq!(kind_of(Code::AudienceMissing), FaultKind::MissingHandler);
    assert_eq!(kind_of(Code::StartupUnknown), FaultKind::UnknownCommand);
    assert_eq!(Fault::new(Code::UnknownKey, "").kind(), FaultKind::Config);
}

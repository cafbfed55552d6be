//! What kinds say that they publish: signals, shared objects, settings.

use labrig::registry::{KindDescription, SettingsDescription, SharedDescription, SignalSetDescription};
use labrig::wire::schema::{Definition, Field, Node, Shape, TypeSchema};
use labrig::wire::{SharedKind, SharedSpec, Site};

use crate::parts::{direct, here, kind};
use crate::{check, check_hint, config, registry};

/// A set of signals of these names, which stands in `src/motor.rs`.
pub(crate) fn signal_set(path: &str, names: &[&str], line: u32) -> SignalSetDescription {
    let field = |name: &&str| Field {
        name: (*name).to_owned(),
        node: Node::F64,
        doc: String::new(),
        unit: None,
        min: None,
        max: None,
        optional: false,
        default: None,
    };
    let shape = Shape::Struct(names.iter().map(field).collect());
    let definition = Definition { path: path.to_owned(), doc: String::new(), shape };
    let definitions = [(path.to_owned(), definition)].into();
    let schema = TypeSchema { root: Node::Named(path.to_owned()), definitions, guarded: false };
    SignalSetDescription { schema, site: Site::new("src/motor.rs", line) }
}

/// Settings with one that is 10 at most, and has that default.
pub(crate) fn settings(path: &str, default: f64) -> SettingsDescription {
    let SignalSetDescription { mut schema, site } = signal_set(path, &["gain"], 3);
    let definition = schema.definitions.get_mut(path).expect("it is there");
    let Shape::Struct(fields) = &mut definition.shape else { panic!("it is a struct") };
    fields[0].max = Some(10.0);
    SettingsDescription { schema, defaults: format!("{{\"gain\": {default}}}"), site }
}

#[test]
fn two_signals_of_a_kind_have_different_names() {
    let move_to = direct("MoveTo", 1);
    let mut motor = kind("motor", &[&move_to]);
    motor.signals = vec![
        signal_set("rig::Place", &["height_um", "speed"], 3),
        signal_set("rig::Heat", &["degrees_c"], 7),
    ];
    let text = config(&[("focus", "motor")]);
    check(&registry([here(vec![motor.clone()], vec![])]), &text, &[]);
    motor.signals.push(signal_set("rig::Speed", &["speed"], 9));
    let twice = registry([here(vec![motor], vec![])]);
    check(&twice, &text, &[("L117", "src/motor.rs:3")]);
    check_hint(&twice, &text, "give one of them another name");
}

#[test]
fn a_set_of_signals_has_a_fixed_size() {
    let move_to = direct("MoveTo", 1);
    let mut motor = kind("motor", &[&move_to]);
    let mut words = signal_set("rig::Words", &["last_word"], 3);
    let definition = words.schema.definitions.get_mut("rig::Words").expect("it is there");
    let Shape::Struct(fields) = &mut definition.shape else { panic!("it is a struct") };
    fields[0].node = Node::Text;
    motor.signals = vec![words, signal_set("rig::Heat", &["degrees_c"], 7)];
    let unfit = registry([here(vec![motor], vec![])]);
    check(&unfit, &config(&[("focus", "motor")]), &[("L118", "src/motor.rs:3")]);
    check_hint(&unfit, &config(&[("focus", "motor")]), "write a stream or a command");
}

/// An object of that kind and name, whose items are of these fields, which is declared in `src/motor.rs`.
pub(crate) fn shared(kind: SharedKind, name: &str, fields: &[&str], line: u32) -> SharedDescription {
    let item = signal_set("rig::Item", fields, line).schema;
    let spec = SharedSpec { name: name.to_owned(), kind, item, key: None, capacity: 8 };
    SharedDescription { spec, site: Site::new("src/motor.rs", line) }
}

#[test]
fn a_shared_object_has_a_name_of_its_own_and_a_type_that_can_be_shared() {
    let move_to = direct("MoveTo", 1);
    let text = config(&[("focus", "motor")]);
    let sharing = |shares| {
        let motor = KindDescription { shares, ..kind("motor", &[&move_to]) };
        registry([here(vec![motor], vec![])])
    };
    let track = || shared(SharedKind::Rows, "track", &["x_um"], 3);
    check(&sharing(vec![track(), shared(SharedKind::Dataset, "scan", &["x_um"], 7)]), &text, &[]);
    let twice = sharing(vec![track(), shared(SharedKind::Dataset, "track", &["x_um"], 7)]);
    check(&twice, &text, &[("L124", "src/motor.rs:3")]);
    check_hint(&twice, &text, "it is read as `manager.name`");
    let uncountable = sharing(vec![track(), shared(SharedKind::Counters, "counts", &["x_um"], 7)]);
    check(&uncountable, &text, &[("L125", "src/motor.rs:7")]);
    let mut endless = track();
    endless.spec.capacity = u64::MAX;
    let empty = shared(SharedKind::Rows, "empty", &[], 9);
    check(&sharing(vec![endless, empty]), &text, &[("L125", "src/motor.rs:3"), ("L125", "src/motor.rs:9")]);
}

#[test]
fn the_defaults_of_settings_fit_their_own_bounds() {
    let mut camera = kind("camera", &[]);
    let text = config(&[("eye", "camera")]);
    camera.settings = Some(settings("rig::CameraSettings", 5.0));
    check(&registry([here(vec![camera.clone()], vec![])]), &text, &[]);
    camera.settings = Some(settings("rig::CameraSettings", 12.0));
    check(&registry([here(vec![camera], vec![])]), &text, &[("L119", "src/motor.rs:3")]);
}

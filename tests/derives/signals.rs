//! What `#[derive(Signals)]` writes: words for values, descriptions for kinds, publishers for managers.

use labrig::prelude::*;
use labrig::registry::Handles;
use labrig::wire::TypeSchema;

/// What a shutter tells.
#[derive(Signals, Schema, Debug, Clone, Copy, PartialEq)]
struct ShutterSignals {
    /// How far it is open.
    #[schema(unit = "%", min = 0, max = 100)]
    opening: f32,
    blades: [Blade; 2],
    r#type: Kind,
    is_hot: bool,
}

#[derive(Signals, Schema, Debug, Clone, Copy, PartialEq)]
struct Blade {
    angle_mrad: i16,
    cycles: u64,
}

#[derive(Signals, Schema, Debug, Clone, Copy, PartialEq)]
enum Kind {
    Iris,
    Leaf,
}

fn example() -> ShutterSignals {
    let blade = |angle_mrad| Blade { angle_mrad, cycles: u64::MAX };
    ShutterSignals { opening: 12.5, blades: [blade(-7), blade(9)], r#type: Kind::Leaf, is_hot: true }
}

fn words(value: impl SignalValue) -> Vec<u64> {
    let mut words = Vec::new();
    value.put(&mut |word| words.push(word));
    words
}

#[test]
fn a_set_of_signals_comes_back_as_it_was_put() {
    let words = words(example());
    assert_eq!((words.len(), ShutterSignals::WORDS), (7, 7));
    let mut left = words.iter().copied();
    assert_eq!(ShutterSignals::take(&mut || left.next().expect("seven")), Some(example()));
    assert_eq!(Kind::take(&mut || 2), None, "there are two kinds");
}

#[test]
fn a_signal_is_found_and_told_by_the_schema_alone() {
    let (schema, words) = (TypeSchema::of::<ShutterSignals>(), words(example()));
    let told = schema.signals().into_iter().map(|placed| {
        let value = schema.signal_json(placed.field, &words[placed.first..placed.first + placed.words]);
        format!("{} = {}", placed.field.name, value.expect("a value"))
    });
    let told: Vec<_> = told.collect();
    let blades = "[{\"angle_mrad\":-7,\"cycles\":18446744073709551615},{\"angle_mrad\":9,\"cycles\":18446744073709551615}]";
    assert_eq!(told, ["opening = 12.5", &format!("blades = {blades}"), "type = \"Leaf\"", "is_hot = true"]);
}

struct Shutter {
    signals: Publisher<ShutterSignals>,
}

impl Manager for Shutter {
    type Config = ();

    fn setup((): (), context: &mut Context) -> Result<Self, SetupError> {
        Ok(Self { signals: context.signals(example())? })
    }
}

#[manager(kind = "signalling-shutter", signals(ShutterSignals))]
impl Shutter {
    #[every(seconds = 1)]
    fn cool(&mut self) {
        self.signals.update(|now| now.is_hot = false);
    }
}

#[test]
fn a_kind_says_which_signals_it_publishes_and_where_they_stand() {
    let [set] = &Shutter::signals()[..] else { panic!("one set") };
    assert_eq!(set.schema, TypeSchema::of::<ShutterSignals>());
    assert!(set.site.file.ends_with("signals.rs") && set.site.line > 0, "{:?}", set.site);
    let opening = &set.schema.fields()[0];
    let about = (opening.doc.as_str(), opening.unit.as_deref(), opening.min, opening.max);
    assert_eq!(about, ("How far it is open.", Some("%"), Some(0.0), Some(100.0)));
}

#[test]
fn outside_any_rig_a_manager_publishes_to_nobody() {
    let mut shutter = Shutter::setup((), &mut crate::context()).expect("it is set up");
    shutter.cool();
    assert_eq!(*shutter.signals.last(), ShutterSignals { is_hot: false, ..example() });
    let error = crate::context().scope().signal::<f64>("motor.height_um").err().expect("there is no rig");
    assert_eq!(error, SignalError::Closed);
}

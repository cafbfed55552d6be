//! What `#[derive(Schema)]` tells about shapes, units, bounds, defaults and identity.

use std::collections::BTreeMap;

use labrig::prelude::*;
use labrig::wire::{Field, Node, Shape, TypeSchema, codec};

/// The field of that name in a struct's schema.
fn field<T: Schema>(name: &str) -> Field {
    let schema = TypeSchema::of::<T>();
    let found = schema.fields().iter().find(|field| field.name == name).cloned();
    found.unwrap_or_else(|| panic!("no field `{name}` in {schema:?}"))
}

fn shape<T: Schema>() -> Shape {
    let schema = TypeSchema::of::<T>();
    schema.definition(&schema.root).expect("the type has a name").shape.clone()
}

fn check_round_trip<T: Schema + Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug>(
    value: T,
) {
    let schema = TypeSchema::of::<T>();
    let bytes = codec::to_postcard(&value).expect("a value of a test can be written");
    assert_eq!(codec::from_postcard::<T>(&bytes, &schema), Ok(value));
}

/// Moves the objective
/// to a height.
///
///   Slowly.
#[derive(Serialize, Deserialize, Schema)]
struct Move {
    /// Height above
    /// the stage.
    #[schema(unit = "um", min = 0.0, max = 200.0)]
    height_um: f64,
    #[schema(unit = "degC", min = -40, max = 85)]
    limit_c: Option<i32>,
    #[schema(unit = "ms")]
    dwell_ms: Vec<u32>,
}

#[test]
fn docs_units_and_bounds_are_told() {
    let schema = TypeSchema::of::<Move>();
    let definition = schema.definition(&schema.root).expect("a struct has a name");
    assert_eq!(definition.doc, "Moves the objective\nto a height.\n\nSlowly.");
    assert_eq!(definition.path, "derives::schemas::Move");
    let height = field::<Move>("height_um");
    assert_eq!((height.doc.as_str(), height.unit.as_deref()), ("Height above\nthe stage.", Some("um")));
    assert_eq!((height.node, height.min, height.max), (Node::F64, Some(0.0), Some(200.0)));
    let limit = field::<Move>("limit_c");
    assert_eq!((limit.min, limit.max), (Some(-40.0), Some(85.0)));
    assert_eq!(field::<Move>("dwell_ms").unit.as_deref(), Some("ms"));
}

fn fallback() -> u32 {
    7
}

#[derive(Clone, PartialEq, Debug)]
struct Opaque;

impl Default for Opaque {
    fn default() -> Self {
        Self
    }
}

#[derive(Serialize, Deserialize, Schema)]
struct FieldDefaults {
    required: u8,
    #[serde(default)]
    count: u8,
    #[serde(default = "fallback")]
    chosen: u32,
    label: Option<String>,
    #[serde(default)]
    map: BTreeMap<String, Vec<u8>>,
    #[serde(skip)]
    _opaque: Opaque,
}

#[derive(Serialize, Deserialize, Schema)]
#[serde(default)]
struct WholeDefault {
    rate_hz: f64,
    label: Option<String>,
    #[serde(default = "fallback")]
    chosen: u32,
}

impl Default for WholeDefault {
    fn default() -> Self {
        Self { rate_hz: 50.0, label: Some("video".into()), chosen: 1 }
    }
}

fn whole() -> WholeFromFunction {
    WholeFromFunction { gain: 3 }
}

#[derive(Serialize, Deserialize, Schema)]
#[serde(default = "whole")]
struct WholeFromFunction {
    gain: u8,
}

fn check_default<T: Schema>(name: &str, optional: bool, default: Option<&str>) {
    let field = field::<T>(name);
    assert_eq!((field.optional, field.default.as_deref()), (optional, default), "field `{name}`");
}

#[test]
fn defaults_are_told_as_json() {
    check_default::<FieldDefaults>("required", false, None);
    check_default::<FieldDefaults>("count", true, Some("0"));
    check_default::<FieldDefaults>("chosen", true, Some("7"));
    check_default::<FieldDefaults>("label", true, Some("null"));
    check_default::<FieldDefaults>("map", true, Some("{}"));
    check_default::<WholeDefault>("rate_hz", true, Some("50.0"));
    check_default::<WholeDefault>("label", true, Some("\"video\""));
    check_default::<WholeDefault>("chosen", true, Some("7"));
    check_default::<WholeFromFunction>("gain", true, Some("3"));
}

#[test]
fn skipped_fields_are_left_out() {
    assert_eq!(TypeSchema::of::<FieldDefaults>().fields().len(), 5);
}

#[derive(Serialize, Deserialize, Schema, PartialEq, Debug)]
struct Nothing;
#[derive(Serialize, Deserialize, Schema, PartialEq, Debug)]
struct Height(f64);
#[derive(Serialize, Deserialize, Schema, PartialEq, Debug)]
struct Pair(u8, #[serde(skip)] u16, bool);
#[derive(Serialize, Deserialize, Schema, PartialEq, Debug)]
#[serde(transparent)]
struct Wrapper {
    inner: String,
}
#[derive(Serialize, Deserialize, Schema, PartialEq, Debug)]
enum Light {
    /// No light.
    Off,
    On(f64),
    Mixed(u8, u8),
    Pulsed {
        #[schema(unit = "mW")]
        power_mw: f64,
    },
}

#[test]
fn every_form_of_type_has_its_shape() {
    assert_eq!(shape::<Nothing>(), Shape::Unit);
    assert_eq!(shape::<Height>(), Shape::Newtype(Node::F64));
    assert_eq!(shape::<Pair>(), Shape::Tuple(vec![Node::U8, Node::Bool]));
    assert_eq!(shape::<Wrapper>(), Shape::Newtype(Node::Text));
    let Shape::Enum(variants) = shape::<Light>() else { panic!("an enum has variants") };
    assert_eq!((variants[0].name.as_str(), variants[0].doc.as_str()), ("Off", "No light."));
    assert_eq!(variants[0].shape, Shape::Unit);
    assert_eq!(variants[1].shape, Shape::Newtype(Node::F64));
    assert_eq!(variants[2].shape, Shape::Tuple(vec![Node::U8, Node::U8]));
    let Shape::Struct(fields) = &variants[3].shape else { panic!("a struct variant has fields") };
    assert_eq!((fields[0].name.as_str(), fields[0].unit.as_deref()), ("power_mw", Some("mW")));
}

#[derive(Serialize, Deserialize, Schema, PartialEq, Debug)]
struct Tree {
    value: u8,
    children: Vec<Tree>,
}
#[derive(Serialize, Deserialize, Schema, PartialEq, Debug)]
struct Shelf {
    boxes: Vec<Crate>,
}
#[derive(Serialize, Deserialize, Schema, PartialEq, Debug)]
struct Crate {
    shelf: Option<Box<Shelf>>,
}
#[derive(Serialize, Deserialize, Schema, PartialEq, Debug)]
struct Sampled<T, const N: usize> {
    samples: Vec<T>,
    #[serde(default)]
    first: Option<T>,
}

#[test]
fn recursive_types_end_at_their_names() {
    assert_eq!(
        field::<Tree>("children").node,
        Node::List(Box::new(Node::Named("derives::schemas::Tree".into())))
    );
    assert_eq!(TypeSchema::of::<Shelf>().definitions.len(), 2);
    assert!(TypeSchema::of::<Tree>().guarded);
}

#[test]
fn a_generic_type_is_named_with_its_arguments() {
    let path = |schema: &TypeSchema| schema.root.identity();
    let (floats, bytes) = (TypeSchema::of::<Sampled<f64, 2>>(), TypeSchema::of::<Sampled<u8, 2>>());
    assert_eq!(path(&floats), "derives::schemas::Sampled<f64, 2>");
    assert_eq!(
        path(&TypeSchema::of::<Sampled<Light, 2>>()),
        "derives::schemas::Sampled<derives::schemas::Light, 2>"
    );
    assert_ne!(floats.fingerprint(), bytes.fingerprint());
    assert_ne!(floats.fingerprint(), TypeSchema::of::<Sampled<f64, 3>>().fingerprint());
}

#[test]
fn values_of_derived_types_pass_the_guard_of_the_codec() {
    check_round_trip(Nothing);
    check_round_trip(Pair(1, 0, true));
    check_round_trip(Light::Pulsed { power_mw: 2.5 });
    check_round_trip(Tree { value: 1, children: vec![Tree { value: 2, children: vec![] }] });
    check_round_trip(Shelf { boxes: vec![Crate { shelf: None }] });
    check_round_trip(Sampled::<u8, 1> { samples: vec![1, 2], first: Some(1) });
}

/// Types of one name and one path: only what is inside them differs.
mod shifted {
    use labrig::prelude::*;
    use labrig::wire::TypeSchema;

    macro_rules! fingerprint {
        ($($body:tt)*) => {{
            #[derive(Serialize, Deserialize, Schema)]
            #[allow(dead_code)]
            struct Point $($body)*
            TypeSchema::of::<Point>().fingerprint()
        }};
    }

    #[test]
    fn the_fingerprint_follows_names_types_and_order_and_nothing_else() {
        let plain = fingerprint!({ x: f64, y: u8 });
        assert_eq!(
            plain,
            fingerprint!({ /** Doc. */ #[schema(unit = "um", min = 0)] x: f64, #[serde(default)] y: u8 })
        );
        assert_ne!(plain, fingerprint!({ y: u8, x: f64 }));
        assert_ne!(plain, fingerprint!({ x: f32, y: u8 }));
        assert_ne!(plain, fingerprint!({ z: f64, y: u8 }));
        assert_ne!(plain, fingerprint!({ #[serde(rename = "z")] x: f64, y: u8 }));
        assert_ne!(plain, fingerprint!((f64, u8);));
    }
}

//! Names in a schema are the names that serde writes, whatever serde was told.

use labrig::prelude::*;
use labrig::wire::{Shape, TypeSchema};
use serde_json::Value;

/// The names of a struct's fields, or of an enum's variants.
fn told<T: Schema>() -> Vec<String> {
    let schema = TypeSchema::of::<T>();
    match &schema.definition(&schema.root).expect("the type has a name").shape {
        Shape::Struct(fields) => fields.iter().map(|field| field.name.clone()).collect(),
        Shape::Enum(variants) => variants.iter().map(|variant| variant.name.clone()).collect(),
        other => panic!("no names in {other:?}"),
    }
}

/// The names that serde writes: the keys of an object, or the texts of unit variants.
fn written<T: Serialize>(values: &[T]) -> Vec<String> {
    let names = |value: &T| match serde_json::to_value(value).expect("a value of a test can be written") {
        Value::Object(fields) => fields.keys().cloned().collect(),
        Value::String(variant) => vec![variant],
        other => panic!("no names in {other}"),
    };
    values.iter().flat_map(names).collect()
}

fn check_names<T: Schema + Serialize>(values: &[T]) {
    let (mut told, mut written) = (told::<T>(), written(values));
    told.sort();
    written.sort();
    assert_eq!(told, written);
}

macro_rules! check_rules {
    ($($rule:literal),*) => {$({
        #[derive(Serialize, Deserialize, Schema, Default)]
        #[serde(rename_all = $rule)]
        struct Fields {
            height_um: f64,
            is_homed: bool,
            r#type: u8,
            a1_b2: u8,
            #[serde(rename = "kept As-is")]
            renamed: u8,
        }
        check_names(&[Fields::default()]);

        #[derive(Serialize, Deserialize, Schema)]
        #[serde(rename_all = $rule)]
        enum Variants {
            Off,
            TurnedOn,
            USBLink,
            #[serde(rename = "kept As-is")]
            Renamed,
        }
        check_names(&[Variants::Off, Variants::TurnedOn, Variants::USBLink, Variants::Renamed]);
    })*};
}

#[test]
fn every_case_rule_of_serde_is_followed() {
    check_rules!(
        "lowercase",
        "UPPERCASE",
        "PascalCase",
        "camelCase",
        "snake_case",
        "SCREAMING_SNAKE_CASE",
        "kebab-case",
        "SCREAMING-KEBAB-CASE"
    );
}

#[derive(Serialize, Deserialize, Schema)]
#[serde(rename_all = "snake_case", rename_all_fields = "camelCase")]
enum Motion {
    MoveTo {
        height_um: f64,
    },
    #[serde(rename_all = "UPPERCASE")]
    MoveBy {
        height_um: f64,
    },
}

#[test]
fn fields_of_variants_follow_the_nearest_rule() {
    let schema = TypeSchema::of::<Motion>();
    let Shape::Enum(variants) = &schema.definition(&schema.root).expect("the type has a name").shape else {
        panic!("an enum has variants");
    };
    let values = [Motion::MoveTo { height_um: 1.0 }, Motion::MoveBy { height_um: 1.0 }];
    for (variant, value) in variants.iter().zip(&values) {
        let Shape::Struct(fields) = &variant.shape else { panic!("the variant has fields") };
        let json = serde_json::to_value(value).expect("a value of a test can be written");
        assert!(json[&variant.name][&fields[0].name].is_number(), "{json} is not {variant:?}");
    }
}

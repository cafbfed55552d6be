//! Serde's attributes, as far as they change what is on the wire.
//!
//! Names and defaults are followed. Forms that postcard would corrupt in silence, or under which the
//! bytes are not those of the fields, are refused where they stand.

use proc_macro2::{Ident, TokenTree};
use syn::meta::ParseNestedMeta;
use syn::{Attribute, ExprPath, LitStr, Token};

use crate::mistakes::Mistakes;
use crate::rename::Rule;

/// Where an attribute stands.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Place {
    Container,
    Variant,
    Field,
}

/// A `default` attribute.
pub(crate) enum Preset {
    /// `#[serde(default)]`: what `Default` says.
    Trait,
    /// `#[serde(default = "path")]`: what the function says.
    Function(ExprPath),
}

/// What serde is told about a container, variant or field.
#[derive(Default)]
pub(crate) struct SerdeOptions {
    pub(crate) name: Option<String>,
    pub(crate) rename_all: Option<Rule>,
    pub(crate) rename_all_fields: Option<Rule>,
    pub(crate) preset: Option<Preset>,
    pub(crate) skip: bool,
    pub(crate) transparent: bool,
    one_way: [Option<Ident>; 2],
}

/// The refused words, what is wrong with each, and what to do instead.
const REFUSED: &[(&str, &str, &str)] = &[
    ("untagged", "an `untagged` enum cannot be read back from postcard, which writes no names", TAGGING),
    ("tag", "a `tag` inside the value cannot be read back from postcard, which writes no names", TAGGING),
    ("content", "a `content` beside a tag is not how postcard writes enums", TAGGING),
    (
        "flatten",
        "a field that is `flatten`ed turns the struct into a map, which postcard cannot read back",
        "keep the inner struct as a field of its own: remove `flatten`",
    ),
    (
        "skip_serializing_if",
        "a field that is left out now and then shifts every field after it in postcard",
        "remove `skip_serializing_if`; an `Option` that is `None` costs one byte",
    ),
    ("skip_serializing", ONE_WAY, "write `#[serde(skip)]` to leave the field out both ways"),
    ("skip_deserializing", ONE_WAY, "write `#[serde(skip)]` to leave the field out both ways"),
    ("with", OTHER_BYTES, OWN_TYPE),
    ("serialize_with", OTHER_BYTES, OWN_TYPE),
    ("deserialize_with", OTHER_BYTES, OWN_TYPE),
    ("from", OTHER_BYTES, CONVERT),
    ("try_from", OTHER_BYTES, CONVERT),
    ("into", OTHER_BYTES, CONVERT),
    ("remote", "a `remote` derive describes the wire of a type that is not this one", OWN_TYPE),
    ("getter", "a `getter` belongs to a `remote` derive, whose type is not this one", OWN_TYPE),
    (
        "other",
        "postcard numbers variants and has no number for `other`",
        "remove `other`; programs that know different variants have different fingerprints and do not run together",
    ),
    (
        "borrow",
        "a value from another process owns its data and cannot `borrow`",
        "remove `borrow` and own the data",
    ),
    (
        "field_identifier",
        "an identifier enum is not a value of its own on the wire",
        "remove `field_identifier`",
    ),
    (
        "variant_identifier",
        "an identifier enum is not a value of its own on the wire",
        "remove `variant_identifier`",
    ),
];

const TAGGING: &str = "remove it: serde's default form, `{\"Variant\": …}` in JSON, works in every codec";
const ONE_WAY: &str =
    "a field that is left out in one direction only shifts every field after it in postcard";
const OTHER_BYTES: &str = "a conversion hides what is on the wire from the schema";
const OWN_TYPE: &str = "give the field a type of its own that derives `Serialize, Deserialize, Schema`";
const CONVERT: &str = "remove it, and convert in the handler";

impl SerdeOptions {
    /// Reads the `#[serde(…)]` attributes at a place.
    pub(crate) fn read(attributes: &[Attribute], place: Place, mistakes: &mut Mistakes) -> Self {
        let mut options = Self::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
            // What serde cannot read itself, it reports itself.
            let _ = attribute.parse_nested_meta(|meta| options.option(&meta, place, mistakes));
        }
        options.settle_one_way(place, mistakes);
        options
    }

    fn option(
        &mut self,
        meta: &ParseNestedMeta<'_>,
        place: Place,
        mistakes: &mut Mistakes,
    ) -> syn::Result<()> {
        let Some(word) = meta.path.get_ident() else { return pass_over(meta) };
        match word.to_string().as_str() {
            "rename" => self.name = one_name(meta, mistakes)?.map(|name| name.value()),
            "rename_all" => {
                self.rename_all = one_name(meta, mistakes)?.and_then(|rule| Rule::named(&rule.value()))
            }
            "rename_all_fields" => {
                self.rename_all_fields =
                    one_name(meta, mistakes)?.and_then(|rule| Rule::named(&rule.value()));
            }
            "default" => self.preset = Some(preset(meta)?),
            "skip" => self.skip(word, place, mistakes),
            "transparent" => self.transparent = true,
            "skip_serializing" => self.one_way[0] = Some(word.clone()),
            "skip_deserializing" => self.one_way[1] = Some(word.clone()),
            other => {
                refuse(other, word, mistakes);
                pass_over(meta)?;
            }
        }
        Ok(())
    }

    fn skip(&mut self, word: &Ident, place: Place, mistakes: &mut Mistakes) {
        self.skip = true;
        if place == Place::Variant {
            let what = "a skipped variant makes writer and reader number the variants after it differently";
            mistakes.add(word, what, "remove the variant, or keep it on the wire");
        }
    }

    /// Leaving out both ways is skipping; leaving out one way is a mistake.
    fn settle_one_way(&mut self, place: Place, mistakes: &mut Mistakes) {
        match std::mem::take(&mut self.one_way) {
            [Some(word), Some(_)] => self.skip(&word, place, mistakes),
            [Some(word), None] | [None, Some(word)] => refuse(&word.to_string(), &word, mistakes),
            [None, None] => {}
        }
    }
}

fn refuse(name: &str, word: &Ident, mistakes: &mut Mistakes) {
    if let Some((_, what, help)) = REFUSED.iter().find(|(refused, ..)| *refused == name) {
        mistakes.add(word, what, help);
    }
}

/// `= "name"`; a name for each direction is refused.
fn one_name(meta: &ParseNestedMeta<'_>, mistakes: &mut Mistakes) -> syn::Result<Option<LitStr>> {
    if meta.input.peek(Token![=]) {
        return meta.value()?.parse().map(Some);
    }
    let what = "a name that differs by direction cannot be read back from JSON";
    mistakes.add(&meta.path, what, "use one name: `rename = \"…\"`");
    pass_over(meta)?;
    Ok(None)
}

fn preset(meta: &ParseNestedMeta<'_>) -> syn::Result<Preset> {
    if !meta.input.peek(Token![=]) {
        return Ok(Preset::Trait);
    }
    let text: LitStr = meta.value()?.parse()?;
    text.parse().map(Preset::Function)
}

fn pass_over(meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
    while !meta.input.is_empty() && !meta.input.peek(Token![,]) {
        meta.input.parse::<TokenTree>()?;
    }
    Ok(())
}

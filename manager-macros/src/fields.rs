//! The fields of a struct or a variant: their names, types, units, bounds and defaults.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Field, Fields, Type};

use crate::docs;
use crate::mistakes::Mistakes;
use crate::options::{Known, Options, Takes};
use crate::rename::Rule;
use crate::serde_options::{Place, Preset, SerdeOptions};
use crate::types::{self, NotANumber};

/// What `#[schema(…)]` knows.
const KNOWN: &[Known] = &[
    ("unit", Takes::Text, "unit = \"um\""),
    ("min", Takes::Number, "min = 0.0"),
    ("max", Takes::Number, "max = 200.0"),
];

/// What the item around the fields says about all of them.
#[derive(Clone, Copy)]
pub(crate) struct Around {
    /// The case rule of their names.
    pub(crate) rename_all: Option<Rule>,
    /// Whether the whole struct has a default, found in the local `__preset`.
    pub(crate) preset: bool,
    /// Whether the struct stands for its only field.
    pub(crate) transparent: bool,
    /// Whether types are known only by the parameters they have, and defaults therefore not at all.
    pub(crate) generic: bool,
}

/// An expression: the shape of the fields.
pub(crate) fn shape(fields: &Fields, around: Around, mistakes: &mut Mistakes) -> TokenStream {
    let read: Vec<_> = fields.iter().map(|field| OneField::read(field, mistakes)).collect();
    let kept: Vec<_> = read.iter().filter(|field| !field.serde.skip).collect();
    if let (Fields::Unnamed(_), [only]) = (fields, read.as_slice()) {
        only.demand_kept(mistakes);
    }
    let newtype = around.transparent || (matches!(fields, Fields::Unnamed(_)) && read.len() == 1);
    if let (true, Some(only)) = (newtype, kept.first()) {
        let node = only.node();
        return quote!(::labrig::__private::Shape::Newtype(#node));
    }
    match fields {
        Fields::Unit => quote!(::labrig::__private::Shape::Unit),
        Fields::Unnamed(_) => {
            let nodes = kept.iter().map(|field| field.node());
            quote!(::labrig::__private::Shape::Tuple(::std::vec::Vec::from([#(#nodes),*])))
        }
        Fields::Named(_) => {
            let fields = kept.iter().map(|field| field.describe(around));
            quote!(::labrig::__private::Shape::Struct(::std::vec::Vec::from([#(#fields),*])))
        }
    }
}

/// Refuses `#[schema(…)]` on something that is not a named field.
pub(crate) fn refuse_options(attributes: &[syn::Attribute], on: &str, mistakes: &mut Mistakes) {
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("schema")) {
        let help = "write it on the field: `#[schema(unit = \"um\")] height_um: f64`";
        mistakes.add(attribute, format!("unit and bounds belong to a named field, not to {on}"), help);
    }
}

/// A field with all that its attributes say.
struct OneField<'a> {
    field: &'a Field,
    serde: SerdeOptions,
    options: Options,
}

impl<'a> OneField<'a> {
    fn read(field: &'a Field, mistakes: &mut Mistakes) -> Self {
        let serde = SerdeOptions::read(&field.attrs, Place::Field, mistakes);
        let mut options = Options::default();
        for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("schema")) {
            let more = Options::of_meta(&attribute.meta, KNOWN, mistakes);
            options.extend(more, mistakes);
        }
        let read = Self { field, serde, options };
        read.check_options(mistakes);
        read.check_owned(mistakes);
        read
    }

    fn called(&self) -> String {
        self.field
            .ident
            .as_ref()
            .map_or_else(|| "of this tuple".into(), |name| format!("`{}`", docs::name(name)))
    }

    fn check_options(&self, mistakes: &mut Mistakes) {
        if self.field.ident.is_none() {
            return refuse_options(&self.field.attrs, "a field without a name", mistakes);
        }
        if let Some(unit) = self.options.text("unit").filter(|unit| unit.value().trim().is_empty()) {
            mistakes.add(unit, "a unit without a name says nothing", "remove it, or write `unit = \"um\"`");
        }
        if let (Some((min, _)), Some((max, written))) =
            (self.options.number("min"), self.options.number("max"))
            && min > max
        {
            let what = format!("no value is at least {min} and at most {max}");
            mistakes.add(written, what, format!("write `min = {max:?}, max = {min:?}`"));
        }
        self.check_number(mistakes);
    }

    /// Unit and bounds are said of numbers.
    fn check_number(&self, mistakes: &mut Mistakes) {
        let (what, spared) = match types::not_a_number(&self.field.ty) {
            Some(NotANumber::Never(what)) => (what, ""),
            Some(NotANumber::Many(what)) => (what, "unit"),
            None => return,
        };
        if let Some(key) = self.options.keys().find(|key| *key != spared) {
            let problem = format!("`{key}` describes a number, and field {} is {what}", self.called());
            mistakes.add(key, problem, format!("remove `{key}`"));
        }
    }

    /// Refuses what would point into the bytes it was read from.
    fn check_owned(&self, mistakes: &mut Mistakes) {
        if !self.serde.skip && types::is_borrowed(&self.field.ty) {
            let what = format!(
                "field {} is borrowed, and a value from another process owns its data",
                self.called()
            );
            mistakes.add(&self.field.ty, what, format!("own it: `{}`", owned(&self.field.ty)));
        }
    }

    fn demand_kept(&self, mistakes: &mut Mistakes) {
        if self.serde.skip {
            let what = "the only field of a newtype cannot be skipped: the newtype stands for it";
            mistakes.add(&self.field.ty, what, "remove `skip`, or the field");
        }
    }

    fn node(&self) -> TokenStream {
        let ty = &self.field.ty;
        quote!(<#ty as ::labrig::__private::Schema>::schema(__builder))
    }

    fn name(&self, around: Around) -> String {
        let name = self.field.ident.as_ref().map(docs::name).unwrap_or_default();
        match (&self.serde.name, around.rename_all) {
            (Some(renamed), _) => renamed.clone(),
            (None, Some(rule)) => rule.of_field(&name),
            (None, None) => name,
        }
    }

    /// An expression: the field's description.
    fn describe(&self, around: Around) -> TokenStream {
        let (name, doc, node) = (self.name(around), docs::text(&self.field.attrs), self.node());
        let unit = optional_text(self.options.text("unit").map(syn::LitStr::value));
        let min = optional_number(self.options.number("min").map(|(number, _)| number));
        let max = optional_number(self.options.number("max").map(|(number, _)| number));
        let is_optional =
            self.serde.preset.is_some() || around.preset || types::is_named(&self.field.ty, "Option");
        let default = self.default(around);
        quote! {
            ::labrig::__private::Field {
                name: ::std::string::String::from(#name),
                node: #node,
                doc: ::std::string::String::from(#doc),
                unit: #unit,
                min: #min,
                max: #max,
                optional: #is_optional,
                default: #default,
            }
        }
    }

    /// An expression: what the field is when it is left out, as JSON, where that is known.
    fn default(&self, around: Around) -> TokenStream {
        let (ty, ident) = (&self.field.ty, &self.field.ident);
        match &self.serde.preset {
            _ if around.generic => quote!(::core::option::Option::None),
            Some(preset) => {
                let value = preset_value(preset, ty);
                written(&value, &quote!(&__value))
            }
            None if around.preset => written(&quote!(__preset.as_ref()), &quote!(&__value.#ident)),
            None => optional_text(types::is_named(ty, "Option").then(|| "null".to_owned())),
        }
    }
}

/// An expression: the value of a `default` attribute, if it can be made.
pub(crate) fn preset_value(preset: &Preset, ty: &Type) -> TokenStream {
    match preset {
        Preset::Trait => {
            quote!((&&<::labrig::__private::DefaultProbe<#ty> as ::core::default::Default>::default()).value())
        }
        Preset::Function(path) => quote! {{
            let __value: #ty = #path();
            ::core::option::Option::Some(__value)
        }},
    }
}

fn written(value: &TokenStream, part: &TokenStream) -> TokenStream {
    quote!(#value.and_then(|__value| (&&::labrig::__private::TextProbe(#part)).text()))
}

fn optional_text(text: Option<String>) -> TokenStream {
    match text {
        Some(text) => quote!(::core::option::Option::Some(::std::string::String::from(#text))),
        None => quote!(::core::option::Option::None),
    }
}

fn optional_number(number: Option<f64>) -> TokenStream {
    match number {
        Some(number) => quote!(::core::option::Option::Some(#number)),
        None => quote!(::core::option::Option::None),
    }
}

/// What to write instead of a borrowed type.
fn owned(ty: &Type) -> &'static str {
    match types::plain(ty) {
        Type::Reference(reference) if types::is_named(&reference.elem, "str") => "String",
        Type::Reference(reference) if matches!(types::plain(&reference.elem), Type::Slice(_)) => "Vec<…>",
        Type::Reference(reference) if types::is_named(&reference.elem, "Path") => "PathBuf",
        other if types::is_named(other, "Cow") => "String",
        _ => "a type without lifetimes",
    }
}

//! In what two versions of one command differ, named by field.

use crate::wire::{CommandSpec, Field, Node, Shape, TypeSchema, Variant};

/// The first difference that matters between two versions of a command, in words: `one` and `the other`.
pub(super) fn difference(one: &CommandSpec, other: &CommandSpec) -> Option<String> {
    let named = |what: &str, a: String, b: String| (a != b).then(|| differs(what, &a, &b));
    named("the delivery", one.delivery.to_string(), other.delivery.to_string())
        .or_else(|| types(&one.schema, &other.schema))
        .or_else(|| types(&one.reply, &other.reply).map(|it| format!("in the reply, {it}")))
        .or_else(|| (one.id != other.id).then(|| "their fingerprints differ".to_owned()))
        .or_else(|| named("the name", one.name.clone(), other.name.clone()))
        .or_else(|| named("the audience", format!("{:?}", one.audience), format!("{:?}", other.audience)))
        .or_else(|| named("the overflow", format!("{:?}", one.overflow), format!("{:?}", other.overflow)))
}

fn differs(what: &str, one: &str, other: &str) -> String {
    format!("{what} is {one} in one and {other} in the other")
}

/// Types with the same fingerprint are the same; the walk only finds the words for a difference.
fn types(one: &TypeSchema, other: &TypeSchema) -> Option<String> {
    if one.fingerprint() == other.fingerprint() {
        return None;
    }
    let shared = |path: &&String| other.definitions.contains_key(*path);
    nodes("the type", &one.root, &other.root).or_else(|| {
        let mut paths = one.definitions.keys().filter(shared);
        paths.find_map(|path| shapes(path, &one.definitions[path].shape, &other.definitions[path].shape))
    })
}

fn nodes(what: &str, one: &Node, other: &Node) -> Option<String> {
    let (short_one, short_other) = (one.describe(), other.describe());
    match (one == other, short_one == short_other) {
        (true, _) => None,
        (false, false) => Some(differs(what, &short_one, &short_other)),
        (false, true) => Some(differs(what, &one.identity(), &other.identity())),
    }
}

fn shapes(of: &str, one: &Shape, other: &Shape) -> Option<String> {
    match (one, other) {
        (Shape::Unit, Shape::Unit) => None,
        (Shape::Newtype(one), Shape::Newtype(other)) => nodes(&format!("the content of `{of}`"), one, other),
        (Shape::Tuple(one), Shape::Tuple(other)) => {
            let (one, other) = (Node::Tuple(one.clone()), Node::Tuple(other.clone()));
            nodes(&format!("the content of `{of}`"), &one, &other)
        }
        (Shape::Struct(one), Shape::Struct(other)) => fields(of, one, other),
        (Shape::Enum(one), Shape::Enum(other)) => variants(of, one, other),
        (one, other) => Some(differs(&format!("`{of}`"), kind(one), kind(other))),
    }
}

fn kind(shape: &Shape) -> &'static str {
    match shape {
        Shape::Unit => "empty",
        Shape::Newtype(_) => "a single value",
        Shape::Tuple(_) => "a tuple",
        Shape::Struct(_) => "a struct",
        Shape::Enum(_) => "an enum",
    }
}

fn fields(of: &str, one: &[Field], other: &[Field]) -> Option<String> {
    let names = |fields: &[Field]| fields.iter().map(|field| field.name.clone()).collect::<Vec<_>>();
    sequence("field", of, &names(one), &names(other)).or_else(|| {
        let mut pairs = one.iter().zip(other);
        pairs.find_map(|(one, other)| {
            nodes(&format!("field `{}` of `{of}`", one.name), &one.node, &other.node)
        })
    })
}

fn variants(of: &str, one: &[Variant], other: &[Variant]) -> Option<String> {
    let names =
        |variants: &[Variant]| variants.iter().map(|variant| variant.name.clone()).collect::<Vec<_>>();
    sequence("variant", of, &names(one), &names(other)).or_else(|| {
        let mut pairs = one.iter().zip(other);
        pairs.find_map(|(one, other)| shapes(&format!("{of}::{}", one.name), &one.shape, &other.shape))
    })
}

/// How two sequences of names differ: by a name that only one has, or by order.
fn sequence(what: &str, of: &str, one: &[String], other: &[String]) -> Option<String> {
    let only = |have: &[String], lack: &[String]| have.iter().find(|name| !lack.contains(name)).cloned();
    match (only(one, other), only(other, one)) {
        (Some(one), Some(other)) => {
            Some(format!("a {what} of `{of}` is `{one}` in one and `{other}` in the other"))
        }
        (Some(name), None) => Some(format!("{what} `{name}` of `{of}` is in one only")),
        (None, Some(name)) => Some(format!("{what} `{name}` of `{of}` is in the other only")),
        (None, None) => {
            let at = one.iter().zip(other).position(|(one, other)| one != other)?;
            let (first, second) = (&one[at], &other[at]);
            Some(format!(
                "{what} number {} of `{of}` is `{first}` in one and `{second}` in the other",
                at + 1
            ))
        }
    }
}

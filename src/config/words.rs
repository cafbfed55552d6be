//! How the checker speaks of types and values.

use super::check::choices;
use super::code::Code;
use super::fault::Fault;
use super::tree::{Content, Tree};
use crate::wire::{Field, Node, Shape, TypeSchema, Variant};

/// The range of a whole-number type; `None` for all other types.
pub(super) fn range(node: &Node) -> Option<(i128, i128)> {
    Some(match node {
        Node::U8 => (0, u8::MAX.into()),
        Node::U16 => (0, u16::MAX.into()),
        Node::U32 => (0, u32::MAX.into()),
        Node::U64 => (0, u64::MAX.into()),
        Node::U128 => (0, i128::MAX),
        Node::I8 => (i8::MIN.into(), i8::MAX.into()),
        Node::I16 => (i16::MIN.into(), i16::MAX.into()),
        Node::I32 => (i32::MIN.into(), i32::MAX.into()),
        Node::I64 => (i64::MIN.into(), i64::MAX.into()),
        Node::I128 => (i128::MIN, i128::MAX),
        _ => return None,
    })
}

/// A number as people write it.
pub(super) fn number(value: f64) -> String {
    let plain = value == 0.0 || (1e-4..1e15).contains(&value.abs());
    if plain { value.to_string() } else { format!("{value:e}") }
}

/// What a value of the type looks like in a file.
pub(super) fn expectation(node: &Node, schema: &TypeSchema) -> String {
    match node {
        Node::Unit => "an empty table".to_owned(),
        Node::Bool => "`true` or `false`".to_owned(),
        Node::F32 | Node::F64 => "a number".to_owned(),
        Node::Char => "a text of one character".to_owned(),
        Node::Text => "a text".to_owned(),
        Node::Path => "a path, as text".to_owned(),
        Node::Option(inner) => expectation(inner, schema),
        Node::List(inner) => format!("a list, each item {}", expectation(inner, schema)),
        Node::Map(..) => "a table".to_owned(),
        Node::Tuple(parts) => format!("a list of {} values", parts.len()),
        Node::Named(_) => match schema.definition(node).map(|definition| &definition.shape) {
            Some(Shape::Enum(variants)) => format!("one of {}", choices(variants)),
            Some(Shape::Newtype(inner @ (Node::Named(_) | Node::Option(_)))) => inner.describe(),
            Some(Shape::Newtype(inner)) => expectation(inner, schema),
            Some(shape) => content(shape),
            None => "a value".to_owned(),
        },
        Node::Any => "a value".to_owned(),
        _ => "a whole number".to_owned(),
    }
}

/// What a shape holds, in words.
pub(super) fn content(shape: &Shape) -> String {
    match shape {
        Shape::Unit => "an empty table".to_owned(),
        Shape::Newtype(_) => "a value".to_owned(),
        Shape::Tuple(parts) => format!("a list of {} values", parts.len()),
        Shape::Struct(_) => "a table".to_owned(),
        Shape::Enum(variants) => format!("one of {}", choices(variants)),
    }
}

/// What to write when the type is wrong in one of the usual ways.
pub(super) fn type_hint(tree: &Tree, node: &Node) -> Option<String> {
    match (node, &tree.content) {
        (Node::Option(inner), _) => type_hint(tree, inner),
        (Node::List(_), Content::Text(text)) => Some(format!("write a list: `[{text:?}]`")),
        (Node::List(_), Content::Integer(_) | Content::Float(_) | Content::Bool(_)) => {
            Some("write a list: put it in brackets".to_owned())
        }
        (Node::Bool, Content::Text(text)) if matches!(text.as_str(), "true" | "false") => {
            Some(format!("remove the quotes: `{text}`"))
        }
        (Node::F32 | Node::F64, Content::Text(text)) if text.parse::<f64>().is_ok() => {
            Some(format!("remove the quotes: `{text}`"))
        }
        (whole, Content::Text(text)) if range(whole).is_some() && text.parse::<i128>().is_ok() => {
            Some(format!("remove the quotes: `{text}`"))
        }
        (whole, Content::Float(value)) if range(whole).is_some() => {
            Some(format!("write a number without a decimal point, such as `{}`", value.round() as i64))
        }
        (Node::Text | Node::Path, Content::Integer(value)) => {
            Some(format!("put it in quotes: `\"{value}\"`"))
        }
        _ => None,
    }
}

/// A number with the unit of its field.
pub(super) fn with_unit(number: &str, field: &Field) -> String {
    match &field.unit {
        Some(unit) => format!("{number} {unit}"),
        None => number.to_owned(),
    }
}

/// What to write to be within the bounds of a field.
pub(super) fn allowed(field: &Field) -> String {
    let bound = |value: f64| with_unit(&number(value), field);
    match (field.min, field.max) {
        (Some(min), Some(max)) => format!("write {} to {}", number(min), bound(max)),
        (Some(min), None) => format!("write {} or more", bound(min)),
        (None, Some(max)) => format!("write {} or less", bound(max)),
        (None, None) => "write any number".to_owned(),
    }
}

/// Those of the sentences that are there, one after the other.
pub(super) fn sentences<const N: usize>(parts: [Option<String>; N]) -> String {
    parts.into_iter().flatten().collect::<Vec<_>>().join(". ")
}

/// The first sentence of a field's doc text.
pub(super) fn about(field: &Field) -> Option<String> {
    let doc = field.doc.split("\n\n").next().unwrap_or_default().replace('\n', " ");
    let first = doc.split_once(". ").map_or(doc.as_str(), |(first, _)| first);
    let first = first.trim().trim_end_matches('.');
    (!first.is_empty()).then(|| first.to_owned())
}

/// The fault of a value that names no variant.
pub(super) fn not_a_choice(at: &str, tree: &Tree, variants: &[Variant]) -> Fault {
    let message = format!("{at} must be one of {}, not {}", choices(variants), tree.kind());
    Fault::new(Code::WrongType, message)
}

//! Schemas of the standard library's types, as serde writes them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::path::PathBuf;
use std::time::Duration;

use super::schema::{Field, Node, Schema, SchemaBuilder, Shape, Variant};

macro_rules! primitives {
    ($($rust:ty => $node:ident),* $(,)?) => {
        $(#[diagnostic::do_not_recommend]
        impl Schema for $rust {
            fn schema(_: &mut SchemaBuilder) -> Node {
                Node::$node
            }
        })*
    };
}

primitives! {
    () => Unit, bool => Bool, char => Char, String => Text, str => Text, PathBuf => Path,
    u8 => U8, u16 => U16, u32 => U32, u64 => U64, usize => U64, u128 => U128,
    i8 => I8, i16 => I16, i32 => I32, i64 => I64, isize => I64, i128 => I128,
    f32 => F32, f64 => F64,
    std::num::NonZeroU8 => U8, std::num::NonZeroU16 => U16, std::num::NonZeroU32 => U32,
    std::num::NonZeroU64 => U64, std::num::NonZeroUsize => U64,
}

#[diagnostic::do_not_recommend]
impl<T: Schema + ?Sized> Schema for Box<T> {
    fn schema(builder: &mut SchemaBuilder) -> Node {
        T::schema(builder)
    }
}

#[diagnostic::do_not_recommend]
impl<T: Schema> Schema for Option<T> {
    fn schema(builder: &mut SchemaBuilder) -> Node {
        Node::Option(Box::new(T::schema(builder)))
    }
}

macro_rules! lists {
    ($($list:ident),*) => {
        $(#[diagnostic::do_not_recommend]
        impl<T: Schema> Schema for $list<T> {
            fn schema(builder: &mut SchemaBuilder) -> Node {
                Node::List(Box::new(T::schema(builder)))
            }
        })*
    };
}

lists!(Vec, VecDeque, BTreeSet);

#[diagnostic::do_not_recommend]
impl<T: Schema, S> Schema for HashSet<T, S> {
    fn schema(builder: &mut SchemaBuilder) -> Node {
        Node::List(Box::new(T::schema(builder)))
    }
}

#[diagnostic::do_not_recommend]
impl<K: Schema, V: Schema> Schema for BTreeMap<K, V> {
    fn schema(builder: &mut SchemaBuilder) -> Node {
        Node::Map(Box::new(K::schema(builder)), Box::new(V::schema(builder)))
    }
}

#[diagnostic::do_not_recommend]
impl<K: Schema, V: Schema, S> Schema for HashMap<K, V, S> {
    fn schema(builder: &mut SchemaBuilder) -> Node {
        Node::Map(Box::new(K::schema(builder)), Box::new(V::schema(builder)))
    }
}

#[diagnostic::do_not_recommend]
impl<T: Schema, const N: usize> Schema for [T; N] {
    fn schema(builder: &mut SchemaBuilder) -> Node {
        Node::Tuple(vec![T::schema(builder); N])
    }
}

macro_rules! tuples {
    ($(($($part:ident),+)),*) => {
        $(#[diagnostic::do_not_recommend]
        impl<$($part: Schema),+> Schema for ($($part,)+) {
            fn schema(builder: &mut SchemaBuilder) -> Node {
                Node::Tuple(vec![$($part::schema(builder)),+])
            }
        })*
    };
}

tuples!((A), (A, B), (A, B, C), (A, B, C, D), (A, B, C, D, E), (A, B, C, D, E, F));

#[diagnostic::do_not_recommend]
impl Schema for Duration {
    fn schema(builder: &mut SchemaBuilder) -> Node {
        builder.named("core::time::Duration", "A span of time.", |_| {
            let field = |name: &str, node| Field {
                name: name.into(),
                node,
                doc: String::new(),
                unit: None,
                min: None,
                max: None,
                optional: false,
                default: None,
            };
            Shape::Struct(vec![field("secs", Node::U64), field("nanos", Node::U32)])
        })
    }
}

#[diagnostic::do_not_recommend]
impl<T: Schema, E: Schema> Schema for Result<T, E> {
    fn schema(builder: &mut SchemaBuilder) -> Node {
        let (ok, err) = (T::schema(builder), E::schema(builder));
        let path = format!("core::result::Result<{}, {}>", ok.identity(), err.identity());
        let variant =
            |name: &str, node| Variant { name: name.into(), doc: String::new(), shape: Shape::Newtype(node) };
        builder.named(&path, "Success or failure.", |_| {
            Shape::Enum(vec![variant("Ok", ok), variant("Err", err)])
        })
    }
}

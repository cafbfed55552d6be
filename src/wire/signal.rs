//! Signals: values that a manager publishes, as they lie in shared memory.
//!
//! A *set* is a struct of plain values that belong together: it is published as a whole, and read as a whole or
//! signal by signal. Each value is some words of 64 bits, in the order of the fields; how many follows from its
//! schema, so that whoever knows the schema can find and show a value without knowing its type.

use serde_json::{Value, json};

use super::schema::{Field, Node, Schema, Shape, TypeSchema, Variant};

/// How deep values may nest: far more than anybody publishes, far less than a stack holds.
const MAX_DEPTH: usize = 16;

/// How many values a set may have, those that only hold others counted too. What is larger belongs into a stream.
pub const MAX_SIGNAL_VALUES: usize = 1 << 16;

/// A value that can be published: a number, a truth value, an array of them, or a type that derives
/// [`Signals`](derive@crate::Signals).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be published as a signal",
    label = "this is neither a number, a `bool`, an array of them, nor a type that derives `Signals`",
    note = "a signal has a fixed size; write a command or a stream for anything else"
)]
pub trait SignalValue: Schema + Copy + Send + 'static {
    /// How many words it takes.
    const WORDS: usize;

    /// Hands out its words, exactly [`WORDS`](Self::WORDS) of them.
    fn put(&self, put: &mut impl FnMut(u64));

    /// Makes the value of its words; nothing when they are those of no value.
    fn take(next: &mut impl FnMut() -> u64) -> Option<Self>;
}

/// A set of signals that are published together. Derive it with [`#[derive(Signals)]`](derive@crate::Signals).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no set of signals",
    label = "this type is to be published",
    note = "write `#[derive(Signals, Schema, Clone, Copy)]` on the struct"
)]
pub trait Signals: SignalValue {
    /// The source file of the type.
    const FILE: &'static str;
    /// Its line there.
    const LINE: u32;
}

macro_rules! whole_numbers {
    ($($rust:ty),*) => {
        $(#[diagnostic::do_not_recommend]
        impl SignalValue for $rust {
            const WORDS: usize = 1;

            #[inline]
            fn put(&self, put: &mut impl FnMut(u64)) {
                // Of a negative number the bits, so that no two values share a word.
                put(*self as u64);
            }

            #[inline]
            fn take(next: &mut impl FnMut() -> u64) -> Option<Self> {
                let word = next();
                let value = word as Self;
                (value as u64 == word).then_some(value)
            }
        })*
    };
}

whole_numbers!(u8, u16, u32, u64, i8, i16, i32, i64);

#[diagnostic::do_not_recommend]
impl SignalValue for f64 {
    const WORDS: usize = 1;

    #[inline]
    fn put(&self, put: &mut impl FnMut(u64)) {
        put(self.to_bits());
    }

    #[inline]
    fn take(next: &mut impl FnMut() -> u64) -> Option<Self> {
        Some(Self::from_bits(next()))
    }
}

#[diagnostic::do_not_recommend]
impl SignalValue for f32 {
    const WORDS: usize = 1;

    #[inline]
    fn put(&self, put: &mut impl FnMut(u64)) {
        put(u64::from(self.to_bits()));
    }

    #[inline]
    fn take(next: &mut impl FnMut() -> u64) -> Option<Self> {
        u32::try_from(next()).ok().map(Self::from_bits)
    }
}

#[diagnostic::do_not_recommend]
impl SignalValue for bool {
    const WORDS: usize = 1;

    #[inline]
    fn put(&self, put: &mut impl FnMut(u64)) {
        put(u64::from(*self));
    }

    #[inline]
    fn take(next: &mut impl FnMut() -> u64) -> Option<Self> {
        match next() {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

#[diagnostic::do_not_recommend]
impl<T: SignalValue, const N: usize> SignalValue for [T; N] {
    const WORDS: usize = T::WORDS * N;

    #[inline]
    fn put(&self, put: &mut impl FnMut(u64)) {
        self.iter().for_each(|value| value.put(put));
    }

    #[inline]
    fn take(next: &mut impl FnMut() -> u64) -> Option<Self> {
        // All words are taken, also behind one that is of no value: the next value begins where this one ends.
        let values: [Option<T>; N] = std::array::from_fn(|_| T::take(next));
        let whole = values.iter().all(Option::is_some);
        whole.then(|| values.map(|value| value.expect("every one was just seen to be there")))
    }
}

/// Where a signal lies in its set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placed<'a> {
    /// Its description.
    pub field: &'a Field,
    /// Its first word, counted from the beginning of the set.
    pub first: usize,
    /// How many words it takes.
    pub words: usize,
}

impl TypeSchema {
    /// How many words a value of this type takes as a set of signals; nothing when it cannot be one.
    pub fn signal_words(&self) -> Option<usize> {
        let mut left = MAX_SIGNAL_VALUES;
        words_of(self, &self.root, 0, &mut left)
    }

    /// The signals of this set in the order of its words; none when it is no set.
    pub fn signals(&self) -> Vec<Placed<'_>> {
        let (mut first, mut left) = (0, MAX_SIGNAL_VALUES);
        let placed = self.fields().iter().map(|field| {
            let words = words_of(self, &field.node, 0, &mut left)?;
            let placed = Placed { field, first, words };
            first += words;
            Some(placed)
        });
        placed.collect::<Option<Vec<_>>>().unwrap_or_default()
    }

    /// A signal of this set as JSON, made of its words. What JSON cannot write, such as NaN, is a text. Nothing when
    /// the words are those of no value.
    pub fn signal_json(&self, field: &Field, words: &[u64]) -> Option<Value> {
        let mut words = words.iter();
        value_of(self, &field.node, &mut words, 0)
    }
}

/// How many words a value takes; nothing when a value of this type cannot be published.
/// `left` is how many values may still come: a type that another program describes may be nested as it likes.
fn words_of(schema: &TypeSchema, node: &Node, depth: usize, left: &mut usize) -> Option<usize> {
    *left = left.checked_sub(1).filter(|_| depth <= MAX_DEPTH)?;
    let add = |sum: usize, node: &Node| sum.checked_add(words_of(schema, node, depth + 1, left)?);
    match node {
        Node::Bool | Node::F32 | Node::F64 => Some(1),
        Node::U8 | Node::U16 | Node::U32 | Node::U64 => Some(1),
        Node::I8 | Node::I16 | Node::I32 | Node::I64 => Some(1),
        Node::Tuple(parts) => parts.iter().try_fold(0, add),
        named => match &schema.definition(named)?.shape {
            Shape::Struct(fields) => fields.iter().map(|field| &field.node).try_fold(0, add),
            Shape::Enum(variants) => variants.iter().all(is_plain).then_some(1),
            Shape::Newtype(inner) => words_of(schema, inner, depth + 1, left),
            Shape::Unit | Shape::Tuple(_) => None,
        },
    }
}

fn is_plain(variant: &Variant) -> bool {
    variant.shape == Shape::Unit
}

fn value_of(
    schema: &TypeSchema,
    node: &Node,
    words: &mut std::slice::Iter<'_, u64>,
    depth: usize,
) -> Option<Value> {
    if depth > MAX_DEPTH {
        return None;
    }
    let next = &mut || words.next().copied().unwrap_or(u64::MAX);
    match node {
        Node::Bool => bool::take(next).map(Value::from),
        Node::F32 => f32::take(next).map(|value| number(f64::from(value))),
        Node::F64 => f64::take(next).map(number),
        Node::U8 => u8::take(next).map(Value::from),
        Node::U16 => u16::take(next).map(Value::from),
        Node::U32 => u32::take(next).map(Value::from),
        Node::U64 => u64::take(next).map(Value::from),
        Node::I8 => i8::take(next).map(Value::from),
        Node::I16 => i16::take(next).map(Value::from),
        Node::I32 => i32::take(next).map(Value::from),
        Node::I64 => i64::take(next).map(Value::from),
        Node::Tuple(parts) => {
            parts.iter().map(|part| value_of(schema, part, words, depth + 1)).collect::<Option<_>>()
        }
        named => match &schema.definition(named)?.shape {
            Shape::Struct(fields) => {
                let mut member = |field: &Field| {
                    Some((field.name.clone(), value_of(schema, &field.node, words, depth + 1)?))
                };
                fields.iter().map(&mut member).collect::<Option<serde_json::Map<_, _>>>().map(Value::Object)
            }
            Shape::Enum(variants) => {
                variants.get(usize::try_from(next()).ok()?).map(|variant| json!(variant.name))
            }
            Shape::Newtype(inner) => value_of(schema, inner, words, depth + 1),
            Shape::Unit | Shape::Tuple(_) => None,
        },
    }
}

/// A number, or its text where JSON has none.
fn number(value: f64) -> Value {
    if value.is_finite() { json!(value) } else { json!(value.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::super::schema::Definition;
    use super::*;

    fn words<T: SignalValue>(value: T) -> Vec<u64> {
        let mut words = Vec::new();
        value.put(&mut |word| words.push(word));
        words
    }

    fn check_value<T: SignalValue + PartialEq + std::fmt::Debug>(value: T, expected: Value) {
        let words = words(value);
        let schema = TypeSchema::of::<T>();
        assert_eq!((words.len(), schema.signal_words()), (T::WORDS, Some(T::WORDS)));
        let mut left = words.iter();
        assert_eq!(T::take(&mut || *left.next().expect("as many as were put")), Some(value));
        let json = value_of(&schema, &schema.root, &mut words.iter(), 0);
        assert_eq!(json, Some(expected));
    }

    #[test]
    fn every_value_comes_back_as_it_was_put() {
        check_value(f64::MIN_POSITIVE, json!(f64::MIN_POSITIVE));
        check_value(-1.5_f32, json!(-1.5));
        check_value(f64::INFINITY, json!("inf"));
        check_value(i8::MIN, json!(-128));
        check_value(-7_i64, json!(-7));
        check_value(u64::MAX, json!(u64::MAX));
        check_value(true, json!(true));
        check_value([[1_u16, 2], [3, 4]], json!([[1, 2], [3, 4]]));
    }

    /// Words that no honest publisher writes are no value, of whatever type.
    fn check_damaged<T: SignalValue + PartialEq + std::fmt::Debug>(word: u64) {
        assert_eq!(T::take(&mut || word), None, "{word:#x}");
    }

    #[test]
    fn words_that_are_no_value_are_refused() {
        check_damaged::<bool>(2);
        check_damaged::<u8>(256);
        check_damaged::<i8>(128);
        check_damaged::<i32>(0xffff_ffff);
        check_damaged::<f32>(1 << 32);
        check_damaged::<[bool; 2]>(7);
    }

    #[test]
    fn what_has_no_fixed_size_has_no_words() {
        assert_eq!(TypeSchema::of::<Vec<f64>>().signal_words(), None);
        assert_eq!(TypeSchema::of::<String>().signal_words(), None);
        assert_eq!(TypeSchema::of::<Option<f64>>().signal_words(), None);
        assert_eq!(TypeSchema::of::<[f64; MAX_SIGNAL_VALUES]>().signal_words(), None);
        assert_eq!(TypeSchema::of::<[f64; 1000]>().signal_words(), Some(1000));
    }

    #[test]
    fn a_type_that_grows_with_every_level_is_not_followed_to_its_end() {
        let field = |node: Node| Field {
            name: "more".to_owned(),
            node,
            doc: String::new(),
            unit: None,
            min: None,
            max: None,
            optional: false,
            default: None,
        };
        let level = |number: usize| {
            let below = Node::Named((number + 1).to_string());
            let shape = Shape::Struct(vec![field(below); 100]);
            (number.to_string(), Definition { path: number.to_string(), doc: String::new(), shape })
        };
        let definitions = (0..MAX_DEPTH).map(level).collect();
        let schema = TypeSchema { root: Node::Named("0".to_owned()), definitions, guarded: false };
        assert_eq!((schema.signal_words(), schema.signals()), (None, Vec::new()));
    }
}

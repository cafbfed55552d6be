//! What managers share: objects in shared memory that one manager writes and any process of the rig reads.
//!
//! A kind says which objects its managers share, by name; so the registry knows their columns, units and sizes before
//! anything starts, and the coordinator makes the memory. How each lies there is the business of `shm`.

use serde::{Deserialize, Serialize};

use super::control::PublishedObject;
use super::schema::{Field, Node, Schema, Shape, TypeSchema};
use super::signal::SignalValue;

/// The most memory that one object may take, in words of eight bytes: 1 GiB.
pub const MAX_SHARED_WORDS: u64 = 1 << 27;

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, labrig::Schema)]
pub enum SharedKind {
    /// A time series of rows, of which the latest are there.
    Rows,
    /// The latest value of any type that can be sent.
    Value,
    /// Rows that are found by their key.
    Table,
    /// Records that stay, up to a number.
    Dataset,
    /// Numbers that are added to.
    Counters,
}

impl SharedKind {
    /// What the type is called that writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rows => "RowRing",
            Self::Value => "LatestValue",
            Self::Table => "VersionedTable",
            Self::Dataset => "AppendDataset",
            Self::Counters => "Counters",
        }
    }
}

/// The sizes of an object, from which follows how much memory it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, labrig::Schema)]
pub struct SharedLayout {
    /// What it is.
    pub kind: SharedKind,
    /// How many words one row, record or set of counters takes; 0 for a value of any type.
    pub item_words: u64,
    /// How many words a key takes; 0 where there is none.
    pub key_words: u64,
    /// How many rows or records it holds; of a value, how many bytes.
    pub capacity: u64,
}

/// An object as its kind declares it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, labrig::Schema)]
pub struct SharedSpec {
    /// Its name, one for each object of a kind.
    pub name: String,
    /// What it is.
    pub kind: SharedKind,
    /// The type of its rows, records, counters, or of the value.
    pub item: TypeSchema,
    /// The type of its keys, in a table.
    pub key: Option<TypeSchema>,
    /// How many rows or records it holds; of a value, how many bytes; of counters, 1.
    pub capacity: u64,
}

impl SharedSpec {
    /// An object that is yet to be named.
    pub fn declare<T: Schema>(kind: SharedKind, capacity: u64) -> Self {
        Self { name: String::new(), kind, item: TypeSchema::of::<T>(), key: None, capacity }
    }

    /// A table, yet to be named, whose keys are of that type.
    #[must_use]
    pub fn keyed_by<K: SignalValue>(self) -> Self {
        Self { key: Some(TypeSchema::of::<K>()), ..self }
    }

    /// The same under a name.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self }
    }

    /// Its sizes; nothing when its types have none, which [`flaw`](Self::flaw) tells.
    pub fn layout(&self) -> Option<SharedLayout> {
        let item_words = if self.kind == SharedKind::Value { Some(0) } else { self.item.signal_words() };
        let key_words = self.key.as_ref().map_or(Some(0), TypeSchema::signal_words);
        Some(SharedLayout {
            kind: self.kind,
            item_words: item_words? as u64,
            key_words: key_words? as u64,
            capacity: self.capacity,
        })
    }

    /// What its writer is told of it; nothing when it has no sizes.
    pub fn published(&self) -> Option<PublishedObject> {
        let key = self.key.as_ref().map_or(0, TypeSchema::fingerprint);
        let (name, item, layout) = (self.name.clone(), self.item.fingerprint(), self.layout()?);
        Some(PublishedObject { name, item, key, layout })
    }

    /// Why it cannot be shared, if so.
    pub fn flaw(&self) -> Option<String> {
        let item = self.item.root.describe();
        if self.capacity == 0 {
            return Some("it has room for nothing".to_owned());
        }
        if self.kind != SharedKind::Value && self.item.signals().is_empty() {
            return Some(format!("`{item}` has no fields of a fixed size"));
        }
        let is_unfit = |field: &&Field| match self.kind {
            SharedKind::Rows => ColumnType::of(&self.item, &field.node).is_none(),
            SharedKind::Counters => field.node != Node::U64,
            _ => false,
        };
        let unfit = self.item.fields().iter().find(is_unfit)?;
        let expected =
            if self.kind == SharedKind::Rows { "one number for a column" } else { "a `u64` to count" };
        Some(format!("`{}` of `{item}` is not {expected}", unfit.name))
    }

    /// The columns of its rows, or the names of its counters, in order.
    pub fn columns(&self) -> Vec<Column> {
        let column = |field: &Field| {
            let of = ColumnType::of(&self.item, &field.node)?;
            Some(Column { name: field.name.clone(), unit: field.unit.clone(), doc: field.doc.clone(), of })
        };
        self.item.fields().iter().filter_map(column).collect()
    }
}

/// A column of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its unit, if one is declared.
    pub unit: Option<String>,
    /// What it is about.
    pub doc: String,
    of: ColumnType,
}

impl Column {
    /// The value that this word stands for, as a number: of a truth value 0 or 1, of a variant its place. Whole numbers
    /// above 2^53 lose their last digits, and what is no value of the type is NaN.
    #[inline]
    pub fn number(&self, word: u64) -> f64 {
        match self.of {
            ColumnType::Real => f64::from_bits(word),
            ColumnType::Single => {
                u32::try_from(word).map_or(f64::NAN, |bits| f64::from(f32::from_bits(bits)))
            }
            ColumnType::Signed => word as i64 as f64,
            ColumnType::Unsigned => word as f64,
        }
    }
}

/// How a column's words are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ColumnType {
    Real,
    Single,
    Signed,
    Unsigned,
}

impl ColumnType {
    fn of(schema: &TypeSchema, node: &Node) -> Option<Self> {
        match node {
            Node::F64 => Some(Self::Real),
            Node::F32 => Some(Self::Single),
            Node::I8 | Node::I16 | Node::I32 | Node::I64 => Some(Self::Signed),
            Node::U8 | Node::U16 | Node::U32 | Node::U64 | Node::Bool => Some(Self::Unsigned),
            named => {
                let is_choice = matches!(schema.definition(named)?.shape, Shape::Enum(_));
                is_choice.then_some(Self::Unsigned)
            }
        }
    }
}

/// The words of a value.
pub(crate) fn words_of<V: SignalValue>(value: &V) -> Vec<u64> {
    let mut words = Vec::with_capacity(V::WORDS);
    value.put(&mut |word| words.push(word));
    words
}

/// The value that begins with these words; nothing when they are those of no value, or too few.
pub(crate) fn value_of_words<V: SignalValue>(words: &[u64]) -> Option<V> {
    let mut words = words.iter();
    V::take(&mut || words.next().copied().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::macros::{Schema, Signals};

    #[derive(Signals, Schema, Clone, Copy)]
    enum Way {
        Up,
        Down,
    }

    #[derive(Signals, Schema, Clone, Copy)]
    struct Row {
        #[schema(unit = "um")]
        x_um: f64,
        near: f32,
        below: i8,
        is_lit: bool,
        way: Way,
    }

    #[derive(Signals, Schema, Clone, Copy)]
    struct Pair {
        both: [f64; 2],
    }

    #[test]
    fn every_value_of_a_row_is_a_number() {
        let row = Row { x_um: -0.5, near: 1.5, below: -3, is_lit: true, way: Way::Down };
        let spec = SharedSpec::declare::<Row>(SharedKind::Rows, 8);
        let columns = spec.columns();
        let numbers: Vec<_> = columns.iter().zip(words_of(&row)).map(|(it, word)| it.number(word)).collect();
        assert_eq!(numbers, [-0.5, 1.5, -3.0, 1.0, 1.0]);
        assert_eq!((columns[0].name.as_str(), columns[0].unit.as_deref()), ("x_um", Some("um")));
        assert!(columns[1].number(u64::MAX).is_nan());
        let up = Row { way: Way::Up, ..row };
        assert_eq!(value_of_words::<Row>(&words_of(&up)).map(|row| row.x_um), Some(-0.5));
    }

    fn check_flaw(spec: SharedSpec, expected: Option<&str>) {
        assert_eq!(spec.flaw().as_deref(), expected);
    }

    #[test]
    fn what_cannot_be_shared_says_why() {
        check_flaw(SharedSpec::declare::<Row>(SharedKind::Rows, 8), None);
        check_flaw(SharedSpec::declare::<Row>(SharedKind::Rows, 0), Some("it has room for nothing"));
        check_flaw(
            SharedSpec::declare::<Pair>(SharedKind::Rows, 8),
            Some("`both` of `Pair` is not one number for a column"),
        );
        check_flaw(SharedSpec::declare::<Pair>(SharedKind::Table, 8).keyed_by::<u32>(), None);
        check_flaw(
            SharedSpec::declare::<Row>(SharedKind::Counters, 1),
            Some("`x_um` of `Row` is not a `u64` to count"),
        );
        check_flaw(
            SharedSpec::declare::<String>(SharedKind::Dataset, 8),
            Some("`text` has no fields of a fixed size"),
        );
        check_flaw(SharedSpec::declare::<String>(SharedKind::Value, 64), None);
    }
}

//! Tables: named columns of one length, each a list that travels as lists do.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::de::Error as _;
use serde::ser::{Error as _, SerializeStruct};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::shm::{Packing, SegmentCreateError, Shared, Tally};
use crate::wire::codec::because;

/// Why columns are no table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// A column is longer or shorter than the first.
    #[error("the column `{column}` has {rows} rows, the first one has {expected}")]
    OtherLength {
        /// Which column.
        column: String,
        /// How many rows it has.
        rows: usize,
        /// How many the first one has.
        expected: usize,
    },
    /// Two columns have one name.
    #[error("two columns are called `{column}`")]
    Duplicate {
        /// The name.
        column: String,
    },
}

/// The values of a column. Variants are only ever appended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, labrig::Schema)]
#[non_exhaustive]
pub enum Values {
    /// Small numbers, flags and classes.
    U8(Shared<u8>),
    /// Whole numbers.
    I64(Shared<i64>),
    /// Whole numbers from 0 on, such as counters and times.
    U64(Shared<u64>),
    /// Numbers that need few digits.
    F32(Shared<f32>),
    /// Numbers.
    F64(Shared<f64>),
    /// Texts; they travel among the bytes of the envelope.
    Text(Vec<String>),
}

impl Values {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::U8(values) => values.len(),
            Self::I64(values) => values.len(),
            Self::U64(values) => values.len(),
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
            Self::Text(values) => values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Does the same with a column of whichever numbers; else what is said for texts.
macro_rules! with_numbers {
    ($values:expr, $list:ident => $does:expr, text => $text:expr) => {
        match $values {
            Values::U8($list) => $does,
            Values::I64($list) => $does,
            Values::U64($list) => $does,
            Values::F32($list) => $does,
            Values::F64($list) => $does,
            Values::Text(_) => $text,
        }
    };
}

impl Values {
    fn count_in(&self, tally: &mut Tally) {
        with_numbers!(self, list => tally.count(list), text => ());
    }

    /// Puts its numbers into a packing; says where they begin. Large lists that lie in shared memory stay where they are,
    /// unless all are to go there.
    fn put_into(&self, packing: &mut Packing, with_all: bool) -> Option<usize> {
        with_numbers!(self, list => (with_all || !list.is_large_in_memory()).then(|| packing.put(list)), text => None)
    }

    /// The same numbers as they lie in the packing.
    fn taken_from(&self, packing: &Shared<u8>, start: usize) -> Self {
        let count = self.len();
        match self {
            Self::U8(_) => Self::U8(Shared::in_packing(packing, start, count)),
            Self::I64(_) => Self::I64(Shared::in_packing(packing, start, count)),
            Self::U64(_) => Self::U64(Shared::in_packing(packing, start, count)),
            Self::F32(_) => Self::F32(Shared::in_packing(packing, start, count)),
            Self::F64(_) => Self::F64(Shared::in_packing(packing, start, count)),
            Self::Text(texts) => Self::Text(texts.clone()),
        }
    }
}

macro_rules! values_from {
    ($($rust:ty => $variant:ident),* $(,)?) => {
        $(impl From<$rust> for Values {
            fn from(values: $rust) -> Self {
                Self::$variant(values.into())
            }
        })*
    };
}

values_from! {
    Vec<u8> => U8, Vec<i64> => I64, Vec<u64> => U64, Vec<f32> => F32, Vec<f64> => F64, Vec<String> => Text,
    Shared<u8> => U8, Shared<i64> => I64, Shared<u64> => U64, Shared<f32> => F32, Shared<f64> => F64,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, labrig::Schema)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// The unit of its numbers; empty for none.
    pub unit: String,
    /// Its values.
    pub values: Values,
}

impl Column {
    /// A column; without a unit it is given the empty one.
    pub fn new(name: impl Into<String>, unit: impl Into<String>, values: impl Into<Values>) -> Self {
        Self { name: name.into(), unit: unit.into(), values: values.into() }
    }
}

/// How many buffers a table takes on its way, at most: an envelope carries twice as many.
const MOST_BUFFERS: usize = 8;

/// A table for commands and replies. Its columns are of one length and have names of their own.
///
/// Columns travel as lists do. When they would take more than eight buffers, or more than 16 KiB of their envelope, they
/// are copied side by side into one buffer as they are sent, all but the large ones that lie in shared memory already and
/// are fewer than eight. So a table has as many columns and rows as memory allows; names, units and texts have to fit the
/// envelope, which is 127 KiB.
///
/// ```
/// use labrig::payload::{Column, Table};
///
/// let table = Table::new([
///     Column::new("time", "s", vec![0.0, 0.1, 0.2]),
///     Column::new("height", "um", vec![12.0, 12.5, 13.0]),
/// ])?;
/// assert_eq!((table.rows(), table.f64("height")), (3, Some(&[12.0, 12.5, 13.0][..])));
/// # Ok::<(), labrig::payload::TableError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, labrig::Schema)]
pub struct Table {
    columns: Vec<Column>,
}

impl Table {
    /// A table of these columns.
    ///
    /// # Errors
    /// [`TableError`], when they do not fit together.
    pub fn new(columns: impl Into<Vec<Column>>) -> Result<Self, TableError> {
        let columns = columns.into();
        let expected = columns.first().map_or(0, |column| column.values.len());
        let mut names = BTreeSet::new();
        for Column { name, values, .. } in &columns {
            let (column, rows) = (name.clone(), values.len());
            if rows != expected {
                return Err(TableError::OtherLength { column, rows, expected });
            }
            if !names.insert(name) {
                return Err(TableError::Duplicate { column });
            }
        }
        Ok(Self { columns })
    }

    /// Its columns, in order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The numbers of the column of that name, if it has such.
    pub fn f64(&self, name: &str) -> Option<&[f64]> {
        match &self.column(name)?.values {
            Values::F64(values) => Some(values),
            _ => None,
        }
    }

    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.columns.first().map_or(0, |column| column.values.len())
    }
}

impl Serialize for Table {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let columns = match serializer.is_human_readable() {
            true => Ok(Cow::Borrowed(self.columns.as_slice())),
            false => packed(&self.columns),
        };
        let columns = columns.map_err(|error| {
            log::error!("a table cannot be sent: {error}");
            S::Error::custom(because("no memory is left for a shared buffer"))
        })?;
        let mut table = serializer.serialize_struct("Table", 1)?;
        table.serialize_field("columns", &columns)?;
        table.end()
    }
}

/// The columns as they travel: those that would take too many buffers, or too much of the envelope, in one buffer.
fn packed(columns: &[Column]) -> Result<Cow<'_, [Column]>, SegmentCreateError> {
    let mut tally = Tally::default();
    columns.iter().for_each(|column| column.values.count_in(&mut tally));
    if !tally.is_to_be_packed(MOST_BUFFERS) {
        return Ok(Cow::Borrowed(columns));
    }
    // The packing is a buffer too.
    let with_all = tally.in_memory >= MOST_BUFFERS;
    let room = tally.room + if with_all { tally.room_in_memory } else { 0 };
    let mut packing = Packing::new(room)?;
    let starts: Vec<_> =
        columns.iter().map(|column| column.values.put_into(&mut packing, with_all)).collect();
    let packing = packing.share();
    let packed = columns.iter().zip(starts).map(|(column, start)| match start {
        Some(start) => Column { values: column.values.taken_from(&packing, start), ..column.clone() },
        None => column.clone(),
    });
    Ok(Cow::Owned(packed.collect()))
}

/// A table as it is read.
#[derive(Deserialize)]
struct Wire {
    columns: Vec<Column>,
}

impl<'de> Deserialize<'de> for Table {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Wire { columns } = Wire::deserialize(deserializer)?;
        Self::new(columns).map_err(|why| D::Error::custom(because(why.to_string())))
    }
}

#[cfg(test)]
mod tests;

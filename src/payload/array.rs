//! Arrays of any number of axes, as they travel: packed, in the order of C or of Fortran.

use std::fmt;

use serde::de::Error as _;
use serde::ser::{Error as _, SerializeStruct};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::strided::ArrayView;
use crate::shm::{Element, Piece, Shared, fields};
use crate::wire::codec::because;
use crate::wire::{Field, Node, Schema, SchemaBuilder, Shape};

/// How many axes an array has at most.
pub(super) const MOST_AXES: usize = 32;

/// In which order the values of an array lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, labrig::Schema)]
pub enum Order {
    /// The last axis runs fastest: row by row.
    #[default]
    C,
    /// The first axis runs fastest: column by column.
    Fortran,
}

/// Why values are no array.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// There are more values or fewer than the shape has places.
    #[error("an array of shape {shape:?} does not have {values} values")]
    OtherCount {
        /// The shape.
        shape: Vec<usize>,
        /// How many values there are.
        values: usize,
    },
    /// More axes than an array has.
    #[error("an array of {axes} axes, {MOST_AXES} is the limit")]
    TooManyAxes {
        /// How many.
        axes: usize,
    },
    /// Some place of the array would lie outside of its values.
    #[error("the strides {strides:?} of an array of shape {shape:?} lead out of its {values} values")]
    OutOfBounds {
        /// The shape.
        shape: Vec<usize>,
        /// From one place to the next along each axis, in values.
        strides: Vec<isize>,
        /// How many values there are.
        values: usize,
    },
}

/// An array of numbers for commands and replies: a shape and its values, without gaps. Never changed, cheap to clone.
///
/// No axis at all is one value; an axis of length 0 is none. A view with other strides is packed when it is made an
/// array ([`ArrayView::to_array`]); both orders are kept. In JSON it is `{"shape": [2, 2], "data": [1, 2, 3, 4]}`,
/// with `"order": "Fortran"` where that is so.
///
/// ```
/// use labrig::payload::Array;
///
/// let image = Array::new([2, 3], vec![0_u16, 1, 2, 3, 4, 5])?;
/// assert_eq!(image.get(&[1, 0]), Some(&3));
/// assert!(image.view().transposed().iter().eq(&[0, 3, 1, 4, 2, 5]));
/// # Ok::<(), labrig::payload::ShapeError>(())
/// ```
#[derive(Clone)]
pub struct Array<T> {
    shape: Vec<usize>,
    order: Order,
    values: Shared<T>,
}

impl<T: Element> Array<T> {
    /// An array in the order of C.
    ///
    /// # Errors
    /// [`ShapeError`], when the values do not fill the shape.
    pub fn new(shape: impl Into<Vec<usize>>, values: impl Into<Shared<T>>) -> Result<Self, ShapeError> {
        Self::in_order(shape, Order::C, values)
    }

    /// An array in either order.
    ///
    /// # Errors
    /// [`ShapeError`], when the values do not fill the shape.
    pub fn in_order(
        shape: impl Into<Vec<usize>>,
        order: Order,
        values: impl Into<Shared<T>>,
    ) -> Result<Self, ShapeError> {
        let (shape, values) = (shape.into(), values.into());
        if shape.len() > MOST_AXES {
            return Err(ShapeError::TooManyAxes { axes: shape.len() });
        }
        if count(&shape) != Some(values.len()) {
            return Err(ShapeError::OtherCount { shape, values: values.len() });
        }
        Ok(Self { shape, order, values })
    }

    /// How long each axis is.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// In which order its values lie.
    pub fn order(&self) -> Order {
        self.order
    }

    /// Its values, in that order.
    pub fn values(&self) -> &Shared<T> {
        &self.values
    }

    /// From one place to the next along each axis, in values.
    pub fn strides(&self) -> Vec<isize> {
        let mut strides = vec![0; self.shape.len()];
        let mut step = 1_isize;
        let mut set = |axis: usize| {
            strides[axis] = step;
            step = step.saturating_mul(self.shape[axis] as isize);
        };
        match self.order {
            Order::C => (0..self.shape.len()).rev().for_each(&mut set),
            Order::Fortran => (0..self.shape.len()).for_each(&mut set),
        }
        strides
    }

    /// The value at that place, if there is such a place.
    pub fn get(&self, place: &[usize]) -> Option<&T> {
        let is_within =
            place.len() == self.shape.len() && place.iter().zip(&self.shape).all(|(at, of)| at < of);
        let strides = self.strides();
        let at = place.iter().zip(&strides).map(|(at, stride)| at * stride.unsigned_abs()).sum::<usize>();
        if is_within { self.values.get(at) } else { None }
    }

    /// A view, to be turned, thinned out or walked through.
    pub fn view(&self) -> ArrayView<'_, T> {
        ArrayView::whole(&self.values, self.shape.clone(), self.strides())
    }
}

impl<T: Element> std::ops::Deref for Array<T> {
    type Target = [T];

    /// Its values as they lie.
    fn deref(&self) -> &[T] {
        &self.values
    }
}

/// Equal arrays have the same shape and values, in whichever order those lie.
impl<T: Element> PartialEq for Array<T> {
    fn eq(&self, other: &Self) -> bool {
        self.shape == other.shape
            && match self.order == other.order {
                true => self.values == other.values,
                false => self.view().iter().eq(other.view().iter()),
            }
    }
}

impl<T: Element + fmt::Debug> fmt::Debug for Array<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Array");
        shown.field("shape", &self.shape).field("order", &self.order).field("values", &self.values).finish()
    }
}

/// How many places a shape has, if that is a number.
pub(super) fn count(shape: &[usize]) -> Option<usize> {
    // An axis of length 0 makes it none, however long the others are.
    if shape.contains(&0) {
        return Some(0);
    }
    shape.iter().try_fold(1_usize, |places, axis| places.checked_mul(*axis))
}

/// An array as it is read.
#[derive(Deserialize)]
#[serde(bound = "T: serde::de::DeserializeOwned")]
struct Wire<T> {
    shape: Vec<u64>,
    #[serde(default)]
    order: Order,
    data: Vec<T>,
    #[serde(default)]
    buffer: Option<Piece>,
}

impl<T: Element> Serialize for Array<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let is_for_people = serializer.is_human_readable();
        let wire = self.values.to_wire(is_for_people);
        let (data, buffer) = wire.map_err(|why| S::Error::custom(because(why)))?;
        let mut array = serializer.serialize_struct("Array", 4 - usize::from(is_for_people))?;
        array.serialize_field("shape", &self.shape)?;
        array.serialize_field("order", &self.order)?;
        array.serialize_field("data", data)?;
        if !is_for_people {
            array.serialize_field("buffer", &buffer)?;
        }
        array.end()
    }
}

impl<'de, T: Element> Deserialize<'de> for Array<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Wire { shape, order, data, buffer } = Wire::deserialize(deserializer)?;
        let values = Shared::from_wire(data, buffer).map_err(|why| D::Error::custom(because(why)))?;
        let shape: Vec<usize> =
            shape.into_iter().map(|axis| usize::try_from(axis).unwrap_or(usize::MAX)).collect();
        Self::in_order(shape, order, values).map_err(|why| D::Error::custom(because(why.to_string())))
    }
}

#[diagnostic::do_not_recommend]
impl<T: Element> Schema for Array<T> {
    fn schema(builder: &mut SchemaBuilder) -> Node {
        let path = format!("labrig::Array<{}>", T::NAME);
        builder.named(&path, "An array of numbers, in shared memory when it is large.", |builder| {
            let [data, buffer] = fields::<T>(builder);
            let shape = Field {
                name: "shape".into(),
                node: Node::List(Box::new(Node::U64)),
                doc: "How long each axis is.".into(),
                optional: false,
                ..data.clone()
            };
            let order = Field {
                name: "order".into(),
                node: Order::schema(builder),
                doc: "In which order the values lie.".into(),
                optional: true,
                default: Some("\"C\"".into()),
                ..data.clone()
            };
            Shape::Struct(vec![shape, order, data, buffer])
        })
    }
}

#[cfg(test)]
mod tests;

//! Views of arrays with any strides: negative ones, wide ones, and axes in another order.

use super::array::{Array, MOST_AXES, Order, ShapeError, count};
use crate::shm::{Element, Shared};

/// A view of numbers that lie somewhere, by shape and strides. Nothing is copied until it is made an [`Array`].
///
/// ```
/// use labrig::payload::ArrayView;
///
/// // Every second column of a picture of 2 × 4, from right to left.
/// let pixels = [0_u8, 1, 2, 3, 10, 11, 12, 13];
/// let view = ArrayView::new(&pixels, [2, 2], [4, -2], 3)?;
/// assert_eq!(view.to_array().to_vec(), [3, 1, 13, 11]);
/// # Ok::<(), labrig::payload::ShapeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ArrayView<'a, T> {
    values: &'a [T],
    shape: Vec<usize>,
    strides: Vec<isize>,
    /// Where the first value is.
    start: usize,
}

impl<'a, T: Element> ArrayView<'a, T> {
    /// A view by its shape, its strides in values, and where its first value is.
    ///
    /// # Errors
    /// [`ShapeError`], when a place of it would lie outside of the values.
    pub fn new(
        values: &'a [T],
        shape: impl Into<Vec<usize>>,
        strides: impl Into<Vec<isize>>,
        start: usize,
    ) -> Result<Self, ShapeError> {
        let (shape, strides) = (shape.into(), strides.into());
        if shape.len() > MOST_AXES {
            return Err(ShapeError::TooManyAxes { axes: shape.len() });
        }
        if !stays_within(values.len(), &shape, &strides, start) {
            return Err(ShapeError::OutOfBounds { shape, strides, values: values.len() });
        }
        Ok(Self { values, shape, strides, start })
    }

    /// A view of all values, which are known to fill the shape.
    pub(super) fn whole(values: &'a [T], shape: Vec<usize>, strides: Vec<isize>) -> Self {
        Self { values, shape, strides, start: 0 }
    }

    /// How long each axis is.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// From one place to the next along each axis, in values.
    pub fn strides(&self) -> &[isize] {
        &self.strides
    }

    /// The value at that place, if there is such a place.
    pub fn get(&self, place: &[usize]) -> Option<&'a T> {
        let is_within =
            place.len() == self.shape.len() && place.iter().zip(&self.shape).all(|(at, of)| at < of);
        let steps =
            || place.iter().zip(&self.strides).map(|(at, stride)| *at as isize * stride).sum::<isize>();
        if is_within { self.values.get(self.start.checked_add_signed(steps())?) } else { None }
    }

    /// The same with its axes in the opposite order.
    pub fn transposed(mut self) -> Self {
        self.shape.reverse();
        self.strides.reverse();
        self
    }

    /// The same, one axis backwards. An axis that there is not is left alone.
    pub fn reversed(mut self, axis: usize) -> Self {
        if let Some(last) = self.shape.get(axis).and_then(|length| length.checked_sub(1))
            && count(&self.shape) != Some(0)
        {
            let way = self.strides[axis] * last as isize;
            self.start = self.start.saturating_add_signed(way);
            self.strides[axis] = -self.strides[axis];
        }
        self
    }

    /// The same with every `step`th place of one axis, from the first on; 0 counts as 1. An axis that there is not is left
    /// alone.
    pub fn every(mut self, axis: usize, step: usize) -> Self {
        if let Some(length) = self.shape.get_mut(axis) {
            let step = step.clamp(1, (*length).max(1));
            *length = length.div_ceil(step);
            self.strides[axis] *= step as isize;
        }
        self
    }

    /// The values one after the other, in the order of C.
    pub fn iter(&self) -> impl Iterator<Item = &'a T> + '_ {
        let mut place = vec![0; self.shape.len()];
        let mut left = count(&self.shape).unwrap_or(0);
        std::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            let value = self.get(&place);
            for axis in (0..place.len()).rev() {
                place[axis] += 1;
                if place[axis] < self.shape[axis] {
                    break;
                }
                place[axis] = 0;
            }
            value
        })
    }

    /// The view as an array: packed, in the order in which its values lie if that is the order of C or of Fortran, else
    /// in that of C.
    pub fn to_array(&self) -> Array<T> {
        let places = count(&self.shape).unwrap_or(0);
        let as_it_lies = |order| {
            // Strides say nothing where there are no values.
            if places == 0 && order == Order::Fortran {
                return None;
            }
            let values = self.values.get(self.start..self.start.checked_add(places)?)?;
            let array = Array::in_order(self.shape.clone(), order, values).ok()?;
            let packed = array.strides();
            let is_so = packed.iter().zip(&self.strides).zip(&self.shape);
            let mut is_so = is_so.map(|((packed, own), length)| *length <= 1 || packed == own);
            is_so.all(|it| it).then_some(array)
        };
        as_it_lies(Order::C).or_else(|| as_it_lies(Order::Fortran)).unwrap_or_else(|| {
            let values: Shared<T> = self.iter().copied().collect();
            Array::new(self.shape.clone(), values).expect("a view has a value at each of its places")
        })
    }
}

/// Whether every place lies within so many values.
fn stays_within(values: usize, shape: &[usize], strides: &[isize], start: usize) -> bool {
    if shape.len() != strides.len() {
        return false;
    }
    match count(shape) {
        Some(0) => return true,
        Some(_) => {}
        None => return false,
    }
    let (mut first, mut last) = (start as i128, start as i128);
    for (length, stride) in shape.iter().zip(strides) {
        let way = (*length as i128 - 1) * *stride as i128;
        if way < 0 { first += way } else { last += way }
    }
    first >= 0 && last < values as i128
}

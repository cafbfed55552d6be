//! From and to the arrays of the crate `ndarray`, for those who work with it.

use ndarray::{ArrayBase, ArrayViewD, Data, Dimension, IxDyn, ShapeBuilder};

use super::array::{Array, Order};
use super::strided::ArrayView;
use crate::shm::Element;

/// Copies the values once: packed as they lie, or in the order of C when they lie in neither order.
impl<T: Element, S: Data<Elem = T>, D: Dimension> From<&ArrayBase<S, D>> for Array<T> {
    fn from(array: &ArrayBase<S, D>) -> Self {
        let shape = array.shape().to_vec();
        if let Some(values) = array.as_slice_memory_order() {
            let strides = array.strides();
            let lies = ArrayView::new(values, shape.clone(), strides, 0);
            if let Ok(view) = lies.map(|view| view.to_array()) {
                return view;
            }
        }
        let values: Vec<T> = array.iter().copied().collect();
        Self::new(shape, values).expect("an array has a value at each of its places")
    }
}

impl<T: Element> Array<T> {
    /// A view as `ndarray` has it; nothing is copied.
    pub fn as_ndarray(&self) -> ArrayViewD<'_, T> {
        let shape = IxDyn(self.shape());
        let shape = match self.order() {
            Order::C => shape.set_f(false),
            Order::Fortran => shape.set_f(true),
        };
        ArrayViewD::from_shape(shape, self.values()).expect("the values fill the shape")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, Array3, arr0, s};

    fn check<S: Data<Elem = f64>, D: Dimension>(array: &ArrayBase<S, D>, order: Order) {
        let ours = Array::from(array);
        assert_eq!((ours.shape(), ours.order()), (array.shape(), order));
        assert!(ours.as_ndarray().iter().eq(array.iter()), "{ours:?}");
    }

    #[test]
    fn arrays_of_every_layout_come_back_as_they_were() {
        let array = Array3::from_shape_fn((3, 4, 5), |(i, j, k)| (100 * i + 10 * j + k) as f64);
        check(&array, Order::C);
        check(&array.view().reversed_axes(), Order::Fortran);
        check(&array.slice(s![..;-1, .., ..;2]), Order::C);
        check(&array.slice(s![1, .., ..]), Order::C);
        check(&array.slice(s![.., 2, ..]), Order::C);
        check(&Array2::<f64>::zeros((0, 7)), Order::C);
        check(&arr0(7.5), Order::C);
    }
}

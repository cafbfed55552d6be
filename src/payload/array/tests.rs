//! Arrays of every layout, and shapes that lie.

use super::*;
use crate::wire::{CodecId, Parcel, TypeSchema, codec};

fn send<T: Element>(array: &Array<T>) -> Parcel {
    codec::pack(array, CodecId::Postcard).expect("it can be written")
}

fn receive<T: Element>(parcel: &Parcel) -> Result<Array<T>, codec::DecodeError> {
    let schema = TypeSchema::of::<Array<T>>();
    codec::unpack(parcel, parcel.attached.as_deref(), CodecId::Postcard, &schema)
}

/// It travels as it is, between programs and as JSON.
fn check_travels(array: &Array<i32>, expected: &[i32]) {
    assert!(array.view().iter().eq(expected), "{array:?}");
    let came = receive::<i32>(&send(array)).expect("it can be read");
    assert_eq!((came.shape(), came.order(), came.values()), (array.shape(), array.order(), array.values()));
    let json = codec::to_json(array).expect("JSON holds all of it");
    assert_eq!(codec::from_json(&json, &TypeSchema::of::<Array<i32>>()).as_ref(), Ok(array));
}

#[test]
fn arrays_of_every_layout_travel() {
    let array = Array::new([2, 3], vec![0, 1, 2, 3, 4, 5]).expect("it fits");
    check_travels(&array, &[0, 1, 2, 3, 4, 5]);
    let fortran = array.view().transposed().to_array();
    assert_eq!(
        (fortran.order(), fortran.shape(), fortran.strides()),
        (Order::Fortran, &[3, 2][..], vec![1, 3])
    );
    check_travels(&fortran, &[0, 3, 1, 4, 2, 5]);
    let negative = array.view().reversed(1).to_array();
    check_travels(&negative, &[2, 1, 0, 5, 4, 3]);
    let wide = array.view().every(1, 2).to_array();
    assert_eq!(wide.shape(), [2, 2]);
    check_travels(&wide, &[0, 2, 3, 5]);
    check_travels(&array.view().reversed(0).reversed(1).every(0, 2).to_array(), &[5, 4, 3]);
    check_travels(&Array::new([], vec![7]).expect("one value"), &[7]);
    check_travels(&Array::new([0], vec![]).expect("none"), &[]);
    check_travels(&Array::new([3, 0, usize::MAX], vec![]).expect("none"), &[]);
    let large: Vec<i32> = (0..60_000).collect();
    let large = Array::in_order([200, 300], Order::Fortran, large).expect("it fits");
    assert_eq!(large.get(&[3, 2]), Some(&403));
    assert_eq!((large.get(&[200, 0]), large.get(&[0])), (None, None));
    let came = receive::<i32>(&send(&large)).expect("it can be read");
    assert!(came.values().is_in_shared_memory() && came == large);
    assert_eq!(came, large.view().transposed().transposed().to_array());
}

#[test]
fn views_stay_within_their_values() {
    let values = [0_u8, 1, 2, 3, 4, 5];
    let check = |shape: &[usize], strides: &[isize], start, is_good| {
        let view = ArrayView::new(&values, shape, strides, start);
        assert_eq!(view.is_ok(), is_good, "{shape:?} {strides:?} {start}");
    };
    check(&[2, 3], &[3, 1], 0, true);
    check(&[2, 3], &[-3, -1], 5, true);
    check(&[2, 3], &[3, 1], 1, false);
    check(&[2, 3], &[-3, 1], 2, false);
    check(&[6], &[1, 1], 0, false);
    check(&[usize::MAX, 2], &[isize::MAX, 1], 0, false);
    check(&[2], &[isize::MIN], 5, false);
    check(&[0, usize::MAX], &[isize::MAX, 9], 99, true);
    check(&[], &[], 5, true);
    check(&[], &[], 6, false);
    let repeated = ArrayView::new(&values, [2, 3], [0, 1], 1).expect("rows may be the same");
    assert_eq!(repeated.to_array().to_vec(), [1, 2, 3, 1, 2, 3]);
    let reversed = repeated.reversed(7).every(7, 2).reversed(1);
    assert_eq!(reversed.to_array().to_vec(), [3, 2, 1, 3, 2, 1]);
}

#[test]
fn a_shape_that_lies_is_refused() {
    let check = |shape: &[u64], data: &[u8], part: &str| {
        let bytes = codec::to_postcard(&(shape, Order::C, data, None::<Piece>)).expect("plain values");
        let error = receive::<u8>(&bytes.into()).expect_err("it is refused").to_string();
        assert!(error.contains(part), "{error}");
    };
    check(&[2, 2], &[1, 2, 3], "of shape [2, 2] does not have 3 values");
    check(&[], &[], "does not have 0 values");
    check(&[u64::MAX, 2], &[1, 2], "does not have 2 values");
    check(&[1 << 32, 1 << 32], &[], "does not have 0 values");
    check(&[1; 33], &[1], "33 axes");
}

//! Tables on their way: in how few buffers, and what comes out of them.

use super::*;
use crate::wire::{CodecId, MAX_PAYLOAD_BYTES, TypeSchema, codec};

/// A column of one type or another, by its number.
fn column(number: usize, rows: usize) -> Column {
    let name = format!("column {number}");
    match number % 6 {
        0 => Column::new(name, "um", (0..rows).map(|row| (row + number) as f64).collect::<Vec<_>>()),
        1 => Column::new(name, "s", (0..rows).map(|row| (row * number) as f32).collect::<Vec<_>>()),
        2 => Column::new(name, "", (0..rows).map(|row| (row ^ number) as u8).collect::<Vec<_>>()),
        3 => Column::new(name, "", (0..rows).map(|row| (row + number) as u64).collect::<Vec<_>>()),
        4 => Column::new(name, "", (0..rows).map(|row| -((row * number) as i64)).collect::<Vec<_>>()),
        _ => in_memory(name, rows),
    }
}

/// A column that was built where it is sent from.
fn in_memory(name: String, rows: usize) -> Column {
    let build = Shared::<f64>::build(rows, |values| values.fill(0.5));
    Column::new(name, "", build.expect("there is memory"))
}

/// A table comes out as it went in, by so many buffers, and is passed on as it came.
fn check_travels(columns: impl IntoIterator<Item = Column>, buffers: usize) {
    let table = Table::new(columns.into_iter().collect::<Vec<_>>()).expect("its columns fit");
    let parcel = codec::pack(&table, CodecId::Postcard).expect("it can be written");
    assert_eq!(parcel.buffers().len(), buffers);
    assert!(parcel.len() < MAX_PAYLOAD_BYTES, "{} bytes", parcel.len());
    let schema = TypeSchema::of::<Table>();
    let come = |parcel: &crate::wire::Parcel| {
        codec::unpack::<Table>(parcel, parcel.attached.as_deref(), CodecId::Postcard, &schema)
    };
    let came = come(&parcel).expect("it can be read");
    assert!(came == table);
    let passed = codec::pack(&came, CodecId::Postcard).expect("it can be written");
    assert!(come(&passed).expect("it can be read") == table && passed.buffers().len() <= MOST_BUFFERS);
    let json = codec::to_json(&table).expect("JSON holds all of it");
    assert!(codec::from_json::<Table>(&json, &schema).expect("it can be read") == table);
}

#[test]
fn a_table_of_any_number_of_columns_goes_in_few_buffers() {
    check_travels((0..100).map(|number| column(number, 10_000)), 1);
    check_travels((0..1_000).map(|number| column(number, 100)), 1);
    check_travels((0..6).map(|number| column(number, 100)), 0);
    check_travels((0..100).map(|number| column(number, 0)), 0);
    check_travels([], 0);
}

#[test]
fn large_columns_stay_where_they_are_as_long_as_they_are_few() {
    let built = |count: usize| (0..count).map(|number| in_memory(format!("built {number}"), 10_000));
    check_travels(built(8), 8);
    check_travels(built(9), 1);
    check_travels(built(7).chain((0..5).map(|number| column(number, 10_000))), 8);
    check_travels(built(8).chain((0..5).map(|number| column(number, 10_000))), 1);
    let texts = || Column::new("text", "", vec!["x".to_owned(); 10_000]);
    check_travels(built(20).chain([texts()]), 1);
    let image = in_memory("whole".to_owned(), 20_000);
    let Values::F64(values) = image.values else { panic!("numbers") };
    let halves =
        [Column::new("first", "", values.part(..10_000)), Column::new("second", "", values.part(10_000..))];
    check_travels(halves, 1);
}

//! Handles as values: compared, printed, written and read.

use std::collections::HashSet;
use std::sync::{Arc, Weak};

use super::ByHand;
use crate::remote::estate::Home;
use crate::remote::{Estate, KeepError, Port, RemoteRef};
use crate::wire::{CodecId, Generation, Hop, Parcel, Schema, TypeSchema, codec};

struct Table;

#[labrig::remote]
impl Table {
    fn rows(&self) -> u64 {
        3
    }
}

mod other {
    //! Types that are not the one that was meant.

    pub(super) struct Table;

    #[labrig::remote]
    impl Table {
        fn rows(&self) -> u64 {
            4
        }
    }

    pub(super) struct Camera;

    #[labrig::remote]
    impl Camera {
        fn expose(&self) {}
    }
}

fn estate(limit: u32) -> Arc<Estate> {
    let (estate, nobody): (Arc<Estate>, Weak<ByHand>) = (Arc::default(), Weak::new());
    let (place, generation, port) = (Hop::SCOPE, Generation(1), nobody as Weak<dyn Port>);
    estate.settle_at(Home { place, generation, limit, port, wake: Box::new(|| {}) });
    estate
}

fn read<T: serde::de::DeserializeOwned + Schema + 'static>(parcel: &Parcel) -> Result<T, String> {
    let schema = TypeSchema::known::<T>();
    codec::unpack(&parcel.bytes, parcel.attached.as_deref(), CodecId::Postcard, schema)
        .map_err(|error| error.to_string())
}

fn check_refused<T: crate::remote::RemoteValue>(parcel: &Parcel, expected: &str) {
    let error = read::<RemoteRef<T>>(parcel).expect_err("it is of another type");
    assert!(error.ends_with(expected), "{error}");
}

#[test]
fn a_handle_is_what_it_is_written_as_and_nothing_of_another_type() {
    let estate = estate(10);
    let table = RemoteRef::keep(&estate, Table).expect("kept");
    let mut parcel = codec::pack(&table.read_only(), CodecId::Postcard).expect("written");
    estate.arrived(parcel.attached.as_deref_mut());
    let again: RemoteRef<Table> = read(&parcel).expect("it is a table");
    assert!(again == table && again.is_read_only());
    assert_eq!(HashSet::from([again, table.clone()]).len(), 1);
    check_refused::<other::Camera>(&parcel, "the handle is one of a `Table`, not of a `Camera`");
    let module = "labrig::remote::tests::handles";
    let which = format!("one of a `{module}::Table`, not of a `{module}::other::Table`");
    check_refused::<other::Table>(&parcel, &which);
    assert_eq!(table.to_string(), "Table@scope#1:1");
}

#[test]
fn a_handle_that_does_not_travel_says_so() {
    let table = RemoteRef::keep(&estate(10), Table).expect("kept");
    let error = codec::to_json(&table).expect_err("not for a file").to_string();
    assert!(error.contains("a handle can only travel in"), "{error}");
}

#[test]
fn too_many_values_are_a_leak_that_names_the_type_of_most() {
    let estate = estate(3);
    let kept = [RemoteRef::keep(&estate, Table), RemoteRef::keep(&estate, Table)];
    let camera = RemoteRef::keep(&estate, other::Camera).expect("kept");
    let expected = KeepError::TooMany { limit: 3, most: "Table".to_owned(), count: 2 };
    assert_eq!(RemoteRef::keep(&estate, Table).err(), Some(expected));
    drop(camera);
    assert!(RemoteRef::keep(&estate, Table).is_ok(), "there is room again");
    assert!(kept.iter().all(Result::is_ok));
    assert_eq!(RemoteRef::keep(&Arc::default(), Table).err(), Some(KeepError::NoRig));
}

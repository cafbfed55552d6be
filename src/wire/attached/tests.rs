//! Values that leave something to travel beside their bytes, written and read.

use super::*;
use crate::wire::{CodecId, TypeSchema, codec};

fn buffer() -> Buffer {
    Buffer::new(tempfile::tempfile().expect("a file").into())
}

fn handle(key: u64) -> HandleId {
    HandleId { owner: 2, generation: Generation(3), key }
}

/// A value that travels beside the bytes.
#[derive(Clone, Debug, PartialEq)]
enum Beside {
    Handle(HandleId),
    Buffer(Buffer),
}

impl Serialize for Beside {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (is_handle, at) = match self {
            Self::Handle(handle) => (true, attach_handle(*handle)),
            Self::Buffer(buffer) => (false, attach_buffer(buffer.clone())),
        };
        (is_handle, at.map_err(|why| S::Error::custom(because(why)))?).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Beside {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fail = |why| D::Error::custom(because(why));
        match <(bool, u32)>::deserialize(deserializer)? {
            (true, at) => offered_handle(at).map(|handle| Self::Handle(handle.id)).map_err(fail),
            (false, at) => offered_buffer(at).map(Self::Buffer).map_err(fail),
        }
    }
}

impl Schema for Beside {
    fn schema(builder: &mut SchemaBuilder) -> Node {
        <(bool, u32)>::schema(builder)
    }
}

fn read(bytes: &[u8], attached: Option<&Attached>) -> Result<Vec<Beside>, codec::DecodeError> {
    codec::unpack(bytes, attached, CodecId::Postcard, &TypeSchema::of::<Vec<Beside>>())
}

fn check_refused<T: fmt::Debug, E: fmt::Display>(outcome: Result<T, E>, part: &str) {
    let error = outcome.expect_err("it is refused").to_string();
    assert!(error.contains(part), "{error}");
}

#[test]
fn what_travels_beside_a_value_comes_back_with_it() {
    let (first, second) = (buffer(), buffer());
    let sent = [
        Beside::Handle(handle(7)),
        Beside::Buffer(first.clone()),
        Beside::Buffer(second.clone()),
        Beside::Buffer(first.clone()),
    ];
    let parcel = codec::pack(&sent[..], CodecId::Postcard).expect("it can be written");
    let attached = Attached { handles: vec![handle(7).into()], buffers: vec![first, second], key: None };
    assert_eq!(parcel.attached.as_deref(), Some(&attached), "a buffer travels once");
    assert_eq!(read(&parcel, Some(&attached)).as_deref(), Ok(&sent[..]));
}

#[test]
fn a_value_with_which_nothing_travels_costs_nothing() {
    assert_eq!(codec::pack(&7_u8, CodecId::Postcard), Ok(vec![7].into()));
}

#[test]
fn places_are_shut_while_nothing_is_written_or_read() {
    check_refused(codec::to_postcard(&Beside::Handle(handle(1))), "a handle can only travel in a command");
    check_refused(codec::to_json(&Beside::Buffer(buffer())), "a shared buffer can only travel in a command");
    let schema = TypeSchema::of::<Beside>();
    check_refused(codec::from_postcard::<Beside>(&[1, 0], &schema), "a handle can only be read from");
    check_refused(codec::from_postcard::<Beside>(&[0, 0], &schema), "a shared buffer can only be read from");
}

#[test]
fn who_writes_a_value_within_another_writes_two() {
    let (inner, outer) = gathering(|| {
        attach_handle(handle(1)).expect("a place");
        let (_, inner) = gathering(|| attach_handle(handle(2)));
        attach_handle(handle(3)).expect("a place");
        inner
    });
    assert_eq!(inner.map(|it| it.handles), Some(vec![handle(2).into()]));
    assert_eq!(outer.map(|it| it.handles), Some(vec![handle(1).into(), handle(3).into()]));
    let panicked = std::panic::catch_unwind(|| gathering(|| panic!("while writing")));
    assert!(panicked.is_err() && attach_handle(handle(4)).is_err(), "the place is shut again");
}

#[test]
fn what_was_not_sent_along_is_not_found() {
    check_refused(read(&[1, 1, 0], None), "a handle is named that did not come with it");
    let one = Attached { buffers: vec![buffer()], ..Attached::default() };
    check_refused(read(&[1, 0, 1], Some(&one)), "a shared buffer is named that did not come with it");
    assert_eq!(read(&[1, 0, 0], Some(&one)), Ok(vec![Beside::Buffer(one.buffers[0].clone())]));
}

#[test]
fn an_envelope_carries_so_much_and_no_more() {
    let handles = |count| (0..count).map(|key| Beside::Handle(handle(key))).collect::<Vec<_>>();
    let buffers = |count| (0..count).map(|_| Beside::Buffer(buffer())).collect::<Vec<_>>();
    let write = |values: Vec<Beside>| codec::pack(&values, CodecId::Postcard);
    assert!(write(handles(64)).is_ok() && write(buffers(16)).is_ok());
    check_refused(write(handles(65)), "at most 64 handles");
    check_refused(write(buffers(17)), "at most 16 shared buffers");
}

#[test]
fn a_parcel_in_another_keeps_what_travels_beside_it() {
    let parcel = |key, buffer| {
        let attached =
            Attached { handles: vec![handle(key).into()], buffers: vec![buffer], key: None }.boxed();
        Parcel { bytes: vec![9], attached }
    };
    let two = vec![parcel(1, buffer()), parcel(2, buffer()), vec![8].into()];
    let whole = codec::pack(&two, CodecId::Postcard).expect("it can be written");
    let attached = whole.attached.as_deref();
    assert_eq!(attached.map(|it| (it.handles.len(), it.buffers.len())), Some((2, 2)));
    let read = codec::unpack(&whole, attached, CodecId::Postcard, &TypeSchema::of::<Vec<Parcel>>());
    assert_eq!(read, Ok(two));
}

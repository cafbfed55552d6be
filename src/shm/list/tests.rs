//! Lists that travel, what is refused of those that come, and the memory that is used again.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};

use super::*;
use crate::shm::Complex;
use crate::wire::{Attached, Buffer, CodecId, Parcel, TypeSchema, codec};

const LARGE: usize = 100_000;

fn send<T: Element>(values: &Shared<T>) -> Parcel {
    codec::pack(values, CodecId::Postcard).expect("it can be written")
}

fn receive<T: Element>(parcel: &Parcel) -> Result<Shared<T>, codec::DecodeError> {
    let schema = TypeSchema::of::<Shared<T>>();
    codec::unpack(parcel, parcel.attached.as_deref(), CodecId::Postcard, &schema)
}

fn check_travels<T: Element + fmt::Debug>(value: impl Fn(usize) -> T) {
    for count in [0, 1, 5, LARGE] {
        let list: Shared<T> = (0..count).map(&value).collect();
        let parcel = send(&list);
        let is_large = count * size_of::<T>() >= LEAST_SHARED;
        assert_eq!(parcel.buffers().len(), usize::from(is_large));
        assert!(parcel.len() < LEAST_SHARED, "{} bytes", parcel.len());
        let came = receive::<T>(&parcel).expect("it can be read");
        assert_eq!((came.clone(), came.is_in_shared_memory()), (list.clone(), is_large));
        let again = send(&came);
        assert_eq!(again.buffers(), parcel.buffers(), "what is passed on is not copied");
        let json = codec::to_json(&list).expect("JSON holds all of it");
        assert_eq!(codec::from_json(&json, &TypeSchema::of::<Shared<T>>()), Ok(list));
    }
}

#[test]
fn lists_of_every_element_travel_large_and_small() {
    check_travels(|at| at as u8);
    check_travels(|at| at as u16);
    check_travels(|at| at as u32);
    check_travels(|at| at as u64);
    check_travels(|at| at as i8);
    check_travels(|at| (at as i16).wrapping_neg());
    check_travels(|at| -(at as i32));
    check_travels(|at| -(at as i64));
    check_travels(|at| at as f32 * 0.5);
    check_travels(|at| at as f64 * 0.5);
    check_travels(|at| Complex { re: at as f32, im: -0.5 });
    check_travels(|at| Complex { re: at as f64, im: -0.5 });
}

#[test]
fn what_is_built_in_place_is_sent_without_a_copy() {
    let mut loan = Loan::<f64>::new(LARGE).expect("memory");
    assert!(loan.as_ptr().addr().is_multiple_of(64));
    loan.fill(1.5);
    let place = loan.as_ptr();
    let shared = loan.share();
    assert_eq!(shared.as_ptr(), place);
    let came = receive::<f64>(&send(&shared)).expect("it can be read");
    assert!(came.as_ptr().addr().is_multiple_of(64) && came.iter().all(|value| *value == 1.5));
}

#[test]
fn a_part_keeps_the_whole_and_travels_as_a_part() {
    let whole: Shared<u32> = (0..LARGE as u32).collect();
    let part = whole.part(10..LARGE - 10).part(5..);
    drop(whole);
    assert_eq!((part[0], part.len()), (15, LARGE - 25));
    let came = receive::<u32>(&send(&part)).expect("it can be read");
    assert_eq!(came, part);
    assert!(part.part(LARGE..).is_empty() && part.part((Bound::Included(7), Bound::Excluded(3))).is_empty());
    assert_eq!(came.read_as::<u8>().map(|bytes| bytes[..4].to_vec()), Some(vec![15, 0, 0, 0]));
    assert!(came.read_as::<u64>().is_none(), "it begins within one");
}

fn block_of(shared: &Shared<u8>) -> (*const u8, SharedBytes) {
    let Place::Shared(memory) = &shared.place else { panic!("it lies in shared memory") };
    (shared.as_ptr(), memory.clone())
}

#[test]
fn memory_is_used_again_only_when_nobody_has_it() {
    // A size that no other test uses.
    let build = || Shared::<u8>::build(5 << 20, |bytes| bytes.fill(1)).expect("memory");
    let first = build();
    let parcel = send(&first);
    let came = receive::<u8>(&parcel).expect("it can be read");
    let place = first.as_ptr();
    drop((first, parcel));
    let second = build();
    assert_ne!(second.as_ptr(), place, "somebody still reads the first");
    assert!(came.iter().all(|byte| *byte == 1));
    drop(came);
    let third = build();
    assert_eq!(third.as_ptr(), place, "nobody reads the first any more");
    let (_, memory) = block_of(&third);
    drop(third);
    assert_ne!(build().as_ptr(), place, "it is still held");
    drop(memory);
}

#[test]
fn a_descriptor_on_its_way_holds_its_memory() {
    let build = || Shared::<u8>::build(6 << 20, |bytes| bytes.fill(2)).expect("memory");
    let first = build();
    let place = first.as_ptr();
    let (near, far) = pair_of_sockets();
    let (_, memory) = block_of(&first);
    let buffer = memory.buffer().expect("a descriptor");
    send_descriptor(&near, &buffer);
    drop((memory, buffer, first));
    let other = build();
    assert_ne!(other.as_ptr(), place, "it is on its way");
    drop((near, far));
    assert_eq!(build().as_ptr(), place, "nobody can receive it any more");
}

fn pair_of_sockets() -> (OwnedFd, OwnedFd) {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).expect("a pair")
}

fn send_descriptor(socket: &OwnedFd, buffer: &Buffer) {
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors = [buffer.as_fd()];
    assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
    let bytes = [std::io::IoSlice::new(b"x")];
    sendmsg(socket, &bytes, &mut control, SendFlags::empty()).expect("room");
}

#[test]
fn memory_that_is_used_again_costs_no_new_pages() {
    const BYTES: usize = 7 << 20;
    let build = || Shared::<u8>::build(BYTES, |bytes| bytes.fill(3)).expect("memory");
    let time = |what: &str, mut act: Box<dyn FnMut() + '_>| {
        let times = (0..9).map(|_| {
            let begun = std::time::Instant::now();
            act();
            begun.elapsed()
        });
        let mut times: Vec<_> = times.collect();
        times.sort_unstable();
        println!("figure: {what}: {:?}", times[4]);
    };
    let mut held = Vec::new();
    time("7 MiB built in fresh memory", Box::new(|| held.push(build())));
    drop(held);
    let place = build().as_ptr();
    time("7 MiB built in memory used again", Box::new(|| assert_eq!(build().as_ptr(), place)));
    let (from, mut to) = (vec![1_u8; BYTES], vec![2_u8; BYTES]);
    time("7 MiB copied, both warm", Box::new(|| to.copy_from_slice(std::hint::black_box(&from))));
    let parcel = send(&build());
    time(
        "7 MiB received: mapped for reading",
        Box::new(|| drop(receive::<u8>(&parcel).expect("it can be read"))),
    );
}

// --- what is refused ---

fn memory(bytes: u64, seals: SealFlags) -> Buffer {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let memory = memfd_create("hostile", flags).expect("memory");
    ftruncate(&memory, bytes).expect("memory");
    if bytes > 0 {
        rustix::fs::fallocate(&memory, rustix::fs::FallocateFlags::empty(), 0, bytes).expect("memory");
    }
    fcntl_add_seals(&memory, seals).expect("seals");
    Buffer::new(memory)
}

/// A list of so many `f64` from that offset on, said to be in that buffer.
fn check_refused(buffer: Buffer, offset: u64, count: u64, part: &str) {
    let piece = Piece { place: 0, offset, count };
    let bytes = codec::to_postcard(&(Vec::<f64>::new(), Some(piece))).expect("plain values");
    let attached = Attached { buffers: vec![buffer], ..Attached::default() }.boxed();
    let error = receive::<f64>(&Parcel { bytes, attached }).expect_err("it is refused").to_string();
    assert!(error.contains(part), "{error}");
}

#[test]
fn memory_that_is_not_what_it_is_said_to_be_is_refused_before_it_is_mapped() {
    const SEALED: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::FUTURE_WRITE);
    let size = SealFlags::SHRINK | SealFlags::GROW;
    check_refused(memory(4096, SealFlags::empty()), 0, 512, "can still be resized");
    check_refused(memory(4096, SealFlags::SHRINK | SealFlags::WRITE), 0, 512, "can still be resized");
    check_refused(memory(4096, size), 0, 512, "open to new writers");
    check_refused(memory(4096, SEALED), 0, 513, "4096 bytes, expected 4104");
    check_refused(memory(0, SEALED), 0, 1, "0 bytes, expected 8");
    check_refused(memory(4096, SEALED), 4096, 1, "expected 4104");
    check_refused(memory(4096, SEALED), 4, 1, "no buffer can have");
    check_refused(memory(4096, SEALED), 0, 0, "no buffer can have");
    check_refused(memory(4096, SEALED), 0, u64::MAX / 8 + 1, "no buffer can have");
    check_refused(memory(4096, SEALED), u64::MAX - 7, 1, "no buffer can have");
    let file = || OwnedFd::from(tempfile::tempfile().expect("a file"));
    check_refused(Buffer::new(file()), 0, 1, "not shared memory");
    check_refused(Buffer::new(pair_of_sockets().0), 0, 1, "not shared memory");
    let sparse = memfd_create("sparse", MemfdFlags::ALLOW_SEALING).expect("memory");
    ftruncate(&sparse, 1 << 30).expect("nothing is there");
    fcntl_add_seals(&sparse, SEALED).expect("seals");
    check_refused(Buffer::new(sparse), 0, 1, "bytes of the shared memory exist");
}

#[test]
fn a_list_has_its_values_in_one_place() {
    let twice = (vec![1.0_f64], Some(Piece { place: 0, offset: 0, count: 1 }));
    let bytes = codec::to_postcard(&twice).expect("plain values");
    let error = receive::<f64>(&bytes.into()).expect_err("it is refused").to_string();
    assert!(error.contains("twice"), "{error}");
}

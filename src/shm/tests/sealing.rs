//! Segments that are wrong, too small, sparse or not sealed, and writers that come too late.

use super::super::layout::LAYOUT_VERSION;
use super::super::mapping::{Access, Mapping};
use super::super::{
    CursorMemory, CursorOpenError, Producer, ReadMode, Reader, RingMemory, RingOpenError, Segment,
    SegmentCreateError, SegmentOpenError,
};
use super::{bell, copy};
use rustix::fs::{
    FallocateFlags, MemfdFlags, SealFlags, fallocate, fcntl_add_seals, ftruncate, memfd_create,
};
use rustix::io::Errno;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

fn ring() -> RingMemory {
    RingMemory::create(3, 5000).expect("memory can be had")
}

/// A memory file as a careless program would make it.
fn loose(bytes: u64, is_filled: bool) -> OwnedFd {
    let fd =
        memfd_create("loose", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).expect("a memfd can be made");
    ftruncate(&fd, bytes).expect("it can be sized");
    if is_filled {
        fallocate(&fd, FallocateFlags::empty(), 0, bytes).expect("memory can be had");
    }
    fd
}

fn seal(fd: &OwnedFd) {
    fcntl_add_seals(fd, SealFlags::SHRINK | SealFlags::GROW).expect("it can be sealed");
}

/// What a producer and a reader answer to this descriptor in place of their ring.
fn check_ring_descriptor(fd: &OwnedFd, producer: &RingOpenError, reader: &RingOpenError) {
    assert_eq!(Producer::map(copy(fd), bell()).map(drop).as_ref(), Err(producer));
    let ring = ring();
    let cursor = CursorMemory::create(&ring, ReadMode::Latest).expect("memory can be had");
    assert_eq!(Reader::map(copy(fd), copy(cursor.fd()), bell(), bell()).map(drop).as_ref(), Err(reader));
}

fn check_segment_error(fd: &OwnedFd, error: SegmentOpenError) {
    check_ring_descriptor(fd, &error.into(), &error.into());
}

#[test]
fn a_descriptor_that_is_no_memory_is_refused() {
    let file: OwnedFd = std::fs::File::open("/proc/self/exe").expect("this program is a file").into();
    check_segment_error(&file, SegmentOpenError::NotMemory { errno: Errno::INVAL });
    check_segment_error(&copy(bell().as_fd()), SegmentOpenError::NotMemory { errno: Errno::INVAL });
}

#[test]
fn memory_that_could_change_its_size_is_refused() {
    check_segment_error(&loose(8192, true), SegmentOpenError::Resizable);
}

#[test]
fn memory_with_missing_pages_is_refused() {
    let fd = loose(8192, false);
    seal(&fd);
    check_segment_error(&fd, SegmentOpenError::Sparse { bytes: 8192, present: 0 });
}

#[test]
fn memory_that_is_too_small_is_refused() {
    let fd = loose(100, true);
    seal(&fd);
    check_segment_error(&fd, SegmentOpenError::WrongSize { found: 100, expected: 4096 });
}

#[test]
fn memory_that_holds_something_else_is_refused() {
    let blank = Segment::create("blank", 8192).expect("memory can be had");
    let (nothing, open) = (RingOpenError::NotARing { found: 0 }, SegmentOpenError::OpenToWriters.into());
    check_ring_descriptor(&copy(blank.fd()), &nothing, &open);
    blank.seal_future_writes().expect("it can be sealed");
    check_ring_descriptor(&copy(blank.fd()), &SegmentOpenError::ClosedToWriters.into(), &nothing);
}

#[test]
fn a_ring_that_is_smaller_than_its_header_says_is_refused() {
    let whole = ring();
    let short = loose(8192, true);
    let mut page = [0; 4096];
    rustix::io::pread(whole.fd(), &mut page, 0).expect("the ring can be read");
    rustix::io::pwrite(&short, &page, 0).expect("the file can be written");
    seal(&short);
    let damaged = RingOpenError::DamagedHeader { slots: 3, frame_bytes: 5000, found: 8192 };
    check_ring_descriptor(&short, &damaged, &SegmentOpenError::OpenToWriters.into());
    page[8] += 1;
    rustix::io::pwrite(&short, &page, 0).expect("the file can be written");
    let other = RingOpenError::OtherVersion { found: LAYOUT_VERSION + 1, expected: LAYOUT_VERSION };
    check_ring_descriptor(&short, &other, &SegmentOpenError::OpenToWriters.into());
}

#[test]
fn a_reader_refuses_a_ring_that_is_open_to_writers() {
    let ring = ring();
    let cursor = CursorMemory::create(&ring, ReadMode::Latest).expect("memory can be had");
    let open = || Reader::map(copy(ring.fd()), copy(cursor.fd()), bell(), bell()).map(drop);
    assert_eq!(open(), Err(SegmentOpenError::OpenToWriters.into()));
    ring.seal().expect("nobody has sealed it before");
    assert_eq!(open(), Ok(()));
    assert_eq!(ring.seal(), Ok(()), "sealing twice changes nothing");
}

#[test]
fn a_producer_that_comes_after_the_seal_is_refused() {
    let ring = ring();
    ring.seal().expect("nobody has sealed it before");
    let late = Producer::map(copy(ring.fd()), bell()).map(drop);
    assert_eq!(late, Err(SegmentOpenError::ClosedToWriters.into()));
}

#[test]
fn nobody_can_write_through_the_descriptor_of_a_sealed_ring() {
    let ring = ring();
    let mut producer = Producer::map(copy(ring.fd()), bell()).expect("the ring is fresh");
    ring.seal().expect("nobody has sealed it before");
    let fd = copy(ring.fd());
    assert_eq!(rustix::io::pwrite(&fd, &[1; 8], 0), Err(Errno::PERM));
    assert_eq!(rustix::io::write(&fd, &[1; 8]), Err(Errno::PERM));
    assert_eq!(ftruncate(&fd, 0), Err(Errno::PERM));
    assert_eq!(ftruncate(&fd, 1 << 20), Err(Errno::PERM));
    let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    assert_eq!(fallocate(&fd, hole, 0, 4096), Err(Errno::PERM));
    assert_eq!(fcntl_add_seals(&fd, SealFlags::WRITE), Err(Errno::PERM));
    assert_eq!(Mapping::of(fd.as_fd(), 4096, Access::ReadWrite).map(drop), Err(Errno::PERM));
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    if let Ok(file) = std::fs::File::options().read(true).write(true).open(path) {
        assert_eq!(rustix::io::pwrite(&file, &[1; 8], 0), Err(Errno::PERM));
        assert_eq!(Mapping::of(file.as_fd(), 4096, Access::ReadWrite).map(drop), Err(Errno::PERM));
    }
    let mut slot = producer.loan(super::row(8)).expect("who mapped it before goes on writing");
    slot.pixels_mut().fill(1);
    slot.publish(super::super::Capture::default());
}

#[test]
fn nobody_can_close_a_cursor_to_its_reader() {
    let cursor = CursorMemory::create(&ring(), ReadMode::Latest).expect("memory can be had");
    assert_eq!(fcntl_add_seals(cursor.fd(), SealFlags::FUTURE_WRITE), Err(Errno::PERM));
}

#[test]
fn a_page_that_is_no_cursor_is_refused() {
    let home = ring();
    let producer = Producer::map(copy(home.fd()), bell()).expect("the ring is fresh");
    let blank = Segment::create("blank", 1).expect("memory can be had");
    let error = producer.readers().add(copy(blank.fd()), bell());
    assert_eq!(error, Err(CursorOpenError::NotACursor { found: 0 }.into()));
}

#[test]
fn a_segment_that_makes_no_sense_is_not_created() {
    let create = |bytes| Segment::create("test", bytes).map(drop).expect_err("it makes no sense");
    assert_eq!(create(0), SegmentCreateError::Empty { name: "test".to_owned() });
    assert!(matches!(create(1 << 50), SegmentCreateError::OutOfMemory { .. }));
    assert!(matches!(create(u64::MAX), SegmentCreateError::Refused { errno: Errno::FBIG, .. }));
    let name = "ä".repeat(300) + "\0rest";
    assert!(Segment::create(&name, 1).is_ok(), "a long name is cut");
}

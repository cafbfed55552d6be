//! The status page, between threads and through a second mapping.

use super::super::{
    Doorbell, DoorbellError, SegmentOpenError, StatusPage, StatusPageError, Urgent, monotonic_ns,
};
use super::copy;
use std::os::fd::AsFd;
use std::thread;

/// The page as its creator and as the other side see it.
fn both_sides() -> (StatusPage, StatusPage) {
    let coordinator = StatusPage::create(3).expect("memory can be had");
    let manager = StatusPage::map(copy(coordinator.fd())).expect("it is a status page");
    (coordinator, manager)
}

#[test]
fn the_coordinator_sees_what_the_manager_does() {
    let (coordinator, manager) = both_sides();
    assert_eq!((manager.generation(), coordinator.activity().taken), (3, 0));
    manager.set_pid(42);
    manager.set_witness(1, 44);
    manager.set_state_code(2);
    manager.begin(1, 0xfeed, Some(500), monotonic_ns());
    let busy = coordinator.activity();
    assert_eq!((busy.taken, busy.done, busy.current_command, busy.allowance_ns), (1, 0, 0xfeed, Some(500)));
    assert!(busy.busy_since_ns.is_some_and(|since| since <= super::super::monotonic_ns()));
    manager.set_allowance(None);
    manager.finish(1);
    let idle = coordinator.activity();
    assert_eq!((idle.taken, idle.done, idle.busy_since_ns, idle.allowance_ns), (1, 1, None, None));
    assert_eq!((coordinator.pid(), coordinator.state_code()), (42, 2));
    assert_eq!(coordinator.witnesses(), [0, 44]);
    assert_eq!((coordinator.change_state_code(1, 9), coordinator.change_state_code(2, 9)), (Err(2), Ok(2)));
    assert_eq!(manager.state_code(), 9);
}

#[test]
fn an_urgent_request_is_taken_once_with_its_argument() {
    let (coordinator, manager) = both_sides();
    coordinator.set_argument(0, 17);
    coordinator.raise(Urgent::CANCEL);
    coordinator.raise(Urgent::SAFE);
    assert!(manager.urgent().contains(Urgent::CANCEL | Urgent::SAFE));
    assert_eq!((manager.take_urgent(), manager.argument(0)), (Urgent::CANCEL | Urgent::SAFE, 17));
    assert!(manager.take_urgent().is_empty() && coordinator.urgent().is_empty());
    coordinator.set_lease_until_ns(99);
    assert_eq!(manager.lease_until_ns(), 99);
    manager.count(5, 2);
    manager.count(5, 3);
    assert_eq!(coordinator.counter(5), 5);
}

#[test]
fn no_urgent_request_is_lost_between_raising_and_taking() {
    let (coordinator, manager) = both_sides();
    thread::scope(|scope| {
        let raising = scope.spawn(|| (0..64).for_each(|bit| coordinator.raise(Urgent::from_bits(1 << bit))));
        let mut taken = 0_u64;
        while taken != u64::MAX {
            let new = manager.take_urgent().bits();
            assert_eq!(taken & new, 0, "a request was taken twice");
            taken |= new;
            thread::yield_now();
        }
        raising.join().expect("raising does not panic");
    });
}

#[test]
fn an_activity_never_mixes_two_envelopes() {
    let (coordinator, manager) = both_sides();
    let last = 100_000;
    thread::scope(|scope| {
        scope.spawn(|| {
            for ordinal in 1..=last {
                manager.begin(ordinal, ordinal * 3, Some(ordinal * 5), monotonic_ns());
                manager.finish(ordinal);
                if ordinal % 16 == 0 {
                    thread::yield_now();
                }
            }
        });
        loop {
            let seen = coordinator.activity();
            if seen.busy_since_ns.is_some() && seen.done < seen.taken {
                assert_eq!(seen.current_command % 3, 0);
                assert!(seen.allowance_ns.is_some_and(|allowance| allowance % 5 == 0));
            }
            if seen.done == last {
                break;
            }
        }
    });
}

#[test]
fn a_wrong_descriptor_is_no_status_page() {
    let open = |fd: std::os::fd::OwnedFd| StatusPage::map(fd).map(drop);
    let file = std::fs::File::open("/proc/self/exe").expect("this program is a file");
    assert!(matches!(open(file.into()), Err(StatusPageError::Segment(SegmentOpenError::NotMemory { .. }))));
    let page = super::super::Segment::create("blank", 1).expect("memory can be had");
    assert_eq!(open(copy(page.fd())), Err(StatusPageError::NotAStatusPage { found: 0 }));
    let two = super::super::Segment::create("two", 4097).expect("memory can be had");
    let size = SegmentOpenError::WrongSize { found: 8192, expected: 4096 };
    assert_eq!(open(copy(two.fd())), Err(StatusPageError::Segment(size)));
}

#[test]
fn a_wrong_descriptor_is_no_doorbell() {
    let file = std::fs::File::open("/dev/null").expect("it is always there");
    assert!(matches!(Doorbell::from_fd(file.into()), Err(DoorbellError::NotAnEventfd { .. })));
    let blocking =
        rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC).expect("an eventfd can be made");
    assert!(matches!(Doorbell::from_fd(blocking), Err(DoorbellError::Blocks { .. })));
    let bell = super::bell();
    assert!(Doorbell::from_fd(copy(bell.as_fd())).is_ok());
}

//! The end of one thread of another process, as something to wait for.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// `PIDFD_THREAD`: a descriptor of a thread rather than of a process. Linux 6.9 and later know it.
const OF_THREAD: PidfdFlags = PidfdFlags::from_bits_retain(rustix::fs::OFlags::EXCL.bits());

/// A descriptor that becomes readable when that thread has ended. Do not ask for the first thread of a process: its
/// end counts only once all the others have ended too.
///
/// # Errors
/// `SRCH` when the process has no such thread, `INVAL` from a system that cannot tell of threads, or the system's.
pub fn end_of_thread(process: Pid, thread: Pid) -> Result<OwnedFd, Errno> {
    let descriptor = pidfd_open(thread, OF_THREAD)?;
    // A number may mean another thread here than it means there. From here on the descriptor is of the one that is
    // looked for, or of one that has ended.
    let place = PathBuf::from(format!("/proc/{}/task/{}", process.as_raw_nonzero(), thread.as_raw_nonzero()));
    if place.exists() { Ok(descriptor) } else { Err(Errno::SRCH) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::process::getpid;
    use rustix::thread::gettid;
    use std::sync::mpsc::channel;
    use std::thread;

    fn has_ended(descriptor: &OwnedFd, patience: Option<&Timespec>) -> bool {
        poll(&mut [PollFd::new(descriptor, PollFlags::IN)], patience).expect("a wait") == 1
    }

    #[test]
    fn the_end_of_a_thread_is_told_while_its_process_goes_on() {
        let (say, said) = channel();
        let (go, gone) = channel::<()>();
        let thread = thread::spawn(move || {
            say.send(gettid()).expect("it is heard");
            gone.recv().expect_err("nothing is sent");
        });
        let number = said.recv().expect("its number");
        let descriptor = match end_of_thread(getpid(), number) {
            Err(Errno::INVAL) => return println!("this system cannot tell of threads"),
            other => other.expect("a descriptor"),
        };
        assert!(!has_ended(&descriptor, Some(&Timespec::default())));
        drop(go);
        assert!(has_ended(&descriptor, None));
        thread.join().expect("it does not panic");
    }

    #[test]
    fn a_thread_of_another_process_is_none_of_this_one() {
        let first = Pid::from_raw(1).expect("a number");
        assert!(end_of_thread(first, gettid()).is_err());
        assert!(end_of_thread(getpid(), first).is_err());
    }
}

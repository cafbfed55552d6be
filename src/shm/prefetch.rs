//! Words that are soon to be read or written: their memory is asked for while there is something else to do.
//!
//! Two processors that pass memory back and forth wait a hundred nanoseconds for each line of it, unless they have asked
//! before. Elsewhere than on x86-64 nothing is asked for; nothing but time depends on it.

use std::sync::atomic::AtomicU64;

/// This processor will write there.
#[inline]
pub(super) fn soon_written(word: &AtomicU64) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: it changes neither memory nor registers nor flags, may be given any address, and does nothing on processors
    // that do not know it.
    unsafe {
        std::arch::asm!("prefetchw [{}]", in(reg) word.as_ptr(), options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = word;
}

/// This processor will read there.
#[inline]
pub(super) fn soon_read(word: &AtomicU64) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: as above.
    unsafe {
        std::arch::asm!("prefetcht0 [{}]", in(reg) word.as_ptr(), options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = word;
}

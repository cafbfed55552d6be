//! The blocks of this process that are used again.
//!
//! A fresh block costs its pages: the system clears each, and both sides map them anew. So a block whose value is gone
//! here is kept, by its size, until nobody else has it either; then the next value is written into it. So much is kept
//! and no more: what exceeds it is let go of, and freed by the system with its last reader. Nothing is shared to count
//! holders, so that nobody's death can leave a count wrong.

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use super::block::Block;
use super::segment::SegmentCreateError;

/// How many bytes are kept for what comes, at most.
const MOST_KEPT_BYTES: usize = 64 << 20;
/// In how many blocks.
const MOST_KEPT: usize = 64;
/// The smallest block, in bytes.
const LEAST_BYTES: usize = 16 << 10;

/// See the module's words.
#[derive(Default)]
struct Pool {
    /// Blocks without a value here, the one let go of last behind the others.
    kept: Vec<Kept>,
}

struct Kept {
    block: Block,
    /// Whether it is known that nobody else has it.
    is_alone: bool,
}

fn pool() -> MutexGuard<'static, Pool> {
    static POOL: LazyLock<Mutex<Pool>> = LazyLock::new(Mutex::default);
    // Nothing that can panic is done under this lock.
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A block for so many bytes that nobody else has: one that was used before, if there is one of that size.
pub(super) fn take(bytes: usize) -> Result<Block, SegmentCreateError> {
    let size = size_for(bytes);
    let found = pool().find(size);
    // Outside the lock: a fresh block takes its time.
    found.map_or_else(|| Block::create(size), Ok)
}

/// The value in a block is gone here; others may still have it.
pub(super) fn give_back(block: Block) {
    if block.bytes() > MOST_KEPT_BYTES {
        return;
    }
    let is_alone = block.is_alone();
    let let_go = pool().keep(Kept { block, is_alone });
    // Outside the lock: unmapping takes its time.
    drop(let_go);
}

impl Pool {
    fn find(&mut self, size: usize) -> Option<Block> {
        let fits = |kept: &Kept| kept.block.bytes() == size && (kept.is_alone || kept.block.is_alone());
        let at = self.kept.iter().rposition(fits)?;
        Some(self.kept.remove(at).block)
    }

    /// Keeps one more, and gives those for which there is no room, the oldest first.
    fn keep(&mut self, kept: Kept) -> Vec<Kept> {
        self.kept.push(kept);
        let mut bytes: usize = self.kept.iter().map(|kept| kept.block.bytes()).sum();
        let mut excess = self.kept.len().saturating_sub(MOST_KEPT);
        let goes = |kept: &mut Kept| {
            let goes = bytes > MOST_KEPT_BYTES || excess > 0;
            if goes {
                bytes -= kept.block.bytes();
                excess = excess.saturating_sub(1);
            }
            goes
        };
        self.kept.extract_if(.., goes).collect()
    }
}

/// The size of the block for so many bytes: four steps from each power of two to the next, so that at most a fifth of it
/// is for nothing.
fn size_for(bytes: usize) -> usize {
    let bytes = bytes.max(LEAST_BYTES);
    let step = (bytes.checked_next_power_of_two().unwrap_or(bytes) / 8).max(LEAST_BYTES / 4);
    bytes.checked_next_multiple_of(step).unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_few_and_waste_little() {
        let check = |bytes: usize, expected: usize| assert_eq!(size_for(bytes), expected, "{bytes}");
        check(0, 16 << 10);
        check(16 << 10, 16 << 10);
        check((16 << 10) + 1, 20 << 10);
        check(1 << 20, 1 << 20);
        check((1 << 20) + 1, (1 << 20) + (1 << 18));
        check(usize::MAX, usize::MAX);
        for bytes in (16 << 10..8 << 20).step_by(4099) {
            let size = size_for(bytes);
            assert!(size >= bytes && size - bytes <= size / 5 + 1, "{bytes} in {size}");
            assert!(size.is_multiple_of(4096));
        }
    }
}

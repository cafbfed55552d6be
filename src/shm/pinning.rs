//! Pins: who gets a slot, the reader that wants to hold its frame or the producer that wants to fill it anew.
//!
//! The reader says which frames it holds and then looks which of them are there; the producer says that it takes a slot
//! and then looks who holds its frame. A full fence lies between saying and looking, on both sides, so that at least one
//! sees the other; `ring` tells the rest. A pin is of one frame, or of several that follow each other, also of some that
//! are yet to come: a *reservation*.
//!
//! The protocol is written over [`Word`], so that a model checker and processes that die at any step can stand in for
//! memory.

use std::sync::atomic::Ordering;

use super::latch::Word;
use super::layout::{MAX_SLOTS, TAKING};

/// Of a pin, the bits that are the mark of the last frame; above them, how many more there are before it.
const MARK_BITS: u32 = 51;
const _: () = assert!(MAX_SLOTS.ilog2() == 12 && MARK_BITS + 12 == 63);

/// The pin of so many frames, of which that mark is the last.
pub(super) fn pin_of(last: u64, frames: u32) -> u64 {
    (u64::from(frames - 1) << MARK_BITS) | last
}

/// The mark of the last frame of a pin; 0 for none.
pub(super) fn last_of(pin: u64) -> u64 {
    pin & ((1 << MARK_BITS) - 1)
}

/// Whether a pin holds the frame with this mark.
pub(super) fn is_held_by(pin: u64, mark: u64) -> bool {
    last_of(pin).checked_sub(mark).is_some_and(|before| mark != 0 && before <= pin >> MARK_BITS)
}

/// Says a word: who sees it sees what was done before.
pub(super) fn say<W: Word>(word: &W, value: u64) {
    W::fence(Ordering::Release);
    word.set(value);
}

/// Hears a word: what was done before it was said is seen from here on.
pub(super) fn hear<W: Word>(word: &W) -> u64 {
    let value = word.get();
    W::fence(Ordering::Acquire);
    value
}

/// Whether the reader with this pin holds the frame with this mark; if not, it is done with it.
pub(super) fn holds<W: Word>(pin: &W, mark: u64) -> bool {
    is_held_by(hear(pin), mark)
}

/// Whether that slot has the frame with this mark, and no producer is about to take it. What was written before is seen.
pub(super) fn has<W: Word>(word: &W, mark: u64) -> bool {
    hear(word) == mark
}

/// The same of a frame that is held: a producer that was about to take its slot finds it held, and puts the mark back.
pub(super) fn still_has<W: Word>(word: &W, mark: u64) -> bool {
    hear(word) & !TAKING == mark
}

/// Holds the frames of a pin, if they are there when the caller looks next; a producer that finds another pin than before
/// also knows that the one before was given back.
pub(super) fn hold<W: Word>(pin: &W, frames: u64) {
    say(pin, frames);
    // Pairs with the fence of a producer that takes a slot: it sees the pin, or the missing mark is seen next; and a frame
    // that is not seen next was not yet published when the pin could be seen.
    W::fence(Ordering::SeqCst);
}

/// Gives back whatever is held: all that was done with the pixels is done before the producer can see that they are free.
pub(super) fn let_go<W: Word>(pin: &W) {
    say(pin, 0);
}

/// Holds so many frames from the next one on. They begin behind the last of those that were published meanwhile and are no
/// longer there. The mark of the first; or, if the producer was faster every time, of one that was missed, and nothing is
/// held.
pub(super) fn reserve<W: Word>(
    pin: &W,
    frames: u32,
    head: impl Fn() -> u64,
    is_there: impl Fn(u64) -> bool,
) -> Result<u64, u64> {
    let mut first = head().saturating_add(1);
    for _ in 0..W::TRIES {
        let last = first.saturating_add(u64::from(frames) - 1);
        if last != last_of(last) {
            // No honest producer has come so far.
            break;
        }
        hold(pin, pin_of(last, frames));
        let mut published = first..=head().min(last);
        match published.rfind(|mark| !is_there(*mark)) {
            None => return Ok(first),
            Some(missing) => first = missing + 1,
        }
    }
    let_go(pin);
    Err(first - 1)
}

/// Takes one slot away from the readers if it is free; its mark, which is known here as `mark`, is 0 afterwards. It is not
/// free when it has the newest frame, or one of those from `needed_from` on, or one that somebody holds.
pub(super) fn take_if_free<W: Word>(
    word: &W,
    mark: &mut u64,
    newest: u64,
    needed_from: u64,
    is_pinned: impl Fn(u64) -> bool,
) -> bool {
    if *mark == 0 {
        // No reader can find its way into it.
        return true;
    }
    if *mark == newest || *mark >= needed_from || is_pinned(*mark) {
        return false;
    }
    // A reader that finds the mark changed also sees the head that made this frame an old one.
    say(word, *mark | TAKING);
    // Pairs with the fence of a reader that pins: it sees the mark changed, or its pin is seen here.
    W::fence(Ordering::SeqCst);
    if is_pinned(*mark) {
        say(word, *mark);
        return false;
    }
    word.set(0);
    // Pairs with the fence of `Frame::is_whole`: who sees a byte of the next frame also sees that the mark is gone.
    W::fence(Ordering::Release);
    *mark = 0;
    true
}

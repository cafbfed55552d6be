//! A slot on loan: filled in place, then published or given back.

use super::clock::monotonic_ns;
use super::frame::{FrameFormat, PixelType};
use super::pinning::say;
use super::producer::Producer;
use super::reader_list::see_each_other;
use std::sync::atomic::Ordering;

/// What the camera says about a frame. Everything is optional: the default is zeros.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Capture {
    /// How long it was exposed, in microseconds.
    pub exposure_us: f64,
    /// When the device says it was taken, in nanoseconds of the device's own clock; 0 when it has none.
    pub device_time_ns: u64,
    /// Its number at the source (file, trigger or block number).
    pub source_index: u64,
}

/// A slot that no reader can see until it is published. Dropping it gives the slot back unpublished.
#[derive(Debug)]
pub struct FrameSlot<'a> {
    producer: &'a mut Producer,
    slot: usize,
    format: FrameFormat,
}

impl<'a> FrameSlot<'a> {
    /// The caller has checked that the format fits the ring and that the slot is taken away from the readers.
    pub(super) fn new(producer: &'a mut Producer, slot: usize, format: FrameFormat) -> Self {
        Self { producer, slot, format }
    }

    /// The shape of the frame to be filled in.
    #[must_use]
    pub fn format(&self) -> FrameFormat {
        self.format
    }

    /// The bytes to fill, the padding of the rows included. They hold remains of older frames.
    #[must_use]
    pub fn pixels_mut(&mut self) -> &mut [u8] {
        let mut pixels = self.producer.ring.pixels(self.slot, self.format.byte_len());
        // SAFETY: the range is mapped for as long as the producer lives. Nobody else touches it: `Producer` took the
        // slot's mark away and found no pin and no lossless reader on it, so that readers cannot hold or find it; the
        // ring is claimed, so that there is no second producer; and `&mut Producer` allows only this one loan.
        unsafe { pixels.as_mut() }
    }

    /// The same as 16-bit pixels in the byte order of the machine, if that is the format.
    #[must_use]
    pub fn pixels_u16_mut(&mut self) -> Option<&mut [u16]> {
        if self.format.pixel != PixelType::Gray16 {
            return None;
        }
        // SAFETY: any two bytes are a valid u16; `align_to_mut` itself upholds the alignment.
        let (before, pixels, after) = unsafe { self.pixels_mut().align_to_mut::<u16>() };
        // A slot starts on a page and the format has whole pixels, so nothing is ever left over.
        (before.is_empty() && after.is_empty()).then_some(pixels)
    }

    /// Shows the frame to the readers, wakes those that sleep, and returns the frame's number.
    #[expect(clippy::must_use_candidate, reason = "the number is a courtesy, publishing is the point")]
    pub fn publish(self, capture: Capture) -> u64 {
        let Self { producer, slot, format } = self;
        let sequence = producer.head;
        let mark = sequence + 1;
        let words = producer.ring.slot(slot);
        words.width.store(format.width, Ordering::Relaxed);
        words.height.store(format.height, Ordering::Relaxed);
        words.stride_bytes.store(format.stride_bytes, Ordering::Relaxed);
        words.pixel.store(format.pixel as u32, Ordering::Relaxed);
        words.exposure_us.store(capture.exposure_us.to_bits(), Ordering::Relaxed);
        words.device_time_ns.store(capture.device_time_ns, Ordering::Relaxed);
        words.source_index.store(capture.source_index, Ordering::Relaxed);
        words.host_time_ns.store(monotonic_ns(), Ordering::Relaxed);
        // Slots are at most 4096, so the number fits.
        producer.ring.index(sequence).store(slot as u32, Ordering::Relaxed);
        // Who sees the mark sees the pixels and the words above.
        say(&words.mark, mark);
        producer.marks[slot] = mark;
        producer.head = mark;
        let Producer { ring, readers, .. } = producer;
        // Under the lock, so that a reader that joins meanwhile either starts after this frame or is woken for it.
        readers.with(|mut seats| {
            // Who sees the head sees the mark and the index.
            say(&ring.progress().head, mark);
            // Pairs with the fence of a reader that goes to sleep: it sees the head, or its flag is seen here.
            see_each_other();
            seats.wake_sleepers();
        });
        sequence
    }
}

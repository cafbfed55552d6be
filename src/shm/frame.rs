//! What a camera image is: its format, its label and its pixels.
//!
//! A [`Frame`] is a view of memory that it keeps from changing until it is dropped. Nothing here knows what a picture
//! shows or how it is stored on disk.

use super::reader::{Held, Hold, Reader};

/// How one pixel is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
#[non_exhaustive]
pub enum PixelType {
    /// One byte per pixel.
    Gray8 = 1,
    /// Two bytes per pixel, in the byte order of the machine.
    Gray16 = 2,
}

impl PixelType {
    /// How many bytes one pixel takes.
    #[must_use]
    pub const fn bytes(self) -> u32 {
        match self {
            Self::Gray8 => 1,
            Self::Gray16 => 2,
        }
    }

    /// The pixel type with this number, if there is one.
    pub(super) fn from_code(code: u32) -> Option<Self> {
        [Self::Gray8, Self::Gray16].into_iter().find(|pixel| *pixel as u32 == code)
    }
}

/// Why a frame format makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// An image without rows or columns.
    #[error("a frame of {width} x {height} pixels is empty")]
    Empty {
        /// Pixels per row.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// The rows would overlap.
    #[error("a stride of {stride_bytes} bytes is less than a row, which takes {row_bytes}")]
    StrideTooShort {
        /// From the start of one row to the start of the next.
        stride_bytes: u32,
        /// What a row takes.
        row_bytes: u64,
    },
    /// Rows would begin in the middle of a pixel.
    #[error("a stride of {stride_bytes} bytes is not a multiple of the {pixel_bytes} bytes of a pixel")]
    StrideNotAligned {
        /// From the start of one row to the start of the next.
        stride_bytes: u32,
        /// What a pixel takes.
        pixel_bytes: u32,
    },
}

/// The shape of a frame in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FrameFormat {
    /// Pixels per row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// From the start of one row to the start of the next, in bytes.
    pub stride_bytes: u32,
    /// How a pixel is stored.
    pub pixel: PixelType,
}

impl FrameFormat {
    /// A format whose rows follow each other without a gap (rows longer than 4 GiB do not exist).
    #[must_use]
    pub const fn packed(width: u32, height: u32, pixel: PixelType) -> Self {
        Self { width, height, stride_bytes: width.saturating_mul(pixel.bytes()), pixel }
    }

    /// How many bytes a frame of this format takes, the padding of its last row included.
    #[must_use]
    pub const fn byte_len(&self) -> u64 {
        self.stride_bytes as u64 * self.height as u64
    }

    /// How many bytes of a row are pixels.
    #[must_use]
    pub const fn row_bytes(&self) -> u64 {
        self.width as u64 * self.pixel.bytes() as u64
    }

    /// Refuses a format that makes no sense.
    ///
    /// # Errors
    /// - [`FormatError`]: what does not fit.
    pub const fn check(&self) -> Result<(), FormatError> {
        let Self { width, height, stride_bytes, pixel } = *self;
        let (row_bytes, pixel_bytes) = (self.row_bytes(), pixel.bytes());
        if width == 0 || height == 0 {
            return Err(FormatError::Empty { width, height });
        }
        if (stride_bytes as u64) < row_bytes {
            return Err(FormatError::StrideTooShort { stride_bytes, row_bytes });
        }
        if !stride_bytes.is_multiple_of(pixel_bytes) {
            return Err(FormatError::StrideNotAligned { stride_bytes, pixel_bytes });
        }
        Ok(())
    }
}

/// What is known about a frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FrameMeta {
    /// Its number in its ring: 0, 1, 2 … without a gap.
    pub sequence: u64,
    /// Its shape.
    pub format: FrameFormat,
    /// How many bytes it takes.
    pub bytes: u64,
    /// How long it was exposed, in microseconds.
    pub exposure_us: f64,
    /// When the device says it was taken, in nanoseconds of the device's own clock; 0 when it has none.
    pub device_time_ns: u64,
    /// When it was published, in nanoseconds of [`super::monotonic_ns`].
    pub host_time_ns: u64,
    /// Its number at the source (file, trigger or block number): a gap means that the source lost frames.
    pub source_index: u64,
}

/// One published frame, which cannot change while this value lives.
///
/// Dropping it gives the slot back to the producer. Keep it no longer than needed: a lossless reader holds the producer
/// back with it.
#[derive(Debug)]
pub struct Frame<'a> {
    meta: FrameMeta,
    pixels: Pixels<'a>,
}

/// Where the pixels of a frame are. The shared ones are *found* at each call instead of being kept as a slice: a slice
/// that travels with its frame would claim, until the function it was passed to returns, that nobody writes to it, but
/// dropping the frame inside that function lets the producer do just that. (Miri found it.)
#[derive(Debug)]
enum Pixels<'a> {
    Shared(Hold<'a>),
    /// One of a stack, which holds it.
    Stacked(&'a Reader, Held),
    Ordinary(&'a [u8]),
}

impl<'a> Frame<'a> {
    /// A frame in ordinary memory, for instance to try out a handler without a camera.
    ///
    /// # Errors
    /// - [`FormatError`]: the format makes no sense.
    ///
    /// # Panics
    /// When `pixels` is shorter than the format asks for.
    pub fn in_memory(meta: FrameMeta, pixels: &'a [u8]) -> Result<Self, FormatError> {
        meta.format.check()?;
        let bytes = meta.format.byte_len();
        assert!(pixels.len() as u64 >= bytes, "{} bytes given for a frame of {bytes}", pixels.len());
        // The assertion above proves that the length fits.
        let pixels = &pixels[..usize::try_from(bytes).unwrap_or(pixels.len())];
        Ok(Self { meta: FrameMeta { bytes, ..meta }, pixels: Pixels::Ordinary(pixels) })
    }

    pub(super) fn held(meta: FrameMeta, hold: Hold<'a>) -> Self {
        Self { meta, pixels: Pixels::Shared(hold) }
    }

    pub(super) fn of_stack(meta: FrameMeta, reader: &'a Reader, held: Held) -> Self {
        Self { meta, pixels: Pixels::Stacked(reader, held) }
    }

    /// What is known about it.
    #[must_use]
    pub fn meta(&self) -> &FrameMeta {
        &self.meta
    }

    /// All its bytes, the padding of its rows included.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match &self.pixels {
            Pixels::Shared(hold) => hold.pixels(),
            Pixels::Stacked(reader, held) => reader.pixels_of(*held, self.meta.bytes),
            Pixels::Ordinary(pixels) => pixels,
        }
    }

    /// Its pixels with the padding of its rows, if they are single bytes.
    #[must_use]
    pub fn pixels_u8(&self) -> Option<&[u8]> {
        (self.meta.format.pixel == PixelType::Gray8).then(|| self.bytes())
    }

    /// Its pixels with the padding of its rows, if they are 16 bits wide (and, for [`Frame::in_memory`], aligned).
    #[must_use]
    pub fn pixels_u16(&self) -> Option<&[u16]> {
        if self.meta.format.pixel != PixelType::Gray16 {
            return None;
        }
        // SAFETY: any two bytes are a valid u16; `align_to` itself upholds the alignment.
        let (before, pixels, after) = unsafe { self.bytes().align_to::<u16>() };
        (before.is_empty() && after.is_empty()).then_some(pixels)
    }

    /// Its rows from top to bottom, without their padding.
    #[must_use]
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        let format = &self.meta.format;
        // Both fit: a row lies within `pixels`.
        let (stride, row) = (format.stride_bytes as usize, format.row_bytes() as usize);
        self.bytes().chunks_exact(stride).map(move |line| &line[..row])
    }

    /// Whether the frame is still what it was when it was taken.
    ///
    /// Always true while everybody keeps to the protocol. False means that this reader was declared dead although it
    /// lives, or that the producer's memory is damaged: what was computed from the frame should be thrown away.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        match &self.pixels {
            Pixels::Shared(hold) => hold.is_whole(),
            Pixels::Stacked(reader, held) => reader.is_still(*held),
            Pixels::Ordinary(_) => true,
        }
    }
}

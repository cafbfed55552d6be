//! One camera image that has left its ring.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::array::Array;
use crate::shm::{Frame, FrameFormat, PixelType, SegmentCreateError, Shared};
use crate::wire::codec::because;

/// A frame to be kept, or to be sent in a command or reply: a copy of its pixels in shared memory, without the gaps
/// between its rows, and what is known of it. Frames themselves stay in their ring.
#[derive(Clone, Debug, PartialEq, Serialize, labrig::Schema)]
pub struct FrameCopy {
    width: u32,
    height: u32,
    /// 1 or 2.
    pixel_bytes: u32,
    sequence: u64,
    exposure_us: f64,
    device_time_ns: u64,
    host_time_ns: u64,
    pixels: Shared<u8>,
}

/// The same as it is read.
#[derive(Deserialize)]
struct Wire {
    width: u32,
    height: u32,
    pixel_bytes: u32,
    sequence: u64,
    exposure_us: f64,
    device_time_ns: u64,
    host_time_ns: u64,
    pixels: Shared<u8>,
}

impl FrameCopy {
    /// Copies a frame, once: into memory in which it travels.
    ///
    /// # Errors
    /// [`SegmentCreateError`], when there is no memory or no descriptor left.
    pub fn of(frame: &Frame<'_>) -> Result<Self, SegmentCreateError> {
        let meta = frame.meta();
        let FrameFormat { width, height, pixel, .. } = meta.format;
        let row_bytes = meta.format.row_bytes() as usize;
        let pixels = Shared::build(row_bytes * height as usize, |to| {
            let rows = frame.rows().zip(to.chunks_exact_mut(row_bytes));
            rows.for_each(|(from, to)| to.copy_from_slice(&from[..row_bytes]));
        })?;
        Ok(Self {
            width,
            height,
            pixel_bytes: pixel.bytes(),
            sequence: meta.sequence,
            exposure_us: meta.exposure_us,
            device_time_ns: meta.device_time_ns,
            host_time_ns: meta.host_time_ns,
            pixels,
        })
    }

    /// Its format: packed.
    pub fn format(&self) -> FrameFormat {
        let pixel = if self.pixel_bytes == 1 { PixelType::Gray8 } else { PixelType::Gray16 };
        FrameFormat::packed(self.width, self.height, pixel)
    }

    /// The frame's number in its stream.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// How long it was exposed, in microseconds.
    pub fn exposure_us(&self) -> f64 {
        self.exposure_us
    }

    /// When the device says it was taken, in nanoseconds of its own clock; 0 when it has none.
    pub fn device_time_ns(&self) -> u64 {
        self.device_time_ns
    }

    /// When it was published, in nanoseconds of [`monotonic_ns`](crate::shm::monotonic_ns).
    pub fn host_time_ns(&self) -> u64 {
        self.host_time_ns
    }

    /// Its pixels, row by row, in the byte order of the machine.
    pub fn pixels(&self) -> &Shared<u8> {
        &self.pixels
    }

    /// As an array of rows and columns, when a pixel has one byte; nothing is copied.
    pub fn pixels_u8(&self) -> Option<Array<u8>> {
        let values = self.pixels.clone();
        (self.pixel_bytes == 1).then(|| Array::new(self.shape(), values).expect("the pixels fit the format"))
    }

    /// The same when a pixel has two.
    pub fn pixels_u16(&self) -> Option<Array<u16>> {
        let values = (self.pixel_bytes == 2).then(|| self.pixels.read_as::<u16>())??;
        Some(Array::new(self.shape(), values).expect("the pixels fit the format"))
    }

    fn shape(&self) -> [usize; 2] {
        [self.height as usize, self.width as usize]
    }
}

impl<'de> Deserialize<'de> for FrameCopy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = Wire::deserialize(deserializer)?;
        let Wire { width, height, pixel_bytes, sequence, exposure_us, device_time_ns, host_time_ns, pixels } =
            wire;
        let bytes = (u64::from(width) * u64::from(height)).checked_mul(u64::from(pixel_bytes));
        if !matches!(pixel_bytes, 1 | 2) || bytes != Some(pixels.len() as u64) {
            return Err(D::Error::custom(because("the pixels of a frame do not fit its format")));
        }
        Ok(Self { width, height, pixel_bytes, sequence, exposure_us, device_time_ns, host_time_ns, pixels })
    }
}

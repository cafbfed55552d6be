//! A borrowed view of a grey camera image.
//!
//! The view owns nothing and copies nothing. It promises that every row it hands out lies inside
//! the pixels it was given: sizes are checked once, when the view is made. It does not know about
//! colour, packed bits or byte order; whoever reads the camera has dealt with those.

use std::error::Error;
use std::fmt;

/// Pixels of a grey image, row after row.
#[derive(Debug, Clone, Copy)]
pub enum GrayPixels<'a> {
    /// One byte a pixel, 0 (black) to 255 (white).
    Eight(&'a [u8]),
    /// Two bytes a pixel, 0 (black) to 65535 (white), whatever the camera's own bit depth.
    Sixteen(&'a [u16]),
}

impl GrayPixels<'_> {
    fn count(&self) -> usize {
        match self {
            Self::Eight(pixels) => pixels.len(),
            Self::Sixteen(pixels) => pixels.len(),
        }
    }
}

/// A grey image whose rows may be padded.
#[derive(Debug, Clone, Copy)]
pub struct GrayImage<'a> {
    pixels: GrayPixels<'a>,
    width_px: usize,
    height_px: usize,
    stride_px: usize,
}

impl<'a> GrayImage<'a> {
    /// Views `pixels` as `height_px` rows of `width_px` pixels whose starts lie `stride_px` pixels
    /// apart. The last row need not be padded; pixels beyond it are ignored. An image of no rows or
    /// no columns is allowed.
    ///
    /// ```
    /// use labrig::managers::tracker::image::{GrayImage, GrayPixels};
    ///
    /// let pixels = [0u8, 1, 2, 99, 3, 4, 5];
    /// let image = GrayImage::new(GrayPixels::Eight(&pixels), 3, 2, 4)?;
    /// assert_eq!((image.width_px(), image.height_px()), (3, 2));
    /// # Ok::<(), labrig::managers::tracker::image::GrayImageError>(())
    /// ```
    ///
    /// # Errors
    /// - [`GrayImageError::StrideBelowWidth`]: rows would overlap.
    /// - [`GrayImageError::TooFewPixels`]: the last row would end beyond `pixels`.
    pub fn new(
        pixels: GrayPixels<'a>,
        width_px: usize,
        height_px: usize,
        stride_px: usize,
    ) -> Result<Self, GrayImageError> {
        if stride_px < width_px {
            return Err(GrayImageError::StrideBelowWidth { stride_px, width_px });
        }
        let needed = match height_px.checked_sub(1) {
            Some(padded_rows) => padded_rows.saturating_mul(stride_px).saturating_add(width_px),
            None => 0,
        };
        let given = pixels.count();
        if given < needed {
            return Err(GrayImageError::TooFewPixels { needed, given });
        }
        Ok(Self { pixels, width_px, height_px, stride_px })
    }

    /// The pixels as they were given, padding included.
    pub fn pixels(&self) -> GrayPixels<'a> {
        self.pixels
    }

    /// Columns, in pixels.
    pub fn width_px(&self) -> usize {
        self.width_px
    }

    /// Rows, in pixels.
    pub fn height_px(&self) -> usize {
        self.height_px
    }

    /// Pixels from the start of one row to the start of the next; at least the width.
    pub fn stride_px(&self) -> usize {
        self.stride_px
    }
}

/// Why pixels cannot be viewed as an image of the size asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum GrayImageError {
    /// The distance between row starts is smaller than a row.
    StrideBelowWidth {
        /// Pixels between row starts.
        stride_px: usize,
        /// Pixels in a row.
        width_px: usize,
    },
    /// There are not enough pixels for all rows.
    TooFewPixels {
        /// Pixels the size asks for.
        needed: usize,
        /// Pixels there are.
        given: usize,
    },
}

impl fmt::Display for GrayImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StrideBelowWidth { stride_px, width_px } => {
                write!(f, "row stride {stride_px} px is below the image width of {width_px} px")
            }
            Self::TooFewPixels { needed, given } => {
                write!(f, "image needs {needed} pixels but only {given} are given")
            }
        }
    }
}

impl Error for GrayImageError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_size(count: usize, size: (usize, usize, usize), expected: Result<(), GrayImageError>) {
        let bytes = vec![0u8; count];
        let words = vec![0u16; count];
        for pixels in [GrayPixels::Eight(&bytes), GrayPixels::Sixteen(&words)] {
            let made = GrayImage::new(pixels, size.0, size.1, size.2).map(|_| ());
            assert_eq!(made, expected, "{count} pixels viewed as {size:?}");
        }
    }

    #[test]
    fn the_last_row_needs_no_padding() {
        check_size(7, (3, 2, 4), Ok(()));
    }

    #[test]
    fn an_image_without_rows_or_columns_is_allowed() {
        check_size(0, (3, 0, 4), Ok(()));
        check_size(0, (0, 1, 0), Ok(()));
    }

    #[test]
    fn missing_pixels_are_counted() {
        check_size(6, (3, 2, 4), Err(GrayImageError::TooFewPixels { needed: 7, given: 6 }));
    }

    #[test]
    fn a_size_beyond_memory_is_refused() {
        let needed = usize::MAX;
        check_size(6, (3, needed, 4), Err(GrayImageError::TooFewPixels { needed, given: 6 }));
    }

    #[test]
    fn overlapping_rows_are_refused() {
        let error = GrayImageError::StrideBelowWidth { stride_px: 2, width_px: 3 };
        check_size(6, (3, 2, 2), Err(error));
    }
}

//! Grey levels and the contiguous image the tracker works on.
//!
//! A [`Plane`] keeps its memory from frame to frame. It has no padding, so that each step can walk
//! whole rows, and it holds the image as "particles are bright", whichever way the camera saw them.

/// A grey level as a camera delivers it.
pub(super) trait GrayLevel: Copy + Ord + Default {
    /// The brightest level.
    const MAX: Self;

    /// The level as a whole number.
    fn whole(self) -> u32;

    /// The level halfway to another, rounded down.
    fn midpoint(self, other: Self) -> Self;

    /// The level seen in the negative: `MAX − self`.
    fn inverted(self) -> Self;

    /// The largest level that is not above `value`, which is at least 0; beyond `MAX` it is `MAX`.
    fn at_or_below(value: f64) -> Self;
}

impl GrayLevel for u8 {
    const MAX: Self = u8::MAX;

    fn whole(self) -> u32 {
        self.into()
    }

    fn midpoint(self, other: Self) -> Self {
        u8::midpoint(self, other)
    }

    fn inverted(self) -> Self {
        !self
    }

    fn at_or_below(value: f64) -> Self {
        value as u8
    }
}

impl GrayLevel for u16 {
    const MAX: Self = u16::MAX;

    fn whole(self) -> u32 {
        self.into()
    }

    fn midpoint(self, other: Self) -> Self {
        u16::midpoint(self, other)
    }

    fn inverted(self) -> Self {
        !self
    }

    fn at_or_below(value: f64) -> Self {
        value as u16
    }
}

/// A contiguous image that is refilled for each frame. It starts out empty.
#[derive(Debug, Clone, Default)]
pub(super) struct Plane<T> {
    width_px: usize,
    height_px: usize,
    pixels: Vec<T>,
}

impl<T: Copy + Default> Plane<T> {
    /// Takes on a size. The content is unspecified afterwards; memory is allocated only when the
    /// plane has never been this large.
    pub(super) fn resize(&mut self, width_px: usize, height_px: usize) {
        self.width_px = width_px;
        self.height_px = height_px;
        self.pixels.resize(width_px * height_px, T::default());
    }

    /// Columns, in pixels.
    pub(super) fn width_px(&self) -> usize {
        self.width_px
    }

    /// Rows, in pixels.
    pub(super) fn height_px(&self) -> usize {
        self.height_px
    }

    /// All pixels, row after row.
    pub(super) fn pixels(&self) -> &[T] {
        &self.pixels
    }

    /// All pixels, row after row, to be overwritten.
    pub(super) fn pixels_mut(&mut self) -> &mut [T] {
        &mut self.pixels
    }

    /// The pixels of row `y`, which must be below the height.
    pub(super) fn row(&self, y: usize) -> &[T] {
        &self.pixels[y * self.width_px..][..self.width_px]
    }

    /// The pixels of row `y`, which must be below the height, to be overwritten.
    pub(super) fn row_mut(&mut self, y: usize) -> &mut [T] {
        &mut self.pixels[y * self.width_px..][..self.width_px]
    }
}

impl<L: GrayLevel> Plane<L> {
    /// Becomes a copy of the camera's pixels, inverted when the particles are dark.
    pub(super) fn copy_bright(&mut self, pixels: &[L], size: (usize, usize), stride: usize, dark: bool) {
        let (width_px, height_px) = size;
        self.resize(width_px, height_px);
        for y in 0..height_px {
            let camera = &pixels[y * stride..][..width_px];
            let row = self.row_mut(y);
            row.copy_from_slice(camera);
            if dark {
                row.iter_mut().for_each(|level| *level = level.inverted());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_copy(dark: bool, expected: &[u8]) {
        let mut plane = Plane::default();
        plane.copy_bright(&[1u8, 2, 77, 3, 4], (2, 2), 3, dark);
        assert_eq!(plane.pixels(), expected, "dark: {dark}");
    }

    #[test]
    fn padding_is_left_out() {
        check_copy(false, &[1, 2, 3, 4]);
    }

    #[test]
    fn dark_particles_become_bright() {
        check_copy(true, &[254, 253, 252, 251]);
    }
}

//! Smoothing of pixel noise by a Gaussian, one image row at a time.
//!
//! The kernel reaches four standard deviations and beyond the image lies black, as in trackpy 0.7
//! (`trackpy.preprocessing.lowpass`). Columns are smoothed first, then rows, and sums run from the
//! outermost weights inwards: in this order double precision gives the very numbers of SciPy's
//! `correlate1d`, which decide to which whole level a filtered pixel is cut.

use super::plane::{GrayLevel, Plane};

/// Standard deviations the kernel reaches to either side.
const TRUNCATE: f64 = 4.0;

/// Pixels smoothed at a stroke: as many sums as fit the registers of every 64-bit processor.
const STROKE: usize = 16;

/// A Gaussian and the memory to smooth one row with.
#[derive(Debug, Clone)]
pub(super) struct Gaussian {
    /// From the centre outwards; both sides together sum to 1.
    weights: Vec<f64>,
    /// The image rows under the kernel. These and the following are filled up to whole strokes.
    window: Vec<Vec<f64>>,
    /// A row smoothed along columns, with black to its left and right.
    column_smooth: Vec<f64>,
    /// A row smoothed both ways.
    smooth: Vec<f64>,
}

impl Gaussian {
    /// A Gaussian of standard deviation `sigma_px`, finite and at least 0; 0 leaves images as they
    /// are.
    pub(super) fn new(sigma_px: f64) -> Self {
        let weights = half_kernel(sigma_px);
        let window = vec![Vec::new(); 2 * weights.len() - 1];
        Self { weights, window, column_smooth: Vec::new(), smooth: Vec::new() }
    }

    /// Row `y` of the smoothed image. Row 0 starts an image; each later row must follow the one
    /// before.
    pub(super) fn row<L: GrayLevel>(&mut self, image: &Plane<L>, y: usize) -> &[f64] {
        let reach = self.weights.len() - 1;
        if y == 0 {
            self.start(image);
        }
        self.enter(image, y + reach);
        let strokes = self.smooth.len();
        blend(&self.weights, |offset| &self.window[offset], &mut self.column_smooth[reach..][..strokes]);
        blend(&self.weights, |offset| &self.column_smooth[offset..], &mut self.smooth);
        &self.smooth[..image.width_px()]
    }

    fn start<L: GrayLevel>(&mut self, image: &Plane<L>) {
        let reach = self.weights.len() - 1;
        let strokes = image.width_px().next_multiple_of(STROKE);
        self.column_smooth.clear();
        self.column_smooth.resize(strokes + 2 * reach, 0.0);
        self.smooth.resize(strokes, 0.0);
        for row in &mut self.window {
            row.clear();
            row.resize(strokes, 0.0);
        }
        (0..reach).for_each(|y| self.enter(image, y));
    }

    /// Moves the window down onto row `y` of the image, or onto black beyond the last.
    fn enter<L: GrayLevel>(&mut self, image: &Plane<L>, y: usize) {
        self.window.rotate_left(1);
        let Some(row) = self.window.last_mut() else {
            return;
        };
        if y < image.height_px() {
            for (value, &level) in row.iter_mut().zip(image.row(y)) {
                *value = f64::from(level.whole());
            }
        } else {
            row.fill(0.0);
        }
    }
}

fn half_kernel(sigma_px: f64) -> Vec<f64> {
    let reach = (TRUNCATE * sigma_px + 0.5) as i32;
    let bell = |x: i32| match x {
        0 => 1.0,
        x => (f64::from(x * x) / (-2.0 * sigma_px * sigma_px)).exp(),
    };
    let total: f64 = (-reach..=reach).map(bell).sum();
    (0..=reach).map(|x| bell(x) / total).collect()
}

/// Fills whole strokes of `target` with weighted sums over the slices that `source` gives for each
/// offset from the start of the kernel.
fn blend<'a>(weights: &[f64], source: impl Fn(usize) -> &'a [f64], target: &mut [f64]) {
    let Some((&centre, sides)) = weights.split_first() else {
        return;
    };
    let reach = sides.len();
    let (strokes, _) = target.as_chunks_mut::<STROKE>();
    for (x, stroke) in (0..).step_by(STROKE).zip(strokes) {
        let pixels = |offset: usize| &source(offset)[x..][..STROKE];
        let mut sums = [0.0; STROKE];
        for (sum, &value) in sums.iter_mut().zip(pixels(reach)) {
            *sum = centre * value;
        }
        for (inner, &weight) in sides.iter().enumerate().rev() {
            let pairs = pixels(reach - 1 - inner).iter().zip(pixels(reach + 1 + inner));
            for (sum, (&before, &after)) in sums.iter_mut().zip(pairs) {
                *sum += weight * (before + after);
            }
        }
        *stroke = sums;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares with sums taken pixel by pixel, for an image of arbitrary levels.
    fn check_smoothing(width: usize, height: usize, sigma_px: f64) {
        let pixels: Vec<u8> = (0..width * height).map(|i| (i * i * 167) as u8).collect();
        let mut image = Plane::default();
        image.copy_bright(&pixels, (width, height), width, false);
        let bell = |d: usize| (-0.5 * (d as f64 / sigma_px).powi(2)).exp();
        let reach = (TRUNCATE * sigma_px + 0.5) as usize;
        let total = 1.0 + 2.0 * (1..=reach).map(bell).sum::<f64>();
        let weight = |d: usize| if d == 0 { 1.0 } else { bell(d) } / total;
        let mut gaussian = Gaussian::new(sigma_px);
        for y in 0..height {
            let row = gaussian.row(&image, y);
            assert_eq!(row.len(), width);
            for (x, &smooth) in row.iter().enumerate() {
                let mut expected = 0.0;
                for (i, &pixel) in pixels.iter().enumerate() {
                    let (dx, dy) = ((i % width).abs_diff(x), (i / width).abs_diff(y));
                    if dx <= reach && dy <= reach {
                        expected += f64::from(pixel) * weight(dx) * weight(dy);
                    }
                }
                assert!((smooth - expected).abs() < 1e-9, "({x}, {y}): {smooth} for {expected}");
            }
        }
    }

    #[test]
    fn pixels_are_weighted_by_a_gaussian() {
        check_smoothing(37, 11, 1.0);
        check_smoothing(16, 20, 0.6);
    }

    #[test]
    fn a_kernel_may_be_larger_than_the_image() {
        check_smoothing(5, 3, 4.7);
        check_smoothing(33, 1, 9.0);
    }

    #[test]
    fn without_noise_size_the_image_stays_as_it_is() {
        check_smoothing(7, 5, 0.0);
    }
}

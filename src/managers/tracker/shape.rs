//! What a particle looks like: its size, roundness and brightness.
//!
//! Quantities and formulas are those of J. C. Crocker and D. G. Grier, J. Colloid Interface Sci.
//! 179, 298 (1996), with the brightness of the unfiltered image as in trackpy 0.7.

use super::disk::Disk;
use super::plane::{GrayLevel, Plane};

/// Weights for the sums over a disk.
#[derive(Debug, Clone)]
pub(super) struct ShapeGauge {
    weights: Vec<PixelWeights>,
}

/// A pixel's part in the sums, by its place in the disk.
#[derive(Debug, Clone, Copy)]
struct PixelWeights {
    /// Squared distance from the middle.
    distance2: f64,
    /// Cosine and sine of twice the angle.
    cosine: f64,
    sine: f64,
}

/// The look of one particle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shape {
    /// Radius of gyration, in pixels.
    pub size_px: f64,
    /// 0 (round) to 1 (a line).
    pub eccentricity: f64,
    /// The brightest level.
    pub signal: f64,
}

impl ShapeGauge {
    /// Weights for this disk.
    pub(super) fn new(disk: &Disk) -> Self {
        Self { weights: disk.offsets().map(PixelWeights::at).collect() }
    }

    /// Measures the particle at `middle`, of the given mass above 0, in the filtered image.
    pub(super) fn measure<L: GrayLevel>(
        &self,
        disk: &Disk,
        levels: &Plane<L>,
        middle: (usize, usize),
        mass: f64,
    ) -> Shape {
        let mut brightest = L::default();
        let mut sums = PixelWeights { distance2: 0.0, cosine: 0.0, sine: 0.0 };
        let mut weights = self.weights.as_slice();
        for (_, row) in disk.rows(levels, middle) {
            let (row_weights, rest) = weights.split_at(row.len());
            weights = rest;
            for (&level, weights) in row.iter().zip(row_weights) {
                let value = f64::from(level.whole());
                brightest = brightest.max(level);
                sums.distance2 += value * weights.distance2;
                sums.cosine += value * weights.cosine;
                sums.sine += value * weights.sine;
            }
        }
        let outer_mass = mass - f64::from(levels.row(middle.1)[middle.0].whole());
        Shape {
            size_px: (sums.distance2 / mass).sqrt(),
            eccentricity: sums.cosine.hypot(sums.sine) / (outer_mass + 1e-6),
            signal: f64::from(brightest.whole()),
        }
    }
}

impl PixelWeights {
    fn at((dx, dy): (i32, i32)) -> Self {
        let distance2 = f64::from(dx * dx + dy * dy);
        if distance2 == 0.0 {
            return Self { distance2, cosine: 1.0, sine: 0.0 };
        }
        Self {
            distance2,
            cosine: f64::from(dx * dx - dy * dy) / distance2,
            sine: f64::from(2 * dx * dy) / distance2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Measures three pixels around the middle of an image.
    fn check_shape(pixels: [(usize, usize, u8); 3], expected: Shape) {
        let mut image = vec![0u8; 49];
        pixels.into_iter().for_each(|(x, y, level)| image[7 * y + x] = level);
        let mut levels = Plane::default();
        levels.copy_bright(&image, (7, 7), 7, false);
        let disk = Disk::new(5);
        let mass = pixels.into_iter().map(|(_, _, level)| f64::from(level)).sum();
        let shape = ShapeGauge::new(&disk).measure(&disk, &levels, (3, 3), mass);
        let pairs = [
            (shape.size_px, expected.size_px),
            (shape.eccentricity, expected.eccentricity),
            (shape.signal, expected.signal),
        ];
        assert!(pairs.iter().all(|(a, b)| (a - b).abs() < 1e-6), "{shape:?} for {expected:?}");
    }

    #[test]
    fn a_line_has_an_eccentricity_of_one() {
        let expected = Shape { size_px: 1.0, eccentricity: 1.0, signal: 8.0 };
        check_shape([(3, 2, 8), (3, 3, 0), (3, 4, 8)], expected);
    }

    #[test]
    fn pixels_at_right_angles_cancel() {
        let expected = Shape { size_px: 2.0, eccentricity: 0.0, signal: 8.0 };
        check_shape([(1, 3, 8), (3, 1, 4), (3, 5, 4)], expected);
    }
}

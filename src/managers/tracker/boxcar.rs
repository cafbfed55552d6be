//! The background: the mean over a square box, one image row at a time.
//!
//! Running sums along columns, then along the row, so the cost does not grow with the box. Pixels
//! beyond the image count as the nearest ones inside. Both means are cut to whole grey levels, as
//! trackpy 0.7 does for integer images (`trackpy.preprocessing.boxcar`).

use super::plane::{GrayLevel, Plane};

/// A box and its running sums. Sums of 255 levels of 16 bits fit 32 bits.
#[derive(Debug, Clone)]
pub(super) struct Boxcar {
    reach: usize,
    divisor: Divisor,
    column_sums: Vec<u32>,
    /// Means along columns, continued by the first and the last to the left and right.
    column_means: Vec<u32>,
    means: Vec<u32>,
}

impl Boxcar {
    /// A box of `side_px` by `side_px` pixels; odd, 3 to 255.
    pub(super) fn new(side_px: u32) -> Self {
        Self {
            reach: side_px as usize / 2,
            divisor: Divisor::new(side_px),
            column_sums: Vec::new(),
            column_means: Vec::new(),
            means: Vec::new(),
        }
    }

    /// Row `y` of the background of an image that is at least one pixel wide. Row 0 starts an
    /// image; each later row must follow the one before.
    pub(super) fn row<L: GrayLevel>(&mut self, image: &Plane<L>, y: usize) -> &[u32] {
        match y {
            0 => self.start(image),
            y => self.advance(image, y),
        }
        self.average_columns();
        self.average_row();
        &self.means
    }

    fn start<L: GrayLevel>(&mut self, image: &Plane<L>) {
        let width = image.width_px();
        self.means.resize(width, 0);
        self.column_means.resize(width + 2 * self.reach, 0);
        self.column_sums.clear();
        self.column_sums.resize(width, 0);
        for offset in 0..=2 * self.reach {
            let y = offset.saturating_sub(self.reach).min(image.height_px() - 1);
            for (sum, level) in self.column_sums.iter_mut().zip(image.row(y)) {
                *sum += level.whole();
            }
        }
    }

    fn advance<L: GrayLevel>(&mut self, image: &Plane<L>, y: usize) {
        let entering = image.row((y + self.reach).min(image.height_px() - 1));
        let leaving = image.row((y - 1).saturating_sub(self.reach));
        for ((sum, enters), leaves) in self.column_sums.iter_mut().zip(entering).zip(leaving) {
            *sum = *sum + enters.whole() - leaves.whole();
        }
    }

    fn average_columns(&mut self) {
        let (reach, width) = (self.reach, self.column_sums.len());
        let inside = &mut self.column_means[reach..][..width];
        for (mean, &sum) in inside.iter_mut().zip(&self.column_sums) {
            *mean = self.divisor.divide(sum);
        }
        let (first, last) = (self.column_means[reach], self.column_means[reach + width - 1]);
        self.column_means[..reach].fill(first);
        self.column_means[reach + width..].fill(last);
    }

    fn average_row(&mut self) {
        let (start, entering) = self.column_means.split_at(2 * self.reach);
        let mut sum: u32 = start.iter().sum();
        for ((mean, &enters), &leaves) in self.means.iter_mut().zip(entering).zip(&self.column_means) {
            *mean = self.divisor.divide(sum + enters);
            sum = sum.wrapping_add(enters.wrapping_sub(leaves));
        }
    }
}

/// Division of a sum over the box by its side, as a multiplication.
///
/// With `inverse = ⌈2³² / side⌉` the product exceeds `sum / side · 2³²` by less than `sum`, which
/// for up to 255 levels of 16 bits stays below `2³² / side`: too little to reach the next whole
/// number.
#[derive(Debug, Clone, Copy)]
struct Divisor {
    inverse: u64,
}

impl Divisor {
    fn new(side: u32) -> Self {
        Self { inverse: (1u64 << 32).div_ceil(u64::from(side)) }
    }

    fn divide(self, sum: u32) -> u32 {
        ((u64::from(sum) * self.inverse) >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_division(side: u32) {
        let divisor = Divisor::new(side);
        for quotient in 1..=u32::from(u16::MAX) {
            let sum = quotient * side;
            assert_eq!(divisor.divide(sum), quotient, "{sum} / {side}");
            assert_eq!(divisor.divide(sum - 1), quotient - 1, "{} / {side}", sum - 1);
        }
    }

    /// Compares with means taken pixel by pixel, for an image of arbitrary levels.
    fn check_background(width: usize, height: usize, side: u32) {
        let pixels: Vec<u16> = (0..width * height).map(|i| (i * i * 40503) as u16).collect();
        let mut image = Plane::default();
        image.copy_bright(&pixels, (width, height), width, false);
        let reach = side as usize / 2;
        let nearest = |at: usize, count: usize| at.saturating_sub(reach).min(count - 1);
        let column_mean = |x: usize, y: usize| {
            let rows = (y..=y + 2 * reach).map(|y| u32::from(image.row(nearest(y, height))[x]));
            rows.sum::<u32>() / side
        };
        let mut boxcar = Boxcar::new(side);
        for y in 0..height {
            let mean = |x| (x..=x + 2 * reach).map(|x| column_mean(nearest(x, width), y)).sum::<u32>() / side;
            let expected: Vec<u32> = (0..width).map(mean).collect();
            assert_eq!(boxcar.row(&image, y), expected, "row {y} of {width} x {height}, side {side}");
        }
    }

    #[test]
    fn division_is_exact_for_every_sum_of_a_box() {
        [3, 5, 11, 13, 63, 127, 253, 255].into_iter().for_each(check_division);
    }

    #[test]
    fn the_background_is_the_mean_over_the_box() {
        check_background(23, 17, 5);
        check_background(30, 30, 11);
    }

    #[test]
    fn a_box_may_be_larger_than_the_image() {
        check_background(1, 1, 3);
        check_background(4, 9, 11);
        check_background(9, 2, 255);
    }
}

//! Where a particle lies: the centroid in a disk that is moved until it is centred.
//!
//! The method of J. C. Crocker and D. G. Grier, J. Colloid Interface Sci. 179, 298 (1996), with the
//! steps of trackpy 0.7 (`trackpy.refine_com`): the disk moves by one pixel at a time, and what is
//! reported was summed where it was last placed. Sums are whole numbers, hence exact.

use super::disk::Disk;
use super::plane::{GrayLevel, Plane};
use super::settings::LocateSettings;

/// A disk placed on a particle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Placement {
    /// Middle of the disk, column and row.
    pub middle: (usize, usize),
    /// Centroid, in pixels from the centre of the first column.
    pub x_px: f64,
    /// Centroid, in pixels from the centre of the first row.
    pub y_px: f64,
    /// Sum over the disk, in levels of the image it was placed on.
    pub mass: f64,
}

/// The rules for moving a disk.
#[derive(Debug, Clone)]
pub(super) struct Refiner {
    max_iterations: u32,
    shift_threshold_px: f64,
}

impl Refiner {
    /// The rules of checked settings.
    pub(super) fn new(settings: &LocateSettings) -> Self {
        let LocateSettings { max_iterations, shift_threshold_px, .. } = *settings;
        Self { max_iterations, shift_threshold_px }
    }

    /// Places the disk on the particle around `peak`, which must be at least the disk's radius away
    /// from the border.
    pub(super) fn place<L: GrayLevel>(
        &self,
        disk: &Disk,
        levels: &Plane<L>,
        peak: (usize, usize),
    ) -> Placement {
        let mut middle = peak;
        let mut balance = Balance::of(disk, levels, middle);
        for _ in 1..self.max_iterations {
            let next_x = self.step(middle.0, balance.off_x_px, disk, levels.width_px());
            let next_y = self.step(middle.1, balance.off_y_px, disk, levels.height_px());
            if (next_x, next_y) == middle {
                break;
            }
            middle = (next_x, next_y);
            balance = Balance::of(disk, levels, middle);
        }
        let (x_px, y_px) = (middle.0 as f64 + balance.off_x_px, middle.1 as f64 + balance.off_y_px);
        Placement { middle, x_px, y_px, mass: balance.mass }
    }

    /// The middle after one step towards the centroid, the disk staying inside the image.
    fn step(&self, middle: usize, offset_px: f64, disk: &Disk, extent_px: usize) -> usize {
        if offset_px > self.shift_threshold_px {
            (middle + 1).min(extent_px - 1 - disk.radius_px())
        } else if offset_px < -self.shift_threshold_px {
            (middle - 1).max(disk.radius_px())
        } else {
            middle
        }
    }
}

/// How much lies in a disk, and how far its centroid is from the middle.
#[derive(Debug, Clone, Copy)]
struct Balance {
    mass: f64,
    off_x_px: f64,
    off_y_px: f64,
}

impl Balance {
    fn of<L: GrayLevel>(disk: &Disk, levels: &Plane<L>, middle: (usize, usize)) -> Self {
        let (mut mass, mut moment_x, mut moment_y) = (0, 0, 0);
        for (dy, (indent, row)) in (0u64..).zip(disk.rows(levels, middle)) {
            let (row_mass, row_moment) = row_sums(row);
            mass += row_mass;
            moment_x += row_moment + row_mass * indent as u64;
            moment_y += row_mass * dy;
        }
        let off_px = |moment: u64| match mass {
            0 => 0.0,
            mass => moment as f64 / mass as f64 - disk.radius_px() as f64,
        };
        Self { mass: mass as f64, off_x_px: off_px(moment_x), off_y_px: off_px(moment_y) }
    }
}

/// Sum of a row and of its levels times their columns; 255 levels of 16 bits fit 32 bits.
fn row_sums<L: GrayLevel>(row: &[L]) -> (u64, u64) {
    let (mut mass, mut moment) = (0u32, 0u32);
    for (column, level) in (0u32..).zip(row) {
        mass += level.whole();
        moment += level.whole() * column;
    }
    (u64::from(mass), u64::from(moment))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIDE: usize = 20;

    /// Looks for a square of 2 by 2 bright pixels, the upper left one at `square`, from `peak`, and
    /// compares the disk's middle, the centroid and the mass in full pixels.
    fn check_place(
        square: (usize, usize),
        peak: (usize, usize),
        max_iterations: u32,
        expected: ((usize, usize), (f64, f64), f64),
    ) {
        let mut pixels = vec![0u16; SIDE * SIDE];
        for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
            pixels[(square.1 + dy) * SIDE + square.0 + dx] = u16::MAX;
        }
        let mut levels = Plane::default();
        levels.copy_bright(&pixels, (SIDE, SIDE), SIDE, false);
        let refiner = Refiner::new(&LocateSettings { max_iterations, ..LocateSettings::new(7) });
        let found = refiner.place(&Disk::new(7), &levels, peak);
        let (middle, (x_px, y_px), mass) = expected;
        assert_eq!((found.middle, found.mass / 65535.0), (middle, mass), "{square:?} from {peak:?}");
        let off_px = (found.x_px - x_px).hypot(found.y_px - y_px);
        assert!(off_px < 1e-9, "{found:?} for {square:?} from {peak:?}");
    }

    #[test]
    fn a_disk_off_by_less_than_the_threshold_stays() {
        check_place((9, 9), (9, 9), 10, ((9, 9), (9.5, 9.5), 4.0));
    }

    #[test]
    fn a_disk_moves_by_one_pixel_at_a_time() {
        check_place((9, 9), (7, 8), 2, ((8, 9), (9.5, 9.5), 4.0));
        check_place((9, 9), (7, 8), 3, ((9, 9), (9.5, 9.5), 4.0));
    }

    #[test]
    fn a_disk_is_measured_where_its_last_iteration_placed_it() {
        check_place((9, 9), (7, 9), 1, ((7, 9), (28.0 / 3.0, 28.0 / 3.0), 3.0));
    }

    #[test]
    fn a_disk_stays_inside_the_image() {
        check_place((0, 9), (3, 9), 10, ((3, 9), (2.0 / 3.0, 28.0 / 3.0), 3.0));
    }

    #[test]
    fn a_disk_on_nothing_stays() {
        check_place((2, 2), (15, 15), 10, ((15, 15), (15.0, 15.0), 0.0));
    }
}

//! The disk a particle is measured in.

use super::plane::Plane;

/// A disk of odd diameter, stored as the extent of each of its rows.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    radius_px: usize,
    /// Pixels to either side of the vertical axis, from the top row to the bottom row.
    half_widths: Vec<usize>,
}

impl Disk {
    /// All pixels whose centres lie at most half of `diameter_px`, rounded down, from the middle.
    pub(super) fn new(diameter_px: u32) -> Self {
        let radius_px = diameter_px as usize / 2;
        let inside = |dx: usize, dy: usize| dx * dx + dy * dy <= radius_px * radius_px;
        let half_width = |dy: usize| (1..=radius_px).take_while(|&dx| inside(dx, dy)).count();
        let half_widths = (0..=2 * radius_px).map(|row| half_width(row.abs_diff(radius_px))).collect();
        Self { radius_px, half_widths }
    }

    /// Pixels from the middle to the farthest pixel.
    pub(super) fn radius_px(&self) -> usize {
        self.radius_px
    }

    /// Offsets `(dx, dy)` of all pixels from the middle, row after row.
    pub(super) fn offsets(&self) -> impl Iterator<Item = (i32, i32)> {
        let radius = self.radius_px as i32;
        (-radius..).zip(&self.half_widths).flat_map(|(dy, &half_width)| {
            let half_width = half_width as i32;
            (-half_width..=half_width).map(move |dx| (dx, dy))
        })
    }

    /// The disk's rows in an image, each with the columns it is indented by. The middle `(x, y)`
    /// must be at least the radius away from the border.
    pub(super) fn rows<'a, T: Copy + Default>(
        &'a self,
        image: &'a Plane<T>,
        (x, y): (usize, usize),
    ) -> impl Iterator<Item = (usize, &'a [T])> {
        let top = y - self.radius_px;
        (top..).zip(&self.half_widths).map(move |(y, &half_width)| {
            let pixels = &image.row(y)[x - half_width..][..2 * half_width + 1];
            (self.radius_px - half_width, pixels)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_disk(diameter_px: u32, half_widths: &[usize]) {
        let disk = Disk::new(diameter_px);
        assert_eq!(disk.half_widths, half_widths, "diameter {diameter_px}");
        let expected: usize = half_widths.iter().map(|half_width| 2 * half_width + 1).sum();
        assert_eq!(disk.offsets().count(), expected, "diameter {diameter_px}");
    }

    #[test]
    fn the_smallest_disk_is_a_cross() {
        check_disk(3, &[0, 1, 0]);
    }

    #[test]
    fn pixels_exactly_on_the_rim_belong_to_the_disk() {
        check_disk(11, &[0, 3, 4, 4, 4, 5, 4, 4, 4, 3, 0]);
    }

    #[test]
    fn rows_are_cut_out_of_the_image() {
        let mut image = Plane::default();
        image.copy_bright(&[0u8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], (4, 3), 4, false);
        let rows: Vec<_> = Disk::new(3).rows(&image, (2, 1)).map(|(_, row)| row.to_vec()).collect();
        assert_eq!(rows, [vec![2], vec![5, 6, 7], vec![10]]);
    }
}

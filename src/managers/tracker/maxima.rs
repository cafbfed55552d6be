//! Peaks: pixels that nothing outshines in the box around them.
//!
//! The box, the percentile and the margin are those of trackpy 0.7 (`trackpy.find.grey_dilation`).
//! All pixels of a flat peak are reported; whoever measures them drops the doubles.

use super::plane::{GrayLevel, Plane};
use super::settings::LocateSettings;

/// Pixels that are compared at a stroke before any is looked at by itself.
const STROKE: usize = 32;

/// The search for peaks and its memory.
#[derive(Debug, Clone)]
pub(super) struct Maxima<L> {
    /// Side of the box, in pixels. It reaches one pixel farther to the right and down when even.
    side: usize,
    /// Peaks closer than this to the border are left out, in pixels.
    margin: usize,
    percentile: f64,
    /// A row under dilation, with black to its left and right, and the next step of it.
    row: Vec<L>,
    next_row: Vec<L>,
    /// Greatest level of the box around each pixel, followed by rows that are half done.
    dilated: Plane<L>,
}

impl<L: GrayLevel> Maxima<L> {
    /// The search for checked settings.
    pub(super) fn new(settings: &LocateSettings) -> Self {
        let separation = settings.separation_px as usize;
        let radius = settings.diameter_px as usize / 2;
        Self {
            side: (f64::from(2 * settings.separation_px) / f64::sqrt(2.0)) as usize,
            margin: radius.max((separation / 2).saturating_sub(1)),
            percentile: settings.percentile,
            row: Vec::new(),
            next_row: Vec::new(),
            dilated: Plane::default(),
        }
    }

    /// Collects the peaks `(x, y)` of `levels` into `peaks`, by row and then by column.
    pub(super) fn find(&mut self, levels: &Plane<L>, peaks: &mut Vec<(usize, usize)>) {
        peaks.clear();
        let (width, height) = (levels.width_px(), levels.height_px());
        let (right, bottom) = (width.saturating_sub(self.margin), height.saturating_sub(self.margin));
        if right <= self.margin || bottom <= self.margin {
            return;
        }
        let Some(floor) = percentile_level(levels.pixels(), self.percentile) else {
            return;
        };
        self.dilate(levels);
        for y in self.margin..bottom {
            let row = &levels.row(y)[self.margin..right];
            let dilated = &self.dilated.row(y)[self.margin..right];
            collect_peaks(row, dilated, floor, |x| peaks.push((self.margin + x, y)));
        }
    }

    /// Finds the greatest level of the box around each pixel, along rows and then along columns.
    fn dilate(&mut self, levels: &Plane<L>) {
        let (width, height) = (levels.width_px(), levels.height_px());
        let before = (self.side - 1) / 2;
        self.dilated.resize(width, height + self.side - 1);
        self.dilated.pixels_mut()[..before * width].fill(L::default());
        self.dilated.pixels_mut()[(before + height) * width..].fill(L::default());
        for y in 0..height {
            self.dilate_row(levels.row(y), before);
            self.dilated.row_mut(before + y).copy_from_slice(&self.row[..width]);
        }
        for (covered, step) in doublings(self.side) {
            for y in 0..height + self.side - covered - step {
                let (upper, lower) = self.dilated.pixels_mut().split_at_mut((y + 1) * width);
                raise(&mut upper[y * width..], &lower[(step - 1) * width..][..width]);
            }
        }
    }

    fn dilate_row(&mut self, levels: &[L], before: usize) {
        self.row.clear();
        self.row.resize(before, L::default());
        self.row.extend_from_slice(levels);
        self.row.resize(levels.len() + self.side - 1, L::default());
        for (_, step) in doublings(self.side) {
            self.next_row.clear();
            let pairs = self.row.iter().zip(&self.row[step..]);
            self.next_row.extend(pairs.map(|(&level, &other)| level.max(other)));
            std::mem::swap(&mut self.row, &mut self.next_row);
        }
    }
}

/// Reports the pixels of a row that are above `floor` and the greatest of their box.
fn collect_peaks<L: GrayLevel>(row: &[L], dilated: &[L], floor: L, mut report: impl FnMut(usize)) {
    let strokes = row.chunks(STROKE).zip(dilated.chunks(STROKE));
    for (start, (row, dilated)) in (0..).step_by(STROKE).zip(strokes) {
        let is_peak = |(&level, &greatest): (&L, &L)| level == greatest && level > floor;
        let hits = row.iter().zip(dilated).map(is_peak);
        if hits.clone().fold(false, |any, hit| any | hit) {
            let found = (start..).zip(hits).filter(|&(_, hit)| hit);
            found.for_each(|(x, _)| report(x));
        }
    }
}

/// Steps by which a maximum over one pixel grows to one over `side` pixels: pairs of the pixels
/// covered so far and the distance to an equal window that, joined, at most doubles them.
fn doublings(side: usize) -> impl Iterator<Item = (usize, usize)> {
    let step = move |covered: usize| (covered, covered.min(side - covered));
    let start = Some(step(1)).filter(|_| side > 1);
    std::iter::successors(start, move |&(covered, grown)| {
        Some(covered + grown).filter(|&covered| covered < side).map(step)
    })
}

/// Raises each level to the one beside it. A function of its own, for the compiler can tell that
/// two arguments do not overlap, and compares many pixels at once.
#[inline(never)]
fn raise<L: GrayLevel>(levels: &mut [L], others: &[L]) {
    for (level, &other) in levels.iter_mut().zip(others) {
        *level = (*level).max(other);
    }
}

/// The level of the pixel at the percentile's rank among those above zero, rounded down; `None`
/// when all are zero. Whether ranks are interpolated does not matter: no pixel lies between
/// neighbours.
fn percentile_level<L: GrayLevel>(pixels: &[L], percentile: f64) -> Option<L> {
    let (mut below, mut level) = (L::default(), L::MAX);
    let count = count_above(pixels, below);
    let rank = (count.checked_sub(1)? as f64 * (percentile / 100.0)) as usize;
    loop {
        let middle = below.midpoint(level);
        if middle == below {
            return Some(level);
        }
        if count_above(pixels, middle) < count - rank {
            level = middle;
        } else {
            below = middle;
        }
    }
}

fn count_above<L: GrayLevel>(pixels: &[L], level: L) -> usize {
    let count = |pixels: &[L]| pixels.iter().fold(0u8, |count, &pixel| count + u8::from(pixel > level));
    pixels.chunks(240).map(|pixels| usize::from(count(pixels))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares with a search that looks at each pixel of each box, for an image of few levels and
    /// hence many flat peaks.
    fn check_peaks(width: usize, height: usize, diameter: u32, separation: u32) {
        let pixels: Vec<u8> = (0..width * height).map(|i| ((i * i + 7 * i) * 167 / 13 % 23) as u8).collect();
        let mut levels = Plane::default();
        levels.copy_bright(&pixels, (width, height), width, false);
        let settings = LocateSettings { separation_px: separation, ..LocateSettings::new(diameter) };
        let mut maxima = Maxima::new(&settings);
        let (before, after) = ((maxima.side - 1) / 2, maxima.side / 2);
        let margin = maxima.margin;
        let floor = percentile_level(&pixels, 64.0).unwrap_or(0);
        let is_peak = |x: usize, y: usize| {
            let rows = y.saturating_sub(before)..(y + after + 1).min(height);
            let columns = x.saturating_sub(before)..(x + after + 1).min(width);
            let greatest = rows.flat_map(|y| &levels.row(y)[columns.clone()]).max();
            let level = levels.row(y)[x];
            greatest == Some(&level) && level > floor
        };
        let mut expected = Vec::new();
        for y in margin..height.saturating_sub(margin) {
            let inside = margin..width.saturating_sub(margin);
            expected.extend(inside.filter(|&x| is_peak(x, y)).map(|x| (x, y)));
        }
        let mut peaks = Vec::new();
        maxima.find(&levels, &mut peaks);
        assert_eq!(peaks, expected, "{width} x {height}, diameter {diameter}, separation {separation}");
    }

    fn check_percentile(levels: &[u8], percentile: f64, expected: Option<u8>) {
        let found = percentile_level(levels, percentile);
        assert_eq!(found, expected, "{percentile} % of {levels:?}");
    }

    #[test]
    fn peaks_are_what_no_pixel_of_the_box_outshines() {
        for separation in 1..=20 {
            check_peaks(67, 41, 5, separation);
        }
    }

    #[test]
    fn a_box_may_be_larger_than_the_image() {
        check_peaks(12, 9, 3, 100);
        check_peaks(100, 3, 3, 7);
    }

    #[test]
    fn an_image_smaller_than_the_margins_has_no_peaks() {
        check_peaks(4, 40, 5, 6);
        check_peaks(0, 0, 5, 6);
    }

    #[test]
    fn zeros_do_not_count_for_the_percentile() {
        check_percentile(&[0, 0, 0, 0, 7, 3, 5], 0.0, Some(3));
        check_percentile(&[0, 0, 0, 0, 7, 3, 5], 50.0, Some(5));
        check_percentile(&[0, 0, 0, 0, 7, 3, 5], 99.0, Some(5));
        check_percentile(&[0, 0, 0, 0, 7, 3, 5], 100.0, Some(7));
    }

    #[test]
    fn a_black_image_has_no_percentile() {
        check_percentile(&[0, 0], 64.0, None);
        check_percentile(&[], 64.0, None);
    }

    #[test]
    fn saturated_pixels_count_for_the_percentile() {
        check_percentile(&[255; 1000], 64.0, Some(255));
    }
}

//! Thinning: of two particles that are too close together the lighter one goes.
//!
//! The rule is that of trackpy 0.7 (`trackpy.find.where_close`). It also removes the doubles that
//! the pixels of a flat peak give rise to.

use super::refine::Placement;

/// The least separation and the memory for comparing.
#[derive(Debug, Clone)]
pub(super) struct Crowding {
    closest_px: f64,
    /// Indices of the placements, from the topmost to the lowest.
    by_height: Vec<usize>,
    is_dropped: Vec<bool>,
}

impl Crowding {
    /// Asks for `separation_px` pixels between centroids, less a ten-millionth for rounding.
    pub(super) fn new(separation_px: u32) -> Self {
        let closest_px = f64::from(separation_px) * (1.0 - 1e-7);
        Self { closest_px, by_height: Vec::new(), is_dropped: Vec::new() }
    }

    /// Drops each placement that has a heavier one too close to it, even when that one is dropped
    /// too. Of equally heavy ones the one with the greater x + y stays; if that is equal too, the
    /// later one. The order does not change.
    pub(super) fn thin(&mut self, placements: &mut Vec<Placement>) {
        let top = |&index: &usize| placements[index].y_px;
        self.by_height.clear();
        self.by_height.extend(0..placements.len());
        self.by_height.sort_unstable_by(|a, b| top(a).total_cmp(&top(b)));
        self.is_dropped.clear();
        self.is_dropped.resize(placements.len(), false);
        for (rank, &upper) in self.by_height.iter().enumerate() {
            let lowest_px = placements[upper].y_px + self.closest_px;
            let below = self.by_height[rank + 1..].iter();
            for &lower in below.take_while(|&&lower| placements[lower].y_px <= lowest_px) {
                if self.are_close(&placements[upper], &placements[lower]) {
                    let (earlier, later) = (upper.min(lower), upper.max(lower));
                    let keeps_earlier = outweighs(&placements[earlier], &placements[later]);
                    self.is_dropped[if keeps_earlier { later } else { earlier }] = true;
                }
            }
        }
        let mut is_dropped = self.is_dropped.iter();
        placements.retain(|_| is_dropped.next() == Some(&false));
    }

    fn are_close(&self, a: &Placement, b: &Placement) -> bool {
        let (dx, dy) = (a.x_px - b.x_px, a.y_px - b.y_px);
        dx * dx + dy * dy <= self.closest_px * self.closest_px
    }
}

fn outweighs(earlier: &Placement, later: &Placement) -> bool {
    let by_mass = earlier.mass.total_cmp(&later.mass);
    let by_place = (earlier.x_px + earlier.y_px).total_cmp(&(later.x_px + later.y_px));
    by_mass.then(by_place).is_gt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_thinned(given: &[(f64, f64, f64)], kept: &[usize]) {
        let placement = |&(x_px, y_px, mass)| Placement { middle: (0, 0), x_px, y_px, mass };
        let mut placements: Vec<_> = given.iter().map(placement).collect();
        let expected: Vec<_> = kept.iter().map(|&index| placements[index]).collect();
        Crowding::new(12).thin(&mut placements);
        assert_eq!(placements, expected, "{given:?}");
    }

    #[test]
    fn nothing_remains_of_nothing() {
        check_thinned(&[], &[]);
    }

    #[test]
    fn the_lighter_of_two_close_ones_goes() {
        check_thinned(&[(0.0, 0.0, 5.0), (8.0, 8.0, 7.0)], &[1]);
        check_thinned(&[(0.0, 0.0, 7.0), (8.0, 8.0, 5.0)], &[0]);
    }

    #[test]
    fn ones_as_far_apart_as_asked_both_stay() {
        check_thinned(&[(0.0, 0.0, 5.0), (0.0, 12.0, 7.0)], &[0, 1]);
    }

    #[test]
    fn a_dropped_one_still_drops_lighter_ones() {
        check_thinned(&[(0.0, 0.0, 1.0), (10.0, 0.0, 2.0), (20.0, 0.0, 3.0)], &[2]);
    }

    #[test]
    fn of_equal_masses_the_lower_right_one_stays() {
        check_thinned(&[(0.0, 0.0, 5.0), (3.0, 0.0, 5.0)], &[1]);
        check_thinned(&[(3.0, 0.0, 5.0), (0.0, 0.5, 5.0)], &[0]);
    }

    #[test]
    fn doubles_are_reduced_to_one() {
        check_thinned(&[(1.0, 1.0, 5.0), (1.0, 1.0, 5.0), (1.0, 1.0, 5.0)], &[2]);
    }
}

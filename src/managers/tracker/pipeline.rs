//! The steps of the particle finder, in their order, for one pixel depth.
//!
//! Owns the working memory of all steps, so that a frame like the one before allocates nothing.
//! Measures only those particles that outlast the thinning.

use super::bandpass::Bandpass;
use super::crowding::Crowding;
use super::disk::Disk;
use super::image::GrayImage;
use super::locate::Feature;
use super::maxima::Maxima;
use super::plane::{GrayLevel, Plane};
use super::refine::{Placement, Refiner};
use super::settings::LocateSettings;
use super::shape::ShapeGauge;

/// The steps from camera pixels to features, for one pixel depth.
#[derive(Debug, Clone)]
pub(super) struct Pipeline<L> {
    is_dark: bool,
    min_mass: f64,
    disk: Disk,
    bandpass: Bandpass,
    maxima: Maxima<L>,
    refiner: Refiner,
    crowding: Crowding,
    gauge: ShapeGauge,
    /// The image with bright particles.
    raw: Plane<L>,
    /// The filtered image, stretched over all levels.
    levels: Plane<L>,
    peaks: Vec<(usize, usize)>,
    placements: Vec<Placement>,
}

impl<L: GrayLevel> Pipeline<L> {
    /// The steps for checked settings.
    pub(super) fn new(settings: &LocateSettings) -> Self {
        let disk = Disk::new(settings.diameter_px);
        Self {
            is_dark: settings.dark,
            min_mass: settings.min_mass,
            bandpass: Bandpass::new(settings),
            maxima: Maxima::new(settings),
            refiner: Refiner::new(settings),
            crowding: Crowding::new(settings.separation_px),
            gauge: ShapeGauge::new(&disk),
            disk,
            raw: Plane::default(),
            levels: Plane::default(),
            peaks: Vec::new(),
            placements: Vec::new(),
        }
    }

    /// Appends the particles found in `image`, whose pixels are `pixels`, to `features`.
    pub(super) fn locate(&mut self, pixels: &[L], image: &GrayImage<'_>, features: &mut Vec<Feature>) {
        let size = (image.width_px(), image.height_px());
        self.raw.copy_bright(pixels, size, image.stride_px(), self.is_dark);
        let Some(factor) = self.bandpass.filter(&self.raw, &mut self.levels) else {
            return;
        };
        self.maxima.find(&self.levels, &mut self.peaks);
        self.place_disks();
        self.crowding.thin(&mut self.placements);
        let heavy = self.placements.iter().filter(|at| at.mass / factor > self.min_mass);
        features.extend(heavy.map(|at| self.feature(at, factor)));
    }

    fn place_disks(&mut self) {
        let place = |&peak| self.refiner.place(&self.disk, &self.levels, peak);
        self.placements.clear();
        self.placements.extend(self.peaks.iter().map(place));
    }

    /// Measures a particle and undoes the stretching of the levels by `factor`.
    fn feature(&self, placement: &Placement, factor: f64) -> Feature {
        let Placement { middle, x_px, y_px, mass } = *placement;
        let shape = self.gauge.measure(&self.disk, &self.levels, middle, mass);
        let raw_rows = self.disk.rows(&self.raw, middle);
        let raw_sums = raw_rows.map(|(_, row)| row.iter().map(|level| level.whole()).sum::<u32>());
        Feature {
            x_px,
            y_px,
            mass: mass / factor,
            size_px: shape.size_px,
            eccentricity: shape.eccentricity,
            signal: shape.signal / factor,
            raw_mass: raw_sums.map(f64::from).sum(),
        }
    }
}

//! Finding particles in an image: the front of the particle finder.
//!
//! The method is that of J. C. Crocker and D. G. Grier, "Methods of digital video microscopy for
//! colloidal studies", J. Colloid Interface Sci. 179, 298 (1996), as `trackpy.locate` of trackpy
//! 0.7 carries it out: bandpass, peaks, centroids, thinning. Given the same 8-bit image and
//! settings it gives the same features in the same order, to the rounding of double precision. It
//! does not estimate trackpy's position error `ep`, and it does not link particles from frame to
//! frame.

use super::image::{GrayImage, GrayPixels};
use super::pipeline::Pipeline;
use super::settings::{LocateSettings, SettingsError};

/// One particle as it was measured.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Feature {
    /// Centroid, in pixels from the centre of the first column.
    pub x_px: f64,
    /// Centroid, in pixels from the centre of the first row.
    pub y_px: f64,
    /// Filtered grey levels summed over the disk, in levels of the image; above 0.
    pub mass: f64,
    /// Radius of gyration of the filtered brightness, in pixels.
    pub size_px: f64,
    /// 0 for a round particle, towards 1 for a line. The middle pixel counts only above the stroke
    /// of the fraction, as in trackpy, so a particle of one pixel may exceed 1.
    pub eccentricity: f64,
    /// Greatest filtered grey level, in levels of the image.
    pub signal: f64,
    /// Grey levels of the image itself, inverted for dark particles, summed over the disk.
    pub raw_mass: f64,
}

/// Finds particles in one image after another.
///
/// It keeps its working memory: once it has seen an image, others of the same size and depth cost
/// no allocation.
///
/// ```
/// use labrig::managers::tracker::image::{GrayImage, GrayPixels};
/// use labrig::managers::tracker::locate::Locator;
/// use labrig::managers::tracker::settings::LocateSettings;
///
/// let mut pixels = vec![20u8; 40 * 30];
/// for (x, y) in [(17, 12), (18, 12), (17, 13), (18, 13)] {
///     pixels[y * 40 + x] = 200;
/// }
/// let image = GrayImage::new(GrayPixels::Eight(&pixels), 40, 30, 40)?;
/// let mut locator = Locator::new(LocateSettings::new(7))?;
/// let mut features = Vec::new();
/// locator.locate(&image, &mut features);
/// assert_eq!(features.len(), 1);
/// assert!((features[0].x_px - 17.5).abs() < 0.01 && (features[0].y_px - 12.5).abs() < 0.01);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Locator {
    settings: LocateSettings,
    eight: Pipeline<u8>,
    sixteen: Pipeline<u16>,
}

impl Locator {
    /// A finder of the particles described by `settings`.
    ///
    /// # Errors
    /// What [`LocateSettings::check`] has to say about `settings`.
    pub fn new(settings: LocateSettings) -> Result<Self, SettingsError> {
        settings.check()?;
        let (eight, sixteen) = (Pipeline::new(&settings), Pipeline::new(&settings));
        Ok(Self { settings, eight, sixteen })
    }

    /// What it looks for.
    pub fn settings(&self) -> &LocateSettings {
        &self.settings
    }

    /// Replaces `features` by those found in `image`: by row and then by column of the peaks they
    /// started from, which is nearly by y and then by x. An image with no room for the disk has
    /// none.
    pub fn locate(&mut self, image: &GrayImage<'_>, features: &mut Vec<Feature>) {
        features.clear();
        match image.pixels() {
            GrayPixels::Eight(pixels) => self.eight.locate(pixels, image, features),
            GrayPixels::Sixteen(pixels) => self.sixteen.locate(pixels, image, features),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An image of one pixel value.
    fn even(width: usize, height: usize, value: u8) -> Vec<u8> {
        vec![value; width * height]
    }

    /// An image with a bead of 3 by 3 pixels around each place.
    fn beads(width: usize, height: usize, middles: &[(usize, usize)]) -> Vec<u8> {
        let mut pixels = even(width, height, 30);
        for &(x, y) in middles {
            (y - 1..=y + 1).for_each(|y| pixels[y * width + x - 1..=y * width + x + 1].fill(130));
        }
        pixels
    }

    /// Looks at the same picture in every form it may come in and compares the places found.
    fn check_found(pixels: &[u8], width: usize, height: usize, expected: &[(f64, f64)]) {
        let inverted: Vec<u8> = pixels.iter().map(|&value| 255 - value).collect();
        let deep: Vec<u16> = pixels.iter().map(|&value| u16::from(value) * 257).collect();
        let dark_deep: Vec<u16> = deep.iter().map(|&value| 65535 - value).collect();
        let padded = with_stride(pixels, width, width + 5);
        let bright = LocateSettings { min_mass: 1.0, ..LocateSettings::new(7) };
        let dark = LocateSettings { dark: true, ..bright.clone() };
        for (settings, pixels, stride) in [
            (&bright, GrayPixels::Eight(pixels), width),
            (&bright, GrayPixels::Eight(&padded), width + 5),
            (&bright, GrayPixels::Sixteen(&deep), width),
            (&dark, GrayPixels::Eight(&inverted), width),
            (&dark, GrayPixels::Sixteen(&dark_deep), width),
        ] {
            let image = GrayImage::new(pixels, width, height, stride).expect("sizes match");
            let mut locator = Locator::new(settings.clone()).expect("settings are in range");
            check_features(&mut locator, &image, expected);
            check_features(&mut locator, &image, expected);
        }
    }

    fn check_features(locator: &mut Locator, image: &GrayImage<'_>, expected: &[(f64, f64)]) {
        let mut features = vec![Feature::default(); 3];
        locator.locate(image, &mut features);
        assert_eq!(features.len(), expected.len(), "{features:?} for {expected:?}");
        for (feature, &(x, y)) in features.iter().zip(expected) {
            let off_px = (feature.x_px - x).hypot(feature.y_px - y);
            assert!(off_px < 0.05, "{feature:?} for ({x}, {y})");
            let Feature { mass, size_px, eccentricity, signal, raw_mass, .. } = *feature;
            let numbers = [mass, size_px, eccentricity, signal, raw_mass];
            assert!(numbers.iter().all(|number| number.is_finite()), "{feature:?}");
        }
    }

    /// Moves rows `stride` pixels apart, with bright padding between them.
    fn with_stride(pixels: &[u8], width: usize, stride: usize) -> Vec<u8> {
        let pad = vec![255; stride - width];
        let rows = pixels.chunks(width.max(1));
        rows.flat_map(|row| row.iter().chain(&pad).copied()).collect()
    }

    #[test]
    fn beads_are_found_by_row_and_column() {
        let middles = [(30, 9), (10, 11), (45, 11), (20, 28)];
        let expected = middles.map(|(x, y)| (x as f64, y as f64));
        check_found(&beads(60, 40, &middles), 60, 40, &expected);
    }

    #[test]
    fn an_image_without_pixels_has_no_features() {
        check_found(&[], 0, 0, &[]);
    }

    #[test]
    fn an_evenly_lit_image_has_no_features() {
        check_found(&even(60, 40, 0), 60, 40, &[]);
        check_found(&even(60, 40, 117), 60, 40, &[]);
    }

    #[test]
    fn a_saturated_image_has_no_features() {
        check_found(&even(60, 40, 255), 60, 40, &[]);
    }

    #[test]
    fn an_image_smaller_than_the_disk_has_no_features() {
        check_found(&beads(6, 40, &[(3, 20)]), 6, 40, &[]);
        check_found(&beads(40, 6, &[(20, 3)]), 40, 6, &[]);
        check_found(&beads(3, 3, &[(1, 1)]), 3, 3, &[]);
    }

    #[test]
    fn an_image_of_the_disks_size_may_hold_one_bead() {
        check_found(&beads(7, 7, &[(3, 3)]), 7, 7, &[(3.0, 3.0)]);
    }

    #[test]
    fn a_bead_at_the_border_is_left_out() {
        check_found(&beads(60, 40, &[(1, 20), (30, 1), (58, 20), (30, 38)]), 60, 40, &[]);
    }

    #[test]
    fn a_locator_takes_images_of_any_size_in_turn() {
        let mut locator = Locator::new(LocateSettings::new(7)).expect("settings are in range");
        for (width, height) in [(60, 40), (20, 90), (0, 0), (5, 5), (33, 33)] {
            let has_room = width > 20;
            let middles: &[_] = if has_room { &[(16, 15)] } else { &[] };
            let pixels = beads(width, height, middles);
            let expected: &[_] = if has_room { &[(16.0, 15.0)] } else { &[] };
            let pixels = GrayPixels::Eight(&pixels);
            let image = GrayImage::new(pixels, width, height, width).expect("sizes match");
            check_features(&mut locator, &image, expected);
        }
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        let error = Locator::new(LocateSettings::new(8)).map(|_| ()).err();
        assert_eq!(error, Some(SettingsError::EvenDiameter { diameter_px: 8 }));
    }
}

//! How well the tracker finds particles: against known truth and against trackpy.
//!
//! The synthetic frames are drawn here, the same ones every time. The microscope frames and what
//! trackpy 0.7 finds in them lie in the folder named by `LABRIG_BULK_WATER`, or else in
//! `../shared/data/bulk_water`; where there is neither, that comparison is skipped and says so.

use std::env;
use std::error::Error;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use labrig::managers::tracker::image::{GrayImage, GrayPixels};
use labrig::managers::tracker::locate::{Feature, Locator};
use labrig::managers::tracker::settings::LocateSettings;

/// Farther from the truth than this, in pixels, a feature counts as another one.
const REACH_PX: f64 = 0.5;

/// How a set of features compares with the truth.
#[derive(Debug, Default)]
struct Score {
    expected: usize,
    found: usize,
    distances_px: Vec<f64>,
}

impl Score {
    /// Pairs each expected place with the nearest feature in reach that no other place has taken,
    /// and returns the feature's index for each place.
    fn count(&mut self, expected: &[(f64, f64)], found: &[Feature]) -> Vec<Option<usize>> {
        let mut is_taken = vec![false; found.len()];
        self.expected += expected.len();
        self.found += found.len();
        let partners = expected.iter().map(|&(x, y)| {
            let distance_px = |&index: &usize| (found[index].x_px - x).hypot(found[index].y_px - y);
            let free = (0..found.len()).filter(|&index| !is_taken[index]);
            let nearest = free.min_by(|a, b| distance_px(a).total_cmp(&distance_px(b)));
            let partner = nearest.filter(|index| distance_px(index) <= REACH_PX)?;
            is_taken[partner] = true;
            self.distances_px.push(distance_px(&partner));
            Some(partner)
        });
        partners.collect()
    }

    /// Prints the figures and checks them against the least recall and precision and the largest
    /// median distance that are acceptable.
    fn check(mut self, name: &str, least_share: f64, largest_median_px: f64) {
        let matched = self.distances_px.len() as f64;
        let recall = matched / self.expected as f64;
        let precision = matched / self.found as f64;
        let median_px = median(&mut self.distances_px);
        println!(
            "{name}: {} expected, {} found, recall {:.4} %, precision {:.4} %, median distance {median_px:.2e} px",
            self.expected,
            self.found,
            100.0 * recall,
            100.0 * precision,
        );
        assert!(recall >= least_share, "{name}: recall {recall} is below {least_share}");
        assert!(precision >= least_share, "{name}: precision {precision} is below {least_share}");
        assert!(median_px <= largest_median_px, "{name}: median distance is {median_px} px");
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

mod synthetic {
    use super::*;

    const WIDTH: usize = 160;
    const HEIGHT: usize = 120;
    const FRAMES: u32 = 5;

    /// Beads sit in cells of this size, so that they keep their distance.
    const CELL_PX: f64 = 18.0;

    /// Random numbers that are the same on every machine: the generator of Knuth's MMIX.
    struct Dice(u64);

    impl Dice {
        /// A number from −1 to 1.
        fn roll(&mut self) -> f64 {
            self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (self.0 >> 32) as f64 / f64::from(1u32 << 31) - 1.0
        }
    }

    /// Draws beads on a ground of 0.3, as brightness from 0 to 1 with noise, and tells where they
    /// are.
    fn draw(dice: &mut Dice) -> (Vec<f64>, Vec<(f64, f64)>) {
        let mut places = Vec::new();
        for row in 0..6 {
            for column in 0..8 {
                let x = CELL_PX * (f64::from(column) + 0.9) + 2.5 * dice.roll();
                let y = CELL_PX * (f64::from(row) + 0.8) + 2.5 * dice.roll();
                places.push((x, y));
            }
        }
        let noise = |dice: &mut Dice| 0.008 * (dice.roll() + dice.roll() + dice.roll());
        let mut pixels = Vec::with_capacity(WIDTH * HEIGHT);
        for index in 0..WIDTH * HEIGHT {
            let (x, y) = ((index % WIDTH) as f64, (index / WIDTH) as f64);
            let bead = |&(bead_x, bead_y): &(f64, f64)| {
                0.4 * (-((x - bead_x).powi(2) + (y - bead_y).powi(2)) / (2.0 * 2.2 * 2.2)).exp()
            };
            pixels.push(0.3 + places.iter().map(bead).sum::<f64>() + noise(dice));
        }
        (pixels, places)
    }

    /// Looks for the beads in several frames, drawn at a depth and bright or dark.
    fn check_beads(name: &str, dark: bool, locate: impl Fn(&mut Locator, &[f64], &mut Vec<Feature>)) {
        let settings = LocateSettings { dark, min_mass: 200.0, ..LocateSettings::new(11) };
        let mut locator = Locator::new(settings).expect("settings are in range");
        let mut dice = Dice(20_240_229);
        let mut score = Score::default();
        let mut features = Vec::new();
        for _ in 0..FRAMES {
            let (pixels, places) = draw(&mut dice);
            locate(&mut locator, &pixels, &mut features);
            score.count(&places, &features);
        }
        score.check(name, 0.99, 0.06);
    }

    fn locate_eight(locator: &mut Locator, pixels: &[u8], features: &mut Vec<Feature>) {
        let image = GrayImage::new(GrayPixels::Eight(pixels), WIDTH, HEIGHT, WIDTH);
        locator.locate(&image.expect("sizes match"), features);
    }

    #[test]
    fn bright_beads_are_found_where_they_were_drawn() {
        check_beads("bright beads", false, |locator, pixels, features| {
            let pixels: Vec<u8> = pixels.iter().map(|value| (value * 255.0).round() as u8).collect();
            locate_eight(locator, &pixels, features);
        });
    }

    #[test]
    fn dark_beads_are_found_where_they_were_drawn() {
        check_beads("dark beads", true, |locator, pixels, features| {
            let dark = |value: &f64| 255 - (value * 255.0).round() as u8;
            let pixels: Vec<u8> = pixels.iter().map(dark).collect();
            locate_eight(locator, &pixels, features);
        });
    }

    #[test]
    fn beads_of_a_twelve_bit_camera_are_found_where_they_were_drawn() {
        check_beads("12-bit beads", false, |locator, pixels, features| {
            let pixels: Vec<u16> = pixels.iter().map(|value| (value * 4095.0).round() as u16).collect();
            let image = GrayImage::new(GrayPixels::Sixteen(&pixels), WIDTH, HEIGHT, WIDTH);
            locator.locate(&image.expect("sizes match"), features);
        });
    }
}

mod microscope {
    use super::*;

    const FRAMES: usize = 60;

    /// A row of the reference: where, and the mass, size, eccentricity, signal and raw mass.
    #[derive(Debug, Clone, Copy)]
    struct Reference {
        place: (f64, f64),
        looks: [f64; 5],
    }

    const LOOKS: [&str; 5] = ["mass", "size", "eccentricity", "signal", "raw mass"];

    fn looks(feature: &Feature) -> [f64; 5] {
        let Feature { mass, size_px, eccentricity, signal, raw_mass, .. } = *feature;
        [mass, size_px, eccentricity, signal, raw_mass]
    }

    fn folder() -> Option<PathBuf> {
        if let Some(folder) = env::var_os("LABRIG_BULK_WATER") {
            return Some(folder.into());
        }
        let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/bulk_water");
        Some(beside).filter(|folder| folder.is_dir())
    }

    /// The rows for each frame, in the order of the file.
    fn read_references(path: &Path) -> Result<Vec<Vec<Reference>>, Box<dyn Error>> {
        let mut frames = vec![Vec::new(); FRAMES];
        for line in fs::read_to_string(path)?.lines().skip(1) {
            let numbers: Vec<f64> = line.split(',').map(str::parse).collect::<Result<_, _>>()?;
            let [frame, x, y, mass, size, ecc, signal, raw_mass, _] = numbers[..] else {
                return Err(format!("expected 9 columns in `{line}`").into());
            };
            let looks = [mass, size, ecc, signal, raw_mass];
            frames[frame as usize].push(Reference { place: (x, y), looks });
        }
        Ok(frames)
    }

    fn locate_in_file(
        locator: &mut Locator,
        path: &Path,
        features: &mut Vec<Feature>,
    ) -> Result<(), Box<dyn Error>> {
        let mut reader = png::Decoder::new(BufReader::new(File::open(path)?)).read_info()?;
        let mut pixels = vec![0; reader.output_buffer_size().ok_or("frame is too large")?];
        let frame = reader.next_frame(&mut pixels)?;
        let (width, height) = (frame.width as usize, frame.height as usize);
        let image = GrayImage::new(GrayPixels::Eight(&pixels), width, height, frame.line_size)?;
        locator.locate(&image, features);
        Ok(())
    }

    fn check_against_trackpy(folder: &Path) -> Result<(), Box<dyn Error>> {
        let references = read_references(&folder.join("trackpy_locate_d11_minmass20_invert.csv"))?;
        let settings = LocateSettings { dark: true, min_mass: 20.0, ..LocateSettings::new(11) };
        let mut locator = Locator::new(settings)?;
        let mut score = Score::default();
        let mut differences: [Vec<f64>; 5] = Default::default();
        let mut features = Vec::new();
        for (index, references) in references.iter().enumerate() {
            let path = folder.join(format!("bulk_water_{index:03}.png"));
            locate_in_file(&mut locator, &path, &mut features)?;
            let places: Vec<_> = references.iter().map(|reference| reference.place).collect();
            let partners = score.count(&places, &features);
            for (reference, partner) in references.iter().zip(partners) {
                let Some(partner) = partner else { continue };
                let pairs = looks(&features[partner]).into_iter().zip(reference.looks);
                for (differences, (ours, theirs)) in differences.iter_mut().zip(pairs) {
                    differences.push((ours - theirs).abs() / theirs);
                }
            }
        }
        for (name, differences) in LOOKS.iter().zip(&mut differences) {
            let median = median(differences);
            println!("{name}: median relative difference {median:.1e}");
            assert!(median < 1e-3, "{name} differs by {median}");
        }
        score.check("trackpy", 0.97, 0.05);
        Ok(())
    }

    #[test]
    fn trackpy_finds_the_same_particles() -> Result<(), Box<dyn Error>> {
        match folder() {
            Some(folder) => check_against_trackpy(&folder),
            None => {
                println!("skipped: no bulk_water frames, set LABRIG_BULK_WATER to their folder");
                Ok(())
            }
        }
    }
}

//! The time to find the particles of one 640 × 424 frame, on one thread.
//!
//! *beads*: a picture that is drawn here, with 600 dark beads. *bulk_water*: the sixty microscope frames in the
//! folder named by `LABRIG_BULK_WATER`, or else in `../shared/data/bulk_water`, one after the other.

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode};
use labrig::managers::camera::ImageSequence;
use labrig::managers::tracker::image::{GrayImage, GrayPixels};
use labrig::managers::tracker::locate::{Feature, Locator};
use labrig::managers::tracker::settings::LocateSettings;

use crate::figures::{Figures, SAMPLES, Sample};

const WIDTH: usize = 640;
const HEIGHT: usize = 424;

pub(crate) fn bench(criterion: &mut Criterion, figures: &mut Figures) {
    let mut group = criterion.benchmark_group("tracker");
    group.sample_size(SAMPLES).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    group.sampling_mode(SamplingMode::Flat);
    find_in(&mut group, figures, "beads", || vec![draw()]);
    let folder = env::var_os("LABRIG_BULK_WATER").map_or_else(default_folder, PathBuf::from);
    if folder.is_dir() {
        find_in(&mut group, figures, "bulk_water", || load(&folder));
    } else {
        println!("tracker/bulk_water: skipped, there is no folder {}", folder.display());
    }
}

fn find_in(
    group: &mut BenchmarkGroup<'_, WallTime>,
    figures: &mut Figures,
    name: &str,
    frames: impl Fn() -> Vec<Vec<u8>>,
) {
    let (mut pictures, mut next) = (None, 0);
    let mut locator = Locator::new(settings()).expect("these settings are in range");
    let mut features = Vec::new();
    figures.bench(group, ("tracker", name), 1, |count| {
        let pictures = pictures.get_or_insert_with(&frames);
        let find = |_| {
            next = (next + 1) % pictures.len();
            locate(&mut locator, &pictures[next], &mut features);
        };
        (Sample::of(count, find), None)
    });
}

fn default_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/bulk_water")
}

/// As `config/replay.toml` has them.
fn settings() -> LocateSettings {
    LocateSettings { dark: true, min_mass: 20.0, ..LocateSettings::new(11) }
}

fn locate(locator: &mut Locator, pixels: &[u8], features: &mut Vec<Feature>) {
    let image = GrayImage::new(GrayPixels::Eight(pixels), WIDTH, HEIGHT, WIDTH).expect("the size is right");
    locator.locate(&image, features);
    assert!((300..1000).contains(&features.len()), "{} particles in a frame of 600", features.len());
}

fn load(folder: &std::path::Path) -> Vec<Vec<u8>> {
    let mut sequence = ImageSequence::open(folder, 1 << 24).expect("the folder has images");
    let mut frames = Vec::new();
    while let Some(image) = sequence.next_image() {
        let image = image.expect("the image can be read");
        let mut pixels = vec![0; image.frame_bytes()];
        image.decode_into(&mut pixels).expect("the image can be decoded");
        assert_eq!(pixels.len(), WIDTH * HEIGHT, "the frames are 640 × 424 of one byte");
        frames.push(pixels);
    }
    frames
}

/// 30 × 20 dark beads a little out of line on a light ground with some noise; the same picture every time.
fn draw() -> Vec<u8> {
    let mut dice = Dice(20_240_229);
    let mut pixels: Vec<f64> = (0..WIDTH * HEIGHT).map(|_| 180.0 + 3.0 * dice.roll()).collect();
    for (row, column) in (0..20).flat_map(|row| (0..30).map(move |column| (row, column))) {
        let x = 21.0 * (f64::from(column) + 0.7) + 2.0 * dice.roll();
        let y = 21.0 * (f64::from(row) + 0.6) + 2.0 * dice.roll();
        darken(&mut pixels, x, y);
    }
    pixels.into_iter().map(|level| level.round() as u8).collect()
}

fn darken(pixels: &mut [f64], bead_x: f64, bead_y: f64) {
    let around =
        |middle: f64, end: usize| (middle as usize).saturating_sub(8)..(middle as usize + 9).min(end);
    for y in around(bead_y, HEIGHT) {
        for x in around(bead_x, WIDTH) {
            let distance = (x as f64 - bead_x).powi(2) + (y as f64 - bead_y).powi(2);
            pixels[y * WIDTH + x] -= 80.0 * (-distance / (2.0 * 2.2 * 2.2)).exp();
        }
    }
}

/// Random numbers that are the same on every machine: the generator of Knuth's MMIX.
struct Dice(u64);

impl Dice {
    /// A number from −1 to 1.
    fn roll(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 32) as f64 / f64::from(1u32 << 31) - 1.0
    }
}

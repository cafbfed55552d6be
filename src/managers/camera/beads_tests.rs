//! The simulated scene, seen through its frames.

use super::bead_settings::SceneSettings;
use super::beads::{BeadPosition, BeadScene};

const EXPOSURE_MS: f64 = 10.0;
const FOCUS_UM: f64 = 50.0;

fn small_scene() -> SceneSettings {
    SceneSettings { width_px: 61, height_px: 47, bead_count: 7, ..SceneSettings::default() }
}

fn scene(settings: SceneSettings) -> BeadScene {
    BeadScene::new(settings).expect("the settings of the tests are within bounds")
}

fn rendered(scene: &mut BeadScene, exposure_ms: f64, height_um: f64) -> Vec<u8> {
    let (width, height) = (scene.settings().width_px, scene.settings().height_px);
    let mut frame = vec![0; (width * height) as usize];
    scene.render(&mut frame, width as usize, exposure_ms, height_um).expect("the buffer fits the scene");
    frame
}

fn film(seed: u64) -> Vec<Vec<u8>> {
    let mut scene = scene(SceneSettings { seed, ..small_scene() });
    let mut shot = |_| {
        scene.step(0.03).expect("the step is within bounds");
        rendered(&mut scene, EXPOSURE_MS, FOCUS_UM)
    };
    (0..5).map(&mut shot).collect()
}

fn deviation(frame: &[u8]) -> f64 {
    let count = frame.len() as f64;
    let mean = frame.iter().map(|&level| f64::from(level)).sum::<f64>() / count;
    let squares = frame.iter().map(|&level| (f64::from(level) - mean).powi(2));
    (squares.sum::<f64>() / count).sqrt()
}

#[test]
fn the_same_seed_gives_the_same_frames() {
    assert_eq!(film(7), film(7));
}

#[test]
fn different_seeds_give_different_frames() {
    assert_ne!(film(7), film(8));
}

#[test]
fn motion_does_not_depend_on_how_often_the_scene_is_rendered() {
    let (mut seen, mut unseen) = (scene(small_scene()), scene(small_scene()));
    for _ in 0..10 {
        rendered(&mut seen, EXPOSURE_MS, FOCUS_UM);
        seen.step(0.1).expect("the step is within bounds");
        unseen.step(0.1).expect("the step is within bounds");
    }
    assert_eq!(seen.truth(), unseen.truth());
}

#[test]
fn beads_stay_inside_however_far_they_jump() {
    let settings = SceneSettings { diffusion_um2_per_s: 1000.0, bead_count: 50, ..small_scene() };
    let mut scene = scene(settings);
    for dt_seconds in [0.0, 0.01, 1.0, 3600.0].repeat(20) {
        scene.step(dt_seconds).expect("the step is within bounds");
        for bead in scene.truth() {
            assert!((0.0..=60.0).contains(&bead.x_px), "{bead:?}");
            assert!((0.0..=46.0).contains(&bead.y_px), "{bead:?}");
        }
    }
}

#[test]
fn beads_spread_as_fast_as_they_diffuse() {
    let settings =
        SceneSettings { width_px: 2000, height_px: 2000, bead_count: 5000, ..SceneSettings::default() };
    let mut scene = scene(settings);
    let start = scene.truth().to_vec();
    scene.step(1.0).expect("the step is within bounds");
    let moved = scene.truth().iter().zip(&start);
    let squares = moved.map(|(now, then)| (now.x_px - then.x_px).powi(2));
    // 2 · 0.5 µm²/s · 1 s in pixels of 0.1 µm.
    let mean_square_px2 = squares.sum::<f64>() / start.len() as f64;
    assert!((mean_square_px2 - 100.0).abs() < 10.0, "mean square {mean_square_px2} px²");
}

#[test]
fn a_bead_is_dark_where_the_truth_says() {
    for seed in 0..20 {
        let settings = SceneSettings {
            width_px: 200,
            height_px: 200,
            bead_count: 1,
            noise_level: 0.0,
            seed,
            ..SceneSettings::default()
        };
        check_centre_of_darkness(scene(settings));
    }
}

fn check_centre_of_darkness(mut scene: BeadScene) {
    let BeadPosition { x_px, y_px } = scene.truth()[0];
    if ![x_px, y_px].iter().all(|place| (15.0..185.0).contains(place)) {
        return; // The border cuts this bead.
    }
    let frame = rendered(&mut scene, EXPOSURE_MS, FOCUS_UM);
    let (mut mass, mut x_sum, mut y_sum) = (0.0, 0.0, 0.0);
    for (index, &level) in frame.iter().enumerate() {
        let darkness = 180.0 - f64::from(level);
        mass += darkness;
        x_sum += darkness * (index % 200) as f64;
        y_sum += darkness * (index / 200) as f64;
    }
    assert!((x_sum / mass - x_px).abs() < 0.02, "x {} for {x_px}", x_sum / mass);
    assert!((y_sum / mass - y_px).abs() < 0.02, "y {} for {y_px}", y_sum / mass);
}

#[test]
fn brightness_grows_with_exposure_and_saturates() {
    let settings = SceneSettings { bead_count: 0, noise_level: 0.0, ..small_scene() };
    let mut scene = scene(settings);
    for (exposure_ms, level) in [(0.0, 0), (5.0, 90), (10.0, 180), (20.0, 255), (1e5, 255)] {
        let frame = rendered(&mut scene, exposure_ms, FOCUS_UM);
        assert!(frame.iter().all(|&pixel| pixel == level), "{exposure_ms} ms");
    }
}

#[test]
fn a_long_exposure_saturates_through_beads_and_noise() {
    let mut scene = scene(small_scene());
    let frame = rendered(&mut scene, 600_000.0, FOCUS_UM);
    assert!(frame.iter().all(|&pixel| pixel == 255));
}

#[test]
fn contrast_falls_with_the_distance_from_the_focus() {
    let mut scene = scene(SceneSettings { noise_level: 0.0, ..small_scene() });
    let mut contrast = |height_um| deviation(&rendered(&mut scene, EXPOSURE_MS, height_um));
    let contrasts = [50.0, 51.0, 53.0, 57.0, 65.0, 90.0].map(&mut contrast);
    assert!(contrasts.is_sorted_by(|nearer, farther| nearer > farther), "{contrasts:?}");
    let below = contrast(47.0);
    assert!((below - contrasts[2]).abs() < 1e-9, "{below} below, {} above", contrasts[2]);
}

#[test]
fn noise_grows_with_the_square_root_of_the_light() {
    let settings = SceneSettings { bead_count: 0, background_level: 160.0, ..small_scene() };
    let mut scene = scene(settings);
    let bright = deviation(&rendered(&mut scene, EXPOSURE_MS, FOCUS_UM));
    let dim = deviation(&rendered(&mut scene, EXPOSURE_MS / 4.0, FOCUS_UM));
    let expected = 4.0 * f64::sqrt(160.0 / 255.0);
    assert!((bright / expected - 1.0).abs() < 0.1, "{bright} levels, expected {expected}");
    assert!((bright / dim - 2.0).abs() < 0.2, "{bright} and {dim} levels");
}

fn check_size(width_px: u32, height_px: u32, gap: usize) {
    let settings = SceneSettings { width_px, height_px, bead_count: 20, ..small_scene() };
    let (mut tight, mut loose) = (scene(settings.clone()), scene(settings));
    let (width, height) = (width_px as usize, height_px as usize);
    let stride = width + gap;
    let mut frame = vec![77; stride * (height - 1) + width];
    loose.render(&mut frame, stride, EXPOSURE_MS, FOCUS_UM).expect("the buffer fits");
    let expected = rendered(&mut tight, EXPOSURE_MS, FOCUS_UM);
    for (row, expected) in frame.chunks(stride).zip(expected.chunks(width)) {
        assert_eq!(row[..width], *expected);
        assert!(row[width..].iter().all(|&byte| byte == 77));
    }
}

#[test]
fn odd_sizes_and_gaps_between_rows_work() {
    for (width_px, height_px) in [(1, 1), (1, 9), (13, 1), (61, 47), (1025, 3), (3000, 2)] {
        for gap in [0, 1, 64] {
            check_size(width_px, height_px, gap);
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut scene = scene(small_scene());
    let mut frame = vec![0; 61 * 47];
    let mut refusal = |length, stride, exposure_ms, height_um| {
        let refused = scene.render(&mut frame[..length], stride, exposure_ms, height_um);
        refused.expect_err("none of these fits").to_string()
    };
    let messages = [
        refusal(61 * 47, 60, 1.0, 0.0),
        refusal(61 * 47 - 1, 61, 1.0, 0.0),
        refusal(61 * 47, 62, 1.0, 0.0),
        refusal(61 * 47, usize::MAX, 1.0, 0.0),
        refusal(61 * 47, 61, f64::NAN, 0.0),
        refusal(61 * 47, 61, 1.0, f64::INFINITY),
    ];
    let expected = [
        "stride is 60 px, expected at least the width of 61 px".to_owned(),
        "frame buffer has 2866 bytes, expected at least 2867".to_owned(),
        "frame buffer has 2867 bytes, expected at least 2913".to_owned(),
        format!("frame buffer has 2867 bytes, expected at least {}", usize::MAX),
        "exposure_ms is NaN, expected 0 to 600000".to_owned(),
        "height_um is inf, expected -1000000 to 1000000".to_owned(),
    ];
    assert_eq!(messages, expected);
    assert!(scene.step(-0.1).is_err());
}

//! Pictures that the tests make: beads at known places.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::Path;

/// A grey picture with dark beads on a regular grid, shifted by `shift_px`.
pub(crate) fn beads(width: usize, height: usize, shift_px: f64) -> Vec<u8> {
    let mut pixels = vec![200u8; width * height];
    for (index, pixel) in pixels.iter_mut().enumerate() {
        let (x, y) = ((index % width) as f64 - shift_px, (index / width) as f64);
        let offset = |v: f64| v - ((v - 20.0) / 30.0).round() * 30.0 - 20.0;
        let squared = offset(x).powi(2) + offset(y).powi(2);
        *pixel = (200.0 - 120.0 * (-squared / 8.0).exp()) as u8;
    }
    pixels
}

/// Writes an 8-bit grey PNG.
pub(crate) fn write_png(path: &Path, width: usize, height: usize, pixels: &[u8]) {
    let file = BufWriter::new(File::create(path).expect("the folder can be written"));
    let mut encoder = png::Encoder::new(file, width as u32, height as u32);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header().and_then(|mut writer| writer.write_image_data(pixels)).expect("a picture");
}

/// A folder of `count` pictures of 160 × 120 px.
pub(crate) fn folder_of(count: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for index in 0..count {
        let path = folder.path().join(format!("frame_{index}.png"));
        write_png(&path, 160, 120, &beads(160, 120, index as f64 * 0.1));
    }
    folder
}

/// Cuts a file off in its middle.
pub(crate) fn truncate(path: &Path) {
    let bytes = fs::read(path).expect("the file");
    fs::write(path, &bytes[..bytes.len() / 2]).expect("the file can be written");
}

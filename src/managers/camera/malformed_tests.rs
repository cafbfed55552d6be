//! Damaged files: whatever is in them, a sequence ends, and says so or gives a frame.

use tiff::encoder::Compression;

use super::noise::SplitMix;
use super::sample_images::{PngSample, SampleFolder, TiffSample, grey_png, grey_tiff, interlaced_png};
use super::sequence::ImageSequence;

const LIMIT_BYTES: usize = 1 << 16;
/// More than the pages any of the samples can hold.
const MOST_IMAGES: usize = 100;

fn texture(count: usize) -> Vec<u8> {
    let mut random = SplitMix::new(count as u64);
    (0..count).map(|index| (index / 9) as u8 ^ (random.next_u64() % 16) as u8).collect()
}

fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let (grey, colour) = (texture(64 * 48), texture(64 * 48 * 3));
    let rgb = PngSample { size: (64, 48), color: png::ColorType::Rgb, ..PngSample::default() };
    let pages: [&[u8]; 3] = [&grey, &colour[..64 * 48], &colour[64 * 48..2 * 64 * 48]];
    let tiles: Vec<&[u8]> = colour.chunks_exact(16 * 16 * 3).collect();
    let strips: Vec<&[u8]> = grey.chunks_exact(64 * 16).collect();
    let tiled = TiffSample {
        size: (60, 45),
        is_big_endian: true,
        photometric: 2,
        samples: 3,
        tile: Some((16, 16)),
        chunks: &tiles,
        ..TiffSample::default()
    };
    let words = TiffSample {
        size: (32, 48),
        photometric: 0,
        bits: 16,
        rows_per_strip: 16,
        chunks: &strips,
        ..TiffSample::default()
    };
    vec![
        ("grey.png", grey_png((64, 48), &grey)),
        ("rgb.png", rgb.encode(&colour)),
        ("passes.png", interlaced_png((64, 48), 8, 2, &colour)),
        ("plain.tif", grey_tiff((64, 48), &pages, Compression::Uncompressed)),
        ("lzw.tif", grey_tiff((64, 48), &pages, Compression::Lzw)),
        ("deflate.tif", grey_tiff((64, 48), &pages, Compression::Deflate(Default::default()))),
        ("packbits.tif", grey_tiff((64, 48), &pages, Compression::Packbits)),
        ("tiles.tif", tiled.encode()),
        ("words.tif", words.encode()),
    ]
}

/// Plays the damaged file and counts the frames and the faults.
fn check_ends(folder: &SampleFolder, name: &str, content: &[u8]) -> (usize, usize) {
    let path = folder.write(name, content);
    let mut sequence = ImageSequence::open(&path, LIMIT_BYTES).expect("the sample can be listed");
    let (mut frames, mut faults) = (0, 0);
    let mut frame = vec![0; LIMIT_BYTES];
    while let Some(image) = sequence.next_image() {
        let decoded = image.and_then(|image| {
            let bytes = image.frame_bytes();
            image.decode_into(&mut frame[..bytes])
        });
        match decoded {
            Ok(()) => frames += 1,
            Err(fault) => {
                faults += 1;
                assert!(fault.to_string().contains(name), "{fault}");
            }
        }
        assert!(frames + faults <= MOST_IMAGES, "{name} does not end");
    }
    (frames, faults)
}

#[test]
fn whole_files_have_no_fault() {
    let folder = SampleFolder::new();
    for (name, content) in samples() {
        let (frames, faults) = check_ends(&folder, name, &content);
        assert!(frames > 0 && faults == 0, "{name}: {frames} frames, {faults} faults");
    }
}

#[test]
fn files_cut_short_anywhere_end_in_an_error() {
    let folder = SampleFolder::new();
    for (name, content) in samples() {
        for length in (0..content.len()).step_by(97) {
            let (_, faults) = check_ends(&folder, name, &content[..length]);
            // The last bytes of a PNG file, the end mark, hold nothing that is missed.
            let is_complete = name.ends_with(".png") && length + 12 >= content.len();
            assert!(faults == 1 || is_complete, "{name} cut to {length} bytes: {faults} faults");
        }
    }
}

fn check_flips(rounds: u64, place: impl Fn(&mut SplitMix, usize) -> usize) {
    let folder = SampleFolder::new();
    let mut random = SplitMix::new(2024);
    for (name, content) in samples() {
        for _ in 0..rounds {
            let mut damaged = content.clone();
            for _ in 0..=random.next_u64() % 4 {
                let at = place(&mut random, damaged.len());
                damaged[at] ^= (random.next_u64() | 1) as u8;
            }
            check_ends(&folder, name, &damaged);
        }
    }
}

#[test]
fn bytes_flipped_anywhere_do_no_harm() {
    check_flips(200, |random, length| (random.next_u64() % length as u64) as usize);
}

#[test]
fn bytes_flipped_in_headers_and_directories_do_no_harm() {
    // TIFF directories are at the end of the sample files, PNG headers at the beginning.
    check_flips(300, |random, length| {
        let distance = (random.next_u64() % 240) as usize;
        if random.next_u64() % 3 == 0 { distance } else { length - 1 - distance }
    });
}

#[test]
fn counts_that_overflow_are_a_fault() {
    let folder = SampleFolder::new();
    let planes: [&[u8]; 3] = [&[0; 4], &[0; 4], &[0; 4]];
    let strips = TiffSample {
        size: (1, 1 << 31),
        photometric: 2,
        samples: 3,
        planar: 2,
        rows_per_strip: 1,
        chunks: &planes,
        ..TiffSample::default()
    };
    assert_eq!(check_ends(&folder, "strips.tif", &strips.encode()), (0, 1));
    let tiles = TiffSample { size: (u32::MAX, u32::MAX), tile: Some((1, 1)), rows_per_strip: 0, ..strips };
    assert_eq!(check_ends(&folder, "tiles.tif", &tiles.encode()), (0, 1));
}

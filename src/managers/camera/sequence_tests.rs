//! Image sequences as `camera.replay` sees them, over files that the tests write.

use std::fs;
use std::path::Path;

use png::{BitDepth, ColorType};
use tiff::encoder::Compression;

use super::grey::{FrameShape, PixelDepth};
use super::image_error::ImageError;
use super::listing::SequenceError;
use super::sample_images::{SampleFolder, TiffSample, grey_png, grey_tiff, png_chunk};
use super::sequence::ImageSequence;

const LIMIT_BYTES: usize = 1 << 20;

fn opened(path: &Path) -> ImageSequence {
    ImageSequence::open(path, LIMIT_BYTES).expect("the samples can be listed")
}

/// Plays a sequence to its end: the bytes of each frame, or the message of each fault.
fn played(sequence: &mut ImageSequence) -> Vec<Result<Vec<u8>, String>> {
    let mut results = Vec::new();
    while let Some(image) = sequence.next_image() {
        let decoded = image.and_then(|image| {
            let mut frame = vec![0; image.frame_bytes()];
            image.decode_into(&mut frame).map(|()| frame)
        });
        results.push(decoded.map_err(|fault| fault.to_string()));
    }
    results
}

fn check_frames(path: &Path, expected: &[&[u8]]) {
    let frames: Vec<_> = played(&mut opened(path)).into_iter().map(Result::ok).collect();
    let expected: Vec<_> = expected.iter().map(|frame| Some(frame.to_vec())).collect();
    assert_eq!(frames, expected);
}

fn check_refused(path: &Path, expected: &str) {
    let refusal = ImageSequence::open(path, LIMIT_BYTES).err();
    let message = refusal.map(|fault| fault.to_string());
    assert_eq!(message, Some(expected.replace("PATH", &path.display().to_string())));
}

#[test]
fn a_folder_is_played_in_natural_order_without_what_is_no_image() {
    let folder = SampleFolder::new();
    folder.write("frame_10.png", &grey_png((1, 1), &[10]));
    folder.write("frame_2.PNG", &grey_png((1, 1), &[2]));
    folder.write("frame_9.tif", &grey_tiff((1, 1), &[&[9]], Compression::Uncompressed));
    folder.write("frame_11.Tiff", &grey_tiff((1, 1), &[&[11]], Compression::Uncompressed));
    folder.write(".frame_3.png", &grey_png((1, 1), &[3]));
    folder.write("notes.txt", b"no image");
    fs::create_dir(folder.path().join("frame_4.png")).expect("the folder is writable");
    check_frames(folder.path(), &[&[2], &[9], &[10], &[11]]);
    assert_eq!(opened(folder.path()).file_count(), 4);
}

#[test]
fn one_file_is_a_sequence_too() {
    let folder = SampleFolder::new();
    let png = folder.write("one.png", &grey_png((2, 1), &[1, 2]));
    check_frames(&png, &[&[1, 2]]);
}

#[test]
fn each_page_of_a_tiff_file_is_a_frame() {
    let folder = SampleFolder::new();
    let pages: [&[u8]; 3] = [&[1, 2], &[3, 4], &[5, 6]];
    let stack = folder.write("b.tif", &grey_tiff((1, 2), &pages, Compression::Lzw));
    check_frames(&stack, &pages);
    folder.write("a.png", &grey_png((1, 1), &[0]));
    folder.write("c.png", &grey_png((1, 1), &[7]));
    check_frames(folder.path(), &[&[0], &[1, 2], &[3, 4], &[5, 6], &[7]]);
}

#[test]
fn a_source_that_cannot_be_listed_is_named() {
    let folder = SampleFolder::new();
    let missing = folder.path().join("nothing");
    check_refused(&missing, "no images at PATH, expected a folder or a PNG or TIFF file");
    let holds_none = "folder PATH holds no image, expected names that end in .png, .tif or .tiff";
    check_refused(folder.path(), holds_none);
    let text = folder.write("notes.txt", b"no image");
    let no_image = "PATH is not an image file, expected a name that ends in .png, .tif or .tiff";
    check_refused(&text, no_image);
    let below_a_file = ImageSequence::open(&text.join("frames"), LIMIT_BYTES).err();
    assert!(matches!(below_a_file, Some(SequenceError::Unreadable { .. })), "{below_a_file:?}");
}

#[test]
fn the_shape_is_known_before_the_image_is_decoded() {
    let folder = SampleFolder::new();
    let path = folder.write("one.png", &grey_png((3, 2), &[0; 6]));
    let mut sequence = opened(&path);
    let image = sequence.next_image().expect("there is one").expect("it is sound");
    let expected = FrameShape { width_px: 3, height_px: 2, depth: PixelDepth::Eight };
    assert_eq!((image.shape(), image.frame_bytes()), (expected, 6));
    assert_eq!((image.origin().path, image.origin().page), (path, None));
}

#[test]
fn an_image_waits_until_it_is_decoded_or_skipped() {
    let folder = SampleFolder::new();
    let pages: [&[u8]; 2] = [&[2], &[3]];
    folder.write("1.png", &grey_png((1, 1), &[1]));
    folder.write("2.tif", &grey_tiff((1, 1), &pages, Compression::Uncompressed));
    let mut sequence = opened(folder.path());
    let mut next = |action: &str| {
        let image = sequence.next_image().expect("not at the end").expect("all are sound");
        let origin = image.origin().to_string();
        match action {
            "look" => {}
            "skip" => image.skip(),
            _ => {
                let refused = image.decode_into(&mut [0; 2]).expect_err("the buffer is too large");
                assert!(matches!(refused, ImageError::WrongBuffer { actual: 2, expected: 1, .. }));
            }
        }
        origin[folder.path().as_os_str().len() + 1..].to_owned()
    };
    let met = ["look", "misfit", "skip", "look", "misfit", "skip"].map(&mut next);
    assert_eq!(met, ["1.png", "1.png", "1.png", "2.tif, page 1", "2.tif, page 1", "2.tif, page 1"]);
    assert_eq!(played(&mut sequence), [Ok(vec![3])]);
}

#[test]
fn a_bad_image_in_the_middle_is_reported_and_passed() {
    let folder = SampleFolder::new();
    let whole = grey_png((20, 20), &[5; 400]);
    folder.write("1.png", &whole);
    folder.write("2.png", &whole[..whole.len() / 2]);
    folder.write("3.png", b"");
    folder.write("4.tif", b"II*\0 this is no TIFF file");
    folder.write("5.png", &grey_png((1, 1), &[9]));
    let results = played(&mut opened(folder.path()));
    assert_eq!(results.len(), 5);
    assert_eq!((&results[0], &results[4]), (&Ok(vec![5; 400]), &Ok(vec![9])));
    for (result, name) in results[1..4].iter().zip(["2.png is not", "3.png is not", "4.tif, page 1 is"]) {
        let fault = result.as_ref().expect_err("the file is damaged");
        assert!(fault.contains(name), "{fault}");
    }
}

#[test]
fn a_bad_page_does_not_take_the_next_ones_with_it() {
    let folder = SampleFolder::new();
    let stack = |level| grey_tiff((8, 8), &[&[1; 64], &[level; 64], &[3; 64]], Compression::Lzw);
    let (mut file, twin) = (stack(2), stack(9));
    let differs = file.iter().zip(&twin).position(|(left, right)| left != right);
    let second = differs.expect("the second pages differ");
    file[second..second + 4].fill(0xff);
    let results = played(&mut opened(&folder.write("stack.tif", &file)));
    assert_eq!((&results[0], &results[2]), (&Ok(vec![1; 64]), &Ok(vec![3; 64])));
    let fault = results[1].as_ref().expect_err("the page is damaged");
    assert!(fault.contains("stack.tif, page 2 is not a complete TIFF image"), "{fault}");
}

#[test]
fn a_file_that_vanished_since_is_reported() {
    let folder = SampleFolder::new();
    let first = folder.write("1.png", &grey_png((1, 1), &[1]));
    folder.write("2.png", &grey_png((1, 1), &[2]));
    let mut sequence = opened(folder.path());
    fs::remove_file(&first).expect("the sample was written");
    let fault = sequence.next_image().expect("not at the end").err();
    assert!(matches!(fault, Some(ImageError::Unreadable { .. })), "{fault:?}");
    assert_eq!(fault.map(|fault| fault.origin().path.clone()), Some(first));
    assert_eq!(played(&mut sequence), [Ok(vec![2])]);
}

#[test]
fn a_sequence_can_be_played_again_from_any_place() {
    let folder = SampleFolder::new();
    let pages: [&[u8]; 2] = [&[1], &[2]];
    folder.write("1.tif", &grey_tiff((1, 1), &pages, Compression::Uncompressed));
    folder.write("2.png", &grey_png((1, 1), &[3]));
    let mut sequence = opened(folder.path());
    let all = played(&mut sequence);
    assert_eq!(all.len(), 3);
    sequence.rewind();
    assert_eq!(played(&mut sequence), all);
    sequence.rewind();
    sequence.next_image().expect("not at the end").expect("it is sound").skip();
    sequence.rewind();
    assert_eq!(played(&mut sequence), all);
}

fn check_too_large(file_name: &str, content: &[u8], limit_bytes: usize, expected_bytes: u64) {
    let folder = SampleFolder::new();
    let path = folder.write(file_name, content);
    let mut sequence = ImageSequence::open(&path, limit_bytes).expect("the sample can be listed");
    match sequence.next_image() {
        Some(Err(ImageError::TooLarge { origin, bytes, limit })) => {
            assert_eq!((origin.path, bytes), (path, expected_bytes));
            assert!(limit >= limit_bytes as u64);
        }
        other => panic!("{:?}", other.map(|image| image.map(|image| image.shape()))),
    }
    assert!(sequence.next_image().is_none());
}

#[test]
fn a_frame_above_the_limit_is_refused_from_its_header() {
    check_too_large("a.png", &grey_png((10, 10), &[0; 100]), 99, 100);
    let tiff = grey_tiff((10, 10), &[&[0; 100]], Compression::Deflate(Default::default()));
    check_too_large("a.tif", &tiff, 99, 100);
}

#[test]
fn a_header_that_asks_for_all_memory_is_refused() {
    let mut header = [0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 16, 0, 0, 0, 0];
    let signature = b"\x89PNG\r\n\x1a\n";
    let bomb = |header: &[u8]| [&signature[..], &png_chunk(b"IHDR", header)].concat();
    let side = i32::MAX as u64;
    check_too_large("bomb.png", &bomb(&header), LIMIT_BYTES, 2 * side * side);
    header[8] = 8;
    check_too_large("bomb.png", &bomb(&header), LIMIT_BYTES, side * side);
    let tiff = |bits| TiffSample {
        size: (u32::MAX, 1 << 31),
        bits,
        rows_per_strip: 0,
        tile: Some((u32::MAX, 1 << 31)),
        chunks: &[b"little"],
        ..TiffSample::default()
    };
    let area = u64::from(u32::MAX) << 31;
    check_too_large("bomb.tif", &tiff(8).encode(), LIMIT_BYTES, area);
    check_too_large("bomb.tif", &tiff(16).encode(), LIMIT_BYTES, u64::MAX - u64::from(u32::MAX));
}

#[test]
fn tiles_far_larger_than_their_image_are_refused() {
    let sample = TiffSample { tile: Some((1 << 30, 1)), chunks: &[&[7]], ..TiffSample::default() };
    check_too_large("padded.tif", &sample.encode(), LIMIT_BYTES, 1 << 30);
}

#[test]
fn a_sequence_may_move_to_another_thread() {
    fn check_send<T: Send>(_: &T) {}
    let folder = SampleFolder::new();
    check_send(&opened(&folder.write("1.png", &grey_png((1, 1), &[1]))));
}

#[test]
fn recorded_microscope_frames_are_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/bulk_water");
    if !folder.is_dir() {
        println!("skipped: no {}", folder.display());
        return;
    }
    let results = played(&mut opened(&folder));
    assert_eq!(results.len(), 60);
    for frame in results {
        let frame = frame.expect("the recorded frames are sound");
        assert_eq!(frame.len(), 640 * 424);
        let mean = frame.iter().map(|&level| u64::from(level)).sum::<u64>() / frame.len() as u64;
        assert!((50..250).contains(&mean), "mean {mean}");
    }
}

#[test]
fn only_the_default_image_of_an_animation_is_read() {
    let folder = SampleFolder::new();
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, 1, 1);
    encoder.set_color(ColorType::Grayscale);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_animated(2, 0).expect("two frames are an animation");
    let mut writer = encoder.write_header().expect("the sample has a valid header");
    for level in [1, 2] {
        writer.write_image_data(&[level]).expect("a frame has one pixel");
    }
    writer.finish().expect("a vector takes everything");
    check_frames(&folder.write("animated.png", &file), &[&[1]]);
}

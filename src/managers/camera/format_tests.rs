//! Which pixels become which grey, over every layout that is read or refused.

use png::{BitDepth, ColorType};
use tiff::encoder::{Compression, Predictor, TiffEncoder, colortype};

use super::grey::PixelDepth;
use super::image_error::ImageError;
use super::sample_images::{PngSample, SampleFolder, TiffSample, grey_tiff, interlaced_png};
use super::sequence::ImageSequence;

fn decoded(name: &str, content: &[u8]) -> Result<(PixelDepth, Vec<u8>), ImageError> {
    let folder = SampleFolder::new();
    let path = folder.write(name, content);
    let mut sequence = ImageSequence::open(&path, 1 << 20).expect("the sample can be listed");
    let image = sequence.next_image().expect("the sample has one image")?;
    let depth = image.shape().depth;
    let mut frame = vec![0xaa; image.frame_bytes()];
    image.decode_into(&mut frame).map(|()| (depth, frame))
}

fn check_bytes(name: &str, content: &[u8], expected: &[u8]) {
    let (depth, frame) = decoded(name, content).expect("the layout is read");
    assert_eq!((depth, &frame[..]), (PixelDepth::Eight, expected));
}

fn check_words(name: &str, content: &[u8], expected: &[u16]) {
    let (depth, frame) = decoded(name, content).expect("the layout is read");
    let words: Vec<u16> = frame.chunks_exact(2).map(|word| u16::from_ne_bytes([word[0], word[1]])).collect();
    assert_eq!((depth, &words[..]), (PixelDepth::Sixteen, expected));
}

fn check_unsupported(sample: &TiffSample<'_>, expected: &str) {
    match decoded("odd.tif", &sample.encode()) {
        Err(ImageError::Unsupported { found, .. }) => {
            assert!(found.contains(expected), "`{found}` lacks `{expected}`");
        }
        other => panic!("{other:?}"),
    }
}

fn png_sample(color: ColorType, depth: BitDepth, width: u32, data: &[u8]) -> Vec<u8> {
    PngSample { size: (width, 1), color, depth, ..PngSample::default() }.encode(data)
}

/// Bytes that no two neighbouring pixels share.
fn ramp(count: usize) -> Vec<u8> {
    (0..count).map(|index| (index * 7 % 251) as u8).collect()
}

#[test]
fn png_grey_of_16_bits_comes_in_native_order() {
    let file = png_sample(ColorType::Grayscale, BitDepth::Sixteen, 2, &[0x12, 0x34, 0xff, 0]);
    check_words("a.png", &file, &[0x1234, 0xff00]);
}

#[test]
fn png_grey_of_few_bits_is_stretched_to_8() {
    let one = png_sample(ColorType::Grayscale, BitDepth::One, 3, &[0b1010_0000]);
    check_bytes("a.png", &one, &[255, 0, 255]);
    let two = png_sample(ColorType::Grayscale, BitDepth::Two, 4, &[0b00_01_10_11]);
    check_bytes("a.png", &two, &[0, 85, 170, 255]);
    let four = png_sample(ColorType::Grayscale, BitDepth::Four, 3, &[0x0f, 0x10]);
    check_bytes("a.png", &four, &[0, 255, 17]);
}

#[test]
fn png_colour_becomes_luma_and_alpha_is_ignored() {
    let rgb = png_sample(ColorType::Rgb, BitDepth::Eight, 2, &[255, 0, 0, 9, 9, 9]);
    check_bytes("a.png", &rgb, &[76, 9]);
    let rgba = png_sample(ColorType::Rgba, BitDepth::Eight, 2, &[0, 255, 0, 0, 9, 9, 9, 128]);
    check_bytes("a.png", &rgba, &[150, 9]);
    let grey_alpha = png_sample(ColorType::GrayscaleAlpha, BitDepth::Eight, 2, &[7, 0, 8, 255]);
    check_bytes("a.png", &grey_alpha, &[7, 8]);
    let words = png_sample(ColorType::Rgb, BitDepth::Sixteen, 1, &[255, 255, 0, 0, 0, 0]);
    check_words("a.png", &words, &[19_595]);
}

#[test]
fn png_palettes_are_looked_up() {
    for transparent in [None, Some(&[0_u8, 255][..])] {
        let sample = PngSample {
            size: (3, 1),
            color: ColorType::Indexed,
            depth: BitDepth::Two,
            palette: Some(&[255, 0, 0, 9, 9, 9]),
            transparent,
        };
        check_bytes("a.png", &sample.encode(&[0b00_01_00_00]), &[76, 9, 76]);
    }
}

#[test]
fn png_transparent_colours_keep_their_grey() {
    let sample =
        |depth| PngSample { size: (2, 1), depth, transparent: Some(&[0, 1]), ..PngSample::default() };
    check_bytes("a.png", &sample(BitDepth::Eight).encode(&[1, 2]), &[1, 2]);
    check_bytes("a.png", &sample(BitDepth::Four).encode(&[0x12]), &[17, 34]);
    check_words("a.png", &sample(BitDepth::Sixteen).encode(&[0, 1, 0, 2]), &[1, 2]);
}

#[test]
fn interlaced_png_is_put_in_order() {
    for size in [(1, 1), (3, 2), (9, 10), (17, 5)] {
        let count = (size.0 * size.1) as usize;
        let grey = ramp(count);
        check_bytes("a.png", &interlaced_png(size, 8, 0, &grey), &grey);
        let colour: Vec<u8> = grey.iter().flat_map(|&level| [level; 3]).collect();
        check_bytes("a.png", &interlaced_png(size, 8, 2, &colour), &grey);
        let words: Vec<u16> = (0..count as u16).map(|index| index * 300).collect();
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        check_words("a.png", &interlaced_png(size, 16, 0, &bytes), &words);
    }
}

#[test]
fn tiff_grey_is_read_in_each_compression() {
    let grey = ramp(60 * 50);
    let compressions = [
        Compression::Uncompressed,
        Compression::Lzw,
        Compression::Deflate(Default::default()),
        Compression::Packbits,
    ];
    for compression in compressions {
        check_bytes("a.tif", &grey_tiff((60, 50), &[&grey], compression), &grey);
    }
}

#[test]
fn tiff_words_and_predictors_are_read() {
    let words: Vec<u16> = (0..600).map(|index| index * 101).collect();
    for predictor in [Predictor::None, Predictor::Horizontal] {
        let mut file = std::io::Cursor::new(Vec::new());
        TiffEncoder::new_big(&mut file)
            .expect("a vector takes everything")
            .with_predictor(predictor)
            .with_compression(Compression::Lzw)
            .write_image::<colortype::Gray16>(30, 20, &words)
            .expect("the sample has as much data as it claims");
        check_words("a.tif", &file.into_inner(), &words);
    }
}

#[test]
fn tiff_words_of_the_other_byte_order_are_turned() {
    for is_big_endian in [false, true] {
        let order = |word: u16| {
            if is_big_endian { word.to_be_bytes() } else { word.to_le_bytes() }
        };
        let data = [order(0x1234), order(7)].concat();
        let sample =
            TiffSample { size: (2, 1), is_big_endian, bits: 16, chunks: &[&data], ..TiffSample::default() };
        check_words("a.tif", &sample.encode(), &[0x1234, 7]);
    }
}

#[test]
fn tiff_white_is_zero_is_inverted() {
    let sample =
        TiffSample { size: (3, 1), photometric: 0, chunks: &[&[0, 1, 255]], ..TiffSample::default() };
    check_bytes("a.tif", &sample.encode(), &[255, 254, 0]);
}

#[test]
fn tiff_strips_of_colour_become_luma() {
    let sample = TiffSample {
        size: (2, 3),
        photometric: 2,
        samples: 3,
        rows_per_strip: 2,
        chunks: &[&[255, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3], &[4, 4, 4, 5, 5, 5]],
        ..TiffSample::default()
    };
    check_bytes("a.tif", &sample.encode(), &[76, 1, 2, 3, 4, 5]);
    let words = TiffSample {
        photometric: 2,
        samples: 3,
        bits: 16,
        chunks: &[&[255, 255, 0, 0, 0, 0]],
        ..TiffSample::default()
    };
    check_words("a.tif", &words.encode(), &[19_595]);
}

/// Cuts a picture into tiles of 16 × 16 px, padded with 0xee.
fn tiles(width: usize, height: usize, pixel_bytes: usize, data: &[u8]) -> Vec<Vec<u8>> {
    let mut tiles = Vec::new();
    for top in (0..height).step_by(16) {
        for left in (0..width).step_by(16) {
            let mut tile = vec![0xee; 256 * pixel_bytes];
            for y in top..height.min(top + 16) {
                let row = &data[(y * width + left) * pixel_bytes..(y + 1) * width * pixel_bytes];
                let row = &row[..row.len().min(16 * pixel_bytes)];
                tile[(y - top) * 16 * pixel_bytes..][..row.len()].copy_from_slice(row);
            }
            tiles.push(tile);
        }
    }
    tiles
}

fn check_tiles(width: u32, height: u32, samples: u16) {
    let grey = ramp((width * height) as usize);
    let pixel_bytes = usize::from(samples);
    let data: Vec<u8> = grey.iter().flat_map(|&level| vec![level; pixel_bytes]).collect();
    let tiles = tiles(width as usize, height as usize, pixel_bytes, &data);
    let chunks: Vec<&[u8]> = tiles.iter().map(Vec::as_slice).collect();
    let sample = TiffSample {
        size: (width, height),
        photometric: if samples == 1 { 1 } else { 2 },
        samples,
        tile: Some((16, 16)),
        chunks: &chunks,
        ..TiffSample::default()
    };
    check_bytes("a.tif", &sample.encode(), &grey);
}

#[test]
fn tiff_tiles_are_put_together_without_their_padding() {
    for (width, height) in [(1, 1), (16, 16), (17, 33), (40, 7)] {
        check_tiles(width, height, 1);
        check_tiles(width, height, 3);
    }
}

#[test]
fn tiff_alpha_is_ignored() {
    let sample = TiffSample {
        size: (2, 1),
        photometric: 2,
        samples: 4,
        chunks: &[&[255, 0, 0, 9, 5, 5, 5, 0]],
        ..TiffSample::default()
    };
    check_bytes("a.tif", &sample.encode(), &[76, 5]);
}

#[test]
fn tiff_layouts_that_are_not_read_are_refused_by_name() {
    let sample = |photometric, bits, samples, format| TiffSample {
        size: (2, 2),
        photometric,
        bits,
        samples,
        format,
        chunks: &[&[0; 64]],
        ..TiffSample::default()
    };
    check_unsupported(&sample(1, 32, 1, 3), "IEEEFP");
    check_unsupported(&sample(1, 8, 1, 2), "Int");
    check_unsupported(&sample(1, 32, 1, 1), "Gray(32)");
    check_unsupported(&sample(1, 4, 1, 1), "Gray(4)");
    check_unsupported(&sample(1, 8, 2, 1), "Multiband");
    check_unsupported(&sample(3, 8, 1, 1), "RGBPalette");
    check_unsupported(&sample(5, 8, 4, 1), "CMYK");
    let planes: [&[u8]; 3] = [&[0; 4], &[0; 4], &[0; 4]];
    check_unsupported(&TiffSample { planar: 2, chunks: &planes, ..sample(2, 8, 3, 1) }, "Planar");
}

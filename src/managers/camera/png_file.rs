//! One PNG file, decoded row by row into a grey frame.
//!
//! Grey of 8 and 16 bits keeps its samples; 1, 2 and 4 bits are stretched to 8, palettes looked
//! up, colours turned into luma, alpha and transparent colours ignored. Of an animation only the
//! default image is read. No buffer here is larger than a few rows.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use png::{BitDepth, ColorType, InterlaceInfo, Transformations};

use super::grey::{FrameShape, GreyConversion, PixelDepth, SampleOrder};
use super::image_error::{ImageError, ImageOrigin};

/// What the decoder may allocate beyond its rows: palettes and other small chunks.
const ALLOWANCE_BYTES: usize = 1 << 20;
/// An RGBA pixel of 16 bits takes this many bytes.
const MOST_BYTES_PER_PIXEL: usize = 8;

/// An opened PNG file whose header has been read.
pub(super) struct PngFile {
    origin: ImageOrigin,
    reader: png::Reader<BufReader<File>>,
    shape: FrameShape,
}

impl PngFile {
    /// Reads the file up to its first pixel.
    ///
    /// # Errors
    /// - [`ImageError::TooLarge`]: the frame would take more than `limit_bytes`.
    /// - [`ImageError::Unreadable`], [`ImageError::DamagedPng`]: no file, or no PNG header in it.
    pub(super) fn open(path: &Path, limit_bytes: usize) -> Result<Self, ImageError> {
        let origin = ImageOrigin::file(path);
        let file = match File::open(path) {
            Ok(file) => file,
            Err(source) => return Err(ImageError::Unreadable { origin, source }),
        };
        let mut decoder = png::Decoder::new_with_limits(BufReader::new(file), limits(limit_bytes));
        decoder.set_ignore_text_chunk(true);
        decoder.set_ignore_iccp_chunk(true);
        let (shape, transformations) = match decoder.read_header_info() {
            Ok(info) => (shape_of(info), transformations_for(info)),
            Err(source) => return Err(ImageError::DamagedPng { origin, source }),
        };
        let (bytes, limit) = (shape.frame_bytes(), limit_bytes as u64);
        if bytes > limit {
            return Err(ImageError::TooLarge { origin, bytes, limit });
        }
        decoder.set_transformations(transformations);
        match decoder.read_info() {
            Ok(reader) => Ok(Self { origin, reader, shape }),
            Err(source) => Err(ImageError::DamagedPng { origin, source }),
        }
    }

    pub(super) fn origin(&self) -> ImageOrigin {
        self.origin.clone()
    }

    pub(super) fn shape(&self) -> FrameShape {
        self.shape
    }

    /// Decodes the image; `target` has exactly the size of the frame.
    ///
    /// # Errors
    /// [`ImageError::DamagedPng`]: the file ends too early or is damaged.
    pub(super) fn decode(&mut self, target: &mut [u8]) -> Result<(), ImageError> {
        let is_interlaced = self.reader.info().interlaced;
        let decoded = match self.reader.output_color_type() {
            (ColorType::Grayscale, BitDepth::Eight) => self.reader.next_frame(target).map(drop),
            _ if is_interlaced => self.decode_passes(target),
            _ => self.decode_rows(target),
        };
        decoded.map_err(|source| ImageError::DamagedPng { origin: self.origin(), source })
    }

    fn decode_rows(&mut self, target: &mut [u8]) -> Result<(), png::DecodingError> {
        let conversion = self.conversion();
        for grey in target.chunks_exact_mut(self.shape.row_bytes()) {
            if let Some(row) = self.reader.next_row()? {
                conversion.convert_row(row.data(), grey);
            }
        }
        // Asking once more checks that the compressed data ends here, and ends properly.
        self.reader.next_row().map(drop)
    }

    fn decode_passes(&mut self, target: &mut [u8]) -> Result<(), png::DecodingError> {
        let conversion = self.conversion();
        let stride = self.shape.row_bytes();
        let bits = 8 * self.shape.depth.bytes() as u8;
        let mut grey = vec![0; stride];
        while let Some(row) = self.reader.next_interlaced_row()? {
            if let InterlaceInfo::Adam7(pass) = row.interlace() {
                // The row of a pass has fewer pixels than the image; the pass says how many count.
                conversion.convert_row(row.data(), &mut grey);
                let used = row.data().len() / conversion.pixel_bytes() * self.shape.depth.bytes();
                png::expand_interlaced_row(target, stride, &grey[..used.min(stride)], pass, bits);
            }
        }
        Ok(())
    }

    fn conversion(&self) -> GreyConversion {
        let (color, _) = self.reader.output_color_type();
        GreyConversion { depth: self.shape.depth, channels: color.samples(), order: SampleOrder::BigEndian }
    }
}

fn shape_of(info: &png::Info<'_>) -> FrameShape {
    let depth = match info.bit_depth {
        BitDepth::Sixteen => PixelDepth::Sixteen,
        _ => PixelDepth::Eight,
    };
    FrameShape { width_px: info.width, height_px: info.height, depth }
}

fn transformations_for(info: &png::Info<'_>) -> Transformations {
    match (info.color_type, info.bit_depth) {
        (ColorType::Indexed, _) | (ColorType::Grayscale, BitDepth::One | BitDepth::Two | BitDepth::Four) => {
            Transformations::EXPAND
        }
        // Expanding the others would only add the alpha that is ignored.
        _ => Transformations::IDENTITY,
    }
}

fn limits(limit_bytes: usize) -> png::Limits {
    let rows = limit_bytes.saturating_mul(MOST_BYTES_PER_PIXEL);
    png::Limits { bytes: rows.saturating_add(ALLOWANCE_BYTES) }
}

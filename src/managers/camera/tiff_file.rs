//! One TIFF file, decoded page by page into grey frames.
//!
//! Grey of 8 and 16 bits goes straight into the caller's buffer, white-is-zero inverted; RGB of
//! 8 and 16 bits becomes luma strip by strip (or tile by tile) through a buffer that is kept.
//! Everything else is refused by name: planar colour, palettes, signed and float samples.
//! The file stays open between pages, so that a long stack is walked once.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use tiff::decoder::{Decoder, Limits};
use tiff::tags::{PlanarConfiguration, SampleFormat, Tag};
use tiff::{ColorType, TiffError};

use super::grey::{FrameShape, GreyConversion, PixelDepth, SampleOrder};
use super::image_error::{ImageError, ImageOrigin};

/// Decoding may take this many times the frame: RGBA to grey is four, the rest is tile padding.
const MOST_WORK_PER_FRAME: u64 = 8;
/// Small images may be padded to tiles far larger than themselves.
const ALLOWANCE_BYTES: u64 = 1 << 20;

/// An opened TIFF file, standing before or on one of its pages.
pub(super) struct TiffFile {
    path: PathBuf,
    decoder: Decoder<BufReader<File>>,
    limit_bytes: usize,
    /// The page the decoder stands on, from 1; `0` before the first page is asked for.
    page: u32,
    /// Samples of the page, once it has been found to be readable.
    samples: Samples,
    chunk: Vec<u8>,
}

/// How the pixels of a page are stored.
#[derive(Debug, Clone, Copy)]
struct Samples {
    depth: PixelDepth,
    channels: usize,
}

impl TiffFile {
    /// Reads the first directory of the file.
    ///
    /// # Errors
    /// [`ImageError::Unreadable`], [`ImageError::DamagedTiff`], [`ImageError::Unsupported`]: no
    /// file, or no first page in it.
    pub(super) fn open(path: &Path, limit_bytes: usize) -> Result<Self, ImageError> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(source) => {
                return Err(ImageError::Unreadable { origin: ImageOrigin::file(path), source });
            }
        };
        match Decoder::new(BufReader::new(file)) {
            Ok(decoder) => Ok(Self {
                path: path.to_path_buf(),
                decoder: decoder.with_limits(limits(limit_bytes)),
                limit_bytes,
                page: 0,
                samples: Samples { depth: PixelDepth::Eight, channels: 1 },
                chunk: Vec::new(),
            }),
            Err(source) => Err(ImageError::from_tiff(ImageOrigin::page(path, 1), source)),
        }
    }

    pub(super) fn origin(&self) -> ImageOrigin {
        ImageOrigin::page(&self.path, self.page)
    }

    /// Goes on to the next page and tells its shape; `None` after the last page.
    ///
    /// # Errors
    /// - [`ImageError::TooLarge`]: the page would take more than the limit.
    /// - [`ImageError::DamagedTiff`], [`ImageError::Unsupported`]: the page cannot be read.
    pub(super) fn next_page(&mut self) -> Result<Option<FrameShape>, ImageError> {
        // The decoder stands on the first page from the start.
        let is_first = self.page == 0;
        if !is_first && !self.decoder.more_images() {
            return Ok(None);
        }
        self.page += 1;
        if !is_first {
            let stepped = self.decoder.next_image();
            stepped.map_err(|source| self.fault(source))?;
        }
        self.describe_page().map(Some)
    }

    /// Decodes the page; `target` has exactly the size of its frame.
    ///
    /// # Errors
    /// [`ImageError::DamagedTiff`], [`ImageError::Unsupported`]: the pixels cannot be read.
    pub(super) fn decode(&mut self, target: &mut [u8]) -> Result<(), ImageError> {
        let decoded = match self.samples.channels {
            1 => self.decoder.read_image_bytes(target),
            _ => self.decode_chunks(target),
        };
        decoded.map_err(|source| self.fault(source))
    }

    fn describe_page(&mut self) -> Result<FrameShape, ImageError> {
        let (width_px, height_px) = self.decoder.dimensions().map_err(|source| self.fault(source))?;
        self.samples = self.readable_samples()?;
        let shape = FrameShape { width_px, height_px, depth: self.samples.depth };
        self.check_size(shape.frame_bytes(), self.limit_bytes as u64)?;
        self.check_size(self.work_bytes(shape), most_work_bytes(self.limit_bytes))?;
        Ok(shape)
    }

    fn readable_samples(&mut self) -> Result<Samples, ImageError> {
        let declared = declared_samples(&mut self.decoder).map_err(|source| self.fault(source))?;
        declared
            .readable()
            .ok_or_else(|| ImageError::Unsupported { origin: self.origin(), found: format!("{declared:?}") })
    }

    /// Bytes that come out of the decompressor, padding of the last tiles included.
    fn work_bytes(&self, shape: FrameShape) -> u64 {
        let (chunk_width, _) = self.decoder.chunk_dimensions();
        let (width, chunk_width) = (u64::from(shape.width_px), u64::from(chunk_width));
        let padded_width = width.div_ceil(chunk_width.max(1)).saturating_mul(chunk_width);
        let pixel_bytes = (self.samples.channels * self.samples.depth.bytes()) as u64;
        padded_width.saturating_mul(shape.height_px.into()).saturating_mul(pixel_bytes)
    }

    fn check_size(&self, bytes: u64, limit: u64) -> Result<(), ImageError> {
        if bytes > limit {
            return Err(ImageError::TooLarge { origin: self.origin(), bytes, limit });
        }
        Ok(())
    }

    /// Decodes colour: strips are chunks as wide as the image, tiles are narrower ones.
    fn decode_chunks(&mut self, target: &mut [u8]) -> Result<(), TiffError> {
        let (width, height) = self.decoder.dimensions()?;
        let (chunk_width, chunk_height) = self.decoder.chunk_dimensions();
        let across = width.div_ceil(chunk_width);
        let stride = width as usize * self.samples.depth.bytes();
        for index in 0..across * height.div_ceil(chunk_height) {
            let left_px = (index % across * chunk_width) as usize;
            let top_px = (index / across * chunk_height) as usize;
            let left = left_px * self.samples.depth.bytes();
            self.decode_chunk(index, target.chunks_exact_mut(stride).skip(top_px), left)?;
        }
        Ok(())
    }

    fn decode_chunk<'a>(
        &mut self,
        index: u32,
        rows: impl Iterator<Item = &'a mut [u8]>,
        left: usize,
    ) -> Result<(), TiffError> {
        let layout = self.decoder.image_chunk_buffer_layout(index)?;
        self.chunk.resize(layout.len, 0);
        self.decoder.read_chunk_bytes(index, &mut self.chunk)?;
        let Samples { depth, channels } = self.samples;
        let conversion = GreyConversion { depth, channels, order: SampleOrder::Native };
        let (chunk_width, _) = self.decoder.chunk_data_dimensions(index);
        let chunk_stride = chunk_width as usize * conversion.pixel_bytes();
        for (source, row) in self.chunk.chunks_exact(chunk_stride).zip(rows) {
            conversion.convert_row(source, &mut row[left..]);
        }
        Ok(())
    }

    fn fault(&self, source: TiffError) -> ImageError {
        ImageError::from_tiff(self.origin(), source)
    }
}

/// What a page says about its samples; shown to the user when it is refused.
#[derive(Debug)]
struct DeclaredSamples {
    color: ColorType,
    format: SampleFormat,
    samples_per_pixel: u16,
    layout: PlanarConfiguration,
}

impl DeclaredSamples {
    fn readable(&self) -> Option<Samples> {
        let (channels, bits) = match self.color {
            ColorType::Gray(bits) => (1, bits),
            ColorType::RGB(bits) => (3, bits),
            ColorType::RGBA(bits) => (4, bits),
            _ => return None,
        };
        let depth = match bits {
            8 => PixelDepth::Eight,
            16 => PixelDepth::Sixteen,
            _ => return None,
        };
        let is_interleaved = channels == 1 || self.layout == PlanarConfiguration::Chunky;
        let is_plain = self.format == SampleFormat::Uint
            && is_interleaved
            && usize::from(self.samples_per_pixel) == channels;
        is_plain.then_some(Samples { depth, channels })
    }
}

/// Reads the tags anew: the decoder tells its layout only together with sizes that may overflow.
fn declared_samples(decoder: &mut Decoder<BufReader<File>>) -> Result<DeclaredSamples, TiffError> {
    let color = decoder.colortype()?;
    let formats = decoder.find_tag_unsigned_vec(Tag::SampleFormat)?;
    let format = formats.and_then(|formats| formats.first().copied());
    let samples_per_pixel = decoder.find_tag_unsigned(Tag::SamplesPerPixel)?;
    let layout = decoder.find_tag_unsigned(Tag::PlanarConfiguration)?;
    Ok(DeclaredSamples {
        color,
        format: format.map_or(SampleFormat::Uint, SampleFormat::from_u16_exhaustive),
        samples_per_pixel: samples_per_pixel.unwrap_or(1),
        layout: layout.and_then(PlanarConfiguration::from_u16).unwrap_or(PlanarConfiguration::Chunky),
    })
}

fn most_work_bytes(limit_bytes: usize) -> u64 {
    let work = (limit_bytes as u64).saturating_mul(MOST_WORK_PER_FRAME);
    work.saturating_add(ALLOWANCE_BYTES)
}

fn limits(limit_bytes: usize) -> Limits {
    let work = usize::try_from(most_work_bytes(limit_bytes)).unwrap_or(usize::MAX);
    let mut limits = Limits::default();
    limits.decoding_buffer_size = work;
    limits.intermediate_buffer_size = work;
    limits
}

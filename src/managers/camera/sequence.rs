//! Image sequences: the frames that `camera.replay` plays.
//!
//! A sequence is a folder of PNG and TIFF files in natural order, or one such file; each page of
//! a TIFF file is a frame. Opening lists the files and opens none of them. A frame is described
//! before it is decoded, so that the caller can loan a slot of the right size, and is then decoded
//! straight into it. A bad image is an error value, after which the sequence goes on with the
//! next image. The list of files is fixed when the sequence is opened.
//!
//! ```text
//! while let Some(image) = sequence.next_image() {
//!     match image {
//!         Ok(image) => image.decode_into(producer.loan(image.shape())?.pixels())?,
//!         Err(fault) => policy.apply(fault)?,
//!     }
//! }
//! ```

use std::fmt;
use std::path::Path;

use super::grey::FrameShape;
use super::image_error::{ImageError, ImageOrigin};
use super::image_file::ImageFile;
use super::listing::{self, ListedImage, SequenceError};

/// Recorded images, read one after the other.
pub struct ImageSequence {
    images: Vec<ListedImage>,
    /// Index of the file that is opened after the current one.
    next_file: usize,
    current: Option<ImageFile>,
    limit_bytes: usize,
}

impl ImageSequence {
    /// Lists the images at `path`: a folder, or a PNG or TIFF file.
    ///
    /// A frame of more than `limit_bytes` is refused from its header. Pixels on their way to the
    /// frame take a few rows, and in colour TIFF a strip or tile: at most four times the frame.
    ///
    /// # Errors
    /// - [`SequenceError::Missing`], [`SequenceError::Unreadable`]: nothing to list.
    /// - [`SequenceError::NoImages`]: the folder holds no PNG or TIFF file.
    /// - [`SequenceError::NotAnImage`]: the file is not PNG or TIFF by its name.
    pub fn open(path: &Path, limit_bytes: usize) -> Result<Self, SequenceError> {
        let images = listing::list_images(path)?;
        Ok(Self { images, next_file: 0, current: None, limit_bytes })
    }

    /// How many files the sequence has; multi-page files make more frames than that.
    pub fn file_count(&self) -> usize {
        self.images.len()
    }

    /// Describes the next image that waits to be decoded; `None` at the end of the sequence.
    ///
    /// The image waits until it is decoded or skipped: merely dropping it loses nothing. An error
    /// is reported once and concerns one image, which is thereby behind us.
    ///
    /// # Errors
    /// - [`ImageError::Unreadable`], [`ImageError::DamagedPng`], [`ImageError::DamagedTiff`]: the
    ///   image is gone or its header is damaged.
    /// - [`ImageError::Unsupported`], [`ImageError::TooLarge`]: the image is not one we read.
    /// - [`ImageError::DecoderPanicked`]: the file is damaged in a way its decoder did not expect.
    pub fn next_image(&mut self) -> Option<Result<PendingImage<'_>, ImageError>> {
        match self.find_waiting()? {
            Ok(shape) => self.current.as_mut().map(|file| Ok(PendingImage { file, shape })),
            Err(fault) => Some(Err(fault)),
        }
    }

    /// Starts again from the first image.
    pub fn rewind(&mut self) {
        self.next_file = 0;
        self.current = None;
    }

    fn find_waiting(&mut self) -> Option<Result<FrameShape, ImageError>> {
        loop {
            if let Some(page) = self.current.as_mut().and_then(ImageFile::waiting_page) {
                return Some(page);
            }
            self.current = None;
            let image = self.images.get(self.next_file)?;
            self.next_file += 1;
            match ImageFile::open(image, self.limit_bytes) {
                Ok(file) => self.current = Some(file),
                Err(fault) => return Some(Err(fault)),
            }
        }
    }
}

impl fmt::Debug for ImageSequence {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = out.debug_struct("ImageSequence");
        fields.field("file_count", &self.images.len());
        fields.field("next_file", &self.next_file);
        fields.finish_non_exhaustive()
    }
}

/// An image whose shape is known and which has not been decoded yet.
///
/// Dropping it leaves it the next image of its sequence.
pub struct PendingImage<'a> {
    file: &'a mut ImageFile,
    shape: FrameShape,
}

impl PendingImage<'_> {
    /// Width, height and depth of the frame that the image becomes.
    pub fn shape(&self) -> FrameShape {
        self.shape
    }

    /// The size of the buffer that [`decode_into`](Self::decode_into) takes, within the limit.
    pub fn frame_bytes(&self) -> usize {
        self.shape.row_bytes() * self.shape.height_px as usize
    }

    /// The file and page the image comes from.
    pub fn origin(&self) -> ImageOrigin {
        self.file.origin()
    }

    /// Gives up the image; the sequence goes on with the next one.
    pub fn skip(self) {
        self.file.skip_page();
    }

    /// Decodes the image into `target`, row after row without gaps. The sequence goes on with the
    /// next image whether or not this succeeds, except after [`ImageError::WrongBuffer`].
    ///
    /// # Errors
    /// - [`ImageError::WrongBuffer`]: `target` has not exactly [`frame_bytes`](Self::frame_bytes);
    ///   the image still waits and `target` is untouched.
    /// - [`ImageError::DamagedPng`], [`ImageError::DamagedTiff`], [`ImageError::Unsupported`],
    ///   [`ImageError::DecoderPanicked`]: the pixels cannot be read; `target` may be partly
    ///   overwritten.
    pub fn decode_into(self, target: &mut [u8]) -> Result<(), ImageError> {
        if target.len() != self.frame_bytes() {
            return Err(ImageError::WrongBuffer {
                origin: self.origin(),
                actual: target.len() as u64,
                expected: self.shape.frame_bytes(),
            });
        }
        self.file.decode(target)
    }
}

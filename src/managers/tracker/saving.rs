//! Frames that are kept as images, for whoever asks for one.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use super::commands::{FrameSaved, SaveFrame};
use crate::prelude::*;
use crate::registry::LateAnswer;

/// Why a frame was not kept; what was in the file before is there still.
#[derive(Debug, Clone, PartialEq, thiserror::Error, Serialize, Deserialize, Schema)]
#[non_exhaustive]
pub enum SaveError {
    /// The file cannot be written.
    #[error("`{file}` cannot be written: {why}")]
    NotWritten {
        /// The file.
        file: String,
        /// What the system said.
        why: String,
    },
}

/// Who waits for the next frame.
#[derive(Default)]
pub(super) struct Wanted(Vec<(SaveFrame, LateAnswer<SaveFrame>)>);

impl Wanted {
    /// The next frame is to be kept; answers when it is.
    pub(super) fn add(&mut self, command: SaveFrame, answer: LateAnswer<SaveFrame>) {
        self.0.push((command, answer));
    }

    /// Keeps this frame for all who wait for one.
    pub(super) fn save(&mut self, frame: &Frame<'_>) {
        for (command, answer) in self.0.drain(..).filter(|(_, answer)| !answer.is_over()) {
            match write(&command.file, frame) {
                Ok(()) => answer.done(&FrameSaved { source_index: frame.meta().source_index }),
                Err(error) => {
                    let (file, why) = (command.file.display().to_string(), error.to_string());
                    answer.fail(&SaveError::NotWritten { file, why });
                }
            }
        }
    }
}

/// Writes a grey PNG, which is there whole or not at all.
fn write(file: &Path, frame: &Frame<'_>) -> Result<(), Box<dyn std::error::Error>> {
    let format = frame.meta().format;
    let beside = file.with_extension("png.part");
    let mut out = BufWriter::new(File::create(&beside)?);
    let mut encoder = png::Encoder::new(&mut out, format.width, format.height);
    encoder.set_color(png::ColorType::Grayscale);
    let (row_bytes, stride) = ((format.width * format.pixel.bytes()) as usize, format.stride_bytes as usize);
    let rows = frame.bytes().chunks(stride).take(format.height as usize).map(|row| &row[..row_bytes]);
    let pixels: Vec<u8> = match frame.pixels_u16() {
        Some(_) => {
            encoder.set_depth(png::BitDepth::Sixteen);
            // The greater byte of a sample is the first one in a PNG.
            rows.flat_map(|row| row.chunks_exact(2).flat_map(|sample| [sample[1], sample[0]])).collect()
        }
        None => rows.flatten().copied().collect(),
    };
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&pixels)?;
    writer.finish()?;
    out.flush()?;
    fs::rename(&beside, file)?;
    Ok(())
}

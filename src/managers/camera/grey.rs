//! Grey frames: their shape, and how rows of other pixels become grey.
//!
//! A frame holds one sample a pixel, row after row without gaps: 8 bits, or 16 bits in the byte
//! order of this machine. Colour becomes luma with the weights of Rec. 601 (0.299, 0.587, 0.114)
//! in 16-bit integers, so that equal red, green and blue keep their value exactly. Alpha is
//! ignored: the stored colour counts, nothing is blended.

/// How many bits a grey pixel has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PixelDepth {
    /// One byte a pixel, 0 (black) to 255.
    Eight,
    /// Two bytes a pixel in native byte order, 0 (black) to 65535.
    Sixteen,
}

impl PixelDepth {
    /// Bytes a pixel takes in a frame: 1 or 2.
    pub fn bytes(self) -> usize {
        match self {
            Self::Eight => 1,
            Self::Sixteen => 2,
        }
    }
}

/// Width, height and depth of a grey frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FrameShape {
    /// Pixels in a row; at least 1.
    pub width_px: u32,
    /// Rows; at least 1.
    pub height_px: u32,
    /// Bits of a pixel.
    pub depth: PixelDepth,
}

impl FrameShape {
    /// Bytes in one row of the frame.
    pub fn row_bytes(&self) -> usize {
        self.width_px as usize * self.depth.bytes()
    }

    /// Bytes in the whole frame; `u64::MAX` when a header claims more than that.
    pub fn frame_bytes(&self) -> u64 {
        let pixels = u64::from(self.width_px).saturating_mul(u64::from(self.height_px));
        pixels.saturating_mul(self.depth.bytes() as u64)
    }
}

/// The order in which a decoder hands out the two bytes of a 16-bit sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SampleOrder {
    BigEndian,
    Native,
}

/// Turns rows of interleaved samples into grey rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct GreyConversion {
    pub(super) depth: PixelDepth,
    /// Samples in a source pixel: grey, grey and alpha, RGB, or RGB and alpha.
    pub(super) channels: usize,
    pub(super) order: SampleOrder,
}

impl GreyConversion {
    /// Bytes in a source pixel.
    pub(super) fn pixel_bytes(&self) -> usize {
        self.channels * self.depth.bytes()
    }

    /// Fills `target` from the leading pixels of `source`; what has no counterpart stays as it is.
    pub(super) fn convert_row(&self, source: &[u8], target: &mut [u8]) {
        match (self.depth, self.order) {
            (PixelDepth::Eight, _) => self.convert_bytes(source, target),
            (PixelDepth::Sixteen, SampleOrder::BigEndian) => {
                self.convert_words(source, target, u16::from_be_bytes);
            }
            (PixelDepth::Sixteen, SampleOrder::Native) => {
                self.convert_words(source, target, u16::from_ne_bytes);
            }
        }
    }

    fn convert_bytes(&self, source: &[u8], target: &mut [u8]) {
        for (pixel, grey) in source.chunks_exact(self.channels).zip(target) {
            *grey = match *pixel {
                // Luma of three bytes is a byte: the weights add up to one.
                [red, green, blue, ..] => luma(red.into(), green.into(), blue.into()) as u8,
                [sample, ..] => sample,
                [] => continue,
            };
        }
    }

    fn convert_words(&self, source: &[u8], target: &mut [u8], read: fn([u8; 2]) -> u16) {
        let (samples, _) = source.as_chunks::<2>();
        let (greys, _) = target.as_chunks_mut::<2>();
        for (pixel, grey) in samples.chunks_exact(self.channels).zip(greys) {
            *grey = match *pixel {
                [red, green, blue, ..] => luma(read(red), read(green), read(blue)).to_ne_bytes(),
                [sample, ..] => read(sample).to_ne_bytes(),
                [] => continue,
            };
        }
    }
}

/// Rec. 601 luma, rounded; never above the largest of the three samples.
fn luma(red: u16, green: u16, blue: u16) -> u16 {
    const RED: u32 = 19_595;
    const GREEN: u32 = 38_470;
    const BLUE: u32 = 7_471;
    let weighted = RED * u32::from(red) + GREEN * u32::from(green) + BLUE * u32::from(blue);
    ((weighted + (1 << 15)) >> 16) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_row(conversion: GreyConversion, source: &[u8], expected: &[u8]) {
        let mut target = vec![0; expected.len()];
        conversion.convert_row(source, &mut target);
        assert_eq!(target, expected);
    }

    fn bytes_of(channels: usize) -> GreyConversion {
        GreyConversion { depth: PixelDepth::Eight, channels, order: SampleOrder::Native }
    }

    #[test]
    fn equal_red_green_and_blue_keep_their_value() {
        for value in 0..=u16::MAX {
            assert_eq!(luma(value, value, value), value);
        }
    }

    #[test]
    fn colour_becomes_rec_601_luma_and_alpha_is_ignored() {
        check_row(bytes_of(3), &[255, 0, 0, 0, 255, 0, 0, 0, 255], &[76, 150, 29]);
        check_row(bytes_of(4), &[255, 0, 0, 9, 0, 255, 0, 0], &[76, 150]);
        check_row(bytes_of(2), &[17, 0, 18, 255], &[17, 18]);
    }

    #[test]
    fn big_endian_words_come_out_in_native_order() {
        let conversion =
            GreyConversion { depth: PixelDepth::Sixteen, channels: 1, order: SampleOrder::BigEndian };
        check_row(conversion, &[0x12, 0x34], &0x1234_u16.to_ne_bytes());
    }

    #[test]
    fn a_claimed_size_beyond_all_memory_does_not_overflow() {
        let shape = FrameShape { width_px: u32::MAX, height_px: u32::MAX, depth: PixelDepth::Sixteen };
        assert_eq!(shape.frame_bytes(), u64::MAX);
    }
}

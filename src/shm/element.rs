//! What arrays are made of: numbers of a fixed size, every bit pattern of which is one.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::wire::{Node, Schema, SchemaBuilder};

pub(super) mod sealed {
    /// Values that are as good as their bytes.
    ///
    /// # Safety
    /// Whoever implements it answers for that: no padding, every bit pattern valid, aligned to at most 64 bytes.
    pub unsafe trait Plain: Copy + Send + Sync + 'static {}
}

/// A number that arrays are made of: `u8` … `u64`, `i8` … `i64`, `f32`, `f64`, and [`Complex`] of the last two.
pub trait Element: sealed::Plain + Serialize + DeserializeOwned + Schema + Default + PartialEq {
    /// Its name, as NumPy has it.
    const NAME: &'static str;
}

macro_rules! elements {
    ($($rust:ty => $name:literal),* $(,)?) => {
        $(
            // SAFETY: a number without padding, of which every bit pattern is one; aligned to at most 8 bytes.
            unsafe impl sealed::Plain for $rust {}
            impl Element for $rust {
                const NAME: &'static str = $name;
            }
        )*
    };
}

elements! {
    u8 => "uint8", u16 => "uint16", u32 => "uint32", u64 => "uint64",
    i8 => "int8", i16 => "int16", i32 => "int32", i64 => "int64",
    f32 => "float32", f64 => "float64",
    Complex<f32> => "complex64", Complex<f64> => "complex128",
}

/// A complex number, laid out as in C, NumPy and `num_complex`. In JSON it is `[re, im]`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C)]
pub struct Complex<T> {
    /// The real part.
    pub re: T,
    /// The imaginary part.
    pub im: T,
}

impl<T: Serialize> Serialize for Complex<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.re, &self.im).serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Complex<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (re, im) = Deserialize::deserialize(deserializer)?;
        Ok(Self { re, im })
    }
}

#[diagnostic::do_not_recommend]
impl<T: Schema> Schema for Complex<T> {
    fn schema(builder: &mut SchemaBuilder) -> Node {
        <(T, T)>::schema(builder)
    }
}

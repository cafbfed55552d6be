//! Walking postcard bytes along a schema, without the Rust type.
//!
//! Two uses: a guard that refuses what would exhaust memory, stack or time before anything is decoded, and
//! reading a value's fields by name as JSON, for logs and traces. The JSON is the one serde would write,
//! but for what JSON cannot hold: integers beyond 64 bits, NaN and the infinities are text, and so is every
//! key of a map.

use std::collections::HashMap;

use serde_json::{Map, Number, Value};

use super::codec::{DecodeError, MAX_DEPTH};
use super::schema::{Field, Node, Shape, TypeSchema};

/// How many parts without bytes (such as `()`) a value may have, whatever its size …
const SPARE_EMPTY_PARTS: u64 = 1_024;
/// … and how many more for each of its bytes.
const EMPTY_PARTS_PER_BYTE: u64 = 4;

/// Whether values of the type can ask for more memory or stack than their bytes justify, or be written in
/// a way that the codec alone would let pass.
pub fn needs_guard(schema: &TypeSchema) -> bool {
    /// `met` holds the types met so far, and whether their parts are still being looked at.
    fn risky<'a>(node: &'a Node, schema: &'a TypeSchema, met: &mut HashMap<&'a str, bool>) -> bool {
        match node {
            Node::List(_) | Node::Map(..) | Node::Any | Node::Char => true,
            Node::Option(inner) => risky(inner, schema, met),
            Node::Tuple(parts) => parts.iter().any(|part| risky(part, schema, met)),
            Node::Named(path) => match met.get(path.as_str()) {
                Some(is_within) => *is_within,
                None => {
                    met.insert(path, true);
                    let found = parts_of(schema, path).into_iter().any(|part| risky(part, schema, met));
                    met.insert(path, false);
                    found
                }
            },
            _ => false,
        }
    }
    risky(&schema.root, schema, &mut HashMap::new())
}

/// Whether every value of the type takes at least one byte. A type that is all parts of itself has no values.
fn takes_bytes<'a>(node: &'a Node, schema: &'a TypeSchema, met: &mut Vec<&'a str>) -> bool {
    match node {
        Node::Unit => false,
        Node::Tuple(parts) => parts.iter().any(|part| takes_bytes(part, schema, met)),
        Node::Named(path) if met.contains(&path.as_str()) => false,
        Node::Named(path) => {
            met.push(path);
            let is_enum = schema.definitions.get(path).is_some_and(|it| matches!(it.shape, Shape::Enum(_)));
            is_enum || parts_of(schema, path).into_iter().any(|part| takes_bytes(part, schema, met))
        }
        _ => true,
    }
}

fn parts_of<'a>(schema: &'a TypeSchema, path: &str) -> Vec<&'a Node> {
    schema.definitions.get(path).map(|definition| parts_of_shape(&definition.shape)).unwrap_or_default()
}

fn parts_of_shape(shape: &Shape) -> Vec<&Node> {
    match shape {
        Shape::Unit => Vec::new(),
        Shape::Newtype(node) => vec![node],
        Shape::Tuple(nodes) => nodes.iter().collect(),
        Shape::Struct(fields) => fields.iter().map(|field| &field.node).collect(),
        Shape::Enum(variants) => variants.iter().flat_map(|it| parts_of_shape(&it.shape)).collect(),
    }
}

/// Checks that `bytes` are exactly one value of the type, within the bounds of depth and length.
///
/// # Errors
/// [`DecodeError`], naming the type.
pub fn guard(bytes: &[u8], schema: &TypeSchema) -> Result<(), DecodeError> {
    read(bytes, schema, false).map(drop)
}

/// Reads a value's fields by name.
///
/// # Errors
/// [`DecodeError`], naming the type.
pub fn to_json(bytes: &[u8], schema: &TypeSchema) -> Result<Value, DecodeError> {
    read(bytes, schema, true)
}

fn read(bytes: &[u8], schema: &TypeSchema, keep: bool) -> Result<Value, DecodeError> {
    let empty_left = SPARE_EMPTY_PARTS + EMPTY_PARTS_PER_BYTE * bytes.len() as u64;
    let mut walk = Walk { left: bytes, schema, keep, empty_left };
    let value = walk.node(&schema.root, 0)?;
    match walk.left.len() {
        0 => Ok(value),
        left => Err(DecodeError::Trailing { expected: schema.root.describe(), left }),
    }
}

/// A reader over postcard's bytes; with `keep` false it only checks and builds nothing.
struct Walk<'a> {
    left: &'a [u8],
    schema: &'a TypeSchema,
    keep: bool,
    /// How many more parts may take no bytes.
    empty_left: u64,
}

impl<'a> Walk<'a> {
    fn malformed(&self, reason: &str) -> DecodeError {
        DecodeError::Malformed { expected: self.schema.root.describe(), reason: reason.to_owned() }
    }

    /// A value, when values are kept.
    fn kept(&self, value: impl FnOnce() -> Value) -> Value {
        if self.keep { value() } else { Value::Null }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, left) =
            self.left.split_at_checked(count).ok_or_else(|| self.malformed("unexpected end of bytes"))?;
        self.left = left;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, DecodeError> {
        Ok(self.take(1)?[0])
    }

    /// Notes a part without bytes: nothing else bounds how many there are.
    fn empty(&mut self) -> Result<Value, DecodeError> {
        let fewer = self.empty_left.checked_sub(1);
        self.empty_left = fewer.ok_or_else(|| self.malformed("more empty parts than its bytes justify"))?;
        Ok(Value::Null)
    }

    fn varint(&mut self, bits: u32) -> Result<u128, DecodeError> {
        let mut value = 0u128;
        for shift in (0..bits).step_by(7) {
            let byte = self.byte()?;
            let part = u128::from(byte & 0x7f);
            if shift + 7 > bits && part >> (bits - shift) != 0 {
                return Err(self.malformed("number out of range"));
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.malformed("number out of range"))
    }

    fn signed(&mut self, bits: u32) -> Result<i128, DecodeError> {
        let zigzag = self.varint(bits)?;
        Ok((zigzag >> 1) as i128 ^ -((zigzag & 1) as i128))
    }

    fn node(&mut self, node: &'a Node, depth: usize) -> Result<Value, DecodeError> {
        if depth > MAX_DEPTH {
            return Err(DecodeError::TooDeep { expected: self.schema.root.describe() });
        }
        match node {
            Node::Option(inner) => self.option(inner, depth),
            Node::List(inner) => self.list(inner, depth),
            Node::Map(key, value) => self.map(key, value, depth),
            Node::Tuple(parts) => self.tuple(parts, depth),
            Node::Named(path) => {
                let schema = self.schema;
                let unknown = || self.malformed(&format!("no definition of `{path}`"));
                let definition = schema.definitions.get(path).ok_or_else(unknown)?;
                self.shape(&definition.shape, depth)
            }
            Node::Any => Err(self.malformed("a tree of any shape has no positional form")),
            plain => self.primitive(plain),
        }
    }

    fn primitive(&mut self, node: &Node) -> Result<Value, DecodeError> {
        Ok(match node {
            Node::Unit => self.empty()?,
            Node::Bool => match self.byte()? {
                0 => Value::Bool(false),
                1 => Value::Bool(true),
                _ => return Err(self.malformed("a bool is 0 or 1")),
            },
            Node::U8 => self.byte()?.into(),
            Node::U16 => unsigned(self.varint(16)?),
            Node::U32 => unsigned(self.varint(32)?),
            Node::U64 => unsigned(self.varint(64)?),
            Node::U128 => unsigned(self.varint(128)?),
            Node::I8 => (self.byte()? as i8).into(),
            Node::I16 => signed(self.signed(16)?),
            Node::I32 => signed(self.signed(32)?),
            Node::I64 => signed(self.signed(64)?),
            Node::I128 => signed(self.signed(128)?),
            Node::F32 => float(f64::from(f32::from_le_bytes(fixed(self.take(4)?)))),
            Node::F64 => float(f64::from_le_bytes(fixed(self.take(8)?))),
            Node::Char => self.character()?,
            // What is left is `Text` and `Path`, which share their bytes.
            _ => {
                let text = self.text()?;
                self.kept(|| text.into())
            }
        })
    }

    fn text(&mut self) -> Result<&'a str, DecodeError> {
        let length = self.count(&[])?;
        std::str::from_utf8(self.take(length)?).map_err(|_| self.malformed("text is not UTF-8"))
    }

    fn character(&mut self) -> Result<Value, DecodeError> {
        let text = self.text()?;
        let mut characters = text.chars();
        match (characters.next(), characters.next()) {
            (Some(_), None) => Ok(self.kept(|| text.into())),
            _ => Err(self.malformed("a char is one character")),
        }
    }

    /// A claimed count of elements made of these parts; without parts, of bytes. Refused when the bytes left
    /// cannot hold so many.
    fn count(&mut self, parts: &[&'a Node]) -> Result<usize, DecodeError> {
        let claimed = self.varint(64)? as u64;
        let left = self.left.len();
        if claimed <= left as u64 {
            return Ok(claimed as usize);
        }
        let mut met = Vec::new();
        let takes_bytes =
            parts.is_empty() || parts.iter().any(|part| takes_bytes(part, self.schema, &mut met));
        if takes_bytes || claimed > self.empty_left {
            return Err(DecodeError::ClaimedTooMuch { expected: self.schema.root.describe(), claimed, left });
        }
        Ok(claimed as usize)
    }

    fn option(&mut self, inner: &'a Node, depth: usize) -> Result<Value, DecodeError> {
        match self.byte()? {
            0 => Ok(Value::Null),
            1 => self.node(inner, depth + 1),
            _ => Err(self.malformed("an option is 0 or 1")),
        }
    }

    fn list(&mut self, inner: &'a Node, depth: usize) -> Result<Value, DecodeError> {
        let count = self.count(&[inner])?;
        if let (Some(size), false) = (fixed_size(inner), self.keep) {
            self.take(count * size)?;
            return Ok(Value::Null);
        }
        self.sequence(std::iter::repeat_n(inner, count), depth)
    }

    /// One value after the other.
    fn sequence(
        &mut self,
        nodes: impl Iterator<Item = &'a Node>,
        depth: usize,
    ) -> Result<Value, DecodeError> {
        let mut values = Vec::new();
        for node in nodes {
            let value = self.node(node, depth + 1)?;
            if self.keep {
                values.push(value);
            }
        }
        Ok(Value::Array(values))
    }

    fn map(&mut self, key: &'a Node, value: &'a Node, depth: usize) -> Result<Value, DecodeError> {
        let mut entries = Map::new();
        for _ in 0..self.count(&[key, value])? {
            let name = self.node(key, depth + 1)?;
            let entry = self.node(value, depth + 1)?;
            if self.keep {
                entries.insert(name.as_str().map_or_else(|| name.to_string(), str::to_owned), entry);
            }
        }
        Ok(Value::Object(entries))
    }

    fn tuple(&mut self, parts: &'a [Node], depth: usize) -> Result<Value, DecodeError> {
        if parts.is_empty() {
            self.empty()?;
        }
        self.sequence(parts.iter(), depth)
    }

    fn shape(&mut self, shape: &'a Shape, depth: usize) -> Result<Value, DecodeError> {
        match shape {
            Shape::Unit => self.empty(),
            Shape::Newtype(node) => self.node(node, depth + 1),
            Shape::Tuple(nodes) => self.tuple(nodes, depth),
            Shape::Struct(fields) => self.fields(fields, depth),
            Shape::Enum(variants) => {
                let index = self.varint(32)? as usize;
                let variant = variants.get(index).ok_or_else(|| self.malformed("unknown variant"))?;
                let content = self.shape(&variant.shape, depth + 1)?;
                Ok(self.kept(|| match variant.shape {
                    Shape::Unit => variant.name.clone().into(),
                    _ => Value::Object(Map::from_iter([(variant.name.clone(), content)])),
                }))
            }
        }
    }

    fn fields(&mut self, fields: &'a [Field], depth: usize) -> Result<Value, DecodeError> {
        if fields.is_empty() {
            self.empty()?;
        }
        let mut values = Map::new();
        for field in fields {
            let value = self.node(&field.node, depth + 1)?;
            if self.keep {
                values.insert(field.name.clone(), value);
            }
        }
        Ok(Value::Object(values))
    }
}

/// The size of every value of the type, when they all have the same and any bytes will do.
fn fixed_size(node: &Node) -> Option<usize> {
    match node {
        Node::U8 | Node::I8 => Some(1),
        Node::F32 => Some(4),
        Node::F64 => Some(8),
        _ => None,
    }
}

fn fixed<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("as many bytes were taken as the number has")
}

fn unsigned(value: u128) -> Value {
    u64::try_from(value).map_or_else(|_| Value::String(value.to_string()), Value::from)
}

fn signed(value: i128) -> Value {
    i64::try_from(value).map_or_else(|_| beyond_signed(value), Value::from)
}

fn beyond_signed(value: i128) -> Value {
    u64::try_from(value).map_or_else(|_| Value::String(value.to_string()), Value::from)
}

fn float(value: f64) -> Value {
    Number::from_f64(value).map_or_else(|| Value::String(value.to_string()), Value::Number)
}

//! Walking postcard bytes along a schema, without the Rust type.
//!
//! Two uses: a guard that refuses what would exhaust memory or stack before anything is decoded, and
//! reading a value's fields by name as JSON, for logs and traces.

use serde_json::{Map, Number, Value};

use super::codec::{DecodeError, MAX_DEPTH};
use super::schema::{Field, Node, Shape, TypeSchema};

/// Elements without any bytes (such as `()`) that one list may claim.
const MAX_EMPTY_ELEMENTS: u64 = 65_536;

/// Whether values of the type can ask for more memory or stack than their bytes justify.
pub fn needs_guard(schema: &TypeSchema) -> bool {
    fn risky(node: &Node, schema: &TypeSchema, above: &mut Vec<String>) -> bool {
        match node {
            Node::List(_) | Node::Map(..) | Node::Any => true,
            Node::Option(inner) => risky(inner, schema, above),
            Node::Tuple(parts) => parts.iter().any(|part| risky(part, schema, above)),
            Node::Named(path) if above.contains(path) => true,
            Node::Named(path) => {
                above.push(path.clone());
                let nodes = schema.definitions.get(path).map(|it| parts_of(&it.shape)).unwrap_or_default();
                let found = nodes.into_iter().any(|part| risky(part, schema, above));
                above.pop();
                found
            }
            _ => false,
        }
    }
    risky(&schema.root, schema, &mut Vec::new())
}

fn parts_of(shape: &Shape) -> Vec<&Node> {
    match shape {
        Shape::Unit => Vec::new(),
        Shape::Newtype(node) => vec![node],
        Shape::Tuple(nodes) => nodes.iter().collect(),
        Shape::Struct(fields) => fields.iter().map(|field| &field.node).collect(),
        Shape::Enum(variants) => variants.iter().flat_map(|variant| parts_of(&variant.shape)).collect(),
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
    let mut walk = Walk { left: bytes, schema, keep };
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
}

impl<'a> Walk<'a> {
    fn malformed(&self, reason: &str) -> DecodeError {
        DecodeError::Malformed { expected: self.schema.root.describe(), reason: reason.to_owned() }
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
            Node::Unit => Value::Null,
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
            // What is left is `Text` and `Path`, which share their bytes.
            _ => self.text()?,
        })
    }

    fn text(&mut self) -> Result<Value, DecodeError> {
        let length = self.length(1)?;
        let bytes = self.take(length)?;
        let text = std::str::from_utf8(bytes).map_err(|_| self.malformed("text is not UTF-8"))?;
        Ok(if self.keep { Value::String(text.to_owned()) } else { Value::Null })
    }

    /// A claimed count, refused when `smallest` bytes for each element are more than there are.
    fn length(&mut self, smallest: usize) -> Result<usize, DecodeError> {
        let claimed = self.varint(64)? as u64;
        let left = self.left.len();
        let most = if smallest == 0 { MAX_EMPTY_ELEMENTS } else { (left / smallest) as u64 };
        if claimed > most {
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
        let length = self.length(smallest_size(inner, self.schema, 0))?;
        if let (Some(size), false) = (fixed_size(inner), self.keep) {
            self.take(length * size)?;
            return Ok(Value::Null);
        }
        let mut values = Vec::new();
        for _ in 0..length {
            let value = self.node(inner, depth + 1)?;
            if self.keep {
                values.push(value);
            }
        }
        Ok(Value::Array(values))
    }

    fn map(&mut self, key: &'a Node, value: &'a Node, depth: usize) -> Result<Value, DecodeError> {
        let smallest = smallest_size(key, self.schema, 0) + smallest_size(value, self.schema, 0);
        let mut entries = Map::new();
        for _ in 0..self.length(smallest)? {
            let name = self.node(key, depth + 1)?;
            let entry = self.node(value, depth + 1)?;
            if self.keep {
                entries.insert(name.as_str().map_or_else(|| name.to_string(), str::to_owned), entry);
            }
        }
        Ok(Value::Object(entries))
    }

    fn tuple(&mut self, parts: &'a [Node], depth: usize) -> Result<Value, DecodeError> {
        let values: Result<Vec<_>, _> = parts.iter().map(|part| self.node(part, depth + 1)).collect();
        Ok(Value::Array(values?))
    }

    fn shape(&mut self, shape: &'a Shape, depth: usize) -> Result<Value, DecodeError> {
        match shape {
            Shape::Unit => Ok(Value::Null),
            Shape::Newtype(node) => self.node(node, depth + 1),
            Shape::Tuple(nodes) => self.tuple(nodes, depth),
            Shape::Struct(fields) => self.fields(fields, depth),
            Shape::Enum(variants) => {
                let index = self.varint(32)? as usize;
                let variant = variants.get(index).ok_or_else(|| self.malformed("unknown variant"))?;
                let content = self.shape(&variant.shape, depth + 1)?;
                Ok(match variant.shape {
                    Shape::Unit => Value::String(variant.name.clone()),
                    _ => Value::Object(Map::from_iter([(variant.name.clone(), content)])),
                })
            }
        }
    }

    fn fields(&mut self, fields: &'a [Field], depth: usize) -> Result<Value, DecodeError> {
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

/// The fewest bytes a value of the type can take; 0 only for types without content.
fn smallest_size(node: &Node, schema: &TypeSchema, depth: usize) -> usize {
    match node {
        Node::Unit => 0,
        Node::F32 => 4,
        Node::F64 => 8,
        Node::Tuple(parts) => parts.iter().map(|part| smallest_size(part, schema, depth + 1)).sum(),
        // A type that contains itself does so behind an option, a list or an enum, each at least one byte.
        Node::Named(_) if depth > MAX_DEPTH => 1,
        Node::Named(path) => match schema.definitions.get(path).map(|it| &it.shape) {
            Some(Shape::Enum(_)) | None => 1,
            Some(shape) => {
                parts_of(shape).into_iter().map(|part| smallest_size(part, schema, depth + 1)).sum()
            }
        },
        _ => 1,
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
    i64::try_from(value).map_or_else(|_| Value::String(value.to_string()), Value::from)
}

fn float(value: f64) -> Value {
    Number::from_f64(value).map_or_else(|| Value::String(value.to_string()), Value::Number)
}

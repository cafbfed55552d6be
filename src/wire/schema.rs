//! What a type looks like on the wire.
//!
//! A [`TypeSchema`] tells path, fields, types and their order (these make the fingerprint), and beside
//! them what people need: doc text, unit, bounds, defaults. It is data: it travels in manifests and is
//! read by `check`, by the terminal and by anyone who wants to see a command's fields by name.

use std::any::TypeId;
use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

use super::inspect;

/// A type whose shape on the wire is known. Derive it with `#[derive(Schema)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no wire schema",
    label = "this type crosses a process boundary, so its shape must be known",
    note = "write `#[derive(Serialize, Deserialize, Schema)]` on `{Self}`"
)]
pub trait Schema {
    /// Describes the type, adding the named types it is made of to `builder`.
    fn schema(builder: &mut SchemaBuilder) -> Node;
}

/// One type, as a tree that ends at primitives or at names of definitions.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, labrig::Schema)]
#[non_exhaustive]
pub enum Node {
    /// `()`: no bytes.
    Unit,
    /// `bool`.
    Bool,
    /// `u8`.
    U8,
    /// `u16`.
    U16,
    /// `u32`.
    U32,
    /// `u64`, `usize`.
    U64,
    /// `u128`.
    U128,
    /// `i8`.
    I8,
    /// `i16`.
    I16,
    /// `i32`.
    I32,
    /// `i64`, `isize`.
    I64,
    /// `i128`.
    I128,
    /// `f32`.
    F32,
    /// `f64`.
    F64,
    /// `char`.
    Char,
    /// `String`.
    Text,
    /// A value or none.
    Option(Box<Node>),
    /// Any number of values of one type.
    List(Box<Node>),
    /// Keys and values.
    Map(Box<Node>, Box<Node>),
    /// A fixed sequence of values: tuples and arrays.
    Tuple(Vec<Node>),
    /// A named type, found among the definitions.
    Named(String),
    /// Any tree of values; in config files only, checked by whoever owns it.
    Any,
    /// A path. The same bytes as a text; in a config file it is relative to that file.
    Path,
}

/// A named type.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, labrig::Schema)]
pub struct Definition {
    /// The type's path, with generic arguments if it has any.
    pub path: String,
    /// Its doc text.
    pub doc: String,
    /// What it is made of.
    pub shape: Shape,
}

/// What a named type or an enum's variant is made of.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, labrig::Schema)]
pub enum Shape {
    /// Nothing.
    Unit,
    /// One unnamed value, which stands for the whole.
    Newtype(Node),
    /// Several unnamed values.
    Tuple(Vec<Node>),
    /// Named fields, in order.
    Struct(Vec<Field>),
    /// One of several variants.
    Enum(Vec<Variant>),
}

/// A field of a struct.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, labrig::Schema)]
pub struct Field {
    /// Its name on the wire.
    pub name: String,
    /// Its type.
    pub node: Node,
    /// Its doc text.
    pub doc: String,
    /// The unit of its number, such as `um`.
    pub unit: Option<String>,
    /// The smallest value allowed.
    pub min: Option<f64>,
    /// The largest value allowed.
    pub max: Option<f64>,
    /// Whether it may be left out where fields are named (files, JSON).
    pub optional: bool,
    /// What it is then, as JSON text, where that is known.
    pub default: Option<String>,
}

/// A variant of an enum.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, labrig::Schema)]
pub struct Variant {
    /// Its name on the wire.
    pub name: String,
    /// Its doc text.
    pub doc: String,
    /// What it carries; never itself an enum.
    pub shape: Shape,
}

/// A type with all the definitions it refers to.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, labrig::Schema)]
pub struct TypeSchema {
    /// The type itself.
    pub root: Node,
    /// Every named type within it, by path.
    pub definitions: BTreeMap<String, Definition>,
    /// Whether its bytes can claim more memory or stack than they justify: lists, maps and recursion can.
    pub guarded: bool,
}

impl TypeSchema {
    /// The schema of `T`.
    pub fn of<T: Schema + ?Sized>() -> Self {
        let mut builder = SchemaBuilder::default();
        let root = T::schema(&mut builder);
        Self::new(root, builder)
    }

    /// As [`of`](Self::of), made once for each type and kept.
    pub fn known<T: Schema + ?Sized + 'static>() -> &'static Self {
        static KNOWN: LazyLock<RwLock<HashMap<TypeId, &'static TypeSchema>>> = LazyLock::new(RwLock::default);
        let id = TypeId::of::<T>();
        if let Some(schema) = KNOWN.read().get(&id) {
            return schema;
        }
        // Made outside the lock: a schema is made of those of other types.
        let made = Self::of::<T>();
        KNOWN.write().entry(id).or_insert_with(|| Box::leak(Box::new(made)))
    }

    fn new(root: Node, builder: SchemaBuilder) -> Self {
        let mut schema = Self { root, definitions: builder.finish(), guarded: false };
        schema.guarded = inspect::needs_guard(&schema);
        schema
    }

    /// The definition a node names, if it names one.
    pub fn definition(&self, node: &Node) -> Option<&Definition> {
        match node {
            Node::Named(path) => self.definitions.get(path),
            _ => None,
        }
    }

    /// The fields of the type, when it is a struct with named fields.
    pub fn fields(&self) -> &[Field] {
        match self.definition(&self.root).map(|definition| &definition.shape) {
            Some(Shape::Struct(fields)) => fields,
            _ => &[],
        }
    }

    /// A hash over path, fields, types and their order; docs, units, bounds and defaults do not count.
    pub fn fingerprint(&self) -> u64 {
        let mut hash = Fnv::default();
        hash.node(&self.root);
        for definition in self.definitions.values() {
            hash.text(&definition.path);
            hash.shape(&definition.shape);
        }
        hash.state
    }
}

/// Collects the definitions of one [`TypeSchema`].
#[derive(Default)]
pub struct SchemaBuilder {
    definitions: BTreeMap<String, Option<Definition>>,
}

impl SchemaBuilder {
    /// Refers to the type at `path`, describing it the first time it is met; recursion ends here.
    pub fn named(&mut self, path: &str, doc: &str, describe: impl FnOnce(&mut Self) -> Shape) -> Node {
        if !self.definitions.contains_key(path) {
            self.definitions.insert(path.to_owned(), None);
            let shape = describe(self);
            let definition = Definition { path: path.to_owned(), doc: doc.to_owned(), shape };
            self.definitions.insert(path.to_owned(), Some(definition));
        }
        Node::Named(path.to_owned())
    }

    fn finish(self) -> BTreeMap<String, Definition> {
        self.definitions.into_iter().filter_map(|(path, definition)| Some((path, definition?))).collect()
    }
}

impl Node {
    /// How the type is written for people: `f64`, `list of u8`, `MoveTo`.
    pub fn describe(&self) -> String {
        self.write(&short_path)
    }

    /// The type with full paths, so that different types never read the same.
    pub fn identity(&self) -> String {
        self.write(&str::to_owned)
    }

    fn write(&self, name: &dyn Fn(&str) -> String) -> String {
        match self {
            Node::Unit => "nothing".into(),
            Node::Text => "text".into(),
            Node::Option(inner) => format!("optional {}", inner.write(name)),
            Node::List(inner) => format!("list of {}", inner.write(name)),
            Node::Map(key, value) => format!("table of {} by {}", value.write(name), key.write(name)),
            Node::Tuple(parts) => {
                format!("({})", parts.iter().map(|part| part.write(name)).collect::<Vec<_>>().join(", "))
            }
            Node::Named(path) => name(path),
            Node::Any => "anything".into(),
            plain => format!("{plain:?}").to_lowercase(),
        }
    }
}

/// The last segment of a path, generic arguments kept.
pub fn short_path(path: &str) -> String {
    let (base, arguments) = path.split_at(path.find('<').unwrap_or(path.len()));
    format!("{}{arguments}", base.rsplit("::").next().unwrap_or(base))
}

/// FNV-1a, 64 bits: stable over versions and machines, which the standard hashers do not promise.
struct Fnv {
    state: u64,
}

impl Default for Fnv {
    fn default() -> Self {
        Self { state: 0xcbf2_9ce4_8422_2325 }
    }
}

impl Fnv {
    fn byte(&mut self, byte: u8) {
        self.state = (self.state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }

    fn text(&mut self, text: &str) {
        self.count(text.len());
        text.bytes().for_each(|byte| self.byte(byte));
    }

    fn count(&mut self, count: usize) {
        (count as u64).to_le_bytes().into_iter().for_each(|byte| self.byte(byte));
    }

    fn nodes(&mut self, nodes: &[Node]) {
        self.count(nodes.len());
        nodes.iter().for_each(|node| self.node(node));
    }

    fn node(&mut self, node: &Node) {
        match node {
            Node::Option(inner) => (self.text("option"), self.node(inner)).1,
            Node::List(inner) => (self.text("list"), self.node(inner)).1,
            Node::Map(key, value) => (self.text("map"), self.node(key), self.node(value)).2,
            Node::Tuple(parts) => (self.text("tuple"), self.nodes(parts)).1,
            Node::Named(path) => (self.text("named"), self.text(path)).1,
            plain => self.text(&plain.describe()),
        }
    }

    fn shape(&mut self, shape: &Shape) {
        match shape {
            Shape::Unit => self.text("unit"),
            Shape::Newtype(node) => (self.text("newtype"), self.node(node)).1,
            Shape::Tuple(nodes) => (self.text("tuple"), self.nodes(nodes)).1,
            Shape::Struct(fields) => self.fields(fields),
            Shape::Enum(variants) => self.variants(variants),
        }
    }

    fn fields(&mut self, fields: &[Field]) {
        self.text("struct");
        self.count(fields.len());
        for field in fields {
            self.text(&field.name);
            self.node(&field.node);
        }
    }

    fn variants(&mut self, variants: &[Variant]) {
        self.text("enum");
        self.count(variants.len());
        for variant in variants {
            self.text(&variant.name);
            self.shape(&variant.shape);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_fingerprints(same: bool, left: &[(&str, Node)], right: &[(&str, Node)]) {
        let print = |fields: &[(&str, Node)]| {
            let field = |(name, node): &(&str, Node)| Field {
                name: (*name).into(),
                node: node.clone(),
                doc: String::new(),
                unit: None,
                min: None,
                max: None,
                optional: false,
                default: None,
            };
            let shape = Shape::Struct(fields.iter().map(field).collect());
            let mut builder = SchemaBuilder::default();
            let root = builder.named("rig::T", "", |_| shape);
            TypeSchema::new(root, builder).fingerprint()
        };
        assert_eq!(print(left) == print(right), same);
    }

    #[test]
    fn the_fingerprint_changes_with_order_names_and_types_of_fields() {
        let (a, b) = (("a", Node::F64), ("b", Node::U8));
        check_fingerprints(true, &[a.clone(), b.clone()], &[a.clone(), b.clone()]);
        check_fingerprints(false, &[a.clone(), b.clone()], &[b.clone(), a.clone()]);
        check_fingerprints(false, std::slice::from_ref(&a), &[("c", Node::F64)]);
        check_fingerprints(false, &[a], &[("a", Node::F32)]);
        check_fingerprints(false, &[("ab", Node::U8)], &[("a", Node::U8), ("b", Node::U8)]);
    }

    #[test]
    fn recursion_ends_at_the_name() {
        fn chain(builder: &mut SchemaBuilder) -> Node {
            builder.named("rig::Chain", "", |builder| Shape::Newtype(Node::Option(Box::new(chain(builder)))))
        }
        let mut builder = SchemaBuilder::default();
        assert_eq!(chain(&mut builder), Node::Named("rig::Chain".into()));
        assert_eq!(builder.finish().len(), 1);
    }

    #[test]
    fn a_short_path_keeps_generic_arguments() {
        assert_eq!(short_path("rig::motor::MoveTo"), "MoveTo");
        assert_eq!(short_path("rig::Pair<a::B>"), "Pair<a::B>");
    }
}

//! Does a tree fit a type? One checker for the rig file, managers' own tables and start-up commands.
//!
//! It follows the type's schema, reports every misfit with its line, and writes the JSON that serde then
//! reads: names in place, paths made absolute, misfits left out so that the rest can still be looked at.

use serde_json::{Map, Number, Value};

use super::code::Code;
use super::fault::Fault;
use super::suggest::{nearest, quoted_list, suggestion};
use super::tree::{Content, Tree};
use super::words;
use crate::wire::codec::MAX_DEPTH;
use crate::wire::{Field, Node, Shape, TypeSchema, Variant};

/// What became of a tree.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The value for serde; `None` when it would lack something that the type needs.
    pub json: Option<Value>,
    /// Every misfit.
    pub faults: Vec<Fault>,
}

/// Checks a tree against a type. `at` is the key under which people know the tree, empty for a whole file.
pub fn check(tree: &Tree, schema: &TypeSchema, at: &str) -> Checked {
    let mut checker = Checker { schema, faults: Vec::new() };
    let json = checker.node(tree, &schema.root, &Spot { key: at.to_owned(), depth: 0, field: None });
    Checked { json, faults: checker.faults }
}

/// Where the checker is: the key as people know it, how deep, and whose unit and bounds hold there.
struct Spot<'a> {
    key: String,
    depth: usize,
    field: Option<&'a Field>,
}

impl<'a> Spot<'a> {
    fn child(&self, name: &str, field: Option<&'a Field>) -> Self {
        let key = if self.key.is_empty() { name.to_owned() } else { format!("{}.{name}", self.key) };
        Self { key, depth: self.depth + 1, field }
    }

    fn deeper(&self) -> Self {
        Self { key: self.key.clone(), depth: self.depth + 1, field: self.field }
    }

    /// The table at this spot, in words.
    fn table(&self) -> String {
        if self.key.is_empty() { "the file".to_owned() } else { format!("`{}`", self.key) }
    }
}

struct Checker<'a> {
    schema: &'a TypeSchema,
    faults: Vec<Fault>,
}

impl<'a> Checker<'a> {
    fn refuse(&mut self, tree: &Tree, fault: Fault) -> Option<Value> {
        self.faults.push(fault.at(tree.site(), format!("{} here", tree.kind())));
        None
    }

    fn wrong_type(&mut self, tree: &Tree, node: &Node, spot: &Spot<'_>) -> Option<Value> {
        let expected = words::expectation(node, self.schema);
        let message = format!("{} must be {expected}, not {}", spot.table(), tree.kind());
        let mut fault = Fault::new(Code::WrongType, message);
        fault.hint = words::type_hint(tree, node);
        self.refuse(tree, fault)
    }

    fn node(&mut self, tree: &Tree, node: &Node, spot: &Spot<'a>) -> Option<Value> {
        if spot.depth > MAX_DEPTH {
            let message = format!("{} nests deeper than {MAX_DEPTH}", spot.table());
            return self.refuse(tree, Fault::new(Code::TooDeep, message));
        }
        match (node, &tree.content) {
            (_, Content::Invalid) => None,
            (Node::Any, _) => tree.to_json(),
            (Node::Option(inner), _) => self.node(tree, inner, &spot.deeper()),
            (Node::Named(path), _) => self.shape(tree, &self.schema.definitions.get(path)?.shape, spot),
            (Node::Unit, _) => self.nothing(tree, node, spot),
            (Node::Bool, Content::Bool(value)) => Some(Value::Bool(*value)),
            (Node::F32 | Node::F64, _) => self.float(tree, node, spot),
            (Node::List(inner), Content::List(items)) => self.list(items, inner, spot),
            (Node::Tuple(parts), Content::List(_)) => self.tuple(tree, parts, spot),
            (Node::Map(key, value), Content::Table(_)) => self.map(tree, key, value, spot),
            (Node::Text | Node::Char | Node::Path, _) => self.text(tree, node, spot),
            (whole, Content::Integer(value)) if words::range(whole).is_some() => {
                self.integer(tree, node, *value, spot)
            }
            _ => self.wrong_type(tree, node, spot),
        }
    }

    fn text(&mut self, tree: &Tree, node: &Node, spot: &Spot<'_>) -> Option<Value> {
        match tree.text() {
            Some(text) if *node == Node::Path => {
                Some(Value::String(tree.place.resolve(text).to_string_lossy().into_owned()))
            }
            Some(text) if *node == Node::Text || text.chars().count() == 1 => {
                Some(Value::String(text.into()))
            }
            _ => self.wrong_type(tree, node, spot),
        }
    }

    fn integer(&mut self, tree: &Tree, node: &Node, value: i128, spot: &Spot<'_>) -> Option<Value> {
        let (least, most) = words::range(node).expect("the caller asked whether it has one");
        if value < least || value > most {
            let message = format!("{} is {value}, which a {} cannot hold", spot.table(), node.describe());
            let hint = format!("write a whole number from {least} to {most}");
            return self.refuse(tree, Fault::new(Code::OutOfRange, message).hint(hint));
        }
        self.within_bounds(tree, value as f64, &value.to_string(), spot)?;
        Number::from_i128(value).map(Value::Number)
    }

    fn float(&mut self, tree: &Tree, node: &Node, spot: &Spot<'_>) -> Option<Value> {
        let value = match tree.content {
            Content::Float(value) => value,
            Content::Integer(value) => value as f64,
            _ => return self.wrong_type(tree, node, spot),
        };
        if *node == Node::F32 && !(value as f32).is_finite() {
            let message = format!("{} is {value:e}, which an f32 cannot hold", spot.table());
            return self.refuse(tree, Fault::new(Code::OutOfRange, message).hint("write a smaller number"));
        }
        self.within_bounds(tree, value, &words::number(value), spot)?;
        Number::from_f64(value).map(Value::Number)
    }

    fn within_bounds(&mut self, tree: &Tree, value: f64, written: &str, spot: &Spot<'_>) -> Option<()> {
        let field = spot.field?;
        let (side, bound) = match (field.min, field.max) {
            (Some(min), _) if value < min => ("below its minimum", min),
            (_, Some(max)) if value > max => ("above its maximum", max),
            _ => return Some(()),
        };
        let (is, bound) = (words::with_unit(written, field), words::with_unit(&words::number(bound), field));
        let message = format!("{} is {is}, {side} of {bound}", spot.table());
        let hint = words::sentences([Some(words::allowed(field)), words::about(field)]);
        self.refuse(tree, Fault::new(Code::OutOfBounds, message).hint(hint));
        None
    }

    fn nothing(&mut self, tree: &Tree, node: &Node, spot: &Spot<'_>) -> Option<Value> {
        let Some(entries) = tree.entries() else { return self.wrong_type(tree, node, spot) };
        for (key, value) in entries {
            let message = format!("unknown key `{key}` in {}", spot.table());
            let fault = Fault::new(Code::UnknownKey, message).at(value.site(), format!("`{key}`"));
            self.faults.push(fault.hint("remove it: no keys are expected here"));
        }
        Some(Value::Null)
    }

    fn list(&mut self, items: &[Tree], inner: &Node, spot: &Spot<'a>) -> Option<Value> {
        let item = |(index, item): (usize, &Tree)| {
            let spot =
                Spot { key: format!("{}[{index}]", spot.key), depth: spot.depth + 1, field: spot.field };
            self.node(item, inner, &spot)
        };
        Some(Value::Array(items.iter().enumerate().filter_map(item).collect()))
    }

    fn tuple(&mut self, tree: &Tree, parts: &[Node], spot: &Spot<'a>) -> Option<Value> {
        if tree.items().len() != parts.len() {
            let (count, found) = (parts.len(), tree.items().len());
            let message = format!("{} must be a list of {count} values, not of {found}", spot.table());
            return self.refuse(tree, Fault::new(Code::WrongType, message));
        }
        let item = |(index, (item, part)): (usize, (&Tree, &Node))| {
            let spot =
                Spot { key: format!("{}[{index}]", spot.key), depth: spot.depth + 1, field: spot.field };
            self.node(item, part, &spot)
        };
        let values: Vec<_> = tree.items().iter().zip(parts).enumerate().map(item).collect();
        values.into_iter().collect::<Option<_>>().map(Value::Array)
    }

    fn map(&mut self, tree: &Tree, key: &Node, value: &Node, spot: &Spot<'a>) -> Option<Value> {
        let mut entries = Map::new();
        for (name, entry) in tree.entries()? {
            let spot = spot.child(name, spot.field);
            let fits = self.map_key(name, entry, key, &spot);
            if let (true, Some(value)) = (fits, self.node(entry, value, &spot)) {
                entries.insert(name.clone(), value);
            }
        }
        Some(Value::Object(entries))
    }

    fn map_key(&mut self, name: &str, entry: &Tree, node: &Node, spot: &Spot<'a>) -> bool {
        let known = match (words::range(node), self.schema.definition(node).map(|it| &it.shape)) {
            (Some((least, most)), _) => {
                name.parse().is_ok_and(|number: i128| (least..=most).contains(&number))
            }
            (None, Some(Shape::Enum(variants))) => variants.iter().any(|variant| variant.name == name),
            (None, Some(Shape::Newtype(inner))) if spot.depth < MAX_DEPTH => {
                return self.map_key(name, entry, inner, &spot.deeper());
            }
            _ => true,
        };
        if !known {
            let message = format!("the key `{name}` must be {}", words::expectation(node, self.schema));
            self.faults
                .push(Fault::new(Code::WrongType, message).at(entry.site(), format!("`{}`", spot.key)));
        }
        known
    }

    fn shape(&mut self, tree: &Tree, shape: &'a Shape, spot: &Spot<'a>) -> Option<Value> {
        match shape {
            Shape::Unit => self.nothing(tree, &Node::Unit, spot),
            Shape::Newtype(inner) => self.node(tree, inner, &spot.deeper()),
            Shape::Tuple(parts) => self.node(tree, &Node::Tuple(parts.clone()), spot),
            Shape::Struct(fields) => self.fields(tree, fields, spot),
            Shape::Enum(variants) => self.choice(tree, variants, spot),
        }
    }

    /// An enum: the name of a variant, or a table whose only key is one.
    fn choice(&mut self, tree: &Tree, variants: &'a [Variant], spot: &Spot<'a>) -> Option<Value> {
        let (name, content) = match (tree.text(), tree.entries()) {
            (Some(name), _) => (name, None),
            (None, Some(entries)) if entries.len() == 1 => {
                let (name, content) = entries.first_key_value().expect("it has one entry");
                (name.as_str(), Some(content))
            }
            _ => return self.refuse(tree, words::not_a_choice(&spot.table(), tree, variants)),
        };
        let Some(variant) = variants.iter().find(|variant| variant.name == name) else {
            let message = format!("{} cannot be `{name}`", spot.table());
            let mut fault = Fault::new(Code::UnknownVariant, message);
            fault.hint = suggestion(name, variants.iter().map(|variant| variant.name.as_str()));
            return self.refuse(tree, fault);
        };
        match (&variant.shape, content) {
            (Shape::Unit, None) => Some(Value::String(name.to_owned())),
            (shape, Some(content)) => {
                let value = self.shape(content, shape, &spot.child(name, spot.field))?;
                Some(Value::Object(Map::from_iter([(name.to_owned(), value)])))
            }
            (shape, None) => {
                let message = format!("`{name}` in {} needs {}", spot.table(), words::content(shape));
                let hint = format!("write it as a table: `{{ {name} = … }}`");
                self.refuse(tree, Fault::new(Code::WrongType, message).hint(hint))
            }
        }
    }

    fn fields(&mut self, tree: &Tree, fields: &'a [Field], spot: &Spot<'a>) -> Option<Value> {
        let Some(entries) = tree.entries() else {
            let message = format!("{} must be a table, not {}", spot.table(), tree.kind());
            return self.refuse(tree, Fault::new(Code::WrongType, message));
        };
        for (key, value) in entries {
            if !fields.iter().any(|field| field.name == *key) {
                self.unknown_key(key, value, fields, spot);
            }
        }
        let mut values = Map::new();
        let mut complete = true;
        for field in fields {
            let optional = field.optional || matches!(field.node, Node::Option(_));
            let value = match entries.get(&field.name) {
                Some(value) => self.node(value, &field.node, &spot.child(&field.name, Some(field))),
                None if optional => None,
                None => self.missing_key(tree, field, spot),
            };
            complete &= optional || value.is_some();
            values.extend(value.map(|value| (field.name.clone(), value)));
        }
        complete.then_some(Value::Object(values))
    }

    fn unknown_key(&mut self, key: &str, value: &Tree, fields: &[Field], spot: &Spot<'_>) {
        let near = nearest(key, fields.iter().map(|field| field.name.as_str()));
        let all = || fields.iter().map(|field| field.name.as_str()).collect();
        let hint = suggestion(key, near.map_or_else(all, |near| vec![near]));
        let message = format!("unknown key `{key}` in {}", spot.table());
        let mut fault = Fault::new(Code::UnknownKey, message).at(value.site(), format!("`{key}`"));
        fault.hint = hint.or_else(|| Some("remove it: no keys are expected here".to_owned()));
        self.faults.push(fault);
    }

    fn missing_key(&mut self, tree: &Tree, field: &Field, spot: &Spot<'_>) -> Option<Value> {
        let message = format!("{} lacks the key `{}`", spot.table(), field.name);
        let expected = words::expectation(&field.node, self.schema);
        let add = format!("add `{} = …`, {expected}", field.name);
        let hint = words::sentences([Some(add), words::about(field)]);
        let fault = Fault::new(Code::MissingKey, message).hint(hint);
        self.faults.push(fault.at(tree.site(), format!("{} begins here", spot.table())));
        None
    }
}

/// The choices of an enum, for messages.
pub(super) fn choices(variants: &[Variant]) -> String {
    quoted_list(variants.iter().map(|variant| &variant.name))
}

//! A config file as a tree in which every value knows where it stands.
//!
//! The tree is all that is left of the TOML: dates have become text, integers are wide enough for any
//! type, and what no type could hold (`nan`, `inf`) is a fault. The tree knows nothing of keys and types.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Number, Value};

use super::code::Code;
use super::fault::Fault;
use crate::wire::Site;

/// Where text came from: its name in reports, and the folder its relative paths start from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Origin {
    /// The file's path as it was given, or what else people know the text by.
    pub name: String,
    /// The folder that relative paths start from; absolute.
    pub folder: PathBuf,
}

/// A line of an [`Origin`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    origin: Arc<Origin>,
    line: u32,
}

impl Place {
    /// The origin as a whole, without a line.
    pub fn whole(origin: &Arc<Origin>) -> Self {
        Self { origin: origin.clone(), line: 0 }
    }

    /// The place as reports name it.
    pub fn site(&self) -> Site {
        Site::new(&self.origin.name, self.line)
    }

    /// The path that `text` means at this place: absolute, `.` left out.
    pub fn resolve(&self, text: &str) -> PathBuf {
        self.origin.folder.join(Path::new(text)).components().collect()
    }
}

/// A value and its place.
#[derive(Clone, PartialEq, Debug)]
pub struct Tree {
    /// Where it stands.
    pub place: Place,
    /// The value.
    pub content: Content,
    /// What was typed, when the value came from the command line: a text may look like a number there.
    pub typed: Option<String>,
}

/// A value of a config file.
#[derive(Clone, PartialEq, Debug)]
pub enum Content {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i128),
    /// A number, neither infinite nor "not a number".
    Float(f64),
    /// A text or a date.
    Text(String),
    /// Values in order.
    List(Vec<Tree>),
    /// Values by key.
    Table(BTreeMap<String, Tree>),
    /// A value that is a fault already reported.
    Invalid,
}

impl Tree {
    /// A value at a place.
    pub fn new(place: Place, content: Content) -> Self {
        Self { place, content, typed: None }
    }

    /// A table without keys.
    pub fn empty(place: Place) -> Self {
        Self::new(place, Content::Table(BTreeMap::new()))
    }

    /// The place as reports name it.
    pub fn site(&self) -> Site {
        self.place.site()
    }

    /// The value of a key, when this is a table that has it.
    pub fn get(&self, key: &str) -> Option<&Tree> {
        self.entries()?.get(key)
    }

    /// The keys and values, when this is a table.
    pub fn entries(&self) -> Option<&BTreeMap<String, Tree>> {
        match &self.content {
            Content::Table(entries) => Some(entries),
            _ => None,
        }
    }

    /// The values, when this is a list.
    pub fn items(&self) -> &[Tree] {
        match &self.content {
            Content::List(items) => items,
            _ => &[],
        }
    }

    /// The text, when this is one.
    pub fn text(&self) -> Option<&str> {
        match (&self.content, &self.typed) {
            (Content::Text(text), _) => Some(text),
            (Content::Bool(_) | Content::Integer(_) | Content::Float(_), Some(typed)) => Some(typed),
            _ => None,
        }
    }

    /// The place of the value that the keys lead to, or of the last one on the way that exists.
    pub fn site_of(&self, keys: &[&str]) -> Site {
        let mut here = self;
        for key in keys {
            match here.get(key) {
                Some(next) => here = next,
                None => break,
            }
        }
        here.site()
    }

    /// The value as JSON, whatever its shape; invalid parts are left out, paths are left as they are.
    pub fn to_json(&self) -> Option<Value> {
        Some(match &self.content {
            Content::Bool(value) => Value::Bool(*value),
            Content::Integer(value) => Value::Number(Number::from_i128(*value)?),
            Content::Float(value) => Value::Number(Number::from_f64(*value)?),
            Content::Text(value) => Value::String(value.clone()),
            Content::List(items) => Value::Array(items.iter().filter_map(Tree::to_json).collect()),
            Content::Table(entries) => {
                let entry = |(key, value): (&String, &Tree)| Some((key.clone(), value.to_json()?));
                Value::Object(Map::from_iter(entries.iter().filter_map(entry)))
            }
            Content::Invalid => return None,
        })
    }

    /// Puts a value where the dotted `key` leads, making tables on the way and replacing what is there.
    ///
    /// # Errors
    /// A [`Fault`] when the key has an empty part or leads through a value that is no table.
    pub fn set(&mut self, key: &str, value: Tree) -> Result<(), Fault> {
        let refused = |why: String| {
            Fault::new(Code::BadOverride, format!("cannot set `{key}`: {why}"))
                .at(value.site(), "given here")
                .hint("write `--set managers.camera.config.path=frames`: keys of tables, joined by dots")
        };
        let mut here = self;
        for part in key.split('.') {
            if part.is_empty() {
                return Err(refused("a part of the key is empty".to_owned()));
            }
            let before = here.site();
            let kind = here.kind();
            here = match &mut here.content {
                Content::Table(entries) => {
                    entries.entry(part.to_owned()).or_insert_with(|| Tree::empty(value.place.clone()))
                }
                Content::List(items) => match part.parse::<usize>().ok().and_then(|at| items.get_mut(at)) {
                    Some(item) => item,
                    None => return Err(refused(format!("the list at {before} has no item `{part}`"))),
                },
                _ => {
                    return Err(refused(format!(
                        "`{part}` would stand in {kind} ({before}), not in a table"
                    )));
                }
            };
        }
        *here = value;
        Ok(())
    }

    /// What the value is, in words.
    pub fn kind(&self) -> String {
        match &self.content {
            Content::Bool(value) => value.to_string(),
            Content::Integer(value) => format!("the number {value}"),
            Content::Float(value) => format!("the number {value:?}"),
            Content::Text(value) => format!("the text {:?}", shortened(value)),
            Content::List(_) => "a list".to_owned(),
            Content::Table(_) => "a table".to_owned(),
            Content::Invalid => "nothing".to_owned(),
        }
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

impl Place {
    /// A line of the origin.
    pub(super) fn line(origin: &Arc<Origin>, line: u32) -> Self {
        Self { origin: origin.clone(), line }
    }
}

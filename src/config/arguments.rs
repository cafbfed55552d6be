//! A command's fields as somebody gives them while the rig runs: as JSON, or word by word as `key=value`.
//!
//! Both become a tree, which the one checker holds against the command's schema: the same misfits get the same
//! words as in a config file.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::code::Code;
use super::fault::Fault;
use super::parse;
use super::topology::absolute;
use super::tree::{Content, Origin, Place, Tree};

/// By what name reports know the text.
const ORIGIN: &str = "(arguments)";

fn origin(folder: &Path) -> Arc<Origin> {
    Arc::new(Origin { name: ORIGIN.to_owned(), folder: absolute(folder) })
}

/// The fields as JSON says them; one that is `null` is not given. Relative paths start from `folder`.
pub fn from_json(value: &Value, folder: &Path, faults: &mut Vec<Fault>) -> Tree {
    tree_of(value, &Place::whole(&origin(folder)), faults)
}

/// The fields as `key=value` words say them: a value is TOML where it is that, JSON where it is that, else a text;
/// dots in a key lead into tables. Relative paths start from `folder`.
pub fn from_words(words: &[String], folder: &Path, faults: &mut Vec<Fault>) -> Tree {
    let origin = origin(folder);
    let mut tree = Tree::empty(Place::whole(&origin));
    for word in words {
        if let Err(fault) = set(&mut tree, word, &origin, faults) {
            faults.push(fault);
        }
    }
    tree
}

fn set(tree: &mut Tree, word: &str, origin: &Arc<Origin>, faults: &mut Vec<Fault>) -> Result<(), Fault> {
    let place = Place::whole(origin);
    let (key, typed) = word.split_once('=').ok_or_else(|| {
        let fault = Fault::new(Code::BadOverride, format!("`{word}` gives no field its value"));
        fault.at(place.site(), "given here").hint("write `key=value`, or all fields as one JSON object")
    })?;
    tree.set(key.trim(), value(typed, origin, faults)).map_err(|fault| fault.hint("write `key=value`"))
}

fn value(typed: &str, origin: &Arc<Origin>, faults: &mut Vec<Fault>) -> Tree {
    let tree = parse::value(typed, origin, faults);
    match (&tree.content, typed.trim_start().starts_with(['{', '['])) {
        (Content::Text(_), true) => match serde_json::from_str(typed) {
            Ok(json) => tree_of(&json, &tree.place, faults),
            Err(_) => tree,
        },
        _ => tree,
    }
}

/// The reader of JSON bounds how deep it nests.
fn tree_of(value: &Value, place: &Place, faults: &mut Vec<Fault>) -> Tree {
    let content = match value {
        Value::Null => {
            let fault = Fault::new(Code::WrongType, "`null` stands where a value is to be given");
            faults.push(fault.at(place.site(), "here").hint("leave the field out, or give its value"));
            Content::Invalid
        }
        Value::Bool(value) => Content::Bool(*value),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(whole), _) => Content::Integer(whole.into()),
            (None, Some(whole)) => Content::Integer(whole.into()),
            (None, None) => number.as_f64().map_or(Content::Invalid, Content::Float),
        },
        Value::String(text) => Content::Text(text.clone()),
        Value::Array(items) => Content::List(items.iter().map(|it| tree_of(it, place, faults)).collect()),
        Value::Object(entries) => {
            let given = entries.iter().filter(|(_, value)| !value.is_null());
            Content::Table(given.map(|(key, it)| (key.clone(), tree_of(it, place, faults))).collect())
        }
    };
    Tree::new(place.clone(), content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check_words(words: &[&str], expected: Value) {
        let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
        let mut faults = Vec::new();
        let tree = from_words(&words, Path::new("."), &mut faults);
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(tree.to_json(), Some(expected));
    }

    #[test]
    fn words_are_toml_or_json_or_text() {
        check_words(&["height_um=12", "note=all well"], json!({ "height_um": 12, "note": "all well" }));
        check_words(&["a=[1, 2]", "b={\"c\": true}"], json!({ "a": [1, 2], "b": { "c": true } }));
        check_words(&["a.b=1.5", "a.c=x=y"], json!({ "a": { "b": 1.5, "c": "x=y" } }));
        check_words(&[], json!({}));
    }

    #[test]
    fn a_word_without_a_value_is_a_fault_that_says_what_to_write() {
        let mut faults = Vec::new();
        from_words(&["12".to_owned(), "a..b=1".to_owned()], Path::new("."), &mut faults);
        let texts: Vec<_> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), 2);
        assert!(texts[0].contains("`12` gives no field its value") && texts[0].contains("key=value"));
        assert!(
            texts[1].contains("a part of the key is empty") && !texts[1].contains("--set"),
            "{}",
            texts[1]
        );
    }

    #[test]
    fn json_keeps_its_values_and_a_field_that_is_null_is_not_given() {
        let mut faults = Vec::new();
        let value = json!({ "a": -3, "b": u64::MAX, "c": 1.5, "d": null });
        let tree = from_json(&value, Path::new("."), &mut faults);
        assert_eq!(tree.to_json(), Some(json!({ "a": -3, "b": u64::MAX, "c": 1.5 })));
        assert!(faults.is_empty(), "{faults:?}");
        from_json(&json!({ "a": [1, null] }), Path::new("."), &mut faults);
        assert_eq!(faults.len(), 1);
    }
}

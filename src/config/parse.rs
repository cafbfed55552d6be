//! TOML text becomes a [`Tree`].
//!
//! All syntax errors are found at once. A text with any gives no tree: what could be read around an error
//! would only give faults that are none.

use std::collections::BTreeMap;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::code::Code;
use super::fault::Fault;
use super::tree::{Content, Origin, Place, Tree};
use crate::wire::codec::MAX_DEPTH;

/// Parts a dotted key may have. The parser nests a table for each, and its stack is not endless.
const MAX_KEY_PARTS: usize = 16;

/// Reads a whole file; `None` when it has syntax faults.
pub(crate) fn document(text: &str, origin: &Arc<Origin>, faults: &mut Vec<Fault>) -> Option<Tree> {
    let reader = Reader { text, origin, starts: line_starts(text) };
    if let Some(at) = endless_key(text) {
        faults.push(reader.syntax(&format!("a key has more than {MAX_KEY_PARTS} parts"), Some(at)));
        return None;
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Some(Tree::new(Place::whole(origin), reader.table(table.get_ref(), 0, faults)));
    }
    let mut errors: Vec<_> =
        errors.iter().map(|it| (it.span().map(|span| span.start), it.message())).collect();
    errors.sort_unstable();
    faults.extend(errors.into_iter().map(|(at, message)| reader.syntax(message, at)));
    if let Some(last) = faults.last_mut() {
        last.hint = Some("the rest of the file is checked once it reads as TOML".to_owned());
    }
    None
}

/// Reads a value from the command line: TOML where it is that, else the text itself.
pub(super) fn value(typed: &str, origin: &Arc<Origin>, faults: &mut Vec<Fault>) -> Tree {
    let reader = Reader { text: typed, origin, starts: Vec::new() };
    let parsed = if endless_key(typed).is_some() { None } else { DeValue::parse(typed).ok() };
    let content = match parsed {
        Some(parsed) => reader.content(parsed.get_ref(), Place::whole(origin), 0, faults),
        None => Content::Text(typed.to_owned()),
    };
    Tree { place: Place::whole(origin), content, typed: Some(typed.to_owned()) }
}

/// Turns what the parser found into the tree, span by span.
struct Reader<'a> {
    text: &'a str,
    origin: &'a Arc<Origin>,
    /// Where lines begin; empty for a value of the command line, which has no lines.
    starts: Vec<usize>,
}

impl Reader<'_> {
    fn place(&self, at: usize) -> Place {
        let line = self.starts.partition_point(|start| *start <= at.min(self.text.len()));
        Place::line(self.origin, u32::try_from(line).unwrap_or(u32::MAX))
    }

    fn syntax(&self, message: &str, at: Option<usize>) -> Fault {
        let place = at.map_or_else(|| Place::whole(self.origin), |at| self.place(at));
        Fault::new(Code::Syntax, format!("not TOML: {message}")).at(place.site(), "here")
    }

    fn table(&self, table: &DeTable<'_>, depth: usize, faults: &mut Vec<Fault>) -> Content {
        let mut entries = BTreeMap::new();
        for (key, value) in table {
            let place = self.place(key.span().start);
            let content = self.content(value.get_ref(), place.clone(), depth, faults);
            entries.insert(key.get_ref().to_string(), Tree::new(place, content));
        }
        Content::Table(entries)
    }

    fn list(&self, items: &[Spanned<DeValue<'_>>], depth: usize, faults: &mut Vec<Fault>) -> Content {
        let item = |item: &Spanned<DeValue<'_>>| {
            let place = self.place(item.span().start);
            Tree::new(place.clone(), self.content(item.get_ref(), place, depth, faults))
        };
        Content::List(items.iter().map(item).collect())
    }

    fn content(&self, value: &DeValue<'_>, place: Place, depth: usize, faults: &mut Vec<Fault>) -> Content {
        if depth > MAX_DEPTH {
            let fault = Fault::new(Code::TooDeep, format!("values nest deeper than {MAX_DEPTH}"));
            faults.push(fault.at(place.site(), "here"));
            return Content::Invalid;
        }
        match value {
            DeValue::String(text) => Content::Text(text.to_string()),
            DeValue::Datetime(date) => Content::Text(date.to_string()),
            DeValue::Boolean(value) => Content::Bool(*value),
            DeValue::Integer(number) => match whole(number) {
                Some(number) => Content::Integer(number),
                None => not_a_number(number.as_str(), &place, faults),
            },
            DeValue::Float(number) => match number.as_str().parse::<f64>() {
                Ok(number) if number.is_finite() => Content::Float(number),
                _ => not_a_number(number.as_str(), &place, faults),
            },
            DeValue::Array(items) => self.list(items, depth + 1, faults),
            DeValue::Table(table) => self.table(table, depth + 1, faults),
        }
    }
}

/// The number, when it is one that JSON can carry to its type.
fn whole(number: &DeInteger<'_>) -> Option<i128> {
    let number = i128::from_str_radix(number.as_str(), number.radix()).ok()?;
    (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&number).then_some(number)
}

fn not_a_number(text: &str, place: &Place, faults: &mut Vec<Fault>) -> Content {
    let fault = Fault::new(Code::NotANumber, format!("`{text}` is not a number that can be worked with"));
    faults
        .push(fault.at(place.site(), "here").hint("write a finite number; leave a key out to have no limit"));
    Content::Invalid
}

fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect()
}

/// Where a line begins that holds a key of more parts than any sane one.
fn endless_key(text: &str) -> Option<usize> {
    let lines = line_starts(text).into_iter().zip(text.split('\n'));
    lines.filter(|(_, line)| has_endless_key(line)).map(|(start, _)| start).next()
}

/// What the byte before was, when looking for keys.
#[derive(PartialEq)]
enum Before {
    /// Nothing that a key could go on from.
    Other,
    /// A part of a key.
    Part,
    /// Space after a part of a key.
    Gap,
    /// The dot between two parts.
    Dot,
}

/// Counts parts joined by dots; a quoted text is one part, whatever is in it.
fn has_endless_key(line: &str) -> bool {
    let (mut dots, mut before) = (0, Before::Other);
    let mut bytes = line.bytes();
    while let Some(byte) = bytes.next() {
        let goes_on = before != Before::Gap;
        (dots, before) = match byte {
            b'#' => return false,
            b' ' | b'\t' if before == Before::Part => (dots, Before::Gap),
            b' ' | b'\t' => continue,
            b'.' if matches!(before, Before::Part | Before::Gap) => (dots + 1, Before::Dot),
            b'"' | b'\'' => {
                skip_quoted(&mut bytes, byte);
                (if goes_on { dots } else { 0 }, Before::Part)
            }
            b'_' | b'-' | 0x80.. => (if goes_on { dots } else { 0 }, Before::Part),
            _ if byte.is_ascii_alphanumeric() => (if goes_on { dots } else { 0 }, Before::Part),
            _ => (0, Before::Other),
        };
        if dots >= MAX_KEY_PARTS {
            return true;
        }
    }
    false
}

fn skip_quoted(bytes: &mut std::str::Bytes<'_>, quote: u8) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' if quote == b'"' => drop(bytes.next()),
            _ if byte == quote => return,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, u32)]) -> Option<Tree> {
        let origin = Arc::new(Origin { name: "rig.toml".into(), folder: "/rig".into() });
        let mut faults = Vec::new();
        let tree = document(text, &origin, &mut faults);
        let found: Vec<_> = faults.iter().map(|it| (it.code.text(), it.parties[0].site.line)).collect();
        assert_eq!(found, expected, "{faults:#?}");
        tree
    }

    #[test]
    fn every_value_knows_its_line() {
        let tree =
            check("[rig]\nname = 'a'\n\n[managers.camera.queue]\ndepth = 0x10\n", &[]).expect("a tree");
        let line = |keys: &[&str]| tree.site_of(keys).line;
        assert_eq!(line(&["rig"]), 1);
        assert_eq!(line(&["rig", "name"]), 2);
        assert_eq!(line(&["managers", "camera", "queue", "depth"]), 5);
        assert_eq!(line(&["managers", "nobody"]), 4);
    }

    #[test]
    fn dates_are_text_and_lists_of_tables_know_their_lines() {
        let tree = check("day = 2026-11-21\n[[step]]\na = 1\n[[step]]\n", &[]).expect("a tree");
        assert_eq!(tree.get("day").and_then(Tree::text), Some("2026-11-21"));
        let lines: Vec<_> =
            tree.get("step").expect("a list").items().iter().map(|it| it.site().line).collect();
        assert_eq!(lines, [2, 4]);
    }

    #[test]
    fn all_syntax_errors_are_found_at_once() {
        check("a = \nb = 1\nb = 2\n[c\n", &[("L001", 1), ("L001", 3), ("L001", 4)]);
    }

    #[test]
    fn numbers_that_are_none_are_refused() {
        check(
            "a = nan\nb = [1.0, -inf]\nc = 1e999\nd = 99999999999999999999\n",
            &[("L002", 1), ("L002", 2), ("L002", 3), ("L002", 4)],
        );
    }

    #[test]
    fn endless_keys_and_deep_lists_are_refused_without_harm() {
        check(&format!("a = 1\n{}a = 1", "a.".repeat(500_000)), &[("L001", 2)]);
        check(&format!("\"a \\\" b\" . {}a = 1", "'x y' . ".repeat(500_000)), &[("L001", 1)]);
        check(&format!("# {}\na = '{}'", "a.".repeat(99), "a.".repeat(99)), &[]);
        check(&format!("a = \"\"\"\n{}\n{}\"\"\"", "...".repeat(99), "10.0.0.1 ".repeat(99)), &[]);
        check(&format!("a = {}{}", "[".repeat(70), "]".repeat(70)), &[("L011", 1)]);
        let key = "a.".repeat(15);
        check(
            &format!("{}1{}", format!("{key}a = {{ ").repeat(80).trim_end_matches("{ "), " }".repeat(79)),
            &[("L011", 1)],
        );
    }

    #[test]
    fn a_value_of_the_command_line_is_toml_or_text() {
        let origin = Arc::new(Origin { name: "--set a".into(), folder: "/here".into() });
        let read = |typed: &str| value(typed, &origin, &mut Vec::new()).content;
        assert_eq!(read("true"), Content::Bool(true));
        assert_eq!(read("2.5"), Content::Float(2.5));
        assert_eq!(read("../data/x"), Content::Text("../data/x".into()));
        assert_eq!(read("2026-11-21"), Content::Text("2026-11-21".into()));
        assert!(matches!(read("[1, 2]"), Content::List(items) if items.len() == 2));
    }
}

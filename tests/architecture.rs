//! The house stands: floors, headers, sizes, and what is said nowhere.
//!
//! A module imports from floors below its own, never from a neighbour, so that a change is felt upwards
//! only. Every violation is told, with file and line, all at once.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// What each module of the crate stands on.
const FLOORS: &[(&str, u8)] = &[
    ("wire", 0),
    ("units", 0),
    ("shm", 1),
    ("config", 1),
    ("transport", 2),
    ("remote", 2),
    ("payload", 2),
    ("registry", 3),
    // What users import: as high as the highest of its parts.
    ("prelude", 3),
    ("manager", 4),
    ("procedure", 4),
    ("supervisor", 4),
    ("guardian", 4),
    ("managers", 5),
    ("coordinator", 5),
    ("cli", 6),
    // The library's half of `main`: chooses a role.
    ("app", 7),
];

/// The doors to the macros, which stand on no floor, and the files that hold the house together.
const MACROS: &[&str] = &["macros", "Command", "Schema"];
const EXEMPT: &[&str] = &["lib", "main", "macros"];

/// Longest files, in lines.
const MOST_LINES: usize = 500;
const MOST_LINES_OF_TESTS: usize = 600;

const NAMES_THAT_SAY_NOTHING: &[&str] = &["utils", "util", "common", "helpers", "helper", "misc"];

struct Source {
    /// From the project's folder.
    path: PathBuf,
    text: String,
    /// The text without comments and without what stands in quotes; lines stay where they are.
    bare: String,
}

impl Source {
    fn is_test(&self) -> bool {
        let parts = self.path.components().map(|part| part.as_os_str().to_string_lossy());
        let is_test = |part: &str| part == "tests" || part == "tests.rs" || part.ends_with("_tests.rs");
        parts.into_iter().any(|part| is_test(&part))
    }

    /// Each line of bare code, with its number.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.bare.lines().enumerate().map(|(at, line)| (at + 1, line))
    }

    fn at(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path.display())
    }

    fn line_of(&self, offset: usize) -> usize {
        1 + self.bare[..offset].matches('\n').count()
    }
}

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every source file below these folders, except those that show mistakes.
fn sources(folders: &[&str]) -> Vec<Source> {
    let mut paths = Vec::new();
    folders.iter().for_each(|folder| collect(&project().join(folder), &mut paths));
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a source file can be read");
        let bare = bare(&text);
        let path = path.strip_prefix(project()).expect("it lies in the project").to_owned();
        Source { path, text, bare }
    };
    paths.into_iter().map(read).collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    // A folder that is not there yet holds nothing.
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("a folder can be read").path();
        let is_left_out = path.ends_with("tests/ui") || path.ends_with("target");
        if path.is_dir() && !is_left_out {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

/// Code alone: comments and the insides of quotes become spaces.
fn bare(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut left = text;
    while let Some(first) = left.chars().next() {
        let (length, is_code) = match first {
            '/' if left.starts_with("//") => (left.find('\n').unwrap_or(left.len()), false),
            '/' if left.starts_with("/*") => (left.find("*/").map_or(left.len(), |end| end + 2), false),
            '"' => (quoted(left), false),
            'r' | 'b' if is_raw(left) && !code.ends_with(is_of_name) => (raw(left), false),
            '\'' => (character(left), false),
            other => (other.len_utf8(), true),
        };
        let (piece, rest) = left.split_at(length);
        match is_code {
            true => code.push_str(piece),
            false => code.extend(piece.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' })),
        }
        left = rest;
    }
    code
}

fn is_of_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The length of the text in quotes at the front.
fn quoted(text: &str) -> usize {
    let mut escaped = false;
    let end = text.bytes().skip(1).position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |end| end + 2)
}

fn is_raw(text: &str) -> bool {
    let behind = text.strip_prefix('b').unwrap_or(text).strip_prefix('r');
    behind.is_some_and(|behind| behind.trim_start_matches('#').starts_with('"'))
}

/// The length of the raw text in quotes at the front.
fn raw(text: &str) -> usize {
    let begin = text.find('"').unwrap_or(0) + 1;
    let hashes = text[..begin].matches('#').count();
    let end = format!("\"{}", "#".repeat(hashes));
    text[begin..].find(&end).map_or(text.len(), |at| begin + at + end.len())
}

/// The length of the character in quotes at the front; a lifetime's apostrophe stands alone.
fn character(text: &str) -> usize {
    let mut inside = text[1..].char_indices();
    match (inside.next(), inside.next()) {
        (Some((_, '\\')), _) => {
            text[2..].char_indices().skip(1).find(|(_, it)| *it == '\'').map_or(1, |(at, _)| at + 3)
        }
        (Some(_), Some((at, '\''))) => at + 2,
        _ => 1,
    }
}

// --- floors ---

fn module_of(path: &Path) -> String {
    let inside = path.strip_prefix("src").expect("it lies in src");
    let first = inside.components().next().expect("a file has a name").as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

fn floor_of(module: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == module).map(|(_, floor)| *floor)
}

/// The names that stand directly below the crate's root in a file, with where they stand.
fn names_below_root(source: &Source) -> Vec<(usize, String)> {
    let mut names = Vec::new();
    let depth = source.path.components().count() - 1;
    for root in ["crate::".to_owned(), "labrig::".to_owned(), "super::".repeat(depth)] {
        for (at, _) in source.bare.match_indices(&root) {
            let before = &source.bare[..at];
            let begins = |before: &str| !before.ends_with(|it: char| is_of_name(it) || it == ':');
            if begins(before) || (root == "labrig::" && before.strip_suffix("::").is_some_and(begins)) {
                names_at(&source.bare, at + root.len(), &mut names);
            }
        }
    }
    names
}

/// The name at this place, or every first name of the group that begins here.
fn names_at(text: &str, at: usize, names: &mut Vec<(usize, String)>) {
    let behind = &text[at..];
    if !behind.starts_with('{') {
        let name: String = behind.chars().take_while(|it| is_of_name(*it)).collect();
        return names.push((at, name));
    }
    let (mut depth, mut begins) = (0, true);
    for (offset, character) in behind.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 1 => return,
            '}' => depth -= 1,
            ',' => {}
            _ if begins && depth == 1 && is_of_name(character) => names_at(text, at + offset, names),
            _ => {}
        }
        begins = matches!(character, '{' | ',') || (begins && character.is_whitespace());
    }
}

fn floor_violations(source: &Source) -> Vec<String> {
    let module = module_of(&source.path);
    if EXEMPT.contains(&module.as_str()) {
        return Vec::new();
    }
    let Some(own) = floor_of(&module) else {
        return vec![source.at(1, &format!("`{module}` stands on no floor; give it one here"))];
    };
    let judge = |(offset, name): (usize, String)| {
        if name == module || MACROS.contains(&name.as_str()) {
            return None;
        }
        let line = source.line_of(offset);
        match floor_of(&name) {
            Some(floor) if floor < own => None,
            Some(floor) => Some(
                source.at(line, &format!("`{module}` (floor {own}) imports from `{name}` (floor {floor})")),
            ),
            // Within a file far down, `super` may stop short of the root.
            None if source.bare[..offset].ends_with("super::") => None,
            None => Some(source.at(line, &format!("`{name}` is no module; name the module it comes from"))),
        }
    };
    names_below_root(source).into_iter().filter_map(judge).collect()
}

// --- all else ---

fn header_violation(source: &Source) -> Option<String> {
    let is_header =
        source.text.lines().next().is_some_and(|line| line.starts_with("//! ") && line.len() > 12);
    (!is_header).then(|| source.at(1, "a file opens with a `//!` header that says what it owns"))
}

fn size_violation(source: &Source) -> Option<String> {
    let (lines, most) =
        (source.text.lines().count(), if source.is_test() { MOST_LINES_OF_TESTS } else { MOST_LINES });
    (lines > most)
        .then(|| source.at(lines, &format!("{lines} lines, at most {most}: split it by responsibility")))
}

fn name_violation(source: &Source) -> Option<String> {
    let says_nothing = |part: &str| NAMES_THAT_SAY_NOTHING.contains(&part.trim_end_matches(".rs"));
    let mut parts = source.path.components().map(|part| part.as_os_str().to_string_lossy());
    let found = parts.find(|part| says_nothing(part))?;
    Some(source.at(1, &format!("`{found}` says nothing of what is in it")))
}

/// Where a word stands in the code, alone or as what it begins with.
fn lines_with(source: &Source, word: &str) -> Vec<usize> {
    let stands_alone = |line: &str| {
        line.match_indices(word).any(|(at, _)| {
            !line[..at].ends_with(is_of_name) && !line[at + word.len()..].starts_with(is_of_name)
        })
    };
    source.lines().filter(|(_, line)| stands_alone(line)).map(|(number, _)| number).collect()
}

fn word_violations(source: &Source) -> Vec<String> {
    let words = ["todo!", "unimplemented!", "dbg!", "#[allow", "#![allow"];
    let one = |word: &str| {
        let what = format!("`{word}` is said nowhere; `#[expect(…, reason = …)]` says why");
        lines_with(source, word).into_iter().map(move |line| source.at(line, &what)).collect::<Vec<_>>()
    };
    words.into_iter().flat_map(one).collect()
}

/// `unsafe` lives in `shm`, and once in `transport`.
fn unsafe_violations(sources: &[Source]) -> Vec<String> {
    let found = |source: &Source| {
        lines_with(source, "unsafe").into_iter().map(|line| source.at(line, "`unsafe`")).collect::<Vec<_>>()
    };
    let below = |folder: &'static str| move |source: &&Source| source.path.starts_with(folder);
    let mut violations: Vec<_> = sources
        .iter()
        .filter(|source| !below("src/shm")(source) && !below("src/transport")(source))
        .flat_map(found)
        .collect();
    let in_transport: Vec<_> = sources.iter().filter(below("src/transport")).flat_map(found).collect();
    violations.extend(in_transport.into_iter().skip(1));
    violations
}

fn check_house(violations: impl IntoIterator<Item = String>) {
    let told = violations.into_iter().fold(String::new(), |mut told, violation| {
        writeln!(told, "{violation}").expect("text can be written");
        told
    });
    assert!(told.is_empty(), "\n{told}");
}

#[test]
fn modules_import_only_from_floors_below() {
    check_house(sources(&["src"]).iter().flat_map(floor_violations));
}

#[test]
fn every_file_opens_with_a_header() {
    let all = sources(&["src", "manager-macros/src", "tests", "examples", "benches"]);
    check_house(all.iter().filter_map(header_violation));
}

#[test]
fn no_file_is_a_god() {
    let all = sources(&["src", "manager-macros", "tests", "examples", "benches"]);
    check_house(all.iter().filter_map(size_violation));
}

#[test]
fn every_file_s_name_says_something() {
    let all = sources(&["src", "manager-macros", "tests", "examples", "benches"]);
    check_house(all.iter().filter_map(name_violation));
}

#[test]
fn nothing_is_left_to_do_and_no_lint_is_silenced() {
    check_house(sources(&["src"]).iter().flat_map(word_violations));
}

#[test]
fn unsafe_lives_in_shared_memory_and_once_in_transport() {
    check_house(unsafe_violations(&sources(&["src", "manager-macros/src"])));
}

// --- the checks themselves ---

/// A source with one line of code at `path` is blamed for exactly these names.
fn check_blamed(path: &str, code: &str, blamed: &[&str]) {
    let text = format!("//! A file.\n{code}\n");
    let source = Source { path: path.into(), bare: bare(&text), text };
    let violations = floor_violations(&source);
    assert_eq!(violations.len(), blamed.len(), "{code}: {violations:?}");
    for (violation, name) in violations.iter().zip(blamed) {
        let begins_well = violation.starts_with(&format!("{path}:2: "));
        assert!(begins_well && violation.contains(&format!("`{name}`")), "{violation}");
    }
}

#[test]
fn imports_are_found_in_every_form() {
    check_blamed("src/remote/slot.rs", "use crate::wire::Ending;", &[]);
    check_blamed("src/remote/slot.rs", "use crate::registry::Context;", &["registry"]);
    check_blamed(
        "src/remote.rs",
        "use crate::{wire, cli, manager::{run, crate_}, config as c};",
        &["cli", "manager"],
    );
    check_blamed("src/remote/slot.rs", "fn f() -> crate::app::App { crate::shm::now() }", &["app"]);
    check_blamed("src/config/raw.rs", "use crate::transport::Child;", &["transport"]);
    check_blamed(
        "src/config/raw.rs",
        "#[derive(labrig::Schema)] struct A(::labrig::remote::Scope);",
        &["remote"],
    );
    check_blamed("src/config/raw.rs", "use super::super::manager::run;", &["manager"]);
    check_blamed("src/wire/ids.rs", "use crate::Scope;", &["Scope"]);
    check_blamed(
        "src/wire/ids.rs",
        "/* crate::cli */ let a = \"crate::cli \\\" crate::cli\"; // crate::cli",
        &[],
    );
    check_blamed("src/wire/ids.rs", "let (a, b) = ('\"', crate::cli::x::<'a>('\\''));", &["cli"]);
    check_blamed("src/wire/ids.rs", "let a = r#\"crate::cli \" \"#; let b = my_crate::cli();", &[]);
}

#[test]
fn a_module_without_a_floor_is_blamed() {
    let source = Source { path: "src/news.rs".into(), text: String::new(), bare: String::new() };
    assert_eq!(floor_violations(&source), ["src/news.rs:1: `news` stands on no floor; give it one here"]);
}

//! What the documents say of the code is so: pasted code, the map of the files, links.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const DOCUMENTS: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "config/README.md",
    "docs/PROTOCOL.md",
    "examples/my_rig/README.md",
    "examples/two_programs/README.md",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

/// The blocks of a document that are said to stand in a file: `<!-- file -->`, and a fenced block below it.
fn pasted(document: &str) -> Vec<(String, String)> {
    let mut lines = document.lines();
    let mut pasted = Vec::new();
    while let Some(line) = lines.next() {
        let Some(file) = line.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->")) else {
            continue;
        };
        let fence = lines.next().unwrap_or_default();
        assert!(fence.starts_with("```"), "no block below `{line}`");
        let block: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
        pasted.push((file.to_owned(), block.join("\n")));
    }
    pasted
}

/// A line with `…` alone stands for anything left out.
fn check_pasted(document: &str, file: &str, block: &str) {
    let source = read(file);
    let mut rest: &str = &source;
    for piece in block.split("\n…\n") {
        let at =
            rest.find(piece).unwrap_or_else(|| panic!("{document} shows what {file} does not say:\n{piece}"));
        rest = &rest[at + piece.len()..];
    }
}

#[test]
fn code_in_the_documents_stands_in_the_files_it_is_said_to_be_from() {
    let mut found = 0;
    for document in DOCUMENTS {
        for (file, block) in pasted(&read(document)) {
            check_pasted(document, &file, &block);
            found += 1;
        }
    }
    assert!(found >= 8, "only {found} blocks name their file");
}

/// Every source file below a folder, but for files of tests alone.
fn sources(folder: &Path, into: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("its entry can be read").path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let is_test = name == "tests" || name.ends_with("_tests") || name == "sample_images";
        if is_test {
            continue;
        }
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.insert(relative(&path));
        }
    }
}

/// The path as the map writes it: from the root, but without `src/` where that comes first.
fn relative(path: &Path) -> String {
    let path = path.strip_prefix(root()).expect("it lies below the root");
    path.strip_prefix("src").unwrap_or(path).display().to_string()
}

#[test]
fn the_map_in_architecture_md_names_every_source_file() {
    let mut expected = BTreeSet::new();
    sources(&root().join("src"), &mut expected);
    sources(&root().join("manager-macros/src"), &mut expected);
    for package in ["contest", "harness", "limits", "peers"] {
        sources(&root().join("benches").join(package).join("src"), &mut expected);
    }
    let document = read("ARCHITECTURE.md");
    let map = document.split("## Code map").nth(1).expect("there is a map");
    let map = map.split("\n## ").next().unwrap_or_default();
    let entries = map.lines().filter_map(|line| line.split_whitespace().next());
    let named: BTreeSet<_> = entries.filter(|entry| entry.ends_with(".rs")).map(str::to_owned).collect();
    let missing: Vec<_> = expected.difference(&named).collect();
    let gone: Vec<_> = named.difference(&expected).collect();
    assert!(missing.is_empty() && gone.is_empty(), "not in the map: {missing:?}; no longer there: {gone:?}");
}

/// A heading's name in links.
fn anchor(heading: &str) -> String {
    let plain = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    plain.collect::<String>().to_lowercase().replace(' ', "-")
}

fn check_link(document: &str, link: &str) {
    let (file, heading) = link.split_once('#').unwrap_or((link, ""));
    let path = match file {
        "" => PathBuf::from(document),
        file => Path::new(document).parent().unwrap_or(Path::new("")).join(file),
    };
    assert!(root().join(&path).exists(), "{document} links to `{link}`, which is not there");
    if !heading.is_empty() {
        let text = read(&path);
        let headings = text.lines().filter(|line| line.starts_with('#'));
        let mut headings = headings.map(|line| line.trim_start_matches('#').trim());
        assert!(headings.any(|it| anchor(it) == heading), "{document}: no heading for `{link}`");
    }
}

#[test]
fn links_lead_to_files_and_headings_that_exist() {
    for document in DOCUMENTS {
        let text = read(document).replace("](\n", "](");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if !link.contains("://") {
                check_link(document, link);
            }
        }
    }
}

//! README and this room name the same tests.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

const TITLE: &str = "## What a confirm means";

/// The section, without its title.
fn section() -> String {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
    let section = readme.split(TITLE).nth(1).expect("the section");
    section.split("\n## ").next().unwrap().to_owned()
}

/// What is within backquotes.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// A cell of the table ends with its name.
fn last_code(cell: &str) -> Option<&str> {
    code(cell).last()
}

/// The tests that the section names: those of the table by column and row, the others by themselves.
fn named(section: &str) -> BTreeSet<String> {
    let (table, prose): (Vec<&str>, Vec<&str>) = section.lines().partition(|line| line.starts_with('|'));
    let columns: Vec<&str> = table[0].split('|').filter_map(last_code).collect();
    let rows = table[2..].iter().filter_map(|row| row.split('|').find_map(last_code));
    let cells = rows.flat_map(|row| columns.iter().map(move |column| format!("{column}::{row}")));
    let prose = prose.join(" ");
    let sentences = code(&prose).filter(|code| code.contains("::")).map(ToOwned::to_owned);
    cells.chain(sentences).collect()
}

/// All tests of this room, as the test runner calls them.
fn tests() -> BTreeSet<String> {
    let listed = Command::new(std::env::current_exe().unwrap()).args(["--list", "--format", "terse"]).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let tests = listed.lines().filter_map(|line| line.strip_prefix("contract::")?.strip_suffix(": test"));
    tests.map(ToOwned::to_owned).collect()
}

#[test]
fn names_these_tests() {
    let (named, tests) = (named(&section()), tests());
    let missing: Vec<_> = named.difference(&tests).collect();
    assert!(missing.is_empty(), "README names tests that are not there: {missing:?}");
    let unnamed: Vec<_> = tests.difference(&named).collect();
    assert!(unnamed.is_empty(), "README does not name {unnamed:?}");
    assert!(!tests.is_empty());
}

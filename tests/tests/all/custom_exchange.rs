//! README shows the example as it is.

use std::path::Path;

const SECTION: &str = "## Write an exchange type in one screen";

fn file(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap()
}

/// The code of the section, block by block.
fn shown() -> Vec<String> {
    let readme = file("README.md");
    let section = readme.split(SECTION).nth(1).expect("the section").split("\n## ").next().unwrap();
    let blocks = section.split("```rust\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn readme_shows_it_as_it_is() {
    let (kind, main) =
        (file("examples/custom_exchange/src/longest_prefix.rs"), file("examples/custom_exchange/src/main.rs"));
    let (kind, tests) = kind.split_once("\n#[cfg(test)]\n").unwrap();
    let test = tests.split("    #[test]\n").nth(1).unwrap();
    let test: String = test.lines().map(|line| format!("{}\n", line.strip_prefix("    ").unwrap_or(line))).collect();
    assert_eq!(shown(), [kind.to_owned(), main, format!("#[test]\n{}\n", test.trim_end())]);
}

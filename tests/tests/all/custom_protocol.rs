//! README shows the heart of the example as it is.

use std::path::Path;

fn file(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap()
}

#[test]
fn readme_shows_the_front_end_as_it_is() {
    let readme = file("README.md");
    let section = readme.split("\n### A protocol\n").nth(1).expect("the section").split("\n## ").next().unwrap();
    let shown = section.split("```rust\n").nth(1).expect("the code").split("```").next().unwrap();
    assert!(shown.starts_with("impl Protocol for FrontEnd {\n"), "{shown}");
    assert!(file("examples/custom_protocol/src/lines.rs").contains(&format!("\n{shown}")), "{shown}");
}

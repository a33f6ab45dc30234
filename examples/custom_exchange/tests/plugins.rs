//! The program is a whole Leveret that has the type.

use std::process::Command;

#[test]
fn the_type_is_there_beside_those_of_leveret() {
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_custom-exchange")).args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let all = run(&["plugins", "list"]);
    for name in ["longest-prefix", "consistent-hash-exchange", "management"] {
        assert!(all.lines().any(|line| line.starts_with(name) && line.contains(" enabled ")), "{name} in {all}");
    }
    assert!(run(&["plugins", "info", "longest-prefix"]).contains("exchange type x-longest-prefix\n"));
}

//! docs/AUDITING.md shows commands of this program: each is there, and knows the options that the page gives it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods, reason = "a test")]

use std::{path::Path, process::Command};

#[test]
fn the_commands_of_the_page_are_there_with_their_options() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/AUDITING.md")).unwrap();
    let mut commands = Vec::new();
    // Lines of blocks, and words within the text.
    for rest in page.split("measured-boot ").skip(1) {
        let line = rest.split(['\n', '`']).next().unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        let plain = |word: &&&str| !word.starts_with('-') && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
        let names = words.iter().take_while(plain);
        let names: Vec<&str> = names.copied().collect();
        if names.is_empty() {
            continue;
        }
        let output = Command::new(env!("CARGO_BIN_EXE_measured-boot")).args(&names).arg("--help").output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "measured-boot {names:?} is not there");
        for option in words.iter().filter(|word| word.starts_with("--")) {
            assert!(help.contains(option), "measured-boot {names:?} does not know {option}:\n{help}");
        }
        commands.push(names.join(" "));
    }
    for wanted in ["launch-digest", "pcrs", "explain", "replay", "diff", "release show"] {
        assert!(commands.iter().any(|command| command == wanted), "{wanted} is not in the page: {commands:?}");
    }
}

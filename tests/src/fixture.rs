//! The server of our own, `tests/fixture-server`: over stdio, and in a gateway's catalogue.

use std::process::Command;

use crate::{Stdio, repository};

/// A section `[[server]]` for the fixture under this name, started with these words: a mode and more.
pub fn fixture(name: &str, words: &[&str]) -> String {
    let folder = repository().join("tests/fixture-server");
    format!(
        "\n[[server]]\nname = {name:?}\ndescription = \"Every feature of both eras\"\npath = {folder:?}\nargs = {words:?}\n"
    )
}

/// The fixture over stdio.
pub fn fixture_over_stdio(words: &[&str]) -> Stdio {
    Stdio::start(Command::new("node").arg(repository().join("tests/fixture-server/fixture.mjs")).args(words))
}

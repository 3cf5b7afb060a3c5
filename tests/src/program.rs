//! The programs under test, as `cargo build` left them.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// The repository's top folder.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository").to_owned()
}

/// A program of this workspace; that of the folder `SEALGATE_PROGRAMS` if there is one of that name in it.
///
/// # Panics
/// It was not built.
pub fn program(name: &str) -> PathBuf {
    if let Some(given) = std::env::var_os("SEALGATE_PROGRAMS").map(|folder| Path::new(&folder).join(name))
        && given.is_file()
    {
        return given;
    }
    let test = std::env::current_exe().expect("a running program has a path");
    let built = test.ancestors().nth(2).expect("tests run in target/PROFILE/deps").join(name);
    assert!(built.is_file(), "{} is missing; fix: cargo build --workspace --bins, or scripts/test", built.display());
    built
}

/// Runs a program of this workspace to its end.
pub fn run(name: &str, arguments: &[&str]) -> Output {
    run_with_env(name, arguments, &[])
}

/// Runs a program of this workspace to its end, with more in its environment.
pub fn run_with_env(name: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let path = program(name);
    let output = Command::new(&path).args(arguments).envs(environment.iter().copied()).output();
    output.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

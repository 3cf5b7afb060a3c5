//! The container engine, asked beside the gateway.

use std::process::Command;

/// Runs the engine's client and returns what it prints.
///
/// # Panics
/// The client or the engine is missing, or it refuses.
pub fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker")
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("docker: {error}; fix: scripts/setup installs and starts it"));
    assert!(
        output.status.success(),
        "docker {arguments:?}: {}; fix: scripts/setup starts the engine, scripts/runner-image builds the image",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

//! `policy`: presets and policy files.

use attestation_verifier::{PRESETS, Policy};

use super::{Usage, files};

/// The policy of that name, or of the file of that name. A file named as a preset is written `./strict`.
pub(crate) fn read(role: &str, name: &str) -> Result<Policy, Usage> {
    let text = match Policy::preset(name) {
        Some(policy) => return Ok(policy),
        None => text(role, name)?,
    };
    Policy::from_toml(&text).map_err(|error| Usage::new(format!("{role} {name}: {error}"), error.fix()))
}

/// The file of that preset, or of that name.
fn text(role: &str, name: &str) -> Result<String, Usage> {
    if let Some(text) = Policy::preset_text(name) {
        return Ok(text.to_owned());
    }
    let presets = PRESETS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let bytes = files::read(role, name.as_ref())
        .map_err(|usage| usage.or(format!("name a file that you may read, or a preset: {presets}")))?;
    String::from_utf8(bytes).map_err(|_| Usage::new(format!("{role} {name}: not text"), "name a TOML file"))
}

//! The TPM, as little of it as we need: read and extend registers, seal and unseal one object, random bytes, quotes.

#[cfg(target_os = "linux")]
mod attestation;
#[cfg(not(target_os = "linux"))]
mod elsewhere;
mod error;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod nv;
mod quoter;
#[cfg(target_os = "linux")]
mod sealing;
#[cfg(target_os = "linux")]
mod template;

#[cfg(not(target_os = "linux"))]
pub use elsewhere::Tpm;
pub use error::TpmError;
#[cfg(target_os = "linux")]
pub use linux::Tpm;
pub use quoter::{AkChoice, TpmQuoter};

/// The TPM library prints errors that it also returns, unless the environment says `TSS2_LOG=all+NONE`. To be called
/// first in `main`: runs this program anew with that variable, under the same process id, unless the operator set one.
///
/// # Errors
/// If the program cannot be run again; the only harm then is noise.
#[cfg(unix)]
pub fn silence_tpm_library() -> std::io::Result<()> {
    use std::os::unix::process::CommandExt;
    if std::env::var_os("TSS2_LOG").is_some() {
        return Ok(());
    }
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_default();
    // Setting a variable of a running process is unsafe; a new image of the same process is not.
    let failed = std::process::Command::new(std::env::current_exe()?)
        .arg0(name)
        .args(arguments)
        .env("TSS2_LOG", "all+NONE")
        .exec();
    Err(failed)
}

/// What a TPM says about itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TpmProperties {
    /// Four letters: `IBM` (swtpm), `MSFT`, `GOOG`, `AMZN`, `INTC` …
    pub manufacturer: String,
    /// Vendor's text.
    pub vendor: String,
    /// Firmware version, both words.
    pub firmware: (u32, u32),
    /// Revision of the specification, times 100: 138, 159, 164.
    pub revision: u32,
}

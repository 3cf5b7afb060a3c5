//! The TPM, as little of it as we need: read and extend registers, seal and unseal one object, random bytes.

#[cfg(not(target_os = "linux"))]
mod elsewhere;
mod error;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod sealing;

#[cfg(not(target_os = "linux"))]
pub use elsewhere::Tpm;
pub use error::TpmError;
#[cfg(target_os = "linux")]
pub use linux::Tpm;

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
